"""What a response has said so far. Fed by its user with the events as they are received; no I/O.

What can happen is a table: the type of an event, and what it does. An event is checked before anything of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...kernel.view import plain
from ..streaming._deltas import copied
from ._items import JSON, WHOLE, Item, index, key, listed, part_of, place, places, text
from ._lanes import ENDS
from ._limits import ResponsesWebSocketError

if TYPE_CHECKING:
    from ...types.responses.response import Response
    from ...types.responses.responses_server_event import ResponsesServerEvent

__all__ = ("ResponsesWebSocketAccumulator", "ResponsesWebSocketOutput", "ResponsesWebSocketSnapshot")


@dataclass(frozen=True)
class ResponsesWebSocketOutput:
    """One item of the output: what it is, and what it has said."""

    output_index: int
    item_id: str | None
    type: str | None
    name: str | None
    call_id: str | None
    arguments: str
    """Arguments of a function or of an MCP tool, as far as they are there."""
    input: str
    """Input of a custom tool."""
    text: tuple[tuple[int, str], ...]
    """The places of the content's texts, and the texts."""


@dataclass(frozen=True)
class ResponsesWebSocketSnapshot:
    """A response so far. It does not change, and can be a key of a dict."""

    stream_id: str | None
    response_id: str | None
    terminal_type: str | None
    """The type of the event that ended it; `None` before."""
    output: tuple[ResponsesWebSocketOutput, ...]

    @property
    def output_text(self) -> str:
        """All texts, joined."""
        return "".join(said for item in self.output for _, said in item.text)


