"""H.264 as small as it gets, in plain Python: pictures of flat squares of four pixels, and what of them changes.

    coder = Coder(1280, 720, rate=24)
    first = coder.still(planes)                       # an access unit, as it lies in an MP4
    then = coder.moved(planes, (x, y))                # what differs there; the rest stays
    coder.parameters                                  # what a decoder has to know: SPS and PPS

The profile is Constrained Baseline, which whatever plays videos plays. Every macroblock (16 pixels square) that is sent
says only how bright and of what colour each of its sixteen, or four, squares is; the decoder's own filter smooths their
edges. A macroblock is predicted from those beside it in the same frame that were sent as well, and from no other
(`constrained_intra_pred`), so that nothing of the decoder's filter has to be done here to know what it sees.
Sections are those of ITU-T H.264.
"""

from __future__ import annotations

import re
from operator import sub
from typing import TYPE_CHECKING, Final, NamedTuple

from .cavlc import block, signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Coder", "Planes")

_QP: Final = 28
"""How coarse levels are, of 51: one is a shade of brightness."""
_CHROMA_OFFSET: Final = -4
"""How much finer colours are."""
_SCALES: Final = (10, 11, 13, 14, 16, 18)
_ZIGZAG: Final = (0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15)
_LEVELS: Final = ((31, 3600, 108_000), (40, 8192, 245_760), (51, 36_864, 983_040), (62, 139_264, 16_711_680))
"""Levels of the standard, ten times: the most macroblocks of a frame, and in a second (A.3)."""


