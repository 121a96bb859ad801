"""`/realtime` as a websocket: sessions with a model that hears and speaks, for every client, and what each event is."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import InvalidStatus

from antiphon import FakeOpenAI
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response

MODEL = "gpt-realtime"
SECOND = 48_000
"""Bytes of a second of sound."""

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "How the weather is",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
EVENTS: Any = TypeAdapter(RealtimeServerEvent)
BETA_EVENTS: Any = TypeAdapter(BetaServerEvent)

SAID = [
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
SPOKEN = [
    *SAID[:5],
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    *SAID[7:],
]
CALLED = [
    *SAID[:4],
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    *SAID[8:],
]
HEARD = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]


@pytest.fixture(autouse=True)
def over_a_socket(request: pytest.FixtureRequest) -> None:
    if "api" not in request.fixturenames:
        return
    subject: str = request.node.callspec.params["api"]
    if subject.startswith("official") and subject.endswith("in process"):
        pytest.skip("the official client has websockets over the network only")


class Talk:
    """A session of either colour. Every event that comes is one of the API's."""

    def __init__(self, api: Any, connection: Any, events: Any = EVENTS) -> None:
        self.api = api
        self.connection = connection
        self.events = events

    async def _call(self, method: str, *args: Any) -> Any:
        if self.api.is_async:
            return await asyncio.wait_for(getattr(self.connection, method)(*args), 10)
        return await asyncio.wait_for(asyncio.to_thread(getattr(self.connection, method), *args), 10)

    async def send(self, kind: str, **fields: Any) -> None:
        await self._call("send", {"type": kind, **fields})

    async def recv(self) -> Any:
        data = await self._call("recv_bytes")
        if self.events is not None:
            self.events.validate_python(json.loads(data), strict=False)
        return self.connection.parse_event(data)

    async def until(self, *kinds: str) -> list[Any]:
        events = [await self.recv()]
        while events[-1].type not in kinds:
            events.append(await self.recv())
        return events

    async def ask(self, kind: str, **fields: Any) -> Any:
        """The one event that answers another."""
        await self.send(kind, **fields)
        return await self.recv()

    async def text(self, text: str, **response: Any) -> list[Any]:
        await self.tell(text)
        return await self.respond(**response)

    async def tell(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.send("conversation.item.create", item=item)
        await self.until("conversation.item.done", "conversation.item.created")

    async def respond(self, **response: Any) -> list[Any]:
        await self.send("response.create", **({"response": response} if response else {}))
        return await self.until("response.done", "error")

    async def hear(self, sound: bytes) -> None:
        for begin in range(0, len(sound), 9_600):
            piece = base64.b64encode(sound[begin : begin + 9_600]).decode()
            await self.send("input_audio_buffer.append", audio=piece)


@asynccontextmanager
async def talking(
    api: Any, session: dict[str, Any] | None = None, client: Any = None, events: Any = EVENTS, **options: Any
) -> AsyncGenerator[Talk]:
    manager = (client or api.client).realtime.connect(**({"model": MODEL} | options))
    async with opened(api, manager, events) as talk:
        created = await talk.recv()
        assert created.type == "session.created"
        if session is not None:
            updated = await talk.ask("session.update", session={"type": "realtime", **session})
            assert updated.type == "session.updated"
        yield talk


@asynccontextmanager
async def opened(api: Any, manager: Any, events: Any = EVENTS) -> AsyncGenerator[Talk]:
    if api.is_async:
        async with manager as connection:
            yield Talk(api, connection, events)
        return
    connection = await asyncio.to_thread(manager.__enter__)
    try:
        yield Talk(api, connection, events)
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def kinds(events: list[Any]) -> list[str]:
    """The types of events; of several of one type in a row, one."""
    found: list[str] = []
    for event in events:
        if not found or found[-1] != event.type:
            found.append(event.type)
    return found


async def speech(api: Any, text: str) -> bytes:
    """What the server says of a text: it knows the words when they come back."""
    found = await api.call(
        "audio.speech.create", model="gpt-4o-mini-tts", voice="alloy", input=text, response_format="pcm"
    )
    sound: bytes = await api.read(found)
    return sound


TEXT: dict[str, Any] = {"output_modalities": ["text"]}
MANUAL: dict[str, Any] = {"audio": {"input": {"turn_detection": None}}}


@pytest.mark.fake(engine="echo")
async def test_a_turn_of_text(api: Any) -> None:
    async with talking(api, TEXT) as talk:
        events = await talk.text("How are you today?")
        assert kinds(events) == SAID
        deltas = [each for each in events if each.type == "response.output_text.delta"]
        assert len(deltas) > 1
        assert "".join(each.delta for each in deltas) == "How are you today?"
        response = events[-1].response
        assert (response.status, response.output[0].content[0].text) == ("completed", "How are you today?")
        usage = response.usage
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0
        assert usage.output_token_details.audio_tokens == 0
        assert len({each.event_id for each in events}) == len(events)
        again = await talk.text("And now?")
        assert again[-1].response.usage.input_tokens > usage.input_tokens
        assert again[3].previous_item_id is not None
    assert [each.operation for each in api.fake.journal] == ["responses.create"] * 2
    assert api.fake.journal[-1].text == "And now?"


@pytest.mark.fake(engine="echo")
async def test_a_turn_of_speech_that_is_detected(api: Any) -> None:
    sound = await speech(api, "What is the time?")
    async with talking(api, {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}) as talk:
        await talk.hear(bytes(SECOND) + sound + bytes(SECOND))
        events = await talk.until("response.done")
        transcribed = [f"conversation.item.input_audio_transcription.{end}" for end in ("delta", "completed")]
        assert kinds(events) == [*HEARD, *transcribed, *SPOKEN]
        started, stopped, committed = events[:3]
        assert 600 <= started.audio_start_ms <= 1000
        assert stopped.audio_end_ms > started.audio_start_ms + len(sound) * 1000 // SECOND
        assert started.item_id == stopped.item_id == committed.item_id == events[3].item.id
        assert next(each for each in events if each.type == transcribed[1]).transcript == "What is the time?"
        response = events[-1].response
        assert response.output[0].content[0].transcript == "What is the time?"
        audio = b"".join(base64.b64decode(each.delta) for each in events if each.type == "response.output_audio.delta")
        assert len(audio) > SECOND // 2
        assert response.usage.input_token_details.audio_tokens > 0
        assert response.usage.output_token_details.audio_tokens > 0
        # What the model has said it understands as well.
        await talk.hear(audio + bytes(SECOND))
        assert (await talk.until("response.done"))[-1].response.output[0].content[0].transcript == "What is the time?"


@pytest.mark.fake(engine="echo")
async def test_turns_that_the_client_ends(api: Any) -> None:
    sound = await speech(api, "Hello there")
    async with talking(api, {**TEXT, **MANUAL}) as talk:
        assert (await talk.ask("input_audio_buffer.commit")).error.code == "input_audio_buffer_commit_empty"
        await talk.hear(sound)
        await talk.send("input_audio_buffer.clear")
        assert (await talk.recv()).type == "input_audio_buffer.cleared"
        await talk.hear(sound)
        await talk.send("input_audio_buffer.commit")
        committed = await talk.until("conversation.item.done")
        assert kinds(committed) == HEARD[2:]
        assert (await talk.respond())[-1].response.output[0].content[0].text == "Hello there"
        kept = await talk.ask("conversation.item.retrieve", item_id=committed[0].item_id)
        assert base64.b64decode(kept.item.content[0].audio) == sound
        assert kept.item.content[0].transcript is None


@pytest.mark.fake(engine="echo")
@pytest.mark.parametrize("form", ["audio/pcmu", "audio/pcma"])
async def test_telephone_sound(api: Any, form: str) -> None:
    async with talking(
        api, {"audio": {"output": {"format": {"type": form}}, "input": {"format": {"type": form}}}}
    ) as talk:
        events = await talk.text("Ring ring")
        size = sum(len(base64.b64decode(each.delta)) for each in events if each.type == "response.output_audio.delta")
        key = events[-1].response.output[0].id
        kept = await talk.ask("conversation.item.retrieve", item_id=key)
        assert len(base64.b64decode(kept.item.content[0].audio)) == size
        # A second of silence is one in this format too: nobody speaks.
        await talk.hear(bytes([0xFF if form.endswith("u") else 0xD5]) * 8_000)
        await talk.send("input_audio_buffer.clear")
        assert (await talk.recv()).type == "input_audio_buffer.cleared"


async def test_tools(api: Any) -> None:
    api.fake.when(tool_result="sunny").reply("It is sunny in Lisbon.")
    api.fake.when(text="weather").call_tool("weather", city="Lisbon")
    async with talking(api, {**TEXT, "tools": [WEATHER], "tool_choice": "auto"}) as talk:
        events = await talk.text("How is the weather?")
        assert kinds(events) == CALLED
        call = events[-1].response.output[0]
        done = next(each for each in events if each.type == "response.function_call_arguments.done")
        assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "weather", {"city": "Lisbon"})
        assert (done.call_id, done.name, done.arguments) == (call.call_id, "weather", call.arguments)
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        await talk.send("conversation.item.create", item=output)
        await talk.until("conversation.item.done")
        answer = (await talk.respond())[-1].response
        assert answer.output[0].content[0].text == "It is sunny in Lisbon."
        wrong = await talk.ask("conversation.item.create", item={**output, "call_id": "call_no"}, event_id="mine")
        assert (wrong.error.code, wrong.error.event_id) == ("invalid_tool_call_id", "mine")
    assert [each.rule is not None for each in api.fake.journal] == [True, True]
    api.fake.rules.clear()


