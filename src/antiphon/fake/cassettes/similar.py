"""Recordings of requests whose last words are others, and mean about the same.

Everything else has to be the same. How near two texts are is the cosine of their vectors: of those the fake makes, in
which texts with words in common lie near each other, or of a model's, which the user brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .matching import Matcher, Sought
    from .recording import Recording

__all__ = ("Embeds", "Near", "Similar", "parted")

Embeds: TypeAlias = "Callable[[Sequence[str]], Iterable[Iterable[float]]]"
"""A function from texts to their vectors."""

_DIMENSIONS: Final = 256
_ASIDE: Final = "<what the user says last>"
_TEXTS: Final = ("text", "input_text")


class Near(NamedTuple):
    """A recording of a request that is another in its last words only."""

    likeness: float
    """From -1 to 1."""
    theirs: Sought
    ours: Sought
    recording: Recording


class Similar:
    """How near texts have to be. `threshold` is a cosine; `embeds` makes vectors of texts.

    Raises `ValueError` for a threshold that is none.
    """

    def __init__(self, threshold: float, embeds: Embeds | None = None) -> None:
        if threshold.__class__ not in (int, float) or not 0 < threshold <= 1:
            raise ValueError(f"similarity is how near texts have to be, above 0 and at most 1, not {threshold!r}")
        self.threshold = float(threshold)
        self._embeds = _own if embeds is None else embeds
        self._vectors: dict[str, list[float]] = {}

    def likeness(self, one: str, others: Sequence[str]) -> list[float]:
        """How near a text is to others. Raises `ValueError` where there is not a vector for each."""
        new = [text for text in dict.fromkeys((one, *others)) if text not in self._vectors]
        if new:
            made = [[float(each) for each in vector] for vector in self._embeds(new)]
            if len(made) != len(new):
                raise ValueError(f"embeddings= gave {len(made)} vectors for {len(new)} texts")
            self._vectors.update(zip(new, map(_of_length_one, made), strict=True))
        here = self._vectors[one]
        return [sum(x * y for x, y in zip(here, self._vectors[other], strict=True)) for other in others]

    def nearest(self, matcher: Matcher, sought: Sought, *, again: bool) -> Near | None:
        """The recording whose last words are nearest, of those that are the same but for these; `again` as `choose`."""
        ours = sought.parted
        if ours is None:
            return None
        mine, said = ours
        alike: list[tuple[Sought, str, Recording]] = []
        for each, recording in matcher.every:
            if (recording.played and not again) or recording.is_dialogue or each.parted is None:
                continue
            theirs, words = each.parted
            if theirs.key == mine.key and matcher.fits(theirs, mine, recording):
                alike.append((theirs, words, recording))
        if not alike:
            return None
        values = self.likeness(said, [words for _, words, _ in alike])
        # Of those that are as near, the first that was not played.
        best = max(range(len(alike)), key=lambda at: (round(values[at], 9), not alike[at][2].played, -at))
        theirs, _, recording = alike[best]
        return Near(values[best], theirs, mine, recording)


def _own(texts: Sequence[str]) -> Iterable[Iterable[float]]:
    from ...engines.embeddings import embed

    return [embed(text, _DIMENSIONS) for text in texts]


def _of_length_one(vector: list[float]) -> list[float]:
    length = sqrt(sum(each * each for each in vector))
    return [each / length for each in vector] if length else vector


def parted(body: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A request's body without what the user says last, and that; `None` where there is no such thing."""
    value = body.get("json")
    if not isinstance(value, dict):
        return None
    for name in ("messages", "input", "prompt"):
        given = value.get(name)
        if isinstance(given, str) and name != "messages":
            return {"json": {**value, name: _ASIDE}}, given
        if not isinstance(given, list):
            continue
        for at in range(len(given) - 1, -1, -1):
            message = given[at]
            if not isinstance(message, dict) or message.get("role") != "user":
                continue
            text = _text(message.get("content"))
            if text is None:
                return None
            content, words = text
            return {"json": {**value, name: [*given[:at], {**message, "content": content}, *given[at + 1 :]]}}, words
    return None


def _text(content: Any) -> tuple[Any, str] | None:
    """The content of a message without its words, and these."""
    if isinstance(content, str):
        return _ASIDE, content
    if not isinstance(content, list):
        return None
    words: list[str] = []
    rest: list[Any] = []
    for part in content:
        if isinstance(part, dict) and part.get("type") in _TEXTS and isinstance(part.get("text"), str):
            words.append(part["text"])
            rest.append({**part, "text": _ASIDE})
        else:
            rest.append(part)
    return (rest, "\n".join(words)) if words else None
