"""The operations as this server serves them: address, checks, behaviour, tier.

There is one `Endpoint` per operation for the whole process. It is cheap until its operation is first asked for:
then it compiles the checks of its schema and imports its declaration.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .routes import Routes

if TYPE_CHECKING:
    from ..kernel.operation import AnyOperation
    from ..schema import OperationSchema
    from .behaviour import Behaviour

__all__ = ("Endpoint", "Tier", "endpoints", "operation_of", "routes")

Tier: TypeAlias = Literal["behaves", "generic", "shape"]


class Endpoint:
    """One operation of the API."""

    __slots__ = (
        "_operation",
        "_tier",
        "behaviour",
        "check_body",
        "check_query",
        "fixed_query",
        "media",
        "method",
        "name",
        "opened",
        "path",
        "schema",
        "takes_body",
    )

    behaviour: Behaviour
    check_body: Callable[[dict[str, Any]], dict[str, Any]] | None
    check_query: Callable[[dict[str, Any]], dict[str, Any]] | None

    def __init__(self, schema: OperationSchema) -> None:
        self.schema = schema
        self.name = schema.name
        self.method = schema.method
        self.path = schema.path
        self.fixed_query = schema.fixed_query
        self.media = schema.media
        self.takes_body = schema.method == "POST"
        self.opened = False
        self._operation: AnyOperation | None = None
        self._tier: Tier = "shape"

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.name}>"

    @property
    def operation(self) -> AnyOperation:
        """The declaration of the operation."""
        found = self._operation
        if found is None:
            found = self._operation = operation_of(self.name)
        return found

    @property
    def tier(self) -> Tier:
        """How much is behind the operation: rules of its own, a place in the store, or a valid shape."""
        if not self.opened:
            self.open()
        return self._tier

    def open(self) -> None:
        """Find the behaviour and make the checks. Done once, when the operation is first asked for."""
        from .behaviour import BEHAVIOURS
        from .kept import KEPT
        from .shape import shape
        from .validation import checker

        _load_behaviours()
        own, kept = BEHAVIOURS.get(self.name), KEPT.get(self.name)
        self._tier = "behaves" if own is not None else "generic" if kept is not None else "shape"
        self.behaviour = own or kept or shape
        self.check_body = checker(self.name, "body")
        self.check_query = checker(self.name, "query")
        self.opened = True


@cache
def _load_behaviours() -> None:
    """Import every module of `behaviours`; they register themselves."""
    package = import_module(".behaviours", __package__)
    for module in iter_modules(package.__path__):
        import_module(f".behaviours.{module.name}", __package__)


@cache
def endpoints() -> dict[str, Endpoint]:
    """Every operation of the API by name."""
    from ..schema import operations

    return {name: Endpoint(schema) for name, schema in operations().items()}


@cache
def routes() -> Routes[Endpoint]:
    """Every address of the API."""
    return Routes(endpoints().values())


def operation_of(name: str) -> AnyOperation:
    """The declaration of an operation, such as `files.create`. Raises `LookupError` for a name there is none of."""
    resource, _, method = name.rpartition(".")
    module = import_module(f"antiphon.api.{resource}")
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            found = vars(value).get(method)
            if found is not None and getattr(found, "name", None) == name:
                return found
    raise LookupError(f"antiphon.api.{resource} declares no {method}")
