"""Following redirects ourselves, where a request carries a secret that the library underneath does not know as one.

Libraries drop `authorization` when a redirect leads to another origin; `api-key` is a header like any other to them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

from ..kernel.errors import APIConnectionError
from ..kernel.flow import Flow, Read, Send, World, arun, run
from ..kernel.http import Headers, Request, Response

__all__ = ("Redirecting", "following", "redirecting")

_MOST = 20
_SECRETS = frozenset(("authorization", "api-key", "cookie", "proxy-authorization"))
_OF_A_BODY = frozenset(("content-type", "content-length", "content-encoding", "transfer-encoding"))
_PORTS = {"http": 80, "https": 443}


class Redirecting:
    """A transport over one that follows no redirects. No secret goes to an origin the request was not made for."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self._through = _Through(transport)
        world = getattr(transport, "world", None)
        if world is not None:
            self.world = world

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request wherever it leads. Raises `APIConnectionError` after 20 redirects."""
        return run(_followed(request, timeout, stream), self._through)

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request wherever it leads. Raises `APIConnectionError` after 20 redirects."""
        return await arun(_followed(request, timeout, stream), self._through)

    def close(self) -> None:
        self.transport.close()

    async def aclose(self) -> None:
        await self.transport.aclose()

    def __repr__(self) -> str:
        return f"Redirecting({self.transport!r})"


class _Through(World):
    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        response: Response = self.transport.send(request, timeout, stream)
        return response

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        response: Response = await self.transport.asend(request, timeout, stream)
        return response


def _followed(request: Request, timeout: Any, stream: bool) -> Flow[Response]:
    for _ in range(_MOST + 1):
        response: Response = yield Send(request, timeout, stream=stream)
        location = response.headers.get("location") if response.status in (301, 302, 303, 307, 308) else None
        if location is None:
            return response
        following = _next(request, response.status, location)
        if following is None:
            return response
        if not isinstance(response.body, bytes):
            # Read to its end, so that the connection can be used again.
            while (yield Read(response.body)) is not None:
                pass
        request = following
    raise APIConnectionError(message=f"Connection error: more than {_MOST} redirects.", request=request)


def _next(request: Request, status: int, location: str) -> Request | None:
    """The request a redirect asks for; `None` where it cannot be sent."""
    parts = urlsplit(urljoin(request.url, location))
    if parts.scheme not in _PORTS or not parts.netloc:
        return None
    dropped: set[str] = set()
    method, body = request.method, request.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method, body = "GET", b""
        dropped |= _OF_A_BODY
    elif not isinstance(body, bytes) and not body.replayable:
        return None
    origin = f"{parts.scheme}://{parts.netloc}"
    if _who(origin) != _who(request.origin):
        dropped |= _SECRETS
    pairs = [pair for pair in request.headers.pairs if pair[0] not in dropped]
    return Request(method, parts.path or "/", parts.query, Headers.of(pairs), body, origin)


def _who(origin: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(origin)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def redirecting(made: Any) -> Any:
    """A transport that follows redirects as before, but with the secrets kept; one that follows none is as it was."""
    from .network import NetworkTransport

    if isinstance(made, Redirecting) or getattr(made, "follow_redirects", True) is False:
        return made
    if isinstance(made, NetworkTransport):
        return Redirecting(made.like(follow_redirects=False))
    if hasattr(made, "follow_redirects"):
        made.follow_redirects = False
    return Redirecting(made)


def following(made: Any, wanted: bool) -> Any:
    """A transport as another one, but that redirects are followed, or are not, as wanted.

    One of the caller's own that knows nothing of redirects is taken to follow none.
    """
    if isinstance(made, Redirecting):
        return made if wanted else made.transport
    if getattr(made, "follow_redirects", False) is wanted:
        return made
    like = getattr(made, "like", None)
    if like is not None:
        return like(follow_redirects=wanted)
    return Redirecting(made) if wanted else made
