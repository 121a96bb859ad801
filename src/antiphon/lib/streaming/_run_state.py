"""An assistant's run put together from its events, and the callbacks that follow from each. No I/O, no colour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ...kernel.view import View
from ._deltas import Accumulated, copied

if TYPE_CHECKING:
    from ...types.beta.threads.message import Message
    from ...types.beta.threads.run import Run
    from ...types.beta.threads.runs.run_step import RunStep

__all__ = ("KNOWN", "Callback", "RunState", "UnknownEvent")

JSON = dict[str, Any]
Callback = tuple[str, Callable[[], tuple[Any, ...]]]
"""The name of a callback, and what makes its arguments: only those that are asked for are made."""


class UnknownEvent(View):
    """An event whose name is none that the API documents."""

    event: str
    """Its name."""
    data: Any
    """Its data: the JSON as it came, or what the handler's type for events of that name made of it."""


class _Piece:
    """Content of a message, or a call of a step, that is under way."""

    __slots__ = ("data", "index", "told")

    def __init__(self, told: Accumulated | None = None, index: int | None = None, data: JSON | None = None) -> None:
        self.told = told
        self.index = index
        self.data = data


class RunState:
    """What a handler knows of the run: the run, its messages and its steps, as far as they have come."""

    def __init__(self) -> None:
        self.run: JSON | None = None
        self.step_id: str | None = None
        self.message_id: str | None = None
        self.messages: dict[str, Accumulated] = {}
        self.steps: dict[str, Accumulated] = {}
        self._content = _Piece()
        self._call = _Piece()

    # What a handler shows

    def current_run(self) -> Run | None:
        from ...types.beta.threads.run import Run

        return None if self.run is None else Run.of(self.run)

    def current_message(self) -> Message | None:
        return None if self.message_id is None else self._message(self.message_id)

    def current_step(self) -> RunStep | None:
        return None if self.step_id is None or self.step_id not in self.steps else self._step(self.step_id)

    def all_messages(self) -> list[Message]:
        return [self._message(each) for each in self.messages]

    def all_steps(self) -> list[RunStep]:
        return [self._step(each) for each in self.steps]

    def _message(self, id: str) -> Message:
        from ...types.beta.threads.message import Message

        return Message.of(self.messages[id].settle())

    def _step(self, id: str) -> RunStep:
        from ...types.beta.threads.runs.run_step import RunStep

        return RunStep.of(self.steps[id].settle())

    # Events

    def feed(self, event: Any) -> Iterator[Callback]:
        """Take an event in; the callbacks that follow from it, each when the state is as it should find it."""
        name = event._data.get("event") or ""
        handle = _HANDLERS.get(name)
        if handle is not None:
            data = event._data.get("data")
            yield from handle(self, event, data if isinstance(data, dict) else {})

    def _run_changed(self, event: Any, data: JSON) -> Iterator[Callback]:
        self.run = data
        if event._data["event"] in _ENDED:
            yield from self._end_call()

    def _message_created(self, event: Any, data: JSON) -> Iterator[Callback]:
        self._begin_message(data)
        yield "on_message_created", lambda: (event.data,)

    def _message_delta(self, event: Any, data: JSON) -> Iterator[Callback]:
        identity = data.get("id") or self.message_id or ""
        if identity not in self.messages:
            self._begin_message({"id": identity, "object": "thread.message", "content": []})
        self.message_id = identity
        told = self.messages[identity]
        content: list[JSON] = told.root["content"]
        parts = (data.get("delta") or {}).get("content") or []
        before = len(content)
        told.merge({"content": parts})
        for new in content[before:]:
            if new.get("type") == "text":
                yield "on_text_created", partial(_parts, told, new, "text")
        for number, part in enumerate(parts):
            place = _place(content, part)
            if part.get("type") == "text" and part.get("text"):
                yield "on_text_delta", partial(_text_delta, event, number, told, content[place])
            if place != self._content.index:
                yield from self._end_content()
            self._content = _Piece(told, place, content[place])
        yield "on_message_delta", lambda: (event.data.delta, self._message(identity))

    def _message_done(self, event: Any, data: JSON) -> Iterator[Callback]:
        self._begin_message(data)
        told, index = self.messages[self.message_id or ""], self._content.index
        content = told.root["content"]
        self._content = _Piece(told, index, content[index] if index is not None and index < len(content) else None)
        yield from self._end_content()
        self._content = _Piece()
        yield "on_message_done", lambda: (event.data,)

    def _step_created(self, event: Any, data: JSON) -> Iterator[Callback]:
        self._begin_step(data)
        yield "on_run_step_created", lambda: (event.data,)

    def _step_goes_on(self, event: Any, data: JSON) -> Iterator[Callback]:
        self.step_id = data.get("id")
        if self.step_id not in self.steps:
            self._begin_step(data)
        yield from ()

    def _step_delta(self, event: Any, data: JSON) -> Iterator[Callback]:
        identity = data.get("id") or self.step_id or ""
        if identity not in self.steps:
            self._begin_step({"id": identity, "object": "thread.run.step"})
        told = self.steps[identity]
        delta = data.get("delta") or {}
        told.merge(delta)
        details = delta.get("step_details") or {}
        parts = details.get("tool_calls") if details.get("type") == "tool_calls" else None
        for number, part in enumerate(parts or []):
            calls: list[JSON] = told.root["step_details"]["tool_calls"]
            place = _place(calls, part)
            if place == self._call.index and told is self._call.told:
                yield "on_tool_call_delta", partial(_call_delta, event, number, told, calls[place])
            else:
                yield from self._end_call()
                yield "on_tool_call_created", partial(_calls, told, calls[place])
            self._call = _Piece(told, place, calls[place])
        yield "on_run_step_delta", lambda: (event.data.delta, self._step(identity))

    def _step_done(self, event: Any, data: JSON) -> Iterator[Callback]:
        yield from self._end_call()
        self._begin_step(data)
        yield "on_run_step_done", lambda: (event.data,)
        self.step_id = None
        self._call = _Piece()

    # Parts

    def _begin_message(self, data: JSON) -> None:
        message = copied(data)
        if not isinstance(message.get("content"), list):
            message["content"] = []
        identity: str = message.get("id") or ""
        self.message_id = identity
        self.messages[identity] = Accumulated(message)

    def _begin_step(self, data: JSON) -> None:
        identity: str = data.get("id") or ""
        self.step_id = identity
        self.steps[identity] = Accumulated(copied(data))

    def _end_content(self) -> Iterator[Callback]:
        told, part = self._content.told, self._content.data
        kind = None if part is None else part.get("type")
        if told is not None and part is not None and kind in ("text", "image_file"):
            yield f"on_{kind}_done", partial(_parts, told, part, kind)

    def _end_call(self) -> Iterator[Callback]:
        told, call = self._call.told, self._call.data
        self._call = _Piece()
        if told is not None and call is not None:
            yield "on_tool_call_done", partial(_calls, told, call)


