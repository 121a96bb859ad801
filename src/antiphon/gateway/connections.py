"""HTTP/1.1 to the servers of models, from the event loop that waits for them.

pyreqwest sends from threads of its own. A request that has been sent cannot be called back there before its answer
begins: whoever left, the model goes on to the end. And each piece of a stream crosses from thread to thread and wakes
the loop. Here a connection belongs to the loop: whoever leaves closes it, and a piece is there when it is read from the
socket. What is framed is parsed by httptools. There are no redirects, proxies and compression: servers of models have
none. Blocking callers keep to pyreqwest.

A connection that is kept serves one request at a time. It is known of every request how far it came: an error at
connecting is one after which no model has run.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httptools

from ..kernel.errors import APIConnectionError, APITimeoutError
from ..kernel.http import Headers, Request, Response
from ..kernel.options import Timeout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

__all__ = ("ConnectError", "ConnectTimeoutError", "Connections", "ReadError", "ReadTimeoutError")

_AHEAD: Final = 256 * 1024
"""So many bytes of a stream are read ahead of whoever takes them."""
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE"})


class ConnectError(Exception):
    """There was no connection."""


class ConnectTimeoutError(ConnectError):
    """A connection took too long."""


class ReadError(Exception):
    """A connection broke after a request was sent."""


class ReadTimeoutError(ReadError):
    """An answer took too long."""


class Connections:
    """Idle connections, by loop and server: at most `most` to each, for `seconds`."""

    def __init__(self, most: int = 1024, seconds: float = 4.0, verify: ssl.SSLContext | None = None) -> None:
        self.most = most
        self.seconds = seconds
        self._verify = verify
        self._idle: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, deque[_Connection]]] = WeakKeyDictionary()
        self._last: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request. Raises `APIConnectionError` or `APITimeoutError`, caused by one of the errors above.

        The `read` of a timeout is for all of it: for the beginning of a stream, and for another answer as a whole.
        """
        wanted: Timeout = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        loop = asyncio.get_running_loop()
        origins = self._idle.get(loop)
        if origins is None:
            origins = self._idle[loop] = {}
            self._last[loop] = last = _until_the_end(origins)
            await anext(last)
        origin = request.origin
        idle = origins.get(origin)
        if idle is None:
            idle = origins[origin] = deque()
        connection = self._kept(idle, loop)
        try:
            seconds = wanted.read
            if connection is None:
                began = loop.time()
                connection = await self._opened(loop, idle, origin, wanted.connect)
                if seconds is not None:
                    seconds -= loop.time() - began
            return await connection.exchange(request, seconds, stream)
        except ConnectTimeoutError as error:
            raise APITimeoutError(request) from error
        except ReadTimeoutError as error:
            raise APITimeoutError(request) from error
        except (ConnectError, ReadError) as error:
            raise APIConnectionError(request=request) from error

    def close(self) -> None:
        """Let go of idle connections, those of this loop at once."""
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        for loop, origins in list(self._idle.items()):
            for idle in origins.values():
                while idle:
                    transport = idle.popleft().transport
                    if loop is running:
                        transport.abort()
                    elif not loop.is_closed():
                        loop.call_soon_threadsafe(transport.abort)

    def _kept(self, idle: deque[_Connection], loop: asyncio.AbstractEventLoop) -> _Connection | None:
        """The connection that was used last, if it is still good."""
        oldest = loop.time() - self.seconds
        while idle:
            connection = idle.pop()
            if connection.since >= oldest and connection.good:
                return connection
            connection.transport.abort()
        return None

    async def _opened(
        self, loop: asyncio.AbstractEventLoop, idle: deque[_Connection], origin: str, seconds: float | None
    ) -> _Connection:
        parts = urlsplit(origin)
        secure = parts.scheme == "https"
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, idle, loop, parts.netloc),
                    parts.hostname or "",
                    parts.port or (443 if secure else 80),
                    ssl=self._context() if secure else None,
                )
        except TimeoutError as error:
            raise ConnectTimeoutError("timed out") from error
        except OSError as error:  # certificates are among them
            raise ConnectError(str(error)) from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._verify is None:
            self._verify = ssl.create_default_context()
        return self._verify


async def _until_the_end(origins: dict[str, deque[_Connection]]) -> AsyncGenerator[None, None]:
    """A loop that is closed in order ends its generators before: the moment to let go of what was kept."""
    try:
        yield
    finally:
        for idle in origins.values():
            while idle:
                idle.popleft().transport.abort()


