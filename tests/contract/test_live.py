"""Live sessions and translations over websockets, for every client, and what each event is."""

from __future__ import annotations

import base64
from typing import Any

import openai.lib.realtime_translation as official_translation
import pytest
from openai.types.live import ForkServerEvent, ServerEvent
from openai.types.live.connect_server_event import ConnectServerEvent
from openai.types.realtime.realtime_translation_server_event import RealtimeTranslationServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from antiphon.lib import realtime_translation as our_translation
from antiphon.lib.live import TranscriptGrouper

from .test_realtime import SECOND, kinds, opened, over_a_socket, speech

__all__ = ("over_a_socket",)

MODEL = "gpt-live-1"
EVENTS: Any = TypeAdapter(ServerEvent)
SIDE: Any = TypeAdapter(ConnectServerEvent)
FORKS: Any = TypeAdapter(ForkServerEvent)
TRANSLATED: Any = TypeAdapter(RealtimeTranslationServerEvent)

SPOKEN = ["session.output_transcript.delta", "session.output_audio.delta", "session.usage.updated"]
RESPONSES = {"type": "responses", "responses": {"model": "gpt-5"}}


def encoded(sound: bytes) -> str:
    return base64.b64encode(sound).decode()


async def begin(talk: Any, **session: Any) -> Any:
    started = await talk.ask("session.start", session={"model": MODEL, **session}, event_id="begin")
    assert (started.type, started.client_event_id) == ("session.started", "begin")
    return started.session


async def hear(talk: Any, sound: bytes) -> None:
    await talk.send("session.input_audio.append", audio=encoded(sound + bytes(SECOND)))


def said(events: list[Any], kind: str = "output") -> str:
    return "".join(each.delta for each in events if each.type == f"session.{kind}_transcript.delta")


@pytest.mark.fake(engine="echo")
async def test_both_speak(api: Any) -> None:
    sound = await speech(api, "Good morning to you")
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        early = await talk.ask("session.close", event_id="early")
        assert (early.error.code, early.error.client_event_id) == ("invalid_session_state", "early")
        session = await begin(talk, instructions="Be kind")
        assert (session.model, session.status, session.instructions) == (MODEL, "active", "Be kind")
        await hear(talk, sound)
        events = await talk.until("session.usage.updated")
        assert kinds(events) == ["session.input_transcript.delta", *SPOKEN]
        assert said(events, "input") == said(events) == "Good morning to you"
        grouper, done = TranscriptGrouper(), []
        grouper.on("segment.closed", lambda closed: done.append((closed.segment.speaker, closed.segment.text)))
        if not api.official:
            with grouper:
                for event in events:
                    grouper.push(event)
            assert done == [("user", "Good morning to you"), ("assistant", "Good morning to you")]
        await talk.send("session.input_audio.mute")
        assert (await talk.recv()).type == "session.input_audio.muted"
        await hear(talk, sound)  # which nobody hears
        await talk.send("session.input_audio.unmute")
        assert (await talk.recv()).type == "session.input_audio.unmuted"
        closed = await talk.ask("session.close", event_id="end")
        assert (closed.reason, closed.client_event_id) == ("close_requested", "end")
        assert closed.usage.seconds > 2
        with pytest.raises(ConnectionClosedOK):
            await talk.recv()
    assert [each.operation for each in api.fake.journal] == ["audio.speech.create", "responses.create"]


async def test_what_the_model_is_told(api: Any) -> None:
    api.fake.when(model=MODEL).reply("It is done.")
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        await begin(talk)
        for kind in ("instructions", "thinking"):
            told = await talk.ask(f"session.{kind}.append", content=f"some {kind}", delegation_id=None)
            assert told.type == f"session.{kind}.appended"
        await talk.send("session.commentary.append", content="The work is done", delegation_id=None, event_id="c")
        events = await talk.until("session.usage.updated")
        assert (events[0].type, events[0].client_event_id) == ("session.commentary.appended", "c")
        assert said(events) == "It is done."
        long = await talk.ask("session.thinking.append", content="word " * 600, delegation_id=None)
        assert long.error.param == "content"
        unknown = await talk.ask("session.thinking.append", content="x", delegation_id="del_no")
        assert unknown.error.code == "delegation_not_found"
    texts = [each["content"] for each in api.fake.journal[-1].body["input"]]
    assert texts == ["some instructions", "some thinking", "The work is done"]
    api.fake.rules.clear()


