"""Clients of streaming routes, blocking and in an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from ...kernel.flow import World, atell, tell
from ...kernel.options import Timeout
from ...transports import async_transport, transport
from ..events import Event
from .exchange import Exchange, Listener, Patience, Raw, ServerSentEvent, Typed
from .readers import accepted, find
from .request import built, joined

if TYPE_CHECKING:
    from ...kernel.http import Request, Response
    from ...transports import Transportable

__all__ = ("AsyncStreamingClient", "StreamingClient")

T = TypeVar("T")

_TIMEOUT: Final = Timeout(600.0, connect=5.0)


class _Sending(World):
    """The world of a client's flows: its transport, and the time that passes there."""

    def __init__(self, sends: Any) -> None:
        self.transport = sends
        world = getattr(sends, "world", None)
        self.time = world if isinstance(world, World) else World()

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        response: Response = self.transport.send(request, timeout, stream)
        return response

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        response: Response = await self.transport.asend(request, timeout, stream)
        return response

    def sleep(self, seconds: float) -> None:
        self.time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await self.time.asleep(seconds)


class _Client:
    """What clients of either colour have."""

    _is_async: bool

    def __init__(
        self,
        base_url: str = "http://localhost:8000",
        client: Transportable | None = None,
        *,
        app: Any = None,
        format: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = _TIMEOUT,
        max_retries: int = 2,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
    ) -> None:
        """`client` sends: a client of httpx2 or httpx, a handler, a transport; unless told, the network does.

        `app` is an ASGI application, called in this process. `format` is the wire format asked for, `headers` are sent
        with every request, `timeout` is seconds or a `Timeout`. What fails before the first event is tried again,
        `max_retries` times, after `initial_delay` seconds, then twice as many, up to `max_delay`. Raises `TypeError`
        or `ValueError` for what cannot be.
        """
        if app is not None and client is not None:
            raise TypeError("client= sends over a network and app= is called: one of them, not both")
        if format is not None:
            find(format)
        self.base_url = str(base_url)
        joined(self.base_url, "/")
        self.format = format
        self.headers = dict(headers or {})
        self.timeout = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        self._patience = Patience.checked(max_retries, initial_delay, max_delay)
        self._given, self._app = client, app
        self._found: _Sending | None = None

    @property
    def _world(self) -> _Sending:
        if self._found is None:
            sends: Any
            if self._app is not None:
                from .asgi import AppTransport

                sends = AppTransport(self._app)
            else:
                sends = (async_transport if self._is_async else transport)(self._given)
            self._found = _Sending(sends)
        return self._found

    def _exchange(
        self,
        method: str,
        path: str,
        format: str | None,
        headers: Mapping[str, str] | None,
        timeout: float | Timeout | None,
        parts: Mapping[str, Any],
    ) -> Exchange:
        if format is not None:
            find(format)
        said = {"accept": accepted(format or self.format), **_lower(self.headers), **_lower(headers)}
        request = built(method, joined(self.base_url, str(path)), headers=said, **parts)
        wanted = self.timeout if timeout is None else timeout
        return Exchange(request, wanted if isinstance(wanted, Timeout) else Timeout(wanted), self._patience)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


class StreamingClient(_Client):
    """Asks routes, and gives what they answer as it comes.

        client = StreamingClient("http://localhost:8000")
        for event in client.stream_response("POST", "/chat", json={"messages": messages}):
            print(event.event, event.data)

    Leaving an answer early closes its connection, and the server stops. Raises `APIStatusError` where a route says no,
    `APIConnectionError` and `APITimeoutError` where there is no answer or it breaks off.
    """

    _is_async = False

    def stream_response(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        format: str | None = None,
    ) -> Generator[ServerSentEvent, None, None]:
        """The events as they come, whatever they are named; errors in the midst of an answer are events too.

        `params`, `json`, `data` (a form), `content`, `headers`, `cookies` and `timeout` are those of the request.
        """
        parts = {"params": params, "json": json, "data": data, "content": content, "cookies": cookies}
        return self._told(self._exchange(method, path, format, headers, timeout, parts), Raw())

    def stream_events(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        format: str | None = None,
    ) -> Generator[Event, None, None]:
        """What the answer says, in the same events for every wire format: `Start` first, `Finish` or `Error` last."""
        parts = {"params": params, "json": json, "data": data, "content": content, "cookies": cookies}
        return self._told(self._exchange(method, path, format, headers, timeout, parts), Typed(format or self.format))

    def _told(self, exchange: Exchange, listener: Listener[T]) -> Generator[T, None, None]:
        world = self._world
        try:
            yield from tell(exchange.told(listener), world)
        finally:
            exchange.leave().perform(world)

    def close(self) -> None:
        """Close the connections, unless they are those of a client that was given."""
        if self._found is not None and self._given is None:
            self._found.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncStreamingClient(_Client):
    """`StreamingClient` in an event loop: `async for event in client.stream_response(...)`.

    Where an answer is left early and the loop goes on, wrap it in `contextlib.aclosing` to have its connection closed
    there and then.
    """

    _is_async = True

    def stream_response(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        format: str | None = None,
    ) -> AsyncGenerator[ServerSentEvent, None]:
        """The events as they come, whatever they are named; errors in the midst of an answer are events too.

        `params`, `json`, `data` (a form), `content`, `headers`, `cookies` and `timeout` are those of the request.
        """
        parts = {"params": params, "json": json, "data": data, "content": content, "cookies": cookies}
        return self._told(self._exchange(method, path, format, headers, timeout, parts), Raw())

    def stream_events(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        timeout: float | Timeout | None = None,
        format: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """What the answer says, in the same events for every wire format: `Start` first, `Finish` or `Error` last."""
        parts = {"params": params, "json": json, "data": data, "content": content, "cookies": cookies}
        return self._told(self._exchange(method, path, format, headers, timeout, parts), Typed(format or self.format))

    async def _told(self, exchange: Exchange, listener: Listener[T]) -> AsyncGenerator[T, None]:
        world = self._world
        telling = atell(exchange.told(listener), world)
        try:
            async for each in telling:
                yield each
        finally:
            await telling.aclose()
            await exchange.leave().aperform(world)

    async def close(self) -> None:
        """Close the connections, unless they are those of a client that was given."""
        if self._found is not None and self._given is None:
            await self._found.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
