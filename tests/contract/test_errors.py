from __future__ import annotations

import json
from typing import Any

import pytest

HI = [{"role": "user", "content": "hi"}]
JSON = {"content-type": "application/json"}


def error_of(answer: Any) -> dict[str, Any]:
    body = json.loads(answer.body)
    assert set(body) == {"error"}
    assert {"message", "type", "param", "code"} <= set(body["error"])
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["content-type"].startswith("application/json")
    error: dict[str, Any] = body["error"]
    return error


async def test_a_key_has_to_be_there(api: Any) -> None:
    error = error_of(api.raw("GET", "/v1/models", key=False))
    assert (error["type"], error["code"]) == ("invalid_request_error", None)
    assert api.raw("GET", "/v1/models", key=False).status == 401
    with pytest.raises(api.errors.AuthenticationError) as caught:
        await api.call("models.list", extra_headers={"Authorization": api.errors.Omit()})
    assert caught.value.status_code == 401
    assert caught.value.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"n": 0}, "n"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_what_is_wrong_is_named(api: Any, change: dict[str, Any], param: str) -> None:
    # The clients send what they do not know as `extra_body`, and what they know as it is given.
    known = {key: value for key, value in change.items() if key != "nonsense"}
    extra = {key: value for key, value in change.items() if key == "nonsense"}
    options = {"model": "gpt-4o", "messages": HI, **known}
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("chat.completions.create", **options, extra_body=extra)
    error = caught.value
    assert (error.status_code, error.type, error.param) == (400, "invalid_request_error", param)
    assert error.message
    assert error.request_id.startswith("req_")


async def test_a_model_has_to_be_named(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("chat.completions.create", model=None, messages=HI)
    assert "model" in caught.value.message


async def test_what_is_missing_is_named(api: Any) -> None:
    answer = api.raw("POST", "/v1/chat/completions", b'{"model": "gpt-4o"}', JSON)
    assert (answer.status, error_of(answer)["param"]) == (400, "messages")


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"\xff\xfe", b'"text"'])
async def test_bodies_that_are_not_objects_of_json(api: Any, body: bytes) -> None:
    answer = api.raw("POST", "/v1/chat/completions", body, JSON)
    assert (answer.status, error_of(answer)["type"]) == (400, "invalid_request_error")


async def test_unknown_paths_and_wrong_methods(api: Any) -> None:
    answer = api.raw("GET", "/v1/nothing/here")
    assert (answer.status, error_of(answer)["type"]) == (404, "invalid_request_error")
    answer = api.raw("DELETE", "/v1/chat/completions")
    assert (answer.status, error_of(answer)["type"]) == (405, "invalid_request_error")


async def test_an_unknown_id_is_not_found(api: Any) -> None:
    with pytest.raises(api.errors.NotFoundError) as caught:
        await api.call("files.retrieve", "file-none")
    assert "file-none" in str(caught.value)
    assert caught.value.type == "invalid_request_error"


async def test_a_wrong_content_type_is_refused(api: Any) -> None:
    answer = api.raw("POST", "/v1/chat/completions", b"{}", {"content-type": "text/plain"})
    assert answer.status in (400, 415)
    assert error_of(answer)["type"] == "invalid_request_error"


@pytest.mark.fake(max_body=2000)
async def test_a_body_that_is_too_large_is_refused(api: Any) -> None:
    answer = api.raw("POST", "/v1/chat/completions", b"x" * 2001, JSON)
    error = error_of(answer)
    assert (answer.status, error["type"], error["code"]) == (413, "invalid_request_error", "content_too_large")
    assert "Maximum content size limit (2000) exceeded" in error["message"]


async def test_every_answer_has_the_headers_of_the_api(api: Any) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": HI}).encode()
    answer = api.raw("POST", "/v1/chat/completions", body, JSON)
    assert answer.status == 200
    for name in ("x-request-id", "openai-processing-ms", "openai-version", "openai-organization"):
        assert answer.headers[name]
    for name in ("limit", "remaining", "reset"):
        assert answer.headers[f"x-ratelimit-{name}-requests"]
        assert answer.headers[f"x-ratelimit-{name}-tokens"]


async def test_request_ids_differ_and_arrive(api: Any) -> None:
    one, two = [await api.call("chat.completions.create", model="gpt-4o", messages=HI) for _ in range(2)]
    assert one._request_id.startswith("req_")
    assert one._request_id != two._request_id


async def test_a_raw_response(api: Any) -> None:
    raw = await api.call("chat.completions.with_raw_response.create", model="gpt-4o", messages=HI)
    assert raw.status_code == 200
    assert raw.headers["openai-version"]
    assert raw.request_id.startswith("req_")
    assert (await api.settled(raw.parse())).choices


def test_head_and_paths_without_a_version(api: Any) -> None:
    assert api.raw("GET", "/models").status == 200
    assert api.raw("GET", "/v1beta/openai/models").status == 200
    assert api.raw("GET", "/openai/v1/models").status == 200
