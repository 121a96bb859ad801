"""The real thing, as a handler: what it is asked goes over the network, and what comes back is the answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ...kernel.errors import APIConnectionError, APIStatusError, APITimeoutError
from ...kernel.flow import Flow, Read, Step, World
from ...kernel.http import Headers, Request, Response
from ...kernel.options import Timeout

if TYPE_CHECKING:
    from .relay import Relay

__all__ = ("Upstream", "unreached")

_OF_THE_CONNECTION: Final = frozenset(
    """
    host connection keep-alive proxy-connection proxy-authorization proxy-authenticate te trailer transfer-encoding
    upgrade content-length accept-encoding expect x-antiphon-test
    """.split()
)
_TIMEOUT: Final = Timeout(600.0, connect=10.0)


class Upstream:
    """Sends requests on to a server that speaks as OpenAI does.

    `url` is what clients take as their `base_url`, such as `https://openrouter.ai/api/v1`, or a host alone, which has a
    `/v1`; without one a request goes to where it is addressed. `api_key` takes the place of the key that a request
    brings. Raises `ValueError` for an address that is none.
    """

    def __init__(self, url: str | None = None, *, api_key: str | None = None, transport: Any = None) -> None:
        from ...transports.network import NetworkTransport

        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError(f"an upstream is an address such as https://api.openai.com/v1, not {url!r}")
        self.url = url
        self._key = api_key
        self._transport = NetworkTransport() if transport is None else transport
        # Bound here: where requests of this process are intercepted, those that are sent on are not.
        self._send = self._transport.send
        self._asend = self._transport.asend
        self._resolve = socket.getaddrinfo

    def addressed(self, request: Request) -> Request:
        """A request as it is sent on."""
        headers = [pair for pair in request.headers.pairs if pair[0] not in _OF_THE_CONNECTION]
        if self._key is not None:
            keys = ("authorization", "api-key", "sec-websocket-protocol")  # browsers have no other place for it
            headers = [pair for pair in headers if pair[0] not in keys]
            headers.append(("authorization", f"Bearer {self._key}"))
        headers.append(("accept-encoding", "identity"))  # what comes is written down as it is read
        request = request._replace(headers=Headers.of(headers))
        if self.url is None:
            return request
        parts = urlsplit(self.url)
        base = parts.path.rstrip("/")
        path = request.path
        if base and path.startswith("/v1/"):
            path = path[3:]
        return request._replace(origin=f"{parts.scheme}://{parts.netloc}", path=base + path)

    def __call__(self, request: Request) -> Flow[Response]:
        """Answer a request. Where no answer comes, that is a 502, or a 504 where it does not come in time."""
        sent = self.addressed(request)
        try:
            answer: Response = yield _Forward(self, sent)
        except APITimeoutError:
            return unreached(f"{sent.origin} did not answer in time.", 504)
        except APIConnectionError as error:
            cause = error.__cause__
            why = f": {cause}" if cause is not None else "."
            return unreached(f"{sent.origin} could not be reached{why}", 502)
        return answer._replace(body=_pieces(answer.body), request=request)

    def relay(self, request: Request, refused: Callable[[Response], list[bytes]]) -> Relay:
        """A websocket, as a dialogue. `refused` is told why it could not be opened, and gives what is said of it.

        Raises `ImportError` without the `websockets` package.
        """
        from importlib.util import find_spec

        if find_spec("websockets") is None:
            raise ImportError(
                "websockets are recorded with the `websockets` package: install antiphon[realtime]"
            ) from None
        from .relay import Relay

        return Relay(self.addressed(request), self._resolve, refused)

    def close(self) -> None:
        """Close the connections of blocking callers."""
        self._transport.close()

    async def aclose(self) -> None:
        """Close the connections of callers in event loops."""
        await self._transport.aclose()

    def __repr__(self) -> str:
        return f"Upstream({self.url!r})"


class _Forward(Step[Response]):
    """Send a request over the network, whatever the world of the caller sends over."""

    __slots__ = ("_request", "_upstream")

    def __init__(self, upstream: Upstream, request: Request) -> None:
        self._upstream = upstream
        self._request = request

    def perform(self, world: World) -> Response:
        return self._upstream._send(self._request, _TIMEOUT, True)  # type: ignore[no-any-return]

    async def aperform(self, world: World) -> Response:
        return await self._upstream._asend(self._request, _TIMEOUT, True)  # type: ignore[no-any-return]


def _pieces(stream: Any) -> Generator[bytes | Step[Any], Any, None]:
    try:
        while True:
            piece = yield Read(stream)
            if piece is None:
                return
            yield piece
    finally:
        _leave(stream)


def _leave(stream: Any) -> None:
    """Let go of a stream, of whichever colour: nothing can be awaited here."""
    close = getattr(stream, "close", None)
    if close is not None:
        close()
        return
    try:
        task = asyncio.get_running_loop().create_task(stream.aclose())
    except RuntimeError:  # the loop is over, and its connections are
        return
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


_leaving: set[asyncio.Task[Any]] = set()


def unreached(message: str, status: int) -> Response:
    """The answer where none came."""
    return APIStatusError.because(
        message,
        status=status,
        code="upstream_unreachable",
        type="server_error",
        headers={"x-should-retry": "false"},
    ).to_response()