async def test_a_call_that_nobody_answers_is_no_hindrance(api: Any) -> None:
    api.fake.when(text="weather").call_tool("weather", city="Lisbon")
    api.fake.when(text="never mind").reply("As you like.")
    async with talking(api, {**TEXT, "tools": [WEATHER]}) as talk:
        await talk.text("How is the weather?")
        assert (await talk.text("never mind"))[-1].response.output[0].content[0].text == "As you like."
    api.fake.rules.clear()


def slowly(request: Any) -> Any:
    for word in request.user_text.split():
        yield Pause(0.02)
        yield f"{word} "


@pytest.mark.fake(engine=slowly)
async def test_cancelling(api: Any) -> None:
    async with talking(api, TEXT) as talk:
        await talk.tell("one two three four five six seven eight nine ten")
        await talk.send("response.create")
        await talk.until("response.output_text.delta")
        again = await talk.ask("response.create")
        while again.type != "error":
            again = await talk.recv()
        assert again.error.code == "conversation_already_has_active_response"
        await talk.send("response.cancel")
        events = await talk.until("response.done")
        assert kinds(events)[-5:] == SAID[-5:]
        response = events[-1].response
        assert (response.status, response.status_details.reason) == ("cancelled", "client_cancelled")
        said = response.output[0]
        assert said.status == "incomplete"
        assert said.content[0].text.startswith("one ")
        assert "ten" not in said.content[0].text
        wrong = await talk.ask("response.cancel", event_id="mine")
        assert (wrong.error.code, wrong.error.event_id) == ("response_cancel_not_active", "mine")
        assert (await talk.text("fine"))[-1].response.status == "completed"


