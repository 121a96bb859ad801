"""`Ok` and `Err` as values of their own."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.kernel.errors import NotFoundError
from antiphon.kernel.http import Headers, Request, json_response
from antiphon.kernel.result import Err, Failure, Limit, Ok, RateLimit, duration
from antiphon.types import CompletionUsage
from antiphon.types.chat import ChatCompletion

REQUEST = Request("GET", "/v1/models/m", origin="http://host")
ERROR = {"message": "no such model", "code": "model_not_found", "param": "model", "type": "invalid_request_error"}
HEADERS = [("x-request-id", "req_1"), ("x-ratelimit-limit-requests", "10"), ("x-ratelimit-reset-requests", "1.5s")]


def failed() -> Err:
    response = json_response(404, {"error": ERROR}, HEADERS)._replace(request=REQUEST)
    error = NotFoundError("no such model", response=response, body=ERROR)
    return Err(Failure.of(error, REQUEST, response), response, 2)


def test_a_value() -> None:
    completion = ChatCompletion.of({"id": "c", "usage": {"total_tokens": 3}})
    found = Ok(completion, json_response(200, {}, HEADERS), 1)
    assert found
    assert found.success is True
    assert (found.errors, found.status, found.request_id, found.retries_taken) == ([], 200, "req_1", 1)
    assert found.headers["x-request-id"] == "req_1"
    assert found.rate_limit == RateLimit(Limit(10, None, 1.5), Limit(None, None, None))
    assert isinstance(found.usage, CompletionUsage)
    assert found.unwrap() is found.unwrap_or(None) is completion
    assert found == Ok(ChatCompletion.of({"id": "c", "usage": {"total_tokens": 3}}))
    assert found != Ok(completion.id)
    assert found != completion
    assert repr(Ok(1)) == "Ok(1)"
    with pytest.raises(TypeError):
        hash(found)


def test_a_value_without_response() -> None:
    found = Ok([1])
    assert (found.status, found.request_id, found.usage, dict(found.headers)) == (None, None, None, {})


def test_a_failure() -> None:
    found = failed()
    assert not found
    assert found.success is False
    assert found.errors == [found.failure]
    assert (found.status, found.request_id, found.retries_taken, found.usage) == (404, "req_1", 2, None)
    assert found.unwrap_or(7) == 7
    with pytest.raises(NotFoundError, match="no such model"):
        found.unwrap()
    failure = found.failure
    assert (failure.method, failure.url, failure.status) == ("GET", "http://host/v1/models/m", 404)
    assert (failure.message, failure.request_id) == ("no such model", "req_1")
    assert (failure.code, failure.param, failure.type) == ("model_not_found", "model", "invalid_request_error")
    assert failure.body == ERROR
    assert repr(found).startswith("Err(Failure(method='GET'")


def test_a_failure_without_response() -> None:
    failure = Failure.of(OSError("no route"), REQUEST, None)
    assert (failure.status, failure.message, failure.request_id) == (None, "no route", None)
    assert (failure.code, failure.param, failure.type, failure.body) == (None, None, None, None)
    assert Err(failure).headers == Headers()


def test_results_are_matched() -> None:
    def told(result: Any) -> str:
        match result:
            case Ok(value):
                return f"got {value}"
            case Err(Failure(status=404)):
                return "not there"
            case _:
                return "else"

    assert [told(Ok(1)), told(failed()), told(None)] == ["got 1", "not there", "else"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), (" 1.5 ", 1.5), (".5", 0.5), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("1d", 86400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "5 s", "-1s", "1s2", "1y"])
def test_what_is_no_duration(text: str) -> None:
    assert duration(text) is None
