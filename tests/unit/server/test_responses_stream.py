"""Streamed Responses: typed events in the API's order, joined they are the plain Response, and can be read again."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from antiphon.engines.text import Echo
from antiphon.kernel.errors import RateLimitError
from antiphon.kernel.flow import Pause
from antiphon.server.turns import Citation, Reasoning, Refusal, ToolArguments, ToolCall
from tests.unit.server.sdk import Answer, ask, official, official_async, serve
from tests.unit.server.test_responses import CLOCK, WEATHER, respond

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def kinds(answer: Answer) -> list[str]:
    """The types of the events, a run of deltas as one."""
    found: list[str] = []
    for event in answer.events:
        if not found or found[-1] != event["type"]:
            found.append(event["type"])
    return [kind.removeprefix("response.") for kind in found]


def check(answer: Answer) -> dict[str, Any]:
    """See that a stream is as the API has it; the final Response."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = answer.body.decode().split("\n")
    names = [line[7:] for line in lines if line.startswith("event: ")]
    assert names == [event["type"] for event in answer.events]
    assert [event["sequence_number"] for event in answer.events] == list(range(len(names)))
    for event in answer.events:
        EVENT.validate_python(event)
    final = answer.events[-1]["response"]
    items = [event["item"] for event in answer.events if event["type"] == "response.output_item.done"]
    assert items == final["output"]
    for event in answer.events:
        if "item_id" in event:
            assert event["item_id"] == items[event["output_index"]]["id"]
    assert answer.events[0]["response"]["status"] in ("in_progress", "queued")
    assert len({e["response"]["id"] for e in answer.events if "response" in e}) == 1
    return final


MESSAGE = [
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
]
CALL = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]
SUMMARY = [
    "output_item.added",
    "reasoning_summary_part.added",
    "reasoning_summary_text.delta",
    "reasoning_summary_text.done",
    "reasoning_summary_part.done",
    "output_item.done",
]


def test_text_has_the_order_of_the_api() -> None:
    answer = respond(serve(Echo()), "one two three", stream=True)
    assert kinds(answer) == ["created", "in_progress", *MESSAGE, "completed"]
    final = check(answer)
    assert final["output"][0]["content"][0]["text"] == "one two three"
    assert [e["delta"] for e in answer.events if "delta" in e] == ["one", " two", " three"]
    assert final["usage"]["output_tokens"] == 3


def test_reasoning_then_calls() -> None:
    options: Any = {"tools": [WEATHER, CLOCK], "reasoning": {"effort": "low", "summary": "auto"}}
    answer = respond(serve(), "get_weather, get_time", stream=True, **options)
    final = check(answer)
    assert kinds(answer) == ["created", "in_progress", *SUMMARY, *CALL, *CALL, "completed"]
    plain = respond(serve(), "get_weather, get_time", **options).json
    assert [item.get("arguments") for item in final["output"]] == [item.get("arguments") for item in plain["output"]]
    assert final["usage"] == plain["usage"]


def test_hidden_reasoning_is_an_item_without_a_summary() -> None:
    answer = respond(serve(), stream=True, reasoning={"effort": "low"})
    check(answer)
    assert kinds(answer)[2:4] == ["output_item.added", "output_item.done"]


def test_a_refusal() -> None:
    answer = respond(serve(), "please refuse", stream=True)
    check(answer)
    refused = [kind.replace("output_text", "refusal") for kind in MESSAGE]
    assert kinds(answer) == ["created", "in_progress", *refused, "completed"]


def test_custom_tool_input() -> None:
    answer = respond(serve(), stream=True, tools=[{"type": "custom", "name": "code"}])
    final = check(answer)
    assert kinds(answer)[3:5] == ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    joined = "".join(event["delta"] for event in answer.events if "delta" in event)
    assert joined == final["output"][0]["input"] != ""


def test_the_token_limit() -> None:
    answer = respond(serve(Echo()), "word " * 40, stream=True, max_output_tokens=16)
    final = check(answer)
    assert kinds(answer)[-1] == "incomplete"
    assert final["incomplete_details"] == {"reason": "max_output_tokens"}
    assert final["output"][0]["status"] == "incomplete"


def test_logprobs_come_with_their_deltas() -> None:
    answer = respond(serve(Echo()), "one two", stream=True, include=["message.output_text.logprobs"])
    final = check(answer)
    told = [item for event in answer.events if "delta" in event for item in event["logprobs"]]
    assert told == final["output"][0]["content"][0]["logprobs"]
    assert [item["token"] for item in told] == ["one", " two"]


