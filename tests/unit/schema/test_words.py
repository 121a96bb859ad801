"""What is refused and in which words. The rows are what the real API was observed to answer (2026)."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.kernel.errors import BadRequestError
from antiphon.server.validation import compile_body

CHAT, RESPONSES, EMBEDDINGS = "chat.completions.create", "responses.create", "embeddings.create"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]},
    RESPONSES: {"model": "gpt-5", "input": "hi"},
    EMBEDDINGS: {"model": "text-embedding-3-small", "input": "hi"},
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
TYPES = "invalid_type"
MISSING = "missing_required_parameter"
UNKNOWN = "unknown_parameter"
VALUE = "invalid_value"


def refusal(name: str, body: Any) -> tuple[str | None, str | None, str]:
    """`param`, `code` and message of the error."""
    with pytest.raises(BadRequestError) as caught:
        compile_body(name)(body)
    error = caught.value
    assert error.status_code == 400
    assert error.type == "invalid_request_error"
    return error.param, error.code, error.message


def wrong(path: str, expected: str, got: str) -> tuple[str, str, str]:
    return path, TYPES, f"Invalid type for '{path}': expected {expected}, but got {got} instead."


def missing(path: str) -> tuple[str, str, str]:
    return path, MISSING, f"Missing required parameter: '{path}'."


def unknown(path: str, hint: str = "") -> tuple[str, str, str]:
    return path, UNKNOWN, f"Unknown parameter: '{path}'.{hint}"


def value(path: str, given: str, supported: str) -> tuple[str, str, str]:
    return path, VALUE, f"Invalid value: '{given}'. Supported values are: {supported}."


CHAT_ROWS: list[tuple[dict[str, Any], tuple[str | None, str | None, str]]] = [
    ({"zzz_unknown": 1}, unknown("zzz_unknown")),
    ({"reasoning": {"effort": "low"}}, unknown("reasoning")),
    ({"n": "2"}, wrong("n", "an integer", "a string")),
    ({"n": True}, wrong("n", "an integer", "a boolean")),
    ({"temperature": "hot"}, wrong("temperature", "a decimal", "a string")),
    ({"temperature": False}, wrong("temperature", "a decimal", "a boolean")),
    ({"store": "yes"}, wrong("store", "a boolean", "a string")),
    ({"seed": 1.5}, wrong("seed", "an integer", "a decimal number")),
    ({"seed": 1.0}, wrong("seed", "an integer", "a decimal number")),
    ({"user": {"a": 1}}, wrong("user", "a string", "an object")),
    ({"user": None}, wrong("user", "a string", "null")),
    ({"tools": "none"}, wrong("tools", "an array of objects", "a string")),
    ({"tool_choice": 7}, wrong("tool_choice", "one of one of 'none', 'auto', or 'required' or object", "an integer")),
    ({"response_format": "json"}, wrong("response_format", "an object", "a string")),
    ({"messages": "ping"}, wrong("messages", "an array of objects", "a string")),
    ({"messages": ["ping"]}, wrong("messages[0]", "an object", "a string")),
    (
        {"messages": [{"role": "user", "content": 7}]},
        wrong("messages[0].content", "one of a string or array of objects", "an integer"),
    ),
    ({"stop": 7}, wrong("stop", "one of a string or array of strings", "an integer")),
    ({"prompt_cache_retention": {"a": 1}}, wrong("prompt_cache_retention", "one of 'in_memory' or '24h'", "an object")),
    ({"metadata": {"k": 7}}, wrong("metadata.k", "a string", "an integer")),
    ({"logit_bias": {"1": "x"}}, wrong("logit_bias.1", "an integer", "a string")),
    (
        {"n": 0},
        (
            "n",
            "integer_below_min_value",
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
    ),
    (
        {"n": 129},
        (
            "n",
            "integer_above_max_value",
            "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.",
        ),
    ),
    (
        {"temperature": 2.5},
        (
            "temperature",
            "decimal_above_max_value",
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        ),
    ),
    (
        {"temperature": -2.5},
        (
            "temperature",
            "decimal_below_min_value",
            "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -2.5 instead.",
        ),
    ),
    (
        {"messages": []},
        (
            "messages",
            "empty_array",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
    ),
    (
        {"stop": list("abcde")},
        (
            "stop",
            "array_above_max_length",
            (
                "Invalid 'stop': array too long. Expected an array with maximum length 4, "
                "but got an array with length 5 instead."
            ),
        ),
    ),
    (
        {"metadata": {f"k{i}": "v" for i in range(17)}},
        (
            "metadata",
            "object_above_max_properties",
            (
                "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
                "but got an object with 17 properties instead."
            ),
        ),
    ),
    (
        {"metadata": {"k": "x" * 600}},
        (
            "metadata.k",
            "string_above_max_length",
            (
                "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, "
                "but got a string with length 600 instead."
            ),
        ),
    ),
    (
        {"metadata": {"k" * 70: "v"}},
        (
            f"metadata.{'k' * 70}",
            "property_name_above_max_length",
            (
                "Invalid property name in 'metadata': 'kkk...kkk' is too long. "
                "Expected a string with maximum length 64, but got a string with length 70 instead."
            ),
        ),
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        (
            "tools[0].function.name",
            VALUE,
            (
                "Invalid 'tools[0].function.name': string does not match pattern. "
                "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
        ),
    ),
    ({"verbosity": "bogus"}, value("verbosity", "bogus", "'low', 'medium', and 'high'")),
    (
        {"response_format": {"type": "bogus"}},
        value("response_format.type", "bogus", "'json_object', 'json_schema', and 'text'"),
    ),
    (
        {"messages": [{"role": "bogus", "content": "ping"}]},
        value("messages[0].role", "bogus", "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"),
    ),
    ({"tool_choice": "bogus"}, value("tool_choice", "bogus", "'none', 'auto', and 'required'")),
    (
        {"messages": [{"role": "user", "content": [{"type": "bogus"}]}]},
        value("messages[0].content[0].type", "bogus", "'text', 'image_url', 'input_audio', and 'file'"),
    ),
    ({"modalities": ["smell"]}, value("modalities[0]", "smell", "'text' and 'audio'")),
    (
        {"messages": [{"role": ["user"], "content": ""}]},
        wrong(
            "messages[0].role", "one of 'system', 'assistant', 'user', 'function', 'tool', or 'developer'", "an array"
        ),
    ),
    ({"response_format": {}}, missing("response_format.type")),
    ({"functions": [{"parameters": {}}]}, missing("functions[0].name")),
    ({"tools": [{"type": "function"}]}, missing("tools[0].function")),
    ({"tools": [{"type": "function", "function": {"parameters": {}}}]}, missing("tools[0].function.name")),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {}}}, missing("tool_choice.function.name")),
    ({"function_call": {}}, missing("function_call.name")),
    ({"messages": [{"content": "ping"}]}, missing("messages[0].role")),
    ({"moderation": {}}, missing("moderation.model")),
    ({"prompt_cache_options": {"bogus": 1}}, unknown("prompt_cache_options.bogus")),
    ({"messages": [{"role": "user", "content": "x", "bogus": 1}]}, unknown("messages[0].bogus")),
    # Two faults: what is unknown comes before what is wrong.
    ({"zzz_unknown": 1, "n": "abc"}, unknown("zzz_unknown")),
    ({"zzz_unknown": 1, "messages": []}, unknown("zzz_unknown")),
]

RESPONSES_ROWS: list[tuple[dict[str, Any], tuple[str | None, str | None, str]]] = [
    ({"model": 7}, wrong("model", "a string", "an integer")),
    ({"input": {"a": 1}}, wrong("input", "one of a string or array of input items", "an object")),
    ({"input": [{"role": "user", "content": "x", "bogus": 1}]}, unknown("input[0].bogus")),
    ({"input": [{"type": "function_call_output"}]}, missing("input[0].output")),
    ({"reasoning": "low"}, wrong("reasoning", "an object", "a string")),
    (
        {"reasoning": {"effort": "bogus"}},
        value("reasoning.effort", "bogus", "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'"),
    ),
    ({"reasoning": {"bogus": 1}}, unknown("reasoning.bogus")),
    ({"truncation": {"a": 1}}, wrong("truncation", "one of 'auto' or 'disabled'", "an object")),
    ({"truncation": "bogus"}, value("truncation", "bogus", "'auto' and 'disabled'")),
    (
        {"include": "x"},
        wrong(
            "include",
            (
                "an array of one of 'fil...lts', 'web...lts', 'web...ces', 'mes...url', 'com...url', 'cod...uts', "
                "'rea...ent', or 'mes...obs'"
            ),
            "a string",
        ),
    ),
    ({"tools": "x"}, wrong("tools", "an array of tools", "a string")),
    ({"metadata": "x"}, wrong("metadata", "a metadata object", "a string")),
    ({"tool_choice": {"type": "function"}}, missing("tool_choice.name")),
    ({"stream": "yes"}, wrong("stream", "a boolean", "a string")),
    ({"stream_options": {"include_usage": True}}, unknown("stream_options.include_usage")),
    ({"text": {"format": {"type": "json_schema"}}}, missing("text.format.name")),
    ({"sto": 1}, unknown("sto", " Did you mean 'store'?")),
    ({"stop": 1}, unknown("stop", " Did you mean 'store'?")),
    ({"strem": 1}, unknown("strem", " Did you mean 'stream' or 'store'?")),
    ({"tool": 1}, unknown("tool", " Did you mean 'tools'?")),
    ({"inpu": 1}, unknown("inpu")),
    ({"st": 1}, unknown("st")),
    (
        {"top_logprobs": 50},
        (
            "top_logprobs",
            "integer_above_max_value",
            "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20, but got 50 instead.",
        ),
    ),
    (
        {"prompt_cache_key": "k" * 65},
        (
            "prompt_cache_key",
            "string_above_max_length",
            (
                "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, "
                "but got a string with length 65 instead."
            ),
        ),
    ),
]


def label(row: Any) -> str:
    return str(row)[:60]


@pytest.mark.parametrize(("extra", "expected"), CHAT_ROWS, ids=label)
def test_chat(extra: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert refusal(CHAT, {**BODIES[CHAT], **extra}) == expected


@pytest.mark.parametrize(("extra", "expected"), RESPONSES_ROWS, ids=label)
def test_responses(extra: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert refusal(RESPONSES, {**BODIES[RESPONSES], **extra}) == expected


@pytest.mark.parametrize("name", [CHAT, EMBEDDINGS])
@pytest.mark.parametrize("given", [{}, {"model": None}, {"model": ""}])
def test_the_model_is_asked_for_before_anything_else(name: str, given: dict[str, Any]) -> None:
    rest = {key: item for key, item in BODIES[name].items() if key != "model"}
    assert refusal(name, {**rest, **given, "zzz": 1}) == (None, None, "you must provide a model parameter")


def test_what_is_missing_comes_before_what_is_unknown() -> None:
    assert refusal(CHAT, {"model": "m", "zzz": 1}) == missing("messages")


def test_the_first_fault_in_the_document_is_reported() -> None:
    faults = {"temperature": 3, "n": 0}
    assert refusal(CHAT, {**BODIES[CHAT], **faults})[0] == "temperature"
    assert refusal(CHAT, {**BODIES[CHAT], **dict(reversed(faults.items()))})[0] == "n"


def test_old_endpoints_name_all_unknown_arguments_at_once() -> None:
    assert (
        refusal(EMBEDDINGS, {**BODIES[EMBEDDINGS], "a": 1, "b": 2})[2]
        == "Unrecognized request arguments supplied: a, b"
    )
    assert refusal(EMBEDDINGS, {**BODIES[EMBEDDINGS], "a": 1}) == (
        None,
        None,
        "Unrecognized request argument supplied: a",
    )


def test_embeddings_input() -> None:
    assert refusal(EMBEDDINGS, {**BODIES[EMBEDDINGS], "input": {}}) == wrong(
        "input", "one of a string or array of strings, integers, or integer arrays", "an object"
    )
    assert refusal(EMBEDDINGS, {**BODIES[EMBEDDINGS], "input": []})[1] == "empty_array"
    assert refusal(EMBEDDINGS, {**BODIES[EMBEDDINGS], "input": ["x"] * 2049})[1] == "array_above_max_length"
    for good in ("x", ["x", "y"], [1, 2], [[1], [2, 3]]):
        compile_body(EMBEDDINGS)({**BODIES[EMBEDDINGS], "input": good})


@pytest.mark.parametrize(("body", "got"), [([], "an array"), ("x", "a string"), (None, "null"), (3, "an integer")])
def test_a_body_that_is_no_object(body: Any, got: str) -> None:
    assert refusal(CHAT, body)[2] == f"Invalid type for the request body: expected an object, but got {got} instead."


def test_unknown_parameters_can_be_allowed() -> None:
    check = compile_body(CHAT, unknown="allow")
    check({**BODIES[CHAT], "zzz": 1, "messages": [{"role": "user", "content": "x", "zzz": {"deep": []}}]})
    with pytest.raises(BadRequestError):
        check({**BODIES[CHAT], "zzz": 1, "n": 0})


def test_null_where_it_may_be_and_big_numbers() -> None:
    compile_body(CHAT)(
        {**BODIES[CHAT], "temperature": None, "stop": None, "seed": -9007199254740991, "max_tokens": 2**63}
    )
    compile_body(CHAT)({"model": "m", "messages": [{"role": "assistant", "content": None}]})
    assert refusal(CHAT, {**BODIES[CHAT], "temperature": float("nan")})[0] == "temperature"


def test_deep_nesting_is_refused_not_followed_for_ever() -> None:
    tool: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {}}}
    parameters = tool["function"]["parameters"]
    for _ in range(5000):
        parameters["properties"] = {"a": {}}
        parameters = parameters["properties"]["a"]
    compile_body(CHAT)({**BODIES[CHAT], "tools": [tool]})
    junk: Any = []
    for _ in range(5000):
        junk = [junk]
    assert refusal(CHAT, {**BODIES[CHAT], "messages": junk})[0] == "messages[0]"


def test_every_operation_refuses_what_it_does_not_know() -> None:
    from antiphon import schema

    for name, table in schema.operations().items():
        if table.body is not None and not table.body.get("required") and "model" not in table.body["properties"]:
            assert refusal(name, {"zzz_unknown_parameter": 1})[2].startswith(
                "Unknown parameter: 'zzz_unknown_parameter'."
            )
