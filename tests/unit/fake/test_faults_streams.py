"""Faults of streams: laws of what is split, doubled and mixed up."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.fake.faults import Behaviour, Duplicate, Reorder, Split, Truncate, UnknownEvents, UnknownFields, fault_of
from antiphon.fake.faults.behaviours import Scene
from antiphon.fake.faults.streams import events
from antiphon.fake.faults.triggers import Seen
from antiphon.fake.journal import Exchange
from antiphon.kernel.flow import Pause, Read, Step, World, iterate
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.sse import Decoder
from antiphon.server.clock import VirtualClock

TEXT = "Grüße, 世界 🎻 — one two three four five"


def sse(many: list[bytes]) -> bytes:
    return b"".join(b"data: " + each + b"\n\n" for each in many)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(marks)]


def answered(behaviour: Behaviour, body: Any, seed: int = 0) -> Any:
    """What a behaviour makes of the body of a stream."""
    request = Request("POST", "/v1/responses")
    exchange = Exchange((request.method, request.path, "", request.headers, b"", request.origin), 0.0)
    scene = Scene(Seen(request, exchange, 0.0), Random(seed), VirtualClock(0), {})
    return behaviour.altered(Response(200, Headers({"content-type": "text/event-stream"}), body), scene).body


def altered(behaviour: Behaviour, body: Any, *, seed: int = 0) -> list[Any]:
    """Its pieces, and its steps."""
    made = answered(behaviour, body, seed)
    return [made] if isinstance(made, bytes) else list(made)


def data(pieces: list[Any]) -> list[bytes]:
    return [each for each in pieces if isinstance(each, bytes)]


payloads = st.lists(st.binary(max_size=12).filter(lambda each: b"\n" not in each and b"\r" not in each), max_size=8)
places = st.lists(st.integers(0, 200), max_size=8)


@given(payloads, places)
def test_events_are_whole_whatever_the_pieces(many: list[bytes], where: list[int]) -> None:
    found = data(list(events(cut(sse(many), where))))
    assert found == [sse([each]) for each in many]


@given(st.binary(max_size=200), places, st.integers(1, 9), st.none() | st.integers(0, 9), st.integers())
def test_split_bytes_are_the_same_bytes(body: bytes, where: list[int], size: int, more: int | None, seed: int) -> None:
    split = Split(size, most=None if more is None else size + more)
    for given_body in (body, cut(body, where)):
        pieces = data(altered(split, given_body, seed=seed))
        assert b"".join(pieces) == body
        assert all(0 < len(each) <= size + (more or 0) for each in pieces)
        assert data(altered(split, given_body, seed=seed)) == pieces
    if more is None:
        assert len(data(altered(split, body))) == -(-len(body) // size)


@given(payloads, places, st.integers(1, 5))
def test_a_decoder_does_not_mind_the_split(many: list[bytes], where: list[int], size: int) -> None:
    decoder = Decoder()
    found = [each for piece in data(altered(Split(size), cut(sse(many), where))) for each, _ in decoder.data(piece)]
    whole = [each for each, _ in Decoder().data(sse(many))]
    assert found == whole


@given(payloads, places, st.integers(1, 4))
def test_every_so_many_come_twice(many: list[bytes], where: list[int], every: int) -> None:
    found = data(altered(Duplicate(every), cut(sse([*many, b"[DONE]"]), where)))
    expected = [
        sse([each])
        for place, each in enumerate(many, 1)
        for _ in range(2 if place % every == 0 and each[:6] != b"[DONE]" else 1)
    ]
    assert found == [*expected, b"data: [DONE]\n\n"]


@given(
    payloads.map(lambda many: [each for each in many if each[:6] != b"[DONE]"]),
    places,
    st.integers(2, 5),
    st.integers(),
)
def test_what_is_mixed_up_is_all_there_and_near(many: list[bytes], where: list[int], within: int, seed: int) -> None:
    numbered = [b"%d %b" % (place, each) for place, each in enumerate(many)]
    found = data(altered(Reorder(within), cut(sse([*numbered, b"[DONE]"]), where), seed=seed))
    assert found[-1] == b"data: [DONE]\n\n"
    assert Counter(found[:-1]) == Counter(sse([each]) for each in numbered)
    for place, each in enumerate(found[:-1]):
        assert abs(int(each.split()[1]) - place) < within
    assert data(altered(Reorder(within), sse([*numbered, b"[DONE]"]), seed=seed)) == found


@given(payloads, places, st.integers(0, 9))
def test_a_stream_is_cut_behind_its_events(many: list[bytes], where: list[int], after: int) -> None:
    assert (
        data(altered(Truncate(after=after), cut(sse(many), where))) == [sse([each]) for each in many][:after]
        or not after
    )


@given(st.binary(max_size=60), places, st.integers(0, 80))
def test_a_body_is_cut_behind_its_bytes(body: bytes, where: list[int], most: int) -> None:
    for given_body in (body, cut(body, where)):
        assert b"".join(data(altered(Truncate(after_bytes=most), given_body))) == body[:most]


def test_steps_stay_where_they_are_and_get_what_they_gave() -> None:
    class Ask(Step[Any]):
        def perform(self, world: World) -> Any:
            raise KeyError("no")

    closed: list[str] = []

    def body() -> Any:
        try:
            yield b"data: 1\n\nda"
            yield Pause(1)
            assert (yield Read(iter([b"ta: 2"]))) == b"ta: 2"
            try:
                yield Ask()
            except KeyError:
                yield b"ta: 3\n\n"
            yield b"data: 4\n\n"
        finally:
            closed.append("body")

    for behaviour in (Duplicate(9), Reorder(2), UnknownEvents(9), Split(64), Truncate(after=9), UnknownFields()):
        pieces = list(iterate(answered(behaviour, body()), VirtualClock(0).world()))
        assert sorted(b"".join(pieces).split(b"\n\n")) == [b"", b"data: 1", b"data: 3", b"data: 4"]
    assert len(closed) == 6


def test_a_stream_that_is_left_is_closed_to_its_bottom() -> None:
    closed: list[str] = []

    def body() -> Any:
        try:
            yield b"data: 1\n\ndata: 2\n\n"
            yield b"data: 3\n\n"
        finally:
            closed.append("body")

    pieces = answered(fault_of("duplicate; split=2; unknown_events").stages[0].behaviour, body())
    next(pieces)
    pieces.close()
    assert closed == ["body"]


@pytest.mark.parametrize(
    "line", ["split=1", "split=1, most=7", "duplicate=2; split=3", "unknown_events; unknown_fields"]
)
def test_clients_read_a_stream_however_it_comes(line: str) -> None:
    import httpx2
    import openai

    fake = FakeOpenAI("echo")
    fake.misbehave(line)
    ours = fake.client().responses.create(model="gpt-5", input=TEXT, stream=True)
    done = [event for event in ours if event.type == "response.completed"][-1]
    assert done.response.output_text == TEXT
    with openai.OpenAI(api_key="x", http_client=httpx2.Client(transport=fake.official_transport())) as client:
        theirs = list(client.responses.create(model="gpt-5", input=TEXT, stream=True))
    assert [each for each in theirs if each.type == "response.completed"][-1].response.output_text == TEXT


def test_over_a_port_the_pieces_are_chunks_of_their_own() -> None:
    import http.client

    fake = FakeOpenAI("echo")
    fake.misbehave(Split(5))
    body = b'{"model": "gpt-5", "input": "\xe4\xb8\x96\xe7\x95\x8c", "stream": true}'
    with fake.start(port=0) as server:
        connection = http.client.HTTPConnection(server.host, server.port)
        connection.request(
            "POST", "/v1/responses", body, {"authorization": "Bearer x", "content-type": "application/json"}
        )
        answer = connection.getresponse()
        stream: Any = answer.fp
        sizes: list[int] = []
        whole = b""
        while size := int(stream.readline(), 16):
            whole += stream.read(size)
            stream.readline()
            sizes.append(size)
        connection.close()
    assert sizes[:-1] and set(sizes[:-1]) == {5}
    assert "世界".encode() in whole
