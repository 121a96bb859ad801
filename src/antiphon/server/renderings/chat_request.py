"""What `POST /chat/completions` asks, as a neutral request; and the rules a schema cannot say.

API reference: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ...kernel.errors import BadRequestError
from ..engine import ChatRequest, ResponseFormat, Tool, ToolChoice, text_of

if TYPE_CHECKING:
    from ..engine import Message

__all__ = ("Check", "at_least", "chat_request", "check_choice", "check_json_is_named", "named", "needs", "stop_strings")

Check: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Looks at a body and raises `BadRequestError` when a rule is broken."""


def chat_request(body: Mapping[str, Any], *, strict: bool = True, limited: bool = True) -> ChatRequest:
    """The request. With `strict`, raises `BadRequestError` for combinations that the API refuses.

    Some of these are what OpenAI's models need, and no rules of the API: they are `limited`.
    """
    request = ChatRequest(body["model"], body["messages"], body)
    for name, value in body.items():
        read = _READERS.get(name)
        if read is not None and value is not None:
            read(request, value)
    if strict:
        _check_messages(request.messages)
        for name in _CHECKED.intersection(body):
            _CHECKS[name](body)
        if request.tool_choice.names is not None:
            check_choice(request)
        if limited and request.response_format.kind == "json_object":
            check_json_is_named(request.messages, "messages", "response_format")
    return request


def named(item: Mapping[str, Any]) -> str:
    """The name in `{"type": "function", "function": {"name": …}}`, or where it stands beside the type."""
    inner = item.get(item.get("type", "function"))
    name: str = (inner if isinstance(inner, Mapping) else item).get("name", "")
    return name


def _tools(request: ChatRequest, value: Sequence[Mapping[str, Any]]) -> None:
    request.tools = [*request.tools, *map(_tool, value)]


def _tool(item: Mapping[str, Any]) -> Tool:
    if item.get("type") == "custom":
        custom = item.get("custom") or {}
        grammar = (custom.get("format") or {}).get("grammar")
        return Tool(custom.get("name", ""), custom.get("description") or "", custom=True, grammar=grammar)
    function = item.get("function") or {}
    return _function(function)


def _function(function: Mapping[str, Any]) -> Tool:
    return Tool(
        function.get("name", ""),
        function.get("description") or "",
        function.get("parameters"),
        bool(function.get("strict")),
    )


def _functions(request: ChatRequest, value: Sequence[Mapping[str, Any]]) -> None:
    request.tools = [*request.tools, *map(_function, value)]
    request.parallel_tool_calls = False  # the deprecated form has room for one call


def _choice(request: ChatRequest, value: Any) -> None:
    if isinstance(value, str):
        request.tool_choice = ToolChoice(value)  # type: ignore[arg-type]
    elif value.get("type") == "allowed_tools":
        allowed = value.get("allowed_tools") or {}
        names = tuple(named(item) for item in allowed.get("tools") or ())
        request.tool_choice = ToolChoice(allowed.get("mode", "auto"), names)
    else:
        request.tool_choice = ToolChoice("required", (named(value),))


def _function_call(request: ChatRequest, value: Any) -> None:
    request.tool_choice = ToolChoice(value) if isinstance(value, str) else ToolChoice("required", (named(value),))  # type: ignore[arg-type]


def _parallel(request: ChatRequest, value: bool) -> None:
    request.parallel_tool_calls = request.parallel_tool_calls and value


def _format(request: ChatRequest, value: Mapping[str, Any]) -> None:
    kind = value.get("type", "text")
    if kind == "json_schema":
        given = value.get("json_schema") or {}
        strict = bool(given.get("strict"))
        request.response_format = ResponseFormat(kind, given.get("schema"), given.get("name"), strict)
    elif kind == "json_object":
        request.response_format = ResponseFormat(kind)


def _limit(request: ChatRequest, value: int) -> None:
    request.max_tokens = value or None


def _stop(request: ChatRequest, value: Any) -> None:
    request.stop = stop_strings(value)


def _field(name: str) -> Callable[[ChatRequest, Any], None]:
    def read(request: ChatRequest, value: Any) -> None:
        setattr(request, name, value)

    return read


_READERS: Final[dict[str, Callable[[ChatRequest, Any], None]]] = {
    **{name: _field(name) for name in ("stream", "seed", "temperature", "top_p", "reasoning_effort", "modalities")},
    "tools": _tools,
    "functions": _functions,
    "tool_choice": _choice,
    "function_call": _function_call,
    "parallel_tool_calls": _parallel,
    "response_format": _format,
    "max_tokens": _limit,
    "max_completion_tokens": _limit,
    "stop": _stop,
}
"""Fields of the body and how each is read into the request."""


