"""Not a format to be chosen: what is passed on as the upstream has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..answers import Asked, PassedAnswer
from ..events import Error, Event
from .base import Format, JSONWriter, Writer, envelope

if TYPE_CHECKING:
    from ..answers import Answer, Raw

__all__ = ("BYTES", "EVENTS")


class _EventsWriter(JSONWriter):
    def parts(self, event: Event) -> Sequence[object]:
        return [envelope(event)] if isinstance(event, Error) else ()


class _BytesWriter(Writer):
    tells_errors = False

    def write(self, events: Sequence[Event]) -> bytes:
        return b""

    def write_raw(self, events: Sequence[Raw]) -> bytes:
        return b"".join([data for data, _ in events])


class _Passed(Format):
    key = "passed"

    def passes(self, dialect: str | None) -> bool:
        return True

    def writer(self, asked: Asked, dialect: str | None) -> Writer:
        return _EventsWriter()

    async def whole(self, answer: Answer, asked: Asked) -> tuple[bytes, str]:
        media_type = answer.media_type if isinstance(answer, PassedAnswer) else "application/json"
        return await answer.body(), media_type


class _Bytes(_Passed):
    media_type = "application/octet-stream"

    def writer(self, asked: Asked, dialect: str | None) -> Writer:
        return _BytesWriter()


EVENTS = _Passed()
BYTES = _Bytes()
