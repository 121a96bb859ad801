"""A question as the body of a chat completion, whichever endpoint of the API it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..server.engine import ChatRequest, Tool

__all__ = ("chat_body",)

_WHOLE: Final = ("model", "stream", "stream_options", "store", "n", "metadata", "service_tier")
"""Fields of a chat completion that mean something for a whole request, and not for one choice of it."""


def chat_body(request: ChatRequest) -> dict[str, Any]:
    """The body, without the model and without what is for the whole request."""
    if request.dialect == "chat":
        return {name: value for name, value in request.body.items() if name not in _WHOLE and value is not None}
    body: dict[str, Any] = {"messages": list(request.messages)}
    if request.tools:
        body["tools"] = [_tool(each) for each in request.tools]
        mode, names = request.tool_choice
        alone = names[0] if names and len(names) == 1 else None
        body["tool_choice"] = mode if alone is None else {"type": "function", "function": {"name": alone}}
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    form = request.response_format
    if form.kind == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif form.kind == "json_schema":
        described = {"name": form.name or "answer", "schema": form.schema, "strict": form.strict}
        body["response_format"] = {"type": "json_schema", "json_schema": described}
    told = {
        "max_tokens": request.max_tokens,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "reasoning_effort": request.reasoning_effort,
    }
    return body | {name: value for name, value in told.items() if value is not None}


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.custom:
        custom: dict[str, Any] = {"name": tool.name, "description": tool.description}
        return {"type": "custom", "custom": custom | ({"format": tool.grammar} if tool.grammar else {})}
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "strict": tool.strict}
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return {"type": "function", "function": function}
