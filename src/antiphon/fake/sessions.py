"""Several fakes behind one server: the key of a request, or a header, says whose it is, so that tests do not meet."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final

from ..kernel.dialogue import Unasked
from ..kernel.errors import AuthenticationError
from ..kernel.flow import Step, World, through
from ..kernel.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kernel.dialogue import Dialogue, Turn
    from ..kernel.flow import Flow
    from ..kernel.http import Request
    from . import FakeOpenAI

__all__ = ("HEADER", "ISSUED", "Sessions", "answered", "key_of", "opened")

HEADER: Final = "x-antiphon-test"
"""The header that says whose a request is, for clients whose key cannot be chosen."""

ISSUED: Final = "sk-antiphon-"
"""What keys begin with that are made for sessions: one that leads nowhere is of a session that has ended."""


class Sessions:
    """Fakes by the keys that lead to them."""

    def __init__(self) -> None:
        self.fakes: dict[str, FakeOpenAI] = {}
        self._numbers = count(1)

    def add(self, fake: FakeOpenAI, key: str | None = None) -> str:
        """A key that leads to a fake from now on: one that is free. Raises `ValueError` for one that is taken."""
        if key is None:
            key = f"{ISSUED}{next(self._numbers)}"
        if key in self.fakes:
            raise ValueError(f"the key {key!r} leads to another session")
        self.fakes[key] = fake
        return key

    def end(self, key: str) -> bool:
        """Have a key lead nowhere; whether it led somewhere."""
        return self.fakes.pop(key, None) is not None

    def of(self, request: Request) -> FakeOpenAI | None:
        """The fake that a request is for; `None` where it names no session. Raises for one that has ended."""
        named = request.headers.get(HEADER)
        key = named or key_of(request)
        found = self.fakes.get(key)
        if found is None and (named or key.startswith(ISSUED)):
            raise ended(key)
        return found


def ended(key: str) -> AuthenticationError:
    """The error for a key that leads nowhere."""
    return AuthenticationError.because(
        f"Incorrect API key provided: {key} is of a session that has ended, or was never begun.",
        code="invalid_api_key",
    )


def key_of(request: Request) -> str:
    """The key of a request, wherever it stands; empty where there is none."""
    from ..server.sockets.handshake import with_headers

    get = with_headers(request).headers.get  # a browser's websocket has another place for it
    said: str = get("api-key") or ""
    if not said:
        scheme, _, rest = (get("authorization") or "").partition(" ")
        said = rest.strip() if scheme.lower() == "bearer" else ""
    return said


def answered(fake: FakeOpenAI, request: Request) -> Response | Flow[Response]:
    """What a fake answers behind a server that is not its own: its time passes by its own clock."""
    answer, world = fake(request), fake.world
    if type(world) is World:
        return answer
    if isinstance(answer, Response):
        return _body_elsewhere(answer, world)
    return _elsewhere(answer, world)


def opened(fake: FakeOpenAI, request: Request) -> Dialogue | Response:
    """A websocket of a fake behind a server that is not its own, or the refusal of one."""
    dialogue, world = fake.dialogue(request), fake.world
    return dialogue if type(world) is World or isinstance(dialogue, Response) else _Dialogue(dialogue, world)


class _Dialogue:
    """A dialogue whose time passes in a world."""

    def __init__(self, dialogue: Dialogue, world: World) -> None:
        self._dialogue = dialogue
        self._world = world

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        if isinstance(self._dialogue, Unasked):
            self._dialogue.may_speak(lambda turn: speak(self._there(turn) or turn))

    def begun(self) -> Turn | None:
        return self._there(self._dialogue.begun())

    def heard(self, message: bytes) -> Turn | None:
        return self._there(self._dialogue.heard(message))

    def ended(self) -> None:
        self._dialogue.ended()

    def _there(self, turn: Turn | None) -> Turn | None:
        if turn is None or not hasattr(turn.said, "send"):
            return turn
        return turn._replace(said=_steps(turn.said, self._world))


class _There(Step[Any]):
    """A step that is taken in another world than the host's."""

    __slots__ = ("_step", "_world")

    def __init__(self, step: Step[Any], world: World) -> None:
        self._step = step
        self._world = world

    def perform(self, world: World) -> Any:
        return self._step.perform(self._world)

    async def aperform(self, world: World) -> Any:
        return await self._step.aperform(self._world)


def _elsewhere(flow: Flow[Response], world: World) -> Flow[Response]:
    return _body_elsewhere((yield from _steps(flow, world)), world)


def _body_elsewhere(response: Response, world: World) -> Response:
    body: Any = response.body
    return response._replace(body=_steps(body, world)) if hasattr(body, "send") else response


def _steps(inner: Any, world: World) -> Any:
    """A generator with its steps taken in a world."""

    def each(item: Any) -> Any:
        return (yield _There(item, world) if isinstance(item, Step) else item)

    return through(inner, each)
