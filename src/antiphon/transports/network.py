"""The network as a transport: pyreqwest (reqwest, hyper, rustls) behind a blocking and an async `send`.

Its clients are made when the first request is sent, one for each set of timeouts in use, since connection and
read timeouts belong to a client there. What is waited for means what it means in httpx: `connect` for a
connection, `read` for the next bytes of the answer, `pool` for a free place. `write` is not timed by itself: while
a body is being uploaded the whole exchange may take `read` seconds and one more for every 64 KiB.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from threading import RLock
from typing import TYPE_CHECKING, Any

from ..kernel.errors import APIConnectionError, APIError, APITimeoutError
from ..kernel.http import Headers, Request, Response
from ..kernel.loops import in_trio
from ..kernel.options import Timeout
from .interrupts import interruptible
from .native import ClientBuilder, SyncClientBuilder, failures

if TYPE_CHECKING:
    from pyreqwest.bytes import Bytes
    from pyreqwest.client import BaseClientBuilder, Client, SyncClient

    from .redirects import Redirecting
    from .standard import StandardTransport

__all__ = ("NetworkTransport",)

_UPLOAD_RATE = 64 * 1024
_MOST_CLIENTS = 16


_TRIO = (
    "Our own transport needs an event loop of asyncio. Under trio, give the client one that can do both: "
    "AsyncOpenAI(http_client=httpx2.AsyncClient())."
)


class NetworkTransport:
    """Sends requests over HTTP/1.1 and, when asked to, HTTP/2.

    - `proxy`: the address of a proxy for everything, `http://`, `https://`, `socks5://`, `socks5h://` (names are
      resolved by the proxy), `socks4://` or `socks4a://`, with `user:password@` where it wants them. Without one the
      environment decides (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), unless `trust_env` is off.
    - `verify`: whether certificates are checked, or the path of a PEM file with more roots to trust.
    - `cert`: the path of a PEM file with a certificate of our own and its key, or the paths of both.
    - `http2`: whether to offer HTTP/2 to servers of https.
    - `max_connections`: how many requests are under way at a time; others wait for `Timeout.pool` seconds. `None` for
      any number.
    - `max_keepalive_connections`: how many idle connections to a host are kept, for `keepalive_expiry` seconds.

    Raises `ValueError` for a setting that cannot be, `OSError` for a file that cannot be read.
    """

    def __init__(
        self,
        *,
        http2: bool = False,
        proxy: str | None = None,
        trust_env: bool = True,
        verify: bool | str | os.PathLike[str] = True,
        cert: str | os.PathLike[str] | tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
        follow_redirects: bool = True,
        max_connections: int | None = 1000,
        max_keepalive_connections: int = 100,
        keepalive_expiry: float | None = 30.0,
    ) -> None:
        _check(proxy, verify, cert, max_connections, keepalive_expiry)
        self.http2 = http2
        self.proxy = proxy
        self.trust_env = trust_env
        self.verify = verify
        self.cert = cert
        self.follow_redirects = follow_redirects
        self.max_connections = max_connections
        self.max_keepalive_connections = max_keepalive_connections
        self.keepalive_expiry = keepalive_expiry
        self.closed = False
        self._other: NetworkTransport | None = None
        self._standard: Redirecting | StandardTransport | None = None
        self._clients: dict[Any, SyncClient] = {}
        self._async_clients: dict[Any, Client] = {}
        self._last: tuple[Any, SyncClient] | tuple[None, None] = (None, None)
        self._alast: tuple[Any, Client] | tuple[None, None] = (None, None)
        self._generation = _generation

    def like(self, *, follow_redirects: bool) -> NetworkTransport:
        """One with the same settings, but for redirects, and connections of its own. It is closed with this one."""
        with _making:
            if self._other is not None and not self._other.closed:
                return self._other
            self._other = NetworkTransport(
                http2=self.http2,
                proxy=self.proxy,
                trust_env=self.trust_env,
                verify=self.verify,
                cert=self.cert,
                follow_redirects=follow_redirects,
                max_connections=self.max_connections,
                max_keepalive_connections=self.max_keepalive_connections,
                keepalive_expiry=self.keepalive_expiry,
            )
            return self._other

    # Blocking

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request. Raises `APIConnectionError` or `APITimeoutError` where no response comes."""
        known, client = self._last
        if known is not timeout or client is None or self._generation != _generation:
            try:
                client = self._client(timeout, request.body)
            except _NoRuntimeError:
                return self._standing_in().send(request, timeout, stream)
        try:
            builder = _begun(client, request)
            body = request.body
            if isinstance(body, bytes):
                if body:
                    builder = builder.body_bytes(body)
                elif request.method == "POST":
                    builder = builder.header("content-length", "0")
            else:
                if not stream:
                    builder = builder.timeout(_upload_time(timeout, body.length))
                if body.length is not None:
                    builder = builder.header("content-length", str(body.length))
                builder = builder.body_stream(body.pieces())
            if stream:
                exchange = builder.streamed_read_buffer_limit(0).build_streamed()
                answer = interruptible(exchange.__enter__, self._abort, client)
                return Response(answer.status, _Lazy(answer), _Pieces(exchange, answer, request), request)
            answer = interruptible(builder.build().send, self._abort, client)
            return Response(answer.status, _Lazy(answer), answer.bytes().to_bytes(), request)
        except failures.RequestError as error:
            raise _mapped(error, request) from error

    def close(self) -> None:
        """Close every connection. Raises nothing when called twice."""
        self.closed = True
        self._last = (None, None)
        clients, self._clients = self._clients, {}
        if self._generation == _generation:
            for client in clients.values():
                client.close()
        for beside in (self._other, self._standard):
            if beside is not None:
                beside.close()

    def _client(self, timeout: Any, body: Any) -> SyncClient:
        with _making:
            key = self._key(timeout, body)
            client = self._clients.get(key)
            if client is None:
                if len(self._clients) >= _MOST_CLIENTS:
                    self._clients.pop(next(iter(self._clients)))
                client = self._clients[key] = self._made(SyncClientBuilder, key)
        if isinstance(body, bytes):
            self._last = (timeout, client)
        return client

    def _abort(self, client: SyncClient) -> None:
        """Give up a client in the middle of a request: the next request makes another."""
        self._last = (None, None)
        self._clients = {key: each for key, each in self._clients.items() if each is not client}
        client.close()

    # In an event loop

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request. Raises `APIConnectionError` or `APITimeoutError` where no response comes."""
        known, client = self._alast
        if known is not timeout or client is None or self._generation != _generation:
            if in_trio():  # where the answer is there at once, nothing else would say so
                raise RuntimeError(_TRIO)
            try:
                client = self._async_client(timeout, request.body)
            except _NoRuntimeError:
                return await self._standing_in().asend(request, timeout, stream)
        try:
            builder = _begun(client, request)
            body = request.body
            if isinstance(body, bytes):
                if body:
                    builder = builder.body_bytes(body)
                elif request.method == "POST":
                    builder = builder.header("content-length", "0")
            else:
                if not stream:
                    builder = builder.timeout(_upload_time(timeout, body.length))
                if body.length is not None:
                    builder = builder.header("content-length", str(body.length))
                builder = builder.body_stream(body.pieces() if body.at_hand else body.apieces())
            if stream:
                exchange = builder.streamed_read_buffer_limit(0).build_streamed()
                answer = await exchange.__aenter__()
                pieces: Any = _AsyncPieces(exchange, answer, request)
                return Response(answer.status, _Lazy(answer), pieces, request)
            answer = await builder.build().send()
            return Response(answer.status, _Lazy(answer), (await answer.bytes()).to_bytes(), request)
        except failures.RequestError as error:
            raise _mapped(error, request) from error
        except RuntimeError as error:
            if not in_trio():
                raise
            raise RuntimeError(_TRIO) from error

    async def aclose(self) -> None:
        """Close every connection. Raises nothing when called twice."""
        self.closed = True
        self._alast = (None, None)
        clients, self._async_clients = self._async_clients, {}
        if self._generation == _generation:
            for client in clients.values():
                await client.close()
        for beside in (self._other, self._standard):
            if beside is not None:
                await beside.aclose()

    def _async_client(self, timeout: Any, body: Any) -> Client:
        with _making:
            key = self._key(timeout, body)
            client = self._async_clients.get(key)
            if client is None:
                if len(self._async_clients) >= _MOST_CLIENTS:
                    self._async_clients.pop(next(iter(self._async_clients)))
                _settle_at_exit()
                client = self._async_clients[key] = self._made(ClientBuilder, key)
        if isinstance(body, bytes):
            self._alast = (timeout, client)
        return client

    # Both

    def _key(self, timeout: Any, body: Any) -> tuple[float | None, float | None, float | None]:
        """What a client is made for: the times for a connection, for the next bytes, for a place in the pool."""
        if self.closed:
            raise RuntimeError("Cannot send a request: the client has been closed.")
        if self._generation != _generation:
            self._forked()
        wanted = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        return wanted.connect, wanted.read if isinstance(body, bytes) else None, wanted.pool

    def _forked(self) -> None:
        # The threads behind the clients stayed in the parent; nothing of them may be touched, not even to close.
        _LEFT_IN_PARENT.append((self._clients, self._async_clients, self._last, self._alast, self._standard))
        self._clients, self._async_clients, self._standard = {}, {}, None
        self._last = self._alast = (None, None)
        self._generation = _generation

    def _made(self, builder: Callable[[], Any], key: tuple[float | None, float | None, float | None]) -> Any:
        """A client. Raises `_NoRuntimeError` where forks have left none for it to run on."""
        if self._standard is not None:
            raise _NoRuntimeError
        try:
            return self._configured(builder(), key).build()
        except RuntimeError as error:
            if "fork" not in str(error):
                raise
        # pyreqwest has two runtimes for a process, and refuses the one whose threads stayed with the parent. That is
        # the first as a rule; the other, with several threads, begins in this process.
        try:
            return self._configured(builder().runtime_multithreaded(True), key).build()
        except RuntimeError as error:
            if "fork" not in str(error):
                raise
            raise _NoRuntimeError from error

    def _standing_in(self) -> Redirecting | StandardTransport:
        """What sends where pyreqwest cannot."""
        with _making:
            standard = self._standard
            if standard is None:
                from .redirects import Redirecting
                from .standard import StandardTransport

                made = StandardTransport(self)
                standard = self._standard = Redirecting(made) if self.follow_redirects else made
            return standard

    def _configured(self, builder: Any, key: tuple[float | None, float | None, float | None]) -> Any:
        connect, read, pool = key
        made: BaseClientBuilder = builder.follow_redirects(self.follow_redirects).referer(False)
        if self.follow_redirects:
            made = made.max_redirects(20)
        if self.http2:
            made = made.http2(True)
        if connect is not None:
            made = made.connect_timeout(timedelta(seconds=connect))
        if read is not None:
            made = made.read_timeout(timedelta(seconds=read))
        if self.max_connections is not None:
            made = made.max_connections(self.max_connections)
            if pool is not None:
                made = made.pool_timeout(timedelta(seconds=pool))
        expiry = self.keepalive_expiry
        made = made.pool_idle_timeout(None if expiry is None else timedelta(seconds=expiry))
        made = made.pool_max_idle_per_host(self.max_keepalive_connections)
        if self.proxy is not None:
            from pyreqwest.proxy import ProxyBuilder

            made = made.proxy(ProxyBuilder.all(self.proxy))
        elif not self.trust_env:
            made = made.no_proxy()
        if self.verify is False:
            made = made.danger_accept_invalid_certs(True)
        elif self.verify is not True:
            made = made.add_root_certificate_pem(_roots(self.verify))
        if self.cert is not None:
            made = made.identity_pem(_identity(self.cert))
        return made


class _NoRuntimeError(RuntimeError):
    """pyreqwest cannot run in this process: it ran in the parent, and in the parent's parent."""


