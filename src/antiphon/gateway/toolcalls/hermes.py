"""`<tool_call>{"name": …, "arguments": …}</tool_call>`: Hermes, Qwen and many that were taught after them."""

from __future__ import annotations

from typing import ClassVar

from . import MORE, Parser, Read
from ._json import calls_in, end_of, skipped, started
from .functions import function_in

__all__ = ("Hermes",)

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


class Hermes(Parser):
    """A mark before and after each call. Coders of Qwen write `<function=…>` between them."""

    key: ClassVar[str] = "hermes"
    marks: ClassVar[tuple[str, ...]] = (_OPEN,)

    def read(self, text: str, *, last: bool) -> Read | None:
        at = skipped(text, len(_OPEN))
        rest = text[at:]
        if not rest:
            return MORE
        if started(rest, "<function="):
            return MORE
        if rest.startswith("<function="):
            found = function_in(rest, self.tools)
            if found is None or found is MORE:
                return found
            calls, end = found.calls, at + found.used
        elif rest[0] in "{[":
            closed = end_of(text, at)
            if closed is None:
                return MORE
            read = calls_in(text[at:closed])
            if read is None:
                return None
            calls, end = read, closed
        else:
            return None
        after = skipped(text, end)
        if text.startswith(_CLOSE, after):
            return Read(calls, after + len(_CLOSE))
        if not last and started(text[after:], _CLOSE):
            return MORE
        return Read(calls, end)
