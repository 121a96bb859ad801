"""When a call is tried again, after how long, and what is sent then: beside the official client, in no time."""

from __future__ import annotations

import asyncio
import email.utils
import io
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from antiphon import APIConnectionError, APITimeoutError, AsyncOpenAI, InternalServerError, OpenAI, RateLimitError
from antiphon.client.flow import backoff, retry_after
from antiphon.kernel.http import Headers, Response
from antiphon.transports.httpx2 import HandlerTransport
from tests.unit.client.worlds import OK, Scripted, both, events, failure

FIRST, SECOND = (0.375, 0.5), (0.75, 1.0)
"""Seconds before the first and the second retry, at least and at most."""


@pytest.fixture
def official_sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


MATRIX: list[tuple[int, dict[str, str]]] = [
    *(
        (status, {})
        for status in (300, 304, 400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 425, 429, 500, 502, 503, 599)
    ),
    *((status, {"x-should-retry": "true"}) for status in (400, 404, 429)),
    *((status, {"x-should-retry": "false"}) for status in (400, 429, 503)),
    (429, {"x-should-retry": "yes"}),
    (429, {"retry-after": "7"}),
    (429, {"retry-after": "0.25"}),
    (429, {"retry-after": "120"}),
    (429, {"retry-after": "120.5"}),
    (429, {"retry-after": "121", "x-should-retry": "true"}),
    (400, {"retry-after": "3"}),
    (503, {"retry-after-ms": "1500", "retry-after": "9"}),
    (503, {"retry-after-ms": "soon", "retry-after": "9"}),
    (503, {"retry-after-ms": "120001"}),
    (503, {"retry-after": "0"}),
    (503, {"retry-after": "-5"}),
    (503, {"retry-after": "nan"}),
    (503, {"retry-after": "inf"}),
    (503, {"retry-after": "1e999"}),
    (503, {"retry-after": "never"}),
    (503, {"retry-after": ""}),
]


@pytest.mark.parametrize(("status", "headers"), MATRIX, ids=lambda value: str(value))
def test_attempts_and_waits_are_the_official_ones(
    official_sleeps: list[float], status: int, headers: dict[str, str]
) -> None:
    theirs, ours = Scripted(failure(status, headers)), Scripted(failure(status, headers))
    http_client = httpx2.Client(transport=HandlerTransport(theirs))
    with pytest.raises(openai.APIStatusError) as official:
        openai.OpenAI(api_key="k", http_client=http_client).models.retrieve("m")
    outcomes = both(
        lambda client: client.models.retrieve("m"),
        OpenAI(api_key="k", transport=ours),
        AsyncOpenAI(api_key="k", transport=(ours_async := Scripted(failure(status, headers)))),
    )
    for error, handler in zip(outcomes, (ours, ours_async), strict=True):
        assert type(error).__name__ == type(official.value).__name__
        assert error.status_code == status
        assert len(handler.requests) == len(theirs.requests)
        assert len(handler.world.slept) == len(official_sleeps)
        for slept, official_slept in zip(handler.world.slept, official_sleeps, strict=True):
            assert slept == official_slept or abs(slept - official_slept) <= 0.25  # less up to a quarter of a second


def test_a_date_to_wait_for() -> None:
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after(Headers({"Retry-After": soon})) == pytest.approx(30, abs=2)
    assert retry_after(Headers({"Retry-After": email.utils.formatdate(0)})) < 0  # type: ignore[operator]
    assert retry_after(Headers({"Retry-After": "Fri, 99 Foo 2099 25:61:61 GMT"})) is None


def test_waits_grow_to_eight_seconds() -> None:
    for taken, longest in enumerate([0.5, 1, 2, 4, 8, 8, 8]):
        waits = [backoff(taken, None) for _ in range(200)]
        assert all(0.75 * longest <= wait <= longest for wait in waits)
        assert max(waits) - min(waits) > 0.1 * longest
    assert backoff(10_000, None) <= 8


@pytest.mark.parametrize("error", [APIConnectionError(), APITimeoutError()])
def test_a_failed_connection_is_tried_again(error: Exception) -> None:
    handler = Scripted(error, error, OK)
    assert OpenAI(api_key="k", transport=handler).models.retrieve("m").id == "m"
    assert [request.headers.get("x-stainless-retry-count") for request in handler.requests] == [None, "1", "2"]
    assert len(handler.world.slept) == 2
    assert FIRST[0] <= handler.world.slept[0] <= FIRST[1]
    assert SECOND[0] <= handler.world.slept[1] <= SECOND[1]
    with pytest.raises(type(error)):
        OpenAI(api_key="k", transport=Scripted(error), max_retries=5).models.retrieve("m")