_LEFT_IN_PARENT: list[Any] = []
_making = RLock()
_generation = 0
"""How many forks lie between this process and the one that began."""
_settling = False


def _after_fork() -> None:
    global _generation, _making
    _generation += 1
    _making = RLock()  # the thread that held it may not be here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _settle_at_exit() -> None:
    """Have the interpreter wait a moment before it ends.

    The thread behind pyreqwest's async clients lets go of Python objects a little after it has given the last
    result; an interpreter that ends in that moment is aborted ("PyGILState_Release: thread state … must be current").
    """
    global _settling
    if not _settling:
        _settling = True
        import atexit
        from time import sleep

        atexit.register(sleep, 0.02)


_PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def _check(proxy: Any, verify: Any, cert: Any, most: int | None, expiry: float | None) -> None:
    if proxy is not None:
        scheme, found, rest = str(proxy).partition("://")
        if not found or scheme.lower() not in _PROXIES or not rest.strip("/"):
            raise ValueError(
                f"proxy is an address such as http://proxy:8080 or socks5://user:password@proxy:1080 "
                f"({', '.join(_PROXIES)}); it was {proxy!r}"
            )
    if not isinstance(verify, bool):
        _roots(verify)
    if cert is not None:
        identity = _identity(cert)
        if _CERTIFICATE not in identity or b"PRIVATE KEY-----" not in identity:
            raise ValueError(f"cert is a PEM file with a certificate and its key, or the paths of both: {cert!r}")
    if most is not None and most < 1:
        raise ValueError(f"max_connections is at least 1, or None for any number; it was {most}")
    if expiry is not None and expiry < 0:
        raise ValueError(f"keepalive_expiry is seconds, or None for ever; it was {expiry}")


