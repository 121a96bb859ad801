"""What `POST /responses` asks, as a neutral request: items become messages, tools and formats their common form.

API reference: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from ...kernel.errors import BadRequestError
from ..compaction import expanded
from ..engine import ChatRequest, ResponseFormat, Tool, ToolChoice, text_of
from .chat_request import at_least, check_choice, named

if TYPE_CHECKING:
    from ..ids import Ids

__all__ = (
    "Item",
    "check_items",
    "input_items",
    "messages_of",
    "responses_request",
    "tool_family",
)

Item: TypeAlias = dict[str, Any]
"""One input or output item of a Response."""

Message: TypeAlias = dict[str, Any]


def responses_request(
    body: Mapping[str, Any], context: Sequence[Item], model: str, *, strict: bool = True, limited: bool = True
) -> ChatRequest:
    """The request. `context` is the conversation, from its first item to the last of the input.

    With `strict`, raises `BadRequestError` for combinations that the API refuses, those among them that only OpenAI's
    models need where they are `limited`.
    """
    context = expanded(context)
    messages = messages_of(context)
    instructions = body.get("instructions")
    if instructions:
        messages.insert(0, {"role": "developer", "content": instructions})
    request = ChatRequest(model, messages, body, "responses", items=context)
    for name, value in body.items():
        read = _READERS.get(name)
        if read is not None and value is not None:
            read(request, value)
    if strict:
        if "max_output_tokens" in body:
            _OUTPUT_TOKENS(body)
        check_items(context)
        if limited and request.response_format.kind == "json_object":
            _check_json_is_named(messages)
        if request.tool_choice.names:
            check_choice(request)
        elif request.tool_choice.names is not None:
            _check_hosted_choice(request)
    return request


# Items


def input_items(given: Any, ids: Ids | None = None) -> list[Item]:
    """The input as items in the API's full form. With `ids`, those that have no id get one."""
    if given is None:
        return []
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return [_full(item, ids) for item in items]


def _full(item: Mapping[str, Any], ids: Ids | None) -> Item:
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    full: Item = {**item, "type": kind}
    if kind == "message":
        content = item.get("content")
        if isinstance(content, str):
            part: Item = {"type": "output_text" if item.get("role") == "assistant" else "input_text", "text": content}
            if part["type"] == "output_text":
                part["annotations"] = []
            content = [part]
        full["content"] = _detailed(content)
    elif kind == "agent_message":
        full["content"] = _detailed(item.get("content"))
    elif kind in ("function_call_output", "custom_tool_call_output"):
        full["output"] = _detailed(item.get("output"))
    if kind in _HAVE_STATUS:
        full["status"] = item.get("status") or "completed"
    if kind in ("tool_search_call", "tool_search_output"):
        full["execution"] = item.get("execution") or "client"
    if ids is not None and not full.get("id") and kind != "item_reference":
        full["id"] = ids.new(_PREFIXES.get(kind, "msg_"))
    return full


def _detailed(parts: Any) -> Any:
    """Parts with the detail of every picture said."""
    if not isinstance(parts, list):
        return parts
    return [
        {**part, "detail": part.get("detail") or "auto"} if part.get("type") == "input_image" else part
        for part in parts
    ]


_HAVE_STATUS: Final = frozenset(
    """message function_call function_call_output computer_call_output tool_search_call tool_search_output shell_call
    shell_call_output custom_tool_call custom_tool_call_output""".split()
)
"""Kinds of items that always have a status, whether or not the caller says one."""

_PREFIXES: Final = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fc_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctc_",
    "reasoning": "rs_",
    "compaction": "cmp_",
    "computer_call": "cu_",
    "computer_call_output": "cuo_",
    "local_shell_call": "lsh_",
    "local_shell_call_output": "lsho_",
    "shell_call": "sh_",
    "shell_call_output": "sho_",
    "apply_patch_call": "apc_",
    "apply_patch_call_output": "apco_",
    "mcp_approval_response": "mcpa_",
}
"""What ids of kinds of items begin with."""


def messages_of(items: Iterable[Item]) -> list[Message]:
    """Items as the messages of a chat. Reasoning and the traces of hosted tools are passed over."""
    messages: list[Message] = []
    for item in items:
        read = _ITEMS.get(item.get("type") or "message")
        if read is not None:
            read(messages, item)
    return messages


