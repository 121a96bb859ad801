"""`parse` of chat completions and responses: what is sent and what is made of answers."""

from __future__ import annotations

import dataclasses
import json
import operator
import subprocess
import sys
from typing import Any, TypedDict

import msgspec
import openai
import pydantic
import pytest

import antiphon
from antiphon import FakeOpenAI
from tests.unit.lib.test_response_streams import function_call, message, response
from tests.unit.lib.twins import agree, ours, ours_async, plainly, theirs


class Model(pydantic.BaseModel):
    """A place."""

    city: str
    degrees: float


@dataclasses.dataclass
class Data:
    city: str
    degrees: float


class Struct(msgspec.Struct):
    city: str
    degrees: float


class Typed(TypedDict):
    city: str
    degrees: float


@pydantic.dataclasses.dataclass
class PydanticData:
    city: str
    degrees: float


KINDS: list[tuple[Any, Any]] = [
    (Model, Model(city="Paris", degrees=2)),
    (Data, Data("Paris", 2)),
    (Struct, Struct("Paris", 2)),
    (Typed, {"city": "Paris", "degrees": 2.0}),
    (PydanticData, PydanticData("Paris", 2)),
]
WEATHER = '{"city":"Paris","degrees":2}'
ASKED: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "?"}]}


def completion(content: str | None = WEATHER, finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-5",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **more}},
        ],
    }


@pytest.mark.parametrize(("kind", "expected"), KINDS)
def test_content_becomes_the_type(kind: Any, expected: Any) -> None:
    sent: list[Any] = []
    parsed = ours(completion(), sent).chat.completions.parse(**ASKED, response_format=kind)
    assert parsed.choices[0].message.parsed == expected
    assert parsed._request_id == "req_1"
    format = json.loads(sent[0].body)["response_format"]
    assert format["type"] == "json_schema"
    assert format["json_schema"]["strict"] is True
    assert format["json_schema"]["name"] == kind.__name__
    schema = format["json_schema"]["schema"]
    assert schema["required"] == ["city", "degrees"]
    assert schema["additionalProperties"] is False
    assert {name: each["type"] for name, each in schema["properties"].items()} == {
        "city": "string",
        "degrees": "number",
    }


@pytest.mark.parametrize(("kind", "expected"), KINDS)
async def test_in_both_colours_and_apis(kind: Any, expected: Any) -> None:
    client = ours_async(response("completed", [message(WEATHER)]))
    assert (await client.responses.parse(model="m", input="?", text_format=kind)).output_parsed == expected
    parsed = await ours_async(completion()).beta.chat.completions.parse(**ASKED, response_format=kind)
    assert parsed.choices[0].message.parsed == expected
    assert parsed.model_dump()["choices"][0]["message"]["parsed"] == {"city": "Paris", "degrees": 2.0}
    assert json.loads(parsed.to_json())["choices"][0]["message"]["parsed"]["city"] == "Paris"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Model, pydantic.ValidationError),
        (PydanticData, pydantic.ValidationError),
        (Struct, msgspec.ValidationError),
        (Data, ValueError),
        (Typed, ValueError),
    ],
)
def test_an_answer_that_does_not_fit_raises_the_types_own_error(kind: Any, error: Any) -> None:
    with pytest.raises(error):
        ours(completion('{"city": 1}')).chat.completions.parse(**ASKED, response_format=kind)


def test_every_built_in_shape_comes_from_the_fake() -> None:
    for kind, _ in KINDS:
        for client in (FakeOpenAI().client(),):
            parsed = client.chat.completions.parse(**ASKED, response_format=kind).choices[0].message.parsed
            assert parsed is not None
            made = client.responses.parse(model="gpt-5", input="?", text_format=kind).output_parsed
            assert type(parsed) is type(made)


