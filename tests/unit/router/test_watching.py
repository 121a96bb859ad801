"""Callers that leave, stall or wait; answers that take too long; servers that stop. The upstream is looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware

from antiphon.kernel.flow import Await
from antiphon.kernel.http import Request
from antiphon.router import ChatCompletionResource, Limits, OpenAIAPIRouter, StreamingResponse

from .conftest import HELLO, WORDS, Caller, Upstream, app_of, chunk, events_of, silence

BEGINNING = [chunk({"role": "assistant", "content": ""}), 0, silence]


async def gone(upstream: Upstream) -> None:
    await asyncio.wait_for(upstream.closed.wait(), 10)
    assert not upstream.finished


@pytest.mark.parametrize("format", ["lanarky", "openai", "vercel", "ag-ui", "text"])
async def test_leaving_a_stream_stops_the_upstream(format: str) -> None:
    upstream = Upstream(BEGINNING)
    caller = Caller(app_of(upstream, format=format), "/chat").start()
    await caller.until(2)
    caller.left.set()
    await gone(upstream)
    await caller.wait()
    assert not caller.complete


@pytest.mark.parametrize("seconds", [None, 0.1])
async def test_leaving_and_limits_behind_a_middleware(seconds: float | None) -> None:
    """Starlette's middleware of functions runs the application in a task group of its own."""
    upstream = Upstream(BEGINNING)
    app = app_of(upstream, limits=Limits(seconds=seconds))

    async def through(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=through)
    caller = Caller(app, "/chat").start()
    await caller.until(2)
    if seconds is None:
        caller.left.set()
    await gone(upstream)
    await caller.wait()
    assert ("time_limit" in caller.text) is (seconds is not None)


async def test_leaving_before_the_first_byte_stops_the_upstream() -> None:
    stopped = asyncio.Event()

    def slow(request: Request) -> Any:
        try:
            yield Await(silence())
        finally:
            stopped.set()

    caller = Caller(app_of(slow), "/chat").start()
    await asyncio.sleep(0.05)
    assert not stopped.is_set()
    caller.left.set()
    await asyncio.wait_for(stopped.wait(), 10)
    await caller.wait()
    assert caller.sent == []


async def test_leaving_an_answer_that_is_not_streamed_stops_the_upstream() -> None:
    stopped = asyncio.Event()

    def slow(request: Request) -> Any:
        try:
            yield Await(silence())
        finally:
            stopped.set()

    caller = Caller(app_of(slow), "/chat?stream=false", headers={"accept": "application/json"}).start()
    await asyncio.sleep(0.05)
    caller.left.set()
    await asyncio.wait_for(stopped.wait(), 10)
    await caller.wait()


@pytest.mark.parametrize("format", ["lanarky", "openai"])
async def test_a_slow_reader_slows_the_upstream_down(format: str) -> None:
    def endless() -> Any:
        yield chunk({"role": "assistant", "content": ""})
        for number in range(100_000):
            yield number
            yield lambda: asyncio.sleep(0)

    upstream = Upstream(endless)
    caller = Caller(app_of(upstream, format=format), "/chat").start()
    await caller.until(5)
    caller.takes.clear()
    await asyncio.sleep(0.05)
    held = upstream.given
    await asyncio.sleep(0.2)
    assert upstream.given == held, "what is not taken is not read"
    assert held <= len(caller.sent) + 2, "one piece is held, no more"
    caller.takes.set()
    await caller.until(len(caller.sent) + 20)
    caller.left.set()
    await gone(upstream)
    await caller.wait()


@pytest.mark.parametrize("format", ["lanarky", "openai", "vercel", "ag-ui", "text"])
async def test_every_piece_is_forwarded_when_it_comes(format: str) -> None:
    """The upstream says a word when the caller has the one before: whoever held one back would wait for ever."""
    caller: Caller

    def taken(number: int) -> Any:
        async def wait() -> None:
            while f"word{number} " not in caller.text:
                caller.got.clear()
                await asyncio.wait_for(caller.got.wait(), 10)

        return wait

    def in_step() -> Any:
        yield chunk({"role": "assistant", "content": ""})
        for number in range(100):
            yield number
            yield taken(number)
        yield from WORDS[-2:]

    upstream = Upstream(in_step)
    caller = Caller(app_of(upstream, format=format), "/chat").start()
    await caller.wait()
    assert caller.complete
    assert upstream.given == 1 + 100 + 2, "all was said"


