"""How H.264 writes the levels of a block without arithmetic coding (CAVLC), as bits in a string of `0` and `1`.

Only what blocks of direct currents need is here: those of the luma of a macroblock, whose neighbours have none, and
those of its chroma. The tables are those of ITU-T H.264, 9.2.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("block", "signed", "unsigned")

Lengths: TypeAlias = "tuple[tuple[int, ...], ...]"


def _codes(lengths: Lengths, values: Lengths) -> tuple[tuple[str, ...], ...]:
    """Codes by row and column. A column that is not used has no length."""
    return tuple(
        tuple(f"{value:0{length}b}" if length else "" for length, value in zip(*row, strict=True))
        for row in zip(lengths, values, strict=True)
    )


_TOKENS: Final = {
    # How many levels are not nought is the row, how many of them are ones at the end the column.
    16: _codes(
        (
            (1, 0, 0, 0), (6, 2, 0, 0), (8, 6, 3, 0), (9, 8, 7, 5), (10, 9, 8, 6), (11, 10, 9, 7), (13, 11, 10, 8),
            (13, 13, 11, 9), (13, 13, 13, 10), (14, 14, 13, 11), (14, 14, 14, 13), (15, 15, 14, 14), (15, 15, 15, 14),
            (16, 15, 15, 15), (16, 16, 16, 15), (16, 16, 16, 16), (16, 16, 16, 16),
        ),
        (
            (1, 0, 0, 0), (5, 1, 0, 0), (7, 4, 1, 0), (7, 6, 5, 3), (7, 6, 5, 3), (7, 6, 5, 4), (15, 6, 5, 4),
            (11, 14, 5, 4), (8, 10, 13, 4), (15, 14, 9, 4), (11, 10, 13, 12), (15, 14, 9, 12), (11, 10, 13, 8),
            (15, 1, 9, 12), (11, 14, 13, 8), (7, 10, 9, 12), (4, 6, 5, 8),
        ),
    ),
    4: _codes(
        ((2, 0, 0, 0), (6, 1, 0, 0), (6, 6, 3, 0), (6, 7, 7, 6), (6, 8, 8, 7)),
        ((1, 0, 0, 0), (7, 1, 0, 0), (4, 6, 1, 0), (3, 3, 2, 5), (2, 3, 2, 0)),
    ),
}  # fmt: skip
"""What says how many levels follow, by the size of the block."""

_ZEROS: Final = {
    # How many levels there are is the row, from one; how many noughts are among and before them the column.
    16: _codes(
        (
            (1, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9), (3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6, 6, 6, 6),
            (4, 3, 3, 3, 4, 4, 3, 3, 4, 5, 5, 6, 5, 6), (5, 3, 4, 4, 3, 3, 3, 4, 3, 4, 5, 5, 5),
            (4, 4, 4, 3, 3, 3, 3, 3, 4, 5, 4, 5), (6, 5, 3, 3, 3, 3, 3, 3, 4, 3, 6), (6, 5, 3, 3, 3, 2, 3, 4, 3, 6),
            (6, 4, 5, 3, 2, 2, 3, 3, 6), (6, 6, 4, 2, 2, 3, 2, 5), (5, 5, 3, 2, 2, 2, 4), (4, 4, 3, 3, 1, 3),
            (4, 4, 2, 1, 3), (3, 3, 1, 2), (2, 2, 1), (1, 1),
        ),
        (
            (1, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 1), (7, 6, 5, 4, 3, 5, 4, 3, 2, 3, 2, 3, 2, 1, 0),
            (5, 7, 6, 5, 4, 3, 4, 3, 2, 3, 2, 1, 1, 0), (3, 7, 5, 4, 6, 5, 4, 3, 3, 2, 2, 1, 0),
            (5, 4, 3, 7, 6, 5, 4, 3, 2, 1, 1, 0), (1, 1, 7, 6, 5, 4, 3, 2, 1, 1, 0), (1, 1, 5, 4, 3, 3, 2, 1, 1, 0),
            (1, 1, 1, 3, 3, 2, 2, 1, 0), (1, 0, 1, 3, 2, 1, 1, 1), (1, 0, 1, 3, 2, 1, 1), (0, 1, 1, 2, 1, 3),
            (0, 1, 1, 1, 1), (0, 1, 1, 1), (0, 1, 1), (0, 1),
        ),
    ),
    4: _codes(((1, 2, 3, 3), (1, 2, 2), (1, 1)), ((1, 1, 1, 0), (1, 1, 0), (1, 0))),
}  # fmt: skip

_RUNS: Final = _codes(
    (
        (1, 1), (1, 2, 2), (2, 2, 2, 2), (2, 2, 2, 3, 3), (2, 2, 3, 3, 3, 3), (2, 3, 3, 3, 3, 3, 3),
        (3, 3, 3, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11),
    ),
    (
        (1, 0), (1, 1, 0), (3, 2, 1, 0), (3, 2, 1, 1, 0), (3, 2, 3, 2, 1, 0), (3, 0, 1, 3, 2, 5, 4),
        (7, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    ),
)  # fmt: skip
"""How many noughts are before a level (the column), by how many are left, seven standing for more."""


def unsigned(number: int) -> str:
    """A number from nought on, in the code of Golomb: the smaller, the shorter."""
    bits = f"{number + 1:b}"
    return "0" * (len(bits) - 1) + bits


def signed(number: int) -> str:
    """A number in the code of Golomb."""
    return unsigned(2 * number - 1 if number > 0 else -2 * number)


@lru_cache(maxsize=4096)
def block(levels: tuple[int, ...]) -> str:
    """Sixteen levels of luma in the order of the zigzag, or four of chroma."""
    size = len(levels)
    places = [place for place in range(size - 1, -1, -1) if levels[place]]
    count = len(places)
    ones = 0
    while ones < 3 and ones < count and -1 <= levels[places[ones]] <= 1:
        ones += 1
    bits = [_TOKENS[size][count][ones]]
    if not count:
        return bits[0]
    bits += ["1" if levels[place] < 0 else "0" for place in places[:ones]]
    bits.append(_magnitudes([levels[place] for place in places[ones:]], count, ones))
    left = places[0] + 1 - count
    if count < size:
        bits.append(_ZEROS[size][count - 1][left])
    for place, before in pairwise(places):
        if left:
            run = place - before - 1
            bits.append(_RUNS[min(left, 7) - 1][run])
            left -= run
    return "".join(bits)


def _magnitudes(levels: Sequence[int], count: int, ones: int) -> str:
    """The levels but for the ones at the end, each in a code that is the longer the larger the last one was."""
    suffix = 1 if count > 10 and ones < 3 else 0
    less = 2 if ones < 3 else 0  # the first is no one, or it would have been told already
    bits: list[str] = []
    for level in levels:
        size = -level if level < 0 else level
        bits.append(_level(2 * size - 2 - less + (level < 0), suffix))
        less = 0
        suffix = suffix or 1
        if size > 3 << (suffix - 1) and suffix < 6:
            suffix += 1
    return "".join(bits)


@lru_cache(maxsize=4096)
def _level(code: int, suffix: int) -> str:
    """The code of a level: noughts and a one for what is above the last bits, of which there are `suffix`."""
    if not suffix and 14 <= code < 30:
        return "0" * 14 + f"1{code - 14:04b}"
    if code < (15 << suffix if suffix else 14):
        return "0" * (code >> suffix) + "1" + (f"{code & ((1 << suffix) - 1):0{suffix}b}" if suffix else "")
    return "0" * 15 + f"1{code - (15 << suffix if suffix else 30):012b}"
