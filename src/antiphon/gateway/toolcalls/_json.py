"""JSON in the midst of text: where it ends, and the calls that are in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from . import Called

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ("calls_in", "end_of", "skipped", "started")

_MARKS = re.compile(r'"|[{}\[\]]')
_STRING = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
_ARGUMENTS = ("arguments", "parameters", "args", "input")


def end_of(text: str, start: int) -> int | None:
    """Where the object or array that begins at `start` ends; `None` where it does not."""
    depth, at = 0, start
    while (found := _MARKS.search(text, at)) is not None:
        at = found.end()
        mark = found.group()
        if mark == '"':
            closed = _STRING.match(text, at)
            if closed is None:
                return None
            at = closed.end()
        elif mark in "{[":
            depth += 1
        else:
            depth -= 1
            if depth <= 0:
                return at
    return None


def calls_in(text: str, known: Container[str] | None = None) -> list[Called] | None:
    """The calls that JSON stands for: one object or several; `None` where it stands for something else.

    With `known` only tools of these names are called.
    """
    try:
        value: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    items = value if isinstance(value, list) else [value]
    calls: list[Called] = []
    for item in items:
        if not isinstance(item, dict):
            return None
        inner = item.get("function")
        told = inner if isinstance(inner, dict) else item
        name = told.get("name", inner if isinstance(inner, str) else None)
        if not isinstance(name, str) or not name or (known is not None and name not in known):
            return None
        arguments: Any = next((told[key] for key in _ARGUMENTS if told.get(key) is not None), {})
        key = item.get("id")
        calls.append(Called(name, arguments, key if isinstance(key, str) and key else None))
    return calls or None


def skipped(text: str, at: int) -> int:
    """The place of the next character that is no white space."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def started(text: str, mark: str) -> bool:
    """Whether a text is the beginning of a mark, and not the whole of it."""
    return len(text) < len(mark) and mark.startswith(text)