@pytest.mark.fake(engine="echo")
async def test_a_fixture_is_played(api: Any) -> None:
    sound = await speech(api, "Please hold")
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        await begin(talk, audio={"format": {"type": "audio/pcmu", "rate": 8000}})
        await talk.send("session.output_audio.fixture.play", audio=encoded(sound))
        events = await talk.until("session.output_audio.fixture.played")
        assert events[0].type == "session.output_audio.fixture.playing"
        played = b"".join(base64.b64decode(each.delta) for each in events[1:-1])
        assert abs(len(played) - len(sound) // 6) < 100
        long = await talk.ask("session.output_audio.fixture.play", audio=encoded(bytes(31 * SECOND)))
        assert long.error.param == "audio"


async def test_work_for_the_application(api: Any) -> None:
    api.fake.when(text="weather").call_tool("delegate", task="look at the sky")
    sound = await speech(api, "How is the weather?")
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        await begin(talk, delegation={"type": "client"})
        await hear(talk, sound)
        delegation = (await talk.until("session.delegation.created"))[-1].delegation
        assert delegation.target == "client"
        api.fake.rules.clear()
        api.fake.when(model=MODEL).reply("It is sunny.")
        await talk.send("session.commentary.append", content="Sunny", delegation_id=delegation.id)
        assert said(await talk.until("session.usage.updated")) == "It is sunny."
    api.fake.rules.clear()


async def test_work_for_a_model_behind(api: Any) -> None:
    api.fake.when(model="gpt-5", tool_result="sunny").reply("Sunny all day.")
    api.fake.when(model="gpt-5").call_tool("sky")
    api.fake.when(model=MODEL).call_tool("delegate", task="look at the sky")
    sound = await speech(api, "How is the weather?")
    tool = {"type": "function", "name": "sky", "parameters": {"type": "object", "properties": {}}, "strict": False}
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        await begin(talk, delegation={"type": "responses", "responses": {"model": "gpt-5", "tools": [tool]}})
        await hear(talk, sound)
        events = await talk.until("session.delegation.created")
        assert events[-1].delegation.target == "responses"
        nested = [await talk.recv()]
        while nested[-1].event["type"] != "response.completed":
            nested.append(await talk.recv())
        assert nested[0].event["response"]["id"] == events[-1].delegation.response_id
        assert {each.delegation_id for each in nested} == {events[-1].delegation.id}
        call = next(e.event["item"] for e in nested if e.event["type"] == "response.output_item.done")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        await talk.send("response.item.create", item=output)
        await talk.send("response.create")
        assert said(await talk.until("session.usage.updated")) == "Sunny all day."
    api.fake.rules.clear()
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        await begin(talk)
        assert (await talk.ask("response.create")).error.code == "invalid_session_state"


async def test_decisions(api: Any) -> None:
    api.fake.when(model="gpt-decides").reply('{"answer": true}')
    question = {"type": "predicate", "instructions": "Is it polite?", "name": "polite"}
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        decisions = {"model": "gpt-decides", "questions": [question]}
        await begin(talk, delegation={"type": "decisions", "decisions": decisions})
        item = {"role": "user", "content": "Would you please?"}
        kept = (await talk.ask("decision.item.create", item=item)).item
        decided = await talk.ask("decision.create", event_id="first")
        assert decided.event.type == "decision.completed"
        assert decided.event.decision.answers[0].name == "polite"
        assert (await talk.ask("decision.create", event_id="first")).error.code == "duplicate_event_id"
        assert (await talk.ask("decision.item.delete", item_id=kept.id)).type == "decision.item.deleted"
        assert (await talk.ask("decision.item.delete", item_id=kept.id)).error.param == "item_id"
    api.fake.rules.clear()


@pytest.mark.fake(engine="echo")
async def test_watching_and_steering(api: Any) -> None:
    sound = await speech(api, "Good morning")
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        session = await begin(talk, audio={"format": {"type": "audio/pcm", "rate": 24000}})
        async with opened(api, api.client.live.sideband.connect(session_id=session.id), SIDE) as side:
            await hear(talk, sound)
            await talk.until("session.usage.updated")
            events = await side.until("session.usage.updated")
            assert kinds(events) == ["session.input_audio.append", "session.input_transcript.delta", *SPOKEN]
            audio = [each for each in events if each.type == "session.output_audio.delta"]
            assert audio[0].start_ms < audio[0].end_ms == audio[1].start_ms
            await side.send("session.commentary.append", content="Say it again", delegation_id=None, event_id="s")
            assert (await talk.until("session.usage.updated"))[0].client_event_id == "s"
            assert (await side.until("session.usage.updated"))[0].type == "session.commentary.appended"
            assert (await side.ask("session.thinking.append", content="x", delegation_id="no")).error is not None
            await talk.send("session.close")
            await talk.until("session.closed")
            await side.until("session.closed")
    for connect in (api.client.live.sideband.connect, api.client.live.forks.connect):
        with pytest.raises(InvalidStatus):
            async with opened(api, connect(session_id="sess_no"), None):
                pass


@pytest.mark.fake(engine="echo")
async def test_going_on_from_a_session(api: Any) -> None:
    sound = await speech(api, "My name is Ada")
    async with opened(api, api.client.live.connect(), EVENTS) as talk:
        session = await begin(talk, instructions="Be kind")
        await hear(talk, sound)
        await talk.until("session.usage.updated")
    async with opened(api, api.client.live.forks.connect(session_id=session.id), FORKS) as talk:
        started = await talk.ask("session.start", session={})
        assert (started.session.model, started.session.instructions) == (MODEL, "Be kind")
        assert started.session.id != session.id
        await talk.send("session.commentary.append", content="Who is it?", delegation_id=None)
        assert said(await talk.until("session.usage.updated")) == "My name is Ada"


async def test_sessions_over_media(api: Any) -> None:
    offer: Any = {"type": "webrtc", "sdp": "v=0\r\n"}
    made = await api.call("live.create", session={"model": MODEL}, transport=offer)
    assert made.transport.sdp.startswith("v=0")
    api.fake.when(model=MODEL).reply("Hello.")
    async with opened(api, api.client.live.sideband.connect(session_id=made.session.id), SIDE) as side:
        await side.send("session.commentary.append", content="Say hello", delegation_id=None)
        assert said(await side.until("session.usage.updated")) == "Hello."
        await api.call("live.sessions.hangup", made.session.id)
        assert (await side.until("session.closed"))[-1].reason == "remote_hangup"
    with pytest.raises(api.errors.NotFoundError):
        await api.call("live.sessions.hangup", made.session.id)
    api.fake.rules.clear()


async def test_translations(api: Any) -> None:
    api.fake.when(text="Good morning").reply("Bonjour")
    sound = await speech(api, "Good morning")
    manager = api.client.realtime.translations.connect(model="gpt-realtime-translate")
    async with opened(api, manager, TRANSLATED) as talk:
        assert (await talk.recv()).session.type == "translation"
        setting = {"output": {"language": "fr"}, "input": {"transcription": {"model": "gpt-realtime-whisper"}}}
        assert (await talk.ask("session.update", session={"audio": setting})).session.audio.output.language == "fr"
        await talk.send("session.input_audio_buffer.append", audio=encoded(sound + bytes(SECOND)))
        events = await talk.until("session.output_audio.delta")
        assert said(events, "input") == "Good morning"
        assert said(events) == "Bonjour"
        await talk.send("session.input_audio_buffer.append", audio=encoded(sound))
        await talk.send("session.close")
        assert said(await talk.until("session.closed")) == "Bonjour"
    api.fake.rules.clear()


async def test_the_helper_of_translations(api: Any) -> None:
    api.fake.when(text="Good morning").reply("Bonjour")
    sound = await speech(api, "Good morning")
    module: Any = official_translation if api.official else our_translation
    cls = module.AsyncTranslationSession if api.is_async else module.TranslationSession
    async with opened(api, cls(api.client.realtime.translations, model="gpt-realtime-translate")) as talk:
        await talk.send("session.input_audio_buffer.append", audio=encoded(sound))
        await talk.send("session.close")
        events = [await talk._call("recv")]
        while events[-1].type != "session.closed":
            events.append(await talk._call("recv"))
        assert said(events) == "Bonjour"
    api.fake.rules.clear()
