"""Lanes: events are sorted by their `stream_id`, wait for whoever receives them, and make up responses.

Nothing here reads or writes. `Lanes` is safe for threads; its condition is notified whenever something changed, and
each lane's `changed` is called then.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import TYPE_CHECKING, Any

from ...kernel.view import View
from ..streaming._deltas import copied
from ._limits import ResponsesWebSocketBufferError, ResponsesWebSocketError, ResponsesWebSocketLimits

if TYPE_CHECKING:
    from ...types.responses.response import Response

__all__ = ("ENDS", "Lane", "Lanes", "field")

ENDS = frozenset(("response.completed", "response.failed", "response.incomplete"))
"""Types of the events that end a response."""

_OVER = ENDS | {"error"}
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_TOO_EARLY = "Consume the current response of this lane before the next is created: receive until it has ended"


def field(event: Any, name: str) -> Any:
    """A field of an event as it was sent; `None` where it has none."""
    data = event._data if isinstance(event, View) else event
    return data.get(name) if isinstance(data, dict) else None


class _Collected:
    """The response that the events of one lane make up.

    Only what the end of a response needs is kept: its finished items, for hosts that end it without them.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._size = 0
        self._items: dict[int, Any] = {}
        self.final: Response | None = None
        self.error: Exception | None = None

    def add(self, event: Any, size: int) -> None:
        kind = field(event, "type")
        if kind == "response.created":
            self.__init__(self._limit)  # type: ignore[misc]
        elif kind == "error":
            self._fail(ResponsesWebSocketError(event))
            self.final = None
            return
        ends = isinstance(kind, str) and kind in ENDS
        if self.error is not None or not (ends or kind in ("response.created", "response.output_item.done")):
            return
        self._size += size
        response = field(event, "response")
        if ends and not isinstance(response, dict):
            self._fail(ValueError(f"the event {kind} ends a response and has none"))
        elif self._limit is not None and self._size > self._limit:
            self._fail(ResponsesWebSocketBufferError(f"the response is more than max_response_bytes, {self._limit}"))
        elif ends:
            self._end(kind, response)
        elif kind == "response.output_item.done":
            index, item = field(event, "output_index"), field(event, "item")
            if isinstance(index, int) and isinstance(item, dict):
                self._items[index] = item

    def _end(self, kind: str, response: dict[str, Any]) -> None:
        from ...types.responses.response import Response
        from .._parsing._responses import parse_response

        data = copied(response)
        if data.get("output") is None:
            data["output"] = [copied(self._items[index]) for index in sorted(self._items)]
        final = Response.of(data)
        self.final = parse_response(text_format=_omit(), response=final, input_tools=[]) if _is_done(kind) else final
        self._items = {}
        self._size = 0

    def _fail(self, error: Exception) -> None:
        self.error = error
        self._items = {}
        self._size = 0


def _omit() -> Any:
    from ...kernel.omit import omit

    return omit


def _is_done(kind: str) -> bool:
    return kind == "response.completed"


class _Load:
    """How many events wait, and of how many bytes."""

    __slots__ = ("bytes", "events")

    def __init__(self) -> None:
        self.events = self.bytes = 0

    def change(self, events: int, size: int) -> None:
        self.events += events
        self.bytes += size

    def fits(self, size: int, most_events: int, most_bytes: int) -> bool:
        """Whether there is room for one more event."""
        return self.events < most_events and self.bytes + size <= most_bytes


class _Backlog:
    """The events that wait in a lane, which the load of the whole session counts, too."""

    __slots__ = ("_events", "_session", "load")

    def __init__(self, session: _Load) -> None:
        self.load, self._session = _Load(), session
        self._events: deque[tuple[Any, int]] = deque()

    def _change(self, events: int, size: int) -> None:
        self.load.change(events, size)
        self._session.change(events, size)

    def put(self, event: Any, size: int) -> None:
        self._events.append((event, size))
        self._change(1, size)

    def take(self) -> tuple[Any, int]:
        event, size = self._events.popleft()
        self._change(-1, -size)
        return event, size

    def drop(self) -> None:
        self._change(-self.load.events, -self.load.bytes)
        self._events.clear()


