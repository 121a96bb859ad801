"""The text and nothing else, as it is said. What goes wrong on the way is told in a last line."""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import Asked
from ..events import Error, Event, Refusal, Text
from .base import Format, Writer

__all__ = ("FORMAT",)


class _Writer(Writer):
    def write(self, events: Sequence[Event]) -> bytes:
        return "".join(self.frames(events)).encode("utf-8", "replace")

    def frames(self, events: Sequence[Event]) -> list[str]:
        written: list[str] = []
        for event in events:
            if isinstance(event, (Text, Refusal)):
                if event.text:
                    written.append(event.text)
            elif isinstance(event, Error):
                written.append(f"\n[error {event.status}] {event.message}\n")
        return written

    def done_frames(self) -> list[str]:
        return [""]


class _Text(Format):
    key = "text"
    media_type = "text/plain"
    by_media_type = True
    summary = "The text as it is said."

    def writer(self, asked: Asked, dialect: str | None) -> Writer:
        return _Writer()


FORMAT = _Text()
