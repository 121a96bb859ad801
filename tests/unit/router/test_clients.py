"""Clients of streaming routes: what they send, what they make of answers, when they ask again, how they leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from antiphon import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    BadRequestError,
    FakeOpenAI,
    NotFoundError,
    RateLimitError,
)
from antiphon.kernel import http
from antiphon.kernel.flow import Pause, World
from antiphon.router import (
    AsyncStreamingClient,
    Error,
    Finish,
    OpenAIAPIRouter,
    ServerSentEvent,
    Start,
    StreamingClient,
    StreamingResponse,
    Text,
)

from .conftest import HELLO, WORDS, Upstream, app_of, silence
from .test_served import serving

SSE = {"content-type": "text/event-stream"}


class Clock(World):
    """Time that only counts."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Server:
    """A handler that does one thing after the other: an exception is raised, pieces are streamed, a response given."""

    def __init__(self, *doings: Any) -> None:
        self.doings = list(doings)
        self.requests: list[http.Request] = []
        self.world = Clock()

    def __call__(self, request: http.Request) -> http.Response:
        self.requests.append(request)
        doing = self.doings.pop(0)
        if isinstance(doing, Exception):
            raise doing
        if isinstance(doing, http.Response):
            return doing
        return http.Response(200, http.Headers(SSE), self._body(doing))

    @staticmethod
    def _body(pieces: list[Any]) -> Iterator[Any]:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def event(text: str, identity: str = "") -> bytes:
    return (f"id: {identity}\n" if identity else "").encode() + f"event: completion\ndata: {text}\n\n".encode()


def gone() -> APIConnectionError:
    return APIConnectionError()


Asked = Callable[..., list[Any]]


def blocking(method: str, client: dict[str, Any], *arguments: Any, **more: Any) -> list[Any]:
    return list(getattr(StreamingClient(**client), method)(*arguments, **more))


def in_a_loop(method: str, client: dict[str, Any], *arguments: Any, **more: Any) -> list[Any]:
    async def asked() -> list[Any]:
        return [each async for each in getattr(AsyncStreamingClient(**client), method)(*arguments, **more)]

    return asyncio.run(asked())


colours = pytest.mark.parametrize("ask", [blocking, in_a_loop])


# What is sent


@colours
def test_a_request_is_made_of_its_parts(ask: Asked) -> None:
    app = FastAPI()

    @app.api_route("/api/echo me", methods=["POST", "PUT"])
    async def echo(request: Request) -> dict[str, Any]:
        return {
            "method": request.method,
            "query": request.query_params.multi_items(),
            "headers": dict(request.headers),
            "cookies": request.cookies,
            "body": (await request.body()).decode(),
        }

    where = {"base_url": "http://localhost:8000/api/", "app": app, "headers": {"X-One": "1", "X-Two": "2"}}
    (answer,) = ask(
        "stream_response",
        where,
        "put",
        "/echo me?a=1",
        params={"b": [1, True], "c": None, "d": "x y&"},
        headers={"x-two": "3"},
        cookies={"session": "s1"},
        json={"k": "é"},
    )
    told = answer.json()
    assert told["method"] == "PUT"
    assert told["query"] == [["a", "1"], ["b", "1"], ["b", "true"], ["d", "x y&"]]
    assert told["cookies"] == {"session": "s1"}
    assert (told["headers"]["x-one"], told["headers"]["x-two"]) == ("1", "3")
    assert told["headers"]["accept"] == "text/event-stream"
    assert (told["headers"]["content-type"], told["body"]) == ("application/json", '{"k":"é"}')
    (answer,) = ask("stream_response", where, "POST", "/echo me", data={"a": ["1", "2"]}, format="vercel")
    assert answer.json()["body"] == "a=1&a=2"
    assert answer.json()["headers"]["accept"] == "text/event-stream; format=vercel"
    assert answer.json()["headers"]["content-type"] == "application/x-www-form-urlencoded"
    (answer,) = ask("stream_response", where, "POST", "http://elsewhere/api/echo me", content="raw")
    assert (answer.json()["body"], answer.json()["headers"]["host"]) == ("raw", "elsewhere")


