"""httpx2 both ways: their client carries our requests, our handler answers theirs."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx2
import openai
import pytest

from antiphon import APIConnectionError, APITimeoutError, AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.sse import encode
from antiphon.transports.httpx2 import HandlerTransport, HttpxTransport
from tests.unit.client.wire import END, STREAM, Wire, chunk, reply, wire
from tests.unit.client.worlds import MODEL, Scripted, both

DELTA = encode('{"id": "c", "choices": [{"index": 0, "delta": {"content": "w"}}]}')
KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])


def theirs(kind: Any, **options: Any) -> Any:
    return httpx2.AsyncClient(**options) if kind is AsyncOpenAI else httpx2.Client(**options)


def ask(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=[], stream=True)


# Our requests, their client


def carried(kind: Any, base: str, call: Any, **options: Any) -> Any:
    """The outcome of a call through a client of theirs, which is closed again."""

    async def awaited() -> Any:
        async with AsyncOpenAI(api_key="k", base_url=base, transport=httpx2.AsyncClient(), **options) as client:
            result = await call(client)
            return [(time.monotonic(), event) async for event in result] if hasattr(result, "__aiter__") else result

    if kind is AsyncOpenAI:
        return asyncio.run(awaited())
    with OpenAI(api_key="k", base_url=base, transport=httpx2.Client(), **options) as client:
        result = call(client)
        return [(time.monotonic(), event) for event in result] if hasattr(result, "__next__") else result


@KINDS
def test_their_client_carries_our_requests(kind: Any) -> None:
    with Wire(lambda received: reply(MODEL, headers={"x-request-id": "r"})) as server:
        model = carried(kind, server.base, lambda c: c.models.retrieve("m"))
        assert (model.id, model._request_id) == ("m", "r")
        assert server.received[0].header("authorization") == "Bearer k"
        large = io.BytesIO(b"x" * 200_000)
        assert carried(kind, server.base, lambda c: c.files.create(file=("n", large), purpose="batch")).id == "m"
        upload = server.received[1]
        assert int(upload.header("content-length") or 0) == len(upload.body) > 200_000
        assert upload.header("transfer-encoding") is None


@KINDS
def test_streams_through_their_client(kind: Any) -> None:
    with Wire(lambda received: (STREAM, chunk(DELTA), 0.2, chunk(DELTA), chunk(b"data: [DONE]\n\n"), END)) as server:
        (first, _), (second, event) = carried(kind, server.base, ask)
        assert second - first > 0.1
        assert event.choices[0].delta.content == "w"
    with wire((STREAM, chunk(DELTA), b"")) as server, pytest.raises(APIConnectionError):
        carried(kind, server.base, ask)


@KINDS
def test_their_errors_are_ours(kind: Any) -> None:
    def failing(error: Exception) -> Any:
        def handle(request: httpx2.Request) -> httpx2.Response:
            raise error

        return theirs(kind, transport=httpx2.MockTransport(handle))

    for error, ours in ((httpx2.ConnectError("x"), APIConnectionError), (httpx2.PoolTimeout("x"), APITimeoutError)):
        client = kind(api_key="k", transport=failing(error), max_retries=0)
        (outcome,) = both(lambda c: c.models.retrieve("m"), client)
        assert type(outcome) is ours
        assert outcome.__cause__ is error


def test_the_colours_must_agree() -> None:
    with pytest.raises(TypeError, match=r"httpx2\.Client|async"):
        HttpxTransport(httpx2.AsyncClient(), is_async=False)
    with pytest.raises(TypeError, match="async"):
        HttpxTransport(httpx2.Client(), is_async=True)


def test_closing_closes_their_client() -> None:
    client = httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, json=MODEL)))
    with OpenAI(api_key="k", transport=client) as ours:
        ours.models.retrieve("m")
    assert client.is_closed


# Their requests, our handler


def official(kind: str, handler: Any, **options: Any) -> Any:
    transport = HandlerTransport(handler)
    http_client: Any = (
        httpx2.AsyncClient(transport=transport) if kind == "AsyncOpenAI" else httpx2.Client(transport=transport)
    )
    return getattr(openai, kind)(**{"api_key": "k", "http_client": http_client, **options})


OFFICIAL = pytest.mark.parametrize("kind", ["OpenAI", "AsyncOpenAI"])


@OFFICIAL
def test_the_official_client_talks_to_a_handler(kind: str) -> None:
    seen: list[Request] = []

    def handler(request: Request) -> Response:
        seen.append(request)
        return json_response(200, MODEL, [("x-request-id", "r")])

    client = official(kind, handler, base_url="http://h.test:81/base")
    (model,) = both(lambda c: c.models.retrieve("a/b", extra_query={"q": "ü "}), client)
    assert (model.id, model._request_id) == ("m", "r")
    request = seen[0]
    assert (request.method, request.path, request.origin) == ("GET", "/base/models/a%2Fb", "http://h.test:81")
    assert request.query == "q=%C3%BC+"
    assert request.headers["authorization"] == "Bearer k"
    both(lambda c: c.files.create(file=b"abc", purpose="batch"), official(kind, handler))
    assert b"abc" in seen[1].content()


def slowly(request: Request) -> Response:
    def body() -> Iterator[Any]:
        for _ in range(3):
            yield Pause(0.08)
            yield DELTA
        yield encode("[DONE]")

    return Response(200, Headers({"content-type": "text/event-stream"}), body())


def arrivals(kind: str, handler: Any) -> list[float]:
    start = time.monotonic()

    async def awaited() -> list[float]:
        return [time.monotonic() - start async for _ in await ask(official(kind, handler))]

    if kind == "AsyncOpenAI":
        return asyncio.run(awaited())
    return [time.monotonic() - start for _ in ask(official(kind, handler))]


@OFFICIAL
def test_the_official_client_streams_in_process(kind: str) -> None:
    times = arrivals(kind, slowly)
    assert len(times) == 3
    assert all(later - sooner > 0.04 for sooner, later in pairwise(times))


@OFFICIAL
def test_errors_and_retries_of_the_official_client(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_sleep(seconds: float) -> None: ...

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr("anyio.sleep", no_sleep)
    busy = json_response(429, {"error": {"message": "busy"}}, [("retry-after-ms", "1")])
    handler = Scripted(busy, json_response(200, MODEL))
    (model,) = both(lambda c: c.models.retrieve("m"), official(kind, handler))
    assert model.id == "m"
    (error,) = both(lambda c: c.models.retrieve("m"), official(kind, Scripted(busy), max_retries=0))
    assert isinstance(error, openai.RateLimitError)
    for raised, theirs_is in (
        (APITimeoutError(), openai.APITimeoutError),
        (APIConnectionError(), openai.APIConnectionError),
    ):
        (error,) = both(lambda c: c.models.retrieve("m"), official(kind, Scripted(raised), max_retries=0))
        assert type(error) is theirs_is


@OFFICIAL
def test_the_official_client_loses_patience(kind: str) -> None:
    def silent(request: Request) -> Response:
        def body() -> Iterator[Any]:
            yield DELTA
            yield Pause(60)

        return Response(200, Headers({"content-type": "text/event-stream"}), body())

    start = time.monotonic()
    client = official(kind, silent, timeout=0.1)

    async def awaited() -> None:
        async for _ in await ask(client):
            pass

    with pytest.raises(openai.APITimeoutError):
        asyncio.run(awaited()) if kind == "AsyncOpenAI" else list(ask(client))
    assert time.monotonic() - start < 5


@OFFICIAL
def test_leaving_a_stream_reaches_the_handler(kind: str) -> None:
    left: list[bool] = []

    def endless(request: Request) -> Response:
        def body() -> Iterator[Any]:
            try:
                while True:
                    yield DELTA
            finally:
                left.append(True)

        return Response(200, Headers({"content-type": "text/event-stream"}), body())

    async def awaited() -> None:
        async with await ask(official(kind, endless)) as stream:
            await anext(stream)

    if kind == "AsyncOpenAI":
        asyncio.run(awaited())
    else:
        with ask(official(kind, endless)) as stream:
            next(stream)
    assert left == [True]


async def test_the_official_client_talks_to_the_fake() -> None:
    fake = FakeOpenAI()
    for client in (official("OpenAI", fake), official("AsyncOpenAI", fake)):
        turns: Any = [{"role": "user", "content": "hello"}]
        result = client.chat.completions.create(model="gpt-5", messages=turns)
        answer = await result if hasattr(result, "__await__") else result
        assert answer.choices[0].message.content
    assert json.loads(answer.to_json())["object"] == "chat.completion"
