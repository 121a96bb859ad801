"""`POST /chat/completions`: what is asked for is what is answered, plain and streamed."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from antiphon.engines.text import Echo, LoremIpsum
from antiphon.server import tokens
from tests.unit.server.sdk import ask, chat, official, official_async, serve, tool

CITY = {"type": "string"}
WEATHER = tool("get_weather", "Current weather of a city", city=CITY)
CLOCK = tool("get_time", "What time it is", zone={"enum": ["utc", "cet"]})
USER: Any = [{"role": "user", "content": "Hello there"}]


def stream_of(chunks: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    return [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]


# Plain


def test_a_completion_has_every_field_the_official_type_has() -> None:
    answer = chat(serve(Echo()), "Say this")
    completion = ChatCompletion.model_validate(answer.json)
    assert completion.id.startswith("chatcmpl-")
    assert completion.object == "chat.completion"
    assert completion.choices[0].message.content == "Say this"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.system_fingerprint is not None
    assert completion.service_tier == "default"
    assert answer.json["choices"][0]["message"]["refusal"] is None


def test_usage_is_counted_with_the_real_vocabulary() -> None:
    usage = chat(serve(Echo()), "Is this the real life?").json["usage"]
    assert usage["completion_tokens"] == tokens.count("Is this the real life?", "gpt-4o")
    assert usage["prompt_tokens"] == tokens.message_tokens([{"role": "user", "content": "Is this the real life?"}])
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_n_choices_share_the_prompt_and_add_up() -> None:
    answer = chat(serve(LoremIpsum(words=20)), n=3).json
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    texts = [choice["message"]["content"] for choice in answer["choices"]]
    assert len(set(texts)) == 3
    assert answer["usage"]["completion_tokens"] == sum(tokens.count(text, "gpt-4o") for text in texts)


def test_the_same_request_has_the_same_answer_and_another_seed_another() -> None:
    def said(server: Any, **options: Any) -> str:
        return chat(server, **options).json["choices"][0]["message"]["content"]

    assert said(serve(seed=1), seed=7) == said(serve(seed=1), seed=7) == said(serve(seed=1), seed=7, stream=False)
    assert said(serve(), seed=1) != said(serve(), seed=2)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("limit", [1, 2, 7])
@pytest.mark.parametrize("text", ["one two three four five six seven eight", "Ünïcödé 🙂🙃🫠 naïve façade 东京 и ещё"])
def test_the_token_limit_cuts_at_a_token(name: str, limit: int, text: str) -> None:
    server = serve(Echo())
    plain = chat(server, text, **{name: limit}).json
    said = plain["choices"][0]["message"]["content"]
    assert plain["choices"][0]["finish_reason"] == "length"
    assert plain["usage"]["completion_tokens"] == limit
    assert text.startswith(said) and said == "".join(p.text for p in tokens.pieces(text, "gpt-4o")[:limit])
    events = chat(server, text, stream=True, stream_options={"include_usage": True}, **{name: limit}).events
    assert "".join(c["delta"].get("content") or "" for c in stream_of(events)) == said
    assert stream_of(events)[-1]["finish_reason"] == "length"
    assert events[-1]["usage"]["completion_tokens"] == limit


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    text = "exactly these words"
    choice = chat(serve(Echo()), text, max_tokens=tokens.count(text, "gpt-4o")).json["choices"][0]
    assert choice["message"]["content"] == text
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ("three", "one two "),
        (["x", "two", "one two t"], "one "),
        (["two", "one two"], ""),
        ([" three", "two"], "one "),
        ("seven", "one two three"),
    ],
)
def test_stop_ends_the_answer_before_the_string(stop: Any, said: str) -> None:
    server = serve(Echo())
    choice = chat(server, "one two three", stop=stop).json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (said, "stop")
    streamed = stream_of(chat(server, "one two three", stop=stop, stream=True).events)
    assert "".join(c["delta"].get("content") or "" for c in streamed) == said


def test_stop_is_found_across_pieces_of_a_stream() -> None:
    def pieces(request: Any) -> Any:
        yield from ("Hel", "lo E", "N", "D of", " story")

    events = stream_of(chat(serve(pieces), stop=["END"], stream=True).events)
    assert [c["delta"].get("content") for c in events[1:-1]] == ["Hel", "lo "]
    assert events[-1]["finish_reason"] == "stop"


def test_text_held_back_for_a_stop_string_comes_in_the_end() -> None:
    def pieces(request: Any) -> Any:
        yield from ("almost E", "N")

    events = stream_of(chat(serve(pieces), stop=["END"], stream=True).events)
    assert "".join(c["delta"].get("content") or "" for c in events) == "almost EN"


@pytest.mark.parametrize("streamed", [False, True])
def test_logprobs_join_to_the_content(streamed: bool) -> None:
    text = "Log probs: naïve 🙂 and 东京."
    answer = chat(serve(Echo()), text, logprobs=True, top_logprobs=3, stream=streamed)
    if streamed:
        events = stream_of(answer.events)
        items = [item for event in events if event["logprobs"] for item in event["logprobs"]["content"]]
        content = "".join(event["delta"].get("content") or "" for event in events)
    else:
        choice = answer.json["choices"][0]
        items, content = choice["logprobs"]["content"], choice["message"]["content"]
    assert content == text
    assert "".join(item["token"] for item in items) == text
    assert b"".join(bytes(item["bytes"]) for item in items) == text.encode()
    for item in items:
        tops = [top["logprob"] for top in item["top_logprobs"]]
        assert len(tops) == 3
        assert tops == sorted(tops, reverse=True)
        assert item["top_logprobs"][0]["token"] == item["token"]
        assert item["logprob"] <= 0


def test_logprobs_are_the_same_streamed_or_not() -> None:
    server = serve(Echo())
    plain = chat(server, "same either way", logprobs=True).json["choices"][0]["logprobs"]["content"]
    events = stream_of(chat(server, "same either way", logprobs=True, stream=True).events)
    assert [item for event in events if event["logprobs"] for item in event["logprobs"]["content"]] == plain


def test_reasoning_is_counted_and_not_said() -> None:
    server = serve()
    used = chat(server, reasoning_effort="high").json
    assert used["usage"]["completion_tokens_details"]["reasoning_tokens"] > 100
    content = used["choices"][0]["message"]["content"]
    assert used["usage"]["completion_tokens"] == (
        used["usage"]["completion_tokens_details"]["reasoning_tokens"] + tokens.count(content, "gpt-4o")
    )
    assert chat(server).json["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


def test_a_limit_below_the_reasoning_leaves_nothing_to_say() -> None:
    answer = chat(serve(), reasoning_effort="high", max_completion_tokens=10).json
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"] == ""
    assert answer["usage"]["completion_tokens"] == 10


def test_predicted_tokens_are_accepted_or_rejected() -> None:
    prediction = {"type": "content", "content": "one two three nine"}
    usage = chat(serve(Echo()), "one two three four", prediction=prediction).json["usage"]
    details = usage["completion_tokens_details"]
    assert (details["accepted_prediction_tokens"], details["rejected_prediction_tokens"]) == (3, 1)
    assert usage["completion_tokens"] == 5


@pytest.mark.parametrize(
    ("asked", "told"), [(None, "default"), ("auto", "default"), ("flex", "flex"), ("priority", "priority")]
)
def test_the_service_tier_is_told(asked: str | None, told: str) -> None:
    assert chat(serve(), service_tier=asked).json["service_tier"] == told


def test_speech_is_a_playable_file_with_a_transcript() -> None:
    import wave
    from base64 import b64decode
    from io import BytesIO

    audio = {"voice": "alloy", "format": "wav"}
    answer = chat(serve(), modalities=["text", "audio"], audio=audio).json
    message = ChatCompletion.model_validate(answer).choices[0].message
    assert message.audio is not None and message.content is None
    assert message.audio.transcript
    with wave.open(BytesIO(b64decode(message.audio.data))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24000)
        assert file.getnframes() > 5000
    assert answer["usage"]["completion_tokens_details"]["audio_tokens"] > 0


def test_streamed_speech_carries_transcript_and_samples() -> None:
    from base64 import b64decode

    audio = {"voice": "alloy", "format": "pcm16"}
    events = chat(serve(), modalities=["text", "audio"], audio=audio, stream=True).events
    parts = [c["delta"]["audio"] for c in stream_of(events) if c["delta"].get("audio")]
    samples = b"".join(b64decode(part["data"]) for part in parts if "data" in part)
    assert len(samples) % 2 == 0 and len(samples) > 10_000
    assert "".join(part.get("transcript", "") for part in parts).startswith("Lorem")
    assert parts[0]["id"].startswith("audio_")
    assert parts[-1]["expires_at"] > 0


def test_an_audio_format_that_is_not_there_is_refused_by_name() -> None:
    answer = chat(serve(), modalities=["text", "audio"], audio={"voice": "alloy", "format": "mp3"})
    assert answer.status == 400
    assert answer.json["error"]["param"] == "audio.format"


def test_web_search_cites_its_source() -> None:
    choice = chat(serve(), web_search_options={}).json["choices"][0]
    cited = choice["message"]["annotations"][0]["url_citation"]
    text = choice["message"]["content"]
    assert cited["url"] in text[cited["start_index"] : cited["end_index"]]


# Streams


def test_a_stream_has_the_order_of_the_api() -> None:
    answer = chat(serve(Echo()), "one two", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    events = answer.events
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [e["choices"][0]["delta"] for e in events[1:-1]] == [{"content": "one"}, {"content": " two"}]
    assert events[-1]["choices"][0]["delta"] == {}
    assert [e["choices"][0]["finish_reason"] for e in events] == [None, None, None, "stop"]
    assert len({(e["id"], e["created"], e["model"]) for e in events}) == 1
    assert all("usage" not in e for e in events)
    for event in events:
        ChatCompletionChunk.model_validate(event)


def test_include_usage_adds_a_chunk_and_says_null_in_the_others() -> None:
    events = chat(serve(Echo()), "one two", stream=True, stream_options={"include_usage": True}).events
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 2
    assert all(e["usage"] is None for e in events[:-1])


def test_streamed_choices_take_turns() -> None:
    events = chat(serve(LoremIpsum(words=12)), n=2, stream=True).events
    order = [e["choices"][0]["index"] for e in events]
    assert order != sorted(order)
    plain = chat(serve(LoremIpsum(words=12)), n=2).json["choices"]
    for index in (0, 1):
        streamed = "".join(c["delta"].get("content") or "" for c in stream_of(events, index))
        assert streamed == plain[index]["message"]["content"]
        assert stream_of(events, index)[-1]["finish_reason"] == "stop"


def test_an_empty_answer_is_still_a_stream() -> None:
    events = chat(serve(lambda request: ""), stream=True).events
    assert [e["choices"][0]["finish_reason"] for e in events] == [None, "stop"]


# Tools


def test_a_tool_is_called_with_valid_arguments_and_its_result_ends_the_loop() -> None:
    client = official(serve())
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    for _ in range(5):
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, tools=[WEATHER, CLOCK])  # type: ignore[list-item]
        message = answer.choices[0].message
        messages.append(message)
        if not message.tool_calls:
            break
        assert answer.choices[0].finish_reason == "tool_calls"
        assert message.content is None
        for call in message.tool_calls:
            assert call.type == "function"
            assert call.function.name == "get_weather"
            jsonschema_rs.validate(WEATHER["function"]["parameters"], json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny"})
    else:
        pytest.fail("the loop did not end")
    assert message.content
    assert [each["role"] if isinstance(each, dict) else each.role for each in messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


def test_tools_named_in_the_text_are_called_together_in_that_order() -> None:
    answer = chat(serve(), "First get_time, then get weather please", tools=[WEATHER, CLOCK]).json
    calls = answer["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_time", "get_weather"]
    assert len({call["id"] for call in calls}) == 2


def test_parallel_tool_calls_off_makes_one_call() -> None:
    answer = chat(serve(), "get_time, get_weather", tools=[WEATHER, CLOCK], parallel_tool_calls=False).json
    assert len(answer["choices"][0]["message"]["tool_calls"]) == 1


def test_streamed_calls_have_their_index_and_join_to_the_plain_ones() -> None:
    server = serve()
    content = "get_time and get_weather"
    plain = chat(server, content, tools=[WEATHER, CLOCK]).json["choices"][0]["message"]["tool_calls"]
    events = stream_of(chat(server, content, tools=[WEATHER, CLOCK], stream=True).events)
    joined: dict[int, dict[str, str]] = {}
    for event in events:
        for delta in event["delta"].get("tool_calls") or ():
            if delta["index"] not in joined:
                assert delta["id"].startswith("call_") and delta["type"] == "function"
                assert delta["function"]["arguments"] == ""
                joined[delta["index"]] = {"name": delta["function"]["name"], "arguments": ""}
            else:
                assert "id" not in delta
                joined[delta["index"]]["arguments"] += delta["function"]["arguments"]
    assert joined == {index: call["function"] for index, call in enumerate(plain)}
    assert events[0]["delta"] == {"role": "assistant", "content": None, "refusal": None}
    assert events[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("auto", ["get_weather"]),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "get_time"}}]},
            },
            ["get_time"],
        ),
    ],
)
def test_tool_choice(choice: Any, names: list[str]) -> None:
    message = chat(serve(), "the weather", tools=[WEATHER, CLOCK], tool_choice=choice).json["choices"][0]["message"]
    assert [call["function"]["name"] for call in message.get("tool_calls", [])] == names
    assert (message["content"] is None) is bool(names)


def test_required_calls_again_after_a_result() -> None:
    server = serve()
    first = chat(server, tools=[WEATHER]).json["choices"][0]["message"]
    messages = [*USER, first, {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "sunny"}]
    body = {"model": "gpt-4o", "messages": messages, "tools": [WEATHER], "tool_choice": "required"}
    assert ask(server, "POST", "/chat/completions", body).json["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("streamed", [False, True])
def test_custom_tools_take_text_by_their_grammar(streamed: bool) -> None:
    grammar = {"syntax": "regex", "definition": "[a-c]{3}-\\d{2}"}
    custom = {"type": "custom", "custom": {"name": "code", "format": {"type": "grammar", "grammar": grammar}}}
    answer = chat(serve(), "code please", tools=[custom], stream=streamed)
    if streamed:
        deltas = [d for c in stream_of(answer.events) for d in c["delta"].get("tool_calls") or ()]
        assert deltas[0]["type"] == "custom" and deltas[0]["custom"]["name"] == "code"
        text = "".join(delta["custom"]["input"] for delta in deltas)
    else:
        call = answer.json["choices"][0]["message"]["tool_calls"][0]
        assert call["type"] == "custom"
        text = call["custom"]["input"]
    import re

    assert re.fullmatch("[a-c]{3}-\\d{2}", text)


def test_a_custom_tool_can_be_named() -> None:
    tools = [WEATHER, {"type": "custom", "custom": {"name": "code"}}]
    choice = {"type": "custom", "custom": {"name": "code"}}
    calls = chat(serve(), tools=tools, tool_choice=choice).json["choices"][0]["message"]["tool_calls"]
    assert [call["custom"]["name"] for call in calls] == ["code"]


@pytest.mark.parametrize("streamed", [False, True])
def test_deprecated_functions_are_called_in_their_own_form(streamed: bool) -> None:
    answer = chat(serve(), functions=[WEATHER["function"]], stream=streamed)
    if streamed:
        events = stream_of(answer.events)
        parts = [event["delta"]["function_call"] for event in events if event["delta"].get("function_call")]
        call = {"name": parts[0]["name"], "arguments": "".join(part["arguments"] for part in parts)}
        finish = events[-1]["finish_reason"]
    else:
        choice = answer.json["choices"][0]
        call, finish = choice["message"]["function_call"], choice["finish_reason"]
    assert call["name"] == "get_weather"
    assert json.loads(call["arguments"]).keys() == {"city"}
    assert finish == "function_call"


def test_a_function_result_ends_the_deprecated_loop() -> None:
    messages = [
        *USER,
        {"role": "assistant", "content": None, "function_call": {"name": "get_weather", "arguments": "{}"}},
        {"role": "function", "name": "get_weather", "content": "sunny"},
    ]
    body = {"model": "gpt-4o", "messages": messages, "functions": [WEATHER["function"]]}
    assert ask(serve(), "POST", "/chat/completions", body).json["choices"][0]["finish_reason"] == "stop"


# Formats


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
        "kind": {"enum": ["red", "green"]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "minItems": 2},
    },
    "required": ["code", "kind", "parts"],
    "additionalProperties": False,
    "$defs": {
        "part": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "minimum": 3},
                "inner": {"anyOf": [{"$ref": "#/$defs/part"}, {"type": "null"}]},
            },
            "required": ["size", "inner"],
            "additionalProperties": False,
        }
    },
}


@pytest.mark.parametrize("streamed", [False, True])
def test_json_schema_output_is_valid(streamed: bool) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True}}
    answer = chat(serve(), response_format=form, stream=streamed)
    if streamed:
        events = stream_of(answer.events)
        content = "".join(event["delta"].get("content") or "" for event in events)
        assert len(events) > 10
    else:
        content = answer.json["choices"][0]["message"]["content"]
    jsonschema_rs.validate(SCHEMA, json.loads(content))


def test_json_object_is_an_object_and_has_to_be_asked_for_in_words() -> None:
    server = serve()
    answer = chat(server, "in json please", response_format={"type": "json_object"}).json
    assert isinstance(json.loads(answer["choices"][0]["message"]["content"]), dict)
    refused = chat(server, "whatever", response_format={"type": "json_object"})
    assert refused.status == 400
    assert refused.json["error"]["param"] == "messages"


def test_a_schema_without_instances_is_an_invalid_request() -> None:
    form = {
        "type": "json_schema",
        "json_schema": {"name": "no", "schema": {"type": "object", "required": ["a"], "properties": {"a": False}}},
    }
    answer = chat(serve(), response_format=form)
    assert answer.status == 400
    assert answer.json["error"]["message"].startswith("Invalid schema for response_format 'no'")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_is_not_content(streamed: bool) -> None:
    answer = chat(serve(), "Please refuse this", stream=streamed)
    if streamed:
        events = stream_of(answer.events)
        refusal = "".join(event["delta"].get("refusal") or "" for event in events)
        assert not any(event["delta"].get("content") for event in events)
    else:
        message = answer.json["choices"][0]["message"]
        refusal = message["refusal"]
        assert message["content"] is None
    assert "can't help" in refusal


# The official SDK's helpers


class Step(BaseModel):
    explanation: str
    output: str


class Lesson(BaseModel):
    steps: list[Step]
    final_answer: int


def test_sdk_parse_gives_the_model() -> None:
    client = official(serve())
    answer = client.chat.completions.parse(model="gpt-4o", messages=USER, response_format=Lesson)
    assert isinstance(answer.choices[0].message.parsed, Lesson)


def test_sdk_parse_gives_parsed_arguments() -> None:
    client = official(serve())
    answer = client.chat.completions.parse(model="gpt-4o", messages=USER, tools=[openai.pydantic_function_tool(Step)])
    calls = answer.choices[0].message.tool_calls
    assert calls is not None and isinstance(calls[0].function.parsed_arguments, Step)


def test_sdk_stream_helper_accumulates_content_and_usage() -> None:
    client = official(serve())
    options: Any = {"stream_options": {"include_usage": True}}
    with client.chat.completions.stream(model="gpt-4o", messages=USER, response_format=Lesson, **options) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds and "content.done" in kinds
    assert isinstance(final.choices[0].message.parsed, Lesson)
    assert final.usage is not None and final.usage.completion_tokens > 0


def test_sdk_stream_helper_accumulates_parallel_calls_and_logprobs() -> None:
    client = official(serve())
    messages: Any = [{"role": "user", "content": "get_time get_weather"}]
    strict: Any = [{**t, "function": {**t["function"], "strict": True}} for t in (WEATHER, CLOCK)]
    with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=strict) as stream:
        kinds = [event.type for event in stream]
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert kinds.count("tool_calls.function.arguments.done") == 2
    assert calls is not None and [call.function.name for call in calls] == ["get_time", "get_weather"]
    with client.chat.completions.stream(model="gpt-4o", messages=USER, logprobs=True) as stream:
        assert "logprobs.content.done" in [event.type for event in stream]


async def test_the_async_sdk_streams() -> None:
    client = official_async(serve(Echo()))
    stream = await client.chat.completions.create(model="gpt-4o", messages=USER, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "Hello there"


def test_sdk_raises_for_a_length_that_cuts_the_json() -> None:
    client = official(serve())
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="gpt-4o", messages=USER, response_format=Lesson, max_tokens=3)


# What is refused


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": USER, "stream_options": {"include_usage": True}}, "stream_options"),
        ({"messages": USER, "top_logprobs": 2}, "top_logprobs"),
        ({"messages": USER, "tool_choice": "auto"}, "tool_choice"),
        ({"messages": USER, "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"messages": USER, "max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ({"messages": USER, "max_completion_tokens": 0}, "max_completion_tokens"),
        ({"messages": USER, "stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"messages": USER, "n": 129}, "n"),
        ({"messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]}, "messages.[0].role"),
        (
            {"messages": USER, "tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "no"}}},
            "tool_choice",
        ),
    ],
)
def test_combinations_the_api_refuses(body: dict[str, Any], param: str) -> None:
    answer = ask(serve(), "POST", "/chat/completions", {"model": "gpt-4o", **body})
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert answer.json["error"]["param"] == param


def test_every_call_wants_its_answer() -> None:
    server = serve()
    made = chat(server, "get_time and get_weather", tools=[WEATHER, CLOCK]).json["choices"][0]["message"]
    first, second = (call["id"] for call in made["tool_calls"])
    result = {"role": "tool", "tool_call_id": first, "content": "x"}

    def told(*after: Any) -> str:
        body = {"model": "gpt-4o", "messages": [*USER, made, *after], "tools": [WEATHER, CLOCK]}
        return ask(server, "POST", "/chat/completions", body).json["error"]["message"]

    assert told(result).endswith(f"did not have response messages: {second}")
    assert told(result, *USER).endswith(second)
    assert "'call_other' not found" in told({**result, "tool_call_id": "call_other"})


def test_a_server_that_conjures_takes_what_the_api_would_refuse() -> None:
    body = {"model": "m", "messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}], "max_tokens": 0}
    assert ask(serve(unknown_ids="conjure"), "POST", "/chat/completions", body).status == 200
