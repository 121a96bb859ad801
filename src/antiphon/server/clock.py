"""What time it is for a server. A virtual clock stands still until it is told to move.

server = Server(engines, clock=VirtualClock(1_700_000_000))
run(server(request), server.clock.world())     # a pause of the server's takes no time: the clock jumps
server.clock.advance("24h")                    # and so do the jobs of a day
"""

from __future__ import annotations

import re
import threading
import time
from typing import Final, Protocol

from ..kernel.flow import World

__all__ = ("Clock", "RealClock", "VirtualClock", "seconds_of")

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*")


def seconds_of(duration: float | str) -> float:
    """A duration in seconds: a number is one already, a text has units, such as `24h`, `1h 30m` or `250ms`.

    The units are `ms`, `s`, `m`, `h`, `d` and `w`. Raises `ValueError` for another text, and for less than nothing.
    """
    if not isinstance(duration, str):
        seconds = float(duration)
        if not seconds >= 0:
            raise ValueError(f"a clock does not go back: {duration!r} seconds")
        return seconds
    amounts = _AMOUNT.findall(duration)
    if not amounts or _AMOUNT.sub("", duration).strip():
        raise ValueError(f"a duration is a number of seconds or a text such as '24h' or '1h 30m', not {duration!r}")
    return sum(float(number) * _UNITS[unit] for number, unit in amounts)


class Clock(Protocol):
    """What a server asks for the time."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def advance(self, duration: float | str) -> None:
        """Be later by so many seconds, or by a text such as `24h`."""
        ...

    def world(self) -> World:
        """A world in which pauses last as long as this clock says."""
        ...


class RealClock:
    """The time of the machine, and what it was told to add to it."""

    __slots__ = ("_ahead", "_lock", "_world")
    tick = staticmethod(time.perf_counter)
    """Seconds to measure with how long something takes; a clock without it is measured with by `now`."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._lock = threading.Lock()
        self._world = World()

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, duration: float | str) -> None:
        """From now on be later by so many seconds, or by a text such as `24h`. Raises `ValueError` as `seconds_of`."""
        seconds = seconds_of(duration)
        with self._lock:
            self._ahead += seconds

    def world(self) -> World:
        return self._world


class VirtualClock:
    """A clock that moves only by `advance` and by the pauses taken in its world."""

    __slots__ = ("_lock", "_now", "_world")

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = float(start)
        self._lock = threading.Lock()
        self._world = _VirtualWorld(self)

    def now(self) -> float:
        return self._now

    def advance(self, duration: float | str) -> None:
        """Let so many seconds pass, or a text such as `24h`. Raises `ValueError` as `seconds_of` does."""
        seconds = seconds_of(duration)
        with self._lock:
            self._now += seconds

    def world(self) -> World:
        return self._world


class _VirtualWorld(World):
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def sleep(self, seconds: float) -> None:
        self._clock.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        import asyncio

        self._clock.advance(seconds)
        await asyncio.sleep(0)  # whoever else is ready gets a turn, as in a real pause
