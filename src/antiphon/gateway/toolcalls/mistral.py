"""`[TOOL_CALLS] [{"name": …, "arguments": …}]`, or since 2025 `[TOOL_CALLS]name[ARGS]{…}`: models of Mistral."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import orjson

from . import MORE, Called, Parser, Read
from ._json import calls_in, end_of, skipped

__all__ = ("Mistral",)

_TAG, _ARGS, _ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
_NAME = re.compile(r"[\w.:-]+")


class Mistral(Parser):
    """A token of its own, and a list, or a name with its arguments."""

    key: ClassVar[str] = "mistral"
    marks: ClassVar[tuple[str, ...]] = (_TAG,)
    special: ClassVar[bool] = True

    def read(self, text: str, *, last: bool) -> Read | None:
        at = skipped(text, len(_TAG))
        if at >= len(text):
            return MORE
        if text[at] in "[{":
            end = end_of(text, at)
            if end is None:
                return MORE
            calls = calls_in(text[at:end])
            return None if calls is None else Read(calls, end)
        return self._named(text, at)

    def _named(self, text: str, at: int) -> Read | None:
        name = _NAME.match(text, at)
        if name is None:
            return None
        brace = text.find("{", name.end())
        between = text[name.end() : len(text) if brace < 0 else brace]
        key = None
        if between.startswith(_ID):
            between = between[len(_ID) :]
            found = _NAME.match(between)
            key = None if found is None else found.group()
            between = between[0 if found is None else found.end() :]
        if brace < 0:
            possible = not between.strip() or _ARGS.startswith(between.strip()) or _ID.startswith(between.strip())
            return MORE if possible else None
        if between.strip() not in ("", _ARGS):
            return None
        end = end_of(text, brace)
        if end is None:
            return MORE
        try:
            arguments: Any = orjson.loads(text[brace:end])
        except orjson.JSONDecodeError:
            return None
        return Read((Called(name.group(), arguments, key),), end)
