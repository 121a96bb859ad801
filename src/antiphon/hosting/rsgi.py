"""A handler as an RSGI application: the interface of granian, which serves it fastest.

Granian reads sockets and frames HTTP in Rust and calls the application on an event loop. The handler runs in
place: it never blocks, what takes time comes back as steps of a flow.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from ..kernel.dialogue import converse
from ..kernel.http import Headers, Request, Response
from ..kernel.severed import Severed
from ..kernel.spool import IN_MEMORY, Spooled, aspooled, size_of
from .pump import Application, AskingWatch, Gone, Stream, discard, sendable
from .sever import sever

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable

__all__ = ("RSGI", "LazyHeaders", "request_of")

HELD = 5.0
"""For how many seconds a file that is sent is held, so that it can be opened."""


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
    client: str
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
    def response_file_range(
        self, status: int, headers: list[tuple[str, str]], file: str, start: int, end: int
    ) -> None: ...
    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Transport: ...


class WebsocketMessage(Protocol):
    """What came over a websocket: 0 the end, 1 bytes, 2 text."""

    kind: int
    data: bytes | str


class WebsocketTransport(Protocol):
    """A websocket that is open."""

    def receive(self) -> Awaitable[WebsocketMessage]: ...
    def send_str(self, data: str) -> Awaitable[None]: ...


class WebsocketProtocol(Protocol):
    """The way to a websocket."""

    def accept(self) -> Awaitable[WebsocketTransport]: ...
    def close(self, status: int | None) -> Any: ...


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
        value: str | None = self.raw.get(name)
        if value is None:
            raise KeyError(name)
        return value


class RSGI(Application):
    """The RSGI application of a handler.

    A request's body above 1 MiB comes to the handler in a temporary file, as a `Spooled`. Granian takes whatever is
    written at once and tells nobody how much of it the client has read: a streamed body waits in memory as far as it
    is ahead of a slow client. A body with steps in it is ahead by no more than what lies between two of them, and one
    that is a `Spooled` is sent from its file.
    """

    async def __rsgi__(self, scope: Scope, protocol: Any) -> None:
        headers = LazyHeaders(scope.headers)
        if scope.proto != "http":
            await self._websocket(scope, headers, protocol)
            return
        body: bytes | Spooled = b""
        whole = True
        try:
            length = self.announced(scope, headers)
            if length is not None and length <= min(self.max_body, IN_MEMORY):
                body = await protocol() if length else b""
            else:
                async with aclosing(_pieces(protocol)) as pieces:
                    if length is None or length <= self.max_body:
                        body = await aspooled(pieces, self.max_body)
                        if length is not None and size_of(body) < length:
                            return  # the client left while sending its body
                    whole = size_of(body) <= self.max_body and (length is None or length <= self.max_body)
                    if not whole:
                        body = b""
                        await self._let_end(pieces, headers, length)
        except RuntimeError:
            return  # as well
        answer = self.answer(request_of(scope, headers, body), whole=whole)
        if not self.reply(answer, scope.method, protocol):
            await self.unhurried(answer, scope, protocol)

    async def _let_end(self, pieces: AsyncIterator[bytes], headers: LazyHeaders, length: int | None) -> None:
        """Let a client that is refused end its sending, unless it has much more to send or asks before it does.

        Granian closes the connection with the answer, and a client that is still sending would not see why.
        """
        if headers.raw.get("expect") is None:
            await self.let_end(pieces, length)

    def announced(self, scope: Scope, headers: LazyHeaders) -> int | None:
        """The length of the request's body in bytes; `None` where only reading it tells."""
        length = headers.raw.get("content-length")
        if length is not None:
            return int(length)
        if headers.raw.get("transfer-encoding") is not None:
            return None
        return None if scope.http_version == "2" and scope.method not in ("GET", "HEAD") else 0

    async def _websocket(self, scope: Scope, headers: LazyHeaders, protocol: WebsocketProtocol) -> None:
        """Hold a dialogue until the client leaves. What granian can say to a client it refuses is a status."""
        opened = self.opened(request_of(scope, headers, b""))
        if isinstance(opened, Response):
            protocol.close(opened.status)
            return
        socket = _Socket(await protocol.accept())
        try:
            await converse(opened, self.world, socket.receive, socket.send)
        except (Gone, asyncio.CancelledError):
            pass  # the client left, or the server is stopping and its patience is over
        except Severed as severed:
            await sever(scope.client, severed, settled=False)
        finally:
            socket.end()
            protocol.close(None)

    def reply(self, answer: Any, method: str, protocol: HTTPProtocol) -> bool:
        """Send an answer that is there already. `False`, with nothing done, for any other."""
        if not isinstance(answer, Response) or not isinstance(answer.body, bytes):
            return False
        _whole(protocol, method, answer.status, sendable(answer.headers.pairs), answer.body)
        return True

    async def unhurried(
        self, answer: Any, scope: Scope, protocol: HTTPProtocol, begun: Stream | None = None, ready: bytes = b""
    ) -> None:
        """Answer with a flow or with a streamed body, or with one that has been begun and what was ready of it."""
        method = scope.method
        watch = AskingWatch(protocol.client_disconnect)
        try:
            response: Response = answer if isinstance(answer, Response) else await self.finish(answer, watch)
            pairs = sendable(response.headers.pairs)
            body = response.body
            if isinstance(body, bytes):
                _whole(protocol, method, response.status, pairs, body)
            elif method == "HEAD":
                discard(body)
                protocol.response_empty(response.status, pairs)
            elif isinstance(body, Spooled):
                # Granian reads the file as fast as the client takes it, so that nothing waits in memory. When it has
                # opened it, it tells nobody: the file has to be there until it surely has.
                protocol.response_file_range(response.status, pairs, *body.place)
                asyncio.get_running_loop().call_later(HELD, _held, body)
            else:
                writer = _Writer(protocol.response_stream(response.status, pairs))
                try:
                    await self.stream(response, begun or Stream(body), writer.write, watch, ready)
                except Severed as severed:
                    await sever(scope.client, severed, settled=False)
                finally:
                    writer.end()
        except Severed as severed:
            await sever(scope.client, severed, settled=True)
        except asyncio.CancelledError:
            # Either the client left, or the server is stopping and its patience is over: the answer ends here.
            watch.settle()
        except Gone:
            pass
        finally:
            watch.stop()


