"""One item of a response's output, as far as it has been told.

What grows is kept as its pieces, by field and place, and joined when somebody looks. Everything else is kept as it was
sent. Places are known by their hexadecimal text: a server could choose numbers that all hash alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from ..streaming._deltas import copied

__all__ = ("JSON", "Item", "index", "key", "listed", "optional_text", "part_of", "place", "places", "text")

JSON: TypeAlias = dict[str, Any]

WHOLE = ""
"""The place of a field that there is once."""
_ARGUMENTS = frozenset(("function_call", "mcp_call", "mcp_approval_request"))
_WITHIN = ("summary", "code", "command")
"""Fields that grow inside an item's data."""


# Reading what was sent


def text(value: Any, name: str) -> str:
    """A field that has to be text. Raises `ValueError`."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise ValueError(f"`{name}` of an output must be a string; it was {found!r:.100}")
    return found


def optional_text(value: Any, name: str) -> str | None:
    return text(value, name) if isinstance(value, dict) and value.get(name) is not None else None


def index(value: Any, name: str) -> int:
    """A field that has to be a place. Raises `ValueError`."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ValueError(f"`{name}` must be a non-negative integer; it was {found!r:.100}")
    return found


def listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"an item is missing its {name}, which is a list")
    return value


def part_of(values: list[Any], at: int, *, append: bool = False) -> None:
    """Raises `ValueError` where there is nothing at a place, and it is not the next one either."""
    if at > len(values) or (at == len(values) and not append):
        raise ValueError(f"an item is missing what belongs at {at}: there are {len(values)} so far")


def key(number: int) -> str:
    return hex(number)


def place(known: str) -> int:
    return int(known, 16)


def places(*known: Iterable[str]) -> list[str]:
    """Places in their order, each once."""
    return sorted({each for some in known for each in some}, key=place)


# Items


