"""Lanarky's format, as its servers and ours write it. Those of old told errors as Python writes them."""

from __future__ import annotations

from typing import Any, Final

from ...events import Error, Event, Text
from .base import AnswerReader, decoded, text_of

__all__ = ("READER",)

_NAMES = ("completion", "error", "end")


class LanarkyReader(AnswerReader):
    key = "lanarky"
    silent = True

    @staticmethod
    def knows(name: str | None, data: str, value: Any) -> bool:
        return name in _NAMES or (isinstance(value, dict) and "data" in value and value.get("event") in _NAMES)

    def read_frame(self, frame: str) -> list[Event]:
        value = decoded(frame)
        if not isinstance(value, dict) or "event" not in value:
            return []
        return self.read(str(value["event"]), text_of(value.get("data", "")))

    def feed(self, name: str | None, data: str) -> None:
        if name is None or name == "completion":
            self.say(Text(data))
        elif name == "error":
            self.fail(_error(data))
        elif name == "end":
            self.over = self.bare = True
            self.finish("stop")


def _error(data: str) -> Error:
    value = decoded(data)
    if not isinstance(value, dict):
        return Error(data)
    status = value.get("status_code")
    return Error(
        str(value.get("detail") or "The server had an error while answering."),
        status if isinstance(status, int) else 500,
        str(value.get("type") or "server_error"),
        *(None if value.get(name) is None else str(value[name]) for name in ("code", "param", "request_id")),
    )


READER: Final = LanarkyReader
