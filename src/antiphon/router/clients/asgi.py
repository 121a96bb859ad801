"""An ASGI application called in this process: its responses as they come, and its websockets.

The application runs in the caller's event loop, or for blocking callers in one that is kept in the background. Nobody
reads ahead of a slow caller, and leaving tells the application so. Its lifespan is not begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ...kernel.errors import APIConnectionError, APITimeoutError, from_response
from ...kernel.http import Headers, Request, Response
from ...kernel.portal import wait_for

__all__ = ("AppSocket", "AppTransport", "BlockingAppSocket")

_ENDING: Final = 1.0
"""Seconds that an application has to end after its caller has left."""


class _Call:
    """One call of an application."""

    def __init__(self, app: Any, scope: dict[str, Any]) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(1)
        self.gone = False
        self.task = asyncio.get_running_loop().create_task(self._run(app, scope))

    async def _run(self, app: Any, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self.heard.get, self._send)
        finally:
            if not self.gone:
                await self.said.put(None)

    async def _send(self, message: dict[str, Any]) -> None:
        if not self.gone:
            await self.said.put(message)

    async def next(self, seconds: float | None) -> dict[str, Any] | None:
        """The next message; `None` where the application has ended. Raises `TimeoutError`, and what it has raised."""
        async with asyncio.timeout(seconds):
            message = await self.said.get()
        if message is None and not self.gone:
            self.gone = True
            await self.task
        return message

    async def leave(self, message: dict[str, Any]) -> None:
        """Tell the application that its caller has left, and wait for it to end."""
        if not self.gone:
            self.gone = True
            self.heard.put_nowait(message)
        if not await self._ended():
            self.task.cancel()
            await self._ended()
        if self.task.done() and not self.task.cancelled():
            self.task.exception()  # nobody is there to be told
        if self.said.empty():
            self.said.put_nowait(None)  # for whoever waits for a message

    async def _ended(self) -> bool:
        """Whether the application ends in time, with nobody who takes what it still says."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _ENDING
        while not self.task.done() and loop.time() < until:
            taking = asyncio.ensure_future(self.said.get())
            await asyncio.wait((self.task, taking), timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            taking.cancel()
        return self.task.done()


def _scope(kind: str, url: str, headers: Sequence[tuple[str, str]], **rest: Any) -> dict[str, Any]:
    parts = urlsplit(url)
    pairs = [(b"host", parts.netloc.encode()), *((name.encode(), value.encode("latin-1")) for name, value in headers)]
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": parts.scheme,
        "path": unquote(parts.path or "/"),
        "raw_path": (parts.path or "/").encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": pairs,
        "client": ("127.0.0.1", 1),
        "server": (parts.hostname or "localhost", parts.port or (443 if parts.scheme in ("https", "wss") else 80)),
        "state": {},
        **rest,
    }


# HTTP