@pytest.mark.parametrize("retries", [0, 1, 2, 7])
async def test_as_often_as_the_client_says(retries: int) -> None:
    handler = Scripted(failure(500))
    with pytest.raises(InternalServerError):
        await AsyncOpenAI(api_key="k", transport=handler, max_retries=retries).models.retrieve("m")
    assert len(handler.requests) == retries + 1
    handler = Scripted(failure(500))
    with pytest.raises(InternalServerError):
        OpenAI(api_key="k", transport=handler).with_options(max_retries=retries).models.retrieve("m")
    assert len(handler.requests) == retries + 1


def test_every_attempt_sends_the_same() -> None:
    handler = Scripted(failure(503), failure(503), OK)
    turns = (turn for turn in [{"role": "user", "content": "once"}])
    OpenAI(api_key="k", transport=handler).chat.completions.create(model="m", messages=turns)  # type: ignore[arg-type]
    assert len({(request.method, request.path, request.body) for request in handler.requests}) == 1
    assert b"once" in handler.last.content()


def test_a_retry_count_of_the_caller_is_left_alone() -> None:
    handler = Scripted(failure(503), OK)
    OpenAI(api_key="k", transport=handler).models.retrieve("m", extra_headers={"x-stainless-retry-count": "9"})
    assert [request.headers.get_list("x-stainless-retry-count") for request in handler.requests] == [["9"], ["9"]]


def test_a_file_is_sent_again_from_its_beginning() -> None:
    handler = Scripted(failure(503), OK)
    file = io.BytesIO(b"from the beginning")
    file.seek(5)
    OpenAI(api_key="k", transport=handler).files.create(file=file, purpose="vision")
    assert len(handler.requests) == 2
    assert all(b"from the beginning" in request.content() for request in handler.requests)


def test_what_can_be_sent_once_is_not_sent_again() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.pieces = [b"once"]

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return self.pieces.pop() if self.pieces else b""

    handler = Scripted(failure(503), OK)
    with pytest.raises(InternalServerError):
        OpenAI(api_key="k", transport=handler).files.create(file=Pipe(), purpose="vision")  # type: ignore[arg-type]
    assert len(handler.requests) == 1
    assert b"once" in handler.last.content()


def test_a_function_gives_the_key_for_every_attempt() -> None:
    keys = iter(["a", "b", "c"])
    handler = Scripted(failure(503), failure(503), OK)
    client = OpenAI(api_key=lambda: next(keys), transport=handler)
    assert client.api_key == ""
    client.models.retrieve("m")
    assert [request.headers.get_list("authorization") for request in handler.requests] == [
        ["Bearer a"],
        ["Bearer b"],
        ["Bearer c"],
    ]


async def test_the_function_may_be_a_coroutine_function() -> None:
    async def key() -> str:
        await asyncio.sleep(0)
        return "from afar"

    handler = Scripted(OK)
    await AsyncOpenAI(api_key=key, transport=handler).models.retrieve("m")
    assert handler.last.headers["authorization"] == "Bearer from afar"


def test_an_error_in_place_of_a_stream_is_read_and_tried_again() -> None:
    def broken(status: int) -> Response:
        pieces: Iterator[bytes] = iter([b'{"error": {"mess', b'age": "busy"}}'])
        return Response(status, Headers({"content-type": "application/json"}), pieces)

    def ask(client: Any) -> Any:
        return client.chat.completions.create(model="m", messages=[], stream=True)

    for kind in (OpenAI, AsyncOpenAI):
        handler = Scripted(broken(503), broken(429), events(b'data: {"id": "1"}\n\ndata: [DONE]\n\n'))
        (stream,) = both(ask, kind(api_key="k", transport=handler))
        assert stream.response.status == 200
        assert len(handler.requests) == 3
        handler = Scripted(broken(429))
        (error,) = both(ask, kind(api_key="k", transport=handler, max_retries=0))
        assert isinstance(error, RateLimitError)
        assert str(error) == "Error code: 429 - busy"


def test_a_handler_s_own_mistakes_come_out_as_they_are() -> None:
    class Mistake(Exception):
        pass

    for kind in (OpenAI, AsyncOpenAI):
        handler = Scripted(Mistake("mine"), OK)
        (error,) = both(lambda client: client.models.retrieve("m"), kind(api_key="k", transport=handler))
        assert isinstance(error, Mistake)
        assert len(handler.requests) == 1


def test_an_error_of_the_api_that_a_handler_raises_is_its_answer() -> None:
    limit = RateLimitError.because("slow down", headers={"retry-after": "2"})
    for kind in (OpenAI, AsyncOpenAI):
        handler = Scripted(limit, OK)
        (model,) = both(lambda client: client.models.retrieve("m"), kind(api_key="k", transport=handler))
        assert model.id == "m"
        assert handler.world.slept == [2.0]
