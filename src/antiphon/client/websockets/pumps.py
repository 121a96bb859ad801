"""The two pumps: a link's steps done with the `websockets` library, blocking and in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...kernel.errors import OpenAIError
from ...kernel.flow import arun, run
from ..encoding import to_json
from .address import MISSING, address, credential
from .core import Link, Message, Pin, Pump
from .inprocess import handler_of, peer

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection as AsyncClientConnection
    from websockets.asyncio.client import connect as async_connect
    from websockets.sync.client import ClientConnection

    from ...kernel.websocket import Dial
    from ..base import BaseClient

__all__ = ("AsyncWebSocket", "SyncWebSocket")


class SyncWebSocket(Pump):
    """A connection whose calls block."""

    def __init__(self, client: BaseClient, dial: Dial) -> None:
        self._client = client
        self._dial = dial
        self._link = Link(dial)
        self._closed = threading.Event()
        self._draining: threading.Thread | None = None
        self._socket: ClientConnection

    # What a connection is made of

    def text(self, event: Any) -> str:
        return to_json(event).decode()

    def keep(self, message: Message) -> None:
        self._link.keep(message)

    @property
    def connections(self) -> int:
        return self._link.connections

    def pin(self) -> Pin:
        return self._link.pin(self._socket.send)

    def open(self) -> None:
        self._closed.clear()
        self._draining = None
        run(self._link.open(), self)

    def put(self, message: Message) -> None:
        admitted = self._link.admit(message)
        if admitted:
            self._socket.send(message)
        elif admitted is False:
            run(self._link.flush(), self)

    def receive(self, timeout: float | None = None) -> bytes:
        data = self.read(timeout)
        self._link.arrived(data)
        return data

    def next(self) -> bytes | None:
        return run(self._link.next(), self)

    def close(self, code: int, reason: str) -> None:
        self._link.end()
        self._closed.set()
        self._socket.close(code, reason)

    def leave(self) -> None:
        # The other side's goodbye is behind all it has sent: somebody has to read that for closing not to time out.
        self._link.end()
        self._closed.set()
        socket = self._socket
        self._draining = threading.Thread(target=_drain, args=(socket,), daemon=True)
        self._draining.start()
        socket.close()
        self._draining.join()

    # What the link's steps do

    def connect(self, query: Mapping[str, Any], headers: Mapping[str, Any]) -> None:
        try:
            from websockets.sync.client import connect
        except ImportError as error:
            raise OpenAIError(MISSING) from error
        found = credential(self._client, self._dial, headers)
        auth = None if found is None else (found.header, run(found.value(), self._client._world))
        where = address(self._client, self._dial, query, headers, auth)
        handler = handler_of(self._client)
        if handler is not None:
            self._socket = peer(handler, where, is_async=False)
            return
        url, given, options = where
        made: Any = connect(url, user_agent_header=None, additional_headers=given, **options)
        # Entered by hand: from websockets 17.1 on, this is a context manager; `leave` and `shut` close it.
        self._socket = made.__enter__() if hasattr(made, "__enter__") else made

    def write(self, message: Message) -> None:
        self._socket.send(message)

    def read(self, timeout: float | None = None) -> bytes:
        try:
            return self._socket.recv(timeout, decode=False)
        except Exception:
            # Another thread is leaving and reads what is left; it is waited for, to be told of the end.
            if self._draining is None:
                raise
            self._draining.join()
            return self._socket.recv(decode=False)

    def wait(self, seconds: float) -> bool:
        return self._closed.wait(seconds)

    def shut(self) -> None:
        with suppress(Exception):
            self._socket.close()


class AsyncWebSocket(Pump):
    """A connection whose calls are coroutines."""

    def __init__(self, client: BaseClient, dial: Dial) -> None:
        self._client = client
        self._dial = dial
        self._link = Link(dial)
        self._closed = asyncio.Event()
        self._draining: asyncio.Future[None] | None = None
        self._socket: AsyncClientConnection

    # What a connection is made of

    def text(self, event: Any) -> str:
        return to_json(event).decode()

    def keep(self, message: Message) -> None:
        self._link.keep(message)

    @property
    def connections(self) -> int:
        return self._link.connections

    def pin(self) -> Pin:
        return self._link.pin(self._socket.send)

    async def open(self) -> None:
        self._closed.clear()
        self._draining = None
        await arun(self._link.open(), self)

    async def put(self, message: Message) -> None:
        admitted = self._link.admit(message)
        if admitted:
            await self._socket.send(message)
        elif admitted is False:
            await arun(self._link.flush(), self)

    async def receive(self) -> bytes:
        data = await self.read()
        self._link.arrived(data)
        return data

    async def next(self) -> bytes | None:
        return await arun(self._link.next(), self)

    async def close(self, code: int, reason: str) -> None:
        self._link.end()
        self._closed.set()
        await self._socket.close(code, reason)

    async def leave(self) -> None:
        # The other side's goodbye is behind all it has sent: somebody has to read that for closing not to time out.
        self._link.end()
        self._closed.set()
        socket = self._socket
        self._draining = asyncio.ensure_future(_adrain(socket))
        await socket.close()
        await self._draining

    # What the link's steps do

    async def connect(self, query: Mapping[str, Any], headers: Mapping[str, Any]) -> None:
        connect = _connect()
        found = credential(self._client, self._dial, headers)
        auth = None if found is None else (found.header, await arun(found.value(), self._client._world))
        where = address(self._client, self._dial, query, headers, auth)
        handler = handler_of(self._client)
        if handler is not None:
            self._socket = peer(handler, where, is_async=True)
            return
        url, given, options = where
        self._socket = await connect(url, user_agent_header=None, additional_headers=given, **options)

    async def write(self, message: Message) -> None:
        await self._socket.send(message)

    async def read(self) -> bytes:
        try:
            return await self._socket.recv(decode=False)
        except Exception:
            # Another task is leaving and reads what is left; it is waited for, to be told of the end.
            if self._draining is None:
                raise
            await asyncio.shield(self._draining)
            return await self._socket.recv(decode=False)

    async def wait(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)
        return self._closed.is_set()

    async def shut(self) -> None:
        with suppress(Exception):
            await self._socket.close()


def _drain(socket: ClientConnection) -> None:
    """Read until there is no more, or somebody else reads."""
    with suppress(Exception):
        while True:
            socket.recv(decode=False)


async def _adrain(socket: AsyncClientConnection) -> None:
    with suppress(Exception):
        while True:
            await socket.recv(decode=False)


def _connect() -> type[async_connect]:
    """The library's `connect`, which follows redirects: here only to the host that the key is for."""
    global _same_origin
    if _same_origin is None:
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import SecurityError
            from websockets.uri import parse_uri
        except ImportError as error:
            raise OpenAIError(MISSING) from error

        class SameOrigin(connect):
            def process_redirect(self, exc: Exception) -> Exception | str:
                target = super().process_redirect(exc)
                if isinstance(target, str):
                    here, there = parse_uri(self.uri), parse_uri(target)
                    if (here.secure, here.host, here.port) != (there.secure, there.host, there.port):
                        return SecurityError(f"the server redirects to {there.host}, which the key is not for")
                return target

        _same_origin = SameOrigin
    return _same_origin


_same_origin: type[async_connect] | None = None