def _message(messages: list[Message], item: Item) -> None:
    content: Any = item.get("content")
    if content is not None and not isinstance(content, str):
        parts = [_part(part) for part in content]
        # A message of one text is the same as that text.
        content = parts[0]["text"] if len(parts) == 1 and parts[0].get("type") == "text" else parts
    messages.append({"role": item.get("role", "user"), "content": content})


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    read = _PARTS.get(part.get("type", ""))
    return dict(part) if read is None else read(part)


_PARTS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "input_text": lambda part: {"type": "text", "text": part.get("text", "")},
    "output_text": lambda part: {"type": "text", "text": part.get("text", "")},
    "text": lambda part: {"type": "text", "text": part.get("text", "")},
    "summary_text": lambda part: {"type": "text", "text": part.get("text", "")},
    "refusal": lambda part: {"type": "refusal", "refusal": part.get("refusal", "")},
    "input_image": lambda part: {
        "type": "image_url",
        "image_url": {"url": part.get("image_url") or part.get("file_id"), "detail": part.get("detail") or "auto"},
    },
    "input_file": lambda part: {
        "type": "file",
        "file": {key: part[key] for key in ("file_id", "file_data", "filename", "file_url") if part.get(key)},
    },
}
"""Parts of an item's content and how each is said in a chat."""


def _call(messages: list[Message], item: Item) -> None:
    call = {
        "id": item.get("call_id", ""),
        "type": "function",
        "function": {"name": item.get("name", ""), "arguments": item.get("arguments", "")},
    }
    _called(messages, call)


def _custom_call(messages: list[Message], item: Item) -> None:
    custom = {"name": item.get("name", ""), "input": item.get("input", "")}
    _called(messages, {"id": item.get("call_id", ""), "type": "custom", "custom": custom})


def _called(messages: list[Message], call: dict[str, Any]) -> None:
    """Calls made together are one message."""
    if messages and messages[-1].get("tool_calls"):
        messages[-1]["tool_calls"].append(call)
    else:
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _output(messages: list[Message], item: Item) -> None:
    output: Any = item.get("output")
    if isinstance(output, list):
        output = [_part(part) for part in output]
    elif not isinstance(output, str):
        output = orjson.dumps(output).decode()
    messages.append({"role": "tool", "tool_call_id": item.get("call_id") or item.get("id") or "", "content": output})


_ITEMS: Final[dict[str, Callable[[list[Message], Item], None]]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _custom_call,
    "function_call_output": _output,
    "custom_tool_call_output": _output,
    "computer_call_output": _output,
    "local_shell_call_output": _output,
    "shell_call_output": _output,
    "apply_patch_call_output": _output,
}
"""Kinds of items and how each is said in a chat."""


# Options


def _tools(request: ChatRequest, value: Sequence[Mapping[str, Any]]) -> None:
    request.tools = [tool for item in value for tool in _callable(item)]
    request.hosted_tools = [item for item in value if item.get("type", "") not in _TOOLS]


def _callable(item: Mapping[str, Any]) -> Iterable[Tool]:
    read = _TOOLS.get(item.get("type", ""))
    return () if read is None else read(item)


def _function(item: Mapping[str, Any]) -> Iterable[Tool]:
    strict = item.get("strict")
    yield Tool(
        item.get("name", ""), item.get("description") or "", item.get("parameters"), True if strict is None else strict
    )


def _custom(item: Mapping[str, Any]) -> Iterable[Tool]:
    form: Mapping[str, Any] = item.get("format") or {}
    grammar = form if form.get("type") == "grammar" else None
    yield Tool(item.get("name", ""), item.get("description") or "", custom=True, grammar=grammar)


def _namespace(item: Mapping[str, Any]) -> Iterable[Tool]:
    for tool in item.get("tools") or ():
        yield from _callable(tool)


_TOOLS: Final[dict[str, Callable[[Mapping[str, Any]], Iterable[Tool]]]] = {
    "function": _function,
    "custom": _custom,
    "namespace": _namespace,
}
"""Tools that are functions: the caller runs them, by name."""


