"""What was said, and when: words and segments spread over the time of a recording, as JSON and as subtitles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from . import tokens

__all__ = ("Segment", "Transcript", "Word", "diarized", "srt", "verbose", "vtt")

_LONGEST: Final = 12
"""So many words has a segment at the most."""

LANGUAGES: Final = {
    "ar": "arabic", "de": "german", "en": "english", "es": "spanish", "fr": "french", "hi": "hindi", "it": "italian",
    "ja": "japanese", "ko": "korean", "nl": "dutch", "pl": "polish", "pt": "portuguese", "ru": "russian",
    "sv": "swedish", "tr": "turkish", "uk": "ukrainian", "zh": "chinese",
}  # fmt: skip
"""Languages by their codes, as the API names them; others are told by their code."""


class Word(NamedTuple):
    word: str
    start: float
    end: float


class Segment(NamedTuple):
    words: list[Word]

    @property
    def text(self) -> str:
        return " ".join(word.word for word in self.words)

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return self.words[-1].end


class Transcript:
    """A text and the time it took to say it."""

    def __init__(self, text: str, seconds: float, language: str = "en", model: str = "") -> None:
        self.text = text
        self.seconds = round(seconds, 2)
        self.language = language
        self.model = model

    @property
    def words(self) -> list[Word]:
        """Each word, as long as it is written, one after the other."""
        found = self.text.split()
        letters = sum(len(word) + 1 for word in found) or 1
        at, words = 0, []
        for word in found:
            begin, at = at, at + len(word) + 1
            words.append(Word(word, self._time(begin / letters), self._time(at / letters)))
        return words

    @property
    def segments(self) -> list[Segment]:
        """Sentences, long ones in parts."""
        segments: list[Segment] = []
        current: list[Word] = []
        for word in self.words:
            current.append(word)
            if len(current) >= _LONGEST or re.search(r"[.!?…。]['\")\]]*$", word.word):
                segments.append(Segment(current))
                current = []
        return [*segments, Segment(current)] if current else segments

    def _time(self, part: float) -> float:
        return round(part * self.seconds, 2)


def verbose(transcript: Transcript, granularities: Sequence[str]) -> dict[str, Any]:
    """As `verbose_json`, but for the task and the usage."""
    told: dict[str, Any] = {
        "language": LANGUAGES.get(transcript.language, transcript.language),
        "duration": transcript.seconds,
        "text": transcript.text,
    }
    if "word" in granularities:
        told["words"] = [
            {"word": word.word.strip(".,;:!?…\"'()"), "start": word.start, "end": word.end} for word in transcript.words
        ]
    if "segment" in granularities:
        told["segments"] = [
            {
                "id": number,
                "seek": 0,
                "start": each.start,
                "end": each.end,
                "text": f" {each.text}",
                "tokens": tokens.encode(f" {each.text}", "gpt-3.5-turbo"),
                "temperature": 0.0,
                "avg_logprob": -0.25,
                "compression_ratio": round(len(each.text) / (len(set(each.text.split())) * 5 or 1), 3),
                "no_speech_prob": 0.01,
            }
            for number, each in enumerate(transcript.segments)
        ]
    return told


def diarized(transcript: Transcript, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The segments, with speakers who take turns: those that are known, or A and B."""
    speakers = list(names) or ["A", "B"]
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number:03d}",
            "speaker": speakers[number % len(speakers)],
            "start": each.start,
            "end": each.end,
            "text": each.text,
        }
        for number, each in enumerate(transcript.segments)
    ]


def srt(transcript: Transcript) -> str:
    """As SubRip subtitles."""
    blocks = (
        f"{number}\n{_clock(each.start, ',')} --> {_clock(each.end, ',')}\n{each.text}\n"
        for number, each in enumerate(transcript.segments, 1)
    )
    return "\n".join(blocks) + "\n"


def vtt(transcript: Transcript) -> str:
    """As WebVTT subtitles."""
    blocks = (f"{_clock(each.start, '.')} --> {_clock(each.end, '.')}\n{each.text}\n" for each in transcript.segments)
    return "WEBVTT\n\n" + "\n".join(blocks) + "\n"


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
