"""Structured output of the Responses API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ...kernel.omit import Omit, omit
from .._formats import format_of
from .._tools import PydanticFunctionTool, ResponsesPydanticFunctionTool
from .._variables import TextFormatT
from ._completions import given, rich

if TYPE_CHECKING:
    from ...types.responses.parsed_response import ParsedResponse
    from ...types.responses.response import Response
    from ...types.responses.response_format_text_config_param import ResponseFormatTextConfigParam
    from ...types.responses.response_text_config_param import ResponseTextConfigParam
    from ...types.responses.tool_param import ParseableToolParam, ToolParam

__all__ = (
    "TextFormatT",
    "make_tools",
    "parse_arguments",
    "parse_response",
    "parse_text",
    "parser_of",
    "type_to_text_format_param",
    "with_format",
)


def type_to_text_format_param(type_: type) -> ResponseFormatTextConfigParam:
    """The `text.format` of a request: the strict schema of a type. Raises `TypeError` for one that has none."""
    made = format_of(type_)
    return {"type": "json_schema", "strict": True, "name": made.name, "schema": made.schema}


def with_format(text: ResponseTextConfigParam | Omit, text_format: Any) -> ResponseTextConfigParam | Omit:
    """The `text` of a request whose answer is to be parsed. Raises `TypeError` where it names a format of its own."""
    if not given(text_format):
        return text
    settings = dict(text) if text else {}
    if "format" in settings:
        raise TypeError("give the format of the answer as `text_format` or in `text`, not both")
    settings["format"] = type_to_text_format_param(text_format)
    return cast("ResponseTextConfigParam", settings)


def parser_of(*, input: Any, text: Any, text_format: Any, parse_as: Any) -> Any:
    """The type that an answer is parsed into, or `omit`.

    It is `parse_as` where that was given, `None` meaning not to parse; else `text_format`. Where the last
    configuration update among the input sets a format, that is what the answer has: a plain text is not parsed, and
    for another schema a type has to be named. Raises `TypeError` where the arguments contradict each other.
    """
    if parse_as is None:
        return omit
    updated = _updated_format(input)
    if updated is not None:
        if updated.get("type") == "text":
            if given(parse_as):
                raise TypeError("`parse_as` cannot be used where a configuration update asks for plain text")
            return omit
        same = given(text) and isinstance(text, Mapping) and updated == text.get("format")
        if given(text_format) and not given(parse_as) and not same:
            raise TypeError(
                "a configuration update sets another format: give the type of its answers as `parse_as`, "
                "or `parse_as=None` to leave them as text"
            )
    return parse_as if given(parse_as) else text_format


def _updated_format(input: Any) -> Mapping[str, Any] | None:
    for item in reversed(input) if isinstance(input, list) else ():
        if not isinstance(item, Mapping) or item.get("type") != "configuration_update":
            continue
        text = item.get("text")
        updated = text.get("format") if isinstance(text, Mapping) else None
        if isinstance(updated, Mapping):
            return updated
    return None


def make_tools(tools: Iterable[ParseableToolParam] | Omit) -> list[ToolParam] | Omit:
    """Tools in the form of the Responses API; those of `function_tool` are turned into it.

    Raises `TypeError` for other functions in the form of chat completions.
    """
    given_tools: Any = tools
    if not given(tools) or given_tools is None:
        return omit
    made: list[Any] = []
    for tool in given_tools:
        function = tool.get("function") if tool["type"] == "function" else None
        if tool["type"] == "namespace":
            made.append({**tool, "tools": list(tool["tools"])})
        elif function is None:
            made.append(tool)
        elif isinstance(function, PydanticFunctionTool):
            options = {"description": None, "strict": False, **function}
            made.append(ResponsesPydanticFunctionTool({"type": "function", **options}, function.model))
        else:
            raise TypeError(
                f"the tool {function.get('name')!r} is in the form of chat completions: make it with "
                "`responses_function_tool`, or with `function_tool`"
            )
    return cast("list[ToolParam]", made)


def _tool_of(tools: Iterable[Any], name: Any, namespace: Any) -> Any:
    if namespace is not None:
        for tool in tools:
            if tool["type"] == "namespace" and tool["name"] == namespace:
                return next((t for t in tool["tools"] if t["type"] == "function" and t["name"] == name), None)
        if namespace != name:  # a function that was loaded later is a namespace of its own
            return None
    return next((tool for tool in tools if tool["type"] == "function" and tool.get("name") == name), None)


def parse_arguments(input_tools: Any, call: Mapping[str, Any]) -> Any:
    """The arguments of a call: as the tool was made, of another strict one its JSON, else `None`."""
    if not given(input_tools) or input_tools is None:
        return None
    tool = _tool_of(list(input_tools), call.get("name"), call.get("namespace"))
    if not tool:
        return None
    arguments = call.get("arguments") or ""
    if isinstance(tool, ResponsesPydanticFunctionTool):
        return tool.parse_arguments(arguments)
    if not tool.get("strict"):
        return None
    from orjson import loads

    return loads(arguments)


def parse_text(text: str, text_format: Any, *, phase: str | None) -> Any:
    """A text of a message read into a type; `None` where there is none, or the message is no final answer."""
    if (phase is not None and phase != "final_answer") or not rich(text_format):
        return None
    return format_of(text_format).load(text)


def parse_response(
    *,
    text_format: type[TextFormatT] | Omit,
    input_tools: Iterable[ToolParam] | Omit | None,
    response: Response | ParsedResponse[Any],
) -> ParsedResponse[TextFormatT]:
    """A response with its texts and the arguments of its calls parsed; the one given is not changed.

    Raises what the types raise for an answer they do not take.
    """
    from ...types.responses.parsed_response import ParsedResponse

    data = response._data
    tools = input_tools if input_tools is None or isinstance(input_tools, Omit) else list(input_tools)
    output: list[Any] = []
    listed = data.get("output")
    for item in listed if isinstance(listed, list) else ():
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "message":
            phase, parts = item.get("phase"), item.get("content")
            content = [_parsed_part(part, text_format, phase) for part in (parts if isinstance(parts, list) else ())]
            output.append({**item, "content": content})
        elif kind == "function_call":
            output.append({**item, "parsed_arguments": parse_arguments(tools, item)})
        else:
            output.append(item)
    parsed: ParsedResponse[TextFormatT] = ParsedResponse.of({**data, "output": output})
    parsed._request_id = response._request_id
    return parsed


def _parsed_part(part: Any, text_format: Any, phase: str | None) -> Any:
    if not isinstance(part, dict) or part.get("type") != "output_text":
        return part
    text = part.get("text")
    return {**part, "parsed": parse_text(text if isinstance(text, str) else "", text_format, phase=phase)}
