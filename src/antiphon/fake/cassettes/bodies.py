"""Bodies as a cassette has them: JSON as values, events one a line, forms as fields, the rest as text or base64.

What is written is what can be read; what was sent can be made of it again, to the byte. So a body is only taken apart
where putting it together gives the same: JSON in one of the ways in which it is usually laid out, events as they are
usually framed. Anything else is kept as it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from ...kernel.multipart import decode
from ...kernel.spool import Spooled, pieces_of, size_of
from ...kernel.sse import Blocks

__all__ = ("Framed", "body_of", "bytes_of", "events_of", "form_of", "pieces_of_events", "request_body")

INLINE: Final = 8 * 1024
"""Bytes of a file in a form above which its digest is kept in its place."""
_COLUMNS: Final = 100


def _dumped(**how: Any) -> Callable[[Any], bytes]:
    return lambda value: json.dumps(value, **how).encode()


_LAYOUTS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "compact": orjson.dumps,
    "indented": lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2),
    "spaced": _dumped(ensure_ascii=False),
    "spaced ascii": _dumped(),
    "compact ascii": _dumped(separators=(",", ":")),
    "indented ascii": _dumped(indent=2),
}
"""Ways in which JSON is laid out; each may be followed by a line break (`… line`)."""

LAYOUTS: Final = (*_LAYOUTS, *(f"{name} line" for name in _LAYOUTS))


def _written(value: Any, layout: str) -> bytes:
    line = layout.endswith(" line")
    return _LAYOUTS[layout.removesuffix(" line")](value) + (b"\n" if line else b"")


def _laid_out(data: bytes) -> tuple[Any, str] | None:
    """JSON, and how it is laid out; `None` where it is none that could be written again."""
    try:
        value = orjson.loads(data)
    except ValueError:
        return None
    if not isinstance(value, (dict, list)):
        return None
    line = data.endswith(b"\n")
    body = data[:-1] if line else data
    for name, write in _LAYOUTS.items():
        try:
            if write(value) == body:
                return value, f"{name} line" if line else name
        except (TypeError, ValueError):  # numbers that are larger than 64 bits
            continue
    return None


# Whole bodies


def body_of(data: bytes) -> dict[str, Any]:
    """A body by what it is: `json` with its `layout`, `text` or `base64`; nothing of none."""
    if not data:
        return {}
    found = _laid_out(data)
    if found is not None:
        value, layout = found
        return {"json": value} if layout == "compact" else {"json": value, "layout": layout}
    return _text_or_binary(data)


def _text_or_binary(data: bytes) -> dict[str, Any]:
    try:
        return {"text": _sound(data)}
    except UnicodeDecodeError:
        return {"base64": binary(data)}


def _sound(data: bytes) -> str:
    text = data.decode()
    if "\0" in text:
        raise UnicodeDecodeError("utf-8", data, 0, 1, "binary data")
    return text


def binary(data: bytes) -> str:
    """Bytes as base64, in lines."""
    text = base64.b64encode(data).decode()
    if len(text) <= _COLUMNS:
        return text
    return "".join(text[start : start + _COLUMNS] + "\n" for start in range(0, len(text), _COLUMNS))


def bytes_of(body: Mapping[str, Any]) -> bytes:
    """The bytes of a body that has no events."""
    if "json" in body:
        return _written(body["json"], body.get("layout", "compact"))
    if "text" in body:
        text: str = body["text"]
        return text.encode()
    if "base64" in body:
        return base64.b64decode(body["base64"])
    return b""


# Requests


def request_body(body: bytes | Any, content_type: str) -> dict[str, Any]:
    """What is kept of a request's body: enough to know it by. Files of some size are kept as their digests."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = form_of(body, content_type)
        if form is not None:
            return {"form": form}
    if isinstance(body, Spooled):
        return {"digest": _digest(body)}
    if kind == "application/x-www-form-urlencoded" and isinstance(body, bytes) and body.isascii():
        fields = parse_qsl(body.decode(), keep_blank_values=True)
        return {"form": [{"name": name, "text": text} for name, text in fields]}
    if not isinstance(body, bytes):
        body = body.read()
    found = _json(body)
    if found is not None:
        return {"json": found}
    kept = _text_or_binary(body) if body else {}
    return {"digest": _digest(body)} if "base64" in kept and len(body) > INLINE else kept


def _json(data: bytes) -> Any:
    try:
        value = orjson.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, (dict, list)) else None


def form_of(body: bytes | Any, content_type: str) -> list[dict[str, Any]] | None:
    """The fields of a form in order; `None` where it is not one."""
    try:
        parts = decode(content_type, body)
    except ValueError:
        return None
    fields: list[dict[str, Any]] = []
    for part in parts:
        content: Any = part.content
        field: dict[str, Any] = {"name": part.name}
        if part.filename is not None:
            field["filename"] = part.filename
        if part.content_type is not None:
            field["type"] = part.content_type
        if isinstance(content, Spooled) or len(content) > INLINE:
            field["digest"] = _digest(content)
        else:
            field.update(_text_or_binary(content) if content else {"text": ""})
        fields.append(field)
    return fields