async def test_a_caller_that_stalls_is_given_up() -> None:
    upstream = Upstream(lambda: iter(range(1000)))
    caller = Caller(app_of(upstream, limits=Limits(stall=0.1)), "/chat").start()
    await caller.until(1)
    caller.takes.clear()
    await caller.wait()
    await gone(upstream)
    assert not caller.complete


async def test_an_answer_that_takes_too_long_ends_with_an_error() -> None:
    upstream = Upstream(BEGINNING)
    caller = await Caller(app_of(upstream, limits=Limits(seconds=0.2)), "/chat").start().wait()
    await gone(upstream)
    assert caller.complete
    assert events_of(caller.text)[-1] == {
        "status_code": 504,
        "detail": "The answer took longer than this route allows.",
        "type": "timeout_error",
        "code": "time_limit",
    }


async def test_an_answer_that_does_not_begin_in_time_is_a_504() -> None:
    upstream = Upstream([silence])
    caller = await Caller(app_of(upstream, limits=Limits(seconds=0.1)), "/chat").start().wait()
    await gone(upstream)
    assert caller.status == 504
    assert orjson.loads(caller.text)["error"]["code"] == "time_limit"


async def test_silence_is_filled_with_comments_and_nothing_else_is() -> None:
    async def pause() -> None:
        await asyncio.sleep(0.35)

    upstream = Upstream([chunk({"role": "assistant", "content": ""}), *range(50), pause, 1, *WORDS[-2:]])
    limits = Limits(keepalive=0.1)
    caller = await Caller(app_of(upstream, limits=limits), "/chat").start().wait()
    assert 2 <= caller.text.count(": ping\n\n") <= 4
    before, _, after = caller.text.partition(": ping\n\n")
    assert "word49" in before
    assert after.rpartition(": ping\n\n")[2].endswith("word1 \r\n\r\n")

    busy = Upstream([piece for number in range(30) for piece in (number, lambda: asyncio.sleep(0.01))] + WORDS[-2:])
    caller = await Caller(app_of(busy, limits=limits), "/chat").start().wait()
    assert ": ping" not in caller.text, "no comment while there is text"


async def test_a_comment_begins_a_response_that_is_slow_to_begin() -> None:
    async def pause() -> None:
        await asyncio.sleep(0.2)

    upstream = Upstream([pause, *WORDS])
    caller = Caller(app_of(upstream, limits=Limits(keepalive=0.05)), "/chat").start()
    await caller.until(2)
    assert caller.status == 200
    assert caller.sent[1]["body"] == b": ping\n\n"
    await caller.wait()
    assert caller.text.endswith("word2 \r\n\r\n")


async def test_so_many_answers_at_a_time() -> None:
    upstream = Upstream(BEGINNING)
    app = app_of(upstream, limits=Limits(answers=1))
    first = Caller(app, "/chat").start()
    await first.until(2)
    second = await Caller(app, "/chat").start().wait()
    assert second.status == 503
    assert orjson.loads(second.text)["error"]["code"] == "too_busy"
    first.left.set()
    await first.wait()
    third = Caller(app, "/chat").start()
    await third.until(2)
    assert third.status == 200
    third.left.set()
    await third.wait()


async def test_stopping_lets_answers_end() -> None:
    more = asyncio.Event()
    upstream = Upstream([*WORDS[:2], more.wait, *WORDS[2:]])
    app = app_of(upstream)
    caller = Caller(app, "/chat").start()
    await caller.until(2)
    stopping = asyncio.create_task(app.state.router.shutdown(grace=10))
    await asyncio.sleep(0.05)
    late = await Caller(app, "/chat").start().wait()
    assert late.status == 503
    more.set()
    await asyncio.wait_for(stopping, 10)
    await caller.wait()
    assert upstream.given == len(WORDS)
    assert caller.text.endswith("word2 \r\n\r\n")


