"""Checks of JSON values: functions that say whether a value has a shape, and functions that make such.

Nothing is coerced: `True` is no number, and a subclass of `dict` is no object, because its own methods could show
something else the next time it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, TypeAlias

__all__ = (
    "JSON",
    "Check",
    "anything",
    "each",
    "filled",
    "flag",
    "maybe",
    "number",
    "one_of",
    "owned",
    "record",
    "tagged",
    "text",
    "whole",
)

JSON: TypeAlias = dict[str, Any]
Check: TypeAlias = Callable[[Any], bool]


def anything(value: Any) -> bool:
    """Any JSON value."""
    return True


def text(value: Any) -> bool:
    """A string."""
    return type(value) is str


def filled(value: Any) -> bool:
    """A string that is more than white space."""
    return type(value) is str and bool(value.strip())


def whole(value: Any) -> bool:
    """A whole number."""
    return type(value) is int


def flag(value: Any) -> bool:
    """`true` or `false`."""
    return type(value) is bool


def number(value: Any) -> bool:
    """A finite number."""
    return type(value) is int or (type(value) is float and isfinite(value))


def one_of(*members: Any) -> Check:
    """One of a few values, of the same type."""
    return lambda value: any(type(value) is type(member) and value == member for member in members)


def maybe(check: Check) -> Check:
    """`null`, or something else."""
    return lambda value: value is None or check(value)


def each(check: Check) -> Check:
    """A list, each member of which passes."""
    return lambda value: type(value) is list and all(check(member) for member in value)


def record(required: Mapping[str, Check] | None = None, optional: Mapping[str, Check] | None = None) -> Check:
    """An object with some fields; those that may be left out are checked where they are there. Others may be, too."""
    needed, known = dict(required or {}), dict(optional or {})

    def check(value: Any) -> bool:
        return (
            type(value) is dict
            and all(name in value and passes(value[name]) for name, passes in needed.items())
            and all(name not in value or passes(value[name]) for name, passes in known.items())
        )

    return check


def tagged(members: Mapping[str, Check], tag: str = "type") -> Check:
    """An object whose kind one of its fields tells."""

    def check(value: Any) -> bool:
        if type(value) is not dict or type(value.get(tag)) is not str:
            return False
        passes = members.get(value[tag])
        return passes is not None and passes(value)

    return check


def owned(value: Any) -> Any:
    """A deep copy of a JSON value. Raises `ValueError` for what is none, whatever it could turn itself into."""
    if value is None or type(value) in (str, bool, int):
        return value
    if type(value) is float:
        if not isfinite(value):
            raise ValueError(f"{value} cannot be written as JSON")
        return value
    if type(value) is list:
        return [owned(member) for member in value]
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                raise ValueError(f"the keys of JSON objects are strings, not {type(key).__name__}")
        return {key: owned(member) for key, member in value.items()}
    raise ValueError(f"a {type(value).__name__} is not plain JSON")