class Planes(NamedTuple):
    """A picture, or a part of it: brightness and two colours as BT.709 has them, of 16 to 235 and 240."""

    columns: int
    """Macroblocks side by side."""
    luma: bytes
    """A byte for each four pixels square: four for a macroblock, in rows."""
    blue: bytes
    """A byte for each eight pixels square."""
    red: bytes

    def macroblocks(self) -> list[bytes]:
        """The bytes of each macroblock, in rows: sixteen, four and four."""
        wide, half = 4 * self.columns, 2 * self.columns
        luma, blue, red = self.luma, self.blue, self.red
        found: list[bytes] = []
        for row in range(len(luma) // (4 * wide)):
            y = 4 * wide * row
            for c in range(2 * half * row, 2 * half * row + half, 2):
                found.append(
                    b"".join(
                        (
                            luma[y : y + 4],
                            luma[y + wide : y + wide + 4],
                            luma[y + 2 * wide : y + 2 * wide + 4],
                            luma[y + 3 * wide : y + 3 * wide + 4],
                            blue[c : c + 2],
                            blue[c + half : c + half + 2],
                            red[c : c + 2],
                            red[c + half : c + half + 2],
                        )
                    )
                )
                y += 4
        return found


class _Coded(NamedTuple):
    """A macroblock in bits."""

    kind: int
    """Its type, in a frame that has no other (table 7-11)."""
    bits: str
    """What follows its type."""
    right: bytes
    """What a decoder sees along its right edge: four bytes, two and two."""
    below: bytes
    """The same along its lower edge."""


_NOTHING: Final = b""
"""The edge of a neighbour that is not there."""


class Coder:
    """Codes the frames of one video, in their order. Width and height are even numbers of pixels."""

    def __init__(self, width: int, height: int, rate: int) -> None:
        """`rate`: frames a second."""
        self.columns, self.rows = -(-width // 16), -(-height // 16)
        self.parameters = _sequence(width, height, rate), _picture()
        """The sequence's and the picture's, as NAL units."""
        self._made: dict[tuple[bytes, bytes, bytes], _Coded] = {}
        self._shown: list[bytes] = []
        self._stills = 0
        self._number = 0

    def still(self, planes: Planes) -> bytes:
        """A frame that stands for itself, of a whole picture."""
        self._shown = planes.macroblocks()
        self._number = 0
        columns = self.columns
        bits = [unsigned(0), unsigned(7), unsigned(0), "0000", unsigned(self._stills % 2), "00", signed(0), _SMOOTH]
        above = [_NOTHING] * columns
        left = _NOTHING
        for place, source in enumerate(self._shown):
            column = place % columns
            found = self._coded(source, left if column else _NOTHING, above[column])
            bits += (_KINDS[found.kind], found.bits)
            left, above[column] = found.right, found.below
        self._stills += 1
        return _unit(0x65, bits)

    def moved(self, part: Planes | None = None, at: tuple[int, int] = (0, 0)) -> bytes:
        """A frame that is the one before, but for a part of it. `at` is its corner in macroblocks."""
        self._number = (self._number + 1) % 16
        bits = [unsigned(0), unsigned(5), unsigned(0), f"{self._number:04b}", "00", "0", signed(0), _PLAIN]
        sent = -1
        rights: dict[int, bytes] = {}
        belows: dict[int, bytes] = {}
        for index, source in enumerate(part.macroblocks() if part is not None else ()):
            assert part is not None
            row, column = divmod(index, part.columns)
            place = (at[1] + row) * self.columns + at[0] + column
            if self._shown[place] == source:
                continue
            self._shown[place] = source
            left = rights.get(place - 1, _NOTHING) if at[0] + column else _NOTHING
            found = self._coded(source, left, belows.get(place - self.columns, _NOTHING))
            bits += (unsigned(place - sent - 1), unsigned(found.kind + 5), found.bits)
            rights[place], belows[place], sent = found.right, found.below, place
        if sent < len(self._shown) - 1:
            bits.append(unsigned(len(self._shown) - 1 - sent))
        return _unit(0x41, bits)

    def _coded(self, source: bytes, left: bytes, above: bytes) -> _Coded:
        """A macroblock. Most look like one that was coded before: in a sky, or at a foot."""
        key = source, left, above
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = _macroblock(source, left, above)
        return found


# Macroblocks


def _macroblock(source: bytes, left: bytes, above: bytes) -> _Coded:
    mode, guess = _guessed_luma(source, left[:4], above[:4])
    levels, luma = _luma(source, guess)
    mode_chroma, guesses = _guessed_chroma(source, left, above)
    blue, seen_blue = _chroma(source[16:20], guesses[:4])
    red, seen_red = _chroma(source[20:24], guesses[4:])
    coloured = any(blue) or any(red)
    bits = unsigned(mode_chroma) + signed(0) + block(levels)
    if coloured:
        bits += block(blue) + block(red)
    right = bytes((*luma[3::4], seen_blue[1], seen_blue[3], seen_red[1], seen_red[3]))
    return _Coded(1 + mode + 4 * coloured, bits, right, bytes((*luma[12:], *seen_blue[2:], *seen_red[2:])))


def _guessed_luma(source: bytes, left: bytes, above: bytes) -> tuple[int, list[int]]:
    """How the brightness is predicted, and what it is then (8.3.3): as above, as on the left, or evenly."""
    even = 128
    if left and above:
        even = (4 * sum(left) + 4 * sum(above) + 16) >> 5
    elif left or above:
        even = (4 * sum(left or above) + 8) >> 4
    ways: list[tuple[int, list[int]]] = [(2, [even] * 16)]
    if above:
        ways.append((0, list(above) * 4))
    if left:
        ways.append((1, [each for each in left for _ in range(4)]))
    return _nearest(ways, source[:16])


def _nearest(ways: list[tuple[int, list[int]]], source: bytes) -> tuple[int, list[int]]:
    """The way that guesses best."""
    return min(ways, key=lambda way: sum(map(abs, map(sub, source, way[1]))))


def _guessed_chroma(source: bytes, left: bytes, above: bytes) -> tuple[int, list[int]]:
    """The same for both colours (8.3.4): evenly, as on the left, or as above."""
    ways: list[tuple[int, list[int]]] = [(0, _even(left[4:6], above[4:6]) + _even(left[6:], above[6:]))]
    if left:
        ways.append((1, [left[4], left[4], left[5], left[5], left[6], left[6], left[7], left[7]]))
    if above:
        ways.append((2, [*above[4:6], *above[4:6], *above[6:], *above[6:]]))
    return _nearest(ways, source[16:])


def _even(left: bytes, above: bytes) -> list[int]:
    if left and above:
        return [(left[0] + above[0] + 1) >> 1, above[1], left[1], (left[1] + above[1] + 1) >> 1]
    if left:
        return [left[0], left[0], left[1], left[1]]
    return [above[0], above[1], above[0], above[1]] if above else [128] * 4


def _luma(source: bytes, guess: Sequence[int]) -> tuple[tuple[int, ...], Sequence[int]]:
    """The levels of what differs from the guess, in zigzag, and what a decoder sees (8.5.10)."""
    turned = _turned(list(map(sub, source, guess)))
    levels = [int(each * _LUMA + (_NEARLY if each > 0 else -_NEARLY)) for each in turned]
    if not any(levels):
        return _FLAT, guess
    seen = [
        base + ((((each * _LUMA_SCALE + _LUMA_HALF) >> _LUMA_SHIFT) + 32) >> 6)
        for base, each in zip(guess, _turned(levels), strict=True)
    ]
    return tuple([levels[place] for place in _ZIGZAG]), _clipped(seen)


_FLAT: Final = (0,) * 16


def _turned(values: Sequence[int]) -> list[int]:
    """Hadamard's transform of four by four values, which is its own inverse but for a factor of sixteen."""
    rows: list[int] = []
    for at in (0, 4, 8, 12):
        a, b, c, d = values[at : at + 4]
        e, f, g, h = a + b, c + d, a - b, c - d
        rows += (e + f, e - f, g - h, g + h)
    found = [0] * 16
    for at in range(4):
        a, b, c, d = rows[at], rows[at + 4], rows[at + 8], rows[at + 12]
        e, f, g, h = a + b, c + d, a - b, c - d
        found[at], found[at + 4], found[at + 8], found[at + 12] = e + f, e - f, g - h, g + h
    return found


def _chroma(source: bytes, guess: Sequence[int]) -> tuple[tuple[int, ...], Sequence[int]]:
    """The levels of what differs from the guess, and what a decoder sees (8.5.11)."""
    turned = _turned_small(list(map(sub, source, guess)))
    levels = tuple([int(each * _CHROMA + (_NEARLY if each > 0 else -_NEARLY)) for each in turned])
    if not any(levels):
        return levels, guess
    seen = [
        base + (((each * _CHROMA_SCALE >> 5) + 32) >> 6)
        for base, each in zip(guess, _turned_small(levels), strict=True)
    ]
    return levels, _clipped(seen)


def _turned_small(values: Sequence[int]) -> tuple[int, int, int, int]:
    a, b, c, d = values
    return a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d


_QPC: Final = _QP + _CHROMA_OFFSET  # as it is below 30 (8.5.8)
_LUMA_SCALE, _LUMA_SHIFT = 16 * _SCALES[_QP % 6], 6 - _QP // 6
_LUMA_HALF: Final = 1 << (_LUMA_SHIFT - 1)
_CHROMA_SCALE: Final = 16 * _SCALES[_QPC % 6] << (_QPC // 6)
_LUMA: Final = 2 ** (4 - _QP // 6) / _SCALES[_QP % 6]
"""How many levels one of a transformed difference is."""
_CHROMA: Final = 2 ** (5 - _QPC // 6) / _SCALES[_QPC % 6]


_NEARLY: Final = 0.36
"""How levels are rounded: rather to nought than to one, which costs."""


def _clipped(values: list[int]) -> list[int]:
    if min(values) >= 0 and max(values) <= 255:
        return values
    return [0 if each < 0 else min(each, 255) for each in values]


_KINDS: Final = tuple(unsigned(kind) for kind in range(26))
_SMOOTH: Final = unsigned(0) + signed(6) + signed(6)
"""At the end of the head of a slice: the decoder's filter is on, and smooths as much as can be said."""
_PLAIN: Final = unsigned(0) + signed(0) + signed(0)
"""The same where it smooths as usual: it must not smear what moves over what is beside it, which stays."""


# What stands around them


def _sequence(width: int, height: int, rate: int) -> bytes:
    """The parameters of the sequence (7.3.2.1): the size, that each frame refers to the one before, and how fast."""
    columns, rows = -(-width // 16), -(-height // 16)
    size = columns * rows
    level = next((name for name, most, fast in _LEVELS if size <= most and size * rate <= fast), 62)
    beyond = (16 * columns - width) // 2, (16 * rows - height) // 2
    cropped = "1" + "".join(unsigned(each) for each in (0, beyond[0], 0, beyond[1])) if any(beyond) else "0"
    colours = "1" + "101" + "0" + "1" + f"{1:08b}" * 3  # BT.709, not of the whole range
    timing = "1" + f"{1:032b}" + f"{2 * rate:032b}" + "1"
    order = "1" + "1" + "".join(unsigned(each) for each in (0, 0, 16, 16, 0, 1))  # frames are shown as they come
    bits = [
        "".join(unsigned(each) for each in (0, 0, 2, 1)),
        "0",
        unsigned(columns - 1),
        unsigned(rows - 1),
        "11",
        cropped,
        "1" + "0" + "0" + colours + "0" + timing + "0" + "0" + "0" + order,
    ]
    return _nal(0x67, bits, bytes((66, 0b1100_0000, level)))


def _picture() -> bytes:
    """The parameters of pictures (7.3.2.2)."""
    bits = [unsigned(0), unsigned(0), "00", unsigned(0), unsigned(0), unsigned(0), "000"]
    bits += [signed(_QP - 26), signed(0), signed(_CHROMA_OFFSET), "1", "1", "0"]
    return _nal(0x68, bits)


def _nal(head: int, bits: Sequence[str], before: bytes = b"") -> bytes:
    """A NAL unit (7.3.1): no three bytes in it may look like the beginning of another."""
    text = "".join(bits) + "1"
    text += "0" * (-len(text) % 8)
    data = before + int(text, 2).to_bytes(len(text) // 8, "big")
    return bytes((head,)) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", data)


def _unit(head: int, bits: Sequence[str]) -> bytes:
    """A NAL unit with its length before it."""
    data = _nal(head, bits)
    return len(data).to_bytes(4, "big") + data
