"""Bodies in temporary files: the same bytes, in pieces, shared, and gone when nobody holds them."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel.spool import IN_MEMORY, Spool, Spooled, aspooled, pieces_of, size_of, spooled

LARGE = os.urandom(1024) * (2 * IN_MEMORY // 1024)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go for the time of a test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def in_file(data: bytes) -> Spooled:
    with Spool(0) as spool:
        spool.write(data)
        return spool.finish()


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


async def acut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for piece in cut(data, size):
        yield piece


@pytest.mark.parametrize("size", [70_001, IN_MEMORY, 3 * IN_MEMORY])
def test_what_is_large_is_in_a_file(size: int, folder: Path) -> None:
    for body in (spooled(cut(LARGE, size)), asyncio.run(aspooled(acut(LARGE, size)))):
        assert isinstance(body, Spooled)
        assert not body.is_async
        assert body.replayable
        assert body.at_hand
        assert body.length == body.size == size_of(body) == len(LARGE)
        assert body.read() == b"".join(body) == LARGE
        assert max(map(len, pieces_of(body))) <= 256 * 1024
        path, start, end = body.place
        assert Path(path).read_bytes()[start:end] == LARGE

        async def read(body: Spooled = body) -> bytes:
            return b"".join([piece async for piece in body.apieces()])

        assert asyncio.run(read()) == asyncio.run(body.aread()) == LARGE


def test_what_is_small_is_in_memory(folder: Path) -> None:
    for data in (b"", b"abc", LARGE[:IN_MEMORY]):
        assert spooled(cut(data, 1000)) == asyncio.run(aspooled(acut(data, 1000))) == data
        assert size_of(data) == len(data)
        assert list(pieces_of(data)) == [data]
    assert list(folder.iterdir()) == []


def test_files_go_with_the_last_who_holds_them(folder: Path) -> None:
    body = spooled(cut(LARGE, 100_000))
    assert isinstance(body, Spooled)
    part = body.part(10, 20)
    assert len(list(folder.iterdir())) == 1
    del body
    assert part.read() == LARGE[10:30]
    del part
    assert list(folder.iterdir()) == []


def test_what_breaks_off_leaves_nothing(folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield LARGE
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        spooled(pieces())
    assert list(folder.iterdir()) == []


def test_no_more_is_read_than_is_wanted() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    async def aendless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    assert size_of(spooled(endless(), 5000)) == size_of(asyncio.run(aspooled(aendless(), 5000))) == 6000
    large = spooled(endless(), 2 * IN_MEMORY)
    assert isinstance(large, Spooled)
    assert 2 * IN_MEMORY < large.size <= 2 * IN_MEMORY + 1000


def test_parts_have_bounds() -> None:
    body = in_file(b"0123456789")
    assert body.part(2, 5).part(1, 3).read() == b"345"
    assert (body.part(10, 0).read(), list(body.part(0, 0).pieces())) == (b"", [])
    for start, size in ((-1, 2), (5, 6), (0, -1), (11, 0)):
        with pytest.raises(ValueError, match="no bytes"):
            body.part(start, size)


def test_copies_share_and_pickles_do_not(folder: Path) -> None:
    body = in_file(b"0123456789").part(2, 3)
    assert copy.copy(body) is copy.deepcopy(body) is body
    other: Any = pickle.loads(pickle.dumps(body))
    assert (other.read(), other.place == body.place) == (b"234", False)
    assert repr(body).startswith("<3 bytes in ")


def test_a_file_that_was_cut_short_is_noticed() -> None:
    body = in_file(b"0123456789")
    os.truncate(body.place[0], 4)
    with pytest.raises(OSError, match="cut short"):
        body.read()
    os.unlink(body.place[0])  # that it is gone already disturbs nobody
    del body


CHILD = """
import os, sys
from antiphon.kernel.spool import Spool
with Spool(0) as spool:
    spool.write(b"kept")
    body = spool.finish()
if os.fork() == 0:
    del body, spool
    sys.exit(0)
os.wait()
assert body.read() == b"kept"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_leaves_files_alone_and_the_end_of_a_process_does_not(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD], check=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert list(tmp_path.iterdir()) == []


def test_another_process_removes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = in_file(b"kept")
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as it is in a child, when its copy goes
    del body
    assert len(list(folder.iterdir())) == 1


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(0, 30))
def test_any_pieces_give_the_same_bytes(pieces: list[bytes], most: int) -> None:
    whole = b"".join(pieces)
    with Spool(most) as spool:
        for piece in pieces:
            spool.write(piece)
            if spool.full:
                spool.flush()
        body = spool.done()
    assert b"".join(pieces_of(body)) == whole
    assert size_of(body) == len(whole)
    assert isinstance(body, bytes) or len(whole) > most
