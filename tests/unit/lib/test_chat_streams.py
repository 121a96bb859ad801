"""`chat.completions.stream` and the official one over the same bytes, event by event."""

from __future__ import annotations

import copy
import json
from typing import Any

import openai
import pydantic
import pytest

import antiphon
from antiphon.lib.streaming._deltas import Growing
from antiphon.lib.streaming.chat import ChatCompletionStreamState
from antiphon.types.chat import ChatCompletionChunk
from tests.unit.lib.twins import agree, agree_on, ours, ours_async, plainly, record, sse, theirs


class Weather(pydantic.BaseModel):
    city: str
    degrees: float


class GetWeather(pydantic.BaseModel):
    """Tell the weather."""

    city: str
    unit: str


def chunk(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5",
        "system_fingerprint": "fp_1",
        "choices": list(choices),
        **more,
    }


def part(delta: dict[str, Any], index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish, **more}


def logprob(token: str) -> dict[str, Any]:
    return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}


def call(index: int, arguments: str, **begun: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": begun["name"]} if begun else {})}
    return {"index": index, "function": function, **({"id": begun["id"], "type": "function"} if begun else {})}


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}

TEXT = [
    chunk(part({"role": "assistant", "content": "", "refusal": None}), service_tier="default"),
    chunk(part({"content": "Hel"})),
    chunk(part({"content": "lo "}), obfuscation="xyz"),
    chunk(part({"content": "🙂"})),
    chunk(part({}, finish="stop")),
    chunk(usage=USAGE),
]
STRUCTURED = [
    chunk(part({"role": "assistant", "content": ""})),
    *(chunk(part({"content": piece})) for piece in ['{"ci', 'ty":', '"Par', 'is","degr', 'ees":2', "1.5", "}"]),
    chunk(part({}, finish="stop")),
]
CALLS = [
    chunk(part({"role": "assistant", "content": None, "tool_calls": [call(0, "", id="call_1", name="GetWeather")]})),
    chunk(part({"tool_calls": [call(0, '{"city":')]})),
    chunk(part({"tool_calls": [call(0, '"Paris","unit":"c"}')]})),
    chunk(part({"tool_calls": [call(1, "", id="call_2", name="other")]})),
    chunk(part({"tool_calls": [call(1, '{"a":')]})),
    chunk(part({"tool_calls": [call(1, "1}")]})),
    chunk(part({"tool_calls": [call(2, '{"city":"Rome","unit":"f"}', id="call_3", name="GetWeather")]})),
    chunk(part({}, finish="tool_calls")),
    chunk(usage=USAGE),
]
TEXT_AND_CALL = [
    chunk(part({"role": "assistant", "content": "Let me "})),
    chunk(part({"content": "look."})),
    chunk(part({"tool_calls": [call(0, "{}", id="call_1", name="other")]})),
    chunk(part({}, finish="tool_calls")),
]
REFUSAL = [
    chunk(part({"role": "assistant", "content": None, "refusal": ""})),
    chunk(part({"refusal": "I can"})),
    chunk(part({"refusal": "not."})),
    chunk(part({}, finish="stop")),
]
LOGPROBS = [
    chunk(part({"role": "assistant", "content": ""}, logprobs={"content": [], "refusal": None})),
    chunk(part({"content": "A"}, logprobs={"content": [logprob("A")], "refusal": None})),
    chunk(part({"content": "B"}, logprobs={"content": [logprob("B")], "refusal": None})),
    chunk(part({}, finish="stop", logprobs=None)),
]
REFUSED_LOGPROBS = [
    chunk(part({"role": "assistant", "refusal": ""}, logprobs={"content": None, "refusal": []})),
    chunk(part({"refusal": "No"}, logprobs={"content": None, "refusal": [logprob("No")]})),
    chunk(part({"refusal": "."}, logprobs={"content": None, "refusal": [logprob(".")]})),
    chunk(part({}, finish="stop")),
]
SEVERAL = [
    chunk(part({"role": "assistant", "content": ""}, 0)),
    chunk(part({"content": "a"}, 0)),
    chunk(part({"role": "assistant", "content": ""}, 1)),
    chunk(part({"content": "b"}, 1)),
    chunk(part({"content": "A"}, 0)),
    chunk(part({}, 0, "stop")),
    chunk(part({"content": "B"}, 1)),
    chunk(part({}, 1, "stop")),
]
TOGETHER = [
    chunk(part({"role": "assistant", "content": "x"}, 0), part({"role": "assistant", "content": "y"}, 1)),
    chunk(part({"content": "X"}, 0), part({"content": "Y"}, 1)),
    chunk(part({}, 0, "stop"), part({}, 1, "stop")),
]
AZURE = [
    chunk(prompt_filter_results=[{"prompt_index": 0}]),
    {"id": "", "object": "", "created": 0, "model": "", "choices": [{"index": 0, "finish_reason": None, "delta": {}}]},
    *SEVERAL,
]
EMPTY = [chunk(part({"role": "assistant", "content": ""})), chunk(part({}, finish="stop"))]
LENGTH = [chunk(part({"role": "assistant", "content": "{"})), chunk(part({}, finish="length"))]
FILTERED = [chunk(part({"role": "assistant", "content": "{"})), chunk(part({}, finish="content_filter"))]
REASONING = [
    chunk(part({"role": "assistant", "content": None, "reasoning_content": "Hm"})),
    chunk(part({"reasoning_content": "m."})),
    chunk(part({"content": "4"})),
    chunk(part({}, finish="stop")),
]
STREAMS = {
    "text": TEXT,
    "structured": STRUCTURED,
    "calls": CALLS,
    "text and call": TEXT_AND_CALL,
    "refusal": REFUSAL,
    "logprobs": LOGPROBS,
    "refused logprobs": REFUSED_LOGPROBS,
    "several": SEVERAL,
    "together": TOGETHER,
    "azure": AZURE,
    "empty": EMPTY,
    "reasoning": REASONING,
}
TOOL: Any = antiphon.pydantic_function_tool(GetWeather)
THEIR_TOOL: Any = openai.pydantic_function_tool(GetWeather)
OTHER: Any = {"type": "function", "function": {"name": "other", "parameters": {}, "strict": True}}


