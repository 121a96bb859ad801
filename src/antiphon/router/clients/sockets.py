"""Clients of websocket routes, blocking and in an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit

from ...client.websockets.core import Message, Pump
from ...kernel.flow import arun, atell, run, tell
from ..events import Event
from .exchange import Patience
from .readers import KEYS, find
from .talk import DataMode, Talk

__all__ = ("AsyncWebSocketClient", "AsyncWebSocketConnection", "WebSocketClient", "WebSocketConnection")

_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class _Client:
    """What clients of either colour have."""

    def __init__(
        self,
        uri: str = "ws://localhost:8000/ws",
        mode: DataMode | str = DataMode.JSON,
        *,
        app: Any = None,
        format: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = 600.0,
        max_retries: int = 2,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        **options: Any,
    ) -> None:
        """`mode` says what messages are: the JSON of dicts, text, or bytes.

        `app` is an ASGI application, called in this process. `format` is the wire format asked for, as a subprotocol.
        `timeout` is how many seconds to wait for the next frame; `max_retries`, `initial_delay` and `max_delay` say how
        often and how soon a lost connection is made again. `options` are those of `connect` of the `websockets`
        library. Raises `ValueError` for what cannot be.
        """
        scheme, _, rest = str(uri).partition("://")
        if scheme.lower() not in _SCHEMES or not urlsplit(f"ws://{rest}").hostname:
            raise ValueError(f"an address such as ws://localhost:8000/ws was expected, not {uri!r}")
        if format is not None:
            find(format)
        self.uri = f"{_SCHEMES[scheme.lower()]}://{rest}"
        self.mode = DataMode(mode)
        self.format = format
        self.headers = dict(headers or {})
        self.timeout = timeout
        self._app = app
        self._patience = Patience.checked(max_retries, initial_delay, max_delay)
        # As for the client's other websockets: messages of any size are not unpacked from a few bytes unless asked.
        self._options = {"max_size": None, "compression": None, **options}
        self._subprotocols: Sequence[str] = () if format is None else (format,)

    def _talk(self) -> Talk:
        return Talk(self.mode, self.format, self._patience)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


class WebSocketClient(_Client):
    """Talks with a websocket route, question after question on one connection.

    with WebSocketClient("ws://localhost:8000/ws").connect() as session:
        session.send({"messages": messages})
        for chunk in session.stream_response():
            print(chunk["data"], end="")
    """

    def connect(self) -> WebSocketConnection:
        """A session, to be used as a context manager, which connects and in the end closes.

        Raises `APIStatusError` where the route refuses it, `APIConnectionError` where there is no server.
        """
        return WebSocketConnection(self)


class AsyncWebSocketClient(_Client):
    """`WebSocketClient` in an event loop: `async with client.connect() as session`."""

    def connect(self) -> AsyncWebSocketConnection:
        """A session, to be used as a context manager, which connects and in the end closes.

        Raises `APIStatusError` where the route refuses it, `APIConnectionError` where there is no server.
        """
        return AsyncWebSocketConnection(self)


class WebSocketConnection:
    """A session whose calls block. `cancel` and `send` may be called from other threads while one receives."""

    def __init__(self, client: _Client) -> None:
        self._talk = client._talk()
        self._pump = _Pump(client)

    def send(self, message: Any) -> None:
        """Ask. Raises `WebSocketConnectionClosedError` where the connection was lost in the midst of an answer."""
        run(self._talk.send(message), self._pump)

    def receive(self) -> Any:
        """The next frame, whatever it is. Raises `APITimeoutError`, and `WebSocketConnectionClosedError` at the end."""
        return run(self._talk.receive(), self._pump)

    def stream_response(self) -> Generator[Any, None, None]:
        """The frames of an answer, until its end. Leaving early cancels it; the session goes on."""
        return self._told(self._talk.frames())

    def stream_events(self) -> Generator[Event, None, None]:
        """What an answer says, in the same events for every wire format: `Start` first, `Finish` or `Error` last."""
        return self._told(self._talk.events())

    def _told(self, flow: Generator[Any, Any, None]) -> Generator[Any, None, None]:
        try:
            yield from tell(flow, self._pump)
        except GeneratorExit:
            run(self._talk.leave(), self._pump)
            raise
        except KeyboardInterrupt:
            self._talk.abandon()
            raise

    def cancel(self) -> None:
        """Stop the answer under way, upstream too. Its end is still received."""
        run(self._talk.cancel(), self._pump)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; the server stops."""
        self._talk.end()
        self._pump.close(code, reason)

    def __enter__(self) -> Self:
        run(self._talk.open(), self._pump)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncWebSocketConnection:
    """A session whose calls are coroutines. `cancel` and `send` may be called while another task receives."""

    def __init__(self, client: _Client) -> None:
        self._talk = client._talk()
        self._pump = _AsyncPump(client)

    async def send(self, message: Any) -> None:
        """Ask. Raises `WebSocketConnectionClosedError` where the connection was lost in the midst of an answer."""
        await arun(self._talk.send(message), self._pump)

    async def receive(self) -> Any:
        """The next frame, whatever it is. Raises `APITimeoutError`, and `WebSocketConnectionClosedError` at the end."""
        return await arun(self._talk.receive(), self._pump)

    def stream_response(self) -> AsyncGenerator[Any, None]:
        """The frames of an answer, until its end. Leaving early cancels it; the session goes on."""
        return self._told(self._talk.frames())

    def stream_events(self) -> AsyncGenerator[Event, None]:
        """What an answer says, in the same events for every wire format: `Start` first, `Finish` or `Error` last."""
        return self._told(self._talk.events())

    async def _told(self, flow: Generator[Any, Any, None]) -> AsyncGenerator[Any, None]:
        telling = atell(flow, self._pump)
        try:
            async for each in telling:
                yield each
        except GeneratorExit:
            await telling.aclose()
            await arun(self._talk.leave(), self._pump)
            raise
        except asyncio.CancelledError:
            self._talk.abandon()
            raise

    async def cancel(self) -> None:
        """Stop the answer under way, upstream too. Its end is still received."""
        await arun(self._talk.cancel(), self._pump)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; the server stops."""
        self._talk.end()
        await self._pump.close(code, reason)

    async def __aenter__(self) -> Self:
        await arun(self._talk.open(), self._pump)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


# What the steps of a talk do


class _Pump(Pump):
    def __init__(self, client: _Client) -> None:
        self._client = client
        self._closed = threading.Event()
        self._socket: Any = None

    def connect(self, query: Any = None, headers: Any = None) -> str | None:
        client = self._client
        if client._app is not None:
            from ...kernel.portal import wait_for
            from .asgi import AppSocket, BlockingAppSocket

            pairs = list(client.headers.items())
            made = AppSocket.made(client._app, client.uri, pairs, client._subprotocols, client.timeout)
            self._socket = BlockingAppSocket(wait_for(made))
        else:
            from websockets.sync.client import connect

            opening: Any = connect(client.uri, **_options(client))
            # Entered by hand: from websockets 17.1 on, this is a context manager.
            self._socket = opening.__enter__() if hasattr(opening, "__enter__") else opening
        return _agreed(self._socket)

    def write(self, message: Message) -> None:
        self._socket.send(message)

    def read(self) -> Message:
        data: Message = self._socket.recv(self._client.timeout)
        return data

    def wait(self, seconds: float) -> bool:
        return self._closed.wait(seconds)

    def shut(self) -> None:
        with suppress(Exception):
            self._socket.close()

    def close(self, code: int, reason: str) -> None:
        self._closed.set()
        socket = self._socket
        if socket is None:
            return
        # The other side's goodbye is behind all it has sent: somebody has to read that for closing not to time out.
        draining = threading.Thread(target=_drain, args=(socket,), daemon=True)
        draining.start()
        socket.close(code, reason)
        draining.join()


class _AsyncPump(Pump):
    def __init__(self, client: _Client) -> None:
        self._client = client
        self._closed = asyncio.Event()
        self._socket: Any = None

    async def connect(self, query: Any = None, headers: Any = None) -> str | None:
        client = self._client
        if client._app is not None:
            from .asgi import AppSocket

            pairs = list(client.headers.items())
            self._socket = await AppSocket.made(client._app, client.uri, pairs, client._subprotocols, client.timeout)
        else:
            from websockets.asyncio.client import connect

            self._socket = await connect(client.uri, **_options(client))
        return _agreed(self._socket)

    async def write(self, message: Message) -> None:
        await self._socket.send(message)

    async def read(self) -> Message:
        async with asyncio.timeout(self._client.timeout):
            data: Message = await self._socket.recv()
        return data

    async def wait(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)
        return self._closed.is_set()

    async def shut(self) -> None:
        with suppress(Exception):
            await self._socket.close()

    async def close(self, code: int, reason: str) -> None:
        self._closed.set()
        socket = self._socket
        if socket is None:
            return
        draining = asyncio.ensure_future(_adrain(socket))
        await socket.close(code, reason)
        await draining


def _options(client: _Client) -> dict[str, Any]:
    given: dict[str, Any] = {"additional_headers": client.headers, **client._options}
    if client._subprotocols:
        given.setdefault("subprotocols", list(client._subprotocols))
    return given


def _agreed(socket: Any) -> str | None:
    """The wire format that the server has confirmed."""
    return socket.subprotocol if socket.subprotocol in KEYS else None


def _drain(socket: Any) -> None:
    """Read until there is no more, or somebody else reads."""
    with suppress(Exception):
        while True:
            socket.recv()


async def _adrain(socket: Any) -> None:
    with suppress(Exception):
        while True:
            await socket.recv()
