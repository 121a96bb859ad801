"""What checkers see of the helpers on top of websockets. Checked, not run."""

from __future__ import annotations

import io
from typing import Any, assert_type

from antiphon import AsyncOpenAI, OpenAI
from antiphon.helpers import LocalAudioPlayer, Microphone
from antiphon.lib.live import (
    AsyncTranscriptGrouper,
    TranscriptGrouper,
    TranscriptSegment,
    TranscriptSegmentClosedEvent,
)
from antiphon.lib.realtime_translation import (
    AsyncTranslationConnection,
    AsyncTranslationSession,
    TranslationConnection,
    TranslationSession,
)
from antiphon.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketAccumulator,
    ResponsesWebSocketLane,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
    ResponsesWebSocketSnapshot,
)
from antiphon.types.realtime import RealtimeTranslationServerEvent
from antiphon.types.responses import Response
from antiphon.types.responses.responses_server_event import ResponsesServerEvent


def lanes(client: OpenAI, limits: ResponsesWebSocketLimits) -> None:
    with client.responses.connect() as connection, ResponsesWebSocketSession(connection, limits=limits) as session:
        assert_type(session.default, ResponsesWebSocketLane)
        lane = session.lane("a")
        lane.send({"type": "response.create", "model": "gpt-5", "input": "Hello"})
        assert_type(lane.recv(timeout=1), ResponsesServerEvent)
        assert_type(lane.get_final_response(), Response)
        accumulator = ResponsesWebSocketAccumulator()
        accumulator.add_event(lane.recv())
        assert_type(accumulator.snapshot(), ResponsesWebSocketSnapshot)
        assert_type(accumulator.detailed_snapshot(), dict[str, Any])
        lane.send({"type": "no.such"})  # E
        session.lane(3)  # E
    ResponsesWebSocketSession(connection)  # E
    ResponsesWebSocketLimits(max_lanes=1)  # E
    with client.realtime.connect() as other:
        ResponsesWebSocketSession(other, limits=limits)  # E


async def lanes_in_a_loop(client: AsyncOpenAI, limits: ResponsesWebSocketLimits) -> None:
    async with client.responses.connect() as connection:
        async with AsyncResponsesWebSocketSession(connection, limits=limits) as session:
            lane = session.lane()
            await lane.send({"type": "response.create"})
            assert_type(await lane.recv(), ResponsesServerEvent)
            assert_type(await lane.get_final_response(), Response)


def transcripts(grouper: TranscriptGrouper) -> None:
    @grouper.on("segment.updated")
    def shown(segment: TranscriptSegment) -> None:
        assert_type(segment.text, str)

    def closed(event: TranscriptSegmentClosedEvent) -> None:
        assert_type(event.segment, TranscriptSegment)

    assert_type(grouper.on("segment.closed", closed), TranscriptGrouper)
    grouper.on("segment.updated", closed)  # E
    grouper.on("no.such", closed)  # E
    TranscriptGrouper(assistant_silence_ms="long")  # E


async def transcripts_in_a_loop(grouper: AsyncTranscriptGrouper, client: AsyncOpenAI) -> None:
    async def shown(segment: TranscriptSegment) -> None:
        pass

    grouper.on("segment.updated", shown).once("segment.updated", shown).off("segment.updated", shown)
    async with client.live.connect() as connection:
        async for event in connection:
            await grouper.push(event)
    await grouper.close()


def translating(client: OpenAI) -> None:
    with TranslationSession(client.realtime.translations, model="m") as connection:
        assert_type(connection, TranslationConnection)
        connection.send({"type": "session.close"})
        assert_type(connection.recv(timeout=1), RealtimeTranslationServerEvent)
        connection.send({"type": "no.such"})  # E
    TranslationSession(client.realtime.translations)  # E


async def translating_in_a_loop(client: AsyncOpenAI) -> None:
    async with AsyncTranslationSession(client.realtime.translations, model="m") as connection:
        assert_type(connection, AsyncTranslationConnection)
        assert_type(await connection.recv(), RealtimeTranslationServerEvent)
    TranslationSession(client.realtime.translations, model="m")  # E


async def sound() -> None:
    import numpy

    microphone = Microphone(dtype=numpy.float32, timeout=3)
    name, file, media = await microphone.record()
    assert_type((name, file, media), tuple[str, io.BytesIO, str])
    samples = await microphone.record(return_ndarray=True)
    await LocalAudioPlayer().play(samples)
    await LocalAudioPlayer().play("music.mp3")  # E
