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


async def test_a_chain_of_responses_carries_its_context(api: Any) -> None:
    first = await respond(api, input="one", instructions="Be brief")
    second = await respond(api, input=[{"role": "user", "content": "two"}], previous_response_id=first.id)
    # Instructions hold for one Response.
    assert (second.previous_response_id, second.instructions) == (first.id, None)
    third = await respond(api, input="three", previous_response_id=second.id)
    items = await api.items(await api.call("responses.input_items.list", third.id, order="asc", limit=2))
    assert [item.role for item in items] == ["user", "assistant", "user", "assistant", "user"]
    assert items[1].to_dict() == first.output[0].to_dict()
    latest = await api.call("responses.input_items.list", third.id, limit=2)
    assert [item.id for item in latest.data] == [items[4].id, items[3].id]
    assert (latest.has_more, latest.last_id) == (True, items[3].id)
    # One that is deleted is still what others went on from.
    await api.call("responses.delete", first.id)
    assert len(await api.items(await api.call("responses.input_items.list", third.id))) == 5
    assert third.usage.input_tokens > second.usage.input_tokens
    counted = await api.call("responses.input_tokens.count", model=MODEL, input="three", previous_response_id=second.id)
    assert counted.input_tokens == third.usage.input_tokens


async def test_what_a_chain_cannot_go_on_from(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError, match="Previous response with id 'resp_no' not found") as caught:
        await respond(api, previous_response_id="resp_no")
    assert (caught.value.param, caught.value.code) == ("previous_response_id", "previous_response_not_found")
    passing = await respond(api, store=False)
    with pytest.raises(api.errors.BadRequestError, match=f"Previous response with id '{passing.id}' not found"):
        await respond(api, previous_response_id=passing.id)
    called = await respond(api, input="weather?", tools=[WEATHER])
    call = called.output[0]
    with pytest.raises(api.errors.BadRequestError, match=f"No tool output found for function call {call.call_id}"):
        await respond(api, previous_response_id=called.id)
    stray = {"type": "function_call_output", "call_id": "call_no", "output": "x"}
    with pytest.raises(api.errors.BadRequestError, match="No tool call found for function call output with call_id"):
        await respond(api, input=[stray], previous_response_id=(await respond(api)).id)
    kept = await respond(api)
    with pytest.raises(api.errors.BadRequestError, match=f"Duplicate item found with id {kept.output[0].id}"):
        await respond(api, input=[kept.output[0].to_dict()], previous_response_id=kept.id)
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("responses.create", model=MODEL)
    assert caught.value.code == "missing_required_parameter"


@pytest.mark.fake(engine="echo")
async def test_an_item_is_referred_to(api: Any) -> None:
    kept = await respond(api, input="remember me")
    (item,) = await api.items(await api.call("responses.input_items.list", kept.id))
    assert (await respond(api, input=[{"type": "item_reference", "id": item.id}])).output_text == "remember me"
    with pytest.raises(api.errors.NotFoundError, match="Item with id 'msg_no' not found") as caught:
        await respond(api, input=[{"type": "item_reference", "id": "msg_no"}])
    assert caught.value.param == "input"