def _roots(path: str | os.PathLike[str]) -> bytes:
    """The certificates of a PEM file."""
    with open(path, "rb") as file:
        roots = file.read()
    if _CERTIFICATE not in roots:
        raise ValueError(f"verify is True, False or the path of a PEM file; there is no certificate in {path!r}")
    return roots


def _identity(cert: Any) -> bytes:
    """A certificate and its key."""
    pieces: list[bytes] = []
    for path in cert if isinstance(cert, tuple) else (cert,):
        with open(path, "rb") as file:
            pieces.append(file.read())
    return b"\n".join(pieces)


def _begun(client: Any, request: Request) -> Any:
    """What builds a request, with its headers. A header that cannot be sent raises `ValueError`, without its value."""
    try:
        return client.request(request.method, request.url).headers(request.headers.pairs)
    except ValueError:
        for name, value in request.headers.pairs:
            if any((each < " " and each != "\t") or each == "\x7f" for each in value):
                message = f"the value of the header {name} cannot be sent: there is a line break in it, or the like"
                raise ValueError(message) from None
        raise


def _upload_time(timeout: Any, length: int | None) -> timedelta:
    wanted = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
    if wanted.read is None or length is None:
        return timedelta(days=365)
    return timedelta(seconds=wanted.read + length / _UPLOAD_RATE)


