"""How long a server is waited for.

A `Guard` stands between a flow and whoever drives it. In an event loop it breaks a step off when the time is over. A
blocking step cannot be broken off: there the transport's own timeout has to end it, and what the guard can do is not to
begin another.
"""

from __future__ import annotations

import asyncio
from copy import copy
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..kernel.errors import APITimeoutError
from ..kernel.flow import Await, Send, Step, through
from ..kernel.loops import in_trio
from ..kernel.options import Timeout
from .errors import slow

if TYPE_CHECKING:
    from ..kernel.errors import APIStatusError
    from ..kernel.flow import Flow, World
    from .config import Patience

__all__ = ("Guard", "hurried", "transport_timeout")

T = TypeVar("T")
_MOMENT: Final = 0.001


def transport_timeout(patience: Patience) -> Timeout:
    """What a transport is told: it knows no first piece and no whole, only how long it waits for more bytes."""
    first, between = patience.first, patience.between
    read = None if first is None or between is None else max(first, between)
    return Timeout(read, connect=patience.connect)


class Guard(Step[Any]):
    """The patience with one answer. It stands for each step in turn: a stream has one timer, moved on when it is due.

    Raises the 504 of `errors.slow` where the time is over.
    """

    _begun: bool = False
    """Whether the first piece has come."""
    _step: Step[Any] | None = None
    _task: asyncio.Task[Any] | None = None
    _timer: asyncio.TimerHandle | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: int = 0
    _at: float = 0.0
    _fired: bool = False

    def __init__(self, model: str, patience: Patience) -> None:
        now = monotonic()
        self._model = model
        self._patience = patience
        self._end = None if patience.total is None else now + patience.total
        self._until = self._end
        self._limit(now, patience.first)

    def over(self, flow: Flow[T], *, last: bool = False) -> Flow[T]:
        """A flow whose steps are taken under guard. `last`: after it nothing is waited for any more."""
        try:
            step = next(flow)
            while True:
                self._step = step
                try:
                    result = yield self
                except BaseException as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as done:
            answer: T = done.value
            return answer
        finally:
            if last:
                self.stop()

    def take(self, step: Step[T]) -> Flow[T]:
        """One step under guard."""
        self._step = step
        result: T = yield self
        return result

    def further(self) -> None:
        """The first piece has come: from now on each further one has its own time."""
        self._begun = True
        self._until = self._end
        self._limit(monotonic(), self._patience.between)

    def stop(self) -> None:
        """Nothing is waited for any more."""
        timer, self._timer = self._timer, None
        if timer is None or self._loop is None:
            return
        if get_ident() == self._thread:
            timer.cancel()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(timer.cancel)

    def perform(self, world: World) -> Any:
        step, until = self._step, self._until
        assert step is not None
        if until is None:
            return step.perform(world)
        left = until - monotonic()
        if left <= 0:
            raise self._slow()
        if isinstance(step, Await):
            return Await(self._within(step, left)).perform(world)
        return step.perform(world)

    async def _within(self, step: Await[Any], seconds: float) -> Any:
        try:
            return await asyncio.wait_for(step.awaitable, seconds)
        except TimeoutError:
            raise self._slow() from None

    async def aperform(self, world: World) -> Any:
        step, until = self._step, self._until
        assert step is not None
        if until is None:
            return await step.aperform(world)
        if step.__class__ is Send and world.keeps_time and self._as_long(step):  # type: ignore[arg-type]
            try:
                return await step.aperform(world)
            except APITimeoutError:
                if monotonic() < until - _MOMENT:
                    raise  # it was the connection that took too long
                raise self._slow() from None
        if in_trio():
            return await self._in_trio(step, world, until)
        task = self._task = asyncio.current_task()
        if self._timer is None or until < self._at:
            self._arm(until)
        try:
            return await step.aperform(world)
        except asyncio.CancelledError:
            if not self._fired:
                raise
            self._fired = False
            if task is not None and task.uncancel() > 0:
                raise  # whoever asked has left as well
            raise self._slow() from None
        finally:
            self._task = None

    def _as_long(self, step: Send) -> bool:
        """Whether the transport waits as long as the patience lasts, so that one timer is enough."""
        read = step.timeout.read if isinstance(step.timeout, Timeout) else None
        return read is not None and self._until is not None and read <= self._until - monotonic() + _MOMENT

    async def _in_trio(self, step: Step[Any], world: World, until: float) -> Any:
        import trio

        try:
            with trio.fail_after(max(until - monotonic(), 0)):
                return await step.aperform(world)
        except trio.TooSlowError:
            raise self._slow() from None

    def _limit(self, now: float, seconds: float | None) -> None:
        if seconds is not None and (self._until is None or now + seconds < self._until):
            self._until = now + seconds

    def _arm(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._loop = loop
        self._thread = get_ident()
        self._at = until
        self._timer = loop.call_later(max(until - monotonic(), 0), self._due)

    def _due(self) -> None:
        self._timer = None
        task, until = self._task, self._until
        if task is None or until is None:
            return  # nobody waits just now; the next step arms it again
        if until - monotonic() > _MOMENT:
            self._arm(until)
            return
        self._fired = True
        task.cancel()

    def _slow(self) -> APIStatusError:
        patience = self._patience
        if self._until == self._end:
            return slow(self._model, "the whole answer", patience.total)
        if self._begun:
            return slow(self._model, "the next piece of an answer", patience.between)
        return slow(self._model, "the beginning of an answer", patience.first)


def hurried(flow: Flow[T], seconds: float) -> Flow[T]:
    """A flow that waits for so many seconds at each step, whatever it would have waited for."""
    timeout = Timeout(seconds)

    def each(step: Step[Any]) -> Flow[Any]:
        if isinstance(step, Send):
            sooner = copy(step)
            sooner.timeout = timeout
            return (yield sooner)
        if isinstance(step, Await):
            return (yield Await(asyncio.wait_for(step.awaitable, seconds)))
        return (yield step)

    return through(flow, each)
