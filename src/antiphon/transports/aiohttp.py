"""aiohttp: `AsyncOpenAI(http_client=aiohttp.ClientSession(...))` sends with a session of yours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from yarl import URL

from ..kernel.errors import APIConnectionError, APIError, APITimeoutError
from ..kernel.http import Headers, Request, Response
from ..kernel.options import Timeout

__all__ = ("AiohttpTransport",)

_LINGER = 0.1
"""Seconds in which the end of a stream has to come for its connection to be kept."""


class AiohttpTransport:
    """Sends the requests of async clients with a session of aiohttp."""

    def __init__(self, session: aiohttp.ClientSession, *, follow_redirects: bool = True) -> None:
        self.session = session
        self.follow_redirects = follow_redirects

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        """Send a request. Raises `APIConnectionError` or `APITimeoutError` where no response comes."""
        headers, content = request.headers.pairs, request.body
        data: Any = content or None
        if not isinstance(content, bytes):
            if content.length is not None:
                headers = [*headers, ("content-length", str(content.length))]
            data = content.apieces()
        try:
            answer = await self.session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=headers,
                data=data,
                timeout=_times(timeout),
                allow_redirects=self.follow_redirects,
            )
            pairs = [(name.lower(), value) for name, value in answer.headers.items()]
            body: Any = _Pieces(answer, request) if stream else await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _mapped(error, request) from error
        return Response(answer.status, Headers.of(pairs), body, request)

    def like(self, *, follow_redirects: bool) -> AiohttpTransport:
        """One over the same session, but for redirects."""
        return AiohttpTransport(self.session, follow_redirects=follow_redirects)

    async def aclose(self) -> None:
        """Close the session."""
        await self.session.close()

    def __repr__(self) -> str:
        return f"AiohttpTransport({self.session!r})"


def _times(timeout: Any) -> aiohttp.ClientTimeout:
    wanted = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
    return aiohttp.ClientTimeout(
        total=None, connect=wanted.pool, sock_connect=wanted.connect, sock_read=wanted.read, ceil_threshold=5
    )


def _mapped(error: Exception, request: Request) -> APIError:
    return APITimeoutError(request) if isinstance(error, TimeoutError) else APIConnectionError(request=request)


class _Pieces:
    """The body of a response as it arrives."""

    def __init__(self, answer: aiohttp.ClientResponse, request: Request) -> None:
        self._answer, self._request = answer, request

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._answer.content.readany()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _mapped(error, self._request) from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def arelease(self) -> None:
        """Read the end that is about to come, so that the connection serves again; not for long."""
        try:
            async with asyncio.timeout(_LINGER):
                while await self._answer.content.readany():
                    pass
        except (aiohttp.ClientError, TimeoutError):
            pass
        finally:
            self._answer.close()

    async def aclose(self) -> None:
        """Break the connection off, unless all has arrived."""
        self._answer.close()
