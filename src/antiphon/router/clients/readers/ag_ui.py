"""The events of AG-UI, with the chunks that other servers send in place of start, content and end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...events import Citation, Reasoning, Step, Text, ToolArguments, ToolCall, ToolResult
from .base import AnswerReader, decoded, error_of, text_of, usage_of

__all__ = ("READER",)


class AGUIReader(AnswerReader):
    key = "ag-ui"

    def __init__(self) -> None:
        super().__init__()
        self._spoke = False
        """Whether something was said, so that a step is a further one."""
        self._steps = 0
        self._calls: dict[str, str] = {}
        self._call = ""

    @staticmethod
    def knows(name: str | None, data: str, value: Any) -> bool:
        kind = value.get("type") if isinstance(value, dict) else None
        return isinstance(kind, str) and (kind in _READ or (kind.isupper() and "_" in kind))

    def feed(self, name: str | None, data: str) -> None:
        value = decoded(data)
        if not isinstance(value, dict):
            return
        kind = str(value.get("type"))
        read = _READ.get(kind)
        if read is not None:
            read(self, value)
            self._spoke = self._spoke or read is not AGUIReader.run

    def run(self, value: dict[str, Any]) -> None:
        self.start(str(value.get("runId") or ""))

    def step(self, value: dict[str, Any]) -> None:
        if self._spoke:
            self._steps += 1
            self.say(Step(self._steps))

    def text(self, value: dict[str, Any]) -> None:
        if value.get("delta"):
            self.say(Text(_text(value, "delta")))

    def reasoning(self, value: dict[str, Any]) -> None:
        if value.get("delta"):
            self.say(Reasoning(_text(value, "delta")))

    def call(self, value: dict[str, Any]) -> None:
        identity, name = _text(value, "toolCallId"), _text(value, "toolCallName")
        self._calls[identity] = name
        self._call = identity
        self.say(ToolCall(identity, name))

    def arguments(self, value: dict[str, Any]) -> None:
        identity = _text(value, "toolCallId") or self._call
        if identity in self._calls and value.get("delta"):
            self.say(ToolArguments(identity, _text(value, "delta")))

    def call_chunk(self, value: dict[str, Any]) -> None:
        identity = _text(value, "toolCallId") or self._call
        if identity not in self._calls:
            self.call(value)
        self.arguments(value)

    def result(self, value: dict[str, Any]) -> None:
        identity = _text(value, "toolCallId")
        self.say(ToolResult(identity, self._calls.get(identity, ""), text_of(value.get("content", ""))))

    def custom(self, value: dict[str, Any]) -> None:
        cited = value.get("value")
        if value.get("name") == "citation" and isinstance(cited, dict):
            start, end = cited.get("start"), cited.get("end")
            place = (start if isinstance(start, int) else 0, end if isinstance(end, int) else 0)
            self.say(Citation(_text(cited, "url"), _text(cited, "title"), *place))

    def finished(self, value: dict[str, Any]) -> None:
        self._spent(value)
        outcome, result = value.get("outcome"), value.get("result")
        self.over = True
        if isinstance(outcome, dict) and outcome.get("type") == "cancelled":
            self.finish("cancelled")
        else:
            self.finish(str(result.get("finishReason") or "stop") if isinstance(result, dict) else "stop")

    def error(self, value: dict[str, Any]) -> None:
        self._spent(value)
        raw = value.get("rawEvent")
        told: dict[str, Any] = {"code": value.get("code"), **(raw if isinstance(raw, dict) else {})}
        self.over = True
        self.fail(error_of({**told, "message": value.get("message")}, "The server had an error while answering."))

    def _spent(self, value: dict[str, Any]) -> None:
        usage = value.get("usage")
        if isinstance(usage, list) and usage:
            self.say(usage_of(usage[-1]))


def _text(value: dict[str, Any], name: str) -> str:
    given = value.get(name)
    return given if isinstance(given, str) else ""


_READ: Final[dict[str, Callable[[AGUIReader, dict[str, Any]], None]]] = {
    "RUN_STARTED": AGUIReader.run,
    "STEP_STARTED": AGUIReader.step,
    "TEXT_MESSAGE_CONTENT": AGUIReader.text,
    "TEXT_MESSAGE_CHUNK": AGUIReader.text,
    "REASONING_MESSAGE_CONTENT": AGUIReader.reasoning,
    "REASONING_MESSAGE_CHUNK": AGUIReader.reasoning,
    "THINKING_TEXT_MESSAGE_CONTENT": AGUIReader.reasoning,
    "TOOL_CALL_START": AGUIReader.call,
    "TOOL_CALL_ARGS": AGUIReader.arguments,
    "TOOL_CALL_CHUNK": AGUIReader.call_chunk,
    "TOOL_CALL_RESULT": AGUIReader.result,
    "CUSTOM": AGUIReader.custom,
    "RUN_FINISHED": AGUIReader.finished,
    "RUN_ERROR": AGUIReader.error,
}


READER: Final = AGUIReader
