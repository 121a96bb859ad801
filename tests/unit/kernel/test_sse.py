"""Server-sent events: what the standard says, in any split of the bytes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from antiphon.kernel.sse import Blocks, Decoder, Event, encode

Block = tuple[bytes, list[Event]]


def decode(*pieces: bytes) -> list[Event]:
    decoder = Decoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [Event(b"a")]),
        (b"data:a\n\n", [Event(b"a")]),
        (b"data:  a \n\n", [Event(b" a ")]),  # one space is cut, no more
        (b"data: a\rdata: b\r\r", [Event(b"a\nb")]),
        (b"data: a\r\ndata: b\r\n\r\n", [Event(b"a\nb")]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [Event(b"a"), Event(b"b")]),
        (b"data\n\n", [Event(b"")]),
        (b"data:\ndata:\n\n", [Event(b"\n")]),
        (b"event: x\n\n", []),  # no data: not dispatched, and its name is forgotten
        (b"event: x\n\ndata: a\n\n", [Event(b"a")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [Event(b"a", "x"), Event(b"b")]),
        (b"event: x\nevent: y\ndata: a\n\n", [Event(b"a", "y")]),
        (b"event:\ndata: a\n\n", [Event(b"a")]),
        (b": comment\n\n:\n\ndata: a\n\n", [Event(b"a")]),
        (b"data: a\n: comment\ndata: b\n\n", [Event(b"a\nb")]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [Event(b"a", None, "1"), Event(b"b", None, "1")]),
        (b"id: 1\n\ndata: b\n\n", [Event(b"b", None, "1")]),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [Event(b"a", None, "1"), Event(b"b", None, "")]),
        (b"id: 1\x002\ndata: a\n\n", [Event(b"a")]),
        (b"retry: 300\ndata: a\n\n", [Event(b"a", None, None, 300)]),
        (b"retry: 3s\ndata: a\n\n", [Event(b"a")]),
        (b"unknown: 1\nDATA: x\ndata: a\n\n", [Event(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),  # only the first mark is one
        (b"data: \xef\xbb\xbfa\n\n", [Event(b"\xef\xbb\xbfa")]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"", []),
        ("event: é\ndata: 東京 🧠\n\n".encode(), [Event("東京 🧠".encode(), "é")]),
        (b"event: \xff\ndata: \xff\n\n", [Event(b"\xff", "\ufffd")]),
    ],
)
def test_streams_read_as_the_standard_says(stream: bytes, events: list[Event]) -> None:
    assert decode(stream) == events
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == events


def test_what_was_left_unfinished_is_told_at_the_end() -> None:
    for stream, left in (
        (b"data: a\n\n", b""),
        (b"data: a\ndata: b\nda", b"a\nb"),
        (b"data: a\ndata: {", b"a\n{"),
        (b"data: {", b"{"),
        (b"event: x\n: note", b""),
        (b"\xef", b""),
    ):
        decoder = Decoder()
        list(decoder.feed(stream))
        assert decoder.close() == left
        assert decoder.close() == b""


def test_last_id_and_retry_stay_with_the_decoder() -> None:
    decoder = Decoder()
    list(decoder.feed(b"id: 7\nretry: 10\ndata: a\n\n"))
    assert (decoder.last_event_id, decoder.retry) == ("7", 10)


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    line = b"x" * 2_000_000
    decoder = Decoder()
    pieces = [b"data: ", *(line[at : at + 100] for at in range(0, len(line), 100)), b"\n\n"]
    assert [event.data for piece in pieces for event in decoder.feed(piece)] == [line]


# Any split

lines = st.one_of(
    st.sampled_from([b"", b":", b": note", b"data", b"data:", b"event: x", b"id: 1", b"id", b"retry: 5", b"other: 1"]),
    st.text(max_size=8).map(lambda text: b"data: " + text.encode("utf-8", "replace").translate(None, b"\r\n")),
)
streams = st.builds(
    lambda mark, lines: mark + b"".join(line + end for line, end in lines),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=14),
)


@given(streams, st.data())
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", None)
def test_events_survive_any_split(stream: bytes, data: Any) -> None:
    whole = decode(stream)
    if data is None:
        cuts = list(range(len(stream)))
    else:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*pieces) == whole
    assert decode(*(stream[at : at + 1] for at in range(len(stream)))) == whole


def test_taking_whole_pieces_apart() -> None:
    decoder = Decoder()
    assert decoder.data(b"data: a\n\ndata: b\n\n") == [(b"a", None), (b"b", None)]
    assert decoder.data(b"event: x\ndata: a\n\nevent: \ndata: b\n\n") == [(b"a", "x"), (b"b", None)]
    assert decoder.data(b"data: a\ndata: b\n\n") == [(b"a\nb", None)]
    assert decoder.data(b"event: x\nid: 1\n\nevent: y\ndata: b\n\n") == [(b"b", "y")]
    assert decoder.data(b"id: 1\ndata: c\n\n") == [(b"c", None)]
    assert decoder.data(b"data: half") == []


blocks = st.lists(
    st.sampled_from(
        [b"data: a\n\n", b"data: b\ndata: c\n\n", b"event: x\ndata: a\n\n", b"event: y\nid: 1\n\n", b"event:\n", b": c\n\n",
         b"data: \n\n", b"event: \ndata: z\n\n", b"\n", b"event: x\n\n", b"data: \xff\r\n\r\n", b"data:", b"event:  s\ndata: a\n\n"]
    ),
    max_size=5,
).map(b"".join)  # fmt: skip


@given(st.lists(blocks | streams, max_size=5))
def test_taking_whole_pieces_apart_gives_the_same_data_and_names(pieces: list[bytes]) -> None:
    slow, quick = Decoder(), Decoder()
    for piece in pieces:
        assert quick.data(piece) == [(event.data, event.event) for event in slow.feed(piece)]
    assert quick.close() == slow.close()


@given(
    st.lists(st.tuples(st.text(max_size=20), st.none() | st.sampled_from(["done", "thread.run"])), max_size=6),
    st.data(),
)
def test_what_is_written_is_read_back(events: list[tuple[str, str | None]], data: Any) -> None:
    stream = b"".join(encode(text, name) for text, name in events)
    expected = [(text.replace("\r\n", "\n").replace("\r", "\n").encode(), name) for text, name in events]
    cut = data.draw(st.integers(0, len(stream)))
    assert [(event.data, event.event) for event in decode(stream[:cut], stream[cut:])] == expected


@given(
    st.lists(
        st.text(
            st.characters(exclude_characters="\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", exclude_categories=["Cs"]),
            max_size=12,
        ),
        max_size=5,
    )
)
def test_the_official_decoder_reads_the_same_where_it_is_right(texts: list[str]) -> None:
    # It splits lines at every character Python takes for a line's end, which the standard does not.
    stream = b": hello\n\n" + b"".join(encode(text, "e", id="1", retry=2) for text in texts)
    official = [
        (event.data.encode(), event.event, event.id, event.retry) for event in SSEDecoder().iter_bytes(iter([stream]))
    ]
    assert [tuple(event) for event in decode(stream)] == official


# Writing


def test_encode() -> None:
    assert encode(b"{}") == b"data: {}\n\n"
    assert encode("é", "e", id="1", retry=2) == "event: e\nid: 1\nretry: 2\ndata: é\n\n".encode()
    assert encode(b"a\r\nb\rc\nd") == b"data: a\ndata: b\ndata: c\ndata: d\n\n"
    for wrong in ({"event": "a\nb"}, {"id": "a\rb"}, {"id": "a\0"}):
        with pytest.raises(ValueError, match="cannot be"):
            encode(b"", **wrong)


@given(
    st.lists(st.sampled_from([b"data: a\n\n", b"data: b\r\n\r\n", b": c\n\n", b"data: d\ndata: e\n\n"])),
    st.lists(st.integers(0, 60)),
    st.sampled_from([b"", b"data: f", b"data: f\n"]),
)
def test_blocks_are_the_events_as_they_are_in_any_split(events: list[bytes], cuts: list[int], left: bytes) -> None:
    whole = b"".join(events) + left
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    blocks = Blocks()
    found = [block for start, end in pairwise(places) for block in blocks.feed(whole[start:end])]
    assert found == events
    assert blocks.close() == left
    assert blocks.close() == b""
