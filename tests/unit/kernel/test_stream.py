"""Streams of events: what is given, what is raised, and when the connection is closed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from antiphon.kernel.errors import APIConnectionError, APIError
from antiphon.kernel.http import Request, Response
from antiphon.kernel.stream import AsyncStream, Reading, Stream
from antiphon.kernel.view import View


class Event(View):
    n: int


READING = Reading(lambda value: Event.of(value) if isinstance(value, dict) else value)
NAMED = Reading(lambda value: value, named=True)


class Body:
    """The body of a transport in both colours, which remembers how it was left."""

    def __init__(self, *pieces: bytes, release: bool = False) -> None:
        self.pieces = iter(pieces)
        self.left: list[str] = []
        if release:
            self.release = lambda: self.left.append("released")
            self.arelease = self._arelease

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.pieces)

    def close(self) -> None:
        self.left.append("closed")

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self.pieces)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self.left.append("closed")

    async def _arelease(self) -> None:
        self.left.append("released")


def response(body: Any) -> Response:
    return Response(200, body=body, request=Request("POST", "/v1/chat/completions"))


def read(body: Any, reading: Reading = READING) -> list[Any]:
    return list(Stream(response(body), reading))


def aread(body: Any, reading: Reading = READING) -> list[Any]:
    async def collect() -> list[Any]:
        return [event async for event in AsyncStream(response(body), reading)]

    return asyncio.run(collect())


Read = Callable[..., list[Any]]
both = pytest.mark.parametrize("read", [read, aread])


@both
def test_events_are_read_up_to_done(read: Read) -> None:
    body = Body(b'data: {"n":1}\n\nda', b'ta: {"n":2}\n\n', b'data: [DONE]\n\ndata: {"n":3}\n\n')
    assert read(body) == [Event(n=1), Event(n=2)]
    assert body.left == ["closed"]
    assert read(b'data: {"n":1}\n\n') == [Event(n=1)]


@both
def test_a_transport_that_can_may_keep_the_connection_of_a_stream_that_ended(read: Read) -> None:
    for pieces in ((b'data: {"n":1}\n\n',), (b'data: {"n":1}\n\ndata: [DONE]\n\n', b"more")):
        body = Body(*pieces, release=True)
        assert read(body) == [Event(n=1)]
        assert body.left == ["released"]


@both
def test_a_body_without_close_is_just_left(read: Read) -> None:
    class Plain:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"data: 1\n\n"])

    assert read(Plain()) == [1]


@both
def test_names_of_events(read: Read) -> None:
    stream = b'event: thread.run\ndata: {"n":1}\n\nevent: other\ndata: {"n":2}\n\ndata: 3\n\ndata:\n\ndata: "x"\n\n'
    plain = Reading(lambda value: value)
    assert read(Body(stream), plain) == [{"event": "thread.run", "data": {"n": 1}}, {"n": 2}, 3, "x"]
    assert read(Body(stream), NAMED)[1:3] == [{"event": "other", "data": {"n": 2}}, {"event": None, "data": 3}]


@both
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (b'{"message":"too busy","code":"c"}', "too busy"),
        (b'{"message":5}', "The server reported an error in the stream."),
        (b'"text"', "text"),
    ],
)
def test_an_error_in_the_stream_is_raised(read: Read, error: bytes, message: str) -> None:
    body = Body(b'data: {"n":1}\n\ndata: {"error":' + error + b"}\n\n", release=True)
    with pytest.raises(APIError, match=message) as raised:
        read(body)
    assert raised.value.request == Request("POST", "/v1/chat/completions")
    assert raised.value.body is not None
    assert body.left == ["closed"]


@both
def test_what_is_no_error_is_an_event(read: Read) -> None:
    stream = b'data: {"error":null,"n":1}\n\ndata: {"error":{}}\n\n'
    assert read(Body(stream)) == [Event(error=None, n=1), Event(error={})]  # type: ignore[call-arg]
    told = b'data: {"error":{"message":"told"}}\n\n'
    assert read(Body(told), Reading(lambda value: value, errors=False)) == [{"error": {"message": "told"}}]


@both
@pytest.mark.parametrize("left", [b'data: {"n":', b'data: {"n":2}\ndata: {', b"event: x\ndata: tr"])
def test_a_stream_that_ends_in_the_middle_of_an_event_raises(read: Read, left: bytes) -> None:
    with pytest.raises(APIConnectionError, match="ended in the middle of an event"):
        read(Body(b'data: {"n":1}\n\n' + left))


@both
@pytest.mark.parametrize(
    "left", [b"", b"da", b"data: [DONE]", b"data: [DONE]\n", b'data: {"n":2}\n', b'data: {"n":2}', b": bye"]
)
def test_a_stream_that_ends_between_events_or_lacks_a_blank_line_just_ends(read: Read, left: bytes) -> None:
    assert read(Body(b'data: {"n":1}\n\n' + left)) == [Event(n=1)]


def test_leaving_a_stream_closes_the_connection() -> None:
    body = Body(b"data: 1\n\n", b"data: 2\n\n", release=True)
    with Stream(response(body), READING) as stream:
        assert next(stream) == 1
        assert next(iter(stream)) == 2
    assert set(body.left) == {"closed"}
    assert repr(stream) == "<stream of /v1/chat/completions>"
    assert repr(Stream(Response(200, body=b""), READING)) == "<stream of events>"


async def test_leaving_a_stream_in_a_loop_closes_the_connection() -> None:
    body = Body(b"data: 1\n\n", b"data: 2\n\n", release=True)
    async with AsyncStream(response(body), READING) as stream:
        assert await anext(stream) == 1
    assert set(body.left) == {"closed"}
    assert repr(stream) == "<stream of /v1/chat/completions>"
    await stream.aclose()


def test_a_stream_nobody_refers_to_is_closed() -> None:
    body = Body(b"data: 1\n\n", b"data: 2\n\n")
    stream: Stream[Any] = Stream(response(body), READING)
    next(stream)
    gc.disable()
    try:
        del stream
        assert body.left == ["closed"]
    finally:
        gc.enable()


@both
def test_an_event_that_is_no_json_is_said(read: Read) -> None:
    body = Body(b'data: {"n":1}\n\ndata: upstream timed out\n\n', release=True)
    with pytest.raises(APIError, match="not JSON: upstream timed out") as raised:
        read(body)
    assert raised.value.body == "upstream timed out"
    assert body.left == ["closed"]
