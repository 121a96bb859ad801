"""The words that texts are found by, and what a question is about.

terms("The cafés close at five")       # ['the', 'café', 'close', 'at', 'five']
rewritten("What is the return policy?")   # 'return policy'
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from unicodedata import normalize

__all__ = ("asked", "rewritten", "terms")

_WORD: Final = re.compile(r"[^\W_]+")
_LONGEST: Final = 40
"""Characters of a word that count."""
_LONG: Final = 16_384
"""Characters of a query that are looked at."""
_UNPARTED: Final = "\u2e80"
"""From here on are scripts that do not part their words."""

_STOP: Final = frozenset(
    """
    a about all am an and any are as at be been but by can could did do does for from had has have he her his how i if
    in into is it its let like may me my no not of on or our out please she should show so some tell than that the
    their them then there these they this to up us was we were what when where which who whom whose why will with
    would you your explain give find know want need
    """.split()
)
"""Words that say little about what is asked for."""


def terms(text: str) -> list[str]:
    """The words of a text in order: without case, width and plural. Runs of Chinese and the like are cut into twos."""
    if text.isascii():
        return [_stem(word) for word in _WORD.findall(text.lower())]
    found: list[str] = []
    for word in _WORD.findall(normalize("NFKC", text).casefold()):
        if word[0] < _UNPARTED or len(word) < 2:
            found.append(_stem(word))
        else:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
    return found


@lru_cache(65_536)
def _stem(word: str) -> str:
    """A word without the ending that most often tells its forms apart: Harman's S-stemmer."""
    if len(word) > 3 and word[-1] == "s":
        if word.endswith("ies") and word[-4] not in "ae":
            return word[:-3] + "y"
        if word.endswith("es") and word[-3] not in "aeo":
            return word[:-1]
        if word[-2] not in "us":
            return word[:-1]
    return word[:_LONGEST]


def rewritten(query: str) -> str:
    """A question without the words that only make it one; as it is where nothing else is in it."""
    kept = [word for word in re.findall(r"\w+(?:[-'’.]\w+)*", query) if word.lower() not in _STOP]
    return " ".join(kept) or query


def asked(query: str) -> list[str]:
    """The words of a query that say something, up to 256; all of them where none does."""
    return terms(rewritten(query[:_LONG]))[:256]
