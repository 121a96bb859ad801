"""The API's own format: chunks of a chat completion, or the events of a Response."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from ...events import Event, ToolResult
from ...upstream.chat import ChatReader
from ...upstream.responses import ResponsesReader
from .base import AnswerReader, decoded

__all__ = ("READER", "whole")

Inner: TypeAlias = ChatReader | ResponsesReader


class OpenAIReader(AnswerReader):
    key = "openai"

    def __init__(self) -> None:
        super().__init__()
        self._inner: Inner | None = None

    @staticmethod
    def knows(name: str | None, data: str, value: Any) -> bool:
        if data == "[DONE]":
            return True
        if not isinstance(value, dict):
            return False
        return "choices" in value or _is_envelope(value) or _is_typed(value)

    def feed(self, name: str | None, data: str) -> None:
        if data == "[DONE]":
            self.over = self.bare = True
            self._settle()
            return
        value = decoded(data)
        if not isinstance(value, dict) or self.ended:
            return
        inner = self._inner
        if inner is None:
            inner = self._inner = ResponsesReader() if _is_typed(value) else ChatReader()
        said: list[Event] = []
        inner.feed(value, said)
        result = value.get("tool_result")
        if isinstance(result, dict):
            said.append(_result(result))
        for event in said:
            self.begun = True
            self.out.append(event)
        if inner.failed is not None:
            self._settle()
        if inner.dialect == "responses" and (inner._finish is not None or inner.failed is not None):
            self.over = True
            self._settle()

    def end(self) -> None:
        # Some hosts leave `[DONE]` out; a reason to finish is an end as well.
        if self._inner is not None and (self._inner._finish is not None or self._inner.failed is not None):
            self._settle()

    def _settle(self) -> None:
        if self.ended:
            return
        inner = self._inner = self._inner or ChatReader()
        said: list[Event] = []
        inner.end(said)
        for event in said:
            self.start()
            self.out.append(event)
        self.ended = True


def _is_typed(value: dict[str, Any]) -> bool:
    kind = value.get("type")
    return isinstance(kind, str) and (kind.startswith("response.") or (kind == "error" and "errorText" not in value))


def _is_envelope(value: dict[str, Any]) -> bool:
    return isinstance(value.get("error"), dict) and "type" not in value


def _result(value: dict[str, Any]) -> ToolResult:
    identity, name, text = (str(value.get(key) or "") for key in ("tool_call_id", "name", "content"))
    return ToolResult(identity, name, text, bool(value.get("failed")))


def whole(value: dict[str, Any]) -> list[Event]:
    """The events of an answer that came in one piece; none of what is no answer of a model."""
    if value.get("object") == "response":
        return ResponsesReader().whole(value)
    if "choices" not in value and not value.get("error"):
        return []
    events = ChatReader().whole(value)
    results = value.get("tool_results")
    made = [_result(each) for each in results if isinstance(each, dict)] if isinstance(results, list) else []
    return [*events[:1], *made, *events[1:]]


READER: Final = OpenAIReader
