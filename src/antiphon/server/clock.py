"""What time it is for a server. A virtual clock stands still until it is told to move.

server = Server(engines, clock=VirtualClock(1_700_000_000))
run(server(request), server.clock.world())     # a pause of the server's takes no time: the clock jumps
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from ..kernel.flow import World

__all__ = ("Clock", "RealClock", "VirtualClock")


class Clock(Protocol):
    """What a server asks for the time."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...

    def world(self) -> World:
        """A world in which pauses last as long as this clock says."""
        ...


class RealClock:
    """The time of the machine."""

    __slots__ = ("_world",)

    def __init__(self) -> None:
        self._world = World()

    def now(self) -> float:
        return time.time()

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

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises `ValueError` for a negative amount: the clock does not go back."""
        if seconds < 0:
            raise ValueError(f"a clock does not go back: {seconds!r} seconds")
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