class Lane:
    """What waits for one receiver."""

    def __init__(self, stream_id: str | None, limit: int | None, session: _Load) -> None:
        self.stream_id = stream_id
        self.changed: Callable[[], object] = lambda: None
        self.backlog = _Backlog(session)
        self.closed = False
        self.closed_over = -1
        """Which connection it was closed over."""
        self.failure: ResponsesWebSocketBufferError | None = None
        self.in_flight = False
        """Whether a response was asked for or begun whose end was not received yet."""
        self.begun = 0
        """How many responses have arrived,"""
        self.received = 0
        """and how many were received."""
        self._limit = limit
        self.collected = _Collected(limit)

    def over(self) -> Exception | None:
        """Why nothing is received here any more, where that is so."""
        return self.failure or (EOFError("the lane is detached: it was closed") if self.closed else None)

    def leave(self, connection: int) -> bool:
        """Be closed over a connection, and forget what waits; whether it was still open."""
        left, self.closed = not self.closed, True
        if left:
            self.closed_over = connection
            self.collected = _Collected(self._limit)
            self.backlog.drop()
        return left

    def ask(self) -> None:
        """A response is asked for. Raises `RuntimeError` where another is under way."""
        if self.in_flight:
            raise RuntimeError(_TOO_EARLY)
        self.in_flight, self.collected = True, _Collected(self._limit)

    def next(self) -> Any:
        """The event that waits longest; `None` where none does."""
        if not self.backlog.load.events:
            return None
        event, size = self.backlog.take()
        if self.owns(event):
            self.collected.add(event, size)
            self._advance(field(event, "type"))
        return event

    def _advance(self, kind: object) -> None:
        if kind == "response.created":
            self.received += 1
            self.in_flight = True
        elif kind in _OVER:
            self.in_flight = self.begun > self.received

    def owns(self, event: Any) -> bool:
        return bool(field(event, "stream_id") == self.stream_id)

    def holds(self, limits: ResponsesWebSocketLimits, size: int) -> bool:
        """Whether an event of this size has room in it."""
        return self.backlog.load.fits(size, limits.max_events_per_lane, limits.max_bytes_per_lane)


