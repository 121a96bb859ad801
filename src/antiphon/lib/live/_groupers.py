"""Groupers: a transcript with timers and handlers, blocking and in an event loop.

What a transcript says is queued and delivered in its order by one at a time: whoever pushes while somebody delivers
leaves it to them. So handlers never run at the same time, never under a lock, and may push and close themselves.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar, overload

from ...kernel.errors import OpenAIError
from ._segments import TranscriptSegment, TranscriptSegmentClosedEvent, settings
from ._transcript import Transcript

if TYPE_CHECKING:
    from types import TracebackType

    from ...types.live.server_event import ServerEvent
    from ._segments import Update

__all__ = ("AsyncTranscriptGrouper", "TranscriptGrouper")

R = TypeVar("R")
Updated = Callable[[TranscriptSegment], R]
Closed = Callable[[TranscriptSegmentClosedEvent], R]
_Kind = Literal["segment.updated", "segment.closed"]


class _Timer(Protocol):
    def cancel(self) -> None: ...


class _Grouper(Generic[R]):
    """What is the same in both colours."""

    def __init__(
        self,
        *,
        min_turn_separation_ms: float | None = None,
        assistant_silence_ms: float | None = None,
        backchannel_max_duration_ms: float | None = None,
        backchannel_isolation_ms: float | None = None,
        additional_acknowledgments: Sequence[str] | None = None,
    ) -> None:
        self._state = Transcript(
            settings(
                min_turn_separation_ms,
                assistant_silence_ms,
                backchannel_max_duration_ms,
                backchannel_isolation_ms,
                additional_acknowledgments,
            ),
            self._now,
        )
        self._updates: deque[Update] = deque()
        self._timer: _Timer | None = None
        self._armed: object = None
        """What the timer that counts says when it fires."""
        self._due = 0.0
        self._handlers: dict[str, tuple[tuple[Callable[[Any], R], bool], ...]] = {}
        self._handling = threading.Lock()

    # Handlers

    @overload
    def on(self, event_type: Literal["segment.updated"], handler: Updated[R]) -> Self: ...
    @overload
    def on(self, event_type: Literal["segment.closed"], handler: Closed[R]) -> Self: ...
    @overload
    def on(self, event_type: Literal["segment.updated"]) -> Callable[[Updated[R]], Updated[R]]: ...
    @overload
    def on(self, event_type: Literal["segment.closed"]) -> Callable[[Closed[R]], Closed[R]]: ...
    def on(self, event_type: _Kind, handler: Callable[[Any], R] | None = None) -> Any:
        """Call a function with every segment as it grows, or as it is closed. Without `handler` it is a decorator.

        A handler that is added twice is called twice.
        """
        return self._add(event_type, handler, False)

    @overload
    def once(self, event_type: Literal["segment.updated"], handler: Updated[R]) -> Self: ...
    @overload
    def once(self, event_type: Literal["segment.closed"], handler: Closed[R]) -> Self: ...
    @overload
    def once(self, event_type: Literal["segment.updated"]) -> Callable[[Updated[R]], Updated[R]]: ...
    @overload
    def once(self, event_type: Literal["segment.closed"]) -> Callable[[Closed[R]], Closed[R]]: ...
    def once(self, event_type: _Kind, handler: Callable[[Any], R] | None = None) -> Any:
        """`on`, for the next such event only."""
        return self._add(event_type, handler, True)

    def off(self, event_type: _Kind, handler: Callable[[Any], R]) -> Self:
        """Take back one `on` or `once`, where there was one."""
        with self._handling:
            left = list(self._handlers.get(event_type, ()))
            for index, (each, _) in enumerate(left):
                if each == handler:
                    del left[index]
                    break
            self._handlers[event_type] = tuple(left)
        return self

    def _add(self, event_type: str, handler: Callable[[Any], R] | None, once: bool) -> Any:
        def add(function: Callable[[Any], R]) -> Callable[[Any], R]:
            with self._handling:
                self._handlers[event_type] = (*self._handlers.get(event_type, ()), (function, once))
            return function

        if handler is None:
            return add
        add(handler)
        return self

    def _take(self, update: Update) -> list[Callable[[Any], R]]:
        """The handlers of an update; those that are called once are gone then."""
        kind = "segment.updated" if isinstance(update, TranscriptSegment) else "segment.closed"
        with self._handling:
            found = self._handlers.get(kind, ())
            self._handlers[kind] = tuple(each for each in found if not each[1])
        return [handler for handler, _ in found]

    # Time

    def _now(self) -> float:
        """The clock, in milliseconds."""
        return monotonic() * 1000

    def _call_later(self, delay_ms: int, callback: Callable[[], None]) -> _Timer:
        raise NotImplementedError

    def _fired(self, own: object) -> None:
        raise NotImplementedError

    def _arm(self) -> None:
        """See to it that something happens when the transcript wants it. A timer that fires too early is left alone:
        most words only put off what is due.
        """
        delay = self._state.delay()
        if delay is None:
            self._disarm()
            return
        due = self._now() + delay
        if self._timer is not None and self._due <= due:
            return
        self._disarm()
        own = object()
        self._armed, self._due = own, due
        self._timer = self._call_later(delay, lambda: self._fired(own))

    def _disarm(self) -> None:
        self._armed = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What changes the transcript. Each says whether there may be something to tell.

    def _took(self, event: ServerEvent) -> bool:
        updates = self._state.push(event)
        if updates is None:
            return False
        self._updates.extend(updates)
        self._arm()
        return True

    def _ended(self) -> bool:
        self._updates.extend(self._state.finish("manual"))
        self._disarm()
        return True

    def _rang(self, own: object) -> bool:
        """A timer has fired, perhaps not the one that counts."""
        if self._armed is not own or self._state.closed:
            return False
        self._timer = None
        self._updates.extend(self._state.tick())
        self._arm()
        return True

    def _waiting(self) -> Iterator[Update]:
        """What is to be told, until nothing is. One at a time takes from it."""
        while self._updates:
            yield self._updates.popleft()


class TranscriptGrouper(_Grouper[None]):
    """Groups the words of a live session into segments by who speaks, for a display.

    Push every event; only transcripts and the end of the session count. A short nod of the assistant into what the user
    says is left out, so this is no record of every word; `backchannel_max_duration_ms=0` leaves out none.

    - `min_turn_separation_ms`: how long after the user's words the assistant's are an answer (500).
    - `assistant_silence_ms`: how long the assistant is silent before its segment is closed (2000).
    - `backchannel_max_duration_ms`, `backchannel_isolation_ms`: how long a nod lasts at most (1000), and for how long
      nothing follows it (2000).
    - `additional_acknowledgments`: what is a nod besides "okay", "mhm" and the like; case, hyphens and surrounding
      punctuation do not matter.

    One grouper a session. It owns no connection: close it, or leave its `with` block, when the session is over.
    Handlers run where an event is pushed, or in a thread of a timer; never two at a time. Raises `OpenAIError` for
    settings that are no times.
    """

    def __init__(
        self,
        *,
        min_turn_separation_ms: float | None = None,
        assistant_silence_ms: float | None = None,
        backchannel_max_duration_ms: float | None = None,
        backchannel_isolation_ms: float | None = None,
        additional_acknowledgments: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            min_turn_separation_ms=min_turn_separation_ms,
            assistant_silence_ms=assistant_silence_ms,
            backchannel_max_duration_ms=backchannel_max_duration_ms,
            backchannel_isolation_ms=backchannel_isolation_ms,
            additional_acknowledgments=additional_acknowledgments,
        )
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        """Held by whoever calls handlers."""

    def push(self, event: ServerEvent) -> None:
        """Take an event, and call the handlers with what follows from it. Raises what they raise, and `OpenAIError`,
        with nothing changed, for a transcript without its text or times and after `close`.
        """
        self._after(lambda: self._took(event))

    def close(self) -> None:
        """Close every segment; again does nothing. The connection stays as it is."""
        self._after(self._ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call_later(self, delay_ms: int, callback: Callable[[], None]) -> _Timer:
        timer = threading.Timer(delay_ms / 1000, callback)
        timer.daemon = True
        timer.start()
        return timer

    def _fired(self, own: object) -> None:
        self._after(lambda: self._rang(own))

    def _after(self, change: Callable[[], bool]) -> None:
        """Change the transcript, and tell the handlers what came of it."""
        with self._lock:
            changed = change()
        # Whose turn it is looks once more after having given it up: what came in between is not left lying.
        while changed and self._updates and self._turn.acquire(blocking=False):
            try:
                for update in self._waiting():
                    for handler in self._take(update):
                        handler(update)
            finally:
                self._turn.release()


class _Delivery:
    """A task that calls handlers, and how many wait for it, to be told what a handler raises."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Coroutine[Any, Any, None]) -> None:
        self.waiting = 0
        self.loop = loop
        self.task = loop.create_task(deliver)
        self.task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.waiting:
            context = {"message": "a handler of a live transcript failed", "exception": error, "task": task}
            self.loop.call_exception_handler(context)


