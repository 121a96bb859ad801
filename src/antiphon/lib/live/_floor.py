"""Who has the floor. Words in, segments out; no clock, no handlers.

One speaker has the floor, and a segment is what is said from taking it to losing it. When the user speaks, the floor
is the user's at once. When the assistant speaks into what the user is saying, its words wait aside until it is clear
what they are: the assistant's turn, or a nod ("mhm", "okay") that is dropped so that the user's words stay in one
piece. A nod is short, comes while the user speaks or has just spoken, and is followed by nothing of the assistant's;
it is one for sure when the user goes on past it. Words that wait are always the assistant's, and the user has the
floor meanwhile.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from ._segments import (
    Fragment,
    Settings,
    Speaker,
    TranscriptSegment,
    TranscriptSegmentClosedEvent,
    TranscriptSegmentCloseReason,
    Update,
)

__all__ = ("Floor",)

# What other clients of the API take for whitespace: ECMAScript's, which is neither Python's nor Unicode's.
_SPACE = "\t\n\v\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_BLANKS = re.compile(f"[{_SPACE}]+")
_EDGES = re.compile(rf"""^[{_SPACE}.,!?;:"'()\[\]{{}}]+|[{_SPACE}.,!?;:"'()\[\]{{}}]+$""")

_NODS = frozenset(
    "aha,alright,gotcha,hm,hmm,mhm,mm,mm hmm,okay,ok,right,sure,uh huh,yeah,yep,yes".split(","),
)


def _spoken(text: str) -> str:
    """A text as it is compared: without case, hyphens, and what stands around the words."""
    return _BLANKS.sub(" ", _EDGES.sub("", text.lower().replace("-", " ")))


@dataclass
class _Turn:
    speaker: Speaker
    text: str
    start: int
    end: int
    droppable: bool = True
    """Whether these words, while they wait, may turn out to be a nod."""
    id: str = ""
    previous: str | None = None

    def add(self, words: Fragment, *, apart: bool = False) -> None:
        # Words that were said around somebody else's may come without the space between them.
        joint = apart and _is_word(self.text[-1:]) and _is_word(words.text[:1])
        self.text += f" {words.text}" if joint else words.text
        self.end = max(self.end, words.end_ms)

    def shown(self) -> TranscriptSegment:
        return TranscriptSegment(self.id, self.previous, self.speaker, self.text, self.start, self.end)


def _turn(words: Fragment, *, droppable: bool = True) -> _Turn:
    return _Turn(words.speaker, words.text, words.start_ms, words.end_ms, droppable)


def _is_word(character: str) -> bool:
    return bool(character) and unicodedata.category(character)[0] in "LN"


class Floor:
    """The turns of one session. Times are milliseconds of its transcript."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._nods = _NODS | {nod for nod in map(_spoken, settings.additional_acknowledgments) if nod}
        self._name = name
        self._count = 0
        self._last: str | None = None
        self._now: _Turn | None = None
        """The turn of who has the floor."""
        self._aside: _Turn | None = None
        """What the assistant said meanwhile."""
        self._silent_since: int | None = None
        """When the assistant's last turn ended."""

    @property
    def speaker(self) -> Speaker | None:
        """Who has the floor."""
        return None if self._now is None else self._now.speaker

    def hear(self, fragments: list[Fragment]) -> list[Update]:
        """Take in words that were said at the same time: one fragment or several."""
        first = self.speaker or "user"
        ordered = sorted(fragments, key=lambda words: words.speaker != first)
        start = ordered[0].start_ms
        updates: list[Update] = []
        while (due := self.deadline()) is not None and due < start:
            updates += self.wait(due)
        speakers = {words.speaker for words in ordered}
        if self._now is not None and self._now.speaker not in speakers:
            updates += self.wait(start, answered="user" in speakers)
        for words in ordered:
            updates += self._take(words)
        return updates

    def deadline(self) -> float | None:
        """When something is decided although nobody says anything; `None` where nothing is open."""
        if self._now is None:
            return None
        if self._aside is not None:
            apart = self._now.end + self._settings.min_turn_separation_ms
            return max(apart, self._isolated_at(self._aside)) if self._is_open(self._now, self._aside) else apart
        return self._now.end + self._settings.assistant_silence_ms if self._now.speaker == "assistant" else None

    def wait(self, time: float, *, answered: bool = False) -> list[Update]:
        """Let it be `time`. `answered`: the user is about to speak, so the assistant is not merely silent."""
        due = self.deadline()
        if self._now is None or due is None or time < due:
            return []
        if self._aside is not None:
            aside, self._aside = self._aside, None
            return [] if self._is_nod(self._now, aside, time) else self._hand_over(aside)
        return [] if answered else self._close_now("inactivity")

    def close(self, time: float, reason: TranscriptSegmentCloseReason) -> list[Update]:
        """End every turn."""
        now, aside, self._aside = self._now, self._aside, None
        if aside is not None and now is not None and self._is_nod(now, aside, time):
            aside = None
        updates = self._close_now(reason)
        if aside is not None:
            self._now = aside
            updates += self._show(aside)
            updates += self._close_now(reason)
        if reason == "timestamp_reset":
            self._silent_since = None
        return updates

    # Words

    def _take(self, words: Fragment) -> list[Update]:
        now = self._now
        if now is None:
            self._now = now = _turn(words)
            return self._show(now)
        if words.speaker == now.speaker:
            now.add(words, apart=self._aside is not None)
            return self._show(now)
        return self._hand_over(_turn(words)) if words.speaker == "user" else self._take_aside(now, words)

    def _take_aside(self, now: _Turn, words: Fragment) -> list[Update]:
        """Words of the assistant while the user has the floor."""
        if self._aside is not None and self._went_on(now, self._aside):
            self._aside = None
        aside = self._aside
        said = _spoken((aside.text if aside is not None else "") + words.text)
        begun = words.start_ms if aside is None else aside.start
        short = words.end_ms - begun < self._settings.backchannel_max_duration_ms
        if words.start_ms - now.end < self._settings.min_turn_separation_ms:
            droppable = short and bool(said) and any(nod.startswith(said) for nod in self._nods)
        elif short and said in self._nods:
            # Said after the user was done, it answers rather than nods; what was said before is judged anew.
            droppable = aside is not None
        else:
            self._aside = None
            if aside is not None and self._is_nod(now, aside, words.start_ms):
                aside = None
            if aside is not None:
                aside.add(words)
            return self._hand_over(aside or _turn(words))
        if aside is None:
            self._aside = _turn(words, droppable=droppable)
        else:
            aside.add(words)
            aside.droppable = droppable
        return []

    # Nods

    def _is_short(self, aside: _Turn) -> bool:
        return aside.droppable and aside.end - aside.start < self._settings.backchannel_max_duration_ms

    def _went_on(self, now: _Turn, aside: _Turn) -> bool:
        """Whether the user spoke on over a nod."""
        return self._is_short(aside) and now.end > aside.end

    def _belongs(self, now: _Turn, aside: _Turn) -> bool:
        """Whether words are the end of what the assistant said just before the user began."""
        since = self._silent_since
        if since is None or aside.start > now.start:
            return False
        return aside.start - since < self._settings.backchannel_isolation_ms

    def _isolated_at(self, aside: _Turn) -> float:
        return aside.end + self._settings.backchannel_isolation_ms

    def _is_open(self, now: _Turn, aside: _Turn) -> bool:
        """Whether only what comes next tells if this is a nod."""
        return self._is_short(aside) and now.end <= aside.end and not self._belongs(now, aside)

    def _is_nod(self, now: _Turn, aside: _Turn, until: float) -> bool:
        """Whether it is a nod, where the assistant has said nothing more `until` then."""
        if self._went_on(now, aside):
            return True
        return self._is_open(now, aside) and until >= self._isolated_at(aside)

    # Turns

    def _hand_over(self, turn: _Turn) -> list[Update]:
        updates = self._close_now("speaker_change")
        self._now = turn
        return updates + self._show(turn)

    def _show(self, turn: _Turn) -> list[Update]:
        if not turn.id:
            turn.id = f"{self._name}_{self._count}"
            turn.previous, self._last = self._last, turn.id
            self._count += 1
        return [turn.shown()]

    def _close_now(self, reason: TranscriptSegmentCloseReason) -> list[Update]:
        now, self._now = self._now, None
        if now is None:
            return []
        if now.speaker == "assistant":
            self._silent_since = now.end
        return [TranscriptSegmentClosedEvent(now.shown(), reason)]
