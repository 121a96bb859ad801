"""A fault is a behaviour and when it strikes; several may follow each other. Set in a fake, it is at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from .behaviours import Behaviour, Nothing, Scene
from .parts import Part
from .triggers import After, Always, Beginning, trigger

if TYPE_CHECKING:
    from ...server.clock import Clock
    from .triggers import Seen, State, Trigger, When

__all__ = ("AtWork", "Fault", "Faulty", "Stage", "Struck", "fault")


@dataclass(frozen=True, repr=False)
class Stage:
    """A behaviour, when it strikes, and when it is over."""

    behaviour: Behaviour
    when: Trigger
    until: Trigger | None = None

    def __str__(self) -> str:
        told = str(self.behaviour)
        if not isinstance(self.when, Always):
            told += f", when {self.when}"
        return told if self.until is None else f"{told}, until {self.until}"


@dataclass(frozen=True, repr=False)
class Fault(Part):
    """Behaviours and when they strike, one stage after another.

    A stage is over when its `until` holds, or when its trigger cannot hold any more, as `once()` after the first
    request. The last stage goes on; with `repeats` the first begins anew.
    """

    name: ClassVar[str] = "stages"
    stages: tuple[Stage, ...]
    repeats: bool = False

    def until(self, limit: int | str | datetime | When) -> Fault:
        """The same for the first `limit` requests, for so long (`"30s"`), until a moment, or until a trigger holds; the
        request for which it does is not struck any more.
        """
        *before, last = self.stages
        return replace(self, stages=(*before, replace(last, until=_ending(limit))))

    def then(self, other: Behaviour | Fault) -> Fault:
        """The same, and otherwise once it is over."""
        following = fault(other)
        return Fault((*self.stages, *following.stages), following.repeats)

    def repeated(self) -> Fault:
        """The same again and again."""
        return replace(self, repeats=True)

    def to_dict(self) -> dict[str, Any]:
        """It as JSON that `fault_of` reads."""
        told = [_stage(each) for each in self.stages]
        if self.repeats:
            return {"type": "repeat", "stages": told}
        return told[0] if len(told) == 1 else {"type": self.name, "stages": told}

    def __str__(self) -> str:
        told = "; then ".join(map(str, self.stages))
        return f"again and again: {told}" if self.repeats else told

    def __repr__(self) -> str:
        return f"<{self}>"


def _ending(limit: Any) -> Trigger:
    if isinstance(limit, (int, datetime)):
        return After(limit)
    if isinstance(limit, str):
        try:
            return After(limit)
        except ValueError:
            pass
    return trigger(limit)


def _stage(stage: Stage) -> dict[str, Any]:
    told = stage.behaviour.to_dict()
    if not isinstance(stage.when, Always):
        told["when"] = stage.when.to_dict()
    if stage.until is not None:
        told["until"] = stage.until.to_dict()
    return told


if TYPE_CHECKING:
    Faulty: TypeAlias = Behaviour | Fault | str | Mapping[str, Any]
else:
    Faulty = object
"""What stands for a fault: one, a behaviour, a text or JSON that tells one."""


def fault(given: Faulty, *, when: When | None = None) -> Fault:
    """The fault that something stands for, when a trigger holds besides.

    Raises `TypeError` or `ValueError` for something else.
    """
    told: Any = given
    if isinstance(told, Behaviour):
        made = Fault((Stage(told, Always()),))
    elif isinstance(told, Fault):
        made = told
    elif isinstance(told, (str, Mapping)):
        from .described import fault_of

        made = fault_of(told)
    else:
        raise TypeError(
            "a fault is a behaviour such as ReturnStatus(503), a text such as 'status=503; once', or JSON, "
            f"not {told!r}"
        )
    if when is None or (isinstance(when, Sequence) and not when):
        return made
    held = trigger(when)
    stages = (
        replace(stage, when=held if isinstance(stage.when, Always) else held & stage.when) for stage in made.stages
    )
    return replace(made, stages=tuple(stages))


class Strike(NamedTuple):
    """A behaviour that happens to a request."""

    behaviour: Behaviour
    scene: Scene
    stage: Stage


class Struck(tuple[Stage, ...]):
    """The faults that struck a request."""

    __slots__ = ()

    def __str__(self) -> str:
        return " and ".join(map(str, self))


class AtWork:
    """A fault that is set in a fake."""

    def __init__(self, fault: Fault, clock: Clock, seed: str) -> None:
        self.fault = fault
        self.strikes = 0
        """How many requests it has struck."""
        self._clock = clock
        self._seed = seed
        self._memory: dict[str, Any] = {}
        self._place = 0
        self._begin()

    def _begin(self) -> None:
        stage = self.fault.stages[self._place]
        # Each round of a fault that repeats has dice of its own.
        self._rounds = getattr(self, "_rounds", 0) + 1
        beginning = Beginning(self._clock, f"{self._seed} {self._rounds}")
        self._behaviour = stage.behaviour
        self._when: State = stage.when.begin(beginning)
        self._until: State | None = None if stage.until is None else stage.until.begin(beginning)
        self._memory = {}

    def _next(self) -> bool:
        """Go on to the next stage. `False` where there is none."""
        if self._place + 1 < len(self.fault.stages):
            self._place += 1
        elif self.fault.repeats:
            self._place = 0
        else:
            return False
        self._begin()
        return True

    def strike(self, seen: Seen) -> Strike | None:
        """What happens to a request that comes now, if anything. To be asked once for each, by one thread at a time."""
        for _ in range(len(self.fault.stages) + 1):
            if not self._over(seen) or not self._next():
                break
        if self._over(seen):
            return None
        behaviour, when = self._behaviour, self._when
        if self._until is not None:
            self._until.count(seen)
        if not behaviour.suits(seen):
            return None
        insists = behaviour.insists(seen, self._memory)
        strikes = when.holds(seen) if insists is None else insists
        if insists is None:
            when.count(seen)
        if not strikes or isinstance(behaviour, Nothing):
            return None
        self.strikes += 1
        random = Random(f"{self._seed} strike {self.strikes}")
        scene = Scene(seen, random, self._clock, self._memory)
        return Strike(behaviour, scene, self.fault.stages[self._place])

    def _over(self, seen: Seen) -> bool:
        if self._until is not None and self._until.holds(seen):
            return True
        # A window that was opened is closed first.
        return self._when.over and self._behaviour.insists(seen, dict(self._memory)) is not True

    def explain(self, seen: Seen) -> str:
        """What it would make of a request that came now."""
        if self._over(seen):
            last = self._place + 1 == len(self.fault.stages) and not self.fault.repeats
            return "no: it is over" if last else "goes on to its next stage"
        if not self._behaviour.suits(seen):
            return "no: it is not for such requests"
        insists = self._behaviour.insists(seen, dict(self._memory))
        if self._when.holds(seen) if insists is None else insists:
            return "strikes"
        return f"no: {self._when.why(seen)}" if insists is None else "no: who waited as told is answered"

    def __str__(self) -> str:
        return str(self.fault)

    def __repr__(self) -> str:
        return f"<{self}; has struck {self.strikes} requests>"
