"""Engines that answer with text made of nothing (`LoremIpsum`) or of the question (`Echo`, `ReverseInput`)."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from ..server.engine import ChatRequest

__all__ = ("Echo", "LoremIpsum", "ReverseInput")

_OPENING: Final = "Lorem ipsum dolor sit amet, consectetur adipiscing elit."

_WORDS: Final = tuple(
    re.findall(
        r"\w+",
        "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore "
        "magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris nisi aliquip ex ea commodo "
        "consequat duis aute irure in reprehenderit voluptate velit esse cillum fugiat nulla pariatur excepteur sint "
        "occaecat cupidatat non proident sunt culpa qui officia deserunt mollit anim id est laborum",
    )
)

_TEXTS: Final = 256
"""So many different answers an engine has. Each is made once, so that answering costs next to nothing."""


class LoremIpsum:
    """Answers with filler text, the same for the same conversation, `seed` and choice.

    `words` is the length of an answer, or the least and the most of it.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, seed: int | str = 0, words: int | tuple[int, int] = (24, 64)) -> None:
        low, high = (words, words) if isinstance(words, int) else words
        if not 0 <= low <= high:
            raise ValueError(f"an answer cannot have {words!r} words")
        self.seed = seed
        self.low, self.high = low, high
        self._texts: dict[int, str] = {}

    def __call__(self, request: ChatRequest) -> str:
        return self.text(request.dice)

    def text(self, number: int) -> str:
        """The answer with this number; numbers that are equal modulo 256 have the same."""
        number %= _TEXTS
        text = self._texts.get(number)
        if text is None:
            text = self._texts[number] = filler(Random(f"lorem {self.seed} {number}"), self.low, self.high)
        return text

    def __repr__(self) -> str:
        return f"LoremIpsum(seed={self.seed!r}, words=({self.low}, {self.high}))"


def filler(random: Random, low: int, high: int) -> str:
    """Sentences of filler text, between `low` and `high` words in all."""
    left = random.randint(low, high)
    opening = _OPENING.split()
    if left <= len(opening):
        return " ".join(opening[:left]).rstrip(",.") + ("." if left else "")
    sentences = [_OPENING]
    left -= len(opening)
    while left:
        size = left if left <= 14 else min(random.randint(6, 14), left - 4)
        words = random.choices(_WORDS, k=size)
        words[0] = words[0].capitalize()
        if size > 8:
            comma = random.randrange(3, size - 3)
            words[comma] += ","
        sentences.append(" ".join(words) + ".")
        left -= size
    return " ".join(sentences)


class Echo:
    """Answers with what the user said last."""

    never_blocks: ClassVar[bool] = True

    def __call__(self, request: ChatRequest) -> str:
        return request.user_text

    def __repr__(self) -> str:
        return "Echo()"


class ReverseInput:
    """Answers with what the user said last, the last character first."""

    never_blocks: ClassVar[bool] = True

    def __call__(self, request: ChatRequest) -> str:
        return request.user_text[::-1]

    def __repr__(self) -> str:
        return "ReverseInput()"
