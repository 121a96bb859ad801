"""aiohttp: a connector is given a connection whose other end is the fake."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...kernel.severed import Severed
from ..wire import CONTINUE, LAST, Incoming, chunk, head

if TYPE_CHECKING:
    from ...kernel.http import Request
    from ...transports.handler import HandlerTransport
    from ..interception import Interception

__all__ = ("patches",)


def patches(module: ModuleType, interception: Interception) -> Iterator[tuple[Any, str, Any]]:
    """What makes a connection over TCP. Sockets of Unix and servers of tests are left alone."""
    owner: Any = module.TCPConnector
    create = owner._create_connection

    async def created(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        url = request.url
        there = interception.route(url.host or "", f"{request.method} {url}", "aiohttp")
        if there is None:
            return await create(self, request, *args, **options)
        protocol = self._factory()
        protocol.connection_made(_Connection(there, protocol, str(url.origin()), request))
        return protocol

    yield owner, "_create_connection", created


class _Connection(asyncio.Transport):
    """A connection that serves one request."""

    def __init__(self, there: HandlerTransport, protocol: Any, origin: str, asked: Any) -> None:
        super().__init__({"peername": ("127.0.0.1", 0), "sockname": ("127.0.0.1", 0)})
        self._there = there
        self._asked = asked
        self._protocol: Any = protocol
        self._incoming = Incoming(origin)
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._reading = asyncio.Event()
        self._reading.set()

    def write(self, data: Any) -> None:
        if self._closed or self._task is not None:
            return
        request = self._incoming.feed(bytes(data))
        if request is not None:
            self._task = self._loop.create_task(self._answer(request))
        elif self._incoming.waits:
            self._incoming.waits = False
            self._loop.call_soon(self._protocol.data_received, CONTINUE)

    async def _answer(self, request: Request) -> None:
        failure: Exception | None = None
        try:
            response = await self._there.asend(request, None, True)
            begin, chunked = head(response)
            body: Any = response.body
            if not chunked:
                whole = body if isinstance(body, bytes) and request.method != "HEAD" else b""
                self._protocol.data_received(begin + whole)
            else:
                self._protocol.data_received(begin)
                try:
                    async for piece in body:
                        if piece:
                            self._protocol.data_received(chunk(piece))
                        await asyncio.sleep(0)  # whoever reads takes this piece before the next is made
                        await self._reading.wait()
                    self._protocol.data_received(LAST)
                finally:
                    with suppress(RuntimeError):
                        await body.aclose()
        except Exception as error:
            failure = self._failed(error)
        self._lose(failure)

    def _failed(self, error: Exception) -> Exception | None:
        """What the library is told of a failure, as a socket would; `None`: the connection was closed."""
        severed = error.__cause__
        if not isinstance(severed, Severed):
            failure: Exception = ConnectionResetError(str(error))
            failure.__cause__ = error
            return failure
        if severed.how == "closed":
            return None
        failure = severed.as_os_error()
        if severed.how == "refused":
            from aiohttp import ClientConnectorError

            self._protocol.set_exception(ClientConnectorError(self._asked.connection_key, failure), failure)  # type: ignore[arg-type]
        return failure

    def _lose(self, failure: Exception | None) -> None:
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._protocol.connection_lost, failure)

    def close(self) -> None:
        task = self._task
        if task is not None and not task.done() and task is not asyncio.current_task(self._loop):
            task.cancel()
        self._lose(None)

    abort = close

    def is_closing(self) -> bool:
        return self._closed

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    def is_reading(self) -> bool:
        return self._reading.is_set()

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0
