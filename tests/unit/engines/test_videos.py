"""Videos as they are coded: the boxes of the file, the units in it, and the levels of its blocks."""

from __future__ import annotations

import asyncio
import threading
from struct import unpack_from
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.engines import cavlc
from antiphon.engines.h264 import Coder, Planes
from antiphon.engines.videos import DrawnVideos, VideoFunction, video_engine
from antiphon.kernel.flow import World, run
from antiphon.server.engine import Shot, VideoRequest
from antiphon.server.films import Film, film, shape_of

FULL = {"stsd", "stts", "stss", "stsc", "stsz", "stco", "mdhd", "hdlr", "vmhd", "dref", "tkhd", "mvhd"}
INSIDE = {"moov", "trak", "mdia", "minf", "dinf", "stbl"}


def boxes(data: bytes, at: int = 0, end: int | None = None) -> dict[str, Any]:
    """The boxes of a file by name, those in others by the path to them."""
    found: dict[str, Any] = {}
    end = len(data) if end is None else end
    while at < end:
        length, name = unpack_from(">I4s", data, at)
        kind = name.decode()
        found[kind] = data[at + 8 : at + length]
        if kind in INSIDE:
            found |= boxes(data, at + 8, at + length)
        if kind == "stco":
            found["stco at"] = at
        at += length
    assert at == end
    return found


def drawn(prompt: str = "A hill", seconds: int = 1, width: int = 64, height: int = 48, **more: Any) -> bytes:
    return DrawnVideos().draw(VideoRequest("m", prompt, seconds, width, height, **more))


def units(data: bytes) -> list[list[bytes]]:
    """The units of each frame of a file, found as its tables say."""
    found = boxes(data)
    (begin,) = unpack_from(">I", found["stco"], 8)
    assert data[begin - 4 : begin] == b"mdat"
    frames: list[list[bytes]] = []
    for length in unpack_from(f">{unpack_from('>I', found['stsz'], 8)[0]}I", found["stsz"], 12):
        frames.append([])
        at = begin
        while at < begin + length:
            (size,) = unpack_from(">I", data, at)
            frames[-1].append(data[at + 4 : at + 4 + size])
            at += 4 + size
        assert at == begin + length
        begin = at
    assert begin == len(data)
    return frames


# The file


def test_the_tables_of_a_file_lead_to_its_frames() -> None:
    data = drawn(seconds=2, shots=[Shot(1, ("A hill",)), Shot(1, ("A lake",))])
    found = boxes(data)
    assert list(found)[:2] == ["ftyp", "moov"]  # it plays while it is still loaded
    assert unpack_from(">3I", found["stts"], 4) == (1, 48, 1)
    assert unpack_from(">4I", found["mdhd"], 4) == (0, 0, 24, 48)
    assert unpack_from(">3I", found["stss"], 4) == (2, 1, 25)
    frames = units(data)
    kinds = [[unit[0] for unit in frame] for frame in frames]
    assert kinds == [[0x65], *[[0x41]] * 23] * 2
    assert unpack_from(">2I", found["tkhd"], len(found["tkhd"]) - 8) == (64 << 16, 48 << 16)
    assert found["stsd"].count(b"avcC") == found["stsd"].count(b"\x67\x42\xc0") == 1
    assert shape_of(data) == Film(2.0, 64, 48)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=30), st.integers(1, 60))
@settings(deadline=None)
def test_whatever_the_frames_are_they_are_found(frames: list[bytes], rate: int) -> None:
    data = film(frames, (b"\x67abc", b"\x68d"), (320, 240), rate=rate)
    found = boxes(data)
    assert found["mdat"] == b"".join(frames)
    assert list(unpack_from(f">{len(frames)}I", found["stsz"], 12)) == [len(frame) for frame in frames]
    assert shape_of(data) == Film(len(frames) / rate, 320, 240)


@given(st.binary(max_size=200))
def test_a_file_of_anything_has_a_shape_or_none(data: bytes) -> None:
    whole = drawn()
    assert shape_of(data) is None
    assert shape_of(b"\0\0\0\x0cfree...." + whole) == Film(1.0, 64, 48)
    for end in (8, 40, 100, 300):
        assert shape_of(whole[:end] + data) is None


def test_a_head_behind_the_pictures_is_found_and_one_in_wide_numbers() -> None:
    whole = drawn()
    length = unpack_from(">I", whole, unpack_from(">I", whole)[0])[0]
    begin = unpack_from(">I", whole)[0]
    head, rest = whole[begin : begin + length], whole[begin + length :]
    assert shape_of(rest + head) == Film(1.0, 64, 48)
    wide = b"\0\0\0\x01moov" + (length + 8).to_bytes(8, "big") + head[8:]
    assert shape_of(wide) == Film(1.0, 64, 48)
    assert shape_of(b"\0\0\0\x00moov" + head[8:]) == Film(1.0, 64, 48)
    assert shape_of(b"\0\0\0\x04moov" + head[8:]) is None


# The units


@given(st.lists(st.sampled_from(["00000000", "00000001", "00000011", "10000000"]), max_size=40))
def test_nothing_in_a_unit_looks_like_the_beginning_of_another(bits: list[str]) -> None:
    from antiphon.engines.h264 import _nal

    unit = _nal(0x65, bits)
    assert not any(mark in unit[1:] for mark in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))
    plain = unit[1:].replace(b"\0\0\3", b"\0\0")
    assert plain == int("".join(bits) + "10000000", 2).to_bytes(len(bits) + 1, "big")


