"""Tokens of ASCII texts, told without the vocabulary: exactly, by a table that is ready in a millisecond.

A vocabulary takes a quarter of a second and 68 MB to load. Until one is loaded, short ASCII texts are told here: split
as the vocabulary's expression splits them, and what is no token by itself merged pair by pair, the lowest rank first.
Tables are made by `python -m codegen`, and are searched as they lie in their file:

- three numbers of four bytes, the lowest first: how many tokens, and how long the next two parts are
- all tokens in the order of their bytes, with a byte 255 before, between and behind them
- the first of each 64 tokens, with a byte 255 between them, and after them where in the part before each stands
- the ranks of all tokens, of three bytes each: first all highest bytes, then all middle ones, then all lowest ones
"""

from __future__ import annotations

import re
from bisect import bisect_right
from heapq import heapify, heappop, heappush
from itertools import accumulate
from pathlib import Path
from struct import unpack_from
from typing import Final

__all__ = ("BLOCK", "Table", "table")

BLOCK: Final = 64
"""How many tokens are searched at a time."""
_NONE: Final = 1 << 24
"""The rank of what is not a token."""
_LONGEST: Final = 128
_REMEMBERED: Final = 8192
"""How many words, and how many ranks, are remembered at most."""

_ENDINGS: Final = "'(?:[sStTmMdD]|[lL][lL]|[vV][eE]|[rR][eE])"
_SPLIT: Final = {
    "o200k_base": rf"[^\r\nA-Za-z0-9]?+(?:[A-Z]*+[a-z]++|[A-Z]++)(?:{_ENDINGS})?+"
    r"|[0-9]{1,3}+| ?+[^\sA-Za-z0-9]++[\r\n/]*+|\s*[\r\n]++|\s+(?!\S)|\s++",
    "cl100k_base": rf"{_ENDINGS}|[^\r\nA-Za-z0-9]?+[A-Za-z]++"
    r"|[0-9]{1,3}+| ?+[^\sA-Za-z0-9]++[\r\n]*+|\s++\Z|\s*[\r\n]|\s+(?!\S)|\s",
}
"""What splits a text into words, none of which shares a token with another: what the published expressions come to for
ASCII."""


class _Ranks(dict[str, int]):
    """The rank of each token, `_NONE` for what is none; what was found is remembered."""

    def __init__(self, raw: bytes) -> None:
        sizes: tuple[int, int, int] = unpack_from("<3I", raw)
        count, words, firsts = sizes
        blocks = -(-count // BLOCK)
        self._raw = raw
        self._firsts = raw[12 + words : 12 + words + firsts].split(b"\xff")
        self._begins: tuple[int, ...] = unpack_from(f"<{blocks + 1}I", raw, 12 + words + firsts)
        self._count = count
        self._ranks = len(raw) - 3 * count

    def __missing__(self, token: str) -> int:
        if len(self) >= _REMEMBERED:
            self.clear()
        rank = self[token] = self._find(token.encode()) if len(token) <= _LONGEST else _NONE
        return rank

    def _find(self, token: bytes) -> int:
        raw = self._raw
        block = bisect_right(self._firsts, token) - 1
        begin = self._begins[block]
        place = raw.find(b"\xff%b\xff" % token, begin, self._begins[block + 1] + 1)
        if place < 0:
            return _NONE
        high = self._ranks + block * BLOCK + raw.count(b"\xff", begin, place)
        low = high + 2 * self._count
        return raw[high] << 16 | raw[high + self._count] << 8 | raw[low]


class _Words(dict[str, tuple[str, ...]]):
    """The tokens of each word; what was found is remembered."""

    def __init__(self, ranks: _Ranks) -> None:
        self._ranks = ranks

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(self) >= _REMEMBERED:
            self.clear()
        tokens = self[word] = (word,) if self._ranks[word] < _NONE else self._merged(word)
        return tokens

    def _merged(self, word: str) -> tuple[str, ...]:
        ranks = self._ranks
        end = len(word)
        after = list(range(1, end + 1))
        """Where the part that starts at a place ends; 0 where no part starts."""
        before = list(range(-1, end - 1))
        """Where the part before the one that starts at a place starts."""
        pairs = [(ranks[word[start : start + 2]], start, start + 2) for start in range(end - 1)]
        heapify(pairs)
        while pairs:
            rank, start, stop = heappop(pairs)
            if rank == _NONE:
                break
            middle = after[start]
            if not 0 < middle < end or after[middle] != stop:
                continue  # one of the two was merged with another
            after[start], after[middle] = stop, 0
            if stop < end:
                before[stop] = start
                heappush(pairs, (ranks[word[start : after[stop]]], start, after[stop]))
            if start > 0:
                heappush(pairs, (ranks[word[before[start] : stop]], before[start], stop))
        return tuple([word[start:stop] for start, stop in enumerate(after) if stop])


class Table:
    """The ASCII tokens of a vocabulary, with the methods of toktok's tokenizers.

    Texts are ASCII only; nothing checks that.
    """

    __slots__ = ("_ranks", "_split", "_words", "read")

    def __init__(self, name: str, raw: bytes) -> None:
        self._split = re.compile(_SPLIT[name], re.ASCII).findall
        self._ranks = _Ranks(raw)
        self._words = _Words(self._ranks)
        self.read = 0
        """How many characters were told so far: who tells many had better load the vocabulary."""

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        self.read += len(text)
        return sum(map(len, map(self._words.__getitem__, self._split(text))))

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text's tokens."""
        return [self._ranks[token] for token in self._tokens(text)]

    def encode_with_offsets(self, text: str, unit: str = "") -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text's tokens, and where in it each begins and ends, whatever the unit."""
        tokens = self._tokens(text)
        ends = list(accumulate(map(len, tokens)))
        return [self._ranks[token] for token in tokens], list(zip([0, *ends], ends, strict=False))

    def _tokens(self, text: str) -> list[str]:
        self.read += len(text)
        words = self._words
        return [token for word in self._split(text) for token in words[word]]


def table(name: str) -> Table:
    """The table of a vocabulary, `o200k_base` or `cl100k_base`, read anew."""
    return Table(name, (Path(__file__).parent / "merges" / f"{name}.bin").read_bytes())