async def test_the_application_that_shuts_down_stops_the_router_and_may_start_again() -> None:
    upstream = Upstream(BEGINNING)
    app = app_of(upstream, grace=0.05)
    async with app.router.lifespan_context(app):
        caller = Caller(app, "/chat").start()
        await caller.until(2)
    await caller.wait()
    assert events_of(caller.text)[-1]["code"] == "server_stopped"
    upstream.pieces = WORDS
    assert (await Caller(app, "/chat").start().wait()).status == 200


@pytest.mark.parametrize("format", ["lanarky", "openai", "vercel", "ag-ui", "text"])
async def test_stopping_ends_what_does_not_end(format: str) -> None:
    upstream = Upstream(BEGINNING)
    app = app_of(upstream, format=format)
    caller = Caller(app, "/chat").start()
    await caller.until(2)
    await asyncio.wait_for(app.state.router.shutdown(grace=0.05), 10)
    await gone(upstream)
    await caller.wait()
    assert caller.complete
    assert "The server was stopped before the end of this answer." in caller.text


async def test_a_task_that_is_cancelled_says_so_in_its_stream() -> None:
    upstream = Upstream(BEGINNING)
    caller = Caller(app_of(upstream), "/chat").start()
    await caller.until(2)
    assert caller.task is not None
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.task
    await gone(upstream)
    assert caller.complete
    assert events_of(caller.text)[-1]["code"] == "server_stopped"


async def test_requests_that_are_too_large_are_not_read() -> None:
    upstream = Upstream(WORDS)
    app = app_of(upstream, limits=Limits(size=200, messages=3))
    long = {"messages": [{"role": "user", "content": "x" * 300}]}
    counted = await Caller(app, "/chat", long).start().wait()
    told = await Caller(app, "/chat", long, {"content-length": "330"}).start().wait()
    for caller in (counted, told):
        assert caller.status == 413
        assert orjson.loads(caller.text)["error"]["code"] == "request_too_large"
    many = await Caller(app, "/chat", {"messages": [{"role": "user", "content": "x"}] * 4}).start().wait()
    assert many.status == 413
    assert orjson.loads(many.text)["error"]["code"] == "too_many_messages"
    assert upstream.requests == []
    assert (await Caller(app, "/chat").start().wait()).status == 200


async def test_the_task_of_an_answer_goes_on_after_it() -> None:
    """Interruptions are no cancellations for whoever awaits the application."""
    upstream = Upstream(BEGINNING)
    caller = Caller(app_of(upstream, limits=Limits(seconds=0.05)), "/chat")

    async def outer() -> str:
        await caller.start().wait()
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()
        return "went on"

    assert await outer() == "went on"


async def test_a_response_by_hand_watches_too() -> None:
    upstream = Upstream(BEGINNING)
    resource = ChatCompletionResource(stream=True, client=upstream)
    caller = Caller(StreamingResponse(resource=resource, messages=HELLO["messages"], format="openai"), "/").start()
    await caller.until(2)
    caller.left.set()
    await gone(upstream)
    await caller.wait()


def test_limits_that_let_nothing_through() -> None:
    with pytest.raises(ValueError, match="seconds is a limit"):
        Limits(seconds=0)
    with pytest.raises(ValueError, match="messages is a limit"):
        Limits(messages=-1)
    assert Limits(waiting=0).waiting == 0


async def test_no_task_is_left_behind() -> None:
    before = len(asyncio.all_tasks())
    await Caller(app_of(Upstream(WORDS)), "/chat").start().wait()
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_the_client_of_the_environment_is_made_when_it_is_asked() -> None:
    router = OpenAIAPIRouter()

    @router.post("/chat")
    def chat() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    app = FastAPI()
    app.include_router(router)
    caller = await Caller(app, "/chat").start().wait()
    assert caller.status == 500
    assert orjson.loads(caller.text)["error"]["code"] == "internal_error"
