"""The UI message stream of the AI SDK (v1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...events import Citation, Reasoning, Step, Text, ToolArguments, ToolCall, ToolResult
from .base import AnswerReader, decoded, error_of, text_of, usage_of

__all__ = ("READER",)


class VercelReader(AnswerReader):
    key = "vercel"

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0
        self._calls: dict[str, list[Any]] = {}
        """The name of each call, and whether its arguments were told."""
        self._metadata: dict[str, Any] = {}
        self._told: dict[str, Any] = {}
        """What is said of an error before it comes."""

    @staticmethod
    def knows(name: str | None, data: str, value: Any) -> bool:
        kind = value.get("type") if isinstance(value, dict) else None
        return isinstance(kind, str) and (kind in _READ or kind.startswith("data-"))

    def feed(self, name: str | None, data: str) -> None:
        if data == "[DONE]":
            self.over = self.bare = True
            return
        value = decoded(data)
        if not isinstance(value, dict):
            return
        read = _READ.get(str(value.get("type")))
        if read is not None:
            read(self, value)

    def message(self, value: dict[str, Any]) -> None:
        self._keep(value)
        self.start(str(value.get("messageId") or ""))

    def metadata(self, value: dict[str, Any]) -> None:
        self._keep(value)

    def _keep(self, value: dict[str, Any]) -> None:
        given = value.get("messageMetadata")
        if isinstance(given, dict):
            self._metadata.update(given)

    def step(self, value: dict[str, Any]) -> None:
        if self._steps:
            self.say(Step(self._steps))
        self._steps += 1

    def text(self, value: dict[str, Any]) -> None:
        self.say(Text(_text(value, "delta")))

    def reasoning(self, value: dict[str, Any]) -> None:
        self.say(Reasoning(_text(value, "delta")))

    def call(self, value: dict[str, Any]) -> None:
        identity, name = _text(value, "toolCallId"), _text(value, "toolName")
        self._calls[identity] = [name, False]
        self.say(ToolCall(identity, name))

    def arguments(self, value: dict[str, Any]) -> None:
        identity, text = _text(value, "toolCallId"), _text(value, "inputTextDelta")
        if identity in self._calls and text:
            self._calls[identity][1] = True
            self.say(ToolArguments(identity, text))

    def complete(self, value: dict[str, Any]) -> None:
        identity = _text(value, "toolCallId")
        if identity not in self._calls:
            self.call(value)
        if not self._calls[identity][1]:
            self._calls[identity][1] = True
            self.say(ToolArguments(identity, text_of(value.get("input", {}))))

    def output(self, value: dict[str, Any]) -> None:
        self._result(value, text_of(value.get("output")), False)

    def output_error(self, value: dict[str, Any]) -> None:
        self._result(value, _text(value, "errorText"), True)

    def _result(self, value: dict[str, Any], text: str, failed: bool) -> None:
        identity = _text(value, "toolCallId")
        self.say(ToolResult(identity, self._calls.get(identity, [""])[0], text, failed))

    def source(self, value: dict[str, Any]) -> None:
        self.say(Citation(_text(value, "url"), _text(value, "title"), 0, 0))

    def details(self, value: dict[str, Any]) -> None:
        if isinstance(value.get("data"), dict):
            self._told = value["data"]

    def error(self, value: dict[str, Any]) -> None:
        self.fail(error_of(self._told, _text(value, "errorText") or "The server had an error while answering."))

    def abort(self, value: dict[str, Any]) -> None:
        self.finish("cancelled")

    def done(self, value: dict[str, Any]) -> None:
        self._keep(value)
        if "usage" in self._metadata:
            self.say(usage_of(self._metadata["usage"]))
        reason = self._metadata.get("finishReason") or value.get("finishReason") or "stop"
        self.finish(str(reason).replace("-", "_"))


def _text(value: dict[str, Any], name: str) -> str:
    given = value.get(name)
    return given if isinstance(given, str) else ""


_READ: Final[dict[str, Callable[[VercelReader, dict[str, Any]], None]]] = {
    "start": VercelReader.message,
    "message-metadata": VercelReader.metadata,
    "start-step": VercelReader.step,
    "text-delta": VercelReader.text,
    "reasoning-delta": VercelReader.reasoning,
    "tool-input-start": VercelReader.call,
    "tool-input-delta": VercelReader.arguments,
    "tool-input-available": VercelReader.complete,
    "tool-output-available": VercelReader.output,
    "tool-output-error": VercelReader.output_error,
    "source-url": VercelReader.source,
    "data-error": VercelReader.details,
    "error": VercelReader.error,
    "abort": VercelReader.abort,
    "finish": VercelReader.done,
}


READER: Final = VercelReader
