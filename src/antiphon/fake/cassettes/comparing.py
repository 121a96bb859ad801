"""What is different between two values, field by field, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

__all__ = ("differences", "distance", "flattened")

_WINDOW: Final = 60
_BEFORE: Final = 12
_ABSENT: Final = object()
_OTHER: Final = 0.3
"""How far an option that is another, or is not there, sets two requests apart; a text that is another is 1."""


def flattened(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The single values of JSON, each with its place, such as `messages[0].content`."""
    if isinstance(value, Mapping) and value:
        for name, each in value.items():
            yield from flattened(each, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from flattened(each, f"{place}[{number}]")
    else:
        yield place, value


def distance(there: Mapping[str, Any], here: Mapping[str, Any]) -> float:
    """How different two requests are."""
    far = 0.0
    for name, weight in (("method", 1000.0), ("path", 100.0)):
        if there[name] != here[name]:
            far += weight
    ones, others = dict(flattened(there)), dict(flattened(here))
    for place in {*ones, *others}:
        one, other = ones.get(place, _ABSENT), others.get(place, _ABSENT)
        if isinstance(one, str) and isinstance(other, str):
            far += 0.0 if one == other else 1.0 - 0.9 * _likeness(one, other)
        elif one.__class__ is not other.__class__ or one != other:
            far += _OTHER
    return far


def _likeness(one: str, other: str) -> float:
    """How much of two texts is the same at their beginnings and ends."""
    longest = max(len(one), len(other))
    head = _common(one, other)
    tail = _common(one[head:][::-1], other[head:][::-1])
    return (head + tail) / longest if longest else 1.0


def _common(one: str, other: str) -> int:
    for number, (here, there) in enumerate(zip_longest(one, other)):
        if here != there:
            return number
    return len(one)


def differences(there: Any, here: Any, names: tuple[str, str]) -> list[str]:
    """What differs, a line for each place; `names` are what the two are called."""
    ones, others = dict(flattened(there)), dict(flattened(here))
    lines: list[str] = []
    for place in dict.fromkeys((*ones, *others)):
        one, other = ones.get(place, _ABSENT), others.get(place, _ABSENT)
        if one.__class__ is not other.__class__ or one != other:
            first, second = _shown(one, other)
            lines.append(f"{place or 'the whole'}: {names[0]} {first}, {names[1]} {second}")
    return lines


def _shown(one: Any, other: Any) -> tuple[str, str]:
    if isinstance(one, str) and isinstance(other, str) and max(len(one), len(other)) > _WINDOW:
        start = max(0, _common(one, other) - _BEFORE)
        return _cut(one, start), _cut(other, start)
    return _told(one), _told(other)


def _told(value: Any) -> str:
    if value is _ABSENT:
        return "has nothing"
    if isinstance(value, str):
        return _cut(value, 0)
    text = repr(value)
    return text if len(text) <= _WINDOW else text[: _WINDOW - 1] + "…"


def _cut(text: str, start: int) -> str:
    """Some of a text, from where it begins to differ."""
    part = text[start : start + _WINDOW]
    return ("…" if start else "") + repr(part) + ("…" if start + _WINDOW < len(text) else "")