def test_what_cannot_be_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="http://localhost:8000 was expected, not 'localhost:8000'"):
        StreamingClient("localhost:8000")
    with pytest.raises(ValueError, match="no wire format 'xml'; there are lanarky"):
        StreamingClient(format="xml")
    with pytest.raises(ValueError, match="not negative"):
        StreamingClient(max_retries=-1)
    with pytest.raises(TypeError, match="one of them, not both"):
        StreamingClient(client=Server(), app=FastAPI())
    with pytest.raises(ValueError, match="no wire format"):
        StreamingClient().stream_response("POST", "/", format="xml")
    with pytest.raises(TypeError, match="one body"):
        StreamingClient().stream_response("POST", "/", json={}, content=b"x")
    with pytest.raises(TypeError, match="not async"):
        next(
            AsyncStreamingClient(client=httpx2.Client())
            .stream_response("POST", "/")
            .__aiter__()
            .__anext__()
            .__await__()
        )


# What is made of answers


@colours
def test_events_are_those_of_the_stream(ask: Asked) -> None:
    server = Server([b"id: 7\nretry: 20\nevent: completion\ndata: a\ndata: b\n\n: comment\n\nda", b"ta: \n\n"])
    first, second = ask("stream_response", {"client": server}, "GET", "/")
    assert first == ServerSentEvent("completion", "a\nb", "7", 20)
    assert (second.event, second.data) == ("message", "")


def test_a_client_of_another_library_may_send() -> None:
    words = ["", "word0 ", "word1 ", "word2 "]
    client = StreamingClient(client=TestClient(app_of(Upstream(WORDS))))
    assert [each.data for each in client.stream_response("POST", "/chat", json=HELLO)] == words

    async def asked() -> list[str]:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app_of(Upstream(WORDS)))) as theirs:
            client = AsyncStreamingClient(client=theirs)
            return [each.data async for each in client.stream_response("POST", "/chat", json=HELLO)]

    assert asyncio.run(asked()) == words


@colours
def test_a_route_that_says_no(ask: Asked) -> None:
    router = OpenAIAPIRouter(client=FakeOpenAI().async_client(max_retries=0))
    app = FastAPI()
    app.include_router(router)
    with pytest.raises(NotFoundError, match="Not Found"):
        ask("stream_response", {"app": app}, "POST", "/nowhere", json=HELLO)

    def busy(request: Any) -> str:
        raise RateLimitError.because("Slow down.", code="rate_limit_exceeded", headers={"retry-after": "0.01"})

    failing = app_of(FakeOpenAI(engine=busy).async_client(max_retries=0))
    with pytest.raises(RateLimitError, match="Slow down") as caught:
        ask("stream_events", {"app": failing}, "POST", "/chat", json=HELLO)
    assert (caught.value.code, caught.value.status_code) == ("rate_limit_exceeded", 429)


@colours
@pytest.mark.parametrize("format", ["lanarky", "openai", "vercel", "ag-ui", "text"])
def test_an_answer_that_fails_ends_with_its_error(ask: Asked, format: str) -> None:
    broken = Upstream([0, {"error": {"message": "No more.", "type": "server_error", "code": "overloaded"}}])
    app = app_of(broken, format=format)
    *before, last = ask("stream_events", {"app": app}, "POST", "/chat", json=HELLO)
    assert isinstance(before[0], Start)
    assert "".join(each.text for each in before if isinstance(each, Text)) == "word0 "
    assert isinstance(last, Error)
    assert (last.message, last.status) == ("No more.", 502)
    if format != "text":
        assert last.code == "overloaded"
    assert not any(isinstance(each, Finish) for each in before)


def test_errors_as_lanarky_wrote_them() -> None:
    old = b"event: error\r\ndata: {'status_code': 500, 'detail': 'Internal Server Error'}\r\n\r\n"
    assert blocking("stream_events", {"client": Server([old])}, "POST", "/")[-1] == Error(
        "{'status_code': 500, 'detail': 'Internal Server Error'}"
    )


