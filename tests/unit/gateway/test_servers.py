"""Several servers of one model, through the whole gateway: who is asked, how many at a time, and for how long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from antiphon.gateway import Gateway, ModelConfig, Patience
from antiphon.hosting.run import Running, serve_in_background
from antiphon.kernel.errors import APIConnectionError, APIStatusError, APITimeoutError
from antiphon.kernel.flow import Pause, run
from antiphon.kernel.http import Request, Response, json_response
from tests.unit.gateway.upstream import EVENTS, Upstream, said, serving

ASK: Any = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}


def model(*urls: str, **options: Any) -> ModelConfig:
    return ModelConfig("chat", urls, convention="seldon-chat", **options)


def gateway_to(*running: Any, **options: Any) -> Gateway:
    return Gateway(models={"chat": model(*(each.url for each in running), **options)})


_CLIENTS: list[openai.OpenAI] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _CLIENTS:
        _CLIENTS.pop().close()


def official(running: Any, **options: Any) -> openai.OpenAI:
    client = openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0, **options)
    _CLIENTS.append(client)
    return client


def collect(stream: Any, got: list[str]) -> None:
    for chunk in stream:
        got.append(chunk.choices[0].delta.content or "")


def eventually(check: Callable[[], object], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.01)


# Replicas


def test_replicas_share_and_one_that_is_gone_is_not_missed() -> None:
    a, b = Upstream(), Upstream()
    with serving(a, b) as (at_a, at_b):
        gateway = gateway_to(at_a, at_b)
        client = gateway.client(max_retries=0)
        for _ in range(10):
            client.chat.completions.create(**ASK)
        assert (len(a.asked), len(b.asked)) == (5, 5)
        port = at_a.port
        at_a.stop(0.0)
        for _ in range(6):
            assert client.chat.completions.create(**ASK).choices[0].message.content == "one two three"
        assert len(b.asked) == 11
        pool = gateway.backends["chat"].pool
        assert pool is not None
        assert [each.out for each in pool.replicas] == [True, False]
        # It is asked whether it is ready, after a second and again later, until it is.
        with serve_in_background(a, port=port):
            eventually(lambda: not pool.replicas[0].out)
        assert len(a.asked) == 5


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_is_not_ready_hands_on_and_one_that_failed_does_not(stream: bool) -> None:
    a, b = Upstream(), Upstream()
    with serving(a, b) as running:
        with gateway_to(*running).start(port=0) as server:
            client = official(server)
            a.answer = lambda request: json_response(503, {"error": "Model is loading"})
            told: Any = client.chat.completions.create(**ASK, stream=stream)
            assert stream or told.choices[0].message.content == "one two three"
            assert not stream or len(list(told)) > 2
            assert (len(a.asked), len(b.asked)) == (1, 1)
    a, b = Upstream(), Upstream()
    with serving(a, b) as running:
        with gateway_to(*running).start(port=0) as server:
            a.answer = lambda request: json_response(500, {"error": "the model crashed"})
            with pytest.raises(openai.InternalServerError, match="the model crashed") as caught:
                official(server).chat.completions.create(**ASK, stream=stream)
            assert caught.value.response.headers["x-should-retry"] == "false"
            assert (len(a.asked), len(b.asked)) == (1, 0)


def test_without_any_server_it_is_said_at_once() -> None:
    with serving(Upstream(), Upstream()) as running:
        pass
    gateway = gateway_to(*running)
    with pytest.raises(APIStatusError, match="cannot be reached") as caught:
        gateway.client(max_retries=0).chat.completions.create(**ASK)
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "1"


# Limits


def test_no_more_at_a_time_than_a_server_may_have_and_no_more_waiting_than_may() -> None:
    upstream = Upstream()
    upstream.pause = 0.05
    with serving(upstream) as running:
        with gateway_to(*running, concurrency=2, queue=4).start(port=0) as server:
            client = official(server)

            told: list[Any] = []

            def ask(_: int) -> int:
                try:
                    client.chat.completions.create(**ASK)
                except openai.RateLimitError as error:
                    told.append((error.code, error.response.headers["retry-after"]))
                    return 429
                return 200

            with ThreadPoolExecutor(24) as threads:
                statuses = list(threads.map(ask, range(24)))
            assert upstream.most == 2
            assert statuses.count(200) >= 6
            assert set(told) == {("queue_full", "1")}
            assert 429 in statuses
            assert statuses.count(200) == len(upstream.asked)
            assert ask(0) == 200


def test_waiting_for_a_place_ends() -> None:
    upstream = Upstream()
    upstream.pause = 30.0
    with serving(upstream) as running:
        gateway = gateway_to(*running, concurrency=1, queue_seconds=0.05)
        with gateway.start(port=0) as server:
            client = official(server)
            with _asking(client):
                eventually(lambda: upstream.under_way)
                with pytest.raises(openai.InternalServerError, match=r"waited 0\.05 seconds") as caught:
                    client.chat.completions.create(**ASK)
                assert caught.value.status_code == 503
                assert caught.value.response.headers["retry-after"] == "1"


class _asking:
    """A question under way, until it is left."""

    def __init__(self, client: openai.OpenAI) -> None:
        self.client = openai.AsyncOpenAI(base_url=client.base_url, api_key="none", max_retries=0)

    def __enter__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.future = asyncio.run_coroutine_threadsafe(self._ask(), self.loop)

    async def _ask(self) -> None:
        async with self.client:
            await self.client.chat.completions.create(**ASK)

    def __exit__(self, *_: object) -> None:
        self.future.cancel()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def test_who_leaves_gives_the_place_back_at_once() -> None:
    upstream = Upstream()
    upstream.pause = 30.0
    with serving(upstream) as running:
        gateway = gateway_to(*running, concurrency=1)
        pool: Any = gateway.backends["chat"].pool
        with gateway.start(port=0) as server:
            client = official(server)
            with _asking(client):
                eventually(lambda: upstream.under_way)
                with _asking(client):  # it waits, and leaves while it does
                    eventually(lambda: pool.waiting)
                eventually(lambda: not pool.waiting)
                assert pool.in_flight == 1
            eventually(lambda: not pool.in_flight)
            assert upstream.left.wait(10)
            # The same of a stream, in the middle.
            upstream.pause = 0.0
            upstream.words = ["more "] * 3
            upstream.left.clear()
            stream = client.chat.completions.create(**ASK, stream=True)
            next(iter(stream))
            stream.close()
            eventually(lambda: not pool.in_flight)


def test_a_stream_holds_its_place_to_its_end() -> None:
    upstream = Upstream()
    with serving(upstream) as running:
        gateway = gateway_to(*running, concurrency=1)
        pool: Any = gateway.backends["chat"].pool
        stream = gateway.client().chat.completions.create(**ASK, stream=True)
        iterator = iter(stream)
        next(iterator)
        assert pool.in_flight == 1
        for _ in iterator:
            pass
        assert pool.in_flight == 0
        stream = gateway.client().chat.completions.create(**ASK, stream=True)
        next(iter(stream))
        assert pool.in_flight == 1
        stream.close()
        assert pool.in_flight == 0
        del stream
        abandoned = gateway.client().chat.completions.create(**ASK, stream=True)
        next(iter(abandoned))
        del abandoned
        assert pool.in_flight == 0


# Patience


@pytest.mark.parametrize(
    ("patience", "stream", "what"),
    [
        (Patience(first=0.1), False, "more than 0.1 seconds for the beginning of an answer"),
        (Patience(first=0.1), True, "more than 0.1 seconds for the beginning of an answer"),
        # As long as the transport waits: its timer is the only one.
        (Patience(first=0.1, between=0.1), False, "more than 0.1 seconds for the beginning of an answer"),
        (Patience(first=0.1, between=0.1), True, "more than 0.1 seconds for the beginning of an answer"),
        (Patience(total=0.1), False, "more than 0.1 seconds for the whole answer"),
    ],
)
async def test_patience_ends_in_a_504_that_is_not_tried_again(patience: Patience, stream: bool, what: str) -> None:
    upstream = Upstream()
    upstream.pause = 30.0
    with serving(upstream) as running:
        gateway = gateway_to(*running, patience=patience)
        pool: Any = gateway.backends["chat"].pool
        with gateway.start(port=0) as server:
            with pytest.raises(openai.InternalServerError, match=what) as caught:
                await asyncio.to_thread(official(server).chat.completions.create, **ASK, stream=stream)
            assert caught.value.status_code == 504
            assert caught.value.code == "upstream_timeout"
            assert caught.value.response.headers["x-should-retry"] == "false"
            assert await asyncio.to_thread(upstream.left.wait, 10)  # the server is told to stop
            assert pool.in_flight == 0
        # In a program's own loop.
        upstream.left.clear()
        with pytest.raises(APIStatusError, match=what):
            await gateway.async_client(max_retries=0).chat.completions.create(**ASK, stream=stream)
        assert await asyncio.to_thread(upstream.left.wait, 10)
        assert pool.in_flight == 0
        assert len(upstream.asked) == 2


class Hung(Upstream):
    """It takes connections, and says nothing."""

    def __call__(self, request: Request) -> Any:
        yield Pause(30.0)
        return Response(200)


@pytest.mark.parametrize("port", [False, True])
def test_a_server_that_tells_nothing_of_itself_holds_nobody_up(port: bool) -> None:
    with serving(Hung(), Upstream("well")) as running, ExitStack() as stack:

        def client(*servers: Running) -> tuple[Gateway, Any]:
            gateway = gateway_to(*servers, patience=Patience(first=0.3, between=0.3))
            if not port:
                return gateway, gateway.client(max_retries=0)
            return gateway, official(stack.enter_context(gateway.start(port=0)))

        gateway, both = client(*running)
        assert both.chat.completions.create(**ASK).choices[0].message.content == "one two three"
        pool: Any = gateway.backends["chat"].pool
        assert [each.out for each in pool.replicas] == [True, False]
        assert run(gateway.backends["chat"].ready(), gateway.world)
        alone: Any = client(running[0])[1]
        with pytest.raises((APIStatusError, openai.APIStatusError)) as caught:
            alone.chat.completions.create(**ASK)
        assert caught.value.status_code == 504


def test_what_a_server_does_not_tell_of_itself_is_counted() -> None:
    with serving(Upstream()) as (running,):
        pass
    gateway = gateway_to(running)
    with pytest.raises(APIStatusError):
        gateway.client(max_retries=0).chat.completions.create(**ASK)
    page: Any = gateway(Request("GET", "/metrics"))
    assert 'antiphon_upstream_errors_total{model="chat",kind="upstream_unreachable"} 1' in page.text
    assert f'antiphon_upstream_up{{model="chat",server="{running.url}"}} 0' in page.text


def test_blocking_callers_wait_as_long_as_the_transport_does() -> None:
    upstream = Upstream()
    upstream.pause = 30.0
    with serving(upstream) as running:
        gateway = gateway_to(*running, patience=Patience(first=0.1, between=0.1))
        with pytest.raises(APIStatusError, match="for an answer") as caught:
            gateway.client(max_retries=0).chat.completions.create(**ASK)
        assert caught.value.status_code == 504
        assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    ("patience", "what"),
    [
        (Patience(between=0.1), "more than 0.1 seconds for the next piece"),
        (Patience(total=0.2, between=0.15), "more than 0.2 seconds for the whole answer"),
    ],
)
def test_a_stream_that_stalls_ends_in_an_error(patience: Patience, what: str) -> None:
    upstream = Upstream()

    def stalling(request: Request) -> Response:
        def body() -> Any:
            upstream.words = ["one "]
            yield from upstream.stream()
            upstream.words = ["two "] * 5
            upstream.pause = 0.12 if patience.total == 0.2 else 30.0
            yield from upstream.stream()

        return Response(200, EVENTS, body())

    upstream.answer = stalling
    with serving(upstream) as running:
        gateway = gateway_to(*running, patience=patience)
        pool: Any = gateway.backends["chat"].pool
        with gateway.start(port=0) as server:
            got: list[str] = []
            with pytest.raises(openai.APIError, match=what):
                collect(official(server).chat.completions.create(**ASK, stream=True), got)
            assert "one " in got
            assert upstream.left.wait(10)
            eventually(lambda: not pool.in_flight)


class _Failing:
    """A transport that fails in a way of its own."""

    def __init__(self, error: Exception, cause: Exception) -> None:
        self.error, self.cause = error, cause
        self.sent = 0

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        if request.method == "GET":
            return json_response(200, {"name": "chat", "inputs": [], "outputs": []})
        self.sent += 1
        raise self.error from self.cause


class ConnectTimeout(Exception):
    """As HTTP clients call it."""


class ReadError(Exception):
    """As HTTP clients call it."""


def test_how_far_a_request_came_decides_whether_it_is_sent_again() -> None:
    request = Request("POST", "/")
    cases: list[tuple[Exception, Exception, int, str, str | None]] = [
        (APITimeoutError(request), ConnectTimeout(), 2, "upstream_connect_timeout", "true"),
        (APIConnectionError(request=request), ReadError("connection reset"), 1, "upstream_error", "false"),
        (APITimeoutError(request), ReadError("too late"), 1, "upstream_timeout", "false"),
    ]
    for error, cause, sent, code, retry in cases:
        transport = _Failing(error, cause)
        gateway = Gateway(models={"chat": model("http://a", "http://b")}, transport=transport)
        with pytest.raises(APIStatusError) as caught:
            gateway.client(max_retries=0).chat.completions.create(**ASK)
        assert caught.value.code == code
        assert caught.value.response.headers.get("x-should-retry") == retry
        assert transport.sent == sent


# Other models


def test_another_model_answers_where_one_cannot() -> None:
    first, second = Upstream(), Upstream()
    second.words = ["from ", "the ", "second"]
    with serving(first, second) as (at_first, at_second):
        config = {
            "chat": model(at_first.url, fallbacks=("spare",)),
            "spare": ModelConfig("spare", (at_second.url,), convention="seldon-chat"),
        }
        gateway = Gateway(models=config)
        with gateway.start(port=0) as server:
            client = official(server)
            for stream in (False, True):
                first.answer = lambda request: json_response(500, {"error": "crashed"})
                told: Any = client.chat.completions.create(**ASK, stream=stream)
                text = (
                    "".join(each.choices[0].delta.content or "" for each in told)
                    if stream
                    else told.choices[0].message.content
                )
                assert text == "from the second"
            assert second.asked[0].path == "/v2/models/spare/infer"
            # What is wrong with a request is wrong with any model.
            first.answer = lambda request: json_response(400, {"error": "bad shape"})
            with pytest.raises(openai.BadRequestError):
                client.chat.completions.create(**ASK)
            assert len(second.asked) == 2
            # After something was said, nobody else may go on.
            first.answer = lambda request: Response(200, EVENTS, _one_and_crash())
            got: list[str] = []
            with pytest.raises(openai.APIError):
                collect(client.chat.completions.create(**ASK, stream=True), got)
            assert "one " in got
            assert len(second.asked) == 2
            # Where all fail, it is the first that is told of.
            first.answer = lambda request: json_response(500, {"error": "the first crashed"})
            second.answer = lambda request: json_response(500, {"error": "the second crashed"})
            with pytest.raises(openai.InternalServerError, match="the first crashed"):
                client.chat.completions.create(**ASK)


def _one_and_crash() -> Any:
    import json

    yield b"data: " + json.dumps(said("one ")).encode() + b"\n\n"
    raise ConnectionResetError


def test_what_is_passed_on_has_replicas_and_fallbacks_too() -> None:
    def completion(text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            {"index": 0, "finish_reason": "stop", "message": message}]}  # fmt: skip

    a, b = Upstream(), Upstream()
    spare = Upstream()
    a.answer = lambda request: json_response(503, {"error": {"message": "loading", "type": "x"}})
    b.answer = lambda request: json_response(200, completion("b"))
    with serving(a, b, spare) as (at_a, at_b, at_spare):
        gateway = Gateway(
            models={
                "chat": ModelConfig("chat", (f"{at_a.url}/v1", f"{at_b.url}/v1"), "openai", fallbacks=("spare",)),
                "spare": ModelConfig("spare", (at_spare.url,), convention="seldon-chat"),
            }
        )
        client = gateway.client(max_retries=0)
        assert client.chat.completions.create(**ASK).choices[0].message.content == "b"
        assert (len(a.asked), len(b.asked)) == (1, 1)
        b.answer = lambda request: json_response(500, {"error": {"message": "crashed", "type": "x"}})
        assert client.chat.completions.create(**ASK).choices[0].message.content == "one two three"
        assert len(b.asked) == 2
        spare.answer = lambda request: json_response(500, {"error": "no"})
        with pytest.raises(APIStatusError, match="crashed"):
            client.chat.completions.create(**ASK)


# The end


def test_told_something_else_it_lets_streams_end() -> None:
    upstream = Upstream()
    with serving(upstream) as running:
        gateway = gateway_to(*running)
        before: Any = gateway.backends["chat"].pool
        stream = iter(gateway.client().chat.completions.create(**ASK, stream=True))
        next(stream)
        other = gateway_to(*running, concurrency=3).config
        gateway.reload(other)
        assert gateway.backends["chat"].pool is not before
        assert before.closing
        assert not before._ended.is_set()
        assert "three" in "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert before._ended.is_set()
