"""`responses.stream` and the official one over the same bytes, event by event."""

from __future__ import annotations

import copy
import json
from typing import Any

import openai
import pydantic
import pytest

import antiphon
from antiphon.lib.streaming.responses import ResponseStreamState
from antiphon.types.responses import Response
from tests.unit.lib.twins import agree, agree_on, ours, ours_async, plainly, record, sse, theirs


class Weather(pydantic.BaseModel):
    city: str
    degrees: float


class GetWeather(pydantic.BaseModel):
    city: str


def response(status: str = "in_progress", output: Any = (), **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-5",
        "status": status,
        "output": output if output is None else list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **more,
    }


def numbered(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def message(text: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}] if text else []
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content, **more}


def texts(pieces: list[str], output: int = 0, **more: Any) -> list[dict[str, Any]]:
    place = {"item_id": "msg_1", "output_index": output, "content_index": 0}
    whole = "".join(pieces)
    return [
        {"type": "response.output_item.added", "output_index": output, "item": message("", "in_progress", **more)},
        {
            "type": "response.content_part.added",
            **place,
            "part": {"type": "output_text", "text": "", "annotations": []},
        },
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in pieces),
        {"type": "response.output_text.done", **place, "text": whole, "logprobs": []},
        {
            "type": "response.content_part.done",
            **place,
            "part": {"type": "output_text", "text": whole, "annotations": []},
        },
        {"type": "response.output_item.done", "output_index": output, "item": message(whole, **more)},
    ]


def function_call(arguments: str, status: str = "completed") -> dict[str, Any]:
    return {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "GetWeather",
        "arguments": arguments,
        "status": status,
    }


def arguments(pieces: list[str], output: int) -> list[dict[str, Any]]:
    place = {"item_id": "fc_1", "output_index": output}
    whole = "".join(pieces)
    return [
        {"type": "response.output_item.added", "output_index": output, "item": function_call("", "in_progress")},
        *({"type": "response.function_call_arguments.delta", **place, "delta": piece} for piece in pieces),
        {"type": "response.function_call_arguments.done", **place, "name": "GetWeather", "arguments": whole},
        {"type": "response.output_item.done", "output_index": output, "item": function_call(whole)},
    ]


BEGIN = [
    {"type": "response.created", "response": response()},
    {"type": "response.in_progress", "response": response()},
]
PARTS = ['{"city":', '"Paris",', '"degrees"', ":2}"]
REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}