class AsyncTranscriptGrouper(_Grouper[Awaitable[None] | None]):
    """`TranscriptGrouper` for an event loop: `await` its `push` and `close`, or use `async with`.

    Handlers may be coroutine functions; they run in the loop, one after the other. What one raises is raised where an
    event was pushed; after a timer it goes to the loop's exception handler. Raises `OpenAIError` in another loop than
    the first.
    """

    def __init__(
        self,
        *,
        min_turn_separation_ms: float | None = None,
        assistant_silence_ms: float | None = None,
        backchannel_max_duration_ms: float | None = None,
        backchannel_isolation_ms: float | None = None,
        additional_acknowledgments: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            min_turn_separation_ms=min_turn_separation_ms,
            assistant_silence_ms=assistant_silence_ms,
            backchannel_max_duration_ms=backchannel_max_duration_ms,
            backchannel_isolation_ms=backchannel_isolation_ms,
            additional_acknowledgments=additional_acknowledgments,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._delivery: _Delivery | None = None

    async def push(self, event: ServerEvent) -> None:
        """Take an event, and call the handlers with what follows from it. See `TranscriptGrouper.push`.

        When this is cancelled, the handlers still get what they were to get.
        """
        self._at_home()
        if self._took(event):
            await self._dispatch()

    async def close(self) -> None:
        """Close every segment; again does nothing. The connection stays as it is."""
        self._at_home()
        if self._ended():
            await self._dispatch()

    async def __aenter__(self) -> Self:
        self._at_home()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _at_home(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise OpenAIError("an AsyncTranscriptGrouper is used in the event loop where it was first used")
        self._loop = loop
        return loop

    def _call_later(self, delay_ms: int, callback: Callable[[], None]) -> _Timer:
        return self._at_home().call_later(delay_ms / 1000, callback)

    def _fired(self, own: object) -> None:
        if self._rang(own):
            self._begin()

    def _begin(self) -> _Delivery | None:
        """What delivers; `None` where there is nothing to deliver."""
        running = self._delivery
        if running is not None and not running.task.done():
            return running
        self._delivery = _Delivery(self._at_home(), self._deliver()) if self._updates else None
        return self._delivery

    async def _dispatch(self) -> None:
        delivery = self._begin()
        if delivery is None or delivery.task is asyncio.current_task():
            return
        delivery.waiting += 1
        try:
            # Not awaited itself: who is cancelled here does not take a handler along.
            await asyncio.wait((delivery.task,))
        finally:
            delivery.waiting -= 1
        delivery.task.result()

    async def _deliver(self) -> None:
        for update in self._waiting():
            for handler in self._take(update):
                answer = handler(update)
                if isinstance(answer, Awaitable):
                    await answer