def _asked(name: str, tool: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "?"}]}
    if name in ("structured", "refusal", "several json"):
        asked["response_format"] = Weather
    if "call" in name:
        asked["tools"] = [tool, OTHER]
    return asked


@pytest.mark.parametrize("name", STREAMS)
def test_events_are_the_official_ones(name: str) -> None:
    body = sse(STREAMS[name])
    with theirs(body).chat.completions.stream(**_asked(name, THEIR_TOOL)) as stream:
        expected = record(stream)
        completion = plainly(stream.get_final_completion())
    with ours(body).chat.completions.stream(**_asked(name, TOOL)) as mine:
        agree_on(record(mine), expected)
        agree(plainly(mine.get_final_completion()), completion)


@pytest.mark.parametrize("name", STREAMS)
async def test_both_colours_tell_the_same(name: str) -> None:
    body = sse(STREAMS[name])
    with ours(body).chat.completions.stream(**_asked(name, TOOL)) as stream:
        expected = record(stream)
    async with ours_async(body).chat.completions.stream(**_asked(name, TOOL)) as awaited:
        assert [(event.type, plainly(event)) async for event in awaited] == expected
        final = await awaited.get_final_completion()
    assert final == stream.get_final_completion()
    assert plainly(awaited.current_completion_snapshot) == plainly(stream.current_completion_snapshot)


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_read_late_is_what_it_was(name: str) -> None:
    """Snapshots of strings and lists stay as they were when the event came, whenever they are read."""
    body = sse(STREAMS[name])
    with ours(body).chat.completions.stream(**_asked(name, TOOL)) as stream:
        at_once = [copy.deepcopy(plainly(event)) for event in stream if event.type != "chunk"]
    with ours(body).chat.completions.stream(**_asked(name, TOOL)) as stream:
        later = [plainly(event) for event in list(stream) if event.type != "chunk"]
    assert later == at_once


@pytest.mark.parametrize(
    ("chunks", "error", "official"),
    [
        (LENGTH, antiphon.LengthFinishReasonError, openai.LengthFinishReasonError),
        (FILTERED, antiphon.ContentFilterFinishReasonError, openai.ContentFilterFinishReasonError),
    ],
)
def test_an_answer_that_was_cut_off_raises(chunks: Any, error: Any, official: Any) -> None:
    body = sse(chunks)
    asked = _asked("structured", None)
    told: list[str] = []
    expected: list[str] = []
    with theirs(body).chat.completions.stream(**asked) as stream, pytest.raises(official):
        expected.extend(event.type for event in stream)
    with ours(body).chat.completions.stream(**asked) as mine, pytest.raises(error) as raised:
        told.extend(event.type for event in mine)
    assert told == expected
    assert raised.value.completion.choices[0].message.content == "{"
    assert mine.current_completion_snapshot.choices[0].finish_reason in ("length", "content_filter")


def test_without_a_format_it_raises_in_the_end_only() -> None:
    with ours(sse(LENGTH)).chat.completions.stream(**_asked("", None)) as stream:
        assert [event.type for event in stream][-1] == "content.done"
        with pytest.raises(antiphon.LengthFinishReasonError):
            stream.get_final_completion()


def test_a_type_that_does_not_fit_raises_its_own_error() -> None:
    body = sse([chunk(part({"content": '{"city": 1}'})), chunk(part({}, finish="stop"))])
    with (
        ours(body).chat.completions.stream(**_asked("structured", None)) as stream,
        pytest.raises(pydantic.ValidationError),
    ):
        stream.until_done()


def test_content_that_is_no_json_is_not_parsed_on_the_way() -> None:
    body = sse([chunk(part({"content": "Sorry"})), chunk(part({"content": ", no"}))])
    with ours(body).chat.completions.stream(**_asked("structured", None)) as stream:
        deltas = [event for event in stream if event.type == "content.delta"]
    assert [(event.snapshot, event.parsed) for event in deltas] == [("Sorry", None), ("Sorry, no", None)]