class ResponsesWebSocketAccumulator:
    """Puts together what one response says: feed it every event of a lane, and `reset` it before the next response.

    It owns no connection and is for one thread at a time. Showing everything takes time in what was said so far: to
    show progress, use the events themselves.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew. Snapshots that were taken stay as they are."""
        self._stream_id: str | None = None
        self._response_id: str | None = None
        self._terminal_type: str | None = None
        self._bound = False
        """Whether it is known whose events these are."""
        self._items: dict[str, Item] = {}
        self._commands: dict[str, int] = {}
        """How many commands the shell calls have, by their ids."""
        self._response: JSON | None = None
        self._final: JSON | None = None
        self._error: Exception | None = None

    # Looking

    def snapshot(self) -> ResponsesWebSocketSnapshot:
        """Texts and inputs of tools."""
        items = ((place(at), self._items[at]) for at in places(self._items))
        return ResponsesWebSocketSnapshot(
            self._stream_id,
            self._response_id,
            self._terminal_type,
            tuple(
                ResponsesWebSocketOutput(
                    number,
                    item.id,
                    item.type,
                    item.name,
                    item.call_id,
                    item.said("arguments") or "",
                    item.said("input") or "",
                    item.texts(),
                )
                for number, item in items
            ),
        )

    def detailed_snapshot(self) -> dict[str, Any]:
        """All there is, as JSON of your own.

        It has `stream_id`, `response_id`, `terminal_type`, `response` without its output, and `output`: a list of
        `{"output_index", "item", "content": [{"content_index", "part"}]}`.

        Annotations of a part are `{"annotation_index", "annotation"}`, and an output of a shell has
        `shell_output: [{"command_index", "data"}]`. Places may be missing; fields that were not sent are not there.
        """
        return {
            "stream_id": self._stream_id,
            "response_id": self._response_id,
            "terminal_type": self._terminal_type,
            "response": copied(self._response),
            "output": [self._items[at].row(place(at)) for at in places(self._items)],
        }

    def get_final_response(self) -> Response:
        """The response as the server ended it: completed, failed or incomplete; a copy.

        Raises `RuntimeError` before its end, and the `ResponsesWebSocketError` or `ValueError` that it ended in.
        """
        from ...types.responses.response import Response

        if self._error is not None:
            raise self._error
        if self._final is None:
            raise RuntimeError("No terminal event was added: the response has not ended")
        return Response.of(copied(self._final))

    # Feeding

    def add_event(self, event: ResponsesServerEvent) -> None:
        """Take in an event, which stays as it is; what is unknown is passed over.

        Raises `ValueError` for an event of another lane or response and for one that is broken, `RuntimeError` after
        the end, and `ResponsesWebSocketError` for an error.
        """
        data: Any = plain(event)
        kind: Any = data.get("type") if isinstance(data, dict) else None
        if not isinstance(kind, str) or kind not in _TAKES:
            return
        if kind == _ANNOTATION:
            self._annotate(data)
            return
        stream_id = data.get("stream_id")
        if stream_id is not None and not isinstance(stream_id, str):
            raise ValueError(f"stream_id must be a string or null; it was {stream_id!r:.100}")
        if self._bound and self._stream_id != stream_id:
            raise ValueError(f"the event belongs to another WebSocket lane: {stream_id!r}, not {self._stream_id!r}")
        if self._terminal_type is not None or self._error is not None:
            raise RuntimeError("the response has ended: reset the accumulator before the next one")
        if kind == "error":
            self._error = ResponsesWebSocketError(event)
            raise self._error
        if _TAKES[kind](self, data, kind):
            self._bound, self._stream_id = True, stream_id

    def _live(self, data: JSON, kind: str) -> bool:
        """The response itself, at one of the stations of its life."""
        ends = kind in ENDS
        try:
            response, items = _lifted(data)
        except ValueError as error:
            if ends:
                self._error = error
            raise
        name = response.get("id")
        if None not in (self._response_id, name) and name != self._response_id:
            raise ValueError(f"the event belongs to another response: {name!r}, not {self._response_id!r}")
        if items is not None:
            self._items = items
            self._commands = {}
            for item in items.values():
                self._count_commands(item)
        self._response = copied({field: value for field, value in response.items() if field != "output"})
        self._response_id = name or self._response_id
        if ends:
            self._final, self._terminal_type = copied(response), kind
        return True

    # Items

    def _place_item(self, data: JSON, kind: str) -> bool:
        at = key(index(data, "output_index"))
        if data.get("item") is not None:
            self._replace(at, Item.of(data["item"]))
        return True

    def _replace(self, at: str, item: Item) -> None:
        """Put an item where another one may have been."""
        former = self._items.get(at)
        if former is not None:
            if item.id and item.id in former.retired:
                return
            item.retired = former.retired
            if former.id and item.id and former.id != item.id:
                item.retired.add(former.id)
            self._uncount_commands(former)
        self._items[at] = item
        self._count_commands(item)

    def _item_for(self, at: str, item_id: str, kind: str) -> Item | None:
        """The item that progress is about, made where it was not announced; `None` where it is about none of these."""
        item = self._items.get(at)
        if item is None:
            item = self._items[at] = Item(item_id)
        elif item_id in item.retired or not _may_be_of(item, item_id, kind):
            return None
        elif item_id and item.id and item_id != item.id:
            item.retired.add(item.id)
            self._uncount_commands(item)
            item = self._items[at] = Item(item_id, item.retired)
        item.id = item_id or item.id
        return item

    def _count_commands(self, item: Item) -> None:
        if item.type == "shell_call" and item.call_id is not None and item.commands is not None:
            self._commands[item.call_id] = len(item.commands)

    def _uncount_commands(self, item: Item) -> None:
        if item.type == "shell_call" and item.call_id is not None:
            self._commands.pop(item.call_id, None)

    # Progress that also begins an item

    def _grow(self, data: JSON, kind: str) -> bool:
        """Text, a refusal, arguments or input: more of it, or all."""
        field, source, in_content = _GROWS[kind]
        number = index(data, "output_index")
        said = text(data, source)
        at = key(index(data, "content_index")) if in_content else WHOLE
        item_id = text(data, "item_id")
        begun = ""
        if field == "refusal":
            known = self._items.get(key(number))
            if known is not None and (not known.id or known.id == item_id):
                part = known.parts.get(at, {})
                if part.get("type", "refusal") != "refusal":
                    return False
                if source == "delta" and "refusal" in part and known.said("refusal", at) is None:
                    begun = text(part, "refusal")
        item = self._item_for(key(number), item_id, kind)
        if item is None:
            return True
        if source != "delta":
            item.settle(field, said, at)
        else:
            item.grow(field, said, at, begun)
        if field == "text":
            _keep_logprobs(item.parts.setdefault(at, {}), data, more=source == "delta")
        return True

    def _place_part(self, data: JSON, kind: str) -> bool:
        number, part = index(data, "output_index"), data.get("part")
        said = text(part, "text") if text(part, "type") == "output_text" else None
        at = key(index(data, "content_index"))
        item = self._item_for(key(number), text(data, "item_id"), kind)
        if item is None:
            return True
        assert isinstance(part, dict)
        item.parts[at] = copied(part)
        item.notes.pop(at, None)
        item.forget(at, "text", "refusal", "reasoning")
        if said is not None:
            item.settle("text", said, at)
        return True

    def _annotate(self, data: JSON) -> None:
        """An annotation adds to the item that is there. It begins nothing, and where it fits nowhere it is no error."""
        try:
            number, part, own = (index(data, f"{each}_index") for each in ("output", "content", "annotation"))
        except ValueError:
            return
        item = self._items.get(key(number))
        if (
            not self._bound
            or self._stream_id != data.get("stream_id")
            or self._terminal_type is not None
            or self._error is not None
            or item is None
            or item.id != data.get("item_id")
            or "annotation" not in data
        ):
            return
        item.notes.setdefault(key(part), {})[key(own)] = copied(data["annotation"])

    # Progress of an item that is there

    def _known(self, data: JSON, kind: str, *, by_id: bool = True) -> Item | None:
        """The item at a place, where it is of this type and name."""
        number = index(data, "output_index")
        item_id = text(data, "item_id") if by_id else None
        item = self._items.get(key(number))
        if item is None or item.type != kind or (by_id and item.id != item_id):
            return None
        return item

    def _set_status(self, data: JSON, kind: str) -> bool:
        of, status = _STATUSES[kind]
        item = self._known(data, of)
        if item is not None:
            item.data["status"] = status
        return False

    def _grow_within(self, data: JSON, kind: str) -> bool:
        """Text inside an item: of a summary, of reasoning, code, a command."""
        of, field, source, numbered = _WITHIN[kind]
        item = self._known(data, of, by_id=field != "command")
        if item is None:
            return False
        number = index(data, numbered) if numbered else 0
        said, at = text(data, source), key(number)
        if field == "reasoning":
            holder, name = item.parts.get(at), "text"
            if holder is None or holder.get("type") != "reasoning_text":
                raise ValueError(f"reasoning is missing its part {number}")
            begun = holder.get(name)
        else:
            holder_, name_ = item.holder(field, number)
            begun = holder_.get(name_) if isinstance(holder_, dict) else holder_[name_]
        if source != "delta":
            item.settle(field, said, at)
            return False
        if field == "code" and begun is None:
            begun = ""
        if not isinstance(begun, str):
            raise ValueError(f"what `{field}` begins with must be a string; it was {begun!r:.100}")
        item.grow(field, said, at, begun)
        return False

    def _place_summary(self, data: JSON, kind: str) -> bool:
        item = self._known(data, "reasoning")
        if item is None:
            return False
        number, part = index(data, "summary_index"), data.get("part")
        parts = listed(item.data.get("summary"), "summary")
        part_of(parts, number, append=kind.endswith(".added"))
        if text(part, "type") != "summary_text":
            raise ValueError("a part of a summary is of the type summary_text")
        text(part, "text")
        parts[number : number + 1] = [copied(part)]
        item.forget(key(number), "summary")
        return False

    def _place_command(self, data: JSON, kind: str) -> bool:
        item = self._known(data, "shell_call", by_id=False)
        if item is None:
            return False
        number = index(data, "command_index")
        if not isinstance(item.data.get("action"), dict):
            raise ValueError("a shell call is missing its action")
        commands = listed(item.data["action"].get("commands"), "commands")
        part_of(commands, number, append=True)
        commands[number : number + 1] = [text(data, "command")]
        self._count_commands(item)
        item.forget(key(number), "command")
        return False

    def _put_out(self, data: JSON, kind: str) -> bool:
        """What a command of a shell has put out: more of it, or all."""
        item = self._known(data, "shell_call_output")
        if item is None:
            return False
        number = index(data, "command_index")
        count = self._commands.get(item.call_id) if item.call_id is not None else None
        if count is not None and number >= count:
            raise ValueError(f"a shell's output is missing its command: there are {count}, this is of {number}")
        at = key(number)
        if kind.endswith(".done"):
            output = listed(data.get("output"), "output")
            for part in output:
                text(part, "stdout")
                text(part, "stderr")
            item.outputs[at] = {"output": copied(output)}
            item.forget(at, "stdout", "stderr")
            return False
        delta, known = data.get("delta"), item.outputs.get(at, {})
        more = [
            (stream, text(delta, stream), text(known, stream) if stream in known else "")
            for stream in ("stdout", "stderr")
            if isinstance(delta, dict) and delta.get(stream) is not None
        ]
        item.outputs.setdefault(at, {})
        for stream, said, begun in more:
            item.grow(stream, said, at, begun)
        return False


