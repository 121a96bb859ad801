"""`connect`, of every resource that is spoken with over a websocket.

Each returns a manager: `with client.realtime.connect(model=…) as connection:`, or `.enter()` without `with`. They share
these arguments:

- `extra_query`, `extra_headers`: go before those of the client.
- `websocket_connection_options`: further arguments of `connect` of the `websockets` library.
- `on_reconnecting`: called with a `ReconnectingEvent` before each attempt to make a lost connection again; may return
  `ReconnectingOverrides`. Without it a lost connection stays lost. For an async client it may be a coroutine function.
- `max_retries`: how many attempts there are until an event has arrived again.
- `initial_delay`, `max_delay`: seconds before the first attempt, doubled for each further one, and at most.
- `max_queue_size`: bytes of events that are kept while there is no connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from antiphon.kernel.omit import Omit, omit
from antiphon.kernel.operation import Resource, V, _segment
from antiphon.kernel.websocket import Dial

from .sockets import connects, given

if TYPE_CHECKING:
    from antiphon.api.connections.beta_realtime import AsyncRealtimeConnectionManager as AsyncBetaRealtime
    from antiphon.api.connections.beta_realtime import RealtimeConnectionManager as BetaRealtime
    from antiphon.api.connections.beta_responses import AsyncResponsesConnectionManager as AsyncBetaResponses
    from antiphon.api.connections.beta_responses import ResponsesConnectionManager as BetaResponses
    from antiphon.api.connections.live import AsyncLiveConnectionManager, LiveConnectionManager
    from antiphon.api.connections.live_forks import AsyncForksConnectionManager, ForksConnectionManager
    from antiphon.api.connections.live_sideband import AsyncSidebandConnectionManager, SidebandConnectionManager
    from antiphon.api.connections.realtime import AsyncRealtimeConnectionManager, RealtimeConnectionManager
    from antiphon.api.connections.realtime_translations import (
        AsyncTranslationsConnectionManager,
        TranslationsConnectionManager,
    )
    from antiphon.api.connections.responses import AsyncResponsesConnectionManager, ResponsesConnectionManager
    from antiphon.kernel.options import Headers, Query
    from antiphon.kernel.websocket import (
        ReconnectingEvent,
        ReconnectingOverrides,
        SyncWebSocketConnectionOptions,
        WebSocketConnectionOptions,
    )

    Options: TypeAlias = SyncWebSocketConnectionOptions | WebSocketConnectionOptions
    OnReconnecting: TypeAlias = Callable[
        [ReconnectingEvent], ReconnectingOverrides | Awaitable[ReconnectingOverrides | None] | None
    ]

__all__ = (
    "BetaRealtimeConnect",
    "BetaResponsesConnect",
    "ForksConnect",
    "LiveConnect",
    "RealtimeConnect",
    "ResponsesConnect",
    "SidebandConnect",
    "TranslationsConnect",
)

EVENTS = 1_048_576
LIVE = 2_097_152
"""Bytes of events that are kept while there is no connection; live sessions send more in the same time."""


def _dial(
    path: str,
    extra_query: Query | None,
    extra_headers: Headers | None,
    options: Options | None,
    on_reconnecting: OnReconnecting | None,
    max_retries: int,
    initial_delay: float,
    max_delay: float,
    max_queue_size: int,
    *,
    query: dict[str, Any] | None = None,
    fixed_query: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Dial:
    return Dial(
        path,
        query or {},
        fixed_query or {},
        headers or {},
        dict(options or {}),
        extra_query or {},
        extra_headers or {},
        on_reconnecting,
        max_retries,
        initial_delay,
        max_delay,
        max_queue_size,
    )


def _below(method: str, path: str, session_id: str) -> str:
    return path.replace("{session_id}", _segment(method, "session_id", session_id))


# The managers of both colours. Imported when the first connection is made.


def _realtime() -> tuple[type[RealtimeConnectionManager], type[AsyncRealtimeConnectionManager]]:
    from antiphon.api.connections import realtime as made

    return made.RealtimeConnectionManager, made.AsyncRealtimeConnectionManager


def _realtime_translations() -> tuple[type[TranslationsConnectionManager], type[AsyncTranslationsConnectionManager]]:
    from antiphon.api.connections import realtime_translations as made

    return made.TranslationsConnectionManager, made.AsyncTranslationsConnectionManager


def _live() -> tuple[type[LiveConnectionManager], type[AsyncLiveConnectionManager]]:
    from antiphon.api.connections import live as made

    return made.LiveConnectionManager, made.AsyncLiveConnectionManager


def _live_sideband() -> tuple[type[SidebandConnectionManager], type[AsyncSidebandConnectionManager]]:
    from antiphon.api.connections import live_sideband as made

    return made.SidebandConnectionManager, made.AsyncSidebandConnectionManager


def _live_forks() -> tuple[type[ForksConnectionManager], type[AsyncForksConnectionManager]]:
    from antiphon.api.connections import live_forks as made

    return made.ForksConnectionManager, made.AsyncForksConnectionManager


def _responses() -> tuple[type[ResponsesConnectionManager], type[AsyncResponsesConnectionManager]]:
    from antiphon.api.connections import responses as made

    return made.ResponsesConnectionManager, made.AsyncResponsesConnectionManager


def _beta_realtime() -> tuple[type[BetaRealtime], type[AsyncBetaRealtime]]:
    from antiphon.api.connections import beta_realtime as made

    return made.RealtimeConnectionManager, made.AsyncRealtimeConnectionManager


def _beta_responses() -> tuple[type[BetaResponses], type[AsyncBetaResponses]]:
    from antiphon.api.connections import beta_responses as made

    return made.ResponsesConnectionManager, made.AsyncResponsesConnectionManager


# The resources


class RealtimeConnect(Resource[V]):
    """`client.realtime.connect`."""

    @connects(_realtime)
    def connect(
        self,
        *,
        call_id: str | Omit = omit,
        model: str | Omit = omit,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
        on_reconnecting: OnReconnecting | None = None,
        max_retries: int = 5,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        max_queue_size: int = EVENTS,
    ) -> Dial:
        """Talk with a realtime model: a new conversation with `model`, or the call `call_id`.

        https://platform.openai.com/docs/api-reference/realtime
        """
        return _dial(
            "/realtime",
            extra_query,
            extra_headers,
            websocket_connection_options,
            on_reconnecting,
            max_retries,
            initial_delay,
            max_delay,
            max_queue_size,
            query=given(model=model),
            fixed_query=given(call_id=call_id),
        )


class TranslationsConnect(Resource[V]):
    """`client.realtime.translations.connect`."""

    @connects(_realtime_translations)
    def connect(
        self,
        model: str,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
        on_reconnecting: OnReconnecting | None = None,
        max_retries: int = 5,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        max_queue_size: int = EVENTS,
    ) -> Dial:
        """Have speech translated as it is spoken.

        https://platform.openai.com/docs/api-reference/realtime
        """
        return _dial(
            "/realtime/translations",
            extra_query,
            extra_headers,
            websocket_connection_options,
            on_reconnecting,
            max_retries,
            initial_delay,
            max_delay,
            max_queue_size,
            query={"model": model},
        )


class LiveConnect(Resource[V]):
    """`client.live.connect`."""

    @connects(_live)
    def connect(
        self,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
        on_reconnecting: OnReconnecting | None = None,
        max_retries: int = 5,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        max_queue_size: int = LIVE,
    ) -> Dial:
        """Begin a live session; `session.start` is what to send first, and `session.started` what to wait for.

        https://platform.openai.com/docs/api-reference/live
        """
        return _dial(
            "/live/sessions",
            extra_query,
            extra_headers,
            websocket_connection_options,
            on_reconnecting,
            max_retries,
            initial_delay,
            max_delay,
            max_queue_size,
        )


class SidebandConnect(Resource[V]):
    """`client.live.sideband.connect`."""

    @connects(_live_sideband)
    def connect(
        self,
        *,
        session_id: str,
        graceful_close: bool | Omit = omit,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
        on_reconnecting: OnReconnecting | None = None,
        max_retries: int = 5,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        max_queue_size: int = LIVE,
    ) -> Dial:
        """Watch and steer a live session from a server of your own.

        https://platform.openai.com/docs/api-reference/live
        """
        return _dial(
            _below("live.sideband.connect", "/live/sessions/{session_id}/attach", session_id),
            extra_query,
            extra_headers,
            websocket_connection_options,
            on_reconnecting,
            max_retries,
            initial_delay,
            max_delay,
            max_queue_size,
            query=given(graceful_close=graceful_close),
        )


class ForksConnect(Resource[V]):
    """`client.live.forks.connect`."""

    @connects(_live_forks)
    def connect(
        self,
        *,
        session_id: str,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
        on_reconnecting: OnReconnecting | None = None,
        max_retries: int = 5,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        max_queue_size: int = LIVE,
    ) -> Dial:
        """Begin a live session where another one is.

        https://platform.openai.com/docs/api-reference/live
        """
        return _dial(
            _below("live.forks.connect", "/live/sessions/{session_id}/fork", session_id),
            extra_query,
            extra_headers,
            websocket_connection_options,
            on_reconnecting,
            max_retries,
            initial_delay,
            max_delay,
            max_queue_size,
        )


class ResponsesConnect(Resource[V]):
    """`client.responses.connect`."""

    @connects(_responses)
    def connect(
        self,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
        on_reconnecting: OnReconnecting | None = None,
        max_retries: int = 5,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        max_queue_size: int = EVENTS,
    ) -> Dial:
        """Have a model respond, request after request over one connection.

        https://platform.openai.com/docs/api-reference/responses
        """
        return _dial(
            "/responses",
            extra_query,
            extra_headers,
            websocket_connection_options,
            on_reconnecting,
            max_retries,
            initial_delay,
            max_delay,
            max_queue_size,
        )


class BetaResponsesConnect(Resource[V]):
    """`client.beta.responses.connect`."""

    @connects(_beta_responses)
    def connect(
        self,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
        on_reconnecting: OnReconnecting | None = None,
        max_retries: int = 5,
        initial_delay: float = 0.5,
        max_delay: float = 8.0,
        max_queue_size: int = EVENTS,
    ) -> Dial:
        """Have a model respond, request after request over one connection, with what is in beta.

        https://platform.openai.com/docs/api-reference/responses
        """
        return _dial(
            "/responses",
            extra_query,
            extra_headers,
            websocket_connection_options,
            on_reconnecting,
            max_retries,
            initial_delay,
            max_delay,
            max_queue_size,
        )


class BetaRealtimeConnect(Resource[V]):
    """`client.beta.realtime.connect`."""

    @connects(_beta_realtime)
    def connect(
        self,
        *,
        model: str,
        extra_query: Query | None = None,
        extra_headers: Headers | None = None,
        websocket_connection_options: Options | None = None,
    ) -> Dial:
        """Talk with a realtime model by the events of the beta. `client.realtime.connect` took its place.

        A lost connection is not made again.

        https://platform.openai.com/docs/api-reference/realtime
        """
        return _dial(
            "/realtime",
            extra_query,
            extra_headers,
            websocket_connection_options,
            None,
            0,
            0.5,
            8.0,
            EVENTS,
            query={"model": model},
            headers={"OpenAI-Beta": "realtime=v1"},
        )
