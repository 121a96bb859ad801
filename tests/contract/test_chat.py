from __future__ import annotations

import json
import math
from typing import Any

import jsonschema_rs
import pytest

MODEL = "gpt-4o-mini"
HI = [{"role": "user", "content": "Hello there"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather somewhere",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "minLength": 3},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
                "unit": {"enum": ["c", "f"]},
            },
            "required": ["city", "days", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


async def chat(api: Any, **options: Any) -> Any:
    return await api.call("chat.completions.create", **{"model": MODEL, "messages": HI, **options})


async def streamed(api: Any, **options: Any) -> list[Any]:
    return await api.items(await chat(api, stream=True, **options))


def text(chunks: list[Any], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in choices)


async def test_an_answer(api: Any) -> None:
    answer = await chat(api)
    (choice,) = answer.choices
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model) == ("chat.completion", MODEL)
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content
    assert choice.message.tool_calls is None
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens == 9
    assert usage.completion_tokens > 5


@pytest.mark.fake(engine="echo")
async def test_the_engine_answers(api: Any) -> None:
    answer = await chat(
        api, messages=[{"role": "system", "content": "x"}, {"role": "user", "content": "caf\u00e9 \U0001f600"}]
    )
    assert answer.choices[0].message.content == "caf\u00e9 \U0001f600"


async def test_the_same_question_has_the_same_answer_streamed_or_not(api: Any) -> None:
    plain = await chat(api)
    assert (await chat(api)).choices[0].message.content == plain.choices[0].message.content
    chunks = await streamed(api)
    assert text(chunks) == plain.choices[0].message.content


async def test_a_stream(api: Any) -> None:
    chunks = await streamed(api)
    assert len(chunks) > 5
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


async def test_the_usage_of_a_stream_comes_last_when_asked_for(api: Any) -> None:
    plain = await chat(api)
    chunks = await streamed(api, stream_options={"include_usage": True})
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.to_dict() == plain.usage.to_dict()


async def test_a_stream_can_be_left(api: Any) -> None:
    stream = await chat(api, stream=True)
    assert len(await api.items(stream, most=2)) == 2
    await api.settled(stream.close())
    assert (await chat(api)).choices


async def test_several_choices(api: Any) -> None:
    answer = await chat(api, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    chunks = await streamed(api, n=3)
    assert [text(chunks, n) for n in range(3)] == [choice.message.content for choice in answer.choices]


@pytest.mark.fake(engine="echo")
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_cuts_the_answer(api: Any, limit: str) -> None:
    messages = [{"role": "user", "content": "one two three four five six seven eight"}]
    answer = await chat(api, messages=messages, **{limit: 3})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3
    assert answer.choices[0].message.content == "one two three"
    chunks = await streamed(api, messages=messages, **{limit: 3})
    assert text(chunks) == "one two three"
    assert chunks[-1].choices[0].finish_reason == "length"


@pytest.mark.fake(engine="echo")
@pytest.mark.parametrize("stop", [" four", [" six", "e f"]])
async def test_a_stop_sequence_ends_the_answer(api: Any, stop: Any) -> None:
    messages = [{"role": "user", "content": "one two three four five six"}]
    expected = {" four": "one two three"}.get(stop if isinstance(stop, str) else "", "one two thre")
    answer = await chat(api, messages=messages, stop=stop)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (expected, "stop")
    assert text(await streamed(api, messages=messages, stop=stop)) == expected


async def test_log_probabilities_join_to_the_answer(api: Any) -> None:
    answer = await chat(api, logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == answer.choices[0].message.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == answer.choices[0].message.content
    assert len(tokens) == answer.usage.completion_tokens
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert sum(math.exp(each.logprob) for each in token.top_logprobs) <= 1.0001
    chunks = await streamed(api, logprobs=True)
    parts = [c.choices[0].logprobs.content for c in chunks if c.choices[0].logprobs]
    assert "".join(token.token for part in parts for token in part or []) == answer.choices[0].message.content


async def test_a_tool_is_called_and_its_result_answered(api: Any) -> None:
    question = [{"role": "user", "content": "How is the weather in Lisbon?"}]
    answer = await chat(api, messages=question, tools=[TIME, WEATHER])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    call = choice.message.tool_calls[0]
    assert call.id.startswith("call_")
    assert (call.type, call.function.name) == ("function", "weather")
    jsonschema_rs.validate(WEATHER["function"]["parameters"], json.loads(call.function.arguments))  # type: ignore[index]
    said = choice.message.to_dict()
    messages = [*question, said, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    answer = await chat(api, messages=messages, tools=[TIME, WEATHER])
    assert (answer.choices[0].finish_reason, bool(answer.choices[0].message.content)) == ("stop", True)


async def test_tool_calls_are_streamed_by_index(api: Any) -> None:
    question = [{"role": "user", "content": "Ask the weather and the clock"}]
    plain = (await chat(api, messages=question, tools=[TIME, WEATHER])).choices[0].message.tool_calls
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    chunks = await streamed(api, messages=question, tools=[TIME, WEATHER])
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or []:
            if call.function.name:
                names[call.index] = call.function.name
                assert call.id.startswith("call_")
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert [names[n] for n in range(len(names))] == [call.function.name for call in plain]
    assert [arguments[n] for n in range(len(names))] == [call.function.arguments for call in plain]
    assert set(names.values()) == {"weather", "clock"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_the_tool_choice_decides(api: Any) -> None:
    tools = [TIME, WEATHER]
    assert (await chat(api, tools=tools, tool_choice="none")).choices[0].message.tool_calls is None
    assert (await chat(api, tools=tools, tool_choice="required")).choices[0].message.tool_calls
    named = {"type": "function", "function": {"name": "clock"}}
    calls = (await chat(api, tools=tools, tool_choice=named)).choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["clock"]
    both = [{"role": "user", "content": "Ask the weather and the clock"}]
    calls = (await chat(api, messages=both, tools=tools, parallel_tool_calls=False)).choices[0].message.tool_calls
    assert len(calls) == 1


SCHEMA = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{4}$"},
        "mood": {"type": "string", "enum": ["good", "bad"]},
        "items": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/item"}},
    },
    "required": ["code", "mood", "items"],
    "additionalProperties": False,
    "$defs": {
        "item": {
            "type": "object",
            "properties": {"n": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/item"}, {"type": "null"}]}},
            "required": ["n", "next"],
            "additionalProperties": False,
        }
    },
}


async def test_an_answer_fits_the_schema(api: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True}}
    answer = await chat(api, response_format=wanted)
    jsonschema_rs.validate(SCHEMA, json.loads(answer.choices[0].message.content))
    assert text(await streamed(api, response_format=wanted)) == answer.choices[0].message.content


async def test_an_answer_is_json(api: Any) -> None:
    messages = [{"role": "user", "content": "Say something in JSON"}]
    answer = await chat(api, messages=messages, response_format={"type": "json_object"})
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


async def test_it_declines_on_request(api: Any) -> None:
    messages = [{"role": "user", "content": "please refuse"}]
    message = (await chat(api, messages=messages)).choices[0].message
    assert message.refusal
    assert message.content is None


async def test_stored_completions_are_kept(api: Any) -> None:
    made = [await chat(api, store=True, metadata={"n": str(n)}) for n in range(3)]
    await chat(api)
    listed = await api.items(await api.call("chat.completions.list"))
    assert [each.id for each in listed] == [each.id for each in made]
    assert (await api.call("chat.completions.retrieve", made[1].id)).metadata == {"n": "1"}
    changed = await api.call("chat.completions.update", made[1].id, metadata={"n": "one"})
    assert changed.metadata == {"n": "one"}
    found = await api.items(await api.call("chat.completions.list", metadata={"n": "one"}))
    assert [each.id for each in found] == [made[1].id]
    messages = await api.items(await api.call("chat.completions.messages.list", made[0].id))
    assert [message.content for message in messages] == ["Hello there"]
    assert (await api.call("chat.completions.delete", made[0].id)).deleted is True
    with pytest.raises(api.errors.NotFoundError):
        await api.call("chat.completions.retrieve", made[0].id)


async def test_legacy_completions(api: Any) -> None:
    answer = await api.call("completions.create", model="gpt-3.5-turbo-instruct", prompt=["one", "two"], max_tokens=5)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage.completion_tokens == 10
    stream = await api.call(
        "completions.create", model="gpt-3.5-turbo-instruct", prompt="one", max_tokens=400, stream=True
    )
    chunks = await api.items(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
