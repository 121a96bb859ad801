"""Server-sent events, both ways, without I/O (WHATWG HTML, "Server-sent events").

`Decoder` is fed bytes in any split and gives events back; `encode` writes one. Lines end in CR, LF or CRLF;
several `data` lines are joined with a line feed; comments are passed over. No size is too large.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

__all__ = ("Blocks", "Decoder", "Event", "encode")


class Event(NamedTuple):
    """One event. `data` is the text between `data:` and the blank line, as UTF-8 bytes."""

    data: bytes
    event: str | None = None
    id: str | None = None
    retry: int | None = None


_END = re.compile(b"\n\n|\r\n\r\n")


class Blocks:
    """Cuts a byte stream behind the blank line of each event, and leaves the events as they are."""

    __slots__ = ("_looked", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._looked = 0  # bytes of it in which there is no end

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes, each with its blank line."""
        rest = self._rest
        rest += piece
        ends = [found.end() for found in _END.finditer(rest, max(0, self._looked - 3))]
        blocks = [bytes(rest[start:end]) for start, end in pairwise((0, *ends))]
        if ends:
            del rest[: ends[-1]]
        self._looked = len(rest)
        return blocks

    def close(self) -> bytes:
        """What is left: an event that was begun and not ended."""
        left = bytes(self._rest)
        self._rest.clear()
        self._looked = 0
        return left


class Decoder:
    """Turns pieces of a byte stream into events. `last_event_id` and `retry` hold from event to event."""

    __slots__ = ("_begun", "_data", "_event", "_parts", "_skip_lf", "last_event_id", "retry")

    def __init__(self) -> None:
        self.last_event_id: str | None = None
        self.retry: int | None = None
        self._parts: list[bytes] = []  # of a line whose end has not come
        self._data: list[bytes] = []
        self._event: str | None = None
        self._skip_lf = False
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that `piece` completes."""
        if self._skip_lf and piece:
            # A CR ended the last piece; an LF that opens this one belongs to it.
            self._skip_lf = False
            if piece[:1] == b"\n":
                piece = piece[1:]
        if self._begun and b"\n" not in piece and b"\r" not in piece:
            self._parts.append(piece)  # a line of many pieces is joined once
            return
        buffer = b"".join((*self._parts, piece)) if self._parts else piece
        if not self._begun:
            if buffer[:3] == b"\xef\xbb\xbf":
                buffer = buffer[3:]
            elif b"\xef\xbb\xbf".startswith(buffer):
                self._parts = [buffer]
                return
            self._begun = True
        if b"\r" in buffer:
            if buffer[-1:] == b"\r":
                self._skip_lf = True
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = buffer.split(b"\n")
        rest = lines.pop()
        self._parts = [rest] if rest else []
        for line in lines:
            if line[:6] == b"data: ":
                self._data.append(line[6:])
            elif line:
                self._field(line)
            elif self._data or self._event is not None:
                event = self._finish()
                if event is not None:
                    yield event

    def data(self, piece: bytes) -> list[tuple[bytes, str | None]]:
        """The data and the name of every event that `piece` completes: `feed` for those who need no more.

        Pieces as servers write them, of whole events with nothing but one line of data and perhaps a name, are
        taken apart as a whole.
        """
        if (
            piece[-2:] == b"\n\n"
            and not (self._parts or self._data or self._skip_lf or self._event)
            and b"\r" not in piece
        ):
            if piece[:6] == b"data: ":
                breaks = piece.count(b"\n")
                if breaks == 2:
                    self._begun = True
                    return [(piece[6:-2], None)]
                found = piece[6:-2].split(b"\n\ndata: ")
                if breaks == 2 * len(found):
                    self._begun = True
                    return [(data, None) for data in found]
            elif piece[:7] == b"event: ":
                blocks = [block.partition(b"\ndata: ") for block in piece[7:-2].split(b"\n\nevent: ")]
                if piece.count(b"\n") == 3 * len(blocks) and all(line for _, line, _ in blocks):
                    self._begun = True
                    return [(data, name.decode("utf-8", "replace") or None) for name, _, data in blocks]
        return [(event.data, event.event) for event in self.feed(piece)]

    def close(self) -> bytes:
        """The data of an event that was begun and not ended: empty when the stream ended between two events."""
        line = b"".join(self._parts)
        if line[:5] == b"data:":
            self._data.append(line[5:].removeprefix(b" "))
        left = b"\n".join(self._data)
        self._data, self._parts, self._event = [], [], None
        return left

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self.last_event_id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            self.retry = int(value)

    def _finish(self) -> Event | None:
        data, self._data = self._data, []
        event, self._event = self._event, None
        if not data:
            return None  # an event without data is not dispatched
        return Event(data[0] if len(data) == 1 else b"\n".join(data), event or None, self.last_event_id, self.retry)


def encode(data: bytes | str, event: str | None = None, *, id: str | None = None, retry: int | None = None) -> bytes:
    """One event as bytes. Line breaks in `data` become several `data` lines."""
    if isinstance(data, str):
        data = data.encode()
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    head = b""
    for name, value in (("event", event), ("id", id), ("retry", retry)):
        if value is not None:
            text = str(value)
            if "\n" in text or "\r" in text or (name == "id" and "\0" in text):
                raise ValueError(f"the {name} of a server-sent event cannot be {text!r}")
            head += f"{name}: {text}\n".encode()
    return head + b"data: " + data + b"\n\n"