def _whole(protocol: HTTPProtocol, method: str, status: int, pairs: list[tuple[str, str]], body: bytes) -> None:
    """Answer with a body that is there; a HEAD with its length, which HTTP/2 does not leave to granian."""
    if method == "HEAD":
        if not any(name == "content-length" for name, _ in pairs):
            pairs = [*pairs, ("content-length", str(len(body)))]
        protocol.response_empty(status, pairs)
    else:
        protocol.response_bytes(status, pairs, body)


def _held(body: Spooled) -> None:
    """A body need not be held any longer."""


async def _pieces(protocol: HTTPProtocol) -> AsyncGenerator[bytes, None]:
    # Granian's own iterator cannot be left and gone on with.
    async for piece in protocol:
        yield piece


def request_of(scope: Scope, headers: LazyHeaders, body: bytes | Spooled) -> Request:
    """The request that granian tells of."""
    authority = headers.raw.get("host") or scope.authority or "localhost"
    return Request(
        scope.method, encoded(scope.path), scope.query_string, headers, body, f"{scope.scheme}://{authority}"
    )


class _Socket:
    """A websocket that is open. It is let go by name, as what `_Writer` writes to."""

    __slots__ = ("transport",)

    def __init__(self, transport: WebsocketTransport) -> None:
        self.transport: WebsocketTransport | None = transport

    async def receive(self) -> bytes | None:
        if self.transport is None:
            return None
        try:
            message = await self.transport.receive()
        except RuntimeError:
            return None
        if message.kind == 0:
            return None
        data = message.data
        return data.encode() if isinstance(data, str) else data

    async def send(self, message: bytes) -> None:
        if self.transport is None:
            raise Gone
        try:
            await self.transport.send_str(message.decode())
        except RuntimeError as error:
            raise Gone from error

    def end(self) -> None:
        self.transport = None


class _Writer:
    """Writes a streamed response, which ends when granian's transport is let go.

    It is let go by name, because a traceback that somebody keeps would hold on to it.
    """

    __slots__ = ("transport",)

    def __init__(self, transport: Transport) -> None:
        self.transport: Transport | None = transport

    async def write(self, data: bytes) -> None:
        if self.transport is None:
            raise Gone
        try:
            await self.transport.send_bytes(data)
        except RuntimeError as error:
            raise Gone from error

    def end(self) -> None:
        self.transport = None


_UNSAFE = re.compile(r"[^A-Za-z0-9/:@!$&'()*+,;=~._-]")


@lru_cache(maxsize=1024)
def encoded(path: str) -> str:
    """A path as it stands in a request line. RSGI hands over decoded paths, so `%2F` cannot be told from `/`."""
    return quote(path, safe="/:@!$&'()*+,;=~") if _UNSAFE.search(path) else path
