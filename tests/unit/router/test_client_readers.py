"""What a route writes, in any format and any split, is what its clients read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.kernel.http import Headers, Response
from antiphon.router import (
    Asked,
    Citation,
    Event,
    Finish,
    Reasoning,
    Refusal,
    Start,
    Step,
    StreamingClient,
    Text,
    ToolArguments,
    ToolCall,
    ToolResult,
    Usage,
)
from antiphon.router.formats import find

words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r"), min_size=1, max_size=12)
usages = st.builds(Usage, *[st.integers(0, 10**6)] * 5)


@st.composite
def rounds(draw: st.DrawFn) -> list[Event]:
    """An answer with rounds of tools."""
    events: list[Event] = [Start("id-1", "m", 1)]
    for number in range(draw(st.integers(0, 2))):
        events += draw(said())
        identity, name = f"call_{number}", draw(st.sampled_from(["weather", "time"]))
        arguments = orjson.dumps({"q": draw(words)}).decode()
        cut = draw(st.integers(0, len(arguments)))
        events.append(ToolCall(identity, name))
        events += [ToolArguments(identity, part) for part in (arguments[:cut], arguments[cut:]) if part]
        events.append(ToolResult(identity, name, draw(words), False))
        events.append(Step(number + 1))
    events += draw(said())
    return [*events, draw(usages), Finish(draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"])))]


def said() -> Any:
    return st.lists(st.one_of(words.map(Text), words.map(Reasoning)), max_size=4)


def summary(events: list[Event]) -> dict[str, Any]:
    calls: dict[str, list[str]] = {}
    found: dict[str, Any] = {"text": "", "reasoning": "", "calls": calls, "results": [], "steps": 0}
    for event in events:
        if isinstance(event, Text):
            found["text"] += event.text
        elif isinstance(event, Reasoning):
            found["reasoning"] += event.text
        elif isinstance(event, ToolCall):
            calls[str(event.id)] = [event.name, ""]
        elif isinstance(event, ToolArguments):
            calls[event.id][1] += event.text
        elif isinstance(event, ToolResult):
            found["results"].append((event.id, event.text, event.failed))
        elif isinstance(event, Step):
            found["steps"] += 1
        elif isinstance(event, Usage):
            found["usage"] = event
        elif isinstance(event, Finish):
            found["finish"] = event.reason
    return found


def written(format: str, events: list[Event], dialect: str | None = None) -> bytes:
    writer = find(format).writer(Asked([]), dialect)
    return b"".join([*(writer.write([event]) for event in events), writer.done()])


def read(format: str, body: bytes, cuts: list[int], told: bool) -> list[Event]:
    at = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    pieces = [body[start:end] for start, end in pairwise(at)]

    def handler(request: Any) -> Response:
        return Response(200, Headers({"content-type": find(format).media_type}), iter(pieces))

    client = StreamingClient(client=handler, format=format if told else None)
    return list(client.stream_events("POST", "/"))


@settings(max_examples=60, deadline=None)
@given(rounds(), st.lists(st.integers(0, 10**6), max_size=8), st.booleans())
@pytest.mark.parametrize("format", ["openai", "vercel", "ag-ui"])
def test_whatever_a_format_carries_comes_back(format: str, events: list[Event], cuts: list[int], told: bool) -> None:
    heard = read(format, written(format, events), cuts, told)
    assert isinstance(heard[0], Start) and isinstance(heard[-1], Finish)
    assert sum(isinstance(each, (Start, Finish)) for each in heard) == 2
    expected, found = summary(events), summary(heard)
    if format == "openai":  # it has no rounds
        expected["steps"] = 0
    expected["results"] = [(identity, plain(text, format), failed) for identity, text, failed in expected["results"]]
    assert found == expected


def plain(text: str, format: str) -> str:
    """The AI SDK has results as JSON: text that is some comes back as JSON is written."""
    if format != "vercel":
        return text
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if isinstance(value, str) else orjson.dumps(value).decode()


@settings(max_examples=60, deadline=None)
@given(rounds(), st.lists(st.integers(0, 10**6), max_size=8), st.booleans())
@pytest.mark.parametrize("format", ["lanarky", "text"])
def test_text_comes_back(format: str, events: list[Event], cuts: list[int], told: bool) -> None:
    heard = read(format, written(format, events), cuts, told)
    assert heard[0] == Start("", "") and heard[-1] == Finish("stop")
    assert summary(heard)["text"] == summary(events)["text"]


@settings(max_examples=40, deadline=None)
@given(said(), usages, st.lists(st.integers(0, 10**6), max_size=8))
def test_the_events_of_a_response_come_back(said: list[Event], usage: Usage, cuts: list[int]) -> None:
    call: list[Event] = [ToolCall("call_1", "weather"), ToolArguments("call_1", '{"q":1}')]
    events = [Start("resp_1", "m", 1), *said, Refusal("No."), *call, usage, Finish("tool_calls")]
    heard = read("openai", written("openai", events, "responses"), cuts, False)
    assert summary(heard) == summary(events)
    assert [each for each in heard if isinstance(each, Refusal)] == [Refusal("No.")]


@pytest.mark.parametrize("format", ["openai", "vercel", "ag-ui"])
def test_citations_and_failed_tools(format: str) -> None:
    cited = Citation("https://example.com", "Example", 0, 2)
    events: list[Event] = [
        Start("a", "m"),
        ToolCall("call_1", "weather"),
        ToolResult("call_1", "weather", "It broke.", True),
        Step(1),
        Text("So."),
        cited,
        Finish("stop"),
    ]
    heard = read(format, written(format, events), [], False)
    (citation,) = [each for each in heard if isinstance(each, Citation)]
    assert citation[:2] == cited[:2]
    (result,) = [each for each in heard if isinstance(each, ToolResult)]
    assert result.text == "It broke." and (result.failed or format == "ag-ui")


def test_cancelled_answers() -> None:
    for format in ("openai", "vercel", "ag-ui"):
        events: list[Event] = [Start("a", "m"), Text("So"), Finish("cancelled")]  # type: ignore[arg-type]
        assert read(format, written(format, events), [], False)[-1] == Finish("cancelled")  # type: ignore[arg-type]


def streamed(*values: dict[str, Any] | str) -> Iterator[Event]:
    lines = [each if isinstance(each, str) else orjson.dumps(each).decode() for each in values]
    body = "".join(f"data: {line}\n\n" for line in lines).encode()
    return iter(read("openai", body, [], False))


def test_chunks_of_ag_ui_as_other_servers_send_them() -> None:
    heard = list(
        streamed(
            {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
            {"type": "STEP_STARTED", "stepName": "first"},
            {"type": "STATE_SNAPSHOT", "snapshot": {}},
            {"type": "TEXT_MESSAGE_CHUNK", "messageId": "m", "delta": "Hel"},
            {"type": "TEXT_MESSAGE_CHUNK", "delta": "lo"},
            {"type": "TOOL_CALL_CHUNK", "toolCallId": "c", "toolCallName": "weather", "delta": '{"a"'},
            {"type": "TOOL_CALL_CHUNK", "delta": ":1}"},
            {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"},
        )
    )
    assert heard == [
        Start("r", ""),
        Text("Hel"),
        Text("lo"),
        ToolCall("c", "weather"),
        ToolArguments("c", '{"a"'),
        ToolArguments("c", ":1}"),
        Finish("stop"),
    ]


def test_parts_of_the_ai_sdk_as_other_servers_send_them() -> None:
    heard = list(
        streamed(
            {"type": "start"},
            {"type": "data-weather", "data": {"city": "Lisbon"}},
            {"type": "tool-input-available", "toolCallId": "c", "toolName": "weather", "input": {"a": 1}},
            {"type": "tool-output-available", "toolCallId": "c", "output": {"rain": True}},
            {"type": "finish"},
            "[DONE]",
        )
    )
    assert heard == [
        Start("", ""),
        ToolCall("c", "weather"),
        ToolArguments("c", '{"a":1}'),
        ToolResult("c", "weather", '{"rain":true}'),
        Finish("stop"),
    ]


def test_what_follows_the_end_is_not_waited_for() -> None:
    def body() -> Iterator[bytes]:
        yield written("vercel", [Start("a", "m"), Text("x"), Finish("stop")])
        raise AssertionError("read on")

    def handler(request: Any) -> Response:
        return Response(200, Headers({"content-type": "text/event-stream"}), body())

    assert list(StreamingClient(client=handler).stream_events("POST", "/"))[-1] == Finish("stop")
