"""JSON, a value on each line, so that a chunk has names and values together and no escapes."""

from __future__ import annotations

import orjson

from . import plain

__all__ = ("text",)


def text(data: bytes) -> str:
    found = plain.text(data)
    try:
        value = orjson.loads(found)
    except orjson.JSONDecodeError:
        return found  # several values, comments: text all the same
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
