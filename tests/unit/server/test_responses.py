"""`POST /responses`: input of every kind, tools, formats, limits; and what becomes of a Response that is stored."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from antiphon.engines.text import Echo
from antiphon.server import tokens
from antiphon.server.app import Server
from antiphon.server.engine import ChatRequest
from tests.unit.server.sdk import Answer, ask, official, official_async, serve

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Current weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CLOCK: dict[str, Any] = {
    "type": "function",
    "name": "get_time",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}


def respond(server: Server, given: Any = "Hello there", **options: Any) -> Answer:
    return ask(server, "POST", "/responses", {"model": "gpt-5", "input": given, **options})


def text_of(response: dict[str, Any]) -> str:
    return "".join(
        p.get("text", "") for item in response["output"] if item["type"] == "message" for p in item["content"]
    )


class Memory:
    """An engine that remembers what it was asked."""

    never_blocks = True

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    def __call__(self, request: ChatRequest) -> str:
        self.requests.append(request)
        return f"answer {len(self.requests)}"

    @property
    def heard(self) -> list[tuple[str, Any]]:
        return [(message["role"], message["content"]) for message in self.requests[-1].messages]


def test_a_response_has_every_field_the_official_type_has() -> None:
    answer = respond(serve(Echo()), "Say this", instructions="Be brief", metadata={"a": "b"}, temperature=0.5)
    response = Response.model_validate(answer.json)
    assert response.id.startswith("resp_")
    assert response.status == "completed"
    assert response.output_text == "Say this"
    assert response.instructions == "Be brief"
    assert response.metadata == {"a": "b"}
    assert response.temperature == 0.5
    assert response.usage is not None
    assert response.usage.output_tokens == tokens.count("Say this", "gpt-5")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert {
        "error",
        "incomplete_details",
        "parallel_tool_calls",
        "tool_choice",
        "tools",
        "text",
        "truncation",
    } <= answer.json.keys()


def test_items_become_messages() -> None:
    engine = Memory()
    respond(
        serve(engine),
        [
            {"role": "user", "content": "one"},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "two", "annotations": []}],
                "id": "msg_1",
                "status": "completed",
            },
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "three"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "four"},
            {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "five"}]},
        ],
        instructions="zero",
    )
    assert engine.heard == [
        ("developer", "zero"),
        ("user", "one"),
        ("assistant", "two"),
        (
            "user",
            [
                {"type": "text", "text": "three"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
            ],
        ),
        ("assistant", None),
        ("tool", "four"),
        ("tool", [{"type": "text", "text": "five"}]),
    ]
    assert [call["function"]["name"] for call in engine.requests[0].messages[4]["tool_calls"]] == ["f", "g"]


# Tools and formats


def test_the_loop_of_an_agent_ends() -> None:
    client = official(serve())
    given: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    for _ in range(5):
        response = client.responses.create(model="gpt-5", input=given, tools=[WEATHER])  # type: ignore[list-item]
        given += response.output
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            break
        for call in calls:
            jsonschema_rs.validate(WEATHER["parameters"], json.loads(call.arguments))
            given.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    else:
        pytest.fail("the loop did not end")
    assert [
        item["type"] if isinstance(item, dict) and "type" in item else getattr(item, "type", "user") for item in given
    ] == [
        "user",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert response.output_text


def test_the_loop_ends_with_the_previous_response_too() -> None:
    client = official(serve())
    first = client.responses.create(model="gpt-5", input="weather?", tools=[WEATHER])  # type: ignore[list-item]
    call = first.output[0]
    assert call.type == "function_call"
    second = client.responses.create(
        model="gpt-5",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
        tools=[WEATHER],  # type: ignore[list-item]
    )
    assert second.output_text


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("required", ["get_weather"]),
        ({"type": "function", "name": "get_time"}, ["get_time"]),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_time"}]}, ["get_time"]),
    ],
)
def test_tool_choice(choice: Any, names: list[str]) -> None:
    answer = respond(serve(), "the weather", tools=[WEATHER, CLOCK], tool_choice=choice).json
    assert [item["name"] for item in answer["output"] if item["type"] == "function_call"] == names
    assert answer["tool_choice"] == choice


def test_parallel_calls_and_one_at_a_time() -> None:
    both = respond(serve(), "get_time and get_weather", tools=[WEATHER, CLOCK]).json["output"]
    assert [item["name"] for item in both] == ["get_time", "get_weather"]
    one = respond(serve(), "get_time and get_weather", tools=[WEATHER, CLOCK], parallel_tool_calls=False).json["output"]
    assert len(one) == 1


def test_custom_tools() -> None:
    server = serve()
    grammar = {"type": "grammar", "syntax": "regex", "definition": "[xyz]{4}"}
    tools = [{"type": "custom", "name": "code", "format": grammar}]
    response = respond(server, "code", tools=tools).json
    call = response["output"][0]
    assert call["type"] == "custom_tool_call"
    assert len(call["input"]) == 4 and set(call["input"]) <= set("xyz")
    result = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "done"}
    after = respond(server, [result], tools=tools, previous_response_id=response["id"]).json
    assert after["output"][0]["type"] == "message"


class City(BaseModel):
    name: str
    inhabitants: int


def test_sdk_parse() -> None:
    response = official(serve()).responses.parse(model="gpt-5", input="a city", text_format=City)
    assert isinstance(response.output_parsed, City)


def test_json_object_has_to_be_asked_for_in_words() -> None:
    form = {"format": {"type": "json_object"}}
    assert isinstance(json.loads(text_of(respond(serve(), "as JSON", text=form).json)), dict)
    refused = respond(serve(), "whatever", text=form)
    assert (refused.status, refused.json["error"]["param"]) == (400, "input")


def test_a_refusal_is_a_part_of_its_own() -> None:
    part = respond(serve(), "please refuse").json["output"][0]["content"][0]
    assert part["type"] == "refusal" and "can't help" in part["refusal"]


def test_the_token_limit_makes_it_incomplete() -> None:
    answer = respond(serve(Echo()), "word " * 40, max_output_tokens=16).json
    assert answer["status"] == "incomplete"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    assert answer["usage"]["output_tokens"] == 16
    assert answer["output"][0]["status"] == "incomplete"
    assert respond(serve(), max_output_tokens=15).json["error"]["code"] == "integer_below_min_value"


def test_reasoning_is_an_item_whose_summary_is_shown_on_demand() -> None:
    shown = respond(
        serve(), reasoning={"effort": "low", "summary": "auto"}, include=["reasoning.encrypted_content"]
    ).json
    assert [item["type"] for item in shown["output"]] == ["reasoning", "message"]
    assert shown["output"][0]["summary"][0]["text"]
    assert shown["output"][0]["encrypted_content"]
    assert shown["usage"]["output_tokens_details"]["reasoning_tokens"] > 10
    hidden = respond(serve(), reasoning={"effort": "low"}).json
    assert hidden["output"][0]["summary"] == []
    assert hidden["usage"] == shown["usage"]


def test_logprobs_when_included() -> None:
    answer = respond(serve(Echo()), "one two", include=["message.output_text.logprobs"], top_logprobs=2).json
    items = answer["output"][0]["content"][0]["logprobs"]
    assert "".join(item["token"] for item in items) == "one two"
    assert all(len(item["top_logprobs"]) == 2 for item in items)


# State


def test_the_previous_response_is_heard_but_not_its_instructions() -> None:
    engine = Memory()
    server = serve(engine)
    first = respond(server, "one", instructions="first").json
    second = respond(server, "two", previous_response_id=first["id"], instructions="second").json
    assert second["previous_response_id"] == first["id"]
    respond(server, "three", previous_response_id=second["id"])
    assert engine.heard == [
        ("user", "one"),
        ("assistant", "answer 1"),
        ("user", "two"),
        ("assistant", "answer 2"),
        ("user", "three"),
    ]
    assert engine.requests[1].messages[0]["role"] == "developer"


def test_an_unknown_previous_response_is_a_bad_request() -> None:
    answer = respond(serve(), previous_response_id="resp_no")
    assert answer.status == 400
    assert answer.json["error"] == {
        "message": "Previous response with id 'resp_no' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


def test_a_response_that_is_not_stored_cannot_be_gone_on_from() -> None:
    server = serve()
    made = respond(server, store=False).json
    assert ask(server, "GET", f"/responses/{made['id']}").status == 404
    assert respond(server, previous_response_id=made["id"]).status == 400


def test_retrieve_and_delete() -> None:
    server = serve()
    made = respond(server).json
    assert ask(server, "GET", f"/responses/{made['id']}").json == made
    client = official(server)
    client.responses.delete(made["id"])
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{made['id']}' not found."):
        client.responses.retrieve(made["id"])


@pytest.mark.parametrize("path", ["/responses", "/responses?beta=true"])
def test_a_picture_goes_without_its_detail(path: str) -> None:
    server = serve()
    content = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": "https://x.test/a"}]
    given = [{"role": "user", "content": content}]
    answer = ask(server, "POST", path, {"model": "gpt-5", "input": given})
    assert answer.status == 200
    items = ask(server, "GET", f"/responses/{answer.json['id']}/input_items").json["data"]
    assert items[0]["content"][1]["detail"] == "auto"


def test_input_items_of_the_whole_conversation_page() -> None:
    server = serve(Memory())
    first = respond(server, "one").json
    second = respond(server, "two", previous_response_id=first["id"]).json
    client = official(server)
    items = list(client.responses.input_items.list(second["id"], order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["one", "answer 1", "two"]  # type: ignore[union-attr]
    newest = client.responses.input_items.list(second["id"], limit=1)
    assert newest.data[0].id == items[-1].id and newest.has_more


def test_item_references_are_resolved() -> None:
    engine = Memory()
    server = serve(engine)
    made = respond(server, "one").json
    respond(server, [{"type": "item_reference", "id": made["output"][0]["id"]}, {"role": "user", "content": "two"}])
    assert engine.heard == [("assistant", "answer 1"), ("user", "two")]
    missing = respond(server, [{"type": "item_reference", "id": "msg_no"}])
    assert missing.json["error"]["message"] == "Item with id 'msg_no' not found."


def test_a_conversation_grows_by_what_was_asked_and_answered() -> None:
    engine = Memory()
    server = serve(engine)
    client = official(server)
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "zero"}])
    response = client.responses.create(model="gpt-5", input="one", conversation=conversation.id)
    assert response.conversation is not None and response.conversation.id == conversation.id
    assert engine.heard == [("user", "zero"), ("user", "one")]
    client.responses.create(model="gpt-5", input="two", conversation={"id": conversation.id})
    assert engine.heard[2:] == [("assistant", "answer 1"), ("user", "two")]
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    assert len(items) == 5
    unknown = respond(server, conversation="conv_no")
    assert (unknown.status, unknown.json["error"]["message"]) == (404, "Conversation with id 'conv_no' not found.")


def test_a_background_response_is_found_finished_and_can_be_cancelled_before() -> None:
    server = serve()
    client = official(server)
    made = client.responses.create(model="gpt-5", input="x", background=True)
    assert made.status == "queued" and made.output == []
    server.clock.advance(1)
    done = client.responses.retrieve(made.id)
    assert done.status == "completed" and done.output_text
    other = client.responses.create(model="gpt-5", input="x", background=True)
    assert client.responses.cancel(other.id).status == "cancelled"
    assert client.responses.retrieve(other.id).status == "cancelled"
    assert client.responses.cancel(done.id).status == "completed"
    plain = client.responses.create(model="gpt-5", input="x")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(plain.id)


def test_counting_input_tokens_is_what_the_usage_says() -> None:
    server = serve()
    counted = ask(
        server, "POST", "/responses/input_tokens", {"model": "gpt-5", "input": "How many?", "tools": [WEATHER]}
    )
    assert counted.json["object"] == "response.input_tokens"
    assert counted.json["input_tokens"] == respond(server, "How many?", tools=[WEATHER]).json["usage"]["input_tokens"]


def test_a_compacted_conversation_can_be_gone_on_from() -> None:
    engine = Memory()
    server = serve(engine)
    first = respond(server, "one").json
    small = ask(server, "POST", "/responses/compact", {"model": "gpt-5", "previous_response_id": first["id"]}).json
    assert small["object"] == "response.compaction"
    assert [item["type"] for item in small["output"]] == ["message", "compaction"]
    respond(server, [*small["output"], {"role": "user", "content": "two"}])
    assert engine.heard == [("user", "one"), ("assistant", "answer 1"), ("user", "two")]


def test_the_beta_resource_shares_the_state() -> None:
    client = official(serve())
    made = client.responses.create(model="gpt-5", input="x")
    assert client.beta.responses.retrieve(made.id).id == made.id
    assert client.beta.responses.create(model="gpt-5", input="y", previous_response_id=made.id).status == "completed"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "gpt-5"}, "input"),
        (
            {"model": "gpt-5", "input": "x", "conversation": "conv_1", "previous_response_id": "resp_1"},
            "previous_response_id",
        ),
        (
            {
                "model": "gpt-5",
                "input": [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}],
            },
            "input",
        ),
        ({"model": "gpt-5", "input": [{"type": "function_call_output", "call_id": "call_1", "output": "x"}]}, "input"),
        (
            {"model": "gpt-5", "input": "x", "tools": [WEATHER], "tool_choice": {"type": "function", "name": "no"}},
            "tool_choice",
        ),
    ],
)
def test_what_the_api_refuses(body: dict[str, Any], param: str) -> None:
    answer = ask(serve(), "POST", "/responses", body)
    assert answer.status == 400
    assert answer.json["error"]["param"] == param


def test_a_server_that_conjures_knows_every_id() -> None:
    server = serve(unknown_ids="conjure")
    assert ask(server, "GET", "/responses/any").json["id"] == "any"
    assert ask(server, "POST", "/responses/any/cancel").json["id"] == "any"
    assert ask(server, "DELETE", "/responses/any").status == 200
    assert ask(server, "GET", "/responses/any/input_items").json["data"] == []
    assert ask(server, "POST", "/responses", {}).status == 200


async def test_the_async_sdk() -> None:
    client = official_async(serve(Echo()))
    assert (await client.responses.create(model="gpt-5", input="Hi")).output_text == "Hi"


def test_items_of_a_conversation_are_added_listed_and_taken_out() -> None:
    server = serve()
    client = official(server)
    conversation = client.conversations.create()
    added = client.conversations.items.create(
        conversation.id, items=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    )
    first, second = added.data
    assert added.first_id == first.id and added.last_id == second.id
    assert client.conversations.items.retrieve(second.id or "", conversation_id=conversation.id) == second
    assert client.conversations.items.delete(first.id or "", conversation_id=conversation.id).id == conversation.id
    assert [item.id for item in client.conversations.items.list(conversation.id)] == [second.id]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.delete(first.id or "", conversation_id=conversation.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.create("conv_no", items=[])