@colours
def test_an_answer_that_is_none(ask: Asked) -> None:
    page = http.Response(200, http.Headers({"content-type": "text/html"}), b"<p>Hello")
    with pytest.raises(APIError, match="GET /page answered with text/html: neither events, text nor JSON"):
        ask("stream_response", {"client": Server(page)}, "GET", "/page")


@colours
def test_an_answer_without_its_end_is_an_error(ask: Asked) -> None:
    server = Server([b'data: {"type":"start"}\n\ndata: {"type":"text-delta","id":"1","delta":"x"}\n\n'])
    with pytest.raises(APIConnectionError, match="before it was whole"):
        ask("stream_events", {"client": server, "max_retries": 0}, "POST", "/")
    with pytest.raises(APIConnectionError, match="in the middle of an event"):
        ask("stream_response", {"client": Server([event("a"), b"data: x"])}, "POST", "/")


# Asking again


@colours
def test_what_fails_before_the_first_event_is_asked_again(ask: Asked) -> None:
    busy = RateLimitError.because("Slow down.", headers={"retry-after": "3"}).to_response()
    server = Server(gone(), busy, [b": hello\n\n", gone()], [event("a")])
    client = {"client": server, "max_retries": 3, "initial_delay": 1.0}
    assert [each.data for each in ask("stream_response", client, "POST", "/", json=1)] == ["a"]
    assert [request.content() for request in server.requests] == [b"1"] * 4
    first, asked, last = server.world.slept
    assert 0.75 <= first <= 1.0 and asked == 3.0 and 3.0 <= last <= 4.0


@colours
def test_not_for_ever_and_not_what_will_not_change(ask: Asked) -> None:
    server = Server(gone(), gone(), gone(), [event("a")])
    with pytest.raises(APIConnectionError):
        ask("stream_response", {"client": server}, "POST", "/")
    assert len(server.requests) == 3
    server = Server(BadRequestError.because("No.").to_response(), [event("a")])
    with pytest.raises(BadRequestError, match=r"No\."):
        ask("stream_response", {"client": server}, "POST", "/")
    assert len(server.requests) == 1


@colours
def test_an_answer_that_has_begun_is_not_asked_for_twice(ask: Asked) -> None:
    server = Server([event("a"), gone()], [event("a")])
    with pytest.raises(APIConnectionError):
        ask("stream_response", {"client": server}, "POST", "/")
    assert len(server.requests) == 1


@colours
def test_a_stream_whose_events_have_ids_is_resumed(ask: Asked) -> None:
    server = Server([event("a", "1"), b"retry: 250\n" + event("b", "2"), gone()], gone(), [event("c", "3")])
    assert [each.data for each in ask("stream_response", {"client": server}, "POST", "/")] == ["a", "b", "c"]
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "2", "2"]
    assert server.world.slept == [0.25, 0.25]
    nothing_left = Server([event("a", "1"), gone()], http.Response(204))
    assert [each.data for each in ask("stream_response", {"client": nothing_left}, "POST", "/")] == ["a"]


@colours
def test_a_server_that_begins_anew_is_not_taken_for_one_that_resumes(ask: Asked) -> None:
    server = Server([event("a", "1"), event("b", "2"), gone()], [event("a", "1"), event("x", "2")])
    with pytest.raises(APIConnectionError, match="does not resume"):
        ask("stream_response", {"client": server}, "POST", "/")
    assert len(server.requests) == 2


@colours
def test_silence_is_a_timeout(ask: Asked) -> None:
    server = Server([event("a"), Pause(9)])
    with pytest.raises(APITimeoutError):
        ask("stream_response", {"client": server, "timeout": 5}, "POST", "/")

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await silence()

    with pytest.raises(APITimeoutError):
        ask("stream_response", {"app": silent, "timeout": 0.05, "max_retries": 0}, "POST", "/")


# Leaving


async def test_leaving_early_stops_the_upstream() -> None:
    upstream = Upstream([0, silence])
    client = AsyncStreamingClient(app=app_of(upstream))
    async with aclosing(client.stream_events("POST", "/chat", json=HELLO)) as events:
        async for said in events:
            if isinstance(said, Text):
                break
    await asyncio.wait_for(upstream.closed.wait(), 10)
    assert not upstream.finished


