"""Requests of code that makes its own client, answered by a fake; and none that gets past it.

    with intercepted(FakeOpenAI()) as interception:
        openai.OpenAI(api_key="any").models.list()      # nothing leaves the process

While it lasts, the place where each library sends a request is another function: it looks at the host and lets the
fake answer, lets the request through (this machine, hosts that are allowed), or raises. Libraries that are not there
yet are seen to when they are imported. Nothing of this is imported by, or costs, anybody else.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from ..transports.handler import HandlerTransport
from .hosts import ANSWERED, MODELS, is_local, matches
from .imports import Imports
from .vocabularies import VOCABULARIES, vocabularies

if TYPE_CHECKING:
    from ..kernel.http import Handler

__all__ = ("ORIGIN", "Escape", "EscapedRequest", "Interception", "intercepted")

ORIGIN: Final = "http://fake.test"
"""Where the fake is addressed in process. No name below `.test` leads anywhere."""

_LIBRARIES: Final = {
    "httpx2": "httpx",
    "httpx": "httpx",
    "aiohttp.connector": "aiohttp",
    "urllib3.connection": "urllib3",
    "http.client": "http_client",
    "antiphon.transports.network": "native",
    "socket": "names",
    "asyncio.base_events": "names",
}
"""Modules that requests go through, and which of `libraries` knows each."""

_SELF: Final = str(Path(__file__).parent)
_MACHINERY: Final = ("pluggy", "_pytest", "pytest", "pytest_asyncio", "asyncio", "runpy", "threading", "concurrent")
"""Packages whose calls say nothing about where a request comes from."""


class Escape(NamedTuple):
    """A request that was on its way to a real host."""

    what: str
    """The request: method and address, or what is known of them."""
    host: str
    library: str
    stack: str
    """The calls that led to it, outermost first, as in a traceback."""

    def __str__(self) -> str:
        answer = f"To have the fake answer it: hosts=[{self.host!r}]."
        if self.library in ("socket", "asyncio"):
            answer = "What is no request, such as a websocket, reaches the fake on a port: `fake_openai_server`."
        return (
            f"{self.what} ({self.library}) was about to leave this machine while a fake OpenAI is active.\n\n"
            f"{self.stack}\n"
            f"{answer} To let it through: allow=[{self.host!r}]. Both are options of `@pytest.mark.fake_openai(...)` "
            f"and of `intercepted(...)`, and `fake_openai_hosts` and `fake_openai_allow` in pytest's configuration."
        )


class EscapedRequest(BaseException):
    """A request was about to reach a real host. No `Exception`, so that nothing that handles, retries or logs failed
    requests takes it for one.
    """

    def __init__(self, escape: Escape) -> None:
        super().__init__(str(escape))
        self.escape = escape


class Interception:
    """What is between the libraries and the network while it lasts. A context manager, not to be entered twice.

    `handler` answers, for OpenAI's and Azure's hosts and for `hosts` (names, or patterns such as `*.corp.example`);
    with `intercept=False` for `hosts` alone. With `guard`, requests to other hosts than this machine's and those in
    `allow` raise `EscapedRequest`, and names of hosts of models cannot be looked up. Raises `TypeError` where `hosts`
    or `allow` is a single text.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        hosts: Iterable[str] = (),
        allow: Iterable[str] = (),
        intercept: bool = True,
        guard: bool = True,
    ) -> None:
        for name, given in (("hosts", hosts), ("allow", allow)):
            if isinstance(given, str):
                raise TypeError(f"{name} is a list of hosts, such as [{given!r}], not a text")
        self.answered = ("fake.test", *(ANSWERED if intercept else ()), *hosts)
        self.allowed = tuple(allow)
        self.guard = guard
        self.escapes: list[Escape] = []
        """The requests that were refused, as they came."""
        self.transport = HandlerTransport(handler)
        """What sends to the handler."""
        self._vocabularies = HandlerTransport(vocabularies) if intercept else None
        self._replaced: list[tuple[Any, str, Any]] = []
        self._imports = Imports(_LIBRARIES, self._patch)

    def route(self, host: str, what: str, library: str) -> HandlerTransport | None:
        """Where a request goes: to the fake, or (`None`) on its way. Raises `EscapedRequest` where the guard is on."""
        if matches(host, self.allowed):
            return None
        if matches(host, self.answered):
            return self.transport
        if host == VOCABULARIES and self._vocabularies is not None:
            return self._vocabularies
        if not is_local(host):
            self.refuse(host, what, library)
        return None

    def look_up(self, host: Any, library: str) -> None:
        """Refuse to look up the name of a host of models, or of one that the fake answers for."""
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if isinstance(name, str) and matches(name, (*MODELS, *self.answered)) and not matches(name, self.allowed):
            self.refuse(name, f"A connection to {name}", library)

    def refuse(self, host: str, what: str, library: str) -> None:
        """Note an escape and raise it, where the guard is on."""
        if self.guard:
            escape = Escape(what, host, library, _stack())
            self.escapes.append(escape)
            raise EscapedRequest(escape)

    def __enter__(self) -> Self:
        for name in _LIBRARIES:
            module = sys.modules.get(name)
            # One that is being imported right now is not whole.
            if module is not None and not getattr(module.__spec__, "_initializing", False):
                self._patch(name, module)
        self._imports.begin()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._imports.end()
        while self._replaced:
            owner, name, value = self._replaced.pop()
            setattr(owner, name, value)

    def _patch(self, name: str, module: ModuleType) -> None:
        library = import_module(f".libraries.{_LIBRARIES[name]}", __package__)
        for owner, attribute, replacement in library.patches(module, self):
            self._replaced.append((owner, attribute, vars(owner)[attribute]))
            setattr(owner, attribute, replacement)

    def __repr__(self) -> str:
        return f"<Interception of {', '.join(self.answered)}>"


def intercepted(
    handler: Handler,
    *,
    hosts: Iterable[str] = (),
    allow: Iterable[str] = (),
    intercept: bool = True,
    guard: bool = True,
) -> Interception:
    """Have a fake answer what code in this process sends to OpenAI, for the length of a `with` block.

    See `Interception` for the options.
    """
    return Interception(handler, hosts=hosts, allow=allow, intercept=intercept, guard=guard)


def _stack() -> str:
    hidden = (_SELF, "<frozen", *_machinery())
    frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(hidden)]
    return "".join(traceback.StackSummary.from_list(frames).format()).rstrip() + "\n"


def _machinery() -> list[str]:
    """Where the files of what calls tests and coroutines are. A project may be named so, too, and is not hidden."""
    places: list[str] = []
    for name in _MACHINERY:
        file: str | None = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            places.append(f"{Path(file).parent}{os.sep}" if Path(file).stem == "__init__" else file)
    return places
