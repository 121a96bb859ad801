"""Sending with the standard library alone: what is left where no runtime of pyreqwest can be begun any more.

That is a process whose parent and grandparent both sent requests before they forked. HTTP/1.1 with connections that
are kept, streams, uploads, timeouts, TLS, certificates and proxies over HTTP; no SOCKS, no HTTP/2, no compression, and
no limit to the number of connections. Async calls wait in threads.
"""

from __future__ import annotations

import os
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..kernel.errors import APIConnectionError, APIError, APITimeoutError
from ..kernel.http import Headers, Request, Response, Upload
from ..kernel.loops import in_thread
from ..kernel.options import Timeout

if TYPE_CHECKING:
    from .network import NetworkTransport

__all__ = ("StandardTransport",)

_PIECE = 64 * 1024
_HOP = frozenset(("transfer-encoding", "content-length"))
_BODILESS = frozenset(("GET", "HEAD", "DELETE"))


class StandardTransport:
    """Sends what a `NetworkTransport` would have sent, with its settings. Follows no redirects."""

    def __init__(self, like: NetworkTransport) -> None:
        self.settings = like
        self._lock = Lock()
        self._idle: dict[tuple[str, str, str | None], list[tuple[HTTPConnection, float]]] = {}
        self._context: ssl.SSLContext | None = None

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request. Raises `APIConnectionError` or `APITimeoutError` where no response comes."""
        return self._sent(request, timeout, stream, _Open())

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        """`send` on a worker thread."""
        if isinstance(request.body, Upload) and request.body.is_async:
            request = request._replace(body=await request.body.aread())
        held = _Open()
        try:
            response = await in_thread(self._sent, request, timeout, stream, held)
        except BaseException:
            held.break_off()
            raise
        if not stream:
            return response
        body: Any = _AsyncPieces(response.body)  # type: ignore[arg-type]
        return response._replace(body=body)

    def close(self) -> None:
        """Close the connections that wait."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection, _ in connections:
                connection.close()

    async def aclose(self) -> None:
        self.close()

    def _sent(self, request: Request, timeout: Any, stream: bool, held: _Open) -> Response:
        wanted = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        parts = urlsplit(request.origin)
        key = parts.scheme, parts.netloc, self._proxy(parts.scheme, parts.hostname or "")
        try:
            while True:
                connection, is_used = self._connection(key, wanted)
                held.hold(connection)
                try:
                    answer = _asked(connection, request, key)
                except (ConnectionError, HTTPException):
                    connection.close()
                    # A connection that was kept may have been closed by the server just now.
                    if is_used and (isinstance(request.body, bytes) or request.body.replayable):
                        continue
                    raise
                break
            headers = Headers(answer.getheaders())
            pieces = _Pieces(self, key, connection, answer, request)
            body: Any = pieces if stream else b"".join(pieces)
            return Response(answer.status, headers, body, request)
        except (OSError, HTTPException) as error:
            held.break_off()
            raise _mapped(error, request) from error

    def _connection(self, key: tuple[str, str, str | None], timeout: Timeout) -> tuple[HTTPConnection, bool]:
        """A connection that was kept, or a new one; and whether it was kept."""
        expiry = self.settings.keepalive_expiry
        while True:
            with self._lock:
                kept = self._idle.get(key)
                found = kept.pop() if kept else None
            if found is None:
                break
            connection, since = found
            if connection.sock is not None and (expiry is None or time.monotonic() - since < expiry):
                connection.sock.settimeout(timeout.read)
                return connection, True
            connection.close()
        made = self._made(key, timeout.connect)
        made.connect()
        if made.sock is not None:
            made.sock.settimeout(timeout.read)
        return made, False

    def _made(self, key: tuple[str, str, str | None], timeout: float | None) -> HTTPConnection:
        scheme, netloc, proxy = key
        parts = urlsplit(f"//{netloc}")
        host, port = parts.hostname or "", parts.port or (443 if scheme == "https" else 80)
        if proxy is None:
            if scheme == "https":
                return HTTPSConnection(host, port, timeout=timeout, context=self._tls())
            return HTTPConnection(host, port, timeout=timeout)
        via = urlsplit(proxy)
        if via.scheme not in ("http", "https"):
            raise OSError(f"a proxy of {via.scheme!r} cannot be used in a process that was forked twice")
        at = via.hostname or "", via.port or (443 if via.scheme == "https" else 80)
        if scheme == "https":
            if via.scheme == "https":
                raise OSError("a proxy over TLS cannot be used for https in a process that was forked twice")
            tunnel = HTTPSConnection(*at, timeout=timeout, context=self._tls())
            tunnel.set_tunnel(host, port, headers=_authorized(proxy))
            return tunnel
        if via.scheme == "https":
            return HTTPSConnection(*at, timeout=timeout, context=self._tls())
        return HTTPConnection(*at, timeout=timeout)

    def _proxy(self, scheme: str, host: str) -> str | None:
        settings = self.settings
        if settings.proxy is not None or not settings.trust_env:
            return settings.proxy
        from urllib.request import getproxies, proxy_bypass

        proxies = getproxies()
        if not proxies or proxy_bypass(host):
            return None
        found = proxies.get(scheme) or proxies.get("all")
        return found if found is None or "://" in found else f"http://{found}"

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            verify, context = self.settings.verify, ssl.create_default_context()
            if verify is False:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            elif verify is not True:
                context.load_verify_locations(verify)
            if self.settings.cert is not None:
                given = self.settings.cert
                cert, key = given if isinstance(given, tuple) else (given, None)
                context.load_cert_chain(cert, key)
            self._context = context
        return self._context

    def _keep(self, key: tuple[str, str, str | None], connection: HTTPConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault(key, [])
            if len(kept) < self.settings.max_keepalive_connections and not self.settings.closed:
                kept.append((connection, time.monotonic()))
                return
        connection.close()

    def __del__(self) -> None:
        for connections in self._idle.values():
            for connection, _ in connections:
                connection.close()

    def __repr__(self) -> str:
        return "StandardTransport()"


def _asked(connection: HTTPConnection, request: Request, key: tuple[str, str, str | None]) -> HTTPResponse:
    """Write a request and read the head of its answer."""
    scheme, _, proxy = key
    through = proxy is not None and scheme == "http"
    target = f"{request.path}?{request.query}" if request.query else request.path
    connection.putrequest(
        request.method,
        request.origin + target if through else target,
        skip_host=request.headers.get("host") is not None,
        skip_accept_encoding=True,
    )
    for name, value in request.headers.pairs:
        if name not in _HOP:
            connection.putheader(name, value)
    if through:
        for name, value in _authorized(proxy or "").items():
            connection.putheader(name, value)
    body = request.body
    length = len(body) if isinstance(body, bytes) else body.length
    if length is None:
        connection.putheader("transfer-encoding", "chunked")
    elif length or request.method not in _BODILESS:
        connection.putheader("content-length", str(length))
    connection.endheaders()
    if isinstance(body, bytes):
        if body:
            connection.send(body)
    else:
        for piece in body.pieces():
            connection.send(piece if length is not None else b"%x\r\n%s\r\n" % (len(piece), piece))
        if length is None:
            connection.send(b"0\r\n\r\n")
    return connection.getresponse()


def _authorized(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if parts.username is None:
        return {}
    who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(who.encode()).decode()}"}


def _mapped(error: Exception, request: Request) -> APIError:
    return APITimeoutError(request) if isinstance(error, TimeoutError) else APIConnectionError(request=request)


class _Open:
    """The connection a call waits on, so that another thread can end the waiting."""

    def __init__(self) -> None:
        self._connection: HTTPConnection | None = None
        self._broken = False

    def hold(self, connection: HTTPConnection) -> None:
        self._connection = connection
        if self._broken:
            self.break_off()

    def break_off(self) -> None:
        self._broken = True
        connection = self._connection
        if connection is not None:
            _break_off(connection)


def _break_off(connection: HTTPConnection) -> None:
    import socket

    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


class _Pieces:
    """The body of a response as it arrives."""

    def __init__(
        self,
        transport: StandardTransport,
        key: tuple[str, str, str | None],
        connection: HTTPConnection,
        answer: HTTPResponse,
        request: Request,
    ) -> None:
        self._transport, self._key, self._connection = transport, key, connection
        self._answer: HTTPResponse | None = answer
        self._request = request
        self._process = os.getpid()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        answer = self._answer
        if answer is None:
            raise StopIteration
        try:
            piece = answer.read1(_PIECE)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise _mapped(error, self._request) from error
        if piece:
            return piece
        self._answer = None
        left = answer.length
        answer.close()
        if left:  # the connection was closed before all had come
            _break_off(self._connection)
            raise APIConnectionError(request=self._request)
        if answer.will_close:
            self._connection.close()
        else:
            self._transport._keep(self._key, self._connection)
        raise StopIteration

    def close(self) -> None:
        """Break the connection off, unless all has arrived."""
        answer, self._answer = self._answer, None
        if answer is not None and self._process == os.getpid():  # after a fork it is the parent's to break off
            _break_off(self._connection)
            answer.close()

    def __del__(self) -> None:
        self.close()


class _AsyncPieces:
    """`_Pieces`, each waited for in a thread."""

    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await in_thread(next, self._pieces, None)
        except BaseException:
            self._pieces.close()
            raise
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._pieces.close()
