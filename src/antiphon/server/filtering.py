"""The filters of a search by the attributes of files: checked once, then asked for each file.

    check({"type": "eq", "key": "year", "value": 2026}, "filters")      # raises `BadRequestError` for what is no filter
    passes({"type": "gte", "key": "year", "value": 2025}, {"year": 2026})   # True

A file without the attribute is unlike any value: it passes `ne` and `nin` and nothing else. A text, a number and a
boolean are never alike and never one before the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any, Final

from ..kernel.errors import BadRequestError

__all__ = ("check", "passes")

_DEEPEST: Final = 32
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_SETS: Final = {"in": True, "nin": False}
_EQUALS: Final = {"eq": True, "ne": False}
_BOTH: Final[Mapping[str, Callable[[Any], bool]]] = {"and": all, "or": any}
_TYPES: Final = (*_EQUALS, *_ORDERS, *_SETS, *_BOTH)


def check(given: Any, path: str, depth: int = 0) -> None:
    """See that something is a filter. Raises `BadRequestError`."""
    if not isinstance(given, dict):
        raise _wrong(path, f"Invalid type for '{path}': expected an object.", "invalid_type")
    if depth > _DEEPEST:
        raise _wrong(path, f"Invalid '{path}': filters are nested more than {_DEEPEST} deep.", "invalid_value")
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        supported = ", ".join(f"'{each}'" for each in _TYPES)
        raise _wrong(f"{path}.type", f"Invalid value: {kind!r}. Supported values are: {supported}.", "invalid_value")
    if kind in _BOTH:
        inner = _needed(given, "filters", path)
        if not isinstance(inner, list) or not inner:
            raise _wrong(f"{path}.filters", f"Invalid '{path}.filters': expected filters.", "invalid_value")
        for place, each in enumerate(inner):
            check(each, f"{path}.filters[{place}]", depth + 1)
        return
    if not isinstance(_needed(given, "key", path), str):
        raise _wrong(f"{path}.key", f"Invalid type for '{path}.key': expected a string.", "invalid_type")
    value = _needed(given, "value", path)
    if kind in _SETS:
        good, expected = isinstance(value, list) and all(map(_single, value)), "an array of strings or numbers"
    elif kind in _EQUALS:
        good, expected = _single(value), "a string, a number or a boolean"
    else:
        good, expected = _single(value) and not isinstance(value, bool), "a number or a string"
    if not good:
        message = f"Invalid type for '{path}.value': '{kind}' compares with {expected}."
        raise _wrong(f"{path}.value", message, "invalid_type")


def _needed(given: Mapping[str, Any], name: str, path: str) -> Any:
    if name not in given:
        raise _wrong(f"{path}.{name}", f"Missing required parameter: '{path}.{name}'.", "missing_required_parameter")
    return given[name]


def _single(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _wrong(param: str, message: str, code: str) -> BadRequestError:
    return BadRequestError.because(message, param=param, code=code)


def passes(given: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    """Whether a file with these attributes passes a filter that `check` let through."""
    kind: str = given["type"]
    both = _BOTH.get(kind)
    if both is not None:
        return both(passes(each, attributes) for each in given["filters"])
    held: Any = attributes.get(given["key"])
    value: Any = given["value"]
    if kind in _SETS:
        return any(_alike(held, each) for each in value) is _SETS[kind]
    if kind in _EQUALS:
        return _alike(held, value) is _EQUALS[kind]
    return _kind(held) is _kind(value) and held.__class__ is not bool and _ORDERS[kind](held, value)


def _kind(value: Any) -> type:
    return float if value.__class__ is int else value.__class__


def _alike(held: Any, value: Any) -> bool:
    return _kind(held) is _kind(value) and bool(held == value)
