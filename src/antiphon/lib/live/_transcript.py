"""The events of a session in, updates of segments out, by a clock that is given. No timers, no locks, no handlers.

Both speakers' words for the same stretch of time come as two events, in either order. So words of whoever does not have
the floor are held back for a moment, until their counterpart is here or does not come.

How long nobody has spoken is told by the clock: the time of the transcript is that of its latest words, and as much
later as they have been here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ...kernel.errors import OpenAIError
from ._floor import Floor
from ._segments import LONGEST, Fragment, Settings, Speaker, Update

if TYPE_CHECKING:
    from ...types.live.server_event import ServerEvent

__all__ = ("Transcript",)

HELD = 50.0
"""How long words wait for those that were said at the same time, in milliseconds."""

_SPEAKERS: dict[Any, Speaker] = {
    "session.input_transcript.delta": "user",
    "session.output_transcript.delta": "assistant",
}
_EXACT = 2**53 - 1
"""The largest number that every JSON reader takes for what it is."""

_names = count()


class _Held(NamedTuple):
    words: Fragment
    at: float


class Transcript:
    """What was said in a session. One caller at a time."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        self._now = now
        self._floor = Floor(settings, f"segment_{next(_names)}")
        self._known: set[str] = set()
        self._held: list[_Held] = []
        self._latest: tuple[float, float] | None = None
        """A time of the transcript, and when it was."""
        self._begun = -1
        """When the words that were heard last began."""
        self.closed = False

    def push(self, event: ServerEvent) -> list[Update] | None:
        """Take an event: its updates, or `None` where it has nothing to say about the transcript.

        Raises `OpenAIError` for words that cannot be placed, and after the end.
        """
        if self.closed:
            raise OpenAIError("a transcript grouper takes no events after closing")
        kind: Any = event.type
        if kind == "session.closed":
            return self.finish("session_closed")
        speaker = _SPEAKERS.get(kind) if isinstance(kind, str) else None
        if speaker is None:
            return None
        name, words = _read(event, speaker)
        if name in self._known:
            return None
        self._known.add(name)
        return self._arrived(words) if words.text else None

    def finish(self, reason: Literal["manual", "session_closed"]) -> list[Update]:
        """The end, once."""
        if self.closed:
            return []
        self.closed = True
        updates = self._release()
        updates += self._floor.close(self._time(), reason)
        self._known.clear()
        return updates

    def tick(self) -> list[Update]:
        """What follows from the time that has passed."""
        if self._held and self._held[0].at + HELD > self._now():
            return []
        updates = self._release()
        return updates + self._floor.wait(self._time())

    def delay(self) -> int | None:
        """Milliseconds until the next `tick`; `None` where there is nothing to wait for."""
        if self.closed:
            return None
        if self._held:
            left = self._held[0].at + HELD - self._now()
        else:
            due = self._floor.deadline()
            if due is None:
                return None
            left = due - self._time()
        return min(LONGEST, max(0, math.ceil(left)))

    def _arrived(self, words: Fragment) -> list[Update]:
        arrival = _Held(words, self._now())
        updates: list[Update] = []
        if self._held and self._held[0].words[2:] == words[2:]:
            self._held.append(arrival)
            if any(each.words.speaker != words.speaker for each in self._held):
                updates = self._release()
            return updates
        updates = self._release()
        if self._floor.speaker == words.speaker:
            updates += self._hear([arrival])
        else:
            self._held.append(arrival)
        return updates

    def _release(self) -> list[Update]:
        held, self._held = self._held, []
        return self._hear(held) if held else []

    def _hear(self, arrivals: list[_Held]) -> list[Update]:
        begun = arrivals[0].words.start_ms
        updates: list[Update] = []
        if begun < self._begun:
            # The session counts anew.
            updates = self._floor.close(self._time(), "timestamp_reset")
            self._latest = None
        self._begun = begun
        known = 0.0 if self._latest is None else self._latest[0]
        self._latest = (max(known, *(each.words.end_ms for each in arrivals)), max(each.at for each in arrivals))
        return updates + self._floor.hear([each.words for each in arrivals])

    def _time(self) -> float:
        if self._latest is None:
            return 0.0
        time, at = self._latest
        return time + max(0.0, self._now() - at)


def _read(event: Any, speaker: Speaker) -> tuple[str, Fragment]:
    name, text = getattr(event, "event_id", None), getattr(event, "delta", None)
    start, end = (_milliseconds(getattr(event, field, None)) for field in ("start_ms", "end_ms"))
    if (
        not (isinstance(name, str) and name and isinstance(text, str))
        or start is None
        or end is None
        or not 0 <= start <= end
    ):
        raise OpenAIError(
            f"Invalid {event.type}: it needs an event_id, a delta that is text, and whole milliseconds with "
            "0 <= start_ms <= end_ms"
        )
    return name, Fragment(speaker, text, start, end)


def _milliseconds(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _EXACT:
        return None
    return int(value) if int(value) == value else None