def _mapped(error: failures.RequestError, request: Request) -> APIError:
    if isinstance(error, failures.RequestTimeoutError):
        return APITimeoutError(request)
    return APIConnectionError(request=request)


def _of_parent(request: Request) -> APIError:
    return APIConnectionError(
        message="Connection error: this stream is read by the process that this one was forked from.", request=request
    )


class _Lazy(Headers):
    """The headers of a response, copied out of it when they are first read as a whole."""

    __slots__ = ("_native", "_pairs", "_version")
    _native: Any
    _pairs: list[tuple[str, str]] | None
    _version: str

    def __init__(self, native: Any) -> None:
        self._native = native
        self._pairs = None

    @property
    def pairs(self) -> list[tuple[str, str]]:  # type: ignore[override]
        if self._pairs is None:
            self._pairs = list(self._native.headers.items())
            self._version = self._native.version
            self._native = None
        return self._pairs

    @property
    def http_version(self) -> str:  # type: ignore[override]
        return self._native.version if self._pairs is None else self._version

    def get(self, name: str, default: Any = None) -> Any:
        if self._pairs is not None:
            return Headers.get(self, name, default)
        value = self._native.get_header(name)
        return default if value is None else value

    def __reduce__(self) -> Any:
        return Headers.of, (self.pairs,)


class _Pieces:
    """The body of a response as it arrives."""

    __slots__ = ("_exchange", "_generation", "_read", "_request")

    def __init__(self, exchange: Any, answer: Any, request: Request) -> None:
        self._exchange = exchange
        self._generation = _generation
        self._read = answer.body_reader.read_chunk
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._exchange is None:
            raise StopIteration
        if self._generation != _generation:
            raise _of_parent(self._request)
        try:
            piece: Bytes | None = self._read()
        except failures.RequestError as error:
            self._exchange = None
            raise _mapped(error, self._request) from error
        if piece is None:
            self._exchange = None
            raise StopIteration
        return piece.to_bytes()

    def close(self) -> None:
        """Break the connection off."""
        exchange, self._exchange = self._exchange, None
        if self._generation != _generation:
            _LEFT_IN_PARENT.append((exchange, self._read))
        elif exchange is not None:
            exchange.__exit__(None, None, None)

    def release(self) -> None:
        """Let the rest arrive unread, so that the connection can be used again."""
        self._exchange = None

    def __del__(self) -> None:
        self.close()


class _AsyncPieces:
    """`_Pieces` for an event loop."""

    __slots__ = ("_exchange", "_generation", "_read", "_request")

    def __init__(self, exchange: Any, answer: Any, request: Request) -> None:
        self._exchange = exchange
        self._generation = _generation
        self._read = answer.body_reader.read_chunk
        self._request = request

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._exchange is None:
            raise StopAsyncIteration
        if self._generation != _generation:
            raise _of_parent(self._request)
        try:
            piece: Bytes | None = await self._read()
        except failures.RequestError as error:
            self._exchange = None
            raise _mapped(error, self._request) from error
        if piece is None:
            self._exchange = None
            raise StopAsyncIteration
        return piece.to_bytes()

    async def aclose(self) -> None:
        """Break the connection off."""
        exchange, self._exchange = self._exchange, None
        if self._generation != _generation:
            _LEFT_IN_PARENT.append((exchange, self._read))
        elif exchange is not None:
            await exchange.__aexit__(None, None, None)

    async def arelease(self) -> None:
        """Let the rest arrive unread, so that the connection can be used again."""
        self._exchange = None
