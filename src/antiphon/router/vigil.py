"""What watches over one answer: whether its caller is still there, keeps up, and how long it takes.

One task waits for the caller to leave, and one timer looks at the clock now and then; nothing is started for a piece.
Both interrupt the task that writes the answer wherever it waits, and leave the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from weakref import WeakSet

from .errors import Refused
from .events import Error

if TYPE_CHECKING:
    from .limits import Limits

__all__ = ("REASONS", "Answering", "Reason", "Vigil")

Reason: TypeAlias = Literal["left", "stalled", "time", "stopped", "cancelled"]

REASONS: dict[Reason, Error] = {
    "left": Error("The caller has left.", 499, "server_error", "caller_left"),
    "stalled": Error("The caller does not take the answer.", 499, "server_error", "caller_stalled"),
    "time": Error("The answer took longer than this route allows.", 504, "timeout_error", "time_limit"),
    "stopped": Error("The server was stopped before the end of this answer.", 503, "server_error", "server_stopped"),
    "cancelled": Error("The answer was cancelled.", 499, "invalid_request_error", "cancelled"),
}
"""What the caller is told, where anybody is there to be told."""

_ENDING: Final = 2.0
"""Seconds in which an answer that is interrupted has to end."""


class Vigil:
    """Watches over the task that makes it, from `start` to `stop`."""

    __slots__ = (
        "__weakref__",
        "_deadline",
        "_gone",
        "_limits",
        "_loop",
        "_owner",
        "_ping",
        "_timer",
        "_watching",
        "pinging",
        "reason",
        "sending",
        "touched",
    )

    def __init__(
        self,
        limits: Limits,
        gone: Callable[[], Awaitable[None]] | None,
        ping: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._limits = limits
        self._gone = gone
        self._ping = ping
        self._watching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.reason: Reason | None = None
        self.sending = False
        """Whether a piece is being sent: set by the owner, since what is not taken is what stalls."""
        self.pinging: asyncio.Task[None] | None = None
        """A keep-alive that is being sent: the owner waits for it before it sends anything itself."""

    def start(self) -> None:
        """Begin."""
        task = asyncio.current_task()
        assert task is not None
        self._owner = task
        self._loop = loop = asyncio.get_running_loop()
        self.touched = now = loop.time()
        """When something was sent last."""
        limits = self._limits
        self._deadline = None if limits.seconds is None else now + limits.seconds
        if self._gone is not None:
            self._watching = loop.create_task(self._watch())
        self._tick()

    async def _watch(self) -> None:
        assert self._gone is not None
        await self._gone()
        self.interrupt("left")

    def _tick(self) -> None:
        """Look at the clock, and come back when there may be something to be done."""
        now, limits = self._loop.time(), self._limits
        due = now + 60.0
        if self._deadline is not None:
            if now >= self._deadline:
                self.interrupt("time")
                return
            due = min(due, self._deadline)
        if limits.stall is not None:
            # What is being sent may stall; what is not yet may be sent, and stall, at any time.
            since = self.touched if self.sending else now
            if now - since >= limits.stall:
                self.interrupt("stalled")
                return
            due = min(due, since + limits.stall)
        if limits.keepalive is not None and self._ping is not None:
            silent = not self.sending and self.pinging is None
            if silent and now - self.touched >= limits.keepalive:
                self.pinging = self._loop.create_task(self._send_ping())
                silent = False
            due = min(due, (self.touched if silent else now) + limits.keepalive)
        self._timer = self._loop.call_at(max(due, now + 0.001), self._tick)

    async def _send_ping(self) -> None:
        assert self._ping is not None
        try:
            self.sending, self.touched = True, self._loop.time()
            await self._ping()
        except OSError:
            pass  # whoever left is noticed elsewhere
        finally:
            self.sending, self.touched = False, self._loop.time()
            self.pinging = None

    def interrupt(self, reason: Reason) -> None:
        """Interrupt the owner, wherever it waits. The first reason stands."""
        if self.reason is None:
            self.reason = reason
            self._owner.cancel()

    def settle(self) -> Reason | None:
        """Why the owner was cancelled, which it just caught, if it was from here: then it carries on."""
        if self.reason is not None:
            self._owner.uncancel()
        return self.reason

    def stop(self) -> None:
        """End. After this nothing interrupts any more."""
        for each in (self._watching, self.pinging, self._timer):
            if each is not None:
                each.cancel()
        self._watching = self._timer = None


class Answering:
    """The answers under way on a route, or on all routes of a router: counted, and ended when the server stops."""

    __slots__ = ("_none_left", "_parent", "_vigils", "stopped")

    def __init__(self, parent: Answering | None = None) -> None:
        self._vigils: WeakSet[Vigil] = WeakSet()
        self._parent = parent
        self._none_left: asyncio.Event | None = None
        self.stopped = False

    def __len__(self) -> int:
        return len(self._vigils)

    def enter(self, vigil: Vigil, limit: int | None) -> None:
        """Count one more. Raises `Refused` where there are as many as there may be, and when all is being stopped."""
        if self.stopped or (self._parent is not None and self._parent.stopped):
            raise Refused("The server is being stopped.", status=503, code="server_stopped")
        if limit is not None and len(self._vigils) >= limit:
            raise Refused(
                f"This route answers {limit} questions at a time; try again later.", status=503, code="too_busy"
            )
        self._vigils.add(vigil)
        if self._parent is not None:
            self._parent._vigils.add(vigil)

    def leave(self, vigil: Vigil) -> None:
        """Count one less."""
        self._vigils.discard(vigil)
        if self._none_left is not None and not self._vigils:
            self._none_left.set()
        if self._parent is not None:
            self._parent.leave(vigil)

    async def stop(self, grace: float) -> None:
        """Take no more; give those under way some seconds to end, and then end them."""
        self.stopped = True
        self._none_left = asyncio.Event()
        for seconds in (grace, _ENDING):
            if not self._vigils:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._none_left.wait()
            for vigil in list(self._vigils):
                vigil.interrupt("stopped")
