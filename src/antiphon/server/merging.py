"""Tokens of common texts, told without the vocabulary: exactly, by a table that is ready in a millisecond.

A vocabulary takes a quarter of a second and 68 MB to load. Until one is loaded, short texts of western letters, usual
punctuation and emoji are told here: split as the vocabulary's expression splits them, and what is no token by itself
merged pair by pair, the lowest rank first. Tables are made by `python -m codegen`, and searched as they lie in a file:

- three numbers of four bytes, the lowest first: how many tokens, and how long the next two parts are
- all tokens in the order of their bytes, with a byte 255 before, between and behind them
- the first of each 64 tokens, with a byte 255 between them, and after them where in the part before each stands
- the ranks of all tokens, of three bytes each: first all highest bytes, then all middle ones, then all lowest ones
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from heapq import heapify, heappop, heappush
from itertools import accumulate
from pathlib import Path
from struct import unpack_from
from typing import Final

__all__ = ("BLOCK", "Table", "table", "tells")

BLOCK: Final = 64
"""How many tokens are searched at a time."""
_NONE: Final = 1 << 24
"""The rank of what is not a token."""
_LONGEST: Final = 128
_REMEMBERED: Final = 8192
"""How many words, and how many ranks, are remembered at most."""

_TOLD: Final = (
    "\0-\x7f\xa0-\u017e\u200d\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u23ff\u2500-\u2775\u2794-\u27bf\ufe0f"
    "\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff"
)
"""What texts that tables tell are made of: ASCII, Latin-1 and its extension, punctuation, currencies, symbols, emoji.

All of it is of the same kind, letter or not, in whatever version of Unicode.
"""

_ASCII: Final = {"upper": "A-Z", "lower": "a-z", "letter": "A-Za-z", "number": "0-9", "space": "\t-\r "}
"""Characters by their kind, for the expressions; `upper` and `lower` have marks and letters without a case as well."""
_ENDINGS: Final = "'(?:[sStTmMdD]|[lL][lL]|[vV][eE]|[rR][eE])"
_SPLIT: Final = {
    "o200k_base": rf"[^\r\n%(letter)s%(number)s]?[%(upper)s]*[%(lower)s]+(?:{_ENDINGS})?"
    rf"|[^\r\n%(letter)s%(number)s]?[%(upper)s]+[%(lower)s]*(?:{_ENDINGS})?"
    r"|[%(number)s]{1,3}| ?[^%(space)s%(letter)s%(number)s]+[\r\n/]*"
    r"|[%(space)s]*[\r\n]+|[%(space)s]+(?![^%(space)s])|[%(space)s]+",
    "cl100k_base": rf"{_ENDINGS}|[^\r\n%(letter)s%(number)s]?[%(letter)s]+"
    r"|[%(number)s]{1,3}| ?[^%(space)s%(letter)s%(number)s]+[\r\n]*"
    r"|[%(space)s]+\Z|[%(space)s]*[\r\n]|[%(space)s]+(?![^%(space)s])|[%(space)s]",
}
"""What splits a text into words, none of which shares a token with another: the published expressions, with the kinds
of characters spelled out."""


def tells(text: str) -> bool:
    """Whether tables tell a text."""
    return text.isascii() or _others()(text) is None


@cache
def _others() -> Callable[[str], object]:
    return re.compile(f"[^{_TOLD}]").search


@cache
def _splitter(name: str, ascii: bool) -> Callable[[str], list[str]]:
    kinds = _ASCII
    if not ascii:
        letters = list(map(chr, range(0xC0, 0x17F)))
        upper = "".join(filter(str.isupper, letters))
        lower = "".join(filter(str.islower, letters))
        more = {
            "upper": f"{upper}\xaa\xba\ufe0f",
            "lower": f"\xb5{lower}\xaa\xba\ufe0f",
            "letter": f"{upper}{lower}\xaa\xb5\xba",
            "number": "\xb2\xb3\xb9\xbc-\xbe",
            "space": "\xa0",
        }
        kinds = {kind: characters + more[kind] for kind, characters in kinds.items()}
    return re.compile(_SPLIT[name] % kinds).findall


class _Ranks(dict[str, int]):
    """The rank of each token, `_NONE` for what is none; what was found is remembered.

    Tokens are their bytes as characters of Latin-1.
    """

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
        rank = self[token] = self._find(token.encode("latin-1")) if len(token) <= _LONGEST else _NONE
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
    """The tokens of each word, as the ranks have them; what was found is remembered."""

    def __init__(self, ranks: _Ranks) -> None:
        self._ranks = ranks

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(self) >= _REMEMBERED:
            self.clear()
        raw = word.encode().decode("latin-1")
        tokens = self[word] = (raw,) if self._ranks[raw] < _NONE else self._merged(raw)
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
    """The tokens of a vocabulary that common texts have, with the methods of toktok's tokenizers.

    Texts are those of which `tells` is true; nothing checks that.
    """

    __slots__ = ("_name", "_ranks", "_words", "read")

    def __init__(self, name: str, raw: bytes) -> None:
        self._name = name
        self._ranks = _Ranks(raw)
        self._words = _Words(self._ranks)
        self.read = 0
        """How many characters were told so far: who tells many had better load the vocabulary."""

    def count(self, text: str) -> int:
        """How many tokens a text has."""
        self.read += len(text)
        return sum(map(len, map(self._words.__getitem__, _splitter(self._name, text.isascii())(text))))

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text's tokens."""
        return [self._ranks[token] for token in self._tokens(text)]

    def encode_with_offsets(self, text: str, unit: str = "byte") -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text's tokens, and where in it each begins and ends, in bytes or (`char`) characters."""
        tokens = self._tokens(text)
        ends = list(accumulate(map(len, tokens)))
        if unit == "char" and not text.isascii():
            begun = list(accumulate((byte & 0xC0 != 0x80 for byte in text.encode()), initial=0))
            ends = [begun[end] for end in ends]
        return [self._ranks[token] for token in tokens], list(zip([0, *ends], ends, strict=False))

    def _tokens(self, text: str) -> list[str]:
        self.read += len(text)
        words = self._words
        return [token for word in _splitter(self._name, text.isascii())(text) for token in words[word]]


def table(name: str) -> Table:
    """The table of a vocabulary, `o200k_base` or `cl100k_base`, read anew."""
    return Table(name, (Path(__file__).parent / "merges" / f"{name}.bin").read_bytes())
