"""Behaviour that some response types have beside their fields; the generator names these as their bases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .view import View

__all__ = ("MessageText", "ResponseText")


def _texts(parts: Any) -> Iterator[str]:
    for part in parts or ():
        if isinstance(part, dict) and part.get("type") == "output_text" and part.get("text"):
            yield part["text"]


class ResponseText(View):
    """A response whose messages hold the text."""

    @property
    def output_text(self) -> str:
        """The text of every message of the output, joined; empty where there is none."""
        output = self._data.get("output") or ()
        return "".join(text for item in output if item.get("type") == "message" for text in _texts(item.get("content")))


class MessageText(View):
    """A message whose content holds the text."""

    @property
    def output_text(self) -> str:
        """The text of the message, joined; empty where there is none."""
        return "".join(_texts(self._data.get("content")))