def test_leaving_early_stops_the_upstream_of_a_blocking_caller() -> None:
    upstream = Upstream([0, silence])
    client = StreamingClient(app=app_of(upstream))
    for said in client.stream_response("POST", "/chat", json=HELLO):
        assert said.data == "word0 "
        break
    assert upstream.closed.is_set() and not upstream.finished


async def test_a_piece_is_given_when_it_comes_and_nobody_reads_ahead() -> None:
    more = asyncio.Event()
    upstream = Upstream([0, more.wait, *range(1, 200), WORDS[-2], WORDS[-1]])
    events = AsyncStreamingClient(app=app_of(upstream)).stream_response("POST", "/chat", json=HELLO)
    assert (await anext(events)).data == "word0 "
    more.set()
    await asyncio.sleep(0.1)
    assert upstream.given < 20
    rest = [each.data async for each in events]
    assert rest == [f"word{number} " for number in range(1, 200)]


async def test_an_application_that_fails_is_told_to_its_caller() -> None:
    async def bug(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async for _ in AsyncStreamingClient(app=bug).stream_response("POST", "/"):
            pass

    async def mute(scope: Any, receive: Any, send: Any) -> None:
        return

    with pytest.raises(APIConnectionError, match="no response"):
        async for _ in AsyncStreamingClient(app=mute, max_retries=0).stream_response("POST", "/"):
            pass


async def test_clients_are_context_managers() -> None:
    app = app_of(Upstream(WORDS))
    async with AsyncStreamingClient(app=app) as client:
        kept: AsyncIterator[Any] = client.stream_response("POST", "/chat", json=HELLO)
        assert [each.data async for each in kept][1] == "word0 "
    with StreamingClient("http://localhost:1", max_retries=0) as nobody, pytest.raises(APIConnectionError):
        list(nobody.stream_response("GET", "/"))
    assert repr(nobody) == "StreamingClient('http://localhost:1')"


async def test_what_a_client_hears_can_be_handed_on_in_another_format() -> None:
    behind = app_of(FakeOpenAI(engine="echo"))
    front = FastAPI()

    @front.post("/chat")
    async def chat(body: dict[str, Any]) -> StreamingResponse:
        events = AsyncStreamingClient(app=behind).stream_events("POST", "/chat", json=body, format="openai")
        return StreamingResponse(events, format="vercel")

    heard = [each async for each in AsyncStreamingClient(app=front).stream_events("POST", "/chat", json=HELLO)]
    assert "".join(each.text for each in heard if isinstance(each, Text)) == "Hello"
    assert heard[-1] == Finish("stop") and sum(isinstance(each, Start) for each in heard) == 1


# Over the network


def test_over_the_network() -> None:
    rounds = iter([WORDS, [0, silence], [0, silence], WORDS])
    upstreams: list[Upstream] = []

    def upstream(request: http.Request) -> http.Response:
        upstreams.append(Upstream(list(next(rounds))))
        return upstreams[-1](request)

    with serving(app_of(upstream)) as (_, port):
        url = f"http://127.0.0.1:{port}"
        with StreamingClient(url) as client:
            said = client.stream_events("POST", "/chat", json=HELLO, format="ag-ui")
            assert [each.text for each in said if isinstance(each, Text)] == ["word0 ", "word1 ", "word2 "]
            for event in client.stream_response("POST", "/chat", json=HELLO):
                assert event.data == "word0 "
                break
            with pytest.raises(NotFoundError):
                next(client.stream_response("POST", "/nowhere"))

        async def leaving() -> list[str]:
            async with AsyncStreamingClient(url) as client:
                async with aclosing(client.stream_response("POST", "/chat", json=HELLO)) as events:
                    async for _ in events:
                        break
                return [each.data async for each in client.stream_response("POST", "/chat", json=HELLO)]

        assert asyncio.run(leaving()) == ["", "word0 ", "word1 ", "word2 "]
        until = time.monotonic() + 10
        while not all(each.closed.is_set() for each in upstreams) and time.monotonic() < until:
            time.sleep(0.01)
    assert [(each.given, each.closed.is_set()) for each in upstreams[1:3]] == [(1, True)] * 2