def _lifted(data: JSON) -> tuple[JSON, dict[str, Item] | None]:
    """The response of an event, and the items it has, where it has any to tell of."""
    response = data.get("response")
    if not isinstance(response, dict):
        raise ValueError(f"{data['type']} is missing its response")
    if not isinstance(response.get("id"), (str, type(None))):
        raise ValueError("the id of a response must be a string or null")
    output = response.get("output")
    if output is None:
        return response, None
    if not isinstance(output, list):
        raise ValueError("the output of a response must be a list or null")
    return response, {key(at): Item.of(each) for at, each in enumerate(output) if each is not None}


def _may_be_of(item: Item, item_id: str, kind: str) -> bool:
    """Whether progress may be of a call that came without its id: then only of its own kind."""
    if item.type not in ("function_call", "custom_tool_call") or "id" in item.data:
        return True
    return kind.startswith(f"response.{item.type}_") and (not item.id or item_id == item.id)


def _keep_logprobs(part: JSON, data: JSON, *, more: bool) -> None:
    if "logprobs" not in data:
        return
    known, new = part.get("logprobs"), copied(data["logprobs"])
    if more and isinstance(known, list) and isinstance(new, list):
        known.extend(new)
    else:
        part["logprobs"] = new


# What can happen

_ANNOTATION = "response.output_text.annotation.added"

