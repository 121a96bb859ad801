"""Events as those of a Response, where no upstream wrote them: from a cache, composed by hand, cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

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
    Usage,
)
from .base import JSONWriter

__all__ = ("ResponseEvents",)

JSON = dict[str, Any]


class ResponseEvents(JSONWriter):
    """Writes one Response as its events."""

    def __init__(self) -> None:
        from time import time
        from uuid import uuid4

        self.id = f"resp_{uuid4().hex}"
        self.model = ""
        self.created = int(time())
        self.begun = False
        self.number = 0
        self.output: list[JSON] = []
        self.open: JSON | None = None
        """The item that is not complete, which is the last of the output."""
        self.usage: JSON | None = None

    def passing(self) -> None:
        self.begun = True

    def parts(self, event: Event) -> Sequence[JSON]:
        write = _WRITE.get(event.__class__)
        parts = [] if write is None else list(write(self, event))
        for part in parts:
            part["sequence_number"] = self.number
            self.number += 1
        return parts

    def response(self, status: str, **rest: Any) -> JSON:
        """The Response as it stands."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": [dict(item) for item in self.output],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": self.usage,
            **rest,
        }

    def start(self, event: Start) -> Iterator[JSON]:
        if not self.begun:
            self.id, self.model = event.id or self.id, event.model
            self.created = event.created or self.created
        return self.begin()

    def begin(self) -> Iterator[JSON]:
        if not self.begun:
            self.begun = True
            yield {"type": "response.created", "response": self.response("in_progress")}
            yield {"type": "response.in_progress", "response": self.response("in_progress")}

    def place(self) -> JSON:
        """Where the open item is."""
        assert self.open is not None
        return {"item_id": self.open["id"], "output_index": len(self.output) - 1}

    def added(self, item: JSON) -> Iterator[JSON]:
        """A new item, the one before it completed."""
        yield from self.settle()
        made = {"id": f"item_{self.id}_{len(self.output)}", "status": "in_progress", **item}
        self.output.append(made)
        self.open = made
        yield {"type": "response.output_item.added", "output_index": len(self.output) - 1, "item": dict(made)}

    def settle(self) -> Iterator[JSON]:
        """Complete the open item."""
        yield from self.begin()
        item = self.open
        if item is None:
            return
        yield from _DONE[item["type"]](self, item)
        item["status"] = "completed"
        yield {"type": "response.output_item.done", "output_index": len(self.output) - 1, "item": dict(item)}
        self.open = None

    # Messages

    def said(self, kind: str, name: str, text: str) -> Iterator[JSON]:
        if not text:
            return
        if self.open is None or self.open["type"] != "message":
            yield from self.added({"type": "message", "role": "assistant", "content": []})
        assert self.open is not None
        content = self.open["content"]
        if not content or content[-1]["type"] != kind:
            yield from self.part_done()
            content.append({"type": kind, name: "", **({"annotations": []} if kind == "output_text" else {})})
            yield {"type": "response.content_part.added", **self.part(), "part": dict(content[-1])}
        content[-1][name] += text
        yield {"type": f"response.{kind}.delta", **self.part(), "delta": text}

    def part(self) -> JSON:
        assert self.open is not None
        return {**self.place(), "content_index": max(len(self.open["content"]) - 1, 0)}

    def part_done(self) -> Iterator[JSON]:
        assert self.open is not None
        if self.open["content"]:
            last = self.open["content"][-1]
            name = "text" if last["type"] == "output_text" else "refusal"
            yield {"type": f"response.{last['type']}.done", **self.part(), name: last[name]}
            yield {"type": "response.content_part.done", **self.part(), "part": dict(last)}

    def text(self, event: Text) -> Iterator[JSON]:
        return self.said("output_text", "text", event.text)

    def refusal(self, event: Refusal) -> Iterator[JSON]:
        return self.said("refusal", "refusal", event.text)

    def citation(self, event: Citation) -> Iterator[JSON]:
        if self.open is None or self.open["type"] != "message" or not self.open["content"]:
            return
        annotations = self.open["content"][-1].get("annotations")
        if annotations is None:
            return
        cited = {"type": "url_citation", "url": event.url, "title": event.title}
        annotations.append({**cited, "start_index": event.start, "end_index": event.end})
        told = {"annotation_index": len(annotations) - 1, "annotation": annotations[-1]}
        yield {"type": "response.output_text.annotation.added", **self.part(), **told}

    def message_done(self, item: JSON) -> Iterator[JSON]:
        return self.part_done()

    # Thoughts

    def reasoning(self, event: Reasoning) -> Iterator[JSON]:
        if not event.text:
            return
        if self.open is None or self.open["type"] != "reasoning":
            summary: list[JSON] = [{"type": "summary_text", "text": ""}]
            yield from self.added({"type": "reasoning", "summary": summary})
            part = {**self.place(), "summary_index": 0, "part": dict(summary[0])}
            yield {"type": "response.reasoning_summary_part.added", **part}
        assert self.open is not None
        self.open["summary"][0]["text"] += event.text
        yield {
            "type": "response.reasoning_summary_text.delta",
            **self.place(),
            "summary_index": 0,
            "delta": event.text,
        }

    def reasoning_done(self, item: JSON) -> Iterator[JSON]:
        place = {**self.place(), "summary_index": 0}
        yield {"type": "response.reasoning_summary_text.done", **place, "text": item["summary"][0]["text"]}
        yield {"type": "response.reasoning_summary_part.done", **place, "part": dict(item["summary"][0])}

    # Calls

    def call(self, event: ToolCall) -> Iterator[JSON]:
        kind, name = ("custom_tool_call", "input") if event.custom else ("function_call", "arguments")
        call = event.id or f"call_{len(self.output)}"
        return self.added({"type": kind, "call_id": call, "name": event.name, name: ""})

    def arguments(self, event: ToolArguments) -> Iterator[JSON]:
        item = self.open
        if item is None or item.get("call_id") != event.id:
            return
        kind, name = _ARGUMENTS[item["type"]]
        item[name] += event.text
        yield {"type": f"response.{kind}.delta", **self.place(), "delta": event.text}

    def call_done(self, item: JSON) -> Iterator[JSON]:
        kind, name = _ARGUMENTS[item["type"]]
        yield {"type": f"response.{kind}.done", **self.place(), name: item[name]}

    # The end

    def spent(self, event: Usage) -> Iterator[JSON]:
        read, written = event.input_tokens or 0, event.output_tokens or 0
        cached = {"cached_tokens": event.cached_tokens or 0, "cache_write_tokens": event.cache_write_tokens or 0}
        self.usage = {
            "input_tokens": read,
            "input_tokens_details": cached,
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": event.reasoning_tokens or 0},
            "total_tokens": read + written,
        }
        return iter(())

    def finish(self, event: Finish) -> Iterator[JSON]:
        yield from self.settle()
        reason = str(event.reason)
        if reason in _INCOMPLETE:
            details = {"reason": _INCOMPLETE[reason]}
            whole = self.response("incomplete", incomplete_details=details)
            yield {"type": "response.incomplete", "response": whole}
        else:
            yield {"type": "response.completed", "response": self.response("completed")}

    def error(self, event: Error) -> Iterator[JSON]:
        told = {"type": "error", "code": event.code, "message": event.message, "param": event.param}
        yield told if event.request_id is None else {**told, "request_id": event.request_id}


_INCOMPLETE: Final = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "cancelled": "cancelled",
}
_ARGUMENTS: Final = {
    "function_call": ("function_call_arguments", "arguments"),
    "custom_tool_call": ("custom_tool_call_input", "input"),
}
_DONE: Final[dict[str, Callable[[ResponseEvents, JSON], Iterator[JSON]]]] = {
    "message": ResponseEvents.message_done,
    "reasoning": ResponseEvents.reasoning_done,
    "function_call": ResponseEvents.call_done,
    "custom_tool_call": ResponseEvents.call_done,
}
_WRITE: Final[dict[type, Callable[[ResponseEvents, Any], Iterator[JSON]]]] = {
    Start: ResponseEvents.start,
    Text: ResponseEvents.text,
    Refusal: ResponseEvents.refusal,
    Citation: ResponseEvents.citation,
    Reasoning: ResponseEvents.reasoning,
    ToolCall: ResponseEvents.call,
    ToolArguments: ResponseEvents.arguments,
    Usage: ResponseEvents.spent,
    Finish: ResponseEvents.finish,
    Error: ResponseEvents.error,
}
