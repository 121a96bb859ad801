"""A handler as an ASGI 3 application, to be served by any ASGI server or mounted in somebody else's application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ..kernel.dialogue import converse
from ..kernel.http import Headers, Request, Response
from ..kernel.severed import Severed
from ..kernel.spool import Spooled, aspooled, size_of
from .pump import Application, AskingWatch, Gone, Stream, Watch, discard, failure, sendable, subprotocol_of
from .rsgi import encoded
from .sever import sever

__all__ = ("ASGI",)

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ASGI(Application):
    """The ASGI application of a handler.

    Mounted below a path, the handler sees what comes after it, and the origin of its requests, from which links
    are made, includes it. A request's body above 1 MiB comes to it in a temporary file, as a `Spooled`.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = {"http": self._http, "lifespan": self._lifespan, "websocket": self._websocket}.get(scope["type"])
        if answer is None:
            raise ValueError(f"this application does not serve {scope['type']!r}")
        await answer(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        request = _request({"method": "GET", **scope}, b"")
        opened = self.opened(request)
        if isinstance(opened, Response):
            await self._refuse(opened, scope, send)
            return
        agreed = subprotocol_of(request.headers)
        await send(
            {"type": "websocket.accept"} if agreed is None else {"type": "websocket.accept", "subprotocol": agreed}
        )
        left, code = False, 1012

        async def hear() -> bytes | None:
            nonlocal left
            message = await receive()
            if message["type"] == "websocket.disconnect":
                left = True
                return None
            text = message.get("text")
            return text.encode() if text is not None else message.get("bytes") or b""

        async def say(message: bytes) -> None:
            try:
                await send({"type": "websocket.send", "text": message.decode()})
            except OSError as error:
                raise Gone from error

        try:
            await converse(opened, self.world, hear, say)
            code = 1000
        except Gone:
            left = True
        except Severed as severed:
            left = True
            await _sever(scope, severed, settled=False)
        finally:
            if not left:
                await send({"type": "websocket.close", "code": code})

    async def _refuse(self, response: Response, scope: Scope, send: Send) -> None:
        """Say why there is no websocket, to servers that can say more than that there is none."""
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = [(name.encode(), value.encode()) for name, value in sendable(response.headers.pairs)]
        await send({"type": "websocket.http.response.start", "status": response.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": response.content})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self.handler
        body: bytes | Spooled = b""
        if _length(scope) > self.max_body:
            handler = self.refuse
        else:
            try:
                body = await aspooled(_pieces(receive), self.max_body)
            except Gone:
                return
            if size_of(body) > self.max_body:
                handler = self.refuse
        try:
            answer = handler(_request(scope, body))
        except Severed as severed:
            await _sever(scope, severed, settled=True)
            return
        except Exception as error:
            answer = failure(error)

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        watch = AskingWatch(gone)
        try:
            response = answer if isinstance(answer, Response) else await self.finish(answer, watch)
            await self._answer(response, scope["method"], send, watch)
        except asyncio.CancelledError:
            if not watch.settle():
                raise
        except Gone:
            pass
        except Severed as severed:
            await _sever(scope, severed, settled=False)
        finally:
            watch.stop()

    async def _answer(self, response: Response, method: str, send: Send, watch: Watch) -> None:
        body = response.body
        headers = [(name.encode(), value.encode()) for name, value in sendable(response.headers.pairs)]
        if isinstance(body, bytes) and "content-length" not in response.headers and response.status not in (204, 304):
            headers.append((b"content-length", b"%d" % len(body)))

        async def deliver(message: MutableMapping[str, Any]) -> None:
            try:
                await send(message)
            except OSError as error:
                raise Gone from error

        async def write(data: bytes) -> None:
            await deliver({"type": "http.response.body", "body": data, "more_body": True})

        await deliver({"type": "http.response.start", "status": response.status, "headers": headers})
        last = b""
        if method == "HEAD":
            discard(body)
        elif isinstance(body, bytes):
            last = body
        else:
            await self.stream(response, Stream(body), write, watch)
        await deliver({"type": "http.response.body", "body": last, "more_body": False})


async def _sever(scope: Scope, severed: Severed, *, settled: bool) -> None:
    """End a connection, where it is one of this process. Raises `OSError` where it is not: servers then close it."""
    host, port = scope.get("client") or ("", 0)
    if not await sever(f"{host}:{port}", severed, settled=settled):
        raise severed.as_os_error()


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body. Raises `Gone` when the client leaves."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0


def _request(scope: Scope, body: bytes | Spooled) -> Request:
    headers = Headers.of([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    mount = encoded(scope.get("root_path", "").rstrip("/"))
    raw: bytes | None = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw is not None else encoded(scope["path"])
    if mount and (path == mount or path.startswith(mount + "/")):
        path = path[len(mount) :] or "/"
    host, port = scope.get("server") or ("localhost", None)
    authority = headers.get("host") or (host if port is None else f"{host}:{port}")
    origin = f"{scope.get('scheme', 'http')}://{authority}{mount}"
    return Request(scope["method"], path, scope.get("query_string", b"").decode("latin-1"), headers, body, origin)