@pytest.mark.fake(engine=slowly)
async def test_who_speaks_interrupts_the_model(api: Any) -> None:
    sound = await speech(api, "Stop it now")
    async with talking(api, TEXT) as talk:
        await talk.tell(" ".join(map(str, range(200))))
        await talk.send("response.create")
        await talk.until("response.output_text.delta")
        await talk.hear(sound + bytes(SECOND))
        events = await talk.until("response.done")
        response = events[-1].response
        assert (response.status, response.status_details.reason) == ("cancelled", "turn_detected")
        while response.status != "completed":
            response = (await talk.until("response.done"))[-1].response
        assert response.output[0].content[0].text.strip() == "Stop it now"


async def test_who_says_nothing_for_too_long_is_asked_again(api: Any) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 5000, "create_response": False}
    quiet = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": detection}}}
    async with talking(api, quiet) as talk:
        await talk.hear(bytes(6 * SECOND))  # the model has not spoken yet: nobody is expected to
        assert kinds(await talk.text("Hello"))[-1] == "response.done"
        await talk.hear(bytes(5 * SECOND))
        events = await talk.until("response.done")
        assert kinds(events) == ["input_audio_buffer.timeout_triggered", *HEARD[2:], *SAID]
        timeout, committed = events[:2]
        assert (timeout.audio_start_ms, timeout.audio_end_ms) == (6000, 11_000)
        assert timeout.item_id == committed.item_id == events[2].item.id
        await talk.hear(bytes(4 * SECOND) + await speech(api, "Good morning") + bytes(6 * SECOND))
        events = await talk.until("conversation.item.done")
        assert kinds(events) == HEARD  # who speaks is not asked, and then it is the model's turn
        await talk.send("conversation.item.delete", item_id=events[-1].item.id)
        assert (await talk.recv()).type == "conversation.item.deleted"