def test_requests_and_results_are_the_official_ones() -> None:
    tools: dict[str, Any] = {"x": antiphon.pydantic_function_tool(Model), "y": openai.pydantic_function_tool(Model)}
    assert tools["x"] == tools["y"]
    calls = [
        {"id": "1", "type": "function", "function": {"name": "Model", "arguments": WEATHER}},
        {"id": "2", "type": "function", "function": {"name": "strict", "arguments": '{"a":1}'}},
        {"id": "3", "type": "function", "function": {"name": "unknown", "arguments": "{}"}},
    ]
    strict = {"type": "function", "function": {"name": "strict", "strict": True, "parameters": {}}}
    sent: list[Any] = []
    body = completion(WEATHER, tool_calls=calls, annotations=[])
    mine = ours(body, sent).chat.completions.parse(**ASKED, response_format=Model, tools=[tools["x"], strict])
    other: Any = theirs(body, sent).chat.completions.parse(
        **ASKED,
        response_format=Model,
        tools=[tools["y"], strict],  # type: ignore[list-item]
    )
    agree(plainly(mine), plainly(other))
    assert json.loads(sent[0].body) == json.loads(sent[1].content)
    assert sent[0].headers["x-stainless-helper-method"] == sent[1].headers["x-stainless-helper-method"]
    found = [call.function.parsed_arguments for call in mine.choices[0].message.tool_calls or []]
    assert found == [Model(city="Paris", degrees=2), {"a": 1}, None]


@pytest.mark.parametrize(
    ("finish", "error"),
    [("length", antiphon.LengthFinishReasonError), ("content_filter", antiphon.ContentFilterFinishReasonError)],
)
def test_an_answer_that_was_cut_off_raises(finish: str, error: Any) -> None:
    with pytest.raises(error) as raised:
        ours(completion("{", finish)).chat.completions.parse(**ASKED, response_format=Model)
    assert raised.value.completion.id == "chatcmpl-1"
    official = getattr(openai, error.__name__)
    with pytest.raises(official):
        theirs(completion("{", finish)).chat.completions.parse(**ASKED, response_format=Model)


def test_a_refusal_stays_one() -> None:
    message = (
        ours(completion(None, refusal="No.")).chat.completions.parse(**ASKED, response_format=Model).choices[0].message
    )
    assert (message.parsed, message.refusal) == (None, "No.")


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "custom", "custom": {"name": "f"}},
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "function": {"name": "f", "strict": False}},
    ],
)
def test_tools_that_cannot_be_parsed_are_refused(tool: Any) -> None:
    with pytest.raises(ValueError):
        theirs({}).chat.completions.parse(**ASKED, tools=[tool])
    with pytest.raises(ValueError, match="can be parsed"):
        ours({}).chat.completions.parse(**ASKED, tools=[tool])


def test_a_format_of_the_apis_own_is_sent_as_it_is() -> None:
    sent: list[Any] = []
    format: Any = {"type": "json_object"}
    parsed = ours(completion(), sent).chat.completions.parse(**ASKED, response_format=format)
    assert parsed.choices[0].message.parsed is None
    assert json.loads(sent[0].body)["response_format"] == format


def test_a_type_that_has_no_format_is_refused() -> None:
    for kind in (int, dict[str, int], "Model"):
        with pytest.raises(TypeError, match="cannot be the format"):
            ours({}).chat.completions.parse(**ASKED, response_format=kind)


def test_the_message_can_be_sent_back() -> None:
    sent: list[Any] = []
    calls = [{"id": "1", "type": "function", "function": {"name": "Model", "arguments": WEATHER}}]
    tool = antiphon.function_tool(Model)
    body = completion(WEATHER, tool_calls=calls)
    parsed = ours(body, sent).chat.completions.parse(**ASKED, response_format=Model, tools=[tool])
    again: Any = parsed.choices[0].message
    ours(completion(), sent).chat.completions.create(model="m", messages=[again])
    assert json.loads(sent[1].body)["messages"] == [body["choices"][0]["message"]]


def test_parse_as_reads_without_asking() -> None:
    sent: list[Any] = []
    client = ours(response("completed", [message(WEATHER)]), sent)
    assert client.responses.parse(model="m", input="?", parse_as=Data).output_parsed == Data("Paris", 2)
    assert "text" not in json.loads(sent[0].body)
    assert client.responses.parse(model="m", input="?", text_format=Model, parse_as=None).output_parsed is None
    update: Any = {"type": "configuration_update", "text": {"format": {"type": "text"}}}
    assert client.responses.parse(model="m", input=[update], text_format=Model).output_parsed is None
    with pytest.raises(TypeError, match="plain text"):
        client.responses.parse(model="m", input=[update], parse_as=Model)
    other: Any = {"type": "configuration_update", "text": {"format": {"type": "json_schema", "schema": {}}}}
    with pytest.raises(TypeError, match="parse_as"):
        client.responses.parse(model="m", input=[other], text_format=Model)
    assert client.responses.parse(model="m", input=[other], text_format=Model, parse_as=Data).output_parsed is not None


