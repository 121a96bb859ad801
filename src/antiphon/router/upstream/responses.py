"""Responses, whole and as their typed events, as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..errors import told
from ..events import Citation, Event, Finish, Reasoning, Refusal, Start, Text, ToolArguments, ToolCall
from .chat import usage_of
from .reader import Reader

__all__ = ("ResponsesReader",)


class ResponsesReader(Reader):
    """Reads one answer of `POST /responses`."""

    __slots__ = ("_called", "_finish", "_ids", "_last", "_started", "_usage")
    dialect = "responses"

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._called = False
        self._finish: str | None = None
        self._usage: Any = None
        self._ids: dict[str, str] = {}
        """The id of the call of each item that is one."""
        self._last = ""

    def feed(self, value: dict[str, Any], out: list[Event]) -> None:
        """The events of one event of the stream."""
        kind = value.get("type")
        if kind == "response.output_text.delta":
            delta: Any = value.get("delta")
            if delta.__class__ is str:
                out.append(Text(delta))
            return
        read = _READ.get(kind) if isinstance(kind, str) else None
        if read is not None:
            read(self, value, out)
        elif value.get("object") == "response":
            self._response(value, out)
        elif value.get("error"):
            self.failed = told(value["error"], self.secrets, self.request_id)

    def end(self, out: list[Event]) -> None:
        """What is known only when all has come."""
        if self._usage is not None:
            out.append(usage_of(self._usage))
        if self.failed is None and self._finish is None:
            self.failed = self.broken()
        out.append(self.failed or Finish(self._finish or "stop"))  # type: ignore[arg-type]

    # Events

    def _created(self, value: dict[str, Any], out: list[Event]) -> None:
        response = value.get("response")
        self._begin(response if isinstance(response, dict) else {}, out)

    def _begin(self, response: dict[str, Any], out: list[Event]) -> None:
        if not self._started:
            self._started = True
            created = response.get("created_at")
            out.append(
                Start(
                    str(response.get("id") or ""),
                    str(response.get("model") or ""),
                    int(created) if isinstance(created, (int, float)) else 0,
                )
            )

    def _reasoned(self, value: dict[str, Any], out: list[Event]) -> None:
        delta = value.get("delta")
        if isinstance(delta, str):
            out.append(Reasoning(delta))

    def _refused(self, value: dict[str, Any], out: list[Event]) -> None:
        delta = value.get("delta")
        if isinstance(delta, str):
            out.append(Refusal(delta))

    def _added(self, value: dict[str, Any], out: list[Event]) -> None:
        item = value.get("item")
        if isinstance(item, dict) and item.get("type") in _CALLS:
            self._call(item, out)

    def _call(self, item: dict[str, Any], out: list[Event]) -> None:
        identity = str(item.get("call_id") or item.get("id") or f"call_{len(self._ids)}")
        self._ids[str(item.get("id") or identity)] = identity
        self._last = identity
        self._called = True
        out.append(ToolCall(identity, str(item.get("name") or ""), item["type"] == "custom_tool_call"))

    def _argued(self, value: dict[str, Any], out: list[Event]) -> None:
        delta = value.get("delta")
        if isinstance(delta, str) and delta:
            out.append(ToolArguments(self._ids.get(str(value.get("item_id")), self._last), delta))

    def _annotated(self, value: dict[str, Any], out: list[Event]) -> None:
        _cite(value.get("annotation"), out)

    def _ended(self, value: dict[str, Any], out: list[Event]) -> None:
        response = value.get("response")
        if isinstance(response, dict):
            self._begin(response, out)
            self._settle(response)

    def _erred(self, value: dict[str, Any], out: list[Event]) -> None:
        error = value.get("error")
        self.failed = told(error if isinstance(error, dict) else value, self.secrets, self.request_id)

    def _settle(self, response: dict[str, Any]) -> None:
        """How the answer ended."""
        if isinstance(response.get("usage"), dict):
            self._usage = response["usage"]
        status = response.get("status")
        if status == "failed" or response.get("error"):
            self.failed = told(response.get("error"), self.secrets, self.request_id)
        elif status == "incomplete":
            details = response.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            self._finish = "content_filter" if reason == "content_filter" else "length"
        else:
            self._finish = "tool_calls" if self._called else "stop"

    # Whole

    def _response(self, response: dict[str, Any], out: list[Event]) -> None:
        self._begin(response, out)
        output = response.get("output")
        for item in output if isinstance(output, list) else ():
            if not isinstance(item, dict):
                continue
            if item.get("type") in _CALLS:
                self._call(item, out)
                words = item.get("input" if item["type"] == "custom_tool_call" else "arguments")
                if isinstance(words, str) and words:
                    out.append(ToolArguments(self._last, words))
            elif item.get("type") == "reasoning":
                parts = (*(item.get("summary") or ()), *(item.get("content") or ()))
                texts = (part.get("text") for part in parts if isinstance(part, dict))
                out.extend(Reasoning(text) for text in texts if isinstance(text, str))
            elif item.get("type") == "message":
                for part in item.get("content") or ():
                    _said(part, out)
        self._settle(response)


def _said(part: Any, out: list[Event]) -> None:
    if not isinstance(part, dict):
        return
    if isinstance(part.get("text"), str):
        out.append(Text(part["text"]))
        for annotation in part.get("annotations") or ():
            _cite(annotation, out)
    elif isinstance(part.get("refusal"), str):
        out.append(Refusal(part["refusal"]))


def _cite(annotation: Any, out: list[Event]) -> None:
    if isinstance(annotation, dict) and isinstance(annotation.get("url"), str):
        start, end = annotation.get("start_index"), annotation.get("end_index")
        out.append(
            Citation(
                annotation["url"],
                str(annotation.get("title") or ""),
                start if isinstance(start, int) else 0,
                end if isinstance(end, int) else 0,
            )
        )


_CALLS: Final = ("function_call", "custom_tool_call")
_READ: Final[dict[str, Callable[[ResponsesReader, dict[str, Any], list[Event]], None]]] = {
    "response.created": ResponsesReader._created,
    "response.reasoning_text.delta": ResponsesReader._reasoned,
    "response.reasoning_summary_text.delta": ResponsesReader._reasoned,
    "response.refusal.delta": ResponsesReader._refused,
    "response.output_item.added": ResponsesReader._added,
    "response.function_call_arguments.delta": ResponsesReader._argued,
    "response.custom_tool_call_input.delta": ResponsesReader._argued,
    "response.output_text.annotation.added": ResponsesReader._annotated,
    "response.completed": ResponsesReader._ended,
    "response.incomplete": ResponsesReader._ended,
    "response.failed": ResponsesReader._ended,
    "error": ResponsesReader._erred,
}
