"""What the API is free to do one way or another, and clients have to take either way."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

__all__ = ("Liberties",)


@dataclass(frozen=True)
class Liberties:
    """What is varied in an answer. Nothing is, where all are 0 or `False`.

    Raises `ValueError` for a number below 0, `TypeError` for what is no number, or no truth.
    """

    text: int = 0
    """Texts and arguments of calls are streamed in parts of up to so many characters."""
    bytes: int = 0
    """The answer arrives in pieces of up to so many bytes, wherever that cuts."""
    calls: int = 0
    """In which order tools are called in parallel."""
    members: int = 0
    """In which order the members of objects stand."""
    absent: bool = False
    """Members that may be missing are, where they say nothing: nulls, fingerprints, tiers, details of the usage."""
    unknown: bool = False
    """Objects have a member that nobody has heard of, and streams an event."""
    empty: bool = False
    """Streams of chat completions have deltas with nothing in them."""
    comments: bool = False
    """Streams have comments between their events."""
    endings: bool = False
    """Lines of streams end in CR and LF."""
    spaces: bool = False
    """JSON is laid out in lines, and has spaces in streams."""
    escapes: bool = False
    """Letters outside of ASCII are escaped in JSON."""
    headers: bool = False
    """Headers that need not be there are not, and another is."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            kind: Any = type(each.default)
            if value.__class__ is not kind:
                raise TypeError(f"{each.name} is {'a whole number' if kind is int else 'True or False'}, not {value!r}")
            if value < 0:
                raise ValueError(f"{each.name} is a whole number from 0 on, not {value!r}")

    @classmethod
    def drawn(cls, random: Random) -> Liberties:
        """Some that the dice choose."""
        chosen: dict[str, Any] = {}
        for each in fields(cls):
            if random.random() < 0.5:
                continue
            chosen[each.name] = random.randint(1, _MOST[each.name]) if each.name in _MOST else True
        return cls(**chosen)

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))

    def __str__(self) -> str:
        told = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if getattr(self, each.name))
        return f"Liberties({', '.join(told)})"

    __repr__ = __str__


_MOST = {"text": 24, "bytes": 64, "calls": 1_000_000, "members": 1_000_000}
