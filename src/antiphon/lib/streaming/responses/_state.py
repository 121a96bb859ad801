"""A response put together from its events, and what is added to them. No I/O, no colour."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

from ....kernel.omit import NotGiven, Omit, omit
from ....kernel.view import View
from ..._late import late
from ..._parsing._responses import parse_response, parse_text
from ..._variables import TextFormatT
from .._deltas import Accumulated, Growing, copied
from ._events import (
    ResponseCompletedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)

if TYPE_CHECKING:
    from ....types.responses.parsed_response import ParsedResponse
    from ....types.responses.response_stream_event import ResponseStreamEvent as RawResponseStreamEvent
    from ....types.responses.tool_param import ToolParam
    from ._events import ParsedResponseSnapshot, ResponseStreamEvent

__all__ = ("ResponseStreamState", "comes_after")

JSON = dict[str, Any]


class ResponseStreamState(Generic[TextFormatT]):
    """Takes the events of a stream one by one and gives them back with what follows from those before.

    What a host leaves out is made up for: a delta of an item or a part that was not announced begins it, a completed
    response without its output gets the items that were completed.
    """

    def __init__(
        self, *, input_tools: Iterable[ToolParam] | Omit = omit, text_format: type[TextFormatT] | Omit = omit
    ) -> None:
        self._tools: list[Any] = [] if isinstance(input_tools, (Omit, NotGiven)) else list(input_tools)
        self._format: Any = text_format
        self._told = Accumulated({})
        self._items: dict[int, JSON] = {}
        """The items of the output by their place in it; places may be missing."""
        self._done: set[int] = set()
        self._completed: ParsedResponse[TextFormatT] | None = None

    @property
    def current_response_snapshot(self) -> ParsedResponseSnapshot:
        """The response so far. Raises `RuntimeError` before the first event."""
        from ....types.responses.parsed_response import ParsedResponse

        if not self._told.root:
            raise RuntimeError("the stream has not begun: there is no response yet")
        return ParsedResponse.of({**self._told.settle(), "output": self._output()})

    def get_final_response(self) -> ParsedResponse[TextFormatT]:
        """The response, parsed. Raises `RuntimeError` where it was not completed."""
        if self._completed is None:
            raise RuntimeError("the response was not completed: there was no `response.completed` event")
        return self._completed

    def handle_event(self, event: RawResponseStreamEvent) -> list[ResponseStreamEvent[TextFormatT]]:
        """Add an event; what is to be told of it, which may be nothing. Raises what the type raises for a text it
        does not take.
        """
        data: JSON = event._data
        name = data.get("type")
        if name == "response.output_text.delta":
            return [self._text_delta(data)]
        if name == "response.function_call_arguments.delta":
            return [self._arguments_delta(data)]
        handle = _HANDLERS.get(name) if isinstance(name, str) else None
        told: list[Any] = [event] if handle is None else handle(self, event, data)
        return told

    # Events

    def _text_delta(self, data: JSON) -> Any:
        part = self._part(data)
        text = self._told.grow(part, "text", _text(data, "delta"))
        return late(ResponseTextDeltaEvent, data, {"snapshot": _so_far(text)})

    def _text_done(self, event: Any, data: JSON) -> list[Any]:
        item = self._item(data, "message")
        parsed = parse_text(_text(data, "text"), self._format, phase=item.get("phase"))
        return [ResponseTextDoneEvent.of({**data, "parsed": parsed})]

    def _arguments_delta(self, data: JSON) -> Any:
        item = self._item(data, "function_call")
        arguments = self._told.grow(item, "arguments", _text(data, "delta"))
        return late(ResponseFunctionCallArgumentsDeltaEvent, data, {"snapshot": _so_far(arguments)})

    def _item_added(self, event: Any, data: JSON) -> list[Any]:
        item = data.get("item")
        if not isinstance(item, dict):
            return []  # an event of nothing, as some hosts send it
        self._items[_place(data, "output_index", len(self._items))] = copied(item)
        return [event]

    def _item_done(self, event: Any, data: JSON) -> list[Any]:
        item, index = data.get("item"), _place(data, "output_index", len(self._items))
        if isinstance(item, dict):
            self._items[index] = copied(item)
            self._done.add(index)
        return [event]

    def _part_added(self, event: Any, data: JSON) -> list[Any]:
        part = data.get("part")
        item = self._items.get(_place(data, "output_index", -1))
        if isinstance(part, dict) and item is not None and isinstance(item.get("content"), list):
            item["content"].append(copied(part))
        return [event]

    def _lived(self, event: Any, data: JSON) -> list[Any]:
        """The response itself, at one of the stations of its life."""
        response = data.get("response")
        if not isinstance(response, dict):
            return [event]
        output = response.get("output")
        if not self._told.root and isinstance(output, list):
            self._items = {place: copied(item) for place, item in enumerate(output) if isinstance(item, dict)}
        elif isinstance(output, list):
            self._replace(output)
        self._told.root.update({key: value for key, value in response.items() if key != "output"})
        if output is None:
            ended = data["type"] in ("response.failed", "response.incomplete")
            self._told.settle()
            event = type(event).of({**data, "response": {**response, "output": self._output() if ended else []}})
        return [event]

    def _complete(self, event: Any, data: JSON) -> list[Any]:
        from ....types.responses.response import Response

        response = data.get("response")
        response = response if isinstance(response, dict) else {}
        if response.get("output") is None:
            self._told.settle()
            response = {**response, "output": [self._items[place] for place in sorted(self._done)]}
        completed = self._completed = parse_response(
            text_format=self._format, response=Response.of(response), input_tools=self._tools
        )
        self._told.root.update(response)
        return [ResponseCompletedEvent.of({**data, "response": completed._data})]

    def _replace(self, output: list[Any]) -> None:
        """Items that were completed, as a later look at the response has them."""
        for item in output:
            place = next((place for place in sorted(self._done) if _same(self._items[place], item)), None)
            if place is not None:
                self._items[place] = copied(item)

    # Places

    def _output(self) -> list[JSON]:
        return [copied(self._items[place]) for place in sorted(self._items)]

    def _item(self, data: JSON, kind: str) -> JSON:
        index = _place(data, "output_index", 0)
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = {"id": data.get("item_id"), "type": kind}
        return item

    def _part(self, data: JSON) -> JSON:
        item = self._item(data, "message")
        if not isinstance(item.get("content"), list):
            item["content"] = []
        content: list[Any] = item["content"]
        # A part that was not announced is the next one, however far away its number is.
        index = min(_place(data, "content_index", 0), len(content))
        if index == len(content):
            content.append({"type": "output_text", "text": "", "annotations": []})
        elif not isinstance(content[index], dict):
            content[index] = {"type": "output_text", "text": "", "annotations": []}
        part: JSON = content[index]
        return part


_HANDLERS: dict[str, Any] = {
    "response.output_text.done": ResponseStreamState._text_done,
    "response.output_item.added": ResponseStreamState._item_added,
    "response.output_item.done": ResponseStreamState._item_done,
    "response.content_part.added": ResponseStreamState._part_added,
    "response.completed": ResponseStreamState._complete,
    **dict.fromkeys(
        ("response.created", "response.queued", "response.in_progress", "response.failed", "response.incomplete"),
        ResponseStreamState._lived,
    ),
}


def _text(data: JSON, key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _place(data: JSON, key: str, default: int) -> int:
    value = data.get(key)
    return value if isinstance(value, int) and value >= 0 else default


def _same(item: JSON, other: Any) -> bool:
    """Whether both are one item, by their ids, or by their calls where one has no id yet."""
    if not isinstance(other, dict) or item.get("type") != other.get("type"):
        return False
    ids, calls = (item.get("id"), other.get("id")), (item.get("call_id"), other.get("call_id"))
    return ids[0] == ids[1] if all(ids) else all(calls) and calls[0] == calls[1]


def _so_far(text: Growing) -> partial[str]:
    return partial(text.at, len(text.pieces))


def comes_after(event: View, number: int | None) -> bool:
    """Whether an event comes after the one of a number; one without a number does."""
    own = event._data.get("sequence_number")
    return number is None or not isinstance(own, int) or own > number
