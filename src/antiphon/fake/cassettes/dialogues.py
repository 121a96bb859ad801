"""Websockets of a cassette: one that is recorded while it is held, and one that is held as it was recorded.

Of what the server has said, a message is said again once the client has said all that it had said before it then. So
nothing comes too early, and what overlapped may overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from ...kernel.dialogue import Goodbye, Turn, Unasked
from ...kernel.flow import Pause
from ..faults.behaviours import relayed
from .matching import renamed
from .messages import CLIENT, SERVER, Heard, compared, message_of, said_of

if TYPE_CHECKING:
    from ...kernel.dialogue import Dialogue
    from ...kernel.flow import Step
    from .matching import Candidate, Matcher, Sought
    from .recording import Recording

__all__ = ("Playing", "Taken", "Telling", "closing")

_LANE = "recording"
_GRACE = 0.1
"""Seconds in which a client may say more than was recorded, before a dialogue that has nothing more is closed."""


class Telling(NamedTuple):
    """What a dialogue that is played needs of its cassette."""

    matcher: Matcher
    clean: Callable[[Any], Any]
    """Scrubs a body."""
    speed: float
    again: bool
    """Whether what was played is played again."""
    missed: Callable[[Sought, Sought | None, Recording, int], bytes]
    """Told that a message is not as it was recorded: what is said to it."""
    silent: Callable[[Recording], bytes]
    """What is said of a recording in which the server says nothing, once there is nothing more to wait for."""
    live: Callable[[], Dialogue] | None
    """Opens the upstream, where what is not recorded is to be."""


class Playing:
    """A dialogue as it was recorded.

    Which of several recordings it is shows when the client says something, or when the server does.
    """

    def __init__(self, candidates: Sequence[Candidate], telling: Telling) -> None:
        self._candidates = list(candidates)
        self._telling = telling
        self._recording: Recording | None = None
        self._at = 0
        self._said = 0
        self._live: Dialogue | None = None
        self._speak: Callable[[Turn], None] | None = None
        self._over = False

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        self._speak = speak

    def begun(self) -> Turn | None:
        first = self._candidates[0]
        messages = first.recording.messages
        alone = len(self._candidates) == 1 and self._telling.live is None
        if alone or (messages and messages[0]["from"] == SERVER):
            self._take(first)
        return self._turn() if self._recording is not None else None

    def heard(self, message: bytes) -> Turn | None:
        if self._live is not None:
            return self._live.heard(message)
        if self._over:
            return None
        body = compared(self._telling.clean(message_of(message)))
        self._said += 1
        if self._recording is None:
            return self._first(body, message)
        recording = self._recording
        expected = recording.messages[self._at] if self._at < len(recording.messages) else None
        matcher = self._telling.matcher
        ours = matcher.message(recording, body, None)
        theirs = None if expected is None else self._recorded(recording, expected)
        if theirs is not None and matcher.meets(theirs, ours, recording):
            return self._turn(1)
        return self._miss(ours, theirs, recording)

    def ended(self) -> None:
        self._over = True
        if self._live is not None:
            self._live.ended()

    def _first(self, body: Mapping[str, Any], message: bytes) -> Turn | None:
        """The client speaks first: that says which recording it is, or that it is none."""
        matcher = self._telling.matcher
        near: tuple[float, Sought, Sought | None, Recording] | None = None
        for candidate in self._candidates:
            recording = candidate.recording
            ours = matcher.message(recording, body, None)
            begins = recording.messages[0] if recording.messages else None
            theirs = None if begins is None else self._recorded(recording, begins)
            if recording.played and not self._telling.again:  # by another connection, meanwhile
                theirs = None
            if theirs is not None and matcher.meets(theirs, ours, recording):
                self._take(candidate)
                return self._turn(1)
            far = float("inf") if theirs is None else matcher.distance(theirs, ours)
            if near is None or far < near[0]:
                near = far, ours, theirs, recording
        if self._telling.live is not None:
            return self._opened(message)
        assert near is not None, "there are candidates"
        _, ours, theirs, recording = near
        return self._miss(ours, theirs, recording)

    def _opened(self, message: bytes) -> Turn | None:
        """Go on with the upstream: nothing has been said yet."""
        assert self._telling.live is not None, "it is there"
        live = self._live = self._telling.live()
        if isinstance(live, Unasked) and self._speak is not None:
            live.may_speak(self._speak)
        turns = [turn for turn in (live.begun(), live.heard(message)) if turn is not None]
        return Turn(turns[-1].lane, _each(turns)) if turns else None

    def _recorded(self, recording: Recording, message: Mapping[str, Any]) -> Sought:
        matcher = self._telling.matcher
        return matcher.message(recording, self._telling.clean(compared(message)), recording.recorded)

    def _take(self, candidate: Candidate) -> None:
        self._recording = candidate.recording
        candidate.recording.heard = 0
        self._telling.matcher.take(candidate)

    def _miss(self, ours: Sought, theirs: Sought | None, recording: Recording) -> Turn:
        self._over = True
        return closing(self._telling.missed(ours, theirs, recording, self._said))

    def _turn(self, heard: int = 0) -> Turn | None:
        """What the server has said next, up to where the client has."""
        recording = self._recording
        assert recording is not None, "it is known which one it is"
        recording.heard += heard
        start = self._at + heard
        end = start
        messages = recording.messages
        while end < len(messages) and messages[end]["from"] == SERVER:
            end += 1
        self._at = end
        # Where the client spoke last it has left then, and one that waits now would wait for ever.
        left = not messages or messages[-1]["from"] != SERVER
        if end == len(messages) and left and not recording.closed:
            return Turn(_LANE, self._leaving(recording))
        closes = end == len(messages) and recording.closed
        return Turn(_LANE, self._saying(recording, messages[start:end], closes)) if end > start or closes else None

    def _saying(
        self, recording: Recording, messages: Sequence[Mapping[str, Any]], closes: bool
    ) -> Generator[bytes | Step[Any], Any, None]:
        speed, given = self._telling.speed, self._telling.matcher.replaced
        for message in messages:
            if speed and message.get("after"):
                yield Pause(message["after"] / speed)
            yield renamed(said_of(message, recording.layout), given())
        if closes:
            raise Goodbye

    def _leaving(self, recording: Recording) -> Generator[bytes | Step[Any], Any, None]:
        yield Pause(_GRACE)
        if self._over:  # the client has said more meanwhile, and is told that this was not recorded
            return
        if not any(each["from"] == SERVER for each in recording.messages):
            yield self._telling.silent(recording)
        raise Goodbye


def closing(message: bytes) -> Turn:
    """A last message, after which the connection is closed."""
    return Turn(_LANE, _last(message))


def _each(turns: Sequence[Turn]) -> Generator[Any, Any, None]:
    for turn in turns:
        yield from relayed(turn.said, lambda piece: (piece,))


def _last(message: bytes) -> Iterator[bytes]:
    yield message
    raise Goodbye


class Taken:
    """A dialogue that is recorded while it is held. `keep` is told what was said, and whether the server ended it."""

    def __init__(
        self, inner: Dialogue, now: Callable[[], float], keep: Callable[[list[Heard], bool, Taken], None]
    ) -> None:
        self.inner = inner
        self._now = now
        self._began = now()
        self._keep = keep
        self._heard: list[Heard] = []
        self._closed = False
        self._over = False
        self._ending = Lock()

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        if isinstance(self.inner, Unasked):
            self.inner.may_speak(lambda turn: speak(self._copied(turn) or turn))

    def begun(self) -> Turn | None:
        return self._copied(self.inner.begun())

    def heard(self, message: bytes) -> Turn | None:
        self._note(CLIENT, message)
        return self._copied(self.inner.heard(message))

    def ended(self) -> None:
        with self._ending:  # the cassette may end it before whoever holds it, and from another thread
            if self._over:
                return
            self._over = True
        self.inner.ended()
        self._keep(self._heard, self._closed, self)

    def _note(self, by: str, message: bytes) -> None:
        if not self._over:
            self._heard.append(Heard(self._now() - self._began, by, message))

    def _copied(self, turn: Turn | None) -> Turn | None:
        if turn is None:
            return None
        if isinstance(turn.said, list):  # what is there already is noted when it comes
            for message in turn.said:
                if isinstance(message, bytes):
                    self._note(SERVER, message)
            return turn
        return turn._replace(said=self._said(turn))

    def _said(self, turn: Turn) -> Generator[bytes | Step[Any], Any, None]:
        def feed(piece: bytes) -> tuple[bytes]:
            self._note(SERVER, piece)
            return (piece,)

        try:
            yield from relayed(turn.said, feed)
        except Goodbye:
            self._closed = True
            raise
