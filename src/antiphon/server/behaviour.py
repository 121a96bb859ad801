"""What the server does for an operation: a function from a `Call` to a reply, found by the operation's name.

    @serves(Models.retrieve)
    def retrieve(call: Call) -> Reply:
        return call.server.models.get(call.params["model"])

A behaviour answers a dict or a view (sent as JSON with status 200), `None` (an empty 200), a `Response` of its
own, or a flow that ends in one of these. It says no by raising an `APIStatusError.because(...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from ..kernel.spool import size_of

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Request, Response
    from ..kernel.operation import AnyOperation
    from ..kernel.spool import Spooled
    from ..kernel.view import View
    from .app import Server

__all__ = ("BEHAVIOURS", "Behaviour", "Call", "Reply", "UploadedFile", "serves")


class UploadedFile(NamedTuple):
    """A file part of a multipart request."""

    filename: str
    content_type: str
    data: bytes | Spooled
    """What is in it: bytes, or where the request was large, a part of the temporary file it is in."""

    @property
    def content(self) -> bytes:
        """What is in it, whole."""
        return self.data if isinstance(self.data, bytes) else self.data.read()

    @property
    def size(self) -> int:
        """How many bytes are in it."""
        return size_of(self.data)


class Call:
    """One validated request for one operation."""

    __slots__ = ("body", "operation", "params", "query", "request", "server")

    def __init__(
        self,
        server: Server,
        operation: AnyOperation,
        request: Request,
        params: dict[str, str],
        query: dict[str, Any],
        body: dict[str, Any],
    ) -> None:
        self.server = server
        self.operation = operation
        self.request = request
        self.params = params
        """Path parameters by name, decoded."""
        self.query = query
        """Query parameters, converted to the types of the schema; arrays as lists, `a[b]` as nested dicts."""
        self.body = body
        """The decoded body; of a multipart request its fields, files as `UploadedFile`."""

    @property
    def origin(self) -> str:
        """Scheme and authority the request was addressed to: the base of links the server hands out."""
        return self.request.origin


if TYPE_CHECKING:
    Reply: TypeAlias = View | dict[str, Any] | Response | None | Flow[View | dict[str, Any] | Response | None]
    Behaviour: TypeAlias = Callable[[Call], Reply]
    B = TypeVar("B", bound=Behaviour)
else:
    Reply = Behaviour = object
    B = TypeVar("B")

BEHAVIOURS: dict[str, Behaviour] = {}
"""Behaviours of the modules in `behaviours/`, by operation name. Filled when those modules are imported."""


def serves(*operations: AnyOperation) -> Callable[[B], B]:
    """Register a behaviour for one operation, or for several that share it."""

    def register(behaviour: B) -> B:
        for operation in operations:
            BEHAVIOURS[operation.name] = behaviour
        return behaviour

    return register
