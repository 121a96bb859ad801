"""An answer that is JSON and nothing else: a call, `{"name": …, "arguments": …}`, or a list of them."""

from __future__ import annotations

from typing import ClassVar

from . import MORE, Parser, Read
from ._json import calls_in, end_of, skipped

__all__ = ("Json",)

_FENCE = "```"


class Json(Parser):
    """JSON at the beginning of an answer is a call where it names a tool; it may stand in a block of code."""

    key: ClassVar[str] = "json"
    leads: ClassVar[str] = "{[`"

    def read(self, text: str, *, last: bool) -> Read | None:
        at = 0
        fenced = text.startswith("`")
        if fenced:
            if len(text) < len(_FENCE) and _FENCE.startswith(text):
                return MORE
            line = text.find("\n")
            if line < 0 and len(text) < 12:
                return MORE
            if not text.startswith(_FENCE) or text[len(_FENCE) : line].strip() not in ("", "json", "tool_call"):
                return None
            at = skipped(text, line)
            if at >= len(text):
                return MORE
        if text[at] not in "{[":
            return None
        end = end_of(text, at)
        if end is None:
            return MORE
        calls = calls_in(text[at:end], self.tools)
        if calls is None:
            return None
        if fenced:
            after = skipped(text, end)
            if not last and len(text) - after < len(_FENCE) and _FENCE.startswith(text[after:]):
                return MORE
            if text.startswith(_FENCE, after):
                end = after + len(_FENCE)
        return Read(calls, end)
