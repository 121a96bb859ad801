"""The operations as this server serves them: address, checks, behaviour, tier.

There is one `Endpoint` per operation for the whole process. It is cheap until its operation is first asked for:
then it compiles the checks of its schema and imports its declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .routes import Routes

if TYPE_CHECKING:
    from ..kernel.operation import AnyOperation
    from ..schema import OperationSchema
    from .behaviour import Behaviour, UploadedFile

__all__ = ("LEGACY", "Endpoint", "Tier", "endpoint", "endpoints", "homes", "routes")

Tier: TypeAlias = Literal["behaves", "generic", "shape"]


_RAW = {"realtime.calls.create": ("application/sdp", "sdp")}
"""Content types of bodies that are one field of the operation and nothing else."""


LEGACY = (
    ("edits.create", "edits", "Edits", "POST", "/edits"),
    ("fine_tunes.cancel", "fine_tunes", "FineTunes", "POST", "/fine-tunes/{fine_tune_id}/cancel"),
    ("fine_tunes.create", "fine_tunes", "FineTunes", "POST", "/fine-tunes"),
    ("fine_tunes.list", "fine_tunes", "FineTunes", "GET", "/fine-tunes"),
    ("fine_tunes.list_events", "fine_tunes", "FineTunes", "GET", "/fine-tunes/{fine_tune_id}/events"),
    ("fine_tunes.retrieve", "fine_tunes", "FineTunes", "GET", "/fine-tunes/{fine_tune_id}"),
)
"""Operations that the API once had: name, module and class of the declaration, method, address."""


class Endpoint:
    """One operation of the API."""

    __slots__ = (
        "_class",
        "_lenient",
        "_module",
        "behaviour",
        "check_body",
        "fixed_query",
        "method",
        "name",
        "opened",
        "operation",
        "path",
        "raw_field",
        "raw_media",
        "read_form",
        "read_query",
        "schema",
        "takes_body",
        "tier",
    )

    operation: AnyOperation
    """Its declaration."""
    schema: OperationSchema
    behaviour: Behaviour
    tier: Tier
    """How much is behind it: rules of its own, a place in the store, or a valid shape."""
    check_body: Callable[[Any], None] | None
    read_form: Callable[[Iterable[tuple[str, str | UploadedFile]]], dict[str, Any]] | None
    read_query: Callable[[str], dict[str, Any]]

    def __init__(self, name: str, module: str, cls: str, method: str, path: str) -> None:
        self.name = name
        self.method = method
        self.path, _, query = path.partition("?")
        self.fixed_query = dict(pair.split("=") for pair in query.split("&")) if query else {}
        self.takes_body = method == "POST"
        self.opened = False
        self.raw_media, self.raw_field = _RAW.get(name, ("", ""))
        self._lenient: tuple[Callable[[Any], None] | None, Any] | None = None
        self._module = module
        self._class = cls

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.name}>"

    def open(self) -> Endpoint:
        """Find the declaration, the schema and the behaviour. Done once, when the operation is first asked for."""
        if self.opened:
            return self
        from ..schema import operation
        from .behaviour import BEHAVIOURS
        from .validation import compile_body, compile_form, compile_query

        home = homes().get(self.name)
        if home is not None:
            import_module(f".behaviours.{home}", __package__)
        own = BEHAVIOURS.get(self.name)
        self.tier, self.behaviour = ("behaves", own) if own is not None else _common(self.name)
        module = import_module(f"antiphon.api.{self._module}")
        self.operation = vars(getattr(module, self._class))[self.name.rpartition(".")[2]]
        self.schema = operation(self.name)
        self.check_body = compile_body(self.name) if self.schema.body is not None else None
        self.read_form = compile_form(self.name) if self.schema.media == "multipart" else None
        self.read_query = compile_query(self.name)
        self.opened = True
        return self

    def lenient(self) -> tuple[Callable[[Any], None] | None, Any]:
        """`check_body` and `read_form` of a server that passes on what no schema names."""
        if self._lenient is None:
            from .validation import compile_body, compile_form

            check = None if self.check_body is None else compile_body(self.name, unknown="allow")
            read = None if self.read_form is None else compile_form(self.name, unknown="allow")
            self._lenient = check, read
        return self._lenient


def _common(name: str) -> tuple[Tier, Behaviour]:
    """The behaviour of an operation without rules of its own: what is kept, or made up, is found by its schema."""
    from .kept import kept
    from .shape import shape

    generic = kept().get(name)
    return ("shape", shape) if generic is None else ("generic", generic)


@cache
def homes() -> dict[str, str]:
    """The modules of `behaviours` that serve operations, by operation: only those that are asked for are imported."""
    from .behaviours import HOMES

    return {name: module for module, names in HOMES.items() for name in names.split()}


@cache
def endpoints() -> dict[str, Endpoint]:
    """Every operation of the API by name, those it once had at the end."""
    from ..api._index import OPERATIONS

    return {row[0]: Endpoint(*row) for row in (*OPERATIONS, *LEGACY)}


def endpoint(name: str) -> Endpoint:
    """One operation, opened. Raises `KeyError` for a name there is none of."""
    return endpoints()[name].open()


@cache
def routes() -> Routes[Endpoint]:
    """Every address of the API."""
    return Routes(endpoints().values())
