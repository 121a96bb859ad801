from __future__ import annotations

import json
from typing import Any

import pytest

MODEL = "gpt-5"
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


async def respond(api: Any, **options: Any) -> Any:
    return await api.call("responses.create", **{"model": MODEL, "input": "Hello", **options})


async def test_a_response(api: Any) -> None:
    answer = await respond(api, instructions="Be brief", metadata={"a": "b"})
    assert answer.id.startswith("resp_")
    assert (answer.object, answer.status, answer.model) == ("response", "completed", MODEL)
    assert (answer.instructions, answer.metadata) == ("Be brief", {"a": "b"})
    message = answer.output[-1]
    assert (message.type, message.role, message.status) == ("message", "assistant", "completed")
    assert answer.output_text == message.content[0].text
    assert answer.output_text
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


async def test_a_stream_has_typed_events_in_order(api: Any) -> None:
    plain = await respond(api)
    events = await api.items(await respond(api, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == plain.output_text == events[-1].response.output_text
    assert events[-1].response.status == "completed"


async def test_a_function_is_called_and_its_result_answered(api: Any) -> None:
    question = {"role": "user", "content": "How is the weather in Lisbon?"}
    answer = await respond(api, input=[question], tools=[WEATHER])
    call = next(item for item in answer.output if item.type == "function_call")
    assert call.name == "weather"
    assert isinstance(json.loads(call.arguments)["city"], str)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    answer = await respond(api, input=[question, call.to_dict(), result], tools=[WEATHER])
    assert answer.output_text
    events = await api.items(await respond(api, input=[question], tools=[WEATHER], stream=True))
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == call.arguments


async def test_responses_are_kept_unless_told_otherwise(api: Any) -> None:
    kept = await respond(api)
    assert (await api.call("responses.retrieve", kept.id)).to_dict() == kept.to_dict()
    items = await api.items(await api.call("responses.input_items.list", kept.id))
    assert items[0].content[0].text == "Hello"
    following = await respond(api, previous_response_id=kept.id, input="And?")
    assert following.previous_response_id == kept.id
    await api.call("responses.delete", kept.id)
    with pytest.raises(api.errors.NotFoundError):
        await api.call("responses.retrieve", kept.id)
    passing = await respond(api, store=False)
    with pytest.raises(api.errors.NotFoundError):
        await api.call("responses.retrieve", passing.id)


async def test_an_answer_fits_the_schema(api: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form = {"format": {"type": "json_schema", "name": "number", "schema": schema, "strict": True}}
    answer = await respond(api, text=form)
    assert isinstance(json.loads(answer.output_text)["n"], int)


async def test_a_limit_makes_it_incomplete(api: Any) -> None:
    answer = await respond(api, max_output_tokens=16)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert answer.usage.output_tokens == 16