def _place(entries: list[JSON], part: JSON) -> int:
    """Where the entry is that a part of a delta went to."""
    index = part.get("index")
    if isinstance(index, int) and index < len(entries) and entries[index].get("index", index) == index:
        return index
    return next((place for place, each in enumerate(entries) if each.get("index") == index), len(entries) - 1)


def _parts(told: Accumulated, part: JSON, kind: str) -> tuple[View]:
    """The text or the image file of a part of a message."""
    from ...types.beta.threads.image_file import ImageFile
    from ...types.beta.threads.text import Text

    told.settle()
    kinds: dict[str, type[View]] = {"text": Text, "image_file": ImageFile}
    return (kinds[kind].of(part.get(kind) or {}),)


def _text_delta(event: Any, number: int, told: Accumulated, part: JSON) -> tuple[View, View]:
    return event.data.delta.content[number].text, *_parts(told, part, "text")


def _calls(told: Accumulated, call: JSON) -> tuple[Any]:
    """A call of a step."""
    from ...types.beta.threads.runs.tool_calls_step_details import ToolCallsStepDetails

    told.settle()
    return (ToolCallsStepDetails.of({"tool_calls": [call]}).tool_calls[0],)


def _call_delta(event: Any, number: int, told: Accumulated, call: JSON) -> tuple[Any, Any]:
    return event.data.delta.step_details.tool_calls[number], *_calls(told, call)


_ENDED = frozenset(
    f"thread.run.{end}" for end in ("completed", "cancelled", "expired", "failed", "requires_action", "incomplete")
)
_HANDLERS: dict[str, Any] = {
    **dict.fromkeys(_ENDED, RunState._run_changed),
    **dict.fromkeys(
        ("thread.run.created", "thread.run.queued", "thread.run.in_progress", "thread.run.cancelling"),
        RunState._run_changed,
    ),
    "thread.message.created": RunState._message_created,
    "thread.message.delta": RunState._message_delta,
    "thread.message.completed": RunState._message_done,
    "thread.message.incomplete": RunState._message_done,
    "thread.run.step.created": RunState._step_created,
    "thread.run.step.in_progress": RunState._step_goes_on,
    "thread.run.step.delta": RunState._step_delta,
    **dict.fromkeys(
        (f"thread.run.step.{end}" for end in ("completed", "cancelled", "expired", "failed")), RunState._step_done
    ),
}
KNOWN = frozenset((*_HANDLERS, "thread.created", "thread.message.in_progress", "error", "done"))
"""The names of the events that the API documents."""