class Lanes:
    """All lanes of a session. `connections` tells how many connections there have been."""

    def __init__(
        self, limits: ResponsesWebSocketLimits, connections: Callable[[], int], *, isolate_lane_overflow: bool = False
    ) -> None:
        self.limits = limits
        self.condition = Condition()
        self.ended = False
        self.error: BaseException | None = None
        self._connections = connections
        self._isolated = isolate_lane_overflow
        self._lanes: dict[str | None, Lane] = {}
        self._load = _Load()
        self.default = self.register(None)

    # Lanes

    def register(self, stream_id: object) -> Lane:
        """A new lane. Raises `ValueError` for a name that is taken or is none, `ResponsesWebSocketBufferError` where
        there are `max_lanes`, and `RuntimeError` after the end.
        """
        if stream_id is not None and not (isinstance(stream_id, str) and _NAME.fullmatch(stream_id)):
            raise ValueError(
                f"a stream_id is None or 1 to 256 of the characters A-Z, a-z, 0-9, _, - and .; it was {stream_id!r}"
            )
        with self.condition:
            if self.ended:
                raise RuntimeError("the session has ended: it has no more lanes")
            self._renew()
            if stream_id in self._lanes:
                raise ValueError(f"the lane {stream_id!r} is already registered, closed or not")
            if len(self._lanes) >= self.limits.max_lanes:
                raise ResponsesWebSocketBufferError(f"the session has all of its max_lanes, {self.limits.max_lanes}")
            lane = self._lanes[stream_id] = Lane(stream_id, self.limits.max_response_bytes, self._load)
            if stream_id is None:
                self.default = lane
            return lane

    def detach(self, lane: Lane) -> None:
        """Close a lane and forget what waits in it.

        Its name stays taken until there is another connection: the server may still have something to say to it, such
        as what follows a response that was steered.
        """
        with self.condition:
            if lane.leave(self._connections()):
                self._notify(lane)

    def _renew(self) -> None:
        """Give back the names of lanes that were closed over a connection that is no more."""
        now = self._connections()
        for name in [name for name, lane in self._lanes.items() if lane.closed and lane.closed_over != now]:
            del self._lanes[name]

    def _fail(self, lane: Lane) -> None:
        if not lane.closed:
            lane.failure = ResponsesWebSocketBufferError("the lane exceeded the limits of its buffered events")
            self.detach(lane)

    def finish(self, error: BaseException | None = None) -> None:
        """Nothing arrives any more. What waits can still be received; then there is `error`."""
        with self.condition:
            self.ended = True
            if self.error is None:
                self.error = error
            for lane in (self.default, *self._lanes.values()):
                lane.changed()
            self.condition.notify_all()

    def _notify(self, lane: Lane) -> None:
        lane.changed()
        self.condition.notify_all()

    # Events

    def dispatch(self, event: Any, size: int) -> None:
        """Have an event wait in its lane. Raises `ResponsesWebSocketBufferError` where there is no room for it."""
        with self.condition:
            if self.ended:
                return
            self._renew()
            lane = self._lane_of(event)
            if lane is None:
                return
            most_events, most_bytes = self.limits.max_events, self.limits.max_bytes
            room = lane.holds(self.limits, size)
            if self._isolated:
                if not room or size > most_bytes:
                    self._fail(lane)
                    return
            elif not room or not self._load.fits(size, most_events, most_bytes):
                raise ResponsesWebSocketBufferError("the session exceeded the limits of its buffered events")
            if field(event, "type") == "response.created" and lane.owns(event):
                lane.begun += 1
                lane.in_flight = True
            lane.backlog.put(event, size)
            self._make_room(lane, size)
            self._notify(lane)

    def _lane_of(self, event: Any) -> Lane | None:
        """Where an event goes: what nobody else has a claim to, the default lane shows."""
        name = field(event, "stream_id")
        lane = self._lanes.get(name, self.default) if isinstance(name, str) else self.default
        if lane.failure is not None:
            return None
        if lane.closed:
            lane = self.default
        return None if lane.closed else lane

    def _make_room(self, newest: Lane, size: int) -> None:
        """Give up the lanes that were furthest behind already, where all of them together hold too much."""
        while self._load.events > self.limits.max_events or self._load.bytes > self.limits.max_bytes:
            heavy = self._load.bytes > self.limits.max_bytes

            def behind(lane: Lane, heavy: bool = heavy) -> int:
                load = lane.backlog.load
                waits, newly = (load.bytes, size) if heavy else (load.events, 1)
                return waits - newly if lane is newest else waits

            furthest = max(self._lanes.values(), key=behind)
            self._fail(furthest if behind(furthest) > 0 else newest)

    def take(self, lane: Lane) -> Any:
        """The next event of a lane; `None` where it is still to come. The condition has to be held.

        Raises the lane's failure, the session's error, and `EOFError` where a lane or the connection was closed.
        """
        over: BaseException | None = lane.over()
        event = lane.next() if over is None else None
        if event is None and self.ended:
            over = over or self.error or EOFError("The WebSocket connection closed")
        if over is not None:
            raise over
        return event

    def check(self, lane: Lane) -> None:
        """Raises `RuntimeError` where nothing may be sent in a lane any more."""
        if self.ended or lane.closed:
            raise RuntimeError("the session or its lane is not active: it was closed, or the connection is gone")

    def begin(self, lane: Lane, creates: bool) -> None:
        """A command is about to be sent. Raises `RuntimeError` where it must not be."""
        with self.condition:
            self.check(lane)
            if creates:
                lane.ask()

    # Responses

    def awaited(self, lane: Lane) -> int:
        """How many responses have to be received before the one that is asked for: where the end of one was received
        and the next has arrived, that is the next.
        """
        with self.condition:
            return lane.received + (lane.collected.final is not None and lane.begun > lane.received)

    def final(self, lane: Lane, awaited: int) -> Response | None:
        """The response; `None` where more has to be received. Raises what it failed with."""
        with self.condition:
            if lane.failure is not None:
                raise lane.failure
            if lane.received < awaited:
                return None
            if lane.collected.final is None and lane.collected.error is not None:
                raise lane.collected.error
            return lane.collected.final