class _Connection(asyncio.Protocol):
    """A connection to a server, which parses what comes itself: its `on_…` are called by httptools."""

    __slots__ = (
        "_body",
        "_ended",
        "_framed",
        "_headers",
        "_host",
        "_idle",
        "_loop",
        "_owner",
        "_parser",
        "_paused",
        "_size",
        "_waiter",
        "error",
        "good",
        "request",
        "since",
        "status",
        "transport",
    )
    transport: Any

    def __init__(
        self, owner: Connections, idle: deque[_Connection], loop: asyncio.AbstractEventLoop, host: str
    ) -> None:
        self._owner = owner
        self._idle = idle
        self._loop = loop
        self._host = host
        self.good = True
        """Whether it can be used for another request."""
        self.since = 0.0
        """When it was last used."""
        self.error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._begin(None)

    def _begin(self, request: Request | None) -> None:
        self.request = request
        """What is being answered, if anything is."""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._ended = False
        self._framed = False
        self._paused = False
        self.status = 0

    async def exchange(self, request: Request, seconds: float | None, stream: bool) -> Response:
        """Send a request and wait for its answer; of a stream, for its beginning."""
        self._begin(request)
        body = request.body
        if not isinstance(body, bytes):
            body = await body.aread()
        head = [request.method, " ", request.path]
        if request.query:
            head += ("?", request.query)
        head += (" HTTP/1.1\r\nhost: ", self._host, "\r\n")
        for name, value in request.headers.pairs:
            if "\n" in value or "\r" in value:
                self._release()
                raise ValueError(f"the value of the header {name} cannot be sent: there is a line break in it")
            head += (name, ": ", value, "\r\n")
        if body or request.method not in _BODILESS:
            head.append(f"content-length: {len(body)}\r\n")
        head.append("\r\n")
        late = None if seconds is None else self._loop.call_later(max(seconds, 0), self._late)
        done = False
        try:
            self.transport.write("".join(head).encode() + body)
            while not (self._ended or (stream and self.status)):
                if self.error is not None:
                    raise self.error
                self._waiter = self._loop.create_future()
                await self._waiter
            done = True
        finally:
            self._waiter = None
            if late is not None:
                late.cancel()
            if not done:
                self._drop()
        headers = Headers.of(self._headers)
        if not stream:
            content = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            answer = Response(self.status, headers, content, request)
            self._release()
            return answer
        pieces: Any = _Body(self)
        return Response(self.status, headers, pieces, request)

    def _late(self) -> None:
        self._failed(ReadTimeoutError("timed out"))

    async def piece(self) -> bytes:
        """All that has come of a body; nothing at its end. How long it is waited for is the caller's affair."""
        while not self._body:
            if self._ended:
                self._release()
                return b""
            if self.error is not None:
                error = self.error
                self._drop()
                raise error
            done = False
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
                done = True
            finally:
                self._waiter = None
                if not done:
                    self._drop()
        content = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self._size = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return content

    def _release(self) -> None:
        """The answer is over: the connection may serve another request."""
        self.request = None
        if not self.good or len(self._idle) >= self._owner.most:
            self._drop()
            return
        self.since = self._loop.time()
        self._idle.append(self)

    def _drop(self) -> None:
        self.good = False
        self.transport.abort()

    def leave(self) -> None:
        """Nobody wants the rest. It may be the collector who says so, on any thread."""
        if asyncio._get_running_loop() is self._loop:
            self._drop()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drop)

    # What the loop calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.request is None:
            self._drop()  # it speaks though nobody asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._failed(ReadError(f"what it answered is no HTTP: {error}"))
            self._drop()
            return
        if self._size > _AHEAD and not self._ended and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.good = False
        self._parser = None
        if self.request is None or self._ended:
            return
        if exc is None and self.status and not self._framed:
            self._ended = True  # a body without a length ends with its connection
            self._failed(None)
        else:
            self._failed(ReadError(str(exc) if exc else "connection closed before the answer was complete"))

    def _failed(self, error: Exception | None) -> None:
        self.error = error
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._ended:  # whatever it is, nobody asked for it
            raise ReadError("there is another answer behind this one")

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        if key in ("content-length", "transfer-encoding"):
            self._framed = True
        self._headers.append((key, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._headers = []  # it says that it will answer
            return
        self.status = status
        if not self._parser.should_keep_alive():
            self.good = False

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        if self.status:
            self._ended = True


class _Body:
    """The body of an answer as it arrives."""

    __slots__ = ("_connection",)

    def __init__(self, connection: _Connection) -> None:
        self._connection: _Connection | None = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        connection = self._connection
        if connection is None:
            raise StopAsyncIteration
        try:
            piece = await connection.piece()
        except ReadError as error:
            self._connection = None
            assert connection.request is not None
            raise APIConnectionError(request=connection.request) from error
        if not piece:
            self._connection = None
            raise StopAsyncIteration
        return piece

    def close(self) -> None:
        """Break the connection off, from any thread."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.leave()

    async def aclose(self) -> None:
        """`close`, for who awaits it."""
        self.close()

    def __del__(self) -> None:
        self.close()