async def test_the_time_it_takes_to_play_what_was_said_is_nobodys(api: Any) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    async with talking(api, {"audio": {"input": {"turn_detection": detection}}}) as talk:
        events = await talk.text("Tell me something")
        played = sum(len(base64.b64decode(each.delta)) for each in events if each.type == "response.output_audio.delta")
        assert played
        await talk.hear(bytes(5 * SECOND) + bytes(played))
        (timeout,) = await talk.until("input_audio_buffer.timeout_triggered")
        assert abs(timeout.audio_start_ms - played * 1000 / SECOND) <= 1
        assert 5000 <= timeout.audio_end_ms - timeout.audio_start_ms <= 5020


@pytest.mark.fake(engine="echo")
async def test_truncating_what_was_not_heard(api: Any) -> None:
    async with talking(api) as talk:
        said = (await talk.text("A long story of many words that nobody wants to hear"))[-1].response.output[0]
        about = {"item_id": said.id, "content_index": 0}
        long = await talk.ask("conversation.item.truncate", **about, audio_end_ms=600_000)
        assert (long.error.code, long.error.param) == ("invalid_value", "audio_end_ms")
        cut = await talk.ask("conversation.item.truncate", **about, audio_end_ms=500)
        assert (cut.type, cut.audio_end_ms) == ("conversation.item.truncated", 500)
        kept = await talk.ask("conversation.item.retrieve", item_id=said.id)
        assert len(base64.b64decode(kept.item.content[0].audio)) == SECOND // 2
        assert kept.item.content[0].transcript == ""
        await talk.text("Go on")
    remembered = api.fake.journal[-1].body["input"][-2]["content"]
    assert remembered.startswith("A long")
    assert "nobody" not in remembered


@pytest.mark.fake(engine="echo")
async def test_the_items_of_a_conversation(api: Any) -> None:
    def item(text: str, key: str) -> dict[str, Any]:
        return {"id": key, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}

    async with talking(api, TEXT) as talk:
        for key, after in (("b", None), ("a", "root"), ("c", "b")):
            place = {} if after is None else {"previous_item_id": after}
            await talk.send("conversation.item.create", item=item(key, key), **place)
            added = (await talk.until("conversation.item.done"))[0]
            assert added.previous_item_id == {"b": None, "a": None, "c": "b"}[key]
        for kind, fields, code in (
            ("conversation.item.create", {"item": item("x", "a")}, "item_create_duplicate_id"),
            (
                "conversation.item.create",
                {"item": item("x", "x"), "previous_item_id": "no"},
                "item_create_invalid_previous_item_id",
            ),
            ("conversation.item.retrieve", {"item_id": "no"}, "item_retrieve_invalid_item_id"),
            ("conversation.item.delete", {"item_id": "no"}, "item_delete_invalid_item_id"),
            (
                "conversation.item.truncate",
                {"item_id": "no", "content_index": 0, "audio_end_ms": 0},
                "item_truncate_invalid_item_id",
            ),
        ):
            assert (await talk.ask(kind, **fields)).error.code == code
        assert (await talk.ask("conversation.item.delete", item_id="b")).item_id == "b"
        await talk.respond()
    assert [each["content"][0]["text"] for each in api.fake.journal[-1].body["input"]] == ["a", "c"]


