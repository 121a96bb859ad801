"""What was said in an answer, put together from its events as messages of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ...client.chat.history import Message, blocks, message
from ..events import Error, Event, Finish, Refusal, Start, Step, Text, ToolArguments, ToolCall, ToolResult, Usage

__all__ = ("Said", "is_answer", "is_result", "messages_of", "settled", "waiting")


class Said:
    """The messages of one answer: of an agent with calls and results, round by round."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        """Of the rounds that are complete, and of the last one, once the answer is."""
        self.start: Start | None = None
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.failed: Error | None = None
        self.rounds = 1
        self._clear()

    def _clear(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[str, tuple[ToolCall, list[str]]] = {}
        self._results: list[Message] = []

    @property
    def text(self) -> str:
        """Of the round under way."""
        return "".join(self._text)

    @property
    def called(self) -> bool:
        """Whether a tool was called, in any round."""
        return bool(self._calls) or any("tool_calls" in each for each in self.messages)

    def add(self, events: Iterable[Event]) -> None:
        """More of the answer."""
        for event in events:
            kind = event.__class__
            if kind is Text:
                self._text.append(event.text)  # type: ignore[union-attr]
            elif isinstance(event, Refusal):
                self._refusal.append(event.text)
            elif isinstance(event, ToolCall):
                identity = event.id or f"call_{len(self._calls)}"
                self._calls[identity] = (event._replace(id=identity), [])
            elif isinstance(event, ToolArguments):
                call = self._calls.get(event.id)
                if call is not None:
                    call[1].append(event.text)
            elif isinstance(event, ToolResult):
                self._results.append({"role": "tool", "tool_call_id": event.id, "content": event.text})
            elif isinstance(event, Step):
                self.rounds += 1
                self._round()
            elif isinstance(event, Start):
                self.start = self.start or event
            elif isinstance(event, Usage):
                self.usage = event
            elif isinstance(event, Finish):
                self.finish = event
                self._round()
            elif isinstance(event, Error):
                self.failed = event

    def _round(self) -> None:
        said: Message = {"role": "assistant", "content": self.text}
        if self._refusal:
            said["refusal"] = "".join(self._refusal)
        if self._calls:
            said["tool_calls"] = [_call(call, "".join(pieces)) for call, pieces in self._calls.values()]
            said["content"] = said["content"] or None
        self.messages += [said, *self._results]
        self._clear()

    def so_far(self) -> list[Message]:
        """The messages of an answer that was left: of a call that was not made to its end nothing."""
        if self.finish is not None or not self.text:
            return self.messages
        return [*self.messages, {"role": "assistant", "content": self.text}]

    def words(self) -> list[Message]:
        """All that has come, complete or not, to be counted."""
        calls = [_call(call, "".join(pieces)) for call, pieces in self._calls.values()]
        return [*self.messages, {"role": "assistant", "content": self.text, "tool_calls": calls}, *self._results]


def _call(call: ToolCall, words: str) -> dict[str, Any]:
    kind, name = ("custom", "input") if call.custom else ("function", "arguments")
    return {"id": call.id, "type": kind, kind: {"name": call.name, name: words}}


# What callers say


_RESULTS: Final = ("function_call_output", "custom_tool_call_output")
_CALLS: Final = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
_THEIRS: Final = frozenset((*_CALLS, "reasoning"))
"""Items of a Response that the model said."""


def is_answer(given: Mapping[str, Any]) -> bool:
    """Whether the model said it."""
    return given.get("role") == "assistant" or given.get("type") in _THEIRS


def is_result(given: Mapping[str, Any]) -> bool:
    """Whether it is what a tool returned."""
    return given.get("role") in ("tool", "function") or given.get("type") in _RESULTS


def messages_of(given: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Messages, and items of a Response, as messages of a conversation.

    Items that are neither message, call nor result (thoughts, references) are left out.
    """
    made: list[Message] = []
    for each in given:
        kind = each.get("type")
        if kind in _RESULTS:
            output = each.get("output")
            made.append({"role": "tool", "tool_call_id": each.get("call_id"), "content": _content(output) or ""})
        elif kind in _CALLS:
            of, words = _CALLS[kind]
            call = {"id": each.get("call_id"), "type": of, of: {"name": each.get("name"), words: each.get(words)}}
            if not made or made[-1]["role"] != "assistant":
                made.append({"role": "assistant", "content": None})
            made[-1].setdefault("tool_calls", []).append(call)
        elif kind in (None, "message") and (isinstance(each.get("role"), str) or kind is None):
            made.append(message({"role": "user", **each, "content": _content(each.get("content"))}))
    return made


def _content(given: Any) -> Any:
    if not isinstance(given, list):
        return given
    return [part for each in given for part in _parts(each)]


def _parts(part: Any) -> Iterator[Any]:
    """A part of a message as chat completions have it."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in ("input_text", "output_text"):
        yield {"type": "text", "text": part.get("text")}
    elif kind == "input_image" and part.get("image_url"):
        yield {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part.get("detail") or "auto"}}
    else:
        yield part


def waiting(messages: Sequence[Message]) -> set[str]:
    """The calls at the end of a conversation that nobody has answered."""
    groups = blocks(messages)
    if not groups:
        return set()
    first, *results = groups[-1]
    return _ids(first.get("tool_calls"), "id") - _ids(results, "tool_call_id")


def _ids(given: Any, name: str) -> set[str]:
    """The ids in what callers may have written anyhow."""
    named = [each.get(name) for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
    return {each for each in named if isinstance(each, str)}


def settled(messages: Sequence[Message]) -> list[Message]:
    """A conversation without the calls at its end that nobody has answered, nor will: no host would take them."""
    if not waiting(messages):
        return list(messages)
    groups = blocks(messages)
    kept = [each for group in groups[:-1] for each in group]
    content = groups[-1][0].get("content")
    return [*kept, {"role": "assistant", "content": content}] if content else kept
