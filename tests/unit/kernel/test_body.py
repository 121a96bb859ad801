"""Bodies taken apart: by size, as text, by lines, in whatever pieces they come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel.body import AsyncPieces, Chunks, Lines, Pieces
from antiphon.kernel.result import duration

TEXT = st.text(alphabet="ab\n\r\x0b\x0c\x1c\x85\u2028é")


@given(st.lists(TEXT))
def test_lines_are_those_of_the_whole_text(pieces: list[str]) -> None:
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)]
    assert found + lines.flush() == "".join(pieces).splitlines()


@given(st.lists(st.binary(max_size=20)), st.integers(1, 9))
def test_chunks_have_their_size_and_lose_nothing(pieces: list[bytes], size: int) -> None:
    chunks: Chunks[bytes] = Chunks(size)
    found = [chunk for piece in pieces for chunk in chunks.feed(piece)] + chunks.flush()
    assert b"".join(found) == b"".join(pieces)
    assert all(len(chunk) == size for chunk in found[:-1])
    assert all(0 < len(chunk) <= size for chunk in found)


def test_chunks_without_a_size_are_the_pieces() -> None:
    chunks: Chunks[str] = Chunks(None)
    assert [chunks.feed("ab"), chunks.feed(""), chunks.feed("c"), chunks.flush()] == [["ab"], [], ["c"], []]


def test_pieces_remember_what_became_of_them() -> None:
    closed: list[bool] = []

    def body() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    pieces = Pieces(body())
    assert (pieces.begun, pieces.closed, pieces.ended) == (False, False, None)
    assert next(pieces) == b"a"
    assert (pieces.begun, pieces.closed) == (True, False)
    pieces.close()
    assert (pieces.closed, closed) == (True, [True])
    assert list(pieces) == []
    ended = pieces.ended
    pieces.close()
    assert pieces.ended == ended is not None
    assert list(Pieces(b"whole")) == [b"whole"]


async def test_pieces_in_an_event_loop() -> None:
    pieces = AsyncPieces(b"whole")
    assert [piece async for piece in pieces] == [b"whole"]
    assert pieces.closed
    assert [piece async for piece in pieces] == []
    await pieces.aclose()
    await pieces.arelease()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("1d1h", 90000.0),
        ("60", 60.0),
        ("0.5", 0.5),
        (" 7.66s ", 7.66),
        ("250µs", 0.00025),
        ("", None),
        ("soon", None),
        ("1m soon", None),
        ("-1s", None),
        ("1y", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))