async def test_reasoning_is_counted_summed_up_and_carried_on(api: Any) -> None:
    options = {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    answer = await respond(api, **options)
    reasoning = answer.output[0]
    assert (reasoning.type, reasoning.summary[0].type) == ("reasoning", "summary_text")
    assert reasoning.id.startswith("rs_")
    assert answer.usage.output_tokens_details.reasoning_tokens > 100
    assert answer.usage.output_tokens > answer.usage.output_tokens_details.reasoning_tokens
    question = {"role": "user", "content": "Hello"}
    again = await respond(api, input=[question, *(item.to_dict() for item in answer.output), question], store=False)
    assert again.status == "completed"
    events = await api.items(await respond(api, stream=True, **options))
    kinds = [event.type for event in events]
    assert kinds.index("response.reasoning_summary_part.added") < kinds.index("response.reasoning_summary_text.delta")
    assert kinds.index("response.reasoning_summary_part.done") < kinds.index("response.output_text.delta")
    hidden = await respond(api, reasoning={"effort": "low"})
    assert (hidden.output[0].summary, hidden.output[0].encrypted_content) == ([], None)


@pytest.mark.parametrize("options", [{}, {"tools": [WEATHER]}, {"reasoning": {"effort": "low", "summary": "auto"}}])
async def test_a_stored_response_is_streamed_again(api: Any, options: dict[str, Any]) -> None:
    events = await api.items(await respond(api, stream=True, **options))
    key = events[-1].response.id
    again = await api.items(await api.call("responses.retrieve", key, stream=True))
    assert [event.to_dict() for event in again] == [event.to_dict() for event in events]
    rest = await api.items(await api.call("responses.retrieve", key, stream=True, starting_after=4))
    assert [event.to_dict() for event in rest] == [event.to_dict() for event in events[5:]]


async def test_input_that_is_too_long(api: Any) -> None:
    long = [{"role": "user", "content": f"{number} word" * 900} for number in range(10)]
    options = {"model": "gpt-4", "input": [*long, {"role": "user", "content": "the end"}]}
    with pytest.raises(api.errors.BadRequestError, match="exceeds the context window of this model") as caught:
        await api.call("responses.create", **options)
    assert caught.value.code == "context_length_exceeded"
    answer = await api.call("responses.create", truncation="auto", **options)
    assert (answer.status, answer.truncation) == ("completed", "auto")
    assert 4000 < answer.usage.input_tokens <= 8192
    one = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(api.errors.BadRequestError, match="exceeds the context window"):
        await api.call("responses.create", model="gpt-4", input=one, truncation="auto")


async def test_a_conversation_is_compacted(api: Any) -> None:
    first = await respond(api, input="Tell me a story")
    small = await api.call("responses.compact", model=MODEL, input="And?", previous_response_id=first.id)
    assert small.object == "response.compaction"
    assert small.output[-1].type == "compaction"
    # The types know no user messages here, so the official client warns of them: they are gone on from without.
    packed = small.output[-1].to_dict()
    following = await respond(api, input=[packed, {"role": "user", "content": "Go on"}])
    assert following.status == "completed"


@pytest.mark.fake(engine="echo")
async def test_a_conversation_is_compacted_where_it_is_long_or_told_to(api: Any) -> None:
    long = "word " * 200
    rule = {"context_management": [{"type": "compaction", "compact_threshold": 1000}]}
    first = await respond(api, input=long, **rule)
    assert [item.type for item in first.output] == ["message"]
    options = {"input": [{"role": "user", "content": long * 6}], "previous_response_id": first.id, **rule}
    events = await api.items(await respond(api, stream=True, **options))
    second = events[-1].response
    assert [item.type for item in second.output] == ["compaction", "message"]
    assert [event.type for event in events[2:5]] == [
        "response.output_item.added",
        "response.compaction.compacting",
        "response.output_item.done",
    ]
    # What stands before it may be left out: it stands for all of it.
    packed = [item.to_dict() for item in second.output]
    whole = await respond(api, input="And?", previous_response_id=second.id)
    short = await respond(api, input=[*packed, {"role": "user", "content": "And?"}])
    assert short.usage.input_tokens == whole.usage.input_tokens
    told = [{"role": "user", "content": "Hello"}, {"type": "compaction_trigger"}]
    assert [item.type for item in (await respond(api, input=told)).output] == ["compaction"]
    with pytest.raises(api.errors.BadRequestError, match="'compaction_trigger' must be the final input item"):
        await respond(api, input=told[::-1])


@pytest.mark.parametrize(
    ("options", "param", "code"),
    [
        ({"max_output_tokens": 3}, "max_output_tokens", "integer_below_min_value"),
        ({"include": ["nope"]}, "include[0]", "invalid_value"),
        ({"input": [{"role": "bogus", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"tools": [{"type": "nope"}]}, "tools[0].type", "invalid_value"),
        ({"metadata": {"a" * 65: "b"}}, "metadata." + "a" * 65, "property_name_above_max_length"),
        ({"text": {"format": {"type": "json_object"}}}, "input", None),
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
    ],
)
async def test_bad_requests(api: Any, options: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await respond(api, **options)
    assert (caught.value.param, caught.value.code) == (param, code)
