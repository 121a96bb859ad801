"""What is shown of a transcript, and what decides how it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from ...kernel.errors import OpenAIError

__all__ = (
    "LONGEST",
    "Fragment",
    "Settings",
    "Speaker",
    "TranscriptSegment",
    "TranscriptSegmentCloseReason",
    "TranscriptSegmentClosedEvent",
    "Update",
    "settings",
)

Speaker: TypeAlias = Literal["user", "assistant"]
TranscriptSegmentCloseReason: TypeAlias = Literal[
    "speaker_change", "inactivity", "timestamp_reset", "session_closed", "manual"
]

LONGEST = 2**31 - 1
"""The longest wait, in milliseconds: what timers of every platform take."""


@dataclass(frozen=True)
class TranscriptSegment:
    """What one speaker has said without the other taking over, as it stands now.

    Each update has the whole text: show it in place of what was shown for `id`. A segment is made for showing, it is
    no item of the session's conversation, and its times are those of the transcript, not of the sound.
    """

    id: str
    """Unique among the segments of all groupers of this process."""
    previous_id: str | None
    """The segment that was begun before this one."""
    speaker: Literal["user", "assistant"]
    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class TranscriptSegmentClosedEvent:
    """A segment to which nothing is added any more, and why."""

    segment: TranscriptSegment
    reason: TranscriptSegmentCloseReason


Update: TypeAlias = TranscriptSegment | TranscriptSegmentClosedEvent


class Fragment(NamedTuple):
    """Some words of a speaker, as the session sends them."""

    speaker: Speaker
    text: str
    start_ms: int
    end_ms: int


class Settings(NamedTuple):
    """Times in milliseconds, and what counts as a nod besides what always does."""

    min_turn_separation_ms: float
    assistant_silence_ms: float
    backchannel_max_duration_ms: float
    backchannel_isolation_ms: float
    additional_acknowledgments: tuple[str, ...]


_DEFAULTS = (500.0, 2000.0, 1000.0, 2000.0)


def settings(
    min_turn_separation_ms: float | None,
    assistant_silence_ms: float | None,
    backchannel_max_duration_ms: float | None,
    backchannel_isolation_ms: float | None,
    additional_acknowledgments: Sequence[str] | None,
) -> Settings:
    """Settings, with the defaults for what is `None`. Raises `OpenAIError` for what is no time."""
    given = (
        min_turn_separation_ms,
        assistant_silence_ms,
        backchannel_max_duration_ms,
        backchannel_isolation_ms,
    )
    times = [default if value is None else value for value, default in zip(given, _DEFAULTS, strict=True)]
    for name, value in zip(Settings._fields, times, strict=False):
        known: Any = value
        if isinstance(known, bool) or not isinstance(known, (int, float)) or not 0 <= known <= LONGEST:
            raise OpenAIError(f"{name} must be a finite number between 0 and {LONGEST}; it was {value!r}")
    separation, silence, longest, isolation = times
    return Settings(separation, silence, longest, isolation, tuple(additional_acknowledgments or ()))
