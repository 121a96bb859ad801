"""Errors: what a server raises is what a client catches, and what the official package would."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel import errors
from antiphon.kernel.errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ContentFilterFinishReasonError,
    InternalServerError,
    InvalidWebhookSignatureError,
    LengthFinishReasonError,
    NotFoundError,
    OAuthError,
    OpenAIError,
    RateLimitError,
    SubjectTokenProviderError,
    WebSocketConnectionClosedError,
    WebSocketQueueFullError,
    from_response,
)
from antiphon.kernel.http import Headers, Request, Response

STATUSES = (400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 429, 500, 501, 502, 503, 504, 529, 599)
BODIES = [
    b'{"error":{"message":"m","type":"t","param":"p","code":"c"}}',
    b'{"error":{"message":"m","type":null,"param":null,"code":null}}',
    b'{"error":{"message":"m","code":404}}',
    b'{"error":{}}',
    b'{"error":null}',
    b'{"error":{"message":5}}',
    b'{"error":{"message":""}}',
    b'{"error":{"message":null,"code":1}}',
    b'{"message":"top","code":"x"}',
    b"[]",
    b"5",
    b"null",
    b"<html>Bad gateway</html>",
    b"",
]
OFFICIAL = openai.OpenAI(api_key="x")


def response(status: int, body: bytes) -> Response:
    headers = Headers({"content-type": "application/json", "x-request-id": "req_1"})
    return Response(status, headers, body, Request("GET", "/"))


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.decode() or "empty")
def test_a_response_raises_what_the_official_package_raises(status: int, body: bytes) -> None:
    ours: Any = from_response(response(status, body))
    theirs: Any = OFFICIAL._make_status_error_from_response(
        httpx2.Response(
            status,
            content=body,
            request=httpx2.Request("GET", "http://x/"),
            headers={"content-type": "application/json", "x-request-id": "req_1"},
        )
    )
    for name in ("message", "body", "code", "param", "type", "status_code", "request_id", "args"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert type(ours).__name__ == type(theirs).__name__
    assert str(ours) == str(theirs)
    assert ours.response.status == status
    assert ours.request == Request("GET", "/")


@pytest.mark.parametrize(
    ("body", "said", "kept"),
    [
        (b'{"error":"no such model"}', "no such model", "no such model"),
        (b'{"error":["a"]}', "a", ["a"]),
        (b'{"detail":"x"}', "x", {"detail": "x"}),
        (b'{"detail":[{"loc":["body"],"msg":"Field required"}]}', "Field required", None),
        (
            b'[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]',
            "API key not valid.",
            None,
        ),
        (b'{"object":"error","message":{"detail":[{"msg":"a"},{"msg":"b"},{"msg":"a"}]}}', "a; b", None),
        (b'{"error":{"message":"","type":"t"},"detail":"why"}', "why", {"message": "", "type": "t"}),
    ],
)
def test_what_other_hosts_say_is_told(body: bytes, said: str, kept: object) -> None:
    # Of these the official package tells the status only.
    error = from_response(response(404, body))
    assert str(error) == f"Error code: 404 - {said}"
    if kept is not None:
        assert error.body == kept


def test_the_tree_is_that_of_the_official_package() -> None:
    for name in errors.__all__:
        ours: Any = getattr(errors, name)
        if not isinstance(ours, type):
            continue
        theirs: Any = getattr(openai, name, None) or getattr(openai._exceptions, name)
        names = {each.__name__ for each in theirs.__mro__}
        assert {each.__name__ for each in ours.__mro__} == names, name


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (BadRequestError, 400),
        (AuthenticationError, 401),
        (errors.PermissionDeniedError, 403),
        (NotFoundError, 404),
        (errors.ConflictError, 409),
        (errors.UnprocessableEntityError, 422),
        (RateLimitError, 429),
        (InternalServerError, 500),
    ],
)
def test_a_server_raises_what_a_client_catches(kind: type[APIStatusError], status: int) -> None:
    raised = kind.because("No.", param="p", code="c", headers={"Retry-After": "1"})
    assert (raised.status_code, raised.code, raised.param, str(raised)) == (status, "c", "p", "No.")
    sent = raised.to_response()
    assert sent.status == status
    assert sent.headers.pairs == [("content-type", "application/json"), ("retry-after", "1")]
    assert sent.json() == {"error": {"message": "No.", "type": kind.kind, "param": "p", "code": "c"}}
    caught = from_response(sent)
    assert type(caught) is kind
    assert (caught.message, caught.body) == (f"Error code: {status} - No.", raised.body)


def test_because_takes_another_status_and_type() -> None:
    raised = APIStatusError.because("Gone.", status=410, type="gone_error")
    assert raised.to_response().status == 410
    assert type(from_response(raised.to_response())) is APIStatusError
    assert raised.type == "gone_error"
    assert RateLimitError.because("x").type == "rate_limit_error"
    assert InternalServerError.because("x", status=503).status_code == 503


texts = st.text(max_size=20)


@given(
    st.sampled_from(
        [
            kind
            for kind in vars(errors).values()
            if isinstance(kind, type) and issubclass(kind, APIStatusError) and kind is not OAuthError
        ]
    ),
    texts,
    st.none() | texts,
    st.none() | texts,
)
def test_errors_survive_the_wire(kind: type[APIStatusError], message: str, param: str | None, code: str | None) -> None:
    raised = kind.because(message, param=param, code=code)
    caught = from_response(raised.to_response())
    assert caught.body == raised.body
    assert (caught.code, caught.param, caught.type) == (code, param, kind.kind)
    assert from_response(caught.to_response()).body == raised.body


@pytest.mark.parametrize(
    "error",
    [
        OpenAIError("plain"),
        APIError("m", Request("GET", "/"), body={"code": "c"}),
        APIConnectionError(request=Request("GET", "/")),
        APIConnectionError(message="other"),
        APITimeoutError(),
        APITimeoutError(Request("GET", "/"), message="late"),
        APIResponseValidationError(response(200, b"{"), body=None),
        from_response(response(429, BODIES[0])),
        BadRequestError.because("no", param="p"),
        OAuthError.because("no"),
        LengthFinishReasonError(completion={"id": "c"}),
        ContentFilterFinishReasonError(),
        SubjectTokenProviderError("x"),
        WebSocketConnectionClosedError("closed", unsent_messages=["a", b"b"], code=1006, reason="r"),
        WebSocketQueueFullError("full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_are_pickled_and_copied(error: OpenAIError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert again.args == error.args
        assert str(again) == str(error)
        kept = {name: value for name, value in vars(error).items() if not isinstance(value, Response)}
        found = {name: value for name, value in vars(again).items() if not isinstance(value, Response)}
        assert _shown(found) == _shown(kept)


def _shown(state: dict[str, Any]) -> dict[str, str]:
    return {name: repr(value) for name, value in state.items()}


def test_what_the_other_errors_say() -> None:
    assert str(APIConnectionError()) == "Connection error."
    assert str(APITimeoutError()) == "Request timed out."
    validation = APIResponseValidationError(response(200, b""))
    assert str(validation) == "Data returned by API invalid for expected schema."
    assert validation.status_code == 200
    assert str(APIResponseValidationError(response(200, b""), message="odd")) == "odd"

    class Cut:
        usage = "Usage(3)"

    assert str(LengthFinishReasonError(completion=Cut())).endswith("to parse: Usage(3)")
    assert WebSocketConnectionClosedError("x").unsent_messages == []
    assert issubclass(InvalidWebhookSignatureError, ValueError)


def test_what_was_not_sent_is_there_for_those_who_ask_and_not_in_reports() -> None:
    frames: list[str | bytes] = ["text of a customer", b"bytes of a customer", b"\xff"]
    error = WebSocketConnectionClosedError("closed", unsent_messages=frames, code=1006)
    assert error.unsent_frames is frames
    assert error.unsent_messages == ["text of a customer", "bytes of a customer"]
    assert "customer" not in repr(vars(error)) + repr(error)
    assert pickle.loads(pickle.dumps(error)).unsent_frames == frames
    texts = ["one"]
    error = WebSocketConnectionClosedError("closed", unsent_messages=texts)
    error.unsent_messages.append("two")
    assert error.unsent_frames is error.unsent_messages is texts
    error.unsent_messages, error.unsent_frames = ["other"], [b"raw"]
    assert (error.unsent_messages, error.unsent_frames, texts) == (["other"], [b"raw"], ["one", "two"])
    assert WebSocketConnectionClosedError("closed").unsent_frames == []

    class Early(WebSocketConnectionClosedError):
        def __init__(self) -> None:
            self.unsent_messages = ["early"]
            assert (self.unsent_messages, self.unsent_frames) == (["early"], [])
            super().__init__("closed", unsent_messages=("late",))

    assert Early().unsent_messages == ["late"]
