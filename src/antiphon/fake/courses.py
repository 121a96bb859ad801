"""Numbers that change by themselves: courses, which say what a number is so many seconds after it was set.

    {"ramp": [0, 12], "seconds": 60}                from 0 to 12 within a minute, and it stays there
    {"saw": [0, 12], "seconds": 60}                 the same, again and again
    {"sine": [0, 12], "seconds": "5m"}              from 0 to 12 and back, evenly, every five minutes
    {"square": [0, 12], "seconds": 60}              half of each minute 0, and half of it 12
    {"steps": [1, 5, 2], "seconds": 10}             each for ten seconds, again and again
    {"steps": [1, 5, 2], "seconds": 10, "repeat": false}

A function of the seconds is one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import cos, inf, pi
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..server.clock import seconds_of

__all__ = ("NAMES", "Course", "course_of")

if TYPE_CHECKING:
    Course: TypeAlias = Callable[[float], float]
else:
    Course = object
"""What a number is so many seconds after it was set."""

_Shape: TypeAlias = Callable[[list[float], float], float]


_PRECISE: Final = 1e-9
"""How much of a step rounding may take."""


def _along(values: list[float], share: float) -> float:
    """Between two values, at a share of the way."""
    first, last = values
    return first + (last - first) * share


def _step(values: list[float], share: float) -> float:
    place = int(share * len(values) + _PRECISE)
    return values[place % len(values)] if share < 1 else values[-1]


_SHAPES: Final[dict[str, _Shape]] = {
    "ramp": _along,
    "saw": _along,
    "sine": lambda values, share: _along(values, (1 - cos(2 * pi * share)) / 2),
    "square": _step,
    "steps": _step,
}
"""What a value is at a share of the course, from 0 to 1."""

NAMES: Final = tuple(_SHAPES)
"""The kinds of courses."""

_WHAT: Final = f"a number, or an object such as {{'ramp': [0, 12], 'seconds': 60}} ({', '.join(NAMES)})"


def course_of(given: Any) -> Course:
    """The course that a number, an object or a function stands for. Raises `ValueError` for something else."""
    if isinstance(given, Mapping):
        return _told(given)
    if callable(given):
        return given  # type: ignore[no-any-return]
    value = _number(given)
    return lambda seconds: value


def _told(given: Mapping[str, Any]) -> Course:
    names = [name for name in given if name in _SHAPES]
    allowed = {"seconds", "repeat", *names} if names == ["steps"] else {"seconds", *names}
    unknown = [name for name in given if name not in allowed]
    if len(names) != 1 or unknown:
        wrong = f"there is no {unknown[0]!r} in it" if unknown else "it is of one kind"
        raise ValueError(f"a value is {_WHAT}, not {dict(given)!r}: {wrong}")
    name = names[0]
    values, shape, repeat = _values(name, given[name]), _SHAPES[name], given.get("repeat", name != "ramp")
    if repeat.__class__ is not bool:
        raise ValueError(f"repeat of a value is true or false, not {repeat!r}")
    whole = _period(given.get("seconds")) * (len(values) if name == "steps" else 1)

    def course(seconds: float) -> float:
        share = seconds / whole
        return shape(values, share % 1 if repeat else min(share, 1.0))

    return course


def _period(given: Any) -> float:
    if isinstance(given, (int, float, str)) and not isinstance(given, bool):
        try:
            seconds = seconds_of(given)
        except ValueError:
            seconds = 0.0
        if 0 < seconds < inf:
            return seconds
    raise ValueError(f"seconds of a value is a number of them above 0, or a text such as '5m', not {given!r}")


def _values(name: str, given: Any) -> list[float]:
    values = [_number(each) for each in given] if isinstance(given, (list, tuple)) else []
    if not values or (name != "steps" and len(values) != 2):
        raise ValueError(f"{name} has {'a list of numbers' if name == 'steps' else 'two numbers'}, not {given!r}")
    return values


def _number(given: Any) -> float:
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 <= given < inf:
        return given
    raise ValueError(f"a value is {_WHAT}, from 0 on, not {given!r}")
