"""httpx2 and httpx: their transports over the network. Transports of others (mocks, ASGI) are left alone."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from functools import cache, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import APIConnectionError

if TYPE_CHECKING:
    from ...transports.handler import HandlerTransport
    from ..interception import Interception

__all__ = ("patches",)


def patches(module: ModuleType, interception: Interception) -> Iterator[tuple[Any, str, Any]]:
    """`HTTPTransport` and `AsyncHTTPTransport`, and what they make of TLS."""
    owner, aowner = module.HTTPTransport, module.AsyncHTTPTransport
    handle, ahandle = owner.handle_request, aowner.handle_async_request
    name = module.__name__

    def handle_request(self: Any, request: Any) -> Any:
        there = _route(interception, self, request, name)
        if there is None:
            return handle(self, request)
        # Only now: it imports the library, which may have been on its way in when it was patched.
        from ...transports.httpx2 import _large, _ours, _read_timeout

        pieces = _large(request)
        if not pieces:
            request.read()
        try:
            response = there.send(_ours(request, pieces), _read_timeout(request), True)
        except APIConnectionError as error:
            raise _theirs(module, error, request, "ConnectError") from error
        body = _bodies(module)[0](response.body, request)
        return module.Response(response.status, headers=response.headers.pairs, stream=body, request=request)

    async def handle_async_request(self: Any, request: Any) -> Any:
        there = _route(interception, self, request, name)
        if there is None:
            return await ahandle(self, request)
        from ...transports.httpx2 import _large, _ours, _read_timeout

        pieces = _large(request)
        if not pieces:
            await request.aread()
        try:
            response = await there.asend(_ours(request, pieces), _read_timeout(request), True)
        except APIConnectionError as error:
            raise _theirs(module, error, request, "ConnectError") from error
        body = _bodies(module)[1](response.body, request)
        return module.Response(response.status, headers=response.headers.pairs, stream=body, request=request)

    yield owner, "handle_request", handle_request
    yield aowner, "handle_async_request", handle_async_request
    home = sys.modules.get(f"{name}._transports.default")
    make = getattr(home, "create_ssl_context", None)
    if make is not None:
        yield home, "create_ssl_context", partial(_certificates, name, make)


_CONTEXTS: Final[dict[Any, Any]] = {}
"""Contexts of TLS with the system's certificates, by library, and by what in the environment decides on them."""


def _certificates(library: str, make: Any, verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
    """The certificates that a client trusts: read once, and not for each client that a test makes.

    That takes 20 to 60 ms, and clients of tests ask nobody.
    """
    if verify is not True or cert is not None:
        return make(verify=verify, cert=cert, trust_env=trust_env)
    key = (library, trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    found = _CONTEXTS.get(key)
    if found is None:
        found = _CONTEXTS[key] = make(verify=True, cert=None, trust_env=trust_env)
    return found


def _route(interception: Interception, transport: Any, request: Any, library: str) -> HandlerTransport | None:
    """Where a request goes. A transport over a socket of Unix stays on this machine, whatever the host is named."""
    if getattr(getattr(transport, "_pool", None), "_uds", None) is not None:
        return None
    return interception.route(request.url.host, f"{request.method} {request.url}", library)


def _theirs(module: Any, error: APIConnectionError, request: Any, otherwise: str) -> Exception:
    """An error of ours as the library has it."""
    from ...transports.httpx2 import their_error

    return their_error(module, error, request, otherwise)


@cache
def _bodies(module: Any) -> tuple[Any, Any]:
    """The streams of bodies, derived from the library's own classes: it asks for these."""
    sync_stream: Any = module.SyncByteStream
    async_stream: Any = module.AsyncByteStream

    class Body(sync_stream):  # type: ignore[misc]
        def __init__(self, body: Any, request: Any) -> None:
            self._body, self._request = body, request

        def __iter__(self) -> Iterator[bytes]:
            if isinstance(self._body, bytes):
                yield self._body
                return
            try:
                yield from self._body
            except APIConnectionError as error:
                raise _theirs(module, error, self._request, "ReadError") from error

        def close(self) -> None:
            if not isinstance(self._body, bytes):
                self._body.close()

    class AsyncBody(async_stream):  # type: ignore[misc]
        def __init__(self, body: Any, request: Any) -> None:
            self._body, self._request = body, request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if isinstance(self._body, bytes):
                yield self._body
                return
            try:
                async for piece in self._body:
                    yield piece
            except APIConnectionError as error:
                raise _theirs(module, error, self._request, "ReadError") from error

        async def aclose(self) -> None:
            if not isinstance(self._body, bytes):
                await self._body.aclose()

    return Body, AsyncBody
