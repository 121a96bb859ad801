"""Behaviour that some response types have beside their fields; the generator names these as their bases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .view import View

if TYPE_CHECKING:
    from .vectors import Vector

__all__ = ("MessageText", "Parsed", "ParsedOutput", "ResponseText", "VectorOf")


def _texts(parts: Any) -> Iterator[str]:
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("type") == "output_text" and isinstance(part.get("text"), str):
            yield part["text"]


class ResponseText(View):
    """A response whose messages hold the text."""

    @property
    def output_text(self) -> str:
        """The text of every message of the output, joined; empty where there is none."""
        output = self._data.get("output")
        messages = (
            item
            for item in (output if isinstance(output, list) else ())
            if isinstance(item, dict) and item.get("type") == "message"
        )
        return "".join(text for item in messages for text in _texts(item.get("content")))


class MessageText(View):
    """A message whose content holds the text."""

    @property
    def output_text(self) -> str:
        """The text of the message, joined; empty where there is none."""
        return "".join(_texts(self._data.get("content")))


class VectorOf(View):
    """An embedding, which can be compared with others."""

    def similarity(self, other: Vector) -> float:
        """The cosine of the angle between this embedding and another vector, from -1 to 1.

        Raises `ValueError` for vectors that differ in length.
        """
        from .vectors import cosine_similarity

        return cosine_similarity(self._data.get("embedding") or [], other)

    def distance(self, other: Vector) -> float:
        """The cosine distance to another vector, from 0, the same direction, to 2, the opposite one."""
        return 1.0 - self.similarity(other)


T = TypeVar("T")
_MADE_HERE = frozenset(("parsed", "parsed_arguments"))


def _as_sent(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_sent(item) for key, item in value.items() if key not in _MADE_HERE}
    return [_as_sent(item) for item in value] if isinstance(value, list) else value


class Parsed(View):
    """A part of an answer that was parsed here. Sent back to the API it is what the API sent."""

    def _sent(self) -> dict[str, Any]:
        sent: dict[str, Any] = _as_sent(self._data)
        return sent


class ParsedOutput(View, Generic[T]):
    """A response whose texts were parsed."""

    @property
    def output_parsed(self) -> T | None:
        """What the first text that could be parsed was parsed into; `None` where there is none."""
        output = self._data.get("output")
        for item in output if isinstance(output, list) else ():
            content = item.get("content") if isinstance(item, dict) and item.get("type") == "message" else None
            for part in content if isinstance(content, list) else ():
                if isinstance(part, dict) and part.get("type") == "output_text" and part.get("parsed") is not None:
                    parsed: T = part["parsed"]
                    return parsed
        return None
