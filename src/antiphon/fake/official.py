"""The fake behind clients of the official package: a transport for the HTTP library those are built on.

    openai.OpenAI(api_key="…", http_client=httpx2.Client(transport=transport(fake)))

The library is `httpx2`, or `httpx` for releases of the official package that were built on it; both have the same
interface, so one adapter serves them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ..kernel.errors import APITimeoutError
from ..kernel.http import Headers, Request, Response
from ..transports.handler import HandlerTransport

if TYPE_CHECKING:
    from ..kernel.http import Handler

__all__ = ("async_transport", "connected", "transport")


def transport(handler: Handler, library: str = "httpx2") -> Any:
    """A `BaseTransport` of the library that calls the handler."""
    return _adapters(library)[0](handler)


def async_transport(handler: Handler, library: str = "httpx2") -> Any:
    """An `AsyncBaseTransport` of the library that calls the handler."""
    return _adapters(library)[1](handler)


def connected(name: str, handler: Handler, options: dict[str, Any]) -> Any:
    """A client of the official package over a handler. Raises `ModuleNotFoundError` where it is not installed."""
    client: Any = getattr(import_module("openai"), name)
    base = import_module("openai._base_client")
    library: str = "httpx2" if hasattr(base, "httpx2") else "httpx"
    if name.startswith("Async"):
        http = import_module(library).AsyncClient(transport=async_transport(handler, library))
    else:
        http = import_module(library).Client(transport=transport(handler, library))
    return client(**{"http_client": http, **options})


@cache
def _adapters(library: str) -> tuple[Any, Any]:
    httpx: Any = import_module(library)

    class Body(httpx.SyncByteStream):  # type: ignore[misc]
        def __init__(self, pieces: Any) -> None:
            self.pieces = pieces

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.pieces)

        def close(self) -> None:
            self.pieces.close()

    class AsyncBody(httpx.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, pieces: Any) -> None:
            self.pieces = pieces

        def __aiter__(self) -> AsyncIterator[bytes]:
            return aiter(self.pieces)  # type: ignore[no-any-return]

        async def aclose(self) -> None:
            await self.pieces.aclose()

    class Transport(httpx.BaseTransport):  # type: ignore[misc]
        def __init__(self, handler: Handler) -> None:
            self.inner = HandlerTransport(handler)

        def handle_request(self, request: Any) -> Any:
            asked = _request(request, request.read())
            try:
                answer = self.inner.send(asked, _timeout(request), stream=True)
            except APITimeoutError as error:
                raise httpx.ReadTimeout(str(error), request=request) from error
            return _response(httpx, answer, Body)

    class AsyncTransport(httpx.AsyncBaseTransport):  # type: ignore[misc]
        def __init__(self, handler: Handler) -> None:
            self.inner = HandlerTransport(handler)

        async def handle_async_request(self, request: Any) -> Any:
            asked = _request(request, await request.aread())
            try:
                answer = await self.inner.asend(asked, _timeout(request), stream=True)
            except APITimeoutError as error:
                raise httpx.ReadTimeout(str(error), request=request) from error
            return _response(httpx, answer, AsyncBody)

    return Transport, AsyncTransport


def _request(request: Any, body: bytes) -> Request:
    url = request.url
    path, _, query = url.raw_path.decode("ascii").partition("?")
    origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
    return Request(request.method, path, query, Headers(request.headers.multi_items()), body, origin)


def _timeout(request: Any) -> Any:
    return SimpleNamespace(**{"read": None, **request.extensions.get("timeout", {})})


def _response(httpx: Any, answer: Response, body: Any) -> Any:
    if isinstance(answer.body, bytes):
        return httpx.Response(answer.status, headers=answer.headers.pairs, content=answer.body)
    return httpx.Response(answer.status, headers=answer.headers.pairs, stream=body(answer.body))
