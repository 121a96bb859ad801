"""httpx2 and httpx, both ways round.

`HttpxTransport` sends our requests with a client of theirs: `OpenAI(transport=httpx2.Client(...))` makes one.
`HandlerTransport` has a client of theirs ask a handler: with it the official SDK, or anything else on httpx2,
talks to a fake in process, streaming included:

    openai.OpenAI(api_key="any", http_client=httpx2.Client(transport=HandlerTransport(FakeOpenAI())))
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from ..kernel.errors import APIConnectionError, APIError, APITimeoutError
from ..kernel.http import Handler, Headers, Request, Response, Upload
from ..kernel.options import Timeout
from ..kernel.severed import Severed
from ..kernel.spool import IN_MEMORY
from . import handler as in_process

__all__ = ("HandlerTransport", "HttpxTransport", "their_error")

_LINGER = 0.1
"""Seconds in which the end of a stream has to come for its connection to be kept."""

if TYPE_CHECKING:
    import httpx2
    from httpx2 import AsyncBaseTransport, AsyncByteStream, BaseTransport, SyncByteStream
else:
    try:
        import httpx2
    except ImportError:  # the older library has the same classes
        import httpx as httpx2
    AsyncBaseTransport, BaseTransport = httpx2.AsyncBaseTransport, httpx2.BaseTransport
    AsyncByteStream, SyncByteStream = httpx2.AsyncByteStream, httpx2.SyncByteStream


# Our requests, their client


class HttpxTransport:
    """Sends requests with a client of httpx2 or httpx. Raises `TypeError` when its colour is the wrong one."""

    def __init__(self, client: Any, *, is_async: bool) -> None:
        if hasattr(client, "aclose") is not is_async:
            wanted, wrong = ("AsyncClient", "OpenAI") if not is_async else ("Client", "AsyncOpenAI")
            raise TypeError(
                f"{wrong} cannot send with {type(client).__name__}: it is {'not ' if is_async else ''}async; {wanted}"
            )
        self.client = client
        self.follow_redirects: bool = client.follow_redirects
        self.authorizes = True
        """Whether the client's own `auth` is applied, where it has one."""
        self._errors, self._timeouts = _failures(client)

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request. Raises `APIConnectionError` or `APITimeoutError` where no response comes."""
        try:
            answer = self.client.send(
                self._theirs(request, timeout), stream=stream, follow_redirects=self.follow_redirects, **self._auth()
            )
        except self._errors as error:
            raise self._mapped(error, request) from error
        headers = Headers(answer.headers.multi_items())
        body: Any = _Pieces(self, answer, request) if stream else answer.content
        return Response(answer.status_code, headers, body, request)

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request. Raises `APIConnectionError` or `APITimeoutError` where no response comes."""
        try:
            answer = await self.client.send(
                self._theirs(request, timeout), stream=stream, follow_redirects=self.follow_redirects, **self._auth()
            )
        except self._errors as error:
            raise self._mapped(error, request) from error
        headers = Headers(answer.headers.multi_items())
        body: Any = _AsyncPieces(self, answer, request) if stream else answer.content
        return Response(answer.status_code, headers, body, request)

    def like(self, *, follow_redirects: bool) -> HttpxTransport:
        """One over the same client, but for redirects."""
        other = HttpxTransport(self.client, is_async=hasattr(self.client, "aclose"))
        other.follow_redirects = follow_redirects
        return other

    def close(self) -> None:
        """Close their client."""
        self.client.close()

    async def aclose(self) -> None:
        """Close their client."""
        await self.client.aclose()

    def _auth(self) -> dict[str, Any]:
        return {} if self.authorizes else {"auth": None}

    def _theirs(self, request: Request, timeout: Any) -> Any:
        wanted = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        times = (wanted.connect, wanted.read, wanted.write, wanted.pool)
        headers = request.headers.pairs
        content: Any = request.body
        if not isinstance(content, bytes):
            if content.length is not None:
                headers = [*headers, ("content-length", str(content.length))]
            content = content.apieces() if hasattr(self.client, "aclose") else content.pieces()
        return self.client.build_request(
            request.method, request.url, headers=headers, content=content or None, timeout=times
        )

    def _mapped(self, error: Exception, request: Request) -> APIError:
        return APITimeoutError(request) if isinstance(error, self._timeouts) else APIConnectionError(request=request)

    def __repr__(self) -> str:
        return f"HttpxTransport({self.client!r})"


def _failures(client: Any) -> tuple[tuple[type[Exception], ...], type[Exception]]:
    """The errors of the library that a client, or the class it was derived from, comes from."""
    import sys

    for kind in type(client).__mro__:
        home = sys.modules[kind.__module__.partition(".")[0]]
        if hasattr(home, "RequestError") and hasattr(home, "TimeoutException"):
            # What lies below the library may say in its own words that the connection is gone.
            below: Any = sys.modules.get("anyio")
            others = () if below is None else (below.EndOfStream, below.BrokenResourceError, below.ClosedResourceError)
            return (home.RequestError, ssl.SSLError, *others), home.TimeoutException
    raise TypeError(f"not a client of httpx2 or httpx: {type(client).__name__}")