def test_what_does_not_change_costs_next_to_nothing() -> None:
    planes = Planes(4, bytes(range(16)) * 12, bytes([100]) * 48, bytes([150]) * 48)
    coder = Coder(64, 48, 24)
    coder.still(planes)
    assert len(coder.moved()) == len(coder.moved(planes)) < 16
    one = Planes(1, bytes([200]) * 16, bytes([100]) * 4, bytes([150]) * 4)
    assert len(coder.moved(one, (3, 2))) < 24
    assert len(coder.moved(one, (3, 2))) < 16, "it is there by now"


@pytest.mark.parametrize(
    ("size", "level"), [((1280, 720), 31), ((720, 1280), 31), ((1792, 1024), 40), ((4096, 2304), 51)]
)
def test_the_level_is_that_of_the_size(size: tuple[int, int], level: int) -> None:
    assert Coder(*size, rate=24).parameters[0][:4] == bytes((0x67, 66, 0xC0, level))


# The levels


def read(bits: str, size: int) -> tuple[tuple[int, ...], str]:
    """The levels that bits say, and what is left of the bits: 9.2 of the standard, from the other side."""

    def code(table: Any) -> int:
        nonlocal bits
        [place] = [place for place, each in enumerate(table) if each and bits.startswith(each)]
        bits = bits[len(table[place]) :]
        return int(place)

    def take(count: int) -> str:
        nonlocal bits
        taken, bits = bits[:count], bits[count:]
        return taken

    count, ones = divmod(code([each for row in cavlc._TOKENS[size] for each in row]), 4)
    levels = [1 - 2 * int(take(1)) for _ in range(ones)]
    suffix = 1 if count > 10 and ones < 3 else 0
    while len(levels) < count:
        prefix = bits.index("1")
        take(prefix + 1)
        long = 12 if prefix == 15 else 4 if prefix == 14 and not suffix else suffix
        number = (min(prefix, 15) << suffix) + (int(take(long), 2) if long else 0)
        number += 15 if prefix == 15 and not suffix else 0
        number += 2 if len(levels) == ones and ones < 3 else 0
        levels.append((number + 2) // 2 if number % 2 == 0 else -(number + 1) // 2)
        suffix = max(suffix, 1)
        if abs(levels[-1]) > 3 << (suffix - 1) and suffix < 6:
            suffix += 1
    left = code(cavlc._ZEROS[size][count - 1]) if 0 < count < size else 0
    found = [0] * size
    place = count + left - 1
    for at, level in enumerate(levels):
        found[place] = level
        run = 0
        if left and at < count - 1:
            run = code(cavlc._RUNS[min(left, 7) - 1])
            left -= run
        place -= 1 + run
    return tuple(found), bits


@given(
    st.sampled_from([16, 4]).flatmap(
        lambda size: st.lists(
            st.one_of(st.just(0), st.integers(-2, 2), st.integers(-40, 40), st.integers(-1900, 1900)),
            min_size=size,
            max_size=size,
        )
    )
)
@settings(max_examples=400)
def test_levels_are_read_as_they_were_written(levels: list[int]) -> None:
    assert read(cavlc.block(tuple(levels)) + "1011", len(levels)) == (tuple(levels), "1011")


@given(st.integers(0, 10**6))
def test_numbers_are_told_from_each_other(number: int) -> None:
    bits = cavlc.unsigned(number)
    assert int(bits, 2) == number + 1
    assert len(bits) == 2 * bits.index("1") + 1
    assert cavlc.signed(number) == cavlc.unsigned(max(2 * number - 1, 0))
    assert cavlc.signed(-number) == cavlc.unsigned(2 * number)


# The engine


def test_videos_are_made_on_a_thread() -> None:
    flow = DrawnVideos()(VideoRequest("m", "x", 1, 64, 48))
    step = next(flow)
    names: list[str] = []
    step.function, inner = lambda *given: names.append(threading.current_thread().name) or inner(*given), step.function  # type: ignore[attr-defined, func-returns-value]
    data: Any = asyncio.run(step.aperform(World()))
    assert data == drawn("x")
    assert names != [threading.main_thread().name]
    flow.close()


def test_captions_seeds_and_parts() -> None:
    assert drawn("A hill") != DrawnVideos(caption=False).draw(VideoRequest("m", "A hill", 1, 64, 48))
    assert drawn("A hill") != DrawnVideos("another").draw(VideoRequest("m", "A hill", 1, 64, 48))
    assert drawn("B") == drawn("A", shots=[Shot(1, ("B",))])
    # Parts that do not last as long as the whole are made to.
    many = [Shot(1, ("B",)), Shot(0, ("C",)), Shot(5, ("D",)), Shot(1, ("E",))]
    assert drawn(seconds=3, shots=many) == drawn(seconds=3, shots=[Shot(1, ("B",)), Shot(2, ("D",))])
    assert shape_of(drawn(seconds=3, shots=many[:1])) == Film(3.0, 64, 48)


@given(st.text(max_size=30), st.integers(8, 60), st.integers(8, 60))
@settings(max_examples=20, deadline=None)
def test_every_prompt_and_every_even_size_has_a_video(prompt: str, width: int, height: int) -> None:
    assert shape_of(drawn(prompt, 1, 2 * width, 2 * height)) == Film(1.0, 2 * width, 2 * height)


def test_functions_and_what_they_may_not_give() -> None:
    engine = video_engine(lambda prompt: bytearray(prompt.encode()))
    assert isinstance(engine, VideoFunction)
    assert run(engine(VideoRequest("m", "x")), World()) == b"x"
    with pytest.raises(TypeError, match="gives the bytes of a file, or its path, not 3"):
        run(VideoFunction(lambda prompt: 3)(VideoRequest("m", "x")), World())
    assert isinstance(video_engine(seed=3), DrawnVideos)
    assert video_engine(engine) is engine