def stop_strings(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """`stop` as a tuple; empty strings stop nothing."""
    if value is None:
        return ()
    return tuple(text for text in ((value,) if isinstance(value, str) else value) if text)


# Rules a schema cannot say


def _check_messages(messages: Sequence[Message]) -> None:
    """Every tool message answers a call before it, and every call is answered before anything else is said."""
    if not messages:
        raise BadRequestError.because(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    open_calls: dict[str, None] = {}
    calls: frozenset[str] | tuple[str, ...] = ()
    for place, message in enumerate(messages):
        if message.get("role") == "tool":
            if not calls:
                raise BadRequestError.because(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message "
                    "with 'tool_calls'.",
                    param=f"messages.[{place}].role",
                )
            call_id = message.get("tool_call_id")
            if call_id not in calls:
                raise BadRequestError.because(
                    f"Invalid parameter: 'tool_call_id' of '{call_id}' not found in 'tool_calls' of previous message.",
                    param=f"messages.[{place}].tool_call_id",
                )
            open_calls.pop(str(call_id), None)
            continue
        if open_calls:
            _unanswered(open_calls)
        made = message.get("tool_calls")
        calls = tuple(call["id"] for call in made) if made else ()
        open_calls = dict.fromkeys(calls)
    if open_calls:
        _unanswered(open_calls)


def _unanswered(calls: dict[str, None]) -> None:
    raise BadRequestError.because(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(calls)}",
        param="messages",
    )


def check_choice(request: ChatRequest) -> None:
    """Raise `BadRequestError` when the tool choice names a tool that was not given."""
    known = {tool.name for tool in request.tools}
    for name in request.tool_choice.names or ():
        if name not in known:
            raise BadRequestError.because(
                f"Invalid value for 'tool_choice': no tool named '{name}' was specified in the 'tools' parameter.",
                param="tool_choice",
            )


def check_json_is_named(messages: Sequence[Message], param: str, format_param: str) -> None:
    """Raise `BadRequestError` when JSON is asked for by format but never in words, as the API wants it."""
    if not any("json" in text_of(message).lower() for message in messages):
        raise BadRequestError.because(
            f"'{param}' must contain the word 'json' in some form, to use '{format_param}' of type 'json_object'.",
            param=param,
        )


def at_least(name: str, low: int) -> Check:
    """A check that a number is not below a bound."""

    def check(body: Mapping[str, Any]) -> None:
        value = body[name]
        if isinstance(value, int) and value < low:
            raise BadRequestError.because(
                f"Invalid '{name}': integer below minimum value. Expected a value >= {low}, but got {value} instead.",
                param=name,
                code="integer_below_min_value",
            )

    return check


def _check_limits(body: Mapping[str, Any]) -> None:
    _COMPLETION_TOKENS(body)
    if body.get("max_tokens") is not None and body["max_completion_tokens"] is not None:
        raise BadRequestError.because(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )


def needs(name: str, other: str, words: str) -> Check:
    """A check that one parameter is given only together with another."""

    def check(body: Mapping[str, Any]) -> None:
        if body[name] is not None and not body.get(other):
            raise BadRequestError.because(f"The '{name}' parameter is only allowed when '{other}' {words}.", param=name)

    return check


def _check_format(body: Mapping[str, Any]) -> None:
    form = body["response_format"]
    if form is None:
        return
    if form.get("type") == "json_schema" and "schema" not in (form.get("json_schema") or {}):
        raise BadRequestError.because(
            "Missing required parameter: 'response_format.json_schema.schema'.",
            param="response_format.json_schema.schema",
            code="missing_required_parameter",
        )


def _check_choice_has_tools(body: Mapping[str, Any]) -> None:
    if body["tool_choice"] not in (None, "none"):
        needs("tool_choice", "tools", "are specified")(body)


_COMPLETION_TOKENS: Final = at_least("max_completion_tokens", 1)

_CHECKS: Final[dict[str, Check]] = {
    "max_tokens": at_least("max_tokens", 1),
    "max_completion_tokens": _check_limits,
    "top_logprobs": needs("top_logprobs", "logprobs", "is enabled"),
    "stream_options": needs("stream_options", "stream", "is enabled"),
    "tool_choice": _check_choice_has_tools,
    "parallel_tool_calls": needs("parallel_tool_calls", "tools", "are specified"),
    "response_format": _check_format,
}
"""Fields of the body and what must hold for each, beside what the schema says."""

_CHECKED: Final = frozenset(_CHECKS)