class _Pieces:
    """The body of one of their responses as it arrives."""

    def __init__(self, transport: HttpxTransport, answer: Any, request: Request) -> None:
        self._transport, self._answer, self._request = transport, answer, request
        self._pieces: Iterator[bytes] = answer.iter_bytes()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except self._transport._errors as error:
            raise self._transport._mapped(error, self._request) from error

    def close(self) -> None:
        self._answer.close()


class _AsyncPieces:
    """`_Pieces` for an event loop."""

    def __init__(self, transport: HttpxTransport, answer: Any, request: Request) -> None:
        self._transport, self._answer, self._request = transport, answer, request
        self._pieces: AsyncIterator[bytes] = answer.aiter_bytes()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except self._transport._errors as error:
            raise self._transport._mapped(error, self._request) from error

    async def arelease(self) -> None:
        """Read the end that is about to come, so that the connection serves again; not for long."""
        import anyio

        answer, ended = self._answer, False
        try:
            if answer.http_version == "HTTP/1.1":
                with anyio.move_on_after(_LINGER):
                    async for _ in self._pieces:
                        pass
                    ended = True
        except self._transport._errors:
            pass
        finally:
            with anyio.CancelScope(shield=True):
                closed = answer.is_closed
                await answer.aclose()
                if closed and not ended:
                    # It was closing when the time was up, and takes itself for closed.
                    await answer.stream.aclose()

    async def aclose(self) -> None:
        await self._answer.aclose()


# Their requests, our handler


class HandlerTransport(BaseTransport, AsyncBaseTransport):
    """A handler as a transport of httpx2, for blocking and for async clients.

    The handler is asked for the path as the client addresses it. A handler's `world` and read timeouts work as in
    `antiphon.transports.handler`.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self._transport = in_process.HandlerTransport(handler)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The handler's response to a request; its body is read as the client reads it."""
        pieces = _large(request)
        if not pieces:
            request.read()
        try:
            response = self._transport.send(_ours(request, pieces), _read_timeout(request), True)
        except APIConnectionError as error:
            raise _theirs_for(error, request) from error
        return httpx2.Response(
            response.status, headers=response.headers.pairs, stream=_Body(response.body, request), request=request
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The handler's response to a request; its body is read as the client reads it."""
        pieces = _large(request)
        if not pieces:
            await request.aread()
        try:
            response = await self._transport.asend(_ours(request, pieces), _read_timeout(request), True)
        except APIConnectionError as error:
            raise _theirs_for(error, request) from error
        return httpx2.Response(
            response.status, headers=response.headers.pairs, stream=_AsyncBody(response.body, request), request=request
        )

    def __repr__(self) -> str:
        return f"HandlerTransport({self.handler!r})"


def _large(request: httpx2.Request) -> bool:
    """Whether the body of a request is better read in pieces."""
    length = request.headers.get("content-length")
    return int(length) > IN_MEMORY if length is not None else "transfer-encoding" in request.headers


def _ours(request: httpx2.Request, pieces: bool) -> Request:
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    headers = Headers.of([(name.lower(), value) for name, value in request.headers.multi_items()])
    origin = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
    return Request(request.method, path, query, headers, _upload(request) if pieces else request.content, origin)


def _upload(request: httpx2.Request) -> Upload:
    stream: Any = request.stream
    length = request.headers.get("content-length")
    size = None if length is None else int(length)
    sync = (lambda: iter(stream)) if hasattr(stream, "__iter__") else None
    either = (lambda: aiter(stream)) if hasattr(stream, "__aiter__") else None
    return Upload(sync, replayable=False, length=size, apieces=either)


def _read_timeout(request: httpx2.Request) -> float | None:
    timeouts: dict[str, float | None] = request.extensions.get("timeout") or {}
    return timeouts.get("read")


def _theirs_for(error: APIConnectionError, request: httpx2.Request, otherwise: str = "ConnectError") -> Exception:
    return their_error(httpx2, error, request, otherwise)


def their_error(library: Any, error: APIConnectionError, request: Any, otherwise: str) -> Exception:
    """An error of ours as httpx2 or httpx has it: what a socket would have led to, where a connection was severed."""
    name, said = otherwise, str(error)
    if isinstance(error, APITimeoutError):
        name = "ReadTimeout"
    elif isinstance(error.__cause__, Severed):
        name, said = _SEVERED[error.__cause__.how], str(error.__cause__)
    theirs: Exception = getattr(library, name)(said, request=request)
    return theirs


_SEVERED = {"refused": "ConnectError", "reset": "ReadError", "closed": "RemoteProtocolError"}


class _Body(SyncByteStream):
    def __init__(self, body: Any, request: httpx2.Request) -> None:
        self._body, self._request = body, request

    def __iter__(self) -> Iterator[bytes]:
        if isinstance(self._body, bytes):
            yield self._body
            return
        try:
            yield from self._body
        except APIConnectionError as error:
            raise _theirs_for(error, self._request, "ReadError") from error

    def close(self) -> None:
        if not isinstance(self._body, bytes):
            self._body.close()


class _AsyncBody(AsyncByteStream):
    def __init__(self, body: Any, request: httpx2.Request) -> None:
        self._body, self._request = body, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, bytes):
            yield self._body
            return
        try:
            async for piece in self._body:
                yield piece
        except APIConnectionError as error:
            raise _theirs_for(error, self._request, "ReadError") from error

    async def aclose(self) -> None:
        if not isinstance(self._body, bytes):
            await self._body.aclose()
