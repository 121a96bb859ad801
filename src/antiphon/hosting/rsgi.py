"""A handler as an RSGI application: the interface of granian, which serves it fastest.

Granian reads sockets and frames HTTP in Rust and calls the application on an event loop. The handler runs in
place: it never blocks, what takes time comes back as steps of a flow.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from ..kernel.flow import World, arun
from ..kernel.http import Headers, Request, Response
from .pump import Gone, Watch, broken_event, failure, pump, too_large

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from ..kernel.http import Filter, Handler

__all__ = ("MAX_BODY", "RSGI")

MAX_BODY = 512 * 1024 * 1024
"""The largest request body that is taken, in bytes: the limit of the API's file uploads."""


class RSGIHeaders(Protocol):
    """Granian's header map."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def items(self) -> list[tuple[str, str]]: ...


class Scope(Protocol):
    """What granian tells of a request."""

    proto: str
    http_version: str
    scheme: str
    method: str
    path: str
    query_string: str
    authority: str | None
    headers: RSGIHeaders


class Transport(Protocol):
    """A streamed response being sent."""

    def send_bytes(self, data: bytes) -> Awaitable[None]: ...


class HTTPProtocol(Protocol):
    """The way to a request's body and to its response."""

    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def client_disconnect(self) -> Awaitable[None]: ...
    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...
    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Transport: ...


class LazyHeaders(Headers):
    """Headers that are looked up in granian's map, and copied only when somebody goes through all of them."""

    __slots__ = ("raw",)

    def __init__(self, raw: RSGIHeaders) -> None:
        self.raw = raw

    def __getattr__(self, name: str) -> Any:
        # Reached for the slot `pairs` alone, and only before it is filled.
        if name != "pairs":
            raise AttributeError(name)
        self.pairs = self.raw.items()
        return self.pairs

    def get(self, name: str, default: Any = None) -> Any:
        return self.raw.get(name, default)

    def __getitem__(self, name: str) -> str:
        value = self.raw.get(name)
        if value is None:
            raise KeyError(name)
        return value


class RSGI:
    """The RSGI application of a handler.

    `filters` wrap the handler, the first outermost, and what the host itself answers (413). `world` is how the
    steps of flows and bodies touch the outside. A body above `max_body` bytes is answered with 413 and not read.
    """

    def __init__(
        self, handler: Handler, filters: Iterable[Filter] = (), *, world: World | None = None, max_body: int = MAX_BODY
    ) -> None:
        refuse: Handler = lambda request: too_large(max_body)  # noqa: E731 - a handler of one line
        for each in reversed(tuple(filters)):
            handler, refuse = each(handler), each(refuse)
        self.handler = handler
        self.refuse = refuse
        self.world = world or World()
        self.max_body = max_body

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        headers = LazyHeaders(scope.headers)
        get = headers.raw.get
        method = scope.method
        authority = get("host") or scope.authority or "localhost"
        handler = self.handler
        body = b""
        length = get("content-length")
        if length is not None:
            if length != "0":
                if int(length) > self.max_body:
                    handler = self.refuse
                else:
                    try:
                        body = await protocol()
                    except RuntimeError:
                        return  # the client left while sending its body
        elif get("transfer-encoding") is not None or (scope.http_version == "2" and method not in ("GET", "HEAD")):
            try:
                whole = await self._read(protocol)
            except RuntimeError:
                return
            if whole is None:
                handler = self.refuse
            else:
                body = whole
        request = Request(method, encoded(scope.path), scope.query_string, headers, body, f"{scope.scheme}://{authority}")
        try:
            response = handler(request)
        except Exception as error:
            response = failure(error)
        if response.__class__ is Response and response.body.__class__ is bytes:
            pairs = response.headers.pairs
            for pair in pairs:
                if not pair[1].isprintable() or not pair[1].isascii():
                    pairs = sendable(pairs)
                    break
            protocol.response_bytes(response.status, pairs, response.body)
        else:
            await self._unhurried(response, method, protocol)

    async def _read(self, protocol: HTTPProtocol) -> bytes | None:
        """A body of unknown length, or `None` once it is longer than the limit."""
        pieces: list[bytes] = []
        size = 0
        async for piece in protocol:
            size += len(piece)
            if size > self.max_body:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    async def _unhurried(self, answer: Any, method: str, protocol: HTTPProtocol) -> None:
        """Answer with a flow or with a streamed body."""
        watch = Watch(protocol.client_disconnect)
        try:
            response: Response = answer if isinstance(answer, Response) else await self._finish(answer, watch)
            pairs = sendable(response.headers.pairs)
            body = response.body
            if isinstance(body, bytes):
                protocol.response_bytes(response.status, pairs, body)
            elif method == "HEAD":
                close = getattr(body, "close", None)
                if close is not None:
                    close()
                protocol.response_empty(response.status, pairs)
            else:
                transport = protocol.response_stream(response.status, pairs)
                await self._stream(response, transport, watch)
        except asyncio.CancelledError:
            # Either the client left, or the server is stopping and its patience is over: the answer ends here.
            watch.settle()
        except Gone:
            pass
        finally:
            watch.stop()

    async def _finish(self, flow: Any, watch: Watch) -> Response:
        watch.start()
        try:
            return await arun(flow, self.world)
        except Exception as error:
            return failure(error)

    async def _stream(self, response: Response, transport: Transport, watch: Watch) -> None:
        async def write(data: bytes) -> None:
            try:
                await transport.send_bytes(data)
            except RuntimeError as error:
                raise Gone from error

        try:
            assert not isinstance(response.body, bytes)
            await pump(response.body, self.world, write, watch)
        except Gone:
            raise
        except Exception as error:
            event = broken_event(error)
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                await write(event)


_UNSAFE = re.compile(r"[^A-Za-z0-9/:@!$&'()*+,;=~._-]")


@lru_cache(maxsize=1024)
def encoded(path: str) -> str:
    """A path as it stands in a request line. RSGI hands over decoded paths, so `%2F` cannot be told from `/`."""
    return quote(path, safe="/:@!$&'()*+,;=~") if _UNSAFE.search(path) else path


def sendable(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers whose values can be sent: other characters than printable ASCII are percent-encoded as UTF-8."""
    if all(value.isascii() and value.isprintable() for _, value in pairs):
        return pairs
    return [
        (name, "".join(c if c.isascii() and c.isprintable() else quote(c, safe="") for c in value)) for name, value in pairs
    ]
