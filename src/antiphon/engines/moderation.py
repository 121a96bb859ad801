"""Moderation without a model: words and turns of phrase that the categories are known by, or a function of yours.

    Engines(moderations=WordListModeration())
    Engines(moderations=ModerationFunction(lambda text: {"violence": 0.9} if "fight" in text else {}))

The list is small and in English. It tells texts that a test means to be flagged from those it does not; it is no
protection for anybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from .wrapping import Wrapped, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..kernel.flow import Flow
    from ..server.engine import ModerationEngine, ModerationRequest

__all__ = ("CATEGORIES", "ModerationFunction", "WordListModeration", "moderation_engine", "scores")

CATEGORIES: tuple[str, ...] = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""Every category of the API."""

_SOMEBODY = r"(?:you|him|her|them|everyone|everybody|people|(?:the|my|your|his|her|their|all|those|these) \w+)"
_GROUP = r"(?:race|races|immigrants?|foreigners?|religion|ethnic\w*|gays?|lesbians?|women|jews?|muslims?|christians?)"
_MYSELF = r"(?:myself|my life|my own life)"
_YOUTH = r"(?:child(?:ren)?|minors?|underage|teenage\w*|schoolgirls?|schoolboys?|kids?)"
_SEX = r"(?:sex(?:ual(?:ly)?)?|porn\w*|erotic\w*|nudes?|naked|orgasm\w*|intercourse)"
_KILL = r"(?:kill|murder|stab|shoot|strangle|beat up|slaughter|behead|hurt)"
_HOW_TO_DIE = r"how (?:to|do i|can i|do you) (?:\w+ )?(?:commit suicide|kill myself|end my life)"
_WEAPON = r"(?:bombs?|explosives?|grenades?|molotov cocktails?|untraceable guns?|nerve gas|pipe bombs?)"

_RULES: tuple[tuple[str, str, float], ...] = (
    ("violence", rf"{_KILL}(?:s|ed|ing)?", 0.7),
    ("violence", r"massacre\w*|bloodbath|torture\w*|lynch\w*|bludgeon\w*", 0.8),
    ("violence", r"weapons?|fight(?:s|ing)?|attack(?:s|ed|ing)?", 0.2),
    ("violence/graphic", r"gore|guts|entrails|disembowel\w*|dismember\w*|decapitat\w*|behead\w*|blood everywhere", 0.8),
    ("harassment", r"idiots?|morons?|imbeciles?|losers?|scum|worthless|pathetic", 0.4),
    ("harassment", r"you(?:'re| are) (?:an? )?(?:\w+ )?(?:idiot|moron|imbecile|loser|scum|worthless|pathetic)", 0.6),
    ("harassment", r"(?:shut up|nobody likes you|i hate you|go to hell)", 0.6),
    ("harassment/threatening", rf"(?:will|want to|going to|gonna|'ll) {_KILL} {_SOMEBODY}", 0.8),
    ("harassment", rf"(?:will|want to|going to|gonna|'ll) {_KILL} {_SOMEBODY}", 0.5),
    ("violence", rf"(?:will|want to|going to|gonna|'ll) {_KILL} {_SOMEBODY}", 0.7),
    ("hate", rf"(?:hate|despise|inferior|subhuman|vermin|filthy)\W+(?:\w+\W+){{0,3}}{_GROUP}", 0.8),
    ("hate", rf"{_GROUP} (?:are|is) (?:\w+ )?(?:inferior|subhuman|vermin|filthy|evil|animals)", 0.8),
    ("hate/threatening", rf"{_KILL} (?:\w+ ){{0,2}}{_GROUP}", 0.8),
    ("hate", rf"{_KILL} (?:\w+ ){{0,2}}{_GROUP}", 0.7),
    ("self-harm", rf"suicid\w*|self[- ]harm\w*|cut(?:ting)? myself|{_KILL} myself|end(?:ing)? {_MYSELF}", 0.8),
    ("self-harm/intent", rf"(?:want|going|plan\w*|about) to (?:{_KILL} myself|end {_MYSELF}|die|commit suicide)", 0.8),
    (
        "self-harm/instructions",
        r"how (?:to|do i|can i|do you) (?:\w+ )?(?:commit suicide|kill myself|end my life)",
        0.8,
    ),
    ("self-harm", r"how (?:to|do i|can i|do you) (?:\w+ )?(?:commit suicide|kill myself|end my life)", 0.6),
    ("sexual", _SEX, 0.7),
    ("sexual/minors", rf"{_SEX}\W+(?:\w+\W+){{0,4}}{_YOUTH}|{_YOUTH}\W+(?:\w+\W+){{0,4}}{_SEX}", 0.9),
    ("illicit", r"(?:how (?:to|do i|can i)|instructions|recipe) .{0,30}(?:meth\w*|cocaine|heroin|counterfeit\w*)", 0.8),
    ("illicit", r"how (?:to|do i|can i) (?:steal|shoplift|launder|forge|hack into|pick a lock|hotwire)", 0.8),
    ("illicit", rf"(?:make|build|buy|get|assemble) (?:\w+ ){{0,3}}{_WEAPON}", 0.7),
    ("illicit/violent", rf"(?:make|build|buy|get|assemble) (?:\w+ ){{0,3}}{_WEAPON}", 0.8),
)
"""Category, what it is known by, and how much that says."""


