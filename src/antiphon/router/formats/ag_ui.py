"""The events of AG-UI, the Agent-User Interaction protocol.

    RUN_STARTED … RUN_FINISHED, or RUN_ERROR      with the thread and the run the caller named
    STEP_STARTED … STEP_FINISHED                  each round of an agent
    TEXT_MESSAGE_START, _CONTENT, _END            the text
    REASONING_START, REASONING_MESSAGE_…, REASONING_END
    TOOL_CALL_START, _ARGS, _END, _RESULT         calls, and what came of them where they were made here
    CUSTOM                                        `citation`

Questions are a `RunAgentInput`: messages with `toolCalls` and `toolCallId`. RUN_FINISHED has the usage, and the finish
reason in its `result`; of an answer that was cancelled it says so in its `outcome`.
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


class _Writer(JSONWriter):
    def __init__(self, thread: str, run: str) -> None:
        self.ids = {"threadId": thread, "runId": run}
        self.run = run
        self.begun = False
        self.open: str | None = None
        """`text` or `reasoning`, while one is open."""
        self.identity = ""
        """Of what is open."""
        self.calls: dict[str, None] = {}
        """Calls that are open: hosts may say the arguments of several in turns."""
        self.numbers = 0
        self.step_name: str | None = None
        self.spoke = ""
        """The id of the message of this round, once there is one."""
        self.spent: dict[str, Any] = {}

    def parts(self, event: Event) -> Sequence[dict[str, Any]]:
        if event.__class__ is Text and self.open == "text" and event.text:  # type: ignore[union-attr]
            return ({"type": "TEXT_MESSAGE_CONTENT", "messageId": self.identity, "delta": event.text},)  # type: ignore[union-attr]
        write = _WRITE.get(event.__class__)
        return () if write is None else list(write(self, event))

    def begin(self, event: Start | None = None) -> Iterator[dict[str, Any]]:
        if not self.begun:
            self.begun = True
            yield {"type": "RUN_STARTED", **self.ids}

    def settle(self) -> Iterator[dict[str, Any]]:
        """What has to be ended before something else begins."""
        yield from self.begin()
        if self.open == "text":
            yield {"type": "TEXT_MESSAGE_END", "messageId": self.identity}
        elif self.open == "reasoning":
            yield {"type": "REASONING_MESSAGE_END", "messageId": self.identity}
            yield {"type": "REASONING_END", "messageId": self.identity}
        self.open = None
        for identity in self.calls:
            yield {"type": "TOOL_CALL_END", "toolCallId": identity}
        self.calls = {}

    def named(self) -> str:
        self.numbers += 1
        return f"{self.run}-{self.numbers}"

    def text(self, event: Text | Refusal) -> Iterator[dict[str, Any]]:
        if not event.text:
            return
        if self.open != "text":
            yield from self.settle()
            self.open, self.identity = "text", self.named()
            self.spoke = self.identity
            yield {"type": "TEXT_MESSAGE_START", "messageId": self.identity, "role": "assistant"}
        yield {"type": "TEXT_MESSAGE_CONTENT", "messageId": self.identity, "delta": event.text}

    def reasoning(self, event: Reasoning) -> Iterator[dict[str, Any]]:
        if not event.text:
            return
        if self.open != "reasoning":
            yield from self.settle()
            self.open, self.identity = "reasoning", self.named()
            yield {"type": "REASONING_START", "messageId": self.identity}
            yield {"type": "REASONING_MESSAGE_START", "messageId": self.identity, "role": "reasoning"}
        yield {"type": "REASONING_MESSAGE_CONTENT", "messageId": self.identity, "delta": event.text}

    def call(self, event: ToolCall) -> Iterator[dict[str, Any]]:
        yield from self.begin() if self.calls else self.settle()
        identity = event.id or self.named()
        self.calls[identity] = None
        # Calls of one round belong to one message: that of the text before them, or one of their own.
        self.spoke = self.spoke or self.named()
        call = {"toolCallId": identity, "toolCallName": event.name, "parentMessageId": self.spoke}
        yield {"type": "TOOL_CALL_START", **call}

    def arguments(self, event: ToolArguments) -> Iterator[dict[str, Any]]:
        if event.text and event.id in self.calls:
            yield {"type": "TOOL_CALL_ARGS", "toolCallId": event.id, "delta": event.text}

    def tool_result(self, event: ToolResult) -> Iterator[dict[str, Any]]:
        yield from self.settle()
        self.spoke = ""
        result = {"messageId": self.named(), "toolCallId": event.id, "content": event.text, "role": "tool"}
        yield {"type": "TOOL_CALL_RESULT", **result}

    def step(self, event: Step) -> Iterator[dict[str, Any]]:
        yield from self.end_step()
        self.step_name = f"round {event.number + 1}"
        yield {"type": "STEP_STARTED", "stepName": self.step_name}

    def end_step(self) -> Iterator[dict[str, Any]]:
        yield from self.settle()
        if self.step_name is not None:
            yield {"type": "STEP_FINISHED", "stepName": self.step_name}
            self.step_name = None

    def citation(self, event: Citation) -> Iterator[dict[str, Any]]:
        yield from self.begin()
        yield {"type": "CUSTOM", "name": "citation", "value": event._asdict()}

    def usage(self, event: Usage) -> Iterator[dict[str, Any]]:
        counts = {
            "inputTokens": event.input_tokens,
            "outputTokens": event.output_tokens,
            "totalTokens": (event.input_tokens or 0) + (event.output_tokens or 0),
            "reasoningTokens": event.reasoning_tokens,
            "cachedInputTokens": event.cached_tokens,
            "cacheWriteTokens": event.cache_write_tokens,
        }
        self.spent = {"usage": [{name: count for name, count in counts.items() if count is not None}]}
        return iter(())

    def finish(self, event: Finish) -> Iterator[dict[str, Any]]:
        yield from self.end_step()
        reason = str(event.reason)
        told = {"result": {"finishReason": reason}, **self.spent}
        if reason == "cancelled":
            told = {"outcome": {"type": "cancelled"}, **self.spent}
        yield {"type": "RUN_FINISHED", **self.ids, **told}

    def error(self, event: Error) -> Iterator[dict[str, Any]]:
        yield from self.settle()
        told: dict[str, Any] = {"type": "RUN_ERROR", "message": event.message}
        told["code"] = event.code or str(event.status)
        yield {**told, **self.spent, "rawEvent": {"status": event.status, **event.to_dict()}}


_WRITE: Final[dict[type, Callable[[_Writer, Any], Iterator[dict[str, Any]]]]] = {
    Start: _Writer.begin,
    Text: _Writer.text,
    Refusal: _Writer.text,
    Reasoning: _Writer.reasoning,
    ToolCall: _Writer.call,
    ToolArguments: _Writer.arguments,
    ToolResult: _Writer.tool_result,
    Step: _Writer.step,
    Citation: _Writer.citation,
    Usage: _Writer.usage,
    Finish: _Writer.finish,
    Error: _Writer.error,
}


def _message(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """One of the protocol's messages as one of a chat completion's; none for those that are no speech."""
    role = message.get("role")
    if role in ("reasoning", "activity"):
        return None
    made: dict[str, Any] = {"role": role, "content": message.get("content")}
    content = made["content"]
    if isinstance(content, list):
        made["content"] = [_part(each) for each in content]
    if message.get("toolCalls"):
        made["tool_calls"] = [
            {"id": call.get("id"), "type": call.get("type", "function"), "function": call.get("function")}
            for call in message["toolCalls"]
            if isinstance(call, Mapping)
        ]
    if message.get("toolCallId"):
        made["tool_call_id"] = message["toolCallId"]
    return made


def _part(part: Any) -> Any:
    if not isinstance(part, Mapping) or part.get("type") in ("text", "image_url", "input_audio", "file"):
        return part
    source = part.get("source")
    source = source if isinstance(source, Mapping) else {}
    mime = str(source.get("mimeType") or part.get("mimeType") or "")
    data, url = part.get("data"), part.get("url")
    if source.get("type") == "data":
        data = source.get("value")
    elif source.get("type") == "url":
        url = source.get("value")
    where = url or f"data:{mime};base64,{data}"
    if part.get("type") == "image" or mime.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": where}}
    return {"type": "file", "file": {"filename": part.get("filename") or "file", "file_data": where}}


class _AGUI(Format):
    key = "ag-ui"
    summary = "The events of AG-UI."

    def asked(self, body: Mapping[str, Any]) -> Asked:
        given = (_message(each) for each in body.get("messages") or () if isinstance(each, Mapping))
        return Asked([each for each in given if each is not None], body=body)

    def writer(self, asked: Asked, dialect: str | None) -> _Writer:
        from uuid import uuid4

        thread, run = asked.body.get("threadId"), asked.body.get("runId")
        return _Writer(str(thread or f"thread-{uuid4().hex}"), str(run or f"run-{uuid4().hex}"))


FORMAT = _AGUI()