def _digest(content: bytes | Any) -> str:
    digest = hashlib.sha256()
    for piece in pieces_of(content):
        digest.update(piece)
    # In capitals, for it is not one of the numbers that are made up each time.
    return f"sha256 {digest.hexdigest().upper()}, {size_of(content)} bytes"


# Streams of events


class Framed:
    """A stream of events as it came, in blocks that end with an empty line."""

    def __init__(self, pieces: Iterable[tuple[float, bytes]]) -> None:
        self.blocks: list[tuple[float, bytes]] = []
        """When each block was complete, and its bytes; what is left at the end is a block, too."""
        cut = Blocks()
        at = 0.0
        for at, piece in pieces:
            self.blocks += [(at, block) for block in cut.feed(piece)]
        left = cut.close()
        if left:
            self.blocks.append((at, left))


def events_of(pieces: Iterable[tuple[float, bytes]], clean: Callable[[Any], Any]) -> dict[str, Any]:
    """The events of a stream, and how all of them are framed. `pieces` are seconds and bytes; `clean` scrubs."""
    blocks = Framed(pieces).blocks
    ending = "\r\n" if blocks and blocks[0][1].endswith(b"\r\n") else "\n"
    layout = next((found for _, block in blocks if (found := _layout_of(block, ending)) is not None), "compact")
    events: list[dict[str, Any]] = []
    last = 0.0
    for at, block in blocks:
        event: dict[str, Any] = {}
        seconds = round(at - last, 3)
        if seconds > 0:
            event["after"] = seconds
            last = at
        events.append({**event, **clean(_event(block, ending, layout))})
    told: dict[str, Any] = _shared(events)
    if layout != "compact":
        told["layout"] = layout
    if ending != "\n":
        told["line_ends"] = "crlf"
    return told


def _shared(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Events, and what all that are JSON begin with, once, for readers: chunks repeat who they are of."""
    objects = [event["data"] for event in events if isinstance(event.get("data"), dict)]
    count = 0
    if len(objects) > 1:
        firsts = [list(each.items()) for each in objects]
        least = min(map(len, firsts))
        while count < least and len({orjson.dumps(each[count]) for each in firsts}) == 1:
            count += 1
    if not count:
        return {"events": events}
    shared = dict(list(objects[0].items())[:count])
    return {
        "each": shared,
        "events": [
            {**event, "data": dict(list(event["data"].items())[count:])}
            if isinstance(event.get("data"), dict)
            else event
            for event in events
        ],
    }


def _layout_of(block: bytes, ending: str) -> str | None:
    _, data = _parts(block, ending)
    found = None if data is None else _laid_out(data)
    return None if found is None else found[1]


def _parts(block: bytes, ending: str) -> tuple[str | None, bytes | None]:
    """The name and the data of an event that has one line of data at most, and nothing unusual."""
    end = ending.encode()
    if not block.endswith(end + end):
        return None, None
    lines = block[: -2 * len(end)].split(end)
    name: str | None = None
    if lines[0].startswith(b"event: ") and len(lines) == 2:
        try:
            name = lines.pop(0)[7:].decode()
        except UnicodeDecodeError:
            return None, None
    if len(lines) != 1 or not lines[0].startswith(b"data: ") or b"\r" in lines[0] or b"\n" in lines[0]:
        return None, None
    return name, lines[0][6:]


def _event(block: bytes, ending: str, layout: str) -> dict[str, Any]:
    name, data = _parts(block, ending)
    named = {} if name is None else {"event": name}
    if data is not None:
        found = _laid_out(data)
        if found is not None and found[1] == layout:
            return {**named, "data": found[0]}
        try:
            return {**named, "text": _sound(data)}
        except UnicodeDecodeError:
            pass
    kept = _text_or_binary(block)
    return {"raw": kept["text"]} if "text" in kept else kept


def pieces_of_events(body: Mapping[str, Any]) -> Iterator[tuple[float, bytes]]:
    """The events of a stream again: how many seconds after the one before, and bytes."""
    layout = body.get("layout", "compact")
    end = "\r\n" if body.get("line_ends") == "crlf" else "\n"
    shared = body.get("each")
    events: list[dict[str, Any]] = body["events"]
    for event in events:
        after: float = event.get("after", 0.0)
        if shared and isinstance(event.get("data"), dict):
            event = {**event, "data": {**shared, **event["data"]}}
        yield after, _framed(event, layout, end)


def _framed(event: Mapping[str, Any], layout: str, end: str) -> bytes:
    if "raw" in event:
        raw: str = event["raw"]
        return raw.encode()
    if "base64" in event:
        return base64.b64decode(event["base64"])
    named = f"event: {event['event']}{end}" if "event" in event else ""
    data = _written(event["data"], layout) if "data" in event else str(event.get("text", "")).encode()
    return f"{named}data: ".encode() + data + f"{end}{end}".encode()