_GROWS: dict[str, tuple[str, str, bool]] = {
    f"response.{name}.{step}": (field, source, in_content)
    for name, field, in_content in (
        ("output_text", "text", True),
        ("refusal", "refusal", True),
        ("function_call_arguments", "arguments", False),
        ("mcp_call_arguments", "arguments", False),
        ("custom_tool_call_input", "input", False),
    )
    for step, source in (("delta", "delta"), ("done", field))
}
"""Events that a field grows by or is settled by: the field, what the event calls it, whether it is in the content."""

_WITHIN: dict[str, tuple[str, str, str, str]] = {
    f"response.{name}.{step}": (of, field, "delta" if step == "delta" else whole, numbered)
    for name, of, field, whole, numbered in (
        ("reasoning_summary_text", "reasoning", "summary", "text", "summary_index"),
        ("reasoning_text", "reasoning", "reasoning", "text", "content_index"),
        ("code_interpreter_call_code", "code_interpreter_call", "code", "code", ""),
        ("shell_call_command", "shell_call", "command", "command", "command_index"),
    )
    for step in ("delta", "done")
}
"""The same inside an item that is there: its type, the field, where the event has it, and what numbers the places."""

_STATUSES: dict[str, tuple[str, str]] = {
    f"response.{of}.{status}": (of, status)
    for of, statuses in {
        "code_interpreter_call": ("in_progress", "interpreting", "completed"),
        "file_search_call": ("in_progress", "searching", "completed"),
        "web_search_call": ("in_progress", "searching", "completed"),
        "image_generation_call": ("in_progress", "generating", "completed"),
        "mcp_call": ("in_progress", "completed", "failed"),
    }.items()
    for status in statuses
}

_Take = Callable[[ResponsesWebSocketAccumulator, JSON, str], bool]


def _pass(self: ResponsesWebSocketAccumulator, data: JSON, kind: str) -> bool:
    return False


_TAKES: dict[str, _Take] = {
    "error": _pass,
    _ANNOTATION: _pass,
    **dict.fromkeys(
        (*ENDS, *(f"response.{station}" for station in ("created", "queued", "in_progress"))),
        ResponsesWebSocketAccumulator._live,
    ),
    **dict.fromkeys(
        ("response.output_item.added", "response.output_item.done"), ResponsesWebSocketAccumulator._place_item
    ),
    **dict.fromkeys(
        ("response.content_part.added", "response.content_part.done"), ResponsesWebSocketAccumulator._place_part
    ),
    **dict.fromkeys(_GROWS, ResponsesWebSocketAccumulator._grow),
    **dict.fromkeys(_WITHIN, ResponsesWebSocketAccumulator._grow_within),
    **dict.fromkeys(_STATUSES, ResponsesWebSocketAccumulator._set_status),
    **dict.fromkeys(
        ("response.reasoning_summary_part.added", "response.reasoning_summary_part.done"),
        ResponsesWebSocketAccumulator._place_summary,
    ),
    "response.shell_call_command.added": ResponsesWebSocketAccumulator._place_command,
    **dict.fromkeys(
        ("response.shell_call_output_content.delta", "response.shell_call_output_content.done"),
        ResponsesWebSocketAccumulator._put_out,
    ),
}
"""The type of an event, and what it does: whether it tells whose events these are."""
