"""Events that were gathered, as a chat completion or a Response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orjson import dumps

from ..errors import Failed
from ..events import (
    Error,
    Event,
    Finish,
    Reasoning,
    Refusal,
    Start,
    Step,
    Text,
    ToolArguments,
    ToolCall,
    ToolResult,
    Usage,
)
from .openai import usage_object
from .responses import ResponseEvents

__all__ = ("completion", "response")


def completion(events: Sequence[Event]) -> bytes:
    """A chat completion, as JSON, of the last round of the events. Raises `Failed` for those that end in an error.

    Calls that were made on the way, and what came of them, are in `tool_results`.
    """
    from time import time

    head: dict[str, Any] = {"id": "chatcmpl-router", "created": int(time()), "model": ""}
    words: dict[type, list[str]] = {Text: [], Reasoning: [], Refusal: []}
    calls: dict[str, dict[str, Any]] = {}
    results: list[dict[str, Any]] = []
    usage: Usage | None = None
    finish = "stop"
    for event in events:
        if isinstance(event, (Text, Reasoning, Refusal)):
            words[type(event)].append(event.text)
        elif isinstance(event, Start):
            head.update(id=event.id or head["id"], model=event.model, created=event.created or head["created"])
        elif isinstance(event, Step):
            words = {kind: [] for kind in words}
            calls = {}
        elif isinstance(event, ToolCall):
            kind, key = ("custom", "input") if event.custom else ("function", "arguments")
            identity = event.id or f"call_{len(calls)}"
            calls[identity] = {"id": identity, "type": kind, kind: {"name": event.name, key: ""}}
        elif isinstance(event, ToolArguments):
            call = calls.get(event.id)
            if call is not None:
                of = call[call["type"]]
                of["input" if call["type"] == "custom" else "arguments"] += event.text
        elif isinstance(event, ToolResult):
            results.append(
                {"tool_call_id": event.id, "name": event.name, "content": event.text, "failed": event.failed}
            )
        elif isinstance(event, Usage):
            usage = event
        elif isinstance(event, Finish):
            finish = event.reason
        elif isinstance(event, Error):
            raise Failed(event)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(words[Text]) if words[Text] or not (calls or words[Refusal]) else None,
        "refusal": "".join(words[Refusal]) or None,
    }
    if words[Reasoning]:
        message["reasoning_content"] = "".join(words[Reasoning])
    if calls:
        message["tool_calls"] = list(calls.values())
    whole = {
        "id": head["id"],
        "object": "chat.completion",
        "created": head["created"],
        "model": head["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    if usage is not None:
        whole["usage"] = usage_object(usage)
    if results:
        whole["tool_results"] = results
    return dumps(whole)


def response(events: Sequence[Event]) -> bytes:
    """A Response, as JSON. Raises `Failed` for events that end in an error."""
    writer = ResponseEvents()
    whole: Any = None
    for event in events:
        if isinstance(event, Error):
            raise Failed(event)
        for part in writer.parts(event):
            whole = part.get("response", whole)
    return dumps(whole)
