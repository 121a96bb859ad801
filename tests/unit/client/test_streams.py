"""Streams of events: any split of the bytes, how they end, how they are left, what goes wrong in them."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import APIConnectionError, APIError, APITimeoutError, AsyncOpenAI, AsyncStream, OpenAI, Stream
from antiphon.kernel.flow import Await, Pause
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.sse import encode
from antiphon.types.beta.assistant_stream_event import ThreadCreated, ThreadMessageDelta
from antiphon.types.chat import ChatCompletionChunk
from tests.unit.client.wire import END, STREAM, Wire, chunk, reply, wire
from tests.unit.client.worlds import Scripted, both, events, pieces_of

DONE = b"data: [DONE]\n\n"


def delta(text: str) -> bytes:
    data = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
    return encode(json.dumps(data, ensure_ascii=False))


def ask(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[], stream=True)


def read(stream: Any) -> list[Any]:
    """The events of a stream of either colour."""
    if isinstance(stream, Stream):
        return list(stream)

    async def awaited() -> list[Any]:
        return [event async for event in stream]

    return asyncio.run(awaited())


def texts(handler: Any, kind: Any = OpenAI) -> list[str]:
    async def awaited() -> list[str]:
        return [
            chunk.choices[0].delta.content async for chunk in await ask(AsyncOpenAI(api_key="k", transport=handler))
        ]

    if kind is AsyncOpenAI:
        return asyncio.run(awaited())
    return [chunk.choices[0].delta.content for chunk in ask(OpenAI(api_key="k", transport=handler))]


def consume(client: Any, got: list[str]) -> None:
    """Read a stream to its end in either colour, keeping what came before an error."""

    async def awaited() -> None:
        async for each in await ask(client):
            got.append(each.choices[0].delta.content)

    if isinstance(client, AsyncOpenAI):
        asyncio.run(awaited())
    else:
        for each in ask(client):
            got.append(each.choices[0].delta.content)


WORDS = ["Grüß", " ", "", "dich\n", "🎼\u2028", "]DONE["]
BODY = b"".join(map(delta, WORDS)) + DONE


@given(st.lists(st.integers(0, len(BODY)), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_split_of_the_bytes_gives_the_same(cuts: list[int], end: str) -> None:
    body = BODY.replace(b"\n", end.encode())
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    pieces = [body[start:stop] for start, stop in pairwise(edges)]
    assert texts(lambda request: events(*pieces)) == WORDS


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_pieces_of_every_size(kind: Any, size: int) -> None:
    assert texts(lambda request: events(*pieces_of(BODY, size)), kind) == WORDS


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (delta("a") + DONE + delta("never"), ["a"]),
        (delta("a") + b"data: [DONE] and more\n\n" + delta("never"), ["a"]),
        (delta("a"), ["a"]),  # no [DONE] at all
        (delta("a") + b"data: [DONE]\n", ["a"]),
        (delta("a") + b"data: [DONE]", ["a"]),
        (b": hello\n\n" + delta("a") + b":\n\n: ping\n\n" + DONE, ["a"]),
        (b"\xef\xbb\xbf" + delta("a") + DONE, ["a"]),
        (b"id: 1\nretry: 5\nevent: x\n" + delta("a") + DONE, ["a"]),
        (b"event: ping\n\ndata:\n\n" + delta("a") + DONE, ["a"]),
        (delta("a").replace(b'"object"', b'\ndata: "object"') + DONE, ["a"]),
        (delta("a").replace(b"data: ", b"data:") + DONE, ["a"]),
        (delta("a") + delta("without its blank line")[:-1], ["a"]),
        (b"", []),
        (DONE, []),
    ],
)
def test_streams_as_servers_write_them(kind: Any, body: bytes, expected: list[str]) -> None:
    assert texts(lambda request: events(body), kind) == expected
    assert texts(lambda request: Response(200, Headers(), body), kind) == expected


def test_a_large_event() -> None:
    large = "x" * 3_000_000
    assert texts(lambda request: events(*pieces_of(delta(large) + DONE, 65_536))) == [large]


def test_a_stream_is_typed_and_has_its_response() -> None:
    headers = Headers({"content-type": "text/event-stream", "x-request-id": "req_1"})
    stream = ask(OpenAI(api_key="k", transport=lambda request: Response(200, headers, iter([BODY]))))
    assert isinstance(stream, Stream)
    assert stream.response.headers["x-request-id"] == "req_1"
    assert isinstance(next(stream), ChatCompletionChunk)
    assert len(list(stream)) == len(WORDS) - 1
    assert list(stream) == []
    with pytest.raises(StopIteration):
        next(stream)


# What goes wrong


ERRORS = [
    ({"message": "overloaded", "type": "server_error", "code": "busy", "param": None}, "overloaded"),
    ({"code": "busy"}, None),
    ("just words", None),
    ({"message": 5}, None),
]


@pytest.mark.parametrize(("error", "message"), ERRORS, ids=str)
@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_an_error_in_the_stream_is_raised(kind: Any, error: Any, message: str | None) -> None:
    body = delta("a") + encode(json.dumps({"error": error})) + delta("never")
    got: list[str] = []

    with pytest.raises(APIError) as raised:
        consume(kind(api_key="k", transport=lambda request: events(body)), got)
    assert got == ["a"]
    assert type(raised.value) is APIError
    assert raised.value.body == error
    assert raised.value.code == (error.get("code") if isinstance(error, dict) else None)
    assert raised.value.request is not None
    if message:
        assert str(raised.value) == message


@pytest.mark.parametrize("rest", [b'data: {"id": "c", "choi', b'data: {"id":\n', b'event: x\ndata: {"a"'])
@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_a_stream_that_ends_within_an_event_is_a_lost_connection(kind: Any, rest: bytes) -> None:
    with pytest.raises(APIConnectionError):
        texts(lambda request: events(delta("a"), rest), kind)


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_a_silent_stream_times_out(kind: Any) -> None:
    world = Scripted(Response(200)).world

    class Slow:
        def __init__(self) -> None:
            self.world = world
            self.left = False

        def __call__(self, request: Request) -> Response:
            def body() -> Iterator[Any]:
                try:
                    for text in "abc":
                        yield Pause(3)
                        yield delta(text)
                    yield Pause(3)
                    yield Pause(3)
                    yield delta("too late")
                finally:
                    self.left = True

            return Response(200, Headers(), body())

    slow = Slow()
    (stream,) = both(ask, kind(api_key="k", transport=slow, timeout=5))
    with pytest.raises(APITimeoutError):
        read(stream)
    assert slow.left
    assert world.slept == [3, 3, 3, 3, 2]


# Events with names


def test_events_of_threads_keep_their_names() -> None:
    body = (
        b'event: thread.created\ndata: {"id": "thread_1", "object": "thread"}\n\n'
        b'event: thread.message.delta\ndata: {"id": "msg_1", "delta": {"content": []}}\n\n'
        b'event: error\ndata: {"message": "m", "code": "c"}\n\n'
        b"event: done\ndata: [DONE]\n\n"
    )
    with pytest.deprecated_call():
        stream = OpenAI(api_key="k", transport=lambda request: events(body)).beta.threads.create_and_run(
            assistant_id="a", stream=True
        )
    first, second, third = stream
    assert isinstance(first, ThreadCreated)
    assert (first.event, first.data.id) == ("thread.created", "thread_1")
    assert isinstance(second, ThreadMessageDelta)
    assert second.data.id == "msg_1"
    assert third.event == "error"
    assert third.data.message == "m"
    with pytest.deprecated_call():
        failing = OpenAI(
            api_key="k", transport=lambda request: events(b'event: error\ndata: {"error": {"message": "bad"}}\n\n')
        ).beta.threads.create_and_run(assistant_id="a", stream=True)
    with pytest.raises(APIError, match="bad"):
        list(failing)


def test_errors_of_agents_are_events() -> None:
    body = b'event: error\ndata: {"type": "error", "event_id": "e", "error": {"message": "m", "code": "c"}}\n\n'
    client = OpenAI(api_key="k", transport=lambda request: events(body))
    for stream in (
        client.beta.agents.sessions.events.stream("s"),
        client.beta.agents.sessions.create(environment={"type": "container"}, stream=True),  # type: ignore[arg-type, typeddict-item]
    ):
        (event,) = stream
        assert event.type == "error"
        assert event["error"]["message"] == "m"


def test_an_error_event_of_a_response_is_an_event() -> None:
    body = (
        b'event: error\ndata: {"type": "error", "message": "m", "code": "c", "param": null, "sequence_number": 1}\n\n'
    )
    (event,) = OpenAI(api_key="k", transport=lambda request: events(body)).responses.create(
        model="m", input="i", stream=True
    )
    assert event.type == "error"
    assert event.message == "m"


def test_events_are_the_official_ones() -> None:
    """The same bytes through both packages, for every way of naming events."""
    bodies = {
        "chat": b"event: anything\n" + delta("a") + b"event: thread.x\n" + delta("b") + DONE,
        "responses": b'event: response.created\ndata: {"type": "response.created", "response": {"id": "r"}}\n\n',
        "threads": b'event: thread.created\ndata: {"id": "t"}\n\nevent: x\ndata: {"id": "u"}\n\ndata: {"id": "v"}\n\n',
    }
    calls: dict[str, Any] = {
        "chat": ask,
        "responses": lambda c: c.responses.create(model="m", input="i", stream=True),
        "threads": lambda c: c.beta.threads.runs.create("t", assistant_id="a", stream=True),
    }
    for name, body in bodies.items():
        transport = httpx2.MockTransport(lambda request, body=body: httpx2.Response(200, content=body))
        official = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=transport))
        ours = OpenAI(api_key="k", transport=lambda request, body=body: events(body))
        with pytest.warns() if name == "threads" else _nothing():
            theirs = [event.to_dict() for event in calls[name](official)]
            assert [event.to_dict() for event in calls[name](ours)] == theirs


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


# Leaving


class Endless:
    """A stream in process that never ends by itself."""

    def __init__(self) -> None:
        self.left = 0
        self.given = 0

    def __call__(self, request: Request) -> Response:
        def body() -> Iterator[Any]:
            try:
                while True:
                    self.given += 1
                    yield delta("on")
            finally:
                self.left += 1

        return Response(200, Headers(), body())


def test_leaving_a_stream_closes_it() -> None:
    endless = Endless()
    client = OpenAI(api_key="k", transport=endless)
    with ask(client) as stream:
        next(stream)
    assert (endless.left, endless.given) == (1, 1)
    stream = ask(client)
    next(stream)
    stream.close()
    stream.close()
    assert endless.left == 2
    assert list(stream) == []
    for _ in ask(client):
        break
    gc.collect()
    assert endless.left == 3
    with pytest.raises(TypeError), ask(client) as stream:
        _ = next(stream).id / 0
    assert endless.left == 4


async def test_leaving_an_async_stream_closes_it() -> None:
    endless = Endless()
    client = AsyncOpenAI(api_key="k", transport=endless)
    async with await ask(client) as stream:
        assert isinstance(stream, AsyncStream)
        await anext(stream)
    assert endless.left == 1
    stream = await ask(client)
    await anext(stream)
    await stream.aclose()
    assert endless.left == 2
    assert [event async for event in stream] == []
    async for _ in await ask(client):
        break
    del stream
    gc.collect()
    await asyncio.sleep(0.01)
    assert endless.left == 3


async def test_a_stream_is_left_when_its_task_is_cancelled() -> None:
    endless = Endless()

    async def consume() -> None:
        async for _ in await ask(AsyncOpenAI(api_key="k", transport=endless)):
            await asyncio.sleep(10)

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    await asyncio.sleep(0.01)
    assert endless.left == 1


async def test_steps_between_pieces_are_taken_in_both_colours() -> None:
    async def later() -> bytes:
        await asyncio.sleep(0)
        return delta("awaited")

    def handler(request: Request) -> Response:
        def body() -> Any:
            yield delta("first")
            piece = yield Await(later())
            yield piece

        return Response(200, Headers(), body())

    stream = await ask(AsyncOpenAI(api_key="k", transport=handler))
    assert [each.choices[0].delta.content async for each in stream] == ["first", "awaited"]
    assert await asyncio.to_thread(texts, handler) == ["first", "awaited"]


# Over a socket


def forever(received: Any) -> Iterator[bytes | float]:
    yield STREAM
    while True:
        yield chunk(delta("on"))
        yield 0.02


def test_leaving_early_closes_the_connection() -> None:
    with Wire(forever) as server:
        client = OpenAI(api_key="k", base_url=server.base)
        with ask(client) as stream:
            next(stream)
            assert not server.closed
        assert server.wait_closed(1)
        for each in ask(client):
            assert each.choices[0].delta.content == "on"
            break
        gc.collect()
        assert server.wait_closed(2)
        unread = ask(client)
        del unread
        gc.collect()
        assert server.wait_closed(3)
        assert not server.problems


async def test_leaving_early_closes_the_connection_in_an_event_loop() -> None:
    with Wire(forever) as server:
        client = AsyncOpenAI(api_key="k", base_url=server.base)
        async with await ask(client) as stream:
            await anext(stream)
        assert await asyncio.to_thread(server.wait_closed, 1)
        async for _ in await ask(client):
            break
        gc.collect()
        await asyncio.sleep(0.05)
        assert await asyncio.to_thread(server.wait_closed, 2)


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_a_connection_serves_again_after_a_stream(kind: Any) -> None:
    whole = (STREAM, chunk(delta("a")), chunk(DONE), END)
    with wire(*[whole] * 4) as server:
        if kind is OpenAI:
            client = OpenAI(api_key="k", base_url=server.base)
            for _ in range(4):
                assert len(list(ask(client))) == 1
        else:

            async def some() -> None:
                client = AsyncOpenAI(api_key="k", base_url=server.base)
                for _ in range(4):
                    assert len([each async for each in await ask(client)]) == 1
                    await asyncio.sleep(0.02)

            asyncio.run(some())
        assert server.opened < 4


def test_pieces_arrive_as_they_are_sent() -> None:
    import time

    def slowly(received: Any) -> Iterator[bytes | float]:
        yield STREAM
        for text in "abcde":
            yield chunk(delta(text))
            yield 0.1
        yield chunk(DONE) + END

    with Wire(slowly) as server:
        start = time.monotonic()
        arrivals = [time.monotonic() - start for _ in ask(OpenAI(api_key="k", base_url=server.base))]
        assert len(arrivals) == 5
        assert arrivals[0] < 0.25
        assert all(later - sooner > 0.05 for sooner, later in pairwise(arrivals))


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_a_connection_that_breaks_in_a_stream(kind: Any) -> None:
    with wire((STREAM, chunk(delta("a")), 0.05, b"")) as server:
        got: list[str] = []
        with pytest.raises(APIConnectionError) as raised:
            consume(kind(api_key="k", base_url=server.base), got)
        assert got == ["a"]
        assert not isinstance(raised.value, APITimeoutError)
        assert raised.value.__cause__ is not None
        assert len(server.received) == 1  # a stream that has begun is not tried again


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_a_connection_that_stalls_in_a_stream(kind: Any) -> None:
    with wire((STREAM, chunk(delta("a")), 2.0)) as server:
        with pytest.raises(APITimeoutError):
            consume(kind(api_key="k", base_url=server.base, timeout=0.3), [])


def test_an_error_status_of_a_stream_over_a_socket() -> None:
    body = {"error": {"message": "no", "code": "c"}}
    with wire(reply(body, 503, {"retry-after-ms": "1"}), (STREAM, chunk(delta("a")), chunk(DONE), END)) as server:
        stream = ask(OpenAI(api_key="k", base_url=server.base))
        assert [each.choices[0].delta.content for each in stream] == ["a"]
        assert len(server.received) == 2