def test_what_hosts_leave_out_is_made_up_for() -> None:
    body = sse(
        [
            chunk({"delta": {"role": "assistant", "content": "a"}}),
            chunk({"delta": {"role": "assistant", "content": "b"}}),
            {"choices": [{"delta": None}]},
            {"id": "x", "choices": None, "citations": ["https://a"]},
            chunk({"delta": {"tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": '{"a"'}}]}}),
            chunk({"delta": {"tool_calls": [{"function": {"name": "f", "arguments": ":1}"}}]}}),
            chunk({"delta": {"tool_calls": [{"id": "call_2", "function": {"name": "g", "arguments": "{}"}}]}}),
            chunk(part({}, finish="tool_calls"), usage=USAGE),
            chunk(),
        ]
    )
    with ours(body).chat.completions.stream(**_asked("", None)) as stream:
        events = list(stream)
        completion = stream.get_final_completion()
    message = completion.choices[0].message
    assert (message.role, message.content) == ("assistant", "ab")
    assert [(each.id, each.function.name, each.function.arguments) for each in message.tool_calls or []] == [
        ("call_1", "f", '{"a":1}'),
        ("call_2", "g", "{}"),
    ]
    assert completion.usage is not None
    assert completion.usage.total_tokens == 7
    assert completion["citations"] == ["https://a"]
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert [(event.index, event.arguments) for event in done] == [(0, '{"a":1}'), (1, "{}")]


def test_a_call_that_comes_whole_with_the_end_is_done_too() -> None:
    body = sse([chunk(part({"tool_calls": [call(0, "{}", id="c", name="f")]}, finish="tool_calls"))])
    with ours(body).chat.completions.stream(**_asked("", None)) as stream:
        assert [event.type for event in stream][-1] == "tool_calls.function.arguments.done"


def test_custom_tool_calls_are_left_out_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    custom = {"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "sel"}}
    more = {"index": 0, "custom": {"input": "ect"}}
    body = sse(
        [chunk(part({"tool_calls": [custom]})), chunk(part({"tool_calls": [more]})), chunk(part({}, finish="stop"))]
    )
    with ours(body).chat.completions.stream(**_asked("", None)) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.tool_calls is None
    assert "call_1 - sql" in caplog.text
    snapshot = stream.current_completion_snapshot["choices"][0]["message"]["tool_calls"]
    assert snapshot[0]["custom"]["input"] == "select"


def test_requests_are_the_official_ones() -> None:
    mine: list[Any] = []
    official: list[Any] = []
    with ours(sse(STRUCTURED), mine).chat.completions.stream(**_asked("call", TOOL), response_format=Weather) as stream:
        stream.until_done()
    with theirs(sse(STRUCTURED), official).chat.completions.stream(
        **_asked("call", THEIR_TOOL), response_format=Weather
    ) as other:
        other.until_done()
    assert json.loads(mine[0].body) == json.loads(official[0].content)
    assert mine[0].path == official[0].url.path
    assert mine[0].headers["x-stainless-helper-method"] == official[0].headers["x-stainless-helper-method"]


def test_the_request_is_made_on_entering() -> None:
    made: list[Any] = []
    manager = ours(sse(TEXT), made).chat.completions.stream(**_asked("", None))
    assert made == []
    with manager as stream:
        assert len(made) == 1
        assert next(stream).type == "chunk"
        assert stream.response.status == 200


def test_leaving_early_closes_the_stream() -> None:
    with ours(sse(TEXT)).chat.completions.stream(**_asked("", None)) as stream:
        next(stream)
    assert list(stream) == []


def test_before_the_first_chunk_there_is_no_snapshot() -> None:
    with ours(sse([])).chat.completions.stream(**_asked("", None)) as stream:
        with pytest.raises(RuntimeError, match="not begun"):
            _ = stream.current_completion_snapshot


def test_the_state_can_be_fed_by_hand() -> None:
    state = ChatCompletionStreamState()
    for each in TEXT:
        state.handle_chunk(ChatCompletionChunk.of(each))
    assert state.get_final_completion().choices[0].message.content == "Hello 🙂"


def test_chunks_are_not_changed() -> None:
    chunks = copy.deepcopy(CALLS)
    state = ChatCompletionStreamState(input_tools=[TOOL, OTHER])
    for each in chunks:
        state.handle_chunk(ChatCompletionChunk.of(each))
    state.get_final_completion()
    assert chunks == CALLS


def test_what_nobody_reads_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand chunks cost ten times what a thousand cost: in characters, which no busy machine makes slower."""
    joined: list[int] = []
    at = Growing.at

    def counted(self: Growing, count: int) -> str:
        text = at(self, count)
        joined.append(len(text))
        return text

    monkeypatch.setattr(Growing, "at", counted)
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for _ in range(10_000):
        for event in state.handle_chunk(ChatCompletionChunk.of(chunk(part({"content": "x" * 20})))):
            assert event.type in ("chunk", "content.delta")
    state.handle_chunk(ChatCompletionChunk.of(chunk(part({}, finish="stop"))))
    content = state.get_final_completion().choices[0].message.content
    assert content == "x" * 200_000
    assert sum(joined) <= 3 * len(content)
