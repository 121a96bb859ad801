"""`with_result`: what succeeds is `Ok`, what server or network spoil is `Err`, and callers' mistakes raise."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

import antiphon
from antiphon import AsyncOpenAI, Err, Failure, FakeOpenAI, Ok, OpenAI
from antiphon.kernel.http import Headers, Response, json_response
from antiphon.kernel.result import Limit, RateLimit
from antiphon.types import Model
from tests.unit.client.wire import chunk, reply, wire
from tests.unit.client.worlds import MODEL, OK, Scripted, both, failure

KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
TURNS: Any = [{"role": "user", "content": "Say hello."}]


def outcome(kind: Any, *answers: Response | Exception, max_retries: int = 0, call: Any = None) -> Any:
    client = kind(api_key="k", transport=Scripted(*answers), max_retries=max_retries)
    (result,) = both(call or (lambda c: c.models.with_result.retrieve("m")), client)
    return result


@KINDS
def test_what_succeeds_is_ok(kind: Any) -> None:
    headers = [
        ("x-request-id", "req_1"),
        ("x-ratelimit-limit-requests", "5000"),
        ("x-ratelimit-remaining-requests", "4999"),
        ("x-ratelimit-reset-requests", "12ms"),
        ("x-ratelimit-limit-tokens", "160000"),
        ("x-ratelimit-remaining-tokens", "159976"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ]
    result = outcome(kind, json_response(200, MODEL, headers))
    match result:
        case Ok(Model(id=name)):
            assert name == "m"
        case _:
            pytest.fail(repr(result))
    assert result.success is True
    assert result
    assert result.errors == []
    assert (result.status, result.request_id, result.retries_taken) == (200, "req_1", 0)
    assert result.headers["x-request-id"] == "req_1"
    assert result.rate_limit == RateLimit(Limit(5000, 4999, 0.012), Limit(160000, 159976, 360.0))
    assert result.usage is None
    assert result.unwrap() is result.unwrap_or(None) is result.value
    assert repr(result).startswith("Ok(Model(id='m'")


@KINDS
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, antiphon.BadRequestError),
        (401, antiphon.AuthenticationError),
        (404, antiphon.NotFoundError),
        (418, antiphon.APIStatusError),
        (429, antiphon.RateLimitError),
        (503, antiphon.InternalServerError),
    ],
)
def test_error_statuses_are_failures(kind: Any, status: int, error: type[Exception]) -> None:
    body = {"error": {"message": "no such thing", "code": "c", "param": "p", "type": "t"}}
    result = outcome(kind, failure(status, {"x-request-id": "req_2", "x-ratelimit-remaining-tokens": "0"}, body))
    match result:
        case Ok(_):
            pytest.fail(repr(result))
        case Err(Failure(method, url, code, message, request_id, raised)):
            assert (method, url, code) == ("GET", "https://api.openai.com/v1/models/m", status)
            assert message == f"Error code: {status} - no such thing"
            assert request_id == "req_2"
            assert type(raised) is error
    assert result.success is False
    assert not result
    assert result.errors == [result.failure]
    assert (result.status, result.request_id, result.usage) == (status, "req_2", None)
    assert result.rate_limit == RateLimit(Limit(None, None, None), Limit(None, 0, None))
    assert (result.failure.code, result.failure.param, result.failure.type) == ("c", "p", "t")
    assert result.failure.body == body["error"]
    assert result.unwrap_or("default") == "default"
    with pytest.raises(error, match="no such thing"):
        result.unwrap()
    assert repr(result).startswith("Err(Failure(method='GET'")


@KINDS
def test_calls_are_tried_again_first(kind: Any) -> None:
    result = outcome(kind, failure(500), failure(429), OK, max_retries=2)
    assert result.success
    assert result.retries_taken == 2
    result = outcome(kind, failure(500), failure(503), max_retries=1)
    assert (result.status, result.retries_taken) == (503, 1)


@KINDS
@pytest.mark.parametrize("error", [antiphon.APIConnectionError(), antiphon.APITimeoutError()])
def test_no_response_is_a_failure_without_a_status(kind: Any, error: Exception) -> None:
    result = outcome(kind, error)
    assert isinstance(result, Err)
    assert result.failure == Failure("GET", "https://api.openai.com/v1/models/m", None, str(error), None, error)
    assert (result.status, result.request_id, result.response) == (None, None, None)
    assert dict(result.headers) == {}
    assert result.rate_limit == RateLimit(Limit(None, None, None), Limit(None, None, None))


def over_the_network(base_url: str, **settings: Any) -> list[Any]:
    async def asynchronously() -> Any:
        async with AsyncOpenAI(api_key="k", base_url=base_url, max_retries=0, **settings) as client:
            return await client.models.with_result.retrieve("m")

    with OpenAI(api_key="k", base_url=base_url, max_retries=0, **settings) as client:
        return [client.models.with_result.retrieve("m"), asyncio.run(asynchronously())]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for result in over_the_network(f"http://127.0.0.1:{port}/v1"):
        assert isinstance(result, Err)
        assert type(result.failure.error) is antiphon.APIConnectionError
        assert result.failure.url == f"http://127.0.0.1:{port}/v1/models/m"


def test_nothing_comes_in_time() -> None:
    with wire([5.0], [5.0]) as server:
        for result in over_the_network(server.base, timeout=0.1):
            assert isinstance(result, Err)
            assert type(result.failure.error) is antiphon.APITimeoutError
            assert result.failure.message == "Request timed out."


def test_the_body_is_cut_off() -> None:
    cut = [b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{", 0.05, b""]
    chunked = [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"{"),
        0.05,
        b"",
    ]
    with wire(cut, cut, chunked, chunked) as server:
        for result in over_the_network(server.base) + over_the_network(server.base):
            assert isinstance(result, Err)
            assert type(result.failure.error) is antiphon.APIConnectionError


def test_an_error_page_of_a_proxy() -> None:
    with wire(*[reply(b"<html>", 502, {"content-type": "text/html"})] * 2) as server:
        for result in over_the_network(server.base):
            assert (result.status, result.failure.message, result.failure.body) == (502, "Error code: 502", "<html>")


@KINDS
def test_a_body_that_says_it_is_json_and_is_none(kind: Any) -> None:
    broken = Response(200, Headers({"content-type": "application/json", "x-request-id": "req_3"}), b'{"id": ')
    result = outcome(kind, broken)
    assert isinstance(result, Err)
    assert (result.status, result.request_id) == (200, "req_3")
    assert isinstance(result.failure.error, ValueError)
    empty = outcome(
        kind,
        json_response(200, {"data": []}),
        call=lambda c: c.embeddings.with_result.create(model="m", input="x"),
    )
    assert empty.failure.message == "No embedding data received"


@KINDS
def test_mistakes_of_the_caller_raise(kind: Any) -> None:
    wrong: list[Callable[[Any], Any]] = [
        lambda c: c.models.with_result.retrieve(),
        lambda c: c.models.with_result.retrieve("m", modle="n"),
        lambda c: c.chat.completions.with_result.create(model="m", messages=object()),
        lambda c: c.admin.with_result.organization.projects.list(),
    ]
    for call in wrong:
        assert isinstance(outcome(kind, OK, call=call), TypeError)
    assert isinstance(outcome(kind, OK, call=lambda c: c.models.with_result.retrieve("")), ValueError)
    # So does what a handler of the caller's raises of its own.
    assert isinstance(outcome(kind, KeyError("mine")), KeyError)


def test_pages_streams_bytes_and_nothing() -> None:
    fake = FakeOpenAI()
    client = fake.client()
    page = client.models.with_result.list()
    assert isinstance(page, Ok)
    assert len([model.id for model in page.value]) > 3
    stream = client.chat.completions.with_result.create(model="gpt-5", messages=TURNS, stream=True).unwrap()
    assert isinstance(stream, antiphon.Stream)
    assert sum(1 for _ in stream) > 1
    speech = client.audio.speech.with_result.create(model="tts-1", voice="alloy", input="x")
    assert isinstance(speech, Ok)
    assert speech.value.content
    container = client.containers.create(name="c")
    assert client.containers.with_result.delete(container.id) == Ok(None)

    async def asynchronously() -> int:
        client = fake.async_client()
        page = await client.with_result.models.list()
        assert isinstance(page, Ok)
        return len([model async for model in page.value])

    assert asyncio.run(asynchronously()) > 3


def test_usage_is_that_of_the_value() -> None:
    client = FakeOpenAI().client()
    result = client.chat.completions.with_result.create(model="gpt-5", messages=TURNS)
    assert isinstance(result, Ok)
    assert result.usage == result.value.usage
    assert result.usage.total_tokens > 0
    assert result.rate_limit.requests.limit
    assert client.responses.with_result.create(model="gpt-5", input="x").usage.output_tokens > 0


def test_no_more_is_sent_than_in_a_plain_call() -> None:
    handler = Scripted(OK)
    client = OpenAI(api_key="k", transport=handler)
    client.models.retrieve("m", extra_headers={"X-A": "1"})
    client.models.with_result.retrieve("m", extra_headers={"X-A": "1"})
    plain, wrapped = handler.requests
    assert plain == wrapped._replace(headers=plain.headers)
    assert plain.headers.pairs == wrapped.headers.pairs


def test_helpers_give_up_in_results() -> None:
    answer = json_response(200, {"id": "file-1", "status": "uploaded"}, [("x-request-id", "req_4")])
    result = outcome(
        OpenAI, answer, call=lambda c: c.files.with_result.wait_for_processing("file-1", max_wait_seconds=1)
    )
    assert isinstance(result, Err)
    assert isinstance(result.failure.error, RuntimeError)
    assert (result.failure.method, result.status, result.request_id) == ("GET", 200, "req_4")
    assert "still 'uploaded'" in result.failure.message

    missing = outcome(AsyncOpenAI, failure(404), call=lambda c: c.files.with_result.wait_for_processing("file-1"))
    assert (missing.status, missing.failure.url) == (404, "https://api.openai.com/v1/files/file-1")
    done = outcome(
        AsyncOpenAI,
        json_response(200, {"id": "file-1", "status": "processed"}),
        call=lambda c: c.files.with_result.wait_for_processing("file-1"),
    )
    assert done.unwrap().status == "processed"


def test_results_compare_by_their_value() -> None:
    assert Ok(1) == Ok(1)
    assert Ok(1) != Ok(2)
    assert Ok(1) != 1
    error = ValueError("x")
    one, other = (Failure("GET", "u", 1, "m", None, error) for _ in range(2))
    assert one == other
    assert [Ok(1).unwrap_or(2), Err(one).unwrap_or(2)] == [1, 2]