def test_every_kind_of_piece_in_one_turn() -> None:
    def everything(request: Any) -> Any:
        yield Reasoning("Let me see.")
        yield "Look "
        yield "here."
        yield Citation("https://example.com/", "Example", 0, 4)
        yield ToolCall(None, "f")
        yield ToolArguments('{"a":')
        yield ToolArguments("1}")
        yield "Then"
        yield Refusal("No more.")

    answer = respond(serve(everything), stream=True, reasoning={"summary": "auto"})
    final = check(answer)
    assert [item["type"] for item in final["output"]] == ["reasoning", "message", "function_call", "message"]
    assert "output_text.annotation.added" in kinds(answer)
    assert final["output"][1]["content"][0]["annotations"][0]["url"] == "https://example.com/"
    assert final["output"][2]["arguments"] == '{"a":1}'
    assert [part["type"] for part in final["output"][3]["content"]] == ["output_text", "refusal"]
    plain = respond(serve(everything), reasoning={"summary": "auto"}).json
    strip = lambda items: [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in items]  # noqa: E731
    assert strip(plain["output"]) == strip(final["output"])


# Again


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tools": [WEATHER]},
        {"max_output_tokens": 16},
        {"reasoning": {"effort": "low", "summary": "auto"}},
        {"include": ["message.output_text.logprobs"], "top_logprobs": 1},
    ],
)
def test_a_stored_response_can_be_streamed_again_from_anywhere(options: dict[str, Any]) -> None:
    server = serve()
    answer = respond(server, stream=True, **options)
    key = answer.events[-1]["response"]["id"]
    again = ask(server, "GET", f"/responses/{key}?stream=true")
    assert again.events == answer.events
    rest = ask(server, "GET", f"/responses/{key}?stream=true&starting_after=4")
    assert rest.events == answer.events[5:]


def test_a_streamed_response_is_stored_and_gone_on_from() -> None:
    server = serve(Echo())
    key = respond(server, "one", stream=True).events[-1]["response"]["id"]
    assert respond(server, "two", stream=True, previous_response_id=key).events[-1]["type"] == "response.completed"
    assert ask(server, "GET", f"/responses/{key}/input_items").json["data"][0]["content"][0]["text"] == "one"


def test_in_the_background_it_is_queued_first() -> None:
    answer = respond(serve(), stream=True, background=True)
    check(answer)
    assert kinds(answer)[:3] == ["created", "queued", "in_progress"]


# Failures


def test_an_engine_that_fails_before_it_speaks_is_an_error() -> None:
    def fails(request: Any) -> Any:
        raise RateLimitError.because("Slow down", code="rate_limit_exceeded")
        yield "never"

    answer = respond(serve(fails), stream=True)
    assert answer.status == 429
    assert answer.json["error"]["message"] == "Slow down"


def test_an_engine_that_fails_later_is_a_failed_response() -> None:
    def fails(request: Any) -> Any:
        yield "Hel"
        yield Pause(1)
        raise RateLimitError.because("Slow down")

    server = serve(fails)
    answer = respond(server, stream=True)
    assert answer.status == 200
    assert answer.events[-1]["type"] == "response.failed"
    failed = answer.events[-1]["response"]
    assert failed["error"] == {"code": "rate_limit_exceeded", "message": "Slow down"}
    assert failed["output"][0]["status"] == "incomplete"
    assert ask(server, "GET", f"/responses/{failed['id']}").json["status"] == "failed"
    assert ask(server, "GET", f"/responses/{failed['id']}?stream=true").events[-1]["type"] == "response.failed"


# The official SDK


class City(BaseModel):
    name: str
    inhabitants: int


def test_sdk_stream_helper_accumulates_text_and_parses() -> None:
    with official(serve()).responses.stream(model="gpt-5", input="a city", text_format=City) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert isinstance(final.output_parsed, City)
    assert snapshots[-1] == final.output_text


def test_sdk_stream_helper_accumulates_calls() -> None:
    with official(serve()).responses.stream(model="gpt-5", input="get_weather", tools=[WEATHER]) as stream:  # type: ignore[list-item]
        snapshots = [event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    assert final.output[0].type == "function_call"
    assert snapshots[-1] == final.output[0].arguments


def test_sdk_stream_helper_goes_on_with_a_stored_response() -> None:
    client = official(serve())
    made = client.responses.create(model="gpt-5", input="x")
    with client.responses.stream(response_id=made.id, starting_after=6) as stream:
        assert [event.sequence_number for event in stream][:2] == [7, 8]
        assert stream.get_final_response().output_text == made.output_text


async def test_the_async_sdk_streams() -> None:
    client = official_async(serve(Echo()))
    async with client.responses.stream(model="gpt-5", input="one two") as stream:
        assert [event.type async for event in stream][-1] == "response.completed"
        assert (await stream.get_final_response()).output_text == "one two"