def test_a_format_is_given_once() -> None:
    with pytest.raises(TypeError, match="not both"):
        ours({}).responses.parse(model="m", input="?", text={"format": {"type": "text"}}, text_format=Model)


def test_responses_are_asked_for_as_the_official_client_does() -> None:
    sent: list[Any] = []
    asked: dict[str, Any] = {
        "model": "m",
        "input": "?",
        "text_format": Model,
        "text": {"verbosity": "low"},
        "verbosity": "high",
    }
    body = response("completed", [message(WEATHER), function_call('{"a":1}')])
    strict: Any = {"type": "function", "name": "GetWeather", "strict": True, "parameters": {}}
    space: Any = {"type": "namespace", "name": "n", "description": "d", "tools": [strict]}
    mine = ours(body, sent).responses.parse(**asked, tools=[strict, space])
    other = theirs(body, sent).responses.parse(**asked, tools=[strict, space])
    assert json.loads(sent[0].body) == json.loads(sent[1].content)
    agree(plainly(mine), plainly(other))


def test_in_the_further_voices() -> None:
    client = ours(completion())
    raw = client.chat.completions.with_raw_response.parse(**ASKED, response_format=Data)
    assert raw.parse().choices[0].message.parsed == Data("Paris", 2)
    assert raw.headers["x-request-id"] == "req_1"
    with client.chat.completions.with_streaming_response.parse(**ASKED, response_format=Data) as streamed:
        assert streamed.parse().choices[0].message.parsed == Data("Paris", 2)
    assert client.chat.completions.with_result.parse(**ASKED, response_format=Data).success
    cut = ours(completion("{", "length")).chat.completions.with_result.parse(**ASKED, response_format=Data)
    assert not cut.success


def test_unknown_arguments_are_refused() -> None:
    asked: dict[str, Any] = {**ASKED, "temprature": 1}
    with pytest.raises(TypeError, match="temprature"):
        ours({}).chat.completions.parse(**asked)


def test_nothing_has_to_be_installed_for_plain_types() -> None:
    code = """
import sys
sys.modules["pydantic"] = sys.modules["msgspec"] = sys.modules["jiter"] = sys.modules["typing_extensions"] = None
from dataclasses import dataclass
from antiphon import FakeOpenAI, function_tool
@dataclass
class Data:
    city: str
def f(city: str) -> None: "Do."
client = FakeOpenAI().client()
messages = [{"role": "user", "content": "?"}]
parsed = client.chat.completions.parse(model="gpt-5", messages=messages, response_format=Data)
assert function_tool(f)["function"]["parameters"]["required"] == ["city"]
assert type(parsed.choices[0].message.parsed) is Data
with client.responses.stream(model="gpt-5", input="?", text_format=Data) as stream:
    assert type(stream.get_final_response().output_parsed) is Data
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "path",
    [
        "chat.completions.parse",
        "chat.completions.stream",
        "responses.parse",
        "responses.stream",
        "beta.threads.create_and_run_stream",
        "beta.threads.runs.create_and_stream",
        "beta.threads.runs.stream",
        "beta.threads.runs.submit_tool_outputs_stream",
    ],
)
def test_parameters_are_the_official_ones(path: str) -> None:
    import inspect

    def shape(client: Any) -> Any:
        for name in path.split("."):
            client = getattr(client, name)
        parameters = inspect.signature(client).parameters.values()
        return [(each.name, each.kind, each.default is each.empty) for each in parameters]

    assert shape(ours({})) == shape(theirs({}))
    method, other = (operator.attrgetter(path)(client) for client in (ours({}), theirs({})))
    assert hasattr(method, "__deprecated__") == hasattr(other, "__deprecated__")
    assert method.__doc__


def test_what_tells_who_answers_comes_first() -> None:
    sent: list[Any] = []
    client = ours(completion(WEATHER), sent)
    client.chat.completions.parse(messages=ASKED["messages"], service_tier="default", model="m", response_format=Model)
    assert list(json.loads(sent[0].body))[:3] == ["model", "stream", "service_tier"]
