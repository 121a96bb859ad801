"""Requests, responses and headers."""

from __future__ import annotations

import pytest

from antiphon.kernel.http import Headers, Request, Response, Upload, json_response


def test_headers_ignore_case_and_keep_every_value_in_order() -> None:
    headers = Headers([("Set-Cookie", "a=1"), ("X-Id", "7"), ("set-cookie", "b=2")])
    assert headers["SET-COOKIE"] == headers.get("Set-Cookie") == "a=1"
    assert headers.get_list("Set-cookie") == ["a=1", "b=2"]
    assert headers.multi_items() == [("set-cookie", "a=1"), ("x-id", "7"), ("set-cookie", "b=2")]
    assert list(headers) == ["set-cookie", "x-id"]
    assert len(headers) == 2
    assert "x-ID" in headers
    assert "y" not in headers
    assert 7 not in headers
    assert headers.get("y") is None
    assert headers.get("y", "z") == "z"
    with pytest.raises(KeyError, match="Y"):
        headers["Y"]
    assert dict(headers) == {"set-cookie": "a=1", "x-id": "7"}
    assert repr(headers).startswith("Headers([('set-cookie', 'a=1')")
    assert Headers({"A": "1"}).pairs == [("a", "1")]


def test_headers_of_does_not_copy() -> None:
    pairs = [("a", "1")]
    assert Headers.of(pairs).pairs is pairs


def test_replaced_sets_and_removes_without_changing_the_first() -> None:
    headers = Headers([("A", "1"), ("B", "2"), ("A", "3")])
    assert headers.replaced({"a": "9", "B": None, "C": "4"}).pairs == [("a", "9"), ("c", "4")]
    assert headers["b"] == "2"


def test_an_upload_is_read_anew_each_time() -> None:
    upload = Upload(lambda: iter([b"a", b"b"]), length=2)
    assert upload.read() == upload.read() == b"ab"
    assert upload.replayable
    request = Request("POST", "/files", body=upload)
    assert request.content() == b"ab"


def test_request() -> None:
    request = Request("GET", "/v1/models")
    assert request.url == "http://localhost/v1/models"
    assert request.content() == b""
    assert request._replace(query="limit=1", origin="https://x").url == "https://x/v1/models?limit=1"


def test_response() -> None:
    response = json_response(200, {"a": "é"}, [("x-request-id", "req_1")])
    assert response.status_code == response.status == 200
    assert response.headers.pairs == [("content-type", "application/json"), ("x-request-id", "req_1")]
    assert response.content == '{"a":"é"}'.encode()
    assert response.text == '{"a":"é"}'
    assert response.json() == {"a": "é"}
    assert Response(200, body=b"\xff").text == "\ufffd"
    with pytest.raises(ValueError, match="unexpected"):
        Response(200, body=b"{").json()


def test_a_streamed_body_has_no_content() -> None:
    with pytest.raises(TypeError, match="is a stream"):
        Response(200, body=iter([b"a"])).content  # noqa: B018 (the property raises)
