"""What a run asks its model: the messages of the thread and what the run's own steps left, as a neutral request.

API reference: https://platform.openai.com/docs/api-reference/runs/createRun
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from .. import tokens
from ..engine import ToolChoice
from ..windows import context_window
from .chat_request import chat_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..app import Server
    from ..engine import ChatRequest

__all__ = ("TooLong", "hosted_tools", "named_choice", "run_request")

Doc = dict[str, Any]
Message = dict[str, Any]

_SETTINGS: Final = ("model", "temperature", "top_p", "parallel_tool_calls")


class TooLong(Exception):
    """However the thread is cut, it has more tokens than the run may still read."""


def run_request(server: Server, run: Doc, extra: Mapping[str, Any]) -> ChatRequest:
    """The request for the next turn of a run. Raises `TooLong`.

    `extra` is what the run was created with and does not tell: `reasoning_effort` and `tool_resources`.
    """
    place = f"threads/{run['thread_id']}"
    steps = server.store.list(f"{place}/runs/{run['id']}/steps")
    functions = [tool for tool in run["tools"] if tool["type"] == "function"]
    head: list[Message] = [{"role": "system", "content": run["instructions"]}] if run["instructions"] else []
    own = list(_own(server, place, steps))
    before = [_message(server, each) for each in server.store.list(f"{place}/messages") if each["run_id"] != run["id"]]
    spent = _spent(steps, "prompt_tokens")
    kept = _truncated(before, head + own, run, functions, spent, limited=server.published_limits)
    messages = [*head, *kept, *own]
    body: Doc = {name: run[name] for name in _SETTINGS if run.get(name) is not None}
    body["messages"] = messages
    if functions:
        body["tools"] = functions
    if extra.get("reasoning_effort"):
        body["reasoning_effort"] = extra["reasoning_effort"]
    if isinstance(run.get("response_format"), dict):
        body["response_format"] = run["response_format"]
    if run.get("max_completion_tokens"):
        body["max_completion_tokens"] = run["max_completion_tokens"] - _spent(steps, "completion_tokens")
    request = chat_request(body, strict=False)
    request.dialect, request.stream = "assistants", True  # what comes of it is told in events, whoever follows them
    request.hosted_tools = hosted_tools(server, run, extra)
    # A tool has to be used once, not for ever.
    choice: Any = "auto" if any(step["type"] == "tool_calls" for step in steps) else run.get("tool_choice")
    request.body = {**body, "tool_choice": choice}
    request.tool_choice = _choice(choice)
    return request


def _choice(choice: Any) -> ToolChoice:
    kind, name = named_choice(choice)
    return ToolChoice(choice or "auto") if kind is None else ToolChoice("required", (name,) if name else ())


def named_choice(choice: Any) -> tuple[str | None, str | None]:
    """The type of the tool that has to be used, and its name where it is a function; `None` where none has to be."""
    if not isinstance(choice, dict):
        return None, None
    function: Any = choice.get("function") or {}
    return choice["type"], function.get("name")


def _spent(steps: Iterable[Doc], kind: str) -> int:
    return sum((step.get("usage") or {}).get(kind, 0) for step in steps)


# Messages


def _own(server: Server, place: str, steps: Iterable[Doc]) -> Iterable[Message]:
    """What the run has said and called so far, with what came of it."""
    for step in steps:
        details = step["step_details"]
        if details["type"] == "message_creation":
            message = server.store.get(f"{place}/messages", details["message_creation"]["message_id"])
            if message is not None:
                yield _message(server, message)
            continue
        calls = [call for call in details["tool_calls"] if call["type"] == "function"]
        if calls:
            told = [
                {"id": call["id"], "type": "function", "function": {k: call["function"][k] for k in _CALLED}}
                for call in calls
            ]
            yield {"role": "assistant", "content": None, "tool_calls": told}
            for call in calls:
                yield {"role": "tool", "tool_call_id": call["id"], "content": call["function"].get("output") or ""}


_CALLED: Final = ("name", "arguments")


def _message(server: Server, message: Doc) -> Message:
    parts = [part for each in message["content"] if (part := _part(server, each)) is not None]
    if all(part["type"] == "text" for part in parts):
        return {"role": message["role"], "content": "\n".join(part["text"] for part in parts)}
    return {"role": message["role"], "content": parts}


def _part(server: Server, part: Doc) -> Doc | None:
    kind = part["type"]
    if kind == "text":
        return {"type": "text", "text": part["text"]["value"]}
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if kind == "image_url":
        return {"type": "image_url", "image_url": part["image_url"]}
    blob = server.store.get_blob(part["image_file"]["file_id"])
    if blob is None:  # it was deleted since
        return None
    url = f"data:{_picture_type(blob[0])};base64,{b64encode(blob[0]).decode()}"
    return {"type": "image_url", "image_url": {"url": url, "detail": part["image_file"].get("detail") or "auto"}}


def _picture_type(data: bytes) -> str:
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "image/png")


_MAGIC: Final = ((b"\xff\xd8", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"))


def _truncated(
    before: list[Message], kept: Sequence[Message], run: Doc, tools: Sequence[Doc], spent: int, *, limited: bool
) -> list[Message]:
    """The messages from before the run that it reads: the last ones, or those that fit, from the ends inwards."""
    strategy: Any = run.get("truncation_strategy") or {}
    if strategy.get("type") == "last_messages":
        before = before[-(strategy.get("last_messages") or 1) :]
    most, window = run.get("max_prompt_tokens"), context_window(run["model"]) if limited else None
    limits = [limit for limit in (None if most is None else most - spent, window) if limit is not None]
    # A token has one byte at least, so most threads need no count; pictures are counted by their size.
    if not limits or (most is None and sum(len(str(each)) for each in (*before, *kept)) < limits[0]):
        return before
    model: str = run["model"]
    used = tokens.message_tokens([*before, *kept], model, tools)
    while used > min(limits) and len(before) > 1:
        gone = before.pop(1 if len(before) > 2 else 0)
        used -= tokens.message_tokens([gone], model) - _PRIMING
    if used > min(limits):
        raise TooLong
    return before


_PRIMING: Final = 3
"""What `message_tokens` counts beside the messages."""


# Tools that are no functions


def hosted_tools(server: Server, run: Doc, extra: Mapping[str, Any]) -> list[Doc]:
    """The tools of a run that are no functions, with the stores and files of the assistant and of the thread."""
    thread = server.store.get("threads", run["thread_id"]) or {}
    resources = [each for each in (extra.get("tool_resources"), thread.get("tool_resources")) if each]
    found: list[Doc] = []
    for tool in run["tools"]:
        if tool["type"] == "file_search":
            options = {k: v for k, v in (tool.get("file_search") or {}).items() if v is not None}
            found.append({"type": "file_search", "vector_store_ids": _of(resources, "vector_store_ids"), **options})
        elif tool["type"] == "code_interpreter":
            files = _of(resources, "file_ids")
            # The container of a thread is its own affair: no endpoint shows it.
            found.append({"type": "code_interpreter", "container": run["thread_id"], "file_ids": files})
    return found


def _of(resources: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    kinds = (each.get(kind) or {} for each in resources for kind in ("file_search", "code_interpreter"))
    return list(dict.fromkeys(key for each in kinds for key in each.get(name) or ()))
