"""The UI message stream of the AI SDK (v1), which `useChat` reads.

    start, start-step                     the message begins, and each round of an agent
    text-start, text-delta, text-end      and likewise reasoning-…
    tool-input-start, -delta, -available  a call; tool-output-available and -error where it was made here
    source-url                            where the text comes from
    error                                 and before it a data-error with status, code and request id
    finish-step, finish, [DONE]           with the usage and the finish reason as the message's metadata

Questions are `useChat`'s: messages with `parts`, of which text, pictures and results of tools are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ..answers import Asked
from ..events import (
    Citation,
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
from .base import Format, JSONWriter

__all__ = ("FORMAT",)

Parts = Sequence[dict[str, Any]]

_REASONS: Final = ("stop", "length", "content-filter", "tool-calls", "error")


class _Writer(JSONWriter):
    def __init__(self, continued: str | None = None) -> None:
        self.continued = continued
        """The id of the caller's last message, where the answer goes on with it."""
        self.begun = False
        self.open: str | None = None
        """`text` or `reasoning`, while a part of that kind is open."""
        self.numbers = {"text": 0, "reasoning": 0, "source": 0}
        self.calls: dict[str, tuple[str, list[str]]] = {}
        """The name and the pieces of the arguments of calls that are not complete."""
        self.metadata: dict[str, Any] = {}

    def parts(self, event: Event) -> Parts:
        if event.__class__ is Text and self.open == "text":
            return ({"type": "text-delta", "id": f"text-{self.numbers['text']}", "delta": event.text},)  # type: ignore[union-attr]
        write = _WRITE.get(event.__class__)
        return () if write is None else list(write(self, event))

    def done(self) -> bytes:
        return b"data: [DONE]\n\n"

    def done_frames(self) -> list[str]:
        return ["[DONE]"]

    def begin(self, event: Start | None = None) -> Iterator[dict[str, Any]]:
        if not self.begun:
            self.begun = True
            start: dict[str, Any] = {"type": "start"}
            identity = self.continued or (event.id if event is not None else None)
            if identity:
                start["messageId"] = identity
            yield start
            yield {"type": "start-step"}

    def start(self, event: Start) -> Iterator[dict[str, Any]]:
        return self.begin(event)

    def said(self, kind: str, text: str) -> Iterator[dict[str, Any]]:
        if not text:
            return
        if self.open != kind:
            yield from self.settle()
            self.numbers[kind] += 1
            self.open = kind
            yield {"type": f"{kind}-start", "id": f"{kind}-{self.numbers[kind]}"}
        yield {"type": f"{kind}-delta", "id": f"{kind}-{self.numbers[kind]}", "delta": text}

    def settle(self) -> Iterator[dict[str, Any]]:
        """What has to be ended before something else begins."""
        yield from self.begin()
        if self.open is not None:
            yield {"type": f"{self.open}-end", "id": f"{self.open}-{self.numbers[self.open]}"}
            self.open = None

    def text(self, event: Text | Refusal) -> Iterator[dict[str, Any]]:
        return self.said("text", event.text)

    def reasoning(self, event: Reasoning) -> Iterator[dict[str, Any]]:
        return self.said("reasoning", event.text)

    def call(self, event: ToolCall) -> Iterator[dict[str, Any]]:
        yield from self.settle()
        identity = event.id or f"call_{len(self.calls)}"
        self.calls[identity] = (event.name, [])
        yield {"type": "tool-input-start", "toolCallId": identity, "toolName": event.name, "dynamic": True}

    def arguments(self, event: ToolArguments) -> Iterator[dict[str, Any]]:
        call = self.calls.get(event.id)
        if call is not None:
            call[1].append(event.text)
            yield {"type": "tool-input-delta", "toolCallId": event.id, "inputTextDelta": event.text}

    def complete(self) -> Iterator[dict[str, Any]]:
        """Every call whose arguments have come."""
        yield from self.settle()
        for identity, (name, pieces) in self.calls.items():
            head = {"toolCallId": identity, "toolName": name}
            yield {"type": "tool-input-available", **head, "input": _input("".join(pieces)), "dynamic": True}
        self.calls = {}

    def result(self, event: ToolResult) -> Iterator[dict[str, Any]]:
        yield from self.complete()
        if event.failed:
            yield {"type": "tool-output-error", "toolCallId": event.id, "errorText": event.text, "dynamic": True}
        else:
            output = _input(event.text)
            yield {"type": "tool-output-available", "toolCallId": event.id, "output": output, "dynamic": True}

    def step(self, event: Step) -> Iterator[dict[str, Any]]:
        yield from self.complete()
        yield {"type": "finish-step"}
        yield {"type": "start-step"}

    def citation(self, event: Citation) -> Iterator[dict[str, Any]]:
        yield from self.begin()
        self.numbers["source"] += 1
        source = {"sourceId": f"source-{self.numbers['source']}", "url": event.url, "title": event.title}
        yield {"type": "source-url", **source}

    def usage(self, event: Usage) -> Iterator[dict[str, Any]]:
        counts = {
            "inputTokens": event.input_tokens,
            "outputTokens": event.output_tokens,
            "totalTokens": (event.input_tokens or 0) + (event.output_tokens or 0),
            "reasoningTokens": event.reasoning_tokens,
            "cachedInputTokens": event.cached_tokens,
            "cacheWriteTokens": event.cache_write_tokens,
        }
        self.metadata["usage"] = {name: count for name, count in counts.items() if count is not None}
        return iter(())

    def finish(self, event: Finish) -> Iterator[dict[str, Any]]:
        reason = str(event.reason)
        if reason == "cancelled":
            yield from self.settle()
            yield {"type": "abort"}
            return
        yield from self.complete()
        yield {"type": "finish-step"}
        said = reason.replace("_", "-")
        known = said if said in _REASONS else "other"
        yield {"type": "finish", "finishReason": known, "messageMetadata": {"finishReason": said, **self.metadata}}

    def error(self, event: Error) -> Iterator[dict[str, Any]]:
        yield from self.settle()
        told = {"status": event.status, **event.to_dict()}
        yield {"type": "data-error", "data": told, "transient": True}
        yield {"type": "error", "errorText": event.message}


