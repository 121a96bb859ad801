"""A real websocket server on a port of its own, which does to each connection in turn what the test scripts."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[["Peer"], None]


@dataclass
class Handshake:
    """How a connection was asked for."""

    target: str
    headers: list[tuple[str, str]]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Peer:
    """The server's end of one connection."""

    socket: ServerConnection
    received: list[str | bytes] = field(default_factory=list)

    def send(self, **event: Any) -> None:
        self.socket.send(json.dumps(event))

    def receive(self) -> Any:
        message = self.socket.recv(timeout=5)
        self.received.append(message)
        return json.loads(message)

    def listen(self) -> None:
        """Read until the client has closed the connection."""
        for message in self.socket:
            self.received.append(message)

    def break_off(self) -> None:
        """End the connection without a word."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)


class Scripted:
    """Runs the first script for the first connection, and so on; the last one for all that follow."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.handshakes: list[Handshake] = []
        self.peers: list[Peer] = []
        self.refuse: list[int] = []
        """Statuses to refuse the next connections with; 0 lets one through."""
        self.problems: list[BaseException] = []
        self._accepted = self._ended = 0

    def __enter__(self) -> Self:
        self._server: Server = serve(self._serve, "127.0.0.1", 0, process_request=self._asked, close_timeout=0.5)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port: int = self._server.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    def __exit__(self, *exc: object) -> None:
        self._settle(2)
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.socket.socket.shutdown(socket.SHUT_RDWR)
        self._settle(2)
        self._server.shutdown()
        self._thread.join(5)
        assert self.problems == []

    def _settle(self, seconds: float) -> None:
        """Wait until every script has come to its end."""
        deadline = time.monotonic() + seconds
        while self._ended < self._accepted and time.monotonic() < deadline:
            time.sleep(0.002)

    def _asked(self, connection: ServerConnection, request: Request) -> Response | None:
        headers = [(name.lower(), value) for name, value in request.headers.raw_items()]
        self.handshakes.append(Handshake(request.path, headers))
        status = self.refuse.pop(0) if self.refuse else 0
        if status:
            return connection.respond(status, "no")
        self._accepted += 1
        return None

    def _serve(self, connection: ServerConnection) -> None:
        peer = Peer(connection)
        self.peers.append(peer)
        script = self.scripts[min(len(self.peers), len(self.scripts)) - 1]
        try:
            script(peer)
        except ConnectionClosed:
            pass
        except BaseException as error:
            self.problems.append(error)
        finally:
            self._ended += 1


# One scenario for both colours


class Blocking:
    """An asynchronous object as its synchronous twin would be: coroutines are waited for, on a loop in a thread."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.target = target
        self.loop = loop

    def _wait(self, awaitable: Any) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(15)

    def _wrapped(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._wrapped(self._wait(value))
        if value is self.target:
            return self
        if type(value).__module__.startswith(("antiphon.api", "antiphon.client", "openai.resources")):
            return Blocking(value, self.loop)
        return value

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.target, name)
        if not inspect.ismethod(value) and not inspect.isfunction(value):
            return self._wrapped(value)

        def call(*args: Any, **kwargs: Any) -> Any:
            async def on_the_loop() -> Any:
                answer = value(*args, **kwargs)
                return await answer if inspect.isawaitable(answer) else answer

            return self._wrapped(asyncio.run_coroutine_threadsafe(on_the_loop(), self.loop).result(15))

        return call

    def __iter__(self) -> Iterator[Any]:
        events = self.target.__aiter__()
        while True:
            try:
                yield self._wait(anext(events))
            except StopAsyncIteration:
                return

    def __enter__(self) -> Any:
        return self._wrapped(self._wait(self.target.__aenter__()))

    def __exit__(self, *exc: object) -> Any:
        return self._wait(self.target.__aexit__(*exc))


@contextlib.contextmanager
def blocking() -> Iterator[Callable[[Any], Blocking]]:
    """Makes twins of asynchronous objects, on one loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda target: Blocking(target, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
