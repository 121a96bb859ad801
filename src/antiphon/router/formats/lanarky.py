r"""Lanarky's format, byte for byte as its clients read it, except that errors are JSON.

    event: completion\r\ndata: <text>\r\n\r\n          a piece of the text; several data lines where it has several
    event: error\r\ndata: {"status_code": …}\r\n\r\n   the last event, where the answer fails

The end of the stream is the end of the connection. On a websocket the frames are `{"data": <text>, "event":
"completion"}`, `{"data": {"status_code": …}, "event": "error"}`, and always `{"data": "", "event": "end"}` last.
The format has no place for calls of tools, reasoning or usage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orjson import dumps

from ..answers import Asked
from ..events import Error, Event, Refusal, Text
from .base import Format, Writer

__all__ = ("FORMAT",)

_BEGIN = b"event: completion\r\ndata: "
_END = b"\r\n\r\n"


class _Writer(Writer):
    def write(self, events: Sequence[Event]) -> bytes:
        written: list[bytes] = []
        for event in events:
            kind = event.__class__
            if kind is Text or kind is Refusal:
                text: str = event.text  # type: ignore[union-attr]
                if "\n" in text or "\r" in text:
                    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\ndata: ")
                written += (_BEGIN, text.encode("utf-8", "replace"), _END)
            elif kind is Error:
                written += (b"event: error\r\ndata: ", dumps(_told(event)), _END)  # type: ignore[arg-type]
        return b"".join(written)

    def frames(self, events: Sequence[Event]) -> list[str]:
        written: list[str] = []
        for event in events:
            kind = event.__class__
            if kind is Text or kind is Refusal:
                written.append(dumps({"data": event.text, "event": "completion"}).decode())  # type: ignore[union-attr]
            elif kind is Error:
                written.append(dumps({"data": _told(event), "event": "error"}).decode())  # type: ignore[arg-type]
        return written

    def done_frames(self) -> list[str]:
        return ['{"data":"","event":"end"}']


def _told(error: Error) -> dict[str, Any]:
    told: dict[str, Any] = {"status_code": error.status, "detail": error.message, "type": error.type}
    for name in ("code", "param", "request_id"):
        value = getattr(error, name)
        if value is not None:
            told[name] = value
    return told


class _Lanarky(Format):
    key = "lanarky"
    summary = "Events named `completion` with pieces of the text, and `error` with JSON."

    def writer(self, asked: Asked, dialect: str | None) -> Writer:
        return _Writer()


FORMAT = _Lanarky()