@pytest.mark.fake(engine="echo")
async def test_responses_out_of_the_conversation(api: Any) -> None:
    async with talking(api, TEXT) as talk:
        await talk.tell("This is said to all")
        given = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Only this"}]}
        events = await talk.respond(conversation="none", input=[given], metadata={"topic": "aside"})
        assert kinds(events) == [each for each in SAID if not each.startswith("conversation.")]
        response = events[-1].response
        assert (response.conversation_id, response.metadata) == (None, {"topic": "aside"})
        assert response.output[0].content[0].text == "Only this"
        key = response.output[0].id
        assert (await talk.ask("conversation.item.retrieve", item_id=key)).error is not None
        assert (await talk.respond())[-1].response.output[0].content[0].text == "This is said to all"
        wrong = await talk.ask("response.create", response={"input": [{"type": "item_reference", "id": "no"}]})
        assert wrong.error.code == "item_reference_not_found"


async def test_what_is_wrong_is_said_and_the_session_goes_on(api: Any) -> None:
    async with talking(api, TEXT) as talk:
        for event, code, param in (
            ({"type": "no.such"}, "invalid_value", "type"),
            ({}, "missing_required_parameter", "type"),
            ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
            (
                {"type": "session.update", "session": {"type": "realtime", "colour": 1}},
                "unknown_parameter",
                "session.colour",
            ),
            (
                {"type": "session.update", "session": {"type": "realtime", "model": "gpt-other"}},
                "cannot_update_model",
                "session.model",
            ),
            (
                {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text", "audio"]}},
                "invalid_value",
                "session.output_modalities",
            ),
            ({"type": "input_audio_buffer.append", "audio": "%"}, "invalid_value", "audio"),
            ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
            (
                {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{}]}},
                "missing_required_parameter",
                "item.content[0].text",
            ),
        ):
            await talk._call("send", {**event, "event_id": "mine"})
            error = (await talk.recv()).error
            assert (error.type, error.code, error.param) == ("invalid_request_error", code, param)
            assert error.event_id == "mine"
        await talk._call("send_raw", "{")
        assert (await talk.recv()).error.code == "invalid_json"
        assert (await talk.text("Fine"))[-1].response.status == "completed"


async def test_faults_of_the_model(api: Any) -> None:
    api.fake.when(text="too much").fail(429, code="rate_limit_exceeded")
    async with talking(api, TEXT) as talk:
        response = (await talk.text("too much"))[-1].response
        assert (response.status, response.status_details.error.code) == ("failed", "rate_limit_exceeded")
        assert (await talk.text("just right"))[-1].response.status == "completed"
    api.fake.rules.clear()


@pytest.mark.fake(engine="echo")
async def test_limits_of_what_is_said(api: Any) -> None:
    async with talking(api, TEXT) as talk:
        for most in (3, 20):
            response = (await talk.text(" ".join(["word"] * 50), max_output_tokens=most))[-1].response
            assert (response.status, response.status_details.reason) == ("incomplete", "max_output_tokens")
            assert len(response.output[0].content[0].text.split()) == most


async def test_a_voice_stays_as_it_is(api: Any) -> None:
    async with talking(api, {"audio": {"output": {"voice": "cedar"}}}) as talk:
        await talk.text("Hello")
        changed = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
        assert (await talk.ask("session.update", session=changed)).error.code == "cannot_update_voice"


async def test_sessions_of_transcriptions(api: Any) -> None:
    sound = await speech(api, "Take this down")
    async with opened(api, api.client.realtime.connect(extra_query={"intent": "transcription"})) as talk:
        assert (await talk.recv()).session.type == "transcription"
        setting = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        assert (await talk.ask("session.update", session=setting)).type == "session.updated"
        await talk.hear(sound + bytes(SECOND))
        events = await talk.until("conversation.item.input_audio_transcription.completed")
        assert (events[-1].transcript, events[-1].usage.type) == ("Take this down", "duration")
        assert (await talk.ask("response.create")).error.code == "invalid_event"