def _input(text: str) -> Any:
    from orjson import JSONDecodeError, loads

    try:
        return loads(text or "{}")
    except JSONDecodeError:
        return text


_WRITE: Final[dict[type, Callable[[_Writer, Any], Iterator[dict[str, Any]]]]] = {
    Start: _Writer.start,
    Text: _Writer.text,
    Refusal: _Writer.text,
    Reasoning: _Writer.reasoning,
    ToolCall: _Writer.call,
    ToolArguments: _Writer.arguments,
    ToolResult: _Writer.result,
    Step: _Writer.step,
    Citation: _Writer.citation,
    Usage: _Writer.usage,
    Finish: _Writer.finish,
    Error: _Writer.error,
}


# Questions


def _messages(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages of a chat completion that one of the SDK's messages stands for."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        yield dict(message)
        return
    role = message.get("role", "user")
    content: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for part in parts:
        if not isinstance(part, dict):
            continue
        kind = str(part.get("type") or "")
        if kind == "step-start" and (calls or content):
            yield from _said(role, content, calls, results)
            content, calls, results = [], [], []
        elif kind == "text" and isinstance(part.get("text"), str):
            content.append({"type": "text", "text": part["text"]})
        elif kind == "file" and isinstance(part.get("url"), str):
            content.append(_file(part))
        elif kind == "dynamic-tool" or kind.startswith("tool-"):
            called = _called(part, kind)
            if called is not None:
                calls.append(called[0])
                results.append(called[1])
    yield from _said(role, content, calls, results)


def _said(role: str, content: list[Any], calls: list[Any], results: list[Any]) -> Iterator[dict[str, Any]]:
    if role == "assistant":
        said: dict[str, Any] = {"role": role, "content": "".join(each.get("text") or "" for each in content) or None}
        if calls:
            said["tool_calls"] = calls
        if calls or said["content"] is not None:
            yield said
            yield from results
    elif content:
        alone = len(content) == 1 and content[0]["type"] == "text"
        yield {"role": role, "content": content[0]["text"] if alone else content}


def _file(part: Mapping[str, Any]) -> dict[str, Any]:
    url = part["url"]
    if str(part.get("mediaType") or "").startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": part.get("filename") or "file", "file_data": url}}


def _called(part: Mapping[str, Any], kind: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """A call that has a result, and the result: what was begun and never ended is not told to the model."""
    from orjson import dumps

    if part.get("state") not in ("output-available", "output-error"):
        return None
    identity = str(part.get("toolCallId") or "")
    name = part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
    output = part.get("output") if part["state"] == "output-available" else part.get("errorText")
    call = {
        "id": identity,
        "type": "function",
        "function": {"name": str(name or ""), "arguments": dumps(part.get("input") or {}).decode()},
    }
    text = output if isinstance(output, str) else dumps(output).decode()
    return call, {"role": "tool", "tool_call_id": identity, "content": text}


class _Vercel(Format):
    key = "vercel"
    headers = {"x-vercel-ai-ui-message-stream": "v1"}
    summary = "The UI message stream of the AI SDK, v1."

    def asked(self, body: Mapping[str, Any]) -> Asked:
        given = body.get("messages") or ()
        return Asked([made for each in given if isinstance(each, Mapping) for made in _messages(each)], body=body)

    def writer(self, asked: Asked, dialect: str | None) -> _Writer:
        # With the results of tools that ran at the caller's, an answer is continued: under another id it would be a
        # second one, which has all of the first in it.
        given = asked.body.get("messages")
        last: Any = given[-1] if isinstance(given, list) and given else None
        continued = last.get("id") if isinstance(last, Mapping) and last.get("role") == "assistant" else None
        return _Writer(continued if isinstance(continued, str) else None)


FORMAT = _Vercel()
