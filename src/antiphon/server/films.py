"""MP4 files: one track of H.264, written with its head first, and what the head of somebody's file says.

    film(frames, parameters, (1280, 720), rate=24)        # bytes that play while they are still loaded
    shape_of(data)                                        # Film(seconds=4.0, width=1280, height=720), or None

Sections are those of ISO/IEC 14496-12 and -15.
"""

from __future__ import annotations

import struct
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ("Film", "film", "shape_of")


class Film(NamedTuple):
    """What the head of a video says."""

    seconds: float
    width: int
    height: int


_UPRIGHT: Final = pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
"""The matrix that turns nothing."""
_NO_LANGUAGE: Final = 0x55C4


def film(
    frames: Sequence[bytes],
    parameters: tuple[bytes, bytes],
    size: tuple[int, int],
    *,
    rate: int,
    stills: Sequence[int] = (0,),
) -> bytes:
    """A file of access units that are shown in their order, `rate` of them in a second.

    `parameters` are SPS and PPS, `stills` the places of the frames that stand for themselves.
    """
    begin = _box("ftyp", b"isom", pack(">I", 512), b"isomiso2avc1mp41")
    # The head says where the frames begin, which is after the head: its length does not depend on what it says.
    head = _head(frames, parameters, size, rate, stills, 0)
    head = _head(frames, parameters, size, rate, stills, len(begin) + len(head) + 8)
    return b"".join((begin, head, _box("mdat", *frames)))


def _head(
    frames: Sequence[bytes],
    parameters: tuple[bytes, bytes],
    size: tuple[int, int],
    rate: int,
    stills: Sequence[int],
    begin: int,
) -> bytes:
    width, height = size
    length = len(frames)
    table = _box(
        "stbl",
        _full("stsd", pack(">I", 1), _entry(parameters, width, height)),
        _full("stts", pack(">3I", 1, length, 1)),
        _full("stss", pack(f">{len(stills) + 1}I", len(stills), *(place + 1 for place in stills))),
        _full("stsc", pack(">4I", 1, 1, length, 1)),
        _full("stsz", pack(f">{length + 2}I", 0, length, *map(len, frames))),
        _full("stco", pack(">2I", 1, begin)),
    )
    media = _box(
        "mdia",
        _full("mdhd", pack(">4I2H", 0, 0, rate, length, _NO_LANGUAGE, 0)),
        _full("hdlr", pack(">I4s12x", 0, b"vide"), b"VideoHandler\0"),
        _box(
            "minf",
            _full("vmhd", pack(">4H", 0, 0, 0, 0), flags=1),
            _box("dinf", _full("dref", pack(">I", 1), _full("url ", flags=1))),
            table,
        ),
    )
    track = _box(
        "trak",
        _full(
            "tkhd",
            pack(">5I8x4H", 0, 0, 1, 0, length, 0, 0, 0, 0),
            _UPRIGHT,
            pack(">2I", width << 16, height << 16),
            flags=3,
        ),
        media,
    )
    movie = _full("mvhd", pack(">4IIH10x", 0, 0, rate, length, 0x10000, 0x100), _UPRIGHT, bytes(24), pack(">I", 2))
    return _box("moov", movie, track)


def _entry(parameters: tuple[bytes, bytes], width: int, height: int) -> bytes:
    sequence, picture = parameters
    decoder = b"".join(
        (
            b"\1",
            sequence[1:4],  # profile, what it keeps to, and level
            b"\xff\xe1",  # lengths are of four bytes; one sequence follows
            pack(">H", len(sequence)),
            sequence,
            b"\1",
            pack(">H", len(picture)),
            picture,
        )
    )
    return _box(
        "avc1",
        pack(">6xH16x2H2I4xH32xHh", 1, width, height, 0x480000, 0x480000, 1, 0x18, -1),
        _box("avcC", decoder),
        _box("colr", b"nclx", pack(">3HB", 1, 1, 1, 0)),
    )


def _box(kind: str, *parts: bytes) -> bytes:
    return b"".join((pack(">I", 8 + sum(map(len, parts))), kind.encode(), *parts))


def _full(kind: str, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, pack(">I", flags), *parts)


# What others have written


def shape_of(data: bytes) -> Film | None:
    """How long and how large a video is; `None` for what is no MP4 or MOV with a head and a picture."""
    try:
        for kind, begin, end in _boxes(data, 0, len(data)):
            if kind == b"moov":
                return _movie(data, begin, end)
    except struct.error:  # it ends too early
        pass
    return None


def _movie(data: bytes, begin: int, end: int) -> Film | None:
    seconds, size = 0.0, (0, 0)
    for kind, at, stop in _boxes(data, begin, end):
        if kind == b"mvhd":
            scale, length = unpack_from(">IQ" if data[at] else ">2I", data, at + (20 if data[at] else 12))
            seconds = length / scale if scale else 0.0
        if kind == b"trak":
            for inner, _, last in _boxes(data, at, stop):
                if inner == b"tkhd":
                    width, height = unpack_from(">2I", data, last - 8)
                    size = max(size, (width >> 16, height >> 16))
    return Film(seconds, *size) if all(size) and seconds else None


def _boxes(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes of a part of a file: kind, and where their content begins and ends."""
    while begin + 8 <= end:
        length, kind = unpack_from(">I4s", data, begin)
        head = 8
        if length == 1:
            head, (length,) = 16, unpack_from(">Q", data, begin + 8)
        stop = end if length == 0 else begin + length
        if stop > end or 0 < length < head:
            return
        yield kind, begin + head, stop
        begin = stop
