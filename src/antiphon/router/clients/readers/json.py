"""The whole answer as the API's object. On a websocket, errors and cancellations come as chunks."""

from __future__ import annotations

from typing import Any, Final

from .base import decoded
from .openai import OpenAIReader, whole

__all__ = ("READER",)


class JSONReader(OpenAIReader):
    key = "json"

    @staticmethod
    def knows(name: str | None, data: str, value: Any) -> bool:
        return isinstance(value, dict) and value.get("object") in ("chat.completion", "response")

    def feed(self, name: str | None, data: str) -> None:
        value = decoded(data)
        if not isinstance(value, dict) or value.get("error") or str(value.get("object")).endswith(".chunk"):
            super().feed(name, data)
            return
        self.over = self.ended = True
        self.out.extend(whole(value))

    def end(self) -> None:
        super().end()
        self.ended = True


READER: Final = JSONReader
