"""How requests leave a client: over the network, to a handler in process, through a client of another library.

A transport for blocking clients has `send(request, timeout, stream) -> Response` and `close()`, one for async
clients `asend` and `aclose`. With `stream` the body is left unread: an iterator of bytes with `close()`, an async
one with `aclose()`. `timeout` is seconds, a `Timeout` or `None`. Where no response comes they raise
`APIConnectionError` or `APITimeoutError`. A transport may have a `world`, in which the client waits between attempts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from ..kernel.http import Handler, Request, Response
    from .handler import HandlerTransport

__all__ = ("AsyncTransport", "Transport", "Transportable", "async_transport", "transport")


@runtime_checkable
class Transport(Protocol):
    """What a blocking client sends its requests with."""

    def send(self, request: Request, timeout: Any, stream: bool) -> Response: ...
    def close(self) -> None: ...


@runtime_checkable
class AsyncTransport(Protocol):
    """What an async client sends its requests with."""

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response: ...
    async def aclose(self) -> None: ...


if TYPE_CHECKING:
    Transportable: TypeAlias = Handler | Transport | AsyncTransport | Any
    """A handler, a transport, a client of httpx2 or httpx, or (for an async client) a session of aiohttp."""
else:
    Transportable = object


def transport(given: Transportable | None) -> Transport:
    """The blocking transport that a client was given, by whatever name. Raises `TypeError` for what is none."""
    if given is None:
        from .network import NetworkTransport

        return NetworkTransport()
    if hasattr(given, "build_request"):
        from .httpx2 import HttpxTransport

        return HttpxTransport(given, is_async=False)
    if isinstance(given, Transport):
        return given
    return _handler(given)


def async_transport(given: Transportable | None) -> AsyncTransport:
    """`transport` for an async client."""
    if given is None:
        from .network import NetworkTransport

        return NetworkTransport()
    if hasattr(given, "build_request"):
        from .httpx2 import HttpxTransport

        return HttpxTransport(given, is_async=True)
    if isinstance(given, AsyncTransport):
        return given
    if type(given).__module__.partition(".")[0] == "aiohttp":
        from .aiohttp import AiohttpTransport

        session: Any = given
        return AiohttpTransport(session)
    return _handler(given)


def _handler(given: Any) -> HandlerTransport:
    if not hasattr(given, "__call__"):  # noqa: B004 (`callable` would narrow the type)
        raise TypeError(
            f"transport= takes a handler (a function from a Request to a Response), a transport, a client of httpx2 or "
            f"httpx, or for an async client a session of aiohttp; this is of type {type(given).__name__}"
        )
    from .handler import HandlerTransport

    return HandlerTransport(given)