def completed(*output: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.completed", "response": response("completed", output)}


STREAMS = {
    "text": numbered(*BEGIN, *texts(["Hel", "lo"]), completed(message("Hello"))),
    "structured": numbered(*BEGIN, *texts(PARTS), completed(message("".join(PARTS)))),
    "call": numbered(*BEGIN, *arguments(['{"city"', ':"Rome"}'], 0), completed(function_call('{"city":"Rome"}'))),
    "text and call": numbered(
        *BEGIN,
        *texts(["Let me see"]),
        *arguments(["{}"], 1),
        completed(message("Let me see"), function_call('{"city":"a"}')),
    ),
    "phases structured": numbered(
        *BEGIN,
        *texts(["thinking aloud"], phase="commentary"),
        completed(message("thinking aloud", phase="commentary")),
    ),
    "reasoning": numbered(
        *BEGIN,
        {"type": "response.output_item.added", "output_index": 0, "item": {**REASONING, "summary": []}},
        {
            "type": "response.reasoning_summary_text.delta",
            "item_id": "rs_1",
            "output_index": 0,
            "summary_index": 0,
            "delta": "Hm",
        },
        {"type": "response.output_item.done", "output_index": 0, "item": REASONING},
        *texts(["4"], 1),
        completed(REASONING, message("4")),
    ),
    "refusal": numbered(
        *BEGIN,
        {"type": "response.output_item.added", "output_index": 0, "item": message("", "in_progress")},
        {
            "type": "response.content_part.added",
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "part": {"type": "refusal", "refusal": ""},
        },
        {"type": "response.refusal.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "No."},
        {"type": "response.refusal.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "refusal": "No."},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**message(""), "content": [{"type": "refusal", "refusal": "No."}]},
        },
        completed({**message(""), "content": [{"type": "refusal", "refusal": "No."}]}),
    ),
    "without output": numbered(
        *BEGIN, *texts(["Hi"]), {"type": "response.completed", "response": response("completed", None)}
    ),
    "begun without output": numbered(
        {"type": "response.created", "response": response(output=None)},
        *texts(["Hi"]),
        completed(message("Hi")),
    ),
    "incomplete": numbered(
        *BEGIN, *texts(["Hi"]), {"type": "response.incomplete", "response": response("incomplete", None)}
    ),
    "empty item": numbered(
        *BEGIN, {"type": "response.output_item.added", "output_index": 0}, *texts(["Hi"], 1), completed(message("Hi"))
    ),
}
TOOL: Any = antiphon.pydantic_responses_function_tool(GetWeather)
THEIR_TOOL: Any = openai.pydantic_responses_function_tool(GetWeather)


def _asked(name: str, tool: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": "gpt-5", "input": "?"}
    if "structured" in name or name == "refusal":
        asked["text_format"] = Weather
    if name == "call":
        asked["tools"] = [tool]
    return asked


@pytest.mark.parametrize("name", STREAMS)
def test_events_are_the_official_ones(name: str) -> None:
    body = sse(STREAMS[name])
    with theirs(body).responses.stream(**_asked(name, THEIR_TOOL)) as stream:
        expected = record(stream)
        whole = plainly(stream.get_final_response()) if name != "incomplete" else None
    with ours(body).responses.stream(**_asked(name, TOOL)) as mine:
        agree_on(record(mine), expected)
        if whole is not None:
            agree(plainly(mine.get_final_response()), whole)


@pytest.mark.parametrize("name", STREAMS)
async def test_both_colours_tell_the_same(name: str) -> None:
    body = sse(STREAMS[name])
    with ours(body).responses.stream(**_asked(name, TOOL)) as stream:
        expected = record(stream)
    async with ours_async(body).responses.stream(**_asked(name, TOOL)) as awaited:
        assert [(event.type, plainly(event)) async for event in awaited] == expected
        if name != "incomplete":
            assert await awaited.get_final_response() == stream.get_final_response()
    assert plainly(awaited.current_response_snapshot) == plainly(stream.current_response_snapshot)


def test_a_response_that_was_not_completed_is_not_given() -> None:
    with ours(sse(STREAMS["incomplete"])).responses.stream(model="m", input="?") as stream:
        with pytest.raises(RuntimeError, match=r"response\.completed"):
            stream.get_final_response()
    assert stream.current_response_snapshot.status == "incomplete"


def test_snapshots_read_later_are_what_they_were() -> None:
    with ours(sse(STREAMS["text"])).responses.stream(model="m", input="?") as stream:
        deltas = [event for event in list(stream) if event.type == "response.output_text.delta"]
    assert [event.snapshot for event in deltas] == ["Hel", "Hello"]
    assert deltas[0].delta == "Hel"
    assert deltas[0].to_dict()["snapshot"] == "Hel"
    assert copy.deepcopy(deltas[0]) == deltas[0]


def test_a_type_that_does_not_fit_raises_its_own_error() -> None:
    body = sse(numbered(*BEGIN, *texts(["nonsense"])))
    with ours(body).responses.stream(model="m", input="?", text_format=Weather) as stream:
        with pytest.raises(pydantic.ValidationError):
            stream.until_done()


def test_what_was_not_announced_is_begun() -> None:
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "b"},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"},
        {"type": "response.brand_new", "hello": 1},
    ]
    with ours(sse(events)).responses.stream(model="m", input="?") as stream:
        told = list(stream)
    assert [event["snapshot"] for event in told[:3]] == ["a", "ab", "{}"]
    assert told[3]["hello"] == 1


def test_before_the_first_event_there_is_no_snapshot() -> None:
    with pytest.raises(RuntimeError, match="not begun"):
        _ = ResponseStreamState().current_response_snapshot


def test_a_response_begun_before_is_streamed_from_where_it_was_left() -> None:
    asked: list[Any] = []
    official: list[Any] = []
    body = sse(STREAMS["structured"])
    with theirs(body, official).responses.stream(response_id="resp_1", starting_after=4, text_format=Weather) as stream:
        expected = record(stream)
        whole = stream.get_final_response()
    with ours(body, asked).responses.stream(response_id="resp_1", starting_after=4, text_format=Weather) as mine:
        agree_on(record(mine), expected)
        assert mine.get_final_response().output_parsed == whole.output_parsed == Weather(city="Paris", degrees=2)
    assert asked[0].path == official[0].url.path == "/v1/responses/resp_1"
    assert "stream=true" in asked[0].query
    assert "starting_after" not in asked[0].query


@pytest.mark.parametrize(
    "arguments",
    [
        {"response_id": "resp_1", "input": "?"},
        {"starting_after": 1, "model": "m"},
        {"starting_after": 1},
        {},
        {"model": "m"},
        {"input": "?"},
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        theirs(b"").responses.stream(**arguments)
    with pytest.raises(ValueError, match="response"):
        ours(b"").responses.stream(**arguments)


def test_requests_are_the_official_ones() -> None:
    mine: list[Any] = []
    official: list[Any] = []
    asked: dict[str, Any] = {"text_format": Weather, "text": {"verbosity": "low"}, "include": []}
    body = sse(STREAMS["structured"])
    with ours(body, mine).responses.stream(**_asked("call", TOOL), **asked) as stream:
        stream.until_done()
    with theirs(body, official).responses.stream(**_asked("call", THEIR_TOOL), **asked) as other:
        other.until_done()
    assert json.loads(mine[0].body) == json.loads(official[0].content)


def test_tools_in_the_form_of_chat_are_taken() -> None:
    def get_weather(city: str) -> str:
        """Tell the weather."""
        return city

    sent: list[Any] = []
    body = sse(numbered(*BEGIN, completed({**function_call('{"city":"Rome"}'), "name": "get_weather"})))
    client = ours(body, sent)
    with client.responses.stream(model="m", input="?", tools=[antiphon.function_tool(get_weather)]) as stream:
        item: Any = stream.get_final_response().output[0]
    assert get_weather(**item.parsed_arguments) == "Rome"
    tool = json.loads(sent[0].body)["tools"][0]
    assert (tool["type"], tool["name"], tool["strict"]) == ("function", "get_weather", True)
    with pytest.raises(TypeError, match="form of chat"):
        client.responses.stream(model="m", input="?", tools=[{"type": "function", "function": {"name": "f"}}])


def test_the_output_can_be_sent_back() -> None:
    sent: list[Any] = []
    parsed = ours(response("completed", [message("".join(PARTS)), function_call("{}")]), sent).responses.parse(
        model="m", input="?", text_format=Weather
    )
    assert parsed.output_parsed == Weather(city="Paris", degrees=2)
    assert parsed.to_dict()["output"][0]["content"][0]["parsed"] == {"city": "Paris", "degrees": 2.0}
    items: Any = parsed.output
    ours(response(), sent).responses.create(model="m", input=[{"role": "user", "content": "?"}, *items])
    assert json.loads(sent[1].body)["input"][1:] == [message("".join(PARTS)), function_call("{}")]
    assert isinstance(parsed, Response)
    assert parsed._request_id == "req_1"


def test_a_later_look_at_the_response_replaces_what_was_completed() -> None:
    said, call = message("old"), {**function_call('{"n":4}'), "id": None}
    later = {**function_call('{"n":5}'), "id": "fc_1"}
    events = numbered(
        *BEGIN,
        {"type": "response.output_item.done", "output_index": 3, "item": said},
        {"type": "response.output_item.done", "output_index": 7, "item": call},
        {"type": "response.in_progress", "response": response("in_progress", [later, message("new"), "odd"])},
        {"type": "response.completed", "response": {**response("completed"), "output": None}},
    )
    with ours(sse(events)).responses.stream(model="m", input="?") as stream:
        final = stream.get_final_response()
    first, second = [item.to_dict() for item in final.output]
    assert final.output_text == "new"
    assert (first["id"], second["id"], second["arguments"]) == (said["id"], "fc_1", '{"n":5}')