async def test_keys_for_browsers(api: Any) -> None:
    session = {"type": "realtime", "model": MODEL, "instructions": "Be brief", "output_modalities": ["text"]}
    key = await api.call(
        "realtime.client_secrets.create", session=session, expires_after={"anchor": "created_at", "seconds": 60}
    )
    assert key.value.startswith("ek_")
    assert (key.session.instructions, key.session.model) == ("Be brief", MODEL)
    client = api.make(api_key=key.value)
    async with opened(api, client.realtime.connect(model=MODEL)) as talk:
        begun = (await talk.recv()).session
        assert (begun.instructions, begun.output_modalities) == ("Be brief", ["text"])
    with pytest.raises(api.errors.BadRequestError):
        await api.call("realtime.client_secrets.create", expires_after={"anchor": "created_at", "seconds": 1})


def test_browsers_tell_their_key_as_a_subprotocol() -> None:
    fake = FakeOpenAI()
    session: Any = {"type": "realtime", "model": MODEL, "instructions": "Be brief"}
    key = fake.client().realtime.client_secrets.create(session=session).value

    def greeted(*offered: str, **headers: str) -> Any:
        told = {"sec-websocket-protocol": ", ".join(offered), **headers}
        dialogue: Any = fake.dialogue(Request("GET", "/v1/realtime", f"model={MODEL}", Headers(told)))
        if isinstance(dialogue, Response):
            return dialogue
        turn = dialogue.begun()
        return [json.loads(message) for message in turn.said]

    (created,) = greeted("realtime", f"openai-insecure-api-key.{key}")
    assert created["session"]["instructions"] == "Be brief"
    (created,) = greeted("realtime", f"openai-insecure-api-key.{key}", authorization="Bearer sk-other")
    assert created["session"]["instructions"] != "Be brief"
    created, _ = greeted("realtime", "openai-insecure-api-key.sk-any", "openai-beta.realtime-v1")
    assert created["session"]["object"] == "realtime.session"
    assert created["session"]["modalities"] == ["text", "audio"]
    for offered in ([], ["realtime"], ["openai-insecure-api-key."], ["xopenai-insecure-api-key.sk-any"]):
        assert greeted(*offered).status == 401


async def test_sessions_of_calls(api: Any) -> None:
    await api.call("realtime.calls.accept", "rtc_mine", type="realtime", instructions="Take the order", model=MODEL)
    async with opened(api, api.client.realtime.connect(call_id="rtc_mine")) as talk:
        assert (await talk.recv()).session.instructions == "Take the order"
    await api.call("realtime.calls.hangup", "rtc_mine")
    assert await refused(api, call_id="rtc_mine") == 404


async def refused(api: Any, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as error:
        async with opened(api, api.client.realtime.connect(**options)):
            pass
    return error.value.response.status_code


@pytest.mark.fake(models=["gpt-realtime"])
async def test_there_has_to_be_a_model(api: Any) -> None:
    assert await refused(api, model="gpt-no") == 404
    assert await refused(api) == 400


@pytest.mark.fake(engine="echo")
async def test_the_beta(api: Any) -> None:
    sound = await speech(api, "Good old days")
    # Without this the official client's beta is encrypted, whatever its base URL says.
    address = {"websocket_base_url": f"{api.url.replace('http', 'ws')}/v1"} if api.url else {}
    client = api.make(**address)
    async with opened(api, client.beta.realtime.connect(model=MODEL), None) as talk:
        assert (await talk.recv()).session.modalities == ["text", "audio"]
        assert (await talk.recv()).type == "conversation.created"
        talk.events = BETA_EVENTS
        change = {"modalities": ["text"], "input_audio_transcription": {"model": "whisper-1"}, "turn_detection": None}
        assert (await talk.ask("session.update", session=change)).session.modalities == ["text"]
        await talk.hear(sound)
        await talk.send("input_audio_buffer.commit")
        heard = await talk.until("conversation.item.input_audio_transcription.completed")
        assert kinds(heard)[:2] == ["input_audio_buffer.committed", "conversation.item.created"]
        events = await talk.respond()
        assert "response.text.delta" in kinds(events)
        assert "conversation.item.done" not in kinds(events)
        part = events[-1].response.output[0].content[0]
        assert (part.type, part.text) == ("text", "Good old days")
        events = await talk.respond(modalities=["text", "audio"])
        assert {"response.audio.delta", "response.audio_transcript.delta"} <= set(kinds(events))
