"""How alike two texts are, by the measures that graders are named after. All are between 0 and 1.

BLEU, GLEU and ROUGE count runs of words in common, METEOR aligns words and their order, `fuzzy_match` compares
characters, `cosine` vectors. Words are compared without case; no synonyms are known and no stems.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from math import exp, log
from typing import Final

__all__ = ("MEASURES",)

Words = Sequence[str]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.casefold())


def _runs(words: Words, length: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def _common(one: Words, other: Words, length: int) -> int:
    return sum((_runs(one, length) & _runs(other, length)).values())


def _balanced(common: int, one: int, other: int) -> float:
    """The harmonic mean of what the common part is of each."""
    return 2 * common / (one + other) if one and other else 0.0


def fuzzy_match(text: str, reference: str) -> float:
    return SequenceMatcher(None, text, reference, autojunk=False).ratio()


def bleu(text: str, reference: str) -> float:
    said, wanted = _words(text), _words(reference)
    if not said or not wanted:
        return float(said == wanted)
    total = 0.0
    longest = min(4, len(said), len(wanted))
    for length in range(1, longest + 1):
        common = _common(said, wanted, length)
        if length == 1 and not common:
            return 0.0
        # Smoothed, so that a sentence without a run of four in common is not nought.
        total += log((common or 0.1) / (len(said) - length + 1))
    short = min(0.0, 1 - len(wanted) / len(said))
    return exp(short + total / longest)


def gleu(text: str, reference: str) -> float:
    said, wanted = _words(text), _words(reference)
    if not said or not wanted:
        return float(said == wanted)
    lengths = range(1, 5)
    common = sum(_common(said, wanted, length) for length in lengths)
    most = max(sum(max(0, len(each) - length + 1) for length in lengths) for each in (said, wanted))
    return common / most


def meteor(text: str, reference: str) -> float:
    said, wanted = _words(text), _words(reference)
    if not said or not wanted:
        return float(said == wanted)
    free = list(range(len(wanted)))
    pairs: list[int] = []
    for word in said:
        at = next((at for at in free if wanted[at] == word), None)
        if at is not None:
            free.remove(at)
            pairs.append(at)
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(said), len(pairs) / len(wanted)
    mean = 10 * precision * recall / (recall + 9 * precision)
    chunks = 1 + sum(after != before + 1 for before, after in pairwise(pairs))
    penalty = 0.0 if chunks == 1 and len(pairs) == len(said) == len(wanted) else 0.5 * (chunks / len(pairs)) ** 3
    return mean * (1 - penalty)


def rouge(length: int) -> Callable[[str, str], float]:
    def measure(text: str, reference: str) -> float:
        said, wanted = _words(text), _words(reference)
        if said == wanted:
            return 1.0
        counts = (max(0, len(each) - length + 1) for each in (said, wanted))
        return _balanced(_common(said, wanted, length), *counts)

    return measure


def rouge_l(text: str, reference: str) -> float:
    said, wanted = _words(text), _words(reference)
    if said == wanted:
        return 1.0
    row = [0] * (len(wanted) + 1)
    for word in said:
        before = 0
        for at, other in enumerate(wanted, 1):
            kept = row[at]
            row[at] = before + 1 if word == other else max(row[at], row[at - 1])
            before = kept
    return _balanced(row[-1], len(said), len(wanted))


MEASURES: Final[dict[str, Callable[[str, str], float]]] = {
    "fuzzy_match": fuzzy_match,
    "bleu": bleu,
    "gleu": gleu,
    "meteor": meteor,
    "rouge_l": rouge_l,
    **{f"rouge_{length}": rouge(length) for length in range(1, 6)},
}
"""Every measure but `cosine`, which needs vectors."""
