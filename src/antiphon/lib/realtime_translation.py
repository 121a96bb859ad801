"""Sessions of realtime translation: they end in order, and say nothing twice.

    with TranslationSession(client.realtime.translations, model="gpt-realtime-translate") as connection:
        connection.send({"type": "session.input_audio_buffer.append", "audio": …})
        connection.send({"type": "session.close"})
        while (event := connection.recv()).type != "session.closed":
            …

Sending `session.close` ends what goes in; what comes out goes on until `session.closed`, which closes the connection. A
session is one connection: it is not made again, and what could not be sent is not sent again.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from ..kernel.errors import OpenAIError
from ..kernel.flow import Step, World, arun, run
from ..kernel.view import View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ..kernel.flow import Flow
    from ..kernel.options import Headers, Query
    from ..kernel.websocket import SyncWebSocketConnectionOptions, WebSocketConnectionOptions
    from ..types.realtime.realtime_translation_client_event import RealtimeTranslationClientEvent
    from ..types.realtime.realtime_translation_client_event_param import RealtimeTranslationClientEventParam
    from ..types.realtime.realtime_translation_server_event import RealtimeTranslationServerEvent

    # Known by what they can do: what is built on resources and connections is below them.
    from ..api.connections.realtime_translations import (  # isort: skip
        AsyncTranslationsConnection,
        TranslationsConnection,
    )
    from ..api.realtime.translations import Translations  # isort: skip
    from ..kernel.operation import Async, Sync  # isort: skip

    Sent: TypeAlias = RealtimeTranslationClientEvent | RealtimeTranslationClientEventParam

__all__ = ("AsyncTranslationConnection", "AsyncTranslationSession", "TranslationConnection", "TranslationSession")

_OVER = "the session's input is closed: `session.close` was sent, or the session has ended"
_TWICE = "a translation session can only be entered once"
_HERE = World()


class _Do(Step[None]):
    """A call of either colour: what it gives is awaited in an event loop."""

    __slots__ = ("_args", "_function")

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._function = function
        self._args = args

    def perform(self, world: World) -> None:
        self._function(*self._args)

    async def aperform(self, world: World) -> None:
        await self._function(*self._args)


class _Input:
    """What goes in: `open` until `session.close` was sent, then `finishing`, and `closed` with the connection."""

    def __init__(self) -> None:
        self.state: Literal["open", "finishing", "closed"] = "open"

    def take(self, event: Any, send: Callable[[Any], Any], close: Callable[[], Any]) -> Flow[None]:
        """Send an event, unless it says once more that this was all. Raises `OpenAIError` for what comes after that.

        Whether the server got what failed is not known, so the connection goes with it.
        """
        last = (event._data if isinstance(event, View) else event).get("type") == "session.close"
        match self.state, last:
            case "finishing", True:
                return
            case "open", _:
                self.state = "finishing" if last else "open"
            case _:
                raise OpenAIError(_OVER)
        try:
            yield _Do(send, event)
        except BaseException as failure:
            yield from _leaving(close, failure)
            raise


def _leaving(close: Callable[[], Any], failure: BaseException | None) -> Flow[None]:
    """Close what is left, for a failure perhaps: that is what is raised then, and what closing raises is its cause."""
    try:
        yield _Do(close)
    except BaseException as error:
        if failure is None:
            raise
        raise failure from error


def _checked(event: Any) -> Any:
    """An event as it is. Only a whole `session.closed` may end a session: any other raises `ValueError`."""
    if isinstance(event, View) and event._data.get("type") == "session.closed" and not _ends(event):
        raise ValueError(f"a session.closed event needs its event_id, and is passed over: {event!r}")
    return event


def _ends(event: Any) -> bool:
    data = event._data if isinstance(event, View) else {}
    return data.get("type") == "session.closed" and isinstance(data.get("event_id"), str)


class TranslationConnection:
    """The connection of a `TranslationSession`. One thread receives; any may send and close."""

    def __init__(self, connection: TranslationsConnection) -> None:
        self._connection = connection
        self._input = _Input()
        self._sending = threading.Lock()
        self._closing = threading.Lock()
        self._closed: Future[None] | None = None

    def send(self, event: Sent) -> None:
        """Send an event. Raises `OpenAIError` after `session.close`; a send that fails closes the connection."""
        with self._sending:
            run(self._input.take(event, self._connection.send, self.close), _HERE)

    def recv(self, *, timeout: float | None = None) -> RealtimeTranslationServerEvent:
        """The next event; after `session.closed` the connection is closed.

        Raises `TimeoutError` after `timeout` seconds, with nothing lost, the library's `ConnectionClosed` where the
        session ends otherwise, and `ValueError` for a `session.closed` that is not whole.
        """
        event: RealtimeTranslationServerEvent = _checked(
            self._connection.parse_event(self._connection._socket.receive(timeout))
        )
        if _ends(event):
            # Closing takes as long as the server does: who has no time does not wait for it.
            if timeout is None:
                self.close()
            else:
                self._begin_closing(aside=True)
        return event

    def close(self) -> None:
        """Close the connection, once; returns when it is closed, and raises what that failed with."""
        self._begin_closing(aside=False).result()

    def _begin_closing(self, *, aside: bool) -> Future[None]:
        with self._closing:
            # Whoever is sending is not waited for.
            self._input.state = "closed"
            if self._closed is not None:
                return self._closed
            self._closed = closed = Future[None]()
        if not aside:
            self._close(closed)
            return closed
        try:
            threading.Thread(target=self._close, args=(closed,), daemon=True).start()
        except BaseException as starting:
            self._close(closed)
            raise starting from closed.exception()
        return closed

    def _close(self, closed: Future[None]) -> None:
        try:
            self._connection.close()
        except BaseException as error:
            closed.set_exception(error)
        else:
            closed.set_result(None)


class AsyncTranslationConnection:
    """The connection of an `AsyncTranslationSession`. One task receives; any may send and close."""

    def __init__(self, connection: AsyncTranslationsConnection) -> None:
        self._connection = connection
        self._input = _Input()
        self._sending = asyncio.Lock()

    async def send(self, event: Sent) -> None:
        """Send an event. See `TranslationConnection.send`."""
        async with self._sending:
            await arun(self._input.take(event, self._connection.send, self.close), _HERE)

    async def recv(self) -> RealtimeTranslationServerEvent:
        """The next event; nothing is lost when this is cancelled. See `TranslationConnection.recv`."""
        event: RealtimeTranslationServerEvent = _checked(
            self._connection.parse_event(await self._connection._socket.receive())
        )
        if _ends(event):
            await self.close()
        return event

    async def close(self) -> None:
        """Close the connection."""
        self._input.state = "closed"
        await self._connection.close()


C = TypeVar("C", bound=TranslationConnection | AsyncTranslationConnection)


class _Session(Generic[C]):
    """Where a session connects to, how, and what came of it: the connection that it is to close."""

    def __init__(self, resource: Any, model: str, extra_query: Query | None, **how: Any) -> None:
        self._resource = resource
        self._model = model
        self._query: Mapping[str, Any] = extra_query or {}
        self._how = how
        self._entered = False
        self._connection: C | None = None

    def _manager(self) -> Any:
        """What connects. Raises what `_enter` does."""
        query = self._enter()
        return self._resource.connect(model=self._model, extra_query=query, **self._how)

    def _left(self, failure: BaseException | None) -> Flow[None]:
        """What is done where a `with` block ends."""
        if self._connection is not None:
            yield from _leaving(self._connection.close, failure)

    def _enter(self) -> Mapping[str, Any]:
        """The query to connect with, once. Raises what is wrong with it before any key is asked for."""
        if self._entered:
            raise RuntimeError(_TWICE)
        self._entered = True
        if not self._model:
            raise ValueError("a translation session needs a `model`")
        client = self._resource._core
        if getattr(client, "_route", None) is not None or hasattr(client, "_azure_deployment"):
            raise OpenAIError("Realtime Translation is not available through this provider: only OpenAI has it")
        base, socket_base = (_asked(url) for url in (client._base_url, client.websocket_base_url))
        known = (client.default_query, socket_base, self._query)
        if any("intent" in each for each in (base, *known)):
            raise ValueError("Realtime Translation takes no `intent` in its query: it is what the session is for")
        # What the base URL asks for counts here even where websockets have a base URL of their own.
        beside = {name: value for name, value in base.items() if not any(name in each for each in known)}
        return {**beside, **self._query} if beside else self._query


def _asked(url: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(str(url or "")).query, keep_blank_values=True)


class TranslationSession(_Session[TranslationConnection]):
    """A session of `client.realtime.translations`: entered once, and never made again.

    Raises, when it is entered, `ValueError` without a model or with an `intent` in the query, and `OpenAIError` for
    clients of Azure and of clouds.
    """

    def __init__(
        self,
        resource: Translations[Sync],
        *,
        model: str,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: SyncWebSocketConnectionOptions | None = None,
    ) -> None:
        super().__init__(
            resource,
            model,
            extra_query,
            extra_headers=extra_headers,
            websocket_connection_options=websocket_connection_options,
        )

    def __enter__(self) -> TranslationConnection:
        self._connection = TranslationConnection(self._manager().enter())
        return self._connection

    def enter(self) -> TranslationConnection:
        """Connect without `with`: closing is up to you."""
        return self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run(self._left(error), _HERE)


class AsyncTranslationSession(_Session[AsyncTranslationConnection]):
    """`TranslationSession` for an event loop."""

    def __init__(
        self,
        resource: Translations[Async],
        *,
        model: str,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: WebSocketConnectionOptions | None = None,
    ) -> None:
        super().__init__(
            resource,
            model,
            extra_query,
            extra_headers=extra_headers,
            websocket_connection_options=websocket_connection_options,
        )

    async def __aenter__(self) -> AsyncTranslationConnection:
        self._connection = AsyncTranslationConnection(await self._manager().enter())
        return self._connection

    async def enter(self) -> AsyncTranslationConnection:
        """Connect without `async with`: closing is up to you."""
        return await self.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await arun(self._left(error), _HERE)
