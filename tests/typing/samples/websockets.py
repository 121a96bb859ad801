"""What checkers see of websocket connections. Checked, not run."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, assert_type

from antiphon import AsyncOpenAI, OpenAI
from antiphon.api.connections import (
    AsyncRealtimeConnection,
    AsyncRealtimeConnectionManager,
    BetaRealtimeConnection,
    LiveConnection,
    RealtimeConnection,
    RealtimeConnectionManager,
    ResponsesConnection,
)
from antiphon.types.live.server_event import ServerEvent
from antiphon.types.realtime import (
    RealtimeServerEvent,
    ResponseCreateEvent,
    ResponseTextDeltaEvent,
    SessionCreatedEvent,
)
from antiphon.types.responses.responses_server_event import ResponsesServerEvent
from antiphon.types.websocket_connection_options import SyncWebSocketConnectionOptions
from antiphon.types.websocket_reconnection import ReconnectingEvent, ReconnectingOverrides


def connecting(client: OpenAI, options: SyncWebSocketConnectionOptions) -> None:
    manager = client.realtime.connect(model="m")
    assert_type(manager, RealtimeConnectionManager)
    assert_type(manager.enter(), RealtimeConnection)
    with client.realtime.connect(call_id="c", websocket_connection_options=options, max_retries=1) as connection:
        assert_type(connection, RealtimeConnection)
    with client.live.connect(websocket_connection_options={"max_size": 1000}) as live:
        assert_type(live, LiveConnection)
        assert_type(live.recv(), ServerEvent)
    with client.responses.connect() as responses:
        assert_type(responses, ResponsesConnection)
        assert_type(responses.recv(), ResponsesServerEvent)
    with client.beta.realtime.connect(model="m") as beta:
        assert_type(beta, BetaRealtimeConnection)
    client.realtime.connect(modle="m")  # E
    client.beta.realtime.connect()  # E
    client.realtime.translations.connect()  # E
    client.live.sideband.connect()  # E
    client.realtime.connect(websocket_connection_options={"max_size": "big"})  # E
    client.with_raw_response.realtime.connect(model="m")  # E


def receiving(connection: RealtimeConnection) -> None:
    assert_type(connection.recv(), RealtimeServerEvent)
    assert_type(connection.recv_bytes(), bytes)
    assert_type(connection.parse_event("{}"), RealtimeServerEvent)
    for event in connection:
        assert_type(event, RealtimeServerEvent)
        if isinstance(event, SessionCreatedEvent):
            assert_type(event.event_id, str)
        if event.type == "response.output_text.delta":
            assert_type(event, ResponseTextDeltaEvent)
            event.dleta  # E


def sending(connection: RealtimeConnection, responses: ResponsesConnection, live: LiveConnection) -> None:
    connection.send({"type": "response.cancel"})
    connection.send(ResponseCreateEvent(type="response.create"))
    connection.send_raw(b"{}")
    connection.session.update(session={"type": "realtime", "instructions": "x"}, event_id="e")
    connection.conversation.item.truncate(audio_end_ms=1, content_index=0, item_id="i")
    assert_type(connection.input_audio_buffer.append(audio="eA=="), None)
    responses.response.create(model="gpt-5", input="Hello")
    live.session.commentary.append(content="x", delegation_id=None)
    connection.close(code=1000, reason="done")
    connection.send({"type": "no.such"})  # E
    connection.send("{}")  # E
    connection.session.update(session={"type": "realtime", "instructions": 3})  # E
    connection.input_audio_buffer.append()  # E
    connection.input_audio_buffer.append(audio=b"x")  # E
    connection.response.stop()  # E
    responses.response.create(modle="gpt-5")  # E
    live.session.commentary.append(content="x")  # E


def again(event: ReconnectingEvent) -> ReconnectingOverrides | None:
    assert_type(event.attempt, int)
    return {"extra_query": {"n": event.attempt}} if event.close_code == 1012 else {"abort": True}


async def again_async(event: ReconnectingEvent) -> ReconnectingOverrides | None:
    return None


def reconnecting(client: OpenAI, other: AsyncOpenAI) -> None:
    client.realtime.connect(on_reconnecting=again)
    client.realtime.connect(on_reconnecting=lambda event: {"abort": event.attempt > 3})
    other.realtime.connect(on_reconnecting=again_async)
    client.realtime.connect(on_reconnecting=lambda: None)  # E
    client.realtime.connect(on_reconnecting=lambda event: 3)  # E


def handling(connection: RealtimeConnection, manager: RealtimeConnectionManager) -> None:
    @connection.on("session.created")
    def created(event: SessionCreatedEvent) -> str:
        return event.event_id

    assert_type(created(SessionCreatedEvent(event_id="e", session=None, type="session.created")), str)  # E
    assert_type(connection.on("error", print), RealtimeConnection)
    assert_type(connection.once("error", print).off("error", print), RealtimeConnection)
    assert_type(manager.on("error", print), RealtimeConnectionManager)
    connection.on("error", 3)  # E
    connection.dispatch_events()


async def in_the_other_colour(client: AsyncOpenAI) -> None:
    manager = client.realtime.connect(model="m")
    assert_type(manager, AsyncRealtimeConnectionManager)
    assert_type(await manager.enter(), AsyncRealtimeConnection)
    async with client.realtime.connect(model="m", websocket_connection_options={"write_limit": 3}) as connection:
        assert_type(connection, AsyncRealtimeConnection)
        assert_type(await connection.recv(), RealtimeServerEvent)
        sent = connection.input_audio_buffer.append(audio="eA==")
        awaited: Coroutine[Any, Any, None] = sent
        await awaited
        await connection.session.update(session={"type": "realtime"})
        await connection.conversation.item.delete(item_id="i")
        async for event in connection:
            assert_type(event, RealtimeServerEvent)
        for _ in connection:  # E
            pass
        await connection.response.stop()  # E
    with client.realtime.connect(model="m"):  # E
        pass
