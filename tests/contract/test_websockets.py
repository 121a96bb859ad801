"""`/responses` as a websocket: what comes over it is what a stream would say, in lanes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import openai.lib.responses_websocket as official_lanes
import pytest
from websockets.exceptions import InvalidStatus

from antiphon.kernel.flow import Pause
from antiphon.lib import responses_websocket as our_lanes

MODEL = "gpt-5"
EVENTS = {"max_events_per_lane": 500, "max_events": 500}
LIMITS = {"max_lanes": 8, **EVENTS, "max_bytes_per_lane": 2**22, "max_bytes": 2**22}
CALLS = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": False}


@pytest.fixture(autouse=True)
def over_a_socket(request: pytest.FixtureRequest) -> None:
    subject: str = request.node.callspec.params["api"]
    if subject.startswith("official") and subject.endswith("in process"):
        pytest.skip("the official client has websockets over the network only")


class Talk:
    """A connection of either colour, in whose place another object, such as a lane, can be asked."""

    def __init__(self, api: Any, connection: Any) -> None:
        self.api = api
        self.connection = connection

    async def __call__(self, target: Any, method: str, *args: Any) -> Any:
        if self.api.is_async:
            return await asyncio.wait_for(getattr(target, method)(*args), 10)
        return await asyncio.to_thread(getattr(target, method), *args)

    async def send(self, **event: Any) -> None:
        await self(self.connection, "send", event)

    async def create(self, **event: Any) -> list[Any]:
        """The events of a response."""
        await self.send(type="response.create", **{"model": MODEL, **event})
        return await self.rest()

    async def rest(self) -> list[Any]:
        events = [await self(self.connection, "recv")]
        while events[-1].type not in ("response.completed", "response.incomplete", "response.failed", "error"):
            events.append(await self(self.connection, "recv"))
        return events


@asynccontextmanager
async def talking(api: Any, **options: Any) -> AsyncGenerator[Talk]:
    manager = api.client.responses.connect(**options)
    if api.is_async:
        async with manager as connection:
            yield Talk(api, connection)
        return
    connection = await asyncio.to_thread(manager.__enter__)
    try:
        yield Talk(api, connection)
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@asynccontextmanager
async def lanes(api: Any, talk: Talk) -> AsyncGenerator[Any]:
    module: Any = official_lanes if api.official else our_lanes
    limits = module.ResponsesWebSocketLimits(**LIMITS)
    if api.is_async:
        async with module.AsyncResponsesWebSocketSession(talk.connection, limits=limits) as session:
            yield session
        return
    session = module.ResponsesWebSocketSession(talk.connection, limits=limits)
    with session:
        yield session


async def test_the_events_are_those_of_the_stream(api: Any) -> None:
    streamed = await api.items(await api.call("responses.create", model=MODEL, input="Hello", stream=True))
    async with talking(api) as talk:
        events = await talk.create(input="Hello")
    assert [each.type for each in events] == [each.type for each in streamed]
    assert events[-1].response.output_text == streamed[-1].response.output_text
    assert all(getattr(each, "stream_id", None) is None for each in events)
    kept = await api.call("responses.retrieve", events[-1].response.id)
    assert kept.output_text == events[-1].response.output_text


async def test_response_after_response_over_one_connection(api: Any) -> None:
    async with talking(api) as talk:
        first = (await talk.create(input="My name is Ada"))[-1].response
        second = (await talk.create(input="And now?", previous_response_id=first.id))[-1].response
    assert second.previous_response_id == first.id
    items = await api.items(await api.call("responses.input_items.list", second.id))
    assert len(items) == 3


@pytest.mark.fake(engine="echo")
async def test_what_is_not_stored_is_known_to_its_connection_alone(api: Any) -> None:
    async with talking(api) as talk:
        first = (await talk.create(input="one", store=False))[-1].response
        second = (await talk.create(input="two", store=False, previous_response_id=first.id))[-1].response
        assert second.output_text == "two"
        assert second.previous_response_id == first.id
        third = (await talk.create(input="three", store=False, previous_response_id=second.id))[-1].response
        assert third.usage.input_tokens > second.usage.input_tokens > first.usage.input_tokens
    async with talking(api) as talk:
        error = (await talk.create(input="two", previous_response_id=first.id))[-1].error
        assert error.code == "previous_response_not_found"


async def test_lanes(api: Any) -> None:
    async with talking(api) as talk, lanes(api, talk) as session:
        names = ("left", "right.2", "a-b_c")
        made = [session.lane(name) for name in names]
        for name, lane in zip(names, made, strict=True):
            await talk(lane, "send", {"type": "response.create", "model": MODEL, "input": name})
        seen = await talk(made[1], "recv")
        assert (seen.type, seen.stream_id) == ("response.created", "right.2")
        finals = [await talk(lane, "get_final_response") for lane in made]
        assert len({each.id for each in finals}) == 3
        assert all(each.status == "completed" and each.output_text for each in finals)


async def test_what_is_wrong_is_said_and_the_connection_goes_on(api: Any) -> None:
    async with talking(api) as talk:
        (error,) = await talk.create(input="x", temperature=9, stream_id="a")
        assert (error.type, error.status, error.stream_id) == ("error", 400, "a")
        assert (error.error.type, error.error.param) == ("invalid_request_error", "temperature")
        await talk(talk.connection, "send_raw" if hasattr(talk.connection, "send_raw") else "send", "{")
        assert (await talk.rest())[-1].error.code == "invalid_json"
        for event, param in (
            ({"type": "response.cancel"}, "type"),
            ({"type": "response.create", "stream_id": "no spaces"}, "stream_id"),
            ({"type": "response.create", "stream_id": 3}, "stream_id"),
            ({"type": "response.create", "model": MODEL, "input": "x", "background": True}, "background"),
            ({"type": "response.create", "input": "x"}, "model"),
        ):
            await talk.send(**event)
            assert (await talk.rest())[-1].error.param == param
        assert (await talk.create(input="x"))[-1].type == "response.completed"


async def test_there_are_32_names(api: Any) -> None:
    async with talking(api) as talk:
        for number in range(32):
            await talk.create(input="x", stream_id=str(number), max_output_tokens=16)
        (error,) = await talk.create(input="x", stream_id="one more")
        assert error.error.code == "invalid_stream_id"
        (error,) = await talk.create(input="x", stream_id="one-more")
        assert error.error.code == "websocket_stream_limit_reached"
        assert (await talk.create(input="x", stream_id="3"))[-1].type == "response.completed"


@pytest.mark.fake(engine="echo")
async def test_a_response_that_says_nothing_prepares_the_next(api: Any) -> None:
    async with talking(api) as talk:
        for store in (True, False):
            events = await talk.create(input="one", generate=False, store=store, instructions="Be brief")
            assert [each.type for each in events] == ["response.created", "response.in_progress", "response.completed"]
            warm = events[-1].response
            assert (warm.output, warm.status, warm.instructions) == ([], "completed", "Be brief")
            cold = (await talk.create(input="two", store=store))[-1].response
            after = (await talk.create(input="two", previous_response_id=warm.id, store=store))[-1].response
            assert after.output_text == "two"
            assert after.usage.input_tokens > cold.usage.input_tokens
        (error,) = await talk.create(input="x", generate=False, previous_response_id="resp_no")
        assert error.error.code == "previous_response_not_found"


def slowly(request: Any) -> Any:
    for word in request.user_text.split():
        yield Pause(0.02)
        yield f"{word} "


@pytest.mark.fake(engine=slowly)
async def test_steering_a_response(api: Any) -> None:
    async with talking(api) as talk:
        await talk.send(type="response.create", model=MODEL, input="a b c d e f", stream_id="s")
        created = await talk(talk.connection, "recv")
        key = created.response.id
        await talk.send(type="response.steer", previous_response_id=key, input="and then this")
        seen = await talk.rest()
        after = await talk.rest()
        accepted = next(each for each in (*seen, *after) if each.type == "response.steer.accepted")
        assert (accepted.stream_id, accepted.steer.previous_response_id) == ("s", key)
        assert seen[-1].response.id == key
        assert after[-1].response.previous_response_id == key
        assert after[-1].response.output_text.strip() == "and then this"
        known, unknown = "response_already_completed", "response_not_found"
        for previous, code in ((key, known), ("resp_no", unknown), (3, unknown)):
            await talk.send(type="response.steer", previous_response_id=previous, input="too late")
            failed = await talk(talk.connection, "recv")
            assert (failed.type, failed.error.code) == ("response.steer.failed", code)


def calling(request: Any) -> Any:
    if request.user_text.startswith("call"):
        yield "Let me see. "
        yield Pause(0.3)
        yield {"name": "weather", "arguments": "{}"}
    else:
        yield request.user_text


@pytest.mark.fake(engine=calling)
async def test_what_steers_a_call_of_a_tool_waits_for_its_output(api: Any) -> None:
    async with talking(api) as talk:
        await talk.send(type="response.create", model=MODEL, input="call it", tools=[CALLS])
        key = (await talk(talk.connection, "recv")).response.id
        await talk.send(type="response.steer", previous_response_id=key, input="in Lisbon")
        events = await talk.rest()
        while events[-1].type != "response.steer.pending":
            events.append(await talk(talk.connection, "recv"))
        (needed,) = events[-1].required_input
        assert (events[-1].reason, needed.type, needed.name) == (
            "waiting_for_required_input",
            "function_call_output",
            "weather",
        )
        output = {"type": "function_call_output", "call_id": needed.call_id, "output": "sunny"}
        after = await talk.create(input=[output], previous_response_id=key, tools=[CALLS])
        assert after[-1].response.output_text == "in Lisbon"


async def test_without_a_key_there_is_no_connection(api: Any) -> None:
    anonymous: Any = {"Authorization": ""}
    with pytest.raises(InvalidStatus) as refused:
        async with talking(api, extra_headers=anonymous):
            pass
    assert refused.value.response.status_code == 401


async def test_there_are_no_other_websockets(api: Any) -> None:
    manager = api.make(base_url=f"{api.url or 'http://fake.test'}/v1/elsewhere").realtime.connect(model=MODEL)
    with pytest.raises(InvalidStatus) as refused:
        await (manager.enter() if api.is_async else asyncio.to_thread(manager.enter))
    assert refused.value.response.status_code == 404
