"""Questions of every endpoint in the words of chat completions."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import BadRequestError
from ...server.facts import properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...server.engine import ChatRequest, Tool
    from ..config import ModelConfig

__all__ = ("VERSION", "options_of", "sound", "tool_choice_of", "tools_of", "version_of")

VERSION: Final = "model_version"
"""A field of bodies that no schema names: the version of a model that is asked."""

_VERSION: Final = re.compile(r"(?!\.{1,2}$)[\w.:+~=@-]{1,128}")


def version_of(body: Mapping[str, Any]) -> str | None:
    """The version that a body asks for. Raises `BadRequestError` for what can be none."""
    version = body.get(VERSION)
    return None if version is None else sound(version)


def sound(version: Any) -> str:
    """A version that is one: it goes into addresses of servers, where slashes and dots alone lead elsewhere."""
    if isinstance(version, int) and not isinstance(version, bool):
        version = str(version)
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        shown = repr(version)[:100]
        raise BadRequestError.because(
            f'Invalid \'{VERSION}\': {shown}. A version is a string such as "1" or "v1.2.0", of letters, digits and '
            "`._:+~=@-`.",
            param=VERSION,
            code="invalid_value",
        )
    return version


_ASKED: Final = frozenset(
    (
        "model",
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        VERSION,
    )
)
"""Fields that say what is asked, and not how."""


def options_of(request: ChatRequest, model: ModelConfig) -> dict[str, Any]:
    """The parameters of a question, with those of the configuration where the caller leaves them out."""
    read = _READERS.get(request.dialect, _of_neutral)
    found = read(request)
    for name, value in model.defaults.items():
        if name in _LIMITS and not _LIMITS.isdisjoint(found):
            continue
        found.setdefault(name, value)
    if model.stop:
        own = found.get("stop")
        found["stop"] = [*([own] if isinstance(own, str) else own or ()), *model.stop]
    return found


_LIMITS: Final = frozenset(("max_tokens", "max_completion_tokens"))


def _of_chat(request: ChatRequest) -> dict[str, Any]:
    return {name: value for name, value in request.body.items() if name not in _ASKED and value is not None}


def _of_completions(request: ChatRequest) -> dict[str, Any]:
    known = ("model", "prompt", "suffix", "echo", "best_of", "n", "logprobs", VERSION)
    found = {name: value for name, value in request.body.items() if name not in known and value is not None}
    found["max_tokens"] = request.max_tokens
    candidates = request.body.get("logprobs")
    if candidates is not None:
        found |= {"logprobs": True, "top_logprobs": candidates}
    return found


def _of_neutral(request: ChatRequest) -> dict[str, Any]:
    """What every endpoint can ask, and what no schema of the endpoint knows: it is meant for the model."""
    known = _known(request.dialect)
    found = {name: value for name, value in request.body.items() if name not in known and value is not None}
    told = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_tokens,
        "stop": list(request.stop) or None,
        "seed": request.seed,
        "reasoning_effort": request.reasoning_effort,
        "stream": request.stream or None,
        "response_format": _format(request),
    }
    if "message.output_text.logprobs" in (request.body.get("include") or ()) or request.body.get("top_logprobs"):
        told |= {"logprobs": True, "top_logprobs": request.body.get("top_logprobs") or 0}
    return found | {name: value for name, value in told.items() if value is not None}


_READERS: Final[dict[str, Callable[[ChatRequest], dict[str, Any]]]] = {
    "chat": _of_chat,
    "completions": _of_completions,
}


@cache
def _known(dialect: str) -> frozenset[str]:
    from ...schema import operation

    names = {"responses": ("responses.create",), "assistants": ("beta.threads.runs.create", "chat.completions.create")}
    found: set[str] = {*_ASKED, "max_completion_tokens"}
    for name in names.get(dialect, ("chat.completions.create",)):
        body = operation(name).body
        found |= set() if body is None else set(properties(body))
    return frozenset(found)


def _format(request: ChatRequest) -> dict[str, Any] | None:
    form = request.response_format
    if form.kind == "text":
        return None
    if form.kind == "json_object":
        return {"type": "json_object"}
    described = {"name": form.name or "answer", "schema": form.schema, "strict": form.strict}
    return {"type": "json_schema", "json_schema": described}


def tools_of(request: ChatRequest) -> list[Any]:
    """The tools as chat completions have them."""
    body = request.body
    if request.dialect == "chat" and body.get("tools"):
        return list(body["tools"])
    return [_tool(tool) for tool in request.tools]


def tool_choice_of(request: ChatRequest) -> Any:
    """The tool choice as chat completions have it; `None` where the caller made none."""
    if request.dialect == "chat" and "tool_choice" in request.body:
        return request.body["tool_choice"]
    mode, names = request.tool_choice
    if names is None:
        return None if mode == "auto" else mode
    if len(names) == 1 and mode == "required":
        return {"type": "function", "function": {"name": names[0]}}
    allowed = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}


def _tool(tool: Tool) -> Mapping[str, Any]:
    if tool.custom:
        custom: dict[str, Any] = {"name": tool.name, "description": tool.description}
        if tool.grammar is not None:
            custom["format"] = {"type": "grammar", "grammar": tool.grammar}
        return {"type": "custom", "custom": custom}
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}
