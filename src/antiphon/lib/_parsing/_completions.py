"""Structured output of chat completions: formats and tools on the way out, answers and arguments on the way in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ...kernel.errors import ContentFilterFinishReasonError, LengthFinishReasonError
from ...kernel.omit import NotGiven, Omit, omit
from .._formats import format_of
from .._tools import PydanticFunctionTool
from .._variables import ResponseFormatT

if TYPE_CHECKING:
    from ...types.chat import completion_create_params
    from ...types.chat.chat_completion import ChatCompletion
    from ...types.chat.chat_completion_function_tool_param import ChatCompletionFunctionToolParam
    from ...types.chat.chat_completion_tool_union_param import ChatCompletionToolUnionParam
    from ...types.chat.parsed_chat_completion import ParsedChatCompletion

__all__ = (
    "ResponseFormatT",
    "given",
    "has_parseable_input",
    "parse_arguments",
    "parse_chat_completion",
    "parse_content",
    "rich",
    "type_to_response_format_param",
    "validate_input_tools",
)


def given(value: Any) -> bool:
    """Whether an argument was given."""
    return not isinstance(value, (Omit, NotGiven))


def rich(response_format: Any) -> bool:
    """Whether a format is a type to parse into, rather than the API's own way of naming one."""
    return given(response_format) and response_format is not None and not isinstance(response_format, Mapping)


def type_to_response_format_param(
    response_format: type | completion_create_params.ResponseFormat | Omit,
) -> completion_create_params.ResponseFormat | Omit:
    """The `response_format` of a request: of a type its strict schema, of anything else itself.

    Raises `TypeError` for a type that no answer can be parsed into.
    """
    if not rich(response_format):
        return cast("completion_create_params.ResponseFormat | Omit", response_format)
    made = format_of(response_format)
    return {
        "type": "json_schema",
        "json_schema": {"schema": made.schema, "name": made.name, "strict": True},
    }


def validate_input_tools(
    tools: Iterable[ChatCompletionToolUnionParam] | Omit = omit,
) -> list[ChatCompletionFunctionToolParam] | Omit:
    """The tools as a list. Raises `ValueError` for one that is not a strict function: its calls cannot be parsed."""
    given_tools: Any = tools
    if not given(tools) or given_tools is None:
        return omit
    listed: list[Any] = list(given_tools)
    for tool in listed:
        if tool["type"] != "function":
            raise ValueError(
                f"only the arguments of functions can be parsed, not those of a tool of type {tool['type']!r}"
            )
        if tool["function"].get("strict") is not True:
            raise ValueError(f"the arguments of {tool['function']['name']!r} can be parsed only if it is `strict`")
    return cast("list[ChatCompletionFunctionToolParam]", listed)


def has_parseable_input(*, response_format: Any, input_tools: Iterable[Any] | Omit = omit) -> bool:
    """Whether something of the answer is going to be parsed: then it has to be whole."""
    return rich(response_format) or any(
        tool["type"] == "function" and bool(tool["function"].get("strict"))
        for tool in (() if isinstance(input_tools, Omit) else input_tools)
    )


def parse_content(response_format: Any, message: Mapping[str, Any]) -> Any:
    """The content of a message read into a type; `None` where there is no type, no content, or a refusal.

    Raises what the type raises for an answer it does not take.
    """
    content = message.get("content")
    if not content or message.get("refusal") or not rich(response_format):
        return None
    return format_of(response_format).load(content)


def parse_arguments(input_tools: Iterable[Any], name: Any, arguments: str | None) -> Any:
    """The arguments of a call: of a tool made from a model or a function that, of a strict one its JSON, else `None`.

    Raises what the model raises, and `ValueError` for what is not JSON.
    """
    tool = next((t["function"] for t in input_tools if t["type"] == "function" and t["function"]["name"] == name), None)
    if tool is None:
        return None
    if isinstance(tool, PydanticFunctionTool):
        return tool.parse_arguments(arguments or "")
    if not tool.get("strict"):
        return None
    from orjson import loads

    return loads(arguments or "")


def parse_chat_completion(
    *,
    response_format: type[ResponseFormatT] | completion_create_params.ResponseFormat | Omit,
    input_tools: Iterable[ChatCompletionToolUnionParam] | Omit,
    chat_completion: ChatCompletion | ParsedChatCompletion[Any],
) -> ParsedChatCompletion[ResponseFormatT]:
    """A completion with its contents and the arguments of its calls parsed; the one given is not changed.

    Raises `LengthFinishReasonError` and `ContentFilterFinishReasonError` for an answer that was cut off, and what
    the types raise for one they do not take. Custom tool calls are left out: they are text, and cannot be called.
    """
    from ...types.chat.parsed_chat_completion import ParsedChatCompletion

    tools: list[Any] = [] if isinstance(input_tools, (Omit, NotGiven)) else list(input_tools)
    data = chat_completion._data
    choices: list[Any] = []
    listed = data.get("choices")
    for choice in listed if isinstance(listed, list) else ():
        if not isinstance(choice, dict):
            choices.append(choice)
            continue
        if choice.get("finish_reason") == "length":
            raise LengthFinishReasonError(completion=chat_completion)
        if choice.get("finish_reason") == "content_filter":
            raise ContentFilterFinishReasonError(completion=chat_completion)
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        made = message.get("tool_calls")
        made = [call for call in made if isinstance(call, dict)] if isinstance(made, list) else []
        calls = [each for call in made if (each := _parsed_call(call, tools)) is not None]
        parsed = parse_content(response_format, message)
        choices.append({**choice, "message": {**message, "parsed": parsed, "tool_calls": calls or None}})
    completion: ParsedChatCompletion[ResponseFormatT] = ParsedChatCompletion.of({**data, "choices": choices})
    completion._request_id = chat_completion._request_id
    return completion


def _parsed_call(call: dict[str, Any], tools: list[Any]) -> dict[str, Any] | None:
    if call.get("type") == "custom":
        import logging

        name = (call.get("custom") or {}).get("name")
        logging.getLogger("antiphon.lib.parsing").warning(
            "Custom tool calls cannot be parsed; left out: %s - %s", call.get("id"), name, stacklevel=3
        )
        return None
    function = call.get("function")
    if not isinstance(function, dict):
        return call
    arguments = parse_arguments(tools, function.get("name"), function.get("arguments"))
    return {**call, "function": {**function, "parsed_arguments": arguments}}
