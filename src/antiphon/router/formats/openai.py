"""The API's own format: chunks of chat completions, or the typed events of Responses.

What the upstream writes is passed on as it is, unknown fields included. What has no upstream in this dialect (the
answer of an agent, one composed by hand, one from a cache) is written as chunks, or as events where the resource is a
Response. A caller's `stream` in the body is obeyed; an answer that is not streamed is the API's object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..answers import Asked
from ..events import (
    Citation,
    Error,
    Event,
    Finish,
    Reasoning,
    Refusal,
    Start,
    Text,
    ToolArguments,
    ToolCall,
    ToolResult,
    Usage,
)
from .base import Format, JSONWriter, envelope, json_body
from .responses import ResponseEvents

if TYPE_CHECKING:
    from ..answers import Answer

__all__ = ("FORMAT", "usage_object")

_DONE = b"data: [DONE]\n\n"


class _Chunks(JSONWriter):
    """Events as chunks of a chat completion."""

    def __init__(self) -> None:
        from time import time

        self.head: dict[str, Any] = {
            "id": "chatcmpl-router",
            "object": "chat.completion.chunk",
            "created": int(time()),
            "model": "",
        }
        self.calls: dict[str, int] = {}
        self.begun = False

    def passing(self) -> None:
        self.begun = True

    def parts(self, event: Event) -> Sequence[Any]:
        write = _WRITE.get(event.__class__)
        return () if write is None else write(self, event)

    def done(self) -> bytes:
        return _DONE

    def done_frames(self) -> list[str]:
        return ["[DONE]"]

    def delta(self, delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        if not self.begun:
            self.begun = True
            delta = {"role": "assistant", **delta}
        return [{**self.head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}]

    def start(self, event: Start) -> Sequence[Any]:
        if not self.begun:
            self.head.update(id=event.id or self.head["id"], model=event.model)
            if event.created:
                self.head["created"] = event.created
        return ()

    def text(self, event: Text) -> Sequence[Any]:
        return self.delta({"content": event.text}) if event.text or not self.begun else ()

    def reasoning(self, event: Reasoning) -> Sequence[Any]:
        return self.delta({"reasoning_content": event.text})

    def refusal(self, event: Refusal) -> Sequence[Any]:
        return self.delta({"refusal": event.text})

    def call(self, event: ToolCall) -> Sequence[Any]:
        identity = event.id or f"call_{len(self.calls)}"
        number = self.calls[identity] = len(self.calls)
        kind, words = ("custom", "input") if event.custom else ("function", "arguments")
        made = {"index": number, "id": identity, "type": kind, kind: {"name": event.name, words: ""}}
        return self.delta({"tool_calls": [made]})

    def arguments(self, event: ToolArguments) -> Sequence[Any]:
        number = self.calls.get(event.id, max(len(self.calls) - 1, 0))
        return self.delta({"tool_calls": [{"index": number, "function": {"arguments": event.text}}]})

    def result(self, event: ToolResult) -> Sequence[Any]:
        # No place of the format's own: a chunk without choices, which clients pass over.
        told = {"tool_call_id": event.id, "name": event.name, "content": event.text, "failed": event.failed}
        return [{**self.head, "choices": [], "tool_result": told}]

    def citation(self, event: Citation) -> Sequence[Any]:
        cited = {"url": event.url, "title": event.title, "start_index": event.start, "end_index": event.end}
        return self.delta({"annotations": [{"type": "url_citation", "url_citation": cited}]})

    def usage(self, event: Usage) -> Sequence[Any]:
        return [{**self.head, "choices": [], "usage": usage_object(event)}]

    def finish(self, event: Finish) -> Sequence[Any]:
        return self.delta({}, event.reason)

    def error(self, event: Error) -> Sequence[Any]:
        return [envelope(event)]


_WRITE: Final[dict[type, Callable[[_Chunks, Any], Sequence[Any]]]] = {
    Start: _Chunks.start,
    Text: _Chunks.text,
    Reasoning: _Chunks.reasoning,
    Refusal: _Chunks.refusal,
    ToolCall: _Chunks.call,
    ToolArguments: _Chunks.arguments,
    ToolResult: _Chunks.result,
    Citation: _Chunks.citation,
    Usage: _Chunks.usage,
    Finish: _Chunks.finish,
    Error: _Chunks.error,
}


def usage_object(usage: Usage) -> dict[str, Any]:
    """Token counts as chat completions have them."""
    prompt, output = usage.input_tokens or 0, usage.output_tokens or 0
    told: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    read = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens}
    if read := {name: count for name, count in read.items() if count is not None}:
        told["prompt_tokens_details"] = read
    if usage.reasoning_tokens is not None:
        told["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return told


class _OpenAI(Format):
    key = "openai"
    also = ("application/json",)  # the official clients send it whatever they ask for
    summary = "Chunks of a chat completion, or the events of a Response."

    def asked(self, body: Mapping[str, Any]) -> Asked:
        asked = super().asked(body)
        stream = body.get("stream")
        asked.stream = stream if isinstance(stream, bool) else None
        return asked

    def passes(self, dialect: str | None) -> bool:
        return dialect is not None

    def writer(self, asked: Asked, dialect: str | None) -> JSONWriter:
        return ResponseEvents() if dialect == "responses" else _Chunks()

    async def whole(self, answer: Answer, asked: Asked) -> tuple[bytes, str]:
        return await json_body(answer)


FORMAT = _OpenAI()