def _choice(request: ChatRequest, value: Any) -> None:
    if isinstance(value, str):
        request.tool_choice = ToolChoice(value)  # type: ignore[arg-type]
    elif value.get("type") == "allowed_tools":
        callable_names = tuple(filter(None, (named(item) for item in value.get("tools") or ())))
        request.tool_choice = ToolChoice(value.get("mode", "auto"), callable_names)
    else:
        name = named(value) if value.get("type") in _TOOLS else ""
        request.tool_choice = ToolChoice("required", (name,) if name else ())


def _parallel(request: ChatRequest, value: bool) -> None:
    request.parallel_tool_calls = value


def _text(request: ChatRequest, value: Mapping[str, Any]) -> None:
    form: Mapping[str, Any] = value.get("format") or {}
    kind = form.get("type", "text")
    if kind == "json_schema":
        request.response_format = ResponseFormat(kind, form.get("schema"), form.get("name"), bool(form.get("strict")))
    elif kind == "json_object":
        request.response_format = ResponseFormat(kind)


def _limit(request: ChatRequest, value: int) -> None:
    request.max_tokens = value or None


def _reasoning(request: ChatRequest, value: Mapping[str, Any]) -> None:
    request.reasoning_effort = value.get("effort")


def _field(name: str) -> Callable[[ChatRequest, Any], None]:
    def read(request: ChatRequest, value: Any) -> None:
        setattr(request, name, value)

    return read


_READERS: Final[dict[str, Callable[[ChatRequest, Any], None]]] = {
    **{name: _field(name) for name in ("stream", "temperature", "top_p")},
    "tools": _tools,
    "tool_choice": _choice,
    "parallel_tool_calls": _parallel,
    "text": _text,
    "max_output_tokens": _limit,
    "reasoning": _reasoning,
}
"""Fields of the body and how each is read into the request."""

_OUTPUT_TOKENS: Final = at_least("max_output_tokens", 16)


# Rules a schema cannot say


def tool_family(kind: str) -> str:
    """The name of a tool without the date of its version and the like: `web_search` for `web_search_preview`."""
    return next((name for name in ("web_search", "computer") if kind.startswith(name)), kind)


def _check_hosted_choice(request: ChatRequest) -> None:
    """Raise `BadRequestError` where the choice is a tool that is no function, and not among those of the request."""
    choice: Any = request.body["tool_choice"]
    kind = choice.get("type", "")
    offered = {tool_family(tool.get("type", "")) for tool in request.body.get("tools") or ()}
    if kind != "allowed_tools" and tool_family(kind) not in offered:
        raise BadRequestError.because(f"Tool choice '{kind}' not found in 'tools' parameter.", param="tool_choice")


def check_items(items: Iterable[Item]) -> None:
    """Raise `BadRequestError` for a call without its output, or an output without its call."""
    calls: dict[str, str] = {}
    answered: set[str] = set()
    items = list(items)
    for place, item in enumerate(items):
        kind = item.get("type")
        if kind == "compaction_trigger" and place < len(items) - 1 and items[place + 1].get("type") != "compaction":
            raise BadRequestError.because(
                "Invalid input: 'compaction_trigger' must be the final input item.", param="input", code="invalid_value"
            )
        if kind in _CALLS:
            calls[item.get("call_id", "")] = _CALLS[kind]
        elif kind in _OUTPUTS:
            call_id = item.get("call_id") or item.get("id") or ""
            if call_id not in calls:
                raise BadRequestError.because(
                    f"No tool call found for {_OUTPUTS[kind]} with call_id {call_id}.", param="input"
                )
            answered.add(call_id)
    for call_id, words in calls.items():
        if call_id not in answered:
            raise BadRequestError.because(f"No tool output found for {words} {call_id}.", param="input")


_CALLS: Final = {
    f"{name}_call": f"{name.replace('_', ' ')} call"
    for name in ("function", "custom_tool", "computer", "local_shell", "shell", "apply_patch")
}
_OUTPUTS: Final = {f"{name}_output": f"{words} output" for name, words in _CALLS.items()}
"""Items that are answered by others, and these, each with what the API calls it."""


def _check_json_is_named(messages: Sequence[Message]) -> None:
    if not any("json" in text_of(message).lower() for message in messages if message["role"] != "assistant"):
        raise BadRequestError.because(
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'.",
            param="input",
        )
