"""Live sessions: their transcripts, grouped by who speaks.

grouper = TranscriptGrouper()
grouper.on("segment.updated", lambda segment: show(segment.id, segment.speaker, segment.text))
for event in connection:
    grouper.push(event)

_segments.py   what a user is shown, and the settings
_floor.py      the policy: who has the floor, and which words are only a nod
_transcript.py events in, segments out, by a clock it is given
_groupers.py   the two colours: timers, locks, handlers
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.lazy import lazily

if TYPE_CHECKING:
    from ._groupers import AsyncTranscriptGrouper, TranscriptGrouper
    from ._segments import TranscriptSegment, TranscriptSegmentClosedEvent, TranscriptSegmentCloseReason

__all__ = (
    "AsyncTranscriptGrouper",
    "TranscriptGrouper",
    "TranscriptSegment",
    "TranscriptSegmentCloseReason",
    "TranscriptSegmentClosedEvent",
)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {name: "._groupers" if name.endswith("Grouper") else "._segments" for name in __all__},
    )