class AppTransport:
    """Sends requests to an application, blocking or in an event loop."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        """The response, its body unread."""
        response = wait_for(self._answered(request, timeout))
        return response._replace(body=_Pieces(response.body))  # type: ignore[arg-type]

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        """The response, its body unread."""
        return await self._answered(request, timeout)

    async def _answered(self, request: Request, timeout: Any) -> Response:
        patience: float | None = getattr(timeout, "read", timeout)
        body = request.body if isinstance(request.body, bytes) else await request.body.aread()
        pairs = [*request.headers.pairs, ("content-length", str(len(body)))]
        call = _Call(self.app, _scope("http", request.url, pairs, method=request.method))
        call.heard.put_nowait({"type": "http.request", "body": body, "more_body": False})
        pieces = _AsyncPieces(call, request, patience)
        try:
            start = await pieces.message()
        except BaseException:
            await pieces.aclose()
            raise
        if start is None:
            raise APIConnectionError(message="Connection error: the application gave no response.", request=request)
        headers = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]])
        return Response(start["status"], headers, pieces, request)  # type: ignore[arg-type]

    def close(self) -> None:
        """Nothing is held open."""

    async def aclose(self) -> None:
        """Nothing is held open."""


class _AsyncPieces:
    """The body of a response as the application sends it."""

    def __init__(self, call: _Call, request: Request, patience: float | None) -> None:
        self._call, self._request, self._patience = call, request, patience
        self._ended = False

    async def message(self) -> dict[str, Any] | None:
        try:
            return await self._call.next(self._patience)
        except TimeoutError:
            raise APITimeoutError(self._request) from None

    def __aiter__(self) -> _AsyncPieces:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            message = await self.message()
            if message is None:
                raise APIConnectionError(message="Connection error: the answer was broken off.", request=self._request)
            self._ended = not message.get("more_body")
            if message.get("body"):
                piece: bytes = message["body"]
                return piece
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._ended = True
        await self._call.leave({"type": "http.disconnect"})


class _Pieces:
    """`_AsyncPieces` for blocking callers."""

    def __init__(self, pieces: Any) -> None:
        self._pieces: _AsyncPieces = pieces

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        piece = wait_for(anext(self._pieces, None))
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        wait_for(self._pieces.aclose())


# Websockets


class AppSocket:
    """A websocket of an application, with what is used of a connection of the `websockets` library."""

    def __init__(self, call: _Call, subprotocol: str | None) -> None:
        self._call = call
        self.subprotocol = subprotocol
        self._end: Exception | None = None

    @classmethod
    async def made(
        cls, app: Any, url: str, headers: Sequence[tuple[str, str]], subprotocols: Sequence[str], patience: float | None
    ) -> AppSocket:
        """The connection. Raises `APIStatusError` where the application refuses it."""
        call = _Call(app, _scope("websocket", url, headers, subprotocols=list(subprotocols)))
        call.heard.put_nowait({"type": "websocket.connect"})
        try:
            message = await call.next(patience)
        except TimeoutError:
            await call.leave({"type": "websocket.disconnect", "code": 1006})
            raise APITimeoutError from None
        if message is not None and message["type"] == "websocket.accept":
            return cls(call, message.get("subprotocol"))
        await call.leave({"type": "websocket.disconnect", "code": 1006})
        raise from_response(Response(403))

    async def send(self, message: str | bytes) -> None:
        if self._end is not None:
            raise self._end
        kind = "text" if isinstance(message, str) else "bytes"
        self._call.heard.put_nowait({"type": "websocket.receive", kind: message})

    async def recv(self, timeout: float | None = None) -> str | bytes:
        if self._end is not None:
            raise self._end
        message = await self._call.next(timeout)
        if self._end is not None:
            raise self._end
        if message is None or message["type"] == "websocket.close":
            code = 1006 if message is None else message.get("code", 1000)
            self._end = _closed(code, "" if message is None else message.get("reason") or "")
            await self._call.leave({"type": "websocket.disconnect", "code": code})
            raise self._end
        data: str | bytes = message["text"] if message.get("text") is not None else message["bytes"]
        return data

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self._end is None:
            self._end = _closed(code, reason)
        with suppress(Exception):
            await self._call.leave({"type": "websocket.disconnect", "code": code, "reason": reason})


class BlockingAppSocket:
    """`AppSocket` for blocking callers."""

    def __init__(self, socket: AppSocket) -> None:
        self._socket = socket
        self.subprotocol = socket.subprotocol

    def send(self, message: str | bytes) -> None:
        wait_for(self._socket.send(message))

    def recv(self, timeout: float | None = None) -> str | bytes:
        return wait_for(self._socket.recv(timeout))

    def close(self, code: int = 1000, reason: str = "") -> None:
        wait_for(self._socket.close(code, reason))


def _closed(code: int, reason: str) -> Exception:
    from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
    from websockets.frames import Close

    if code == 1006:
        return ConnectionClosedError(None, None)
    kind = ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError
    return kind(Close(code, reason), None)
