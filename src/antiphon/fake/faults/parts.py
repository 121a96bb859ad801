"""What faults are put together of: things with a name and settings, that can be told as JSON and checked when made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from ...kernel.http import Headers

__all__ = ("Part", "choice", "integer", "number", "seconds", "text")

DAY: Final = 86_400.0


class Part:
    """A thing with a name and settings: the fields of a dataclass, the first being the main one."""

    name: ClassVar[str] = "own"
    """What it is called in JSON, in a header and on the command line."""

    def settings(self) -> dict[str, Any]:
        """The settings that are not as they would be anyway."""
        found: dict[str, Any] = {}
        for each in _fields(self):
            value = getattr(self, each.name)
            if value != each.default:
                found[each.name] = value
        return found

    def to_dict(self) -> dict[str, Any]:
        """It as JSON that `fault_of` reads."""
        return {"type": self.name, **{name: _plain(value) for name, value in self.settings().items()}}

    def __str__(self) -> str:
        told = self.settings()
        first = next((each.name for each in _fields(self)), "")
        rest = ", ".join(f"{name}={value!r}" for name, value in told.items() if name != first)
        main = repr(getattr(self, first)) if first and getattr(self, first) is not None else ""
        return f"{self.called()}({', '.join(filter(None, (main, rest)))})"

    def called(self) -> str:
        """What it is called in Python."""
        return type(self).__name__

    __repr__ = __str__


def _fields(part: Part) -> tuple[Any, ...]:
    """The settings of a part; one of somebody's own may be no dataclass."""
    return fields(part) if is_dataclass(part) else ()  # type: ignore[redundant-expr]


def _plain(value: Any) -> Any:
    if isinstance(value, Headers):
        return dict(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


# Settings that are not what they have to be. Each says whose they are.


def integer(part: Part, name: str, least: int = 0, most: int | None = None) -> None:
    """Check a whole number."""
    value = getattr(part, name)
    if value.__class__ is not int or value < least or (most is not None and value > most):
        wanted = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{part.name}: {name} is a whole number, {wanted}, not {value!r}")


def number(part: Part, name: str, least: float = 0.0, most: float | None = None) -> None:
    """Check a number."""
    value = getattr(part, name)
    if value.__class__ not in (int, float) or not least <= value <= (float("inf") if most is None else most):
        wanted = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise ValueError(f"{part.name}: {name} is a number, {wanted}, not {value!r}")


def seconds(part: Part, name: str) -> None:
    """Check a time in seconds, at most a day."""
    value = getattr(part, name)
    if value.__class__ not in (int, float) or not 0 <= value <= DAY:
        raise ValueError(f"{part.name}: {name} is a number of seconds from 0 to {DAY:g}, not {value!r}")


def text(part: Part, name: str) -> None:
    """Check a text, or `None` where that is what it is anyway."""
    value = getattr(part, name)
    default: Any = type(part).__dataclass_fields__[name].default  # type: ignore[attr-defined]
    if not isinstance(value, str) and value is not default:
        raise TypeError(f"{part.name}: {name} is a text, not {value!r}")


def choice(part: Part, name: str, *several: str) -> None:
    """Check that a setting is one of several words."""
    value = getattr(part, name)
    if value not in several:
        raise ValueError(f"{part.name}: {name} is {', '.join(several[:-1])} or {several[-1]}, not {value!r}")