class Item:
    """An item, or what was told of one that was not announced."""

    def __init__(self, id: str | None, retired: set[str] | None = None) -> None:
        self.id = id
        self.retired: set[str] = set() if retired is None else retired
        """Items that were at this place before: what is still said of them is not about this one."""
        self.type: str | None = None
        self.name: str | None = None
        self.call_id: str | None = None
        self.data: JSON = {}
        """The item as it was sent, a message without its content."""
        self.parts: dict[str, JSON] = {}
        """The parts of the content as they were sent."""
        self.notes: dict[str, JSON] = {}
        """Annotations that came by themselves, by the place of the part and their own."""
        self.outputs: dict[str, JSON] = {}
        """What commands of a shell have put out."""
        self.pieces: dict[tuple[str, str], list[str]] = {}
        """Whatever grows, by field and place."""

    @classmethod
    def of(cls, source: Any) -> Item:
        """An item that was sent whole. Raises `ValueError` where it is none."""
        kind = text(source, "type")
        item = cls(optional_text(source, "id"))
        item.type = kind
        item.name, item.call_id = optional_text(source, "name"), optional_text(source, "call_id")
        item.data = copied({name: value for name, value in source.items() if name != "content" or kind != "message"})
        if kind == "message":
            item._read_message(source)
        elif kind in _ARGUMENTS:
            item._begin("arguments", optional_text(source, "arguments"))
        elif kind == "custom_tool_call":
            item._begin("input", optional_text(source, "input"))
        elif kind == "reasoning" and isinstance(source.get("content"), list):
            item.parts = {key(at): copied(part) for at, part in enumerate(source["content"]) if isinstance(part, dict)}
        return item

    def _read_message(self, source: JSON) -> None:
        if "content" not in source:
            return
        content = source["content"]
        # That there is one; what is in it stands in `parts`.
        self.data["content"] = None if content is None else []
        for at, part in enumerate(listed(content, "content") if content is not None else ()):
            if part is None:
                continue
            is_text = text(part, "type") == "output_text"
            self.parts[key(at)] = copied(part)
            if is_text:
                self._begin("text", optional_text(part, "text"), key(at))

    def _begin(self, field: str, value: str | None, at: str = WHOLE) -> None:
        if value is not None:
            self.pieces[field, at] = [value]

    def grow(self, field: str, value: str, at: str = WHOLE, begun: str = "") -> None:
        """Add to what grows; `begun` is what there is of it otherwise."""
        self.pieces.setdefault((field, at), [begun]).append(value)

    def settle(self, field: str, value: str, at: str = WHOLE) -> None:
        """Replace what has grown."""
        self.pieces[field, at] = [value]

    def forget(self, at: str, *fields: str) -> None:
        for field in fields:
            self.pieces.pop((field, at), None)

    def said(self, field: str, at: str = WHOLE) -> str | None:
        """What has grown, joined; `None` where nothing did."""
        pieces = self.pieces.get((field, at))
        return None if pieces is None else "".join(pieces)

    def texts(self) -> tuple[tuple[int, str], ...]:
        grown = places(at for field, at in self.pieces if field == "text")
        return tuple((place(at), self.said("text", at) or "") for at in grown)

    # Where text grows inside the item

    def holder(self, field: str, at: int) -> tuple[Any, str | int]:
        """The object or list, and its key, that has a field of `_WITHIN`. Raises `ValueError` where it is not there."""
        return _holder(self.data, field, at)

    @property
    def commands(self) -> list[Any] | None:
        action = self.data.get("action")
        commands = action.get("commands") if isinstance(action, dict) else None
        return commands if isinstance(commands, list) else None

    # Showing

    def row(self, number: int) -> JSON:
        """All that is known of it, as a copy."""
        data = copied(self.data)
        for field, at in self.pieces:
            if field in _WITHIN:
                holder, name = _holder(data, field, place(at) if at else 0)
                holder[name] = self.said(field, at)
        if self.id and not self.data:
            data["id"] = self.id
        for field in ("arguments", "input"):
            grown = self.said(field)
            if grown is not None:
                data[field] = grown
        content = self._content(data)
        row: JSON = {"output_index": number, "item": data}
        if self.type != "message":
            row["content"] = content
        elif "content" in data or content:
            row["content"] = content if isinstance(data.pop("content", None), list) or content else None
        if self.type == "shell_call_output":
            row["shell_output"] = [
                {"command_index": place(at), "data": self._output(at)} for at in places(self.outputs)
            ]
        return row

    def _content(self, data: JSON) -> list[JSON]:
        grown = [at for field, at in self.pieces if field in ("text", "refusal")]
        shown: dict[int, JSON] = {}
        rows: list[JSON] = []
        for at in places(self.parts, grown, self.notes):
            part = copied(self.parts.get(at, {}))
            for field, name in (("text", "text"), ("refusal", "refusal"), ("reasoning", "text")):
                said = self.said(field, at)
                if said is not None:
                    part[name] = said
            if self.type == "reasoning":
                shown[place(at)] = copied(part)
            notes = part.get("annotations")
            if isinstance(notes, list) or at in self.notes:
                numbered = {key(number): note for number, note in enumerate(notes if isinstance(notes, list) else ())}
                numbered |= copied(self.notes.get(at, {}))
                part["annotations"] = [
                    {"annotation_index": place(number), "annotation": numbered[number]} for number in places(numbered)
                ]
            rows.append({"content_index": place(at), "part": part})
        if shown:
            _put(data, shown)
        return rows

    def _output(self, at: str) -> JSON:
        part: JSON = copied(self.outputs[at])
        for stream in ("stdout", "stderr"):
            said = self.said(stream, at)
            if said is not None:
                part[stream] = said
        return part


def _holder(data: JSON, field: str, at: int) -> tuple[Any, str | int]:
    if field == "code":
        return data, "code"
    if field == "command":
        action = data.get("action")
        if not isinstance(action, dict):
            raise ValueError("a shell call is missing its action")
        commands = listed(action.get("commands"), "commands")
        part_of(commands, at)
        return commands, at
    parts = listed(data.get("summary"), "summary")
    part_of(parts, at)
    if not isinstance(parts[at], dict):
        raise ValueError(f"a summary is missing its part {at}")
    return parts[at], "text"


def _put(data: JSON, parts: dict[int, JSON]) -> None:
    """Write parts into an item's content, as far as there are no holes in it: nothing is made up for those."""
    content = data.get("content")
    shown = content if isinstance(content, list) else []
    for at in sorted(parts):
        if at < len(shown):
            shown[at] = parts[at]
        elif at == len(shown):
            shown.append(parts[at])
    if shown:
        data["content"] = shown
