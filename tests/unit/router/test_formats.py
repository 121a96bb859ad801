"""The wire formats: what each makes of the same events, and of the questions its callers ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.kernel.sse import Decoder
from antiphon.router import (
    Asked,
    Citation,
    Error,
    Event,
    Finish,
    Format,
    Reasoning,
    Refusal,
    Refused,
    Start,
    Step,
    StreamingResponse,
    Text,
    ToolArguments,
    ToolCall,
    ToolResult,
    Usage,
    Writer,
)
from antiphon.router.formats import KEYS, find, negotiated

from .conftest import WORDS, Caller, Upstream, app_of, chunk, events_of

EVERYTHING: list[Event] = [
    Start("chatcmpl-1", "gpt-5", 17),
    Reasoning("Let me "),
    Reasoning("see."),
    Text("It "),
    Text("rains."),
    ToolCall("call_1", "weather"),
    ToolArguments("call_1", '{"city":'),
    ToolArguments("call_1", '"Porto"}'),
    ToolCall("call_2", "tides"),
    ToolResult("call_1", "weather", '{"sky": "grey"}'),
    ToolResult("call_2", "tides", "Error: no sea", failed=True),
    Step(1),
    Text("Bring a coat."),
    Citation("https://sky.test/", "Sky", 0, 5),
    Refusal("But no umbrella."),
    Usage(10, 5, 2, 1),
    Finish("stop"),
]


async def written(key: str | Format, events: list[Any]) -> str:
    async def content() -> AsyncIterator[Any]:
        for event in events:
            yield event

    caller = await Caller(StreamingResponse(content(), format=key), "/").start().wait()
    assert caller.complete
    return caller.text


async def test_lanarky_is_the_text() -> None:
    text = await written("lanarky", EVERYTHING)
    assert text == "".join(
        f"event: completion\r\ndata: {said}\r\n\r\n" for said in ("It ", "rains.", "Bring a coat.", "But no umbrella.")
    )


async def test_text_is_the_text() -> None:
    assert await written("text", EVERYTHING) == "It rains.Bring a coat.But no umbrella."


async def test_openai_chunks() -> None:
    *chunks, done = events_of(await written("openai", EVERYTHING))
    assert done == "[DONE]"
    assert {(each["id"], each["model"], each["created"], each["object"]) for each in chunks} == {
        ("chatcmpl-1", "gpt-5", 17, "chat.completion.chunk")
    }
    assert [
        each["choices"][0]["delta"]
        if each["choices"]
        else {k: v for k, v in each.items() if k in ("usage", "tool_result")}
        for each in chunks
    ] == [
        {"role": "assistant", "reasoning_content": "Let me "},
        {"reasoning_content": "see."},
        {"content": "It "},
        {"content": "rains."},
        {
            "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Porto"}'}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "call_2", "type": "function", "function": {"name": "tides", "arguments": ""}}
            ]
        },
        {"tool_result": {"tool_call_id": "call_1", "name": "weather", "content": '{"sky": "grey"}', "failed": False}},
        {"tool_result": {"tool_call_id": "call_2", "name": "tides", "content": "Error: no sea", "failed": True}},
        {"content": "Bring a coat."},
        {
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"url": "https://sky.test/", "title": "Sky", "start_index": 0, "end_index": 5},
                }
            ]
        },
        {"refusal": "But no umbrella."},
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 2},
            }
        },
        {},
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_vercel_parts() -> None:
    *parts, done = events_of(await written("vercel", EVERYTHING))
    assert done == "[DONE]"
    assert parts == [
        {"type": "start", "messageId": "chatcmpl-1"},
        {"type": "start-step"},
        {"type": "reasoning-start", "id": "reasoning-1"},
        {"type": "reasoning-delta", "id": "reasoning-1", "delta": "Let me "},
        {"type": "reasoning-delta", "id": "reasoning-1", "delta": "see."},
        {"type": "reasoning-end", "id": "reasoning-1"},
        {"type": "text-start", "id": "text-1"},
        {"type": "text-delta", "id": "text-1", "delta": "It "},
        {"type": "text-delta", "id": "text-1", "delta": "rains."},
        {"type": "text-end", "id": "text-1"},
        {"type": "tool-input-start", "toolCallId": "call_1", "toolName": "weather", "dynamic": True},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": '{"city":'},
        {"type": "tool-input-delta", "toolCallId": "call_1", "inputTextDelta": '"Porto"}'},
        {"type": "tool-input-start", "toolCallId": "call_2", "toolName": "tides", "dynamic": True},
        {
            "type": "tool-input-available",
            "toolCallId": "call_1",
            "toolName": "weather",
            "input": {"city": "Porto"},
            "dynamic": True,
        },
        {"type": "tool-input-available", "toolCallId": "call_2", "toolName": "tides", "input": {}, "dynamic": True},
        {"type": "tool-output-available", "toolCallId": "call_1", "output": {"sky": "grey"}, "dynamic": True},
        {"type": "tool-output-error", "toolCallId": "call_2", "errorText": "Error: no sea", "dynamic": True},
        {"type": "finish-step"},
        {"type": "start-step"},
        {"type": "text-start", "id": "text-2"},
        {"type": "text-delta", "id": "text-2", "delta": "Bring a coat."},
        {"type": "source-url", "sourceId": "source-1", "url": "https://sky.test/", "title": "Sky"},
        {"type": "text-delta", "id": "text-2", "delta": "But no umbrella."},
        {"type": "text-end", "id": "text-2"},
        {"type": "finish-step"},
        {
            "type": "finish",
            "finishReason": "stop",
            "messageMetadata": {
                "finishReason": "stop",
                "usage": {
                    "inputTokens": 10,
                    "outputTokens": 5,
                    "totalTokens": 15,
                    "reasoningTokens": 2,
                    "cachedInputTokens": 1,
                },
            },
        },
    ]


async def test_vercel_says_its_version() -> None:
    caller = await Caller(app_of(Upstream(WORDS), format="vercel"), "/chat").start().wait()
    assert caller.response_headers["x-vercel-ai-ui-message-stream"] == "v1"


async def test_ag_ui_events() -> None:
    events = events_of(await written("ag-ui", EVERYTHING))
    ids = {key: events[0][key] for key in ("threadId", "runId")}
    run = ids["runId"]
    assert events == [
        {"type": "RUN_STARTED", **ids},
        {"type": "REASONING_START", "messageId": f"{run}-1"},
        {"type": "REASONING_MESSAGE_START", "messageId": f"{run}-1", "role": "reasoning"},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": f"{run}-1", "delta": "Let me "},
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": f"{run}-1", "delta": "see."},
        {"type": "REASONING_MESSAGE_END", "messageId": f"{run}-1"},
        {"type": "REASONING_END", "messageId": f"{run}-1"},
        {"type": "TEXT_MESSAGE_START", "messageId": f"{run}-2", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{run}-2", "delta": "It "},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{run}-2", "delta": "rains."},
        {"type": "TEXT_MESSAGE_END", "messageId": f"{run}-2"},
        {"type": "TOOL_CALL_START", "toolCallId": "call_1", "toolCallName": "weather", "parentMessageId": f"{run}-2"},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "call_1", "delta": '{"city":'},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "call_1", "delta": '"Porto"}'},
        {"type": "TOOL_CALL_START", "toolCallId": "call_2", "toolCallName": "tides", "parentMessageId": f"{run}-2"},
        {"type": "TOOL_CALL_END", "toolCallId": "call_1"},
        {"type": "TOOL_CALL_END", "toolCallId": "call_2"},
        {
            "type": "TOOL_CALL_RESULT",
            "messageId": f"{run}-3",
            "toolCallId": "call_1",
            "content": '{"sky": "grey"}',
            "role": "tool",
        },
        {
            "type": "TOOL_CALL_RESULT",
            "messageId": f"{run}-4",
            "toolCallId": "call_2",
            "content": "Error: no sea",
            "role": "tool",
        },
        {"type": "STEP_STARTED", "stepName": "round 2"},
        {"type": "TEXT_MESSAGE_START", "messageId": f"{run}-5", "role": "assistant"},
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{run}-5", "delta": "Bring a coat."},
        {
            "type": "CUSTOM",
            "name": "citation",
            "value": {"url": "https://sky.test/", "title": "Sky", "start": 0, "end": 5},
        },
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": f"{run}-5", "delta": "But no umbrella."},
        {"type": "TEXT_MESSAGE_END", "messageId": f"{run}-5"},
        {"type": "STEP_FINISHED", "stepName": "round 2"},
        {
            "type": "RUN_FINISHED",
            **ids,
            "result": {"finishReason": "stop"},
            "usage": [
                {
                    "inputTokens": 10,
                    "outputTokens": 5,
                    "totalTokens": 15,
                    "reasoningTokens": 2,
                    "cachedInputTokens": 1,
                }
            ],
        },
    ]


async def test_ag_ui_keeps_the_names_of_its_caller() -> None:
    body = {
        "threadId": "t1",
        "runId": "r1",
        "messages": [{"id": "m", "role": "user", "content": "Hello"}],
        "tools": [],
        "context": [],
        "state": {},
    }
    caller = await Caller(app_of(Upstream(WORDS), format="ag-ui"), "/chat", body).start().wait()
    first, *_, last = events_of(caller.text)
    assert (first["threadId"], first["runId"]) == (last["threadId"], last["runId"]) == ("t1", "r1")


async def test_json_of_what_was_composed() -> None:
    async def content() -> AsyncIterator[Event]:
        for event in EVERYTHING:
            yield event

    caller = await Caller(StreamingResponse(content(), format="json"), "/").start().wait()
    whole = orjson.loads(caller.text)
    message = whole["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == ("Bring a coat.", "But no umbrella.")
    assert [each["name"] for each in whole["tool_results"]] == ["weather", "tides"]
    assert whole["usage"]["total_tokens"] == 15

    async def failing() -> AsyncIterator[Event]:
        yield Error("No.", 418, code="teapot")

    caller = await Caller(StreamingResponse(failing(), format="json"), "/").start().wait()
    assert (caller.status, orjson.loads(caller.text)["error"]["code"]) == (418, "teapot")


@pytest.mark.parametrize("key", KEYS)
async def test_what_ends_without_saying_so_is_ended(key: str) -> None:
    text = await written(key, ["Hel", "lo"])
    assert "lo" in text
    ends = {
        "openai": "[DONE]",
        "vercel": "[DONE]",
        "ag-ui": "RUN_FINISHED",
        "json": '"stop"',
        "lanarky": "lo",
        "text": "lo",
    }
    assert ends[key] in text


LINES = st.text(alphabet=st.sampled_from(["a", "é", "𝄞", "\n", "\r", " ", ":", "\u2028", "\x00"]), max_size=12)


@given(st.lists(LINES, max_size=6))
def test_any_text_survives_lanarky(texts: list[str]) -> None:
    writer = find("lanarky").writer(Asked([]), None)
    events = list(Decoder().feed(writer.write([Text(text) for text in texts])))
    assert all(event.event == "completion" for event in events)
    lines = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    assert [event.data.decode() for event in events] == lines
    frames = [orjson.loads(frame) for frame in writer.frames([Text(text) for text in texts])]
    assert [frame["data"] for frame in frames] == texts


@given(st.lists(LINES, max_size=6), st.sampled_from(["openai", "vercel", "ag-ui"]))
def test_any_text_survives_json(texts: list[str], key: str) -> None:
    writer = find(key).writer(Asked([]), None)
    data = writer.write([Text(text) for text in texts])
    said = []
    for event in Decoder().feed(data):
        value = orjson.loads(event.data)
        said.append(value["choices"][0]["delta"].get("content", "") if key == "openai" else value.get("delta", ""))
    assert "".join(said) == "".join(texts)


# Chosen by the caller


def test_accept() -> None:
    own, all_of = find("lanarky"), [find(key) for key in KEYS]

    def chosen(accept: str | None, own: Format = own, allowed: Any = all_of) -> str:
        return negotiated(accept, own, allowed).key

    assert chosen(None) == chosen("*/*") == chosen("text/event-stream") == chosen("text/*") == "lanarky"
    assert chosen("application/json") == "json"
    assert chosen("text/plain") == "text"
    assert chosen("text/event-stream; format=vercel") == "vercel"
    assert chosen('text/event-stream;format="ag-ui"') == "ag-ui"
    assert chosen("application/json;q=0.5, text/plain") == "text"
    assert chosen("image/png, */*;q=0.1") == "lanarky"
    assert chosen("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8") == "lanarky"
    assert chosen("application/json", find("openai")) == "openai"  # what the official clients send, streaming or not
    assert chosen("application/json, text/event-stream", find("openai")) == "openai"
    assert chosen("text/plain;q=x, application/json") == "json"
    for nothing in ("image/png", "text/plain;q=0", "text/event-stream; format=morse"):
        with pytest.raises(Refused, match="This route answers with text/event-stream"):
            chosen(nothing)
    with pytest.raises(Refused):
        chosen("text/plain", own, [own])


async def test_a_route_may_allow_some_formats_only() -> None:
    app = app_of(Upstream(WORDS), formats=["text"])
    assert (await Caller(app, "/chat", headers={"accept": "text/plain"}).start().wait()).status == 200
    refused = await Caller(app, "/chat", headers={"accept": "application/json"}).start().wait()
    assert refused.status == 406
    assert (await Caller(app, "/chat").start().wait()).text.startswith("event: completion")


def test_formats_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="there is no wire format 'morse'; there are lanarky, openai"):
        find("morse")
    with pytest.raises(ValueError, match="there is no wire format"):
        app_of(None, format="morse")


async def test_a_format_of_ones_own() -> None:
    class Shouting(Writer):
        def write(self, events: Any) -> bytes:
            return "".join(each.text.upper() for each in events if isinstance(each, Text)).encode()

    class Shout(Format):
        key = "shout"
        media_type = "text/x-shout"

        def writer(self, asked: Asked, dialect: str | None) -> Writer:
            return Shouting()

    app = app_of(FakeOpenAI(engine="echo"), format=Shout())
    caller = await Caller(app, "/chat").start().wait()
    assert (caller.response_headers["content-type"], caller.text) == ("text/x-shout; charset=utf-8", "HELLO")


# Questions


async def asked_of(key: str, messages: list[Any], **rest: Any) -> list[dict[str, Any]]:
    upstream = Upstream(WORDS)
    caller = await Caller(app_of(upstream, format=key), "/chat", {"messages": messages, **rest}).start().wait()
    assert caller.status == 200, caller.text
    asked: list[dict[str, Any]] = upstream.bodies[0]["messages"]
    return asked


async def test_vercel_goes_on_with_the_message_whose_tools_ran_at_the_callers() -> None:
    call = {"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": {}, "output": "grey"}
    user = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Weather?"}]}
    for messages, identity in (
        ([user], "chatcmpl-1"),
        ([user, {"id": "2", "role": "assistant", "parts": [call]}], "2"),
    ):
        app = app_of(Upstream(WORDS), format="vercel")
        caller = await Caller(app, "/chat", body={"messages": messages}).start().wait()
        assert events_of(caller.text)[0] == {"type": "start", "messageId": identity}


async def test_vercel_questions() -> None:
    picture = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AA=="}
    paper = {
        "type": "file",
        "mediaType": "application/pdf",
        "filename": "a.pdf",
        "url": "data:application/pdf;base64,AA==",
    }
    call = {
        "type": "tool-weather",
        "toolCallId": "c1",
        "state": "output-available",
        "input": {"city": "Porto"},
        "output": {"sky": "grey"},
    }
    failed = {
        "type": "dynamic-tool",
        "toolName": "tides",
        "toolCallId": "c2",
        "state": "output-error",
        "input": {},
        "errorText": "no sea",
    }
    begun = {"type": "tool-weather", "toolCallId": "c3", "state": "input-streaming"}
    messages = [
        {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Weather?"}]},
        {
            "id": "2",
            "role": "assistant",
            "parts": [
                {"type": "step-start"},
                {"type": "reasoning", "text": "Hm"},
                call,
                failed,
                begun,
                {"type": "step-start"},
                {"type": "text", "text": "Grey."},
            ],
        },
        {"id": "3", "role": "user", "parts": [{"type": "text", "text": "And here?"}, picture, paper]},
        {"id": "4", "role": "user", "content": "Well?"},
    ]
    assert await asked_of("vercel", messages, id="chat", trigger="submit-message") == [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Porto"}'}},
                {"id": "c2", "type": "function", "function": {"name": "tides", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"sky":"grey"}'},
        {"role": "tool", "tool_call_id": "c2", "content": "no sea"},
        {"role": "assistant", "content": "Grey."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And here?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            ],
        },
        {"id": "4", "role": "user", "content": "Well?"},
    ]


async def test_ag_ui_questions() -> None:
    messages = [
        {
            "id": "1",
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "binary", "mimeType": "image/png", "data": "AA=="},
                {"type": "image", "source": {"type": "url", "value": "https://x.test/a.png"}},
            ],
        },
        {
            "id": "2",
            "role": "assistant",
            "toolCalls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"id": "3", "role": "tool", "toolCallId": "c1", "content": "grey"},
        {"id": "4", "role": "reasoning", "content": "Hm"},
        {"id": "5", "role": "user", "content": "Well?"},
    ]
    assert await asked_of("ag-ui", messages, threadId="t", runId="r") == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "grey", "tool_call_id": "c1"},
        {"role": "user", "content": "Well?"},
    ]


async def test_openai_questions_say_whether_to_stream() -> None:
    upstream = Upstream(WORDS)
    app = app_of(upstream, format="openai", parameters=("temperature",))
    body = {
        "model": "theirs",
        "temperature": 0.5,
        "stream": True,
        "messages": [{"role": "user", "content": "Hello", "name": "Ada"}],
    }
    caller = await Caller(app, "/chat?stream=false", body, {"accept": "application/json"}).start().wait()
    assert events_of(caller.text)[-1] == "[DONE]"
    sent = upstream.bodies[0]
    assert (sent["model"], sent["temperature"], sent["messages"][0]["name"]) == ("gpt-5", 0.5, "Ada")
    assert sent["stream_options"] == {"include_usage": True}


async def test_what_the_upstream_writes_is_not_touched() -> None:
    strange = {**chunk({"content": "Hi", "mood": "good"}), "ünknown": [1.50, None], "choices": []}
    raw = b'{"a": 1.50,  "choices": [] , "x":"\\u00e9"}'
    upstream = Upstream(
        [chunk({}), strange, b"data: " + raw + b"\r\n\r\n", chunk({}, "stop"), b": ping\n\n", b"data: [DONE]\n\n"]
    )
    caller = await Caller(app_of(upstream, format="openai"), "/chat").start().wait()
    assert raw.decode() in caller.text
    assert events_of(caller.text)[1] == strange


async def test_pieces_in_any_split_are_the_same() -> None:
    whole = b"".join(
        each
        if isinstance(each, bytes)
        else b"data: " + orjson.dumps(chunk({"content": f"word{each} "}) if isinstance(each, int) else each) + b"\n\n"
        for each in WORDS
    )
    for size in (1, 7, 100):
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        for key in ("lanarky", "openai"):
            split = await Caller(app_of(Upstream(pieces), format=key), "/chat").start().wait()
            plain = await Caller(app_of(Upstream(WORDS), format=key), "/chat").start().wait()
            assert split.text == plain.text


async def test_a_response_that_no_upstream_wrote() -> None:
    """The official accumulator and our own reader both make of it what it was made of."""
    from antiphon.router import ComposedAnswer
    from antiphon.router.upstream.responses import ResponsesReader

    events = [event for event in EVERYTHING if not isinstance(event, (ToolResult, Step))]

    async def cached(asked: Asked, ask: Any) -> Any:
        async def content() -> AsyncIterator[Event]:
            for event in events:
                yield event

        return ComposedAnswer(content(), dialect="responses")

    app = app_of(None, format="openai", layers=[cached])
    caller = await Caller(app, "/chat").start().wait()
    told = events_of(caller.text)
    assert [each["sequence_number"] for each in told] == list(range(len(told)))
    assert (told[0]["type"], told[-1]["type"]) == ("response.created", "response.completed")
    response = told[-1]["response"]
    assert [item["type"] for item in response["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "message",
    ]
    assert all(item["status"] == "completed" for item in response["output"])
    assert response["usage"]["total_tokens"] == 15
    reader = ResponsesReader()
    read = reader.read(caller.text.encode()) + reader.close()

    def words(of: list[Any], kind: type) -> str:
        return "".join(event.text for event in of if isinstance(event, kind))

    for kind in (Text, Reasoning, Refusal, ToolArguments):
        assert words(read, kind) == words(events, kind)
    told_of = (ToolCall, Citation, Usage, Start)
    expected = [event for event in events if isinstance(event, told_of)]
    expected = [each._replace(cache_write_tokens=0) if isinstance(each, Usage) else each for each in expected]
    assert [event for event in read if isinstance(event, told_of)] == expected
    assert ResponsesReader().whole(response)[-1] == read[-1] == Finish("tool_calls")


@pytest.mark.parametrize(
    ("reason", "status"), [("length", "incomplete"), ("cancelled", "incomplete"), ("stop", "completed")]
)
def test_how_a_response_ends(reason: str, status: str) -> None:
    writer = find("openai").writer(Asked([]), "responses")
    writer.passing()
    (event,) = events_of(writer.write([Finish(reason)]).decode())  # type: ignore[arg-type]
    assert event["response"]["status"] == status
    (error,) = events_of(writer.write([Error("No.", code="gone", request_id="req_1")]).decode())
    assert (error["type"], error["code"], error["request_id"]) == ("error", "gone", "req_1")