@cache
def _rules() -> tuple[tuple[str, re.Pattern[str], float], ...]:
    return tuple((category, _words(known), says) for category, known, says in _RULES)


def _words(known: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{known})\b", re.IGNORECASE)


class WordListModeration:
    """Scores by words: each rule that fits brings a category nearer to 1, and the rest is a trace that is never nought.

    Of pictures the address is judged, so that a test can name one `https://…/violence-gore.png`. `flag` has further
    words by category, each of which flags it.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, flag: Mapping[str, Iterable[str]] | None = None) -> None:
        """Raises `ValueError` for a category that the API does not have."""
        self._flagged: list[tuple[str, re.Pattern[str], float]] = []
        for category, words in ({} if flag is None else flag).items():
            _known(category)
            self._flagged.append((category, _words("|".join(re.escape(word) for word in words)), 0.95))

    def __call__(self, request: ModerationRequest) -> dict[str, float]:
        """The score of each category."""
        shown = (re.sub(r"[^A-Za-z]+", " ", address) for address in request.images if not address.startswith("data:"))
        text = "\n".join([request.text, *shown])
        misses = dict.fromkeys(CATEGORIES, 1.0)
        for category, known, says in (*_rules(), *self._flagged):
            # What is said again says more, but not much more.
            for _ in range(min(2, len(known.findall(text)))):
                misses[category] *= 1 - says
        return {category: 1 - miss * (1 - _trace(text, category)) for category, miss in misses.items()}


def _trace(text: str, category: str) -> float:
    """A score too small to matter, from a millionth to a thousandth, always the same for a text."""
    return 10 ** (-6 + 3 * (crc32(f"{category} {text}".encode("utf-8", "replace")) % 4096) / 4096)


def _known(category: str) -> None:
    if category not in CATEGORIES:
        raise ValueError(f"there is no category {category!r}; there are {', '.join(CATEGORIES)}")


class ModerationFunction(Wrapped):
    """An engine made of a function from a text to scores by category. It may block or be async.

    It may also answer a boolean, which is `harassment` or nothing, or the names of the categories that are flagged.
    A function whose parameter is named `request` gets the whole `ModerationRequest` instead.
    """

    def __call__(self, request: ModerationRequest) -> Flow[Mapping[str, float]]:
        return scores((yield from self._asked(request, request.text)))


def scores(found: Any) -> dict[str, float]:
    """Scores by category, however they were told. Raises `ValueError` for no category and no score."""
    if found is None or isinstance(found, bool):
        found = ["harassment"] if found else []
    if isinstance(found, str):
        found = [found]
    scores = (
        {str(key): float(found[key]) for key in found} if isinstance(found, Mapping) else dict.fromkeys(found, 0.99)
    )
    for category, score in scores.items():
        _known(category)
        if not 0 <= score <= 1:
            raise ValueError(f"a score is between 0 and 1, not {score!r} ({category})")
    return scores


def moderation_engine(source: Any = None) -> ModerationEngine:
    """The engine that `source` stands for: an engine, a function of a text, or none for `WordListModeration`.

    What has a true attribute `never_blocks`, or yields steps, is an engine; any other callable is a function. Raises
    `TypeError` for what cannot be called.
    """
    if source is None:
        return WordListModeration()
    return wrapped(source, ModerationFunction, "a moderation engine is a function of a text")
