"""An answer that is JSON, `{"name": …, "parameters": …}`, several set apart by `;`, or one after `<|python_tag|>`."""

from __future__ import annotations

from typing import ClassVar

from . import MORE, Parser, Read
from ._json import calls_in, end_of, skipped

__all__ = ("Llama3",)

_TAG = "<|python_tag|>"


class Llama3(Parser):
    """JSON at the beginning of an answer is a call where it names a tool."""

    key: ClassVar[str] = "llama3"
    marks: ClassVar[tuple[str, ...]] = (_TAG,)
    leads: ClassVar[str] = "{["
    special: ClassVar[bool] = True

    def read(self, text: str, *, last: bool) -> Read | None:
        tagged = text.startswith(_TAG)
        at = skipped(text, len(_TAG)) if tagged else 0
        if at >= len(text):
            return MORE
        if text[at] not in "{[":
            return None
        end = end_of(text, at)
        if end is None:
            return MORE
        calls = calls_in(text[at:end], self.tools)
        return None if calls is None else Read(calls, end)
