"""What calls answer: views, pages, bytes, text, nothing, embeddings; and what they raise."""

from __future__ import annotations

import base64
import copy
import dataclasses
import datetime
import enum
import json
import logging
import pickle
import struct
import warnings
from typing import Any

import openai
import pydantic
import pytest

import antiphon
from antiphon import APIConnectionError, APITimeoutError, AsyncOpenAI, AzureOpenAI, OpenAI
from antiphon.kernel.binary import HttpxBinaryResponseContent
from antiphon.kernel.errors import from_response
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.pages import AsyncCursorPage, SyncCursorPage
from antiphon.types import Model
from antiphon.types.audio import Transcription, TranscriptionVerbose
from antiphon.types.chat import ChatCompletion, ChatCompletionMessage
from tests.unit.client.worlds import MODEL, OK, Scripted, both, failure

KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])


def answered(kind: Any, response: Response, call: Any) -> Any:
    (outcome,) = both(call, kind(api_key="k", transport=Scripted(response), max_retries=0))
    return outcome


@KINDS
def test_objects_are_views(kind: Any) -> None:
    model = answered(
        kind, json_response(200, {**MODEL, "new": 1}, [("x-request-id", "req_1")]), lambda c: c.models.retrieve("m")
    )
    assert isinstance(model, Model)
    assert (model.id, model.owned_by, model.new, model._request_id) == ("m", "o", 1, "req_1")
    assert answered(kind, OK, lambda c: c.models.retrieve("m"))._request_id is None


@KINDS
@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/vnd.x+json", "text/plain", ""]
)
def test_json_is_json_by_whatever_name(kind: Any, content_type: str) -> None:
    response = Response(
        200, Headers({"content-type": content_type} if content_type else {}), json.dumps(MODEL).encode()
    )
    assert answered(kind, response, lambda c: c.models.retrieve("m")).id == "m"


@KINDS
def test_what_is_not_json_is_text(kind: Any) -> None:
    page = Response(
        200, Headers({"content-type": "text/html; charset=latin-1"}), "<h1>Gr\xfc\xdf</h1>".encode("latin-1")
    )
    for call in (lambda c: c.models.retrieve("m"), lambda c: c.models.list()):
        assert answered(kind, page, call) == "<h1>Grüß</h1>"


@KINDS
def test_json_that_is_broken_raises(kind: Any) -> None:
    broken = Response(200, Headers({"content-type": "application/json"}), b'{"id": ')
    assert isinstance(answered(kind, broken, lambda c: c.models.retrieve("m")), json.JSONDecodeError)
    assert isinstance(answered(kind, broken, lambda c: c.models.list()), json.JSONDecodeError)


@KINDS
def test_nothing_text_and_bytes(kind: Any) -> None:
    assert answered(kind, Response(204), lambda c: c.containers.delete("c")) is None
    plain = Response(200, Headers({"content-type": "text/plain"}), b"words")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert answered(kind, plain, lambda c: c.files.retrieve_content("f")) == "words"
    content = answered(kind, plain, lambda c: c.files.content("f"))
    assert isinstance(content, HttpxBinaryResponseContent)
    assert (content.content, content.text, content.response.status) == (b"words", "words", 200)


@KINDS
@pytest.mark.parametrize(
    ("options", "content_type", "body", "expected"),
    [
        ({}, "application/json", b'{"text": "hi"}', Transcription),
        (
            {"response_format": "verbose_json"},
            "application/json",
            b'{"text": "hi", "duration": 1.0, "language": "en"}',
            TranscriptionVerbose,
        ),
        ({"response_format": "text"}, "text/plain", b"123", "123"),
        ({"response_format": "srt"}, "application/json", b'{"text": "as it is"}', '{"text": "as it is"}'),
        ({"response_format": "vtt"}, "text/vtt; charset=utf-8", "WEBVTT ü".encode(), "WEBVTT ü"),
        ({}, "text/plain", b"just words", "just words"),
    ],
)
def test_transcriptions_in_every_format(kind: Any, options: Any, content_type: str, body: bytes, expected: Any) -> None:
    response = Response(200, Headers({"content-type": content_type}), body)
    result = answered(kind, response, lambda c: c.audio.transcriptions.create(file=b"x", model="whisper-1", **options))
    assert isinstance(result, expected) if isinstance(expected, type) else result == expected


# Embeddings


@KINDS
def test_embeddings_travel_as_base64_and_arrive_as_floats(kind: Any) -> None:
    floats = [0.5, -0.25, 1e-7, 3.0]
    encoded = base64.b64encode(struct.pack("<4f", *floats)).decode()
    data = [
        {"object": "embedding", "index": 0, "embedding": encoded},
        {"object": "embedding", "index": 1, "embedding": [1.0]},
    ]
    handler = Scripted(json_response(200, {"object": "list", "data": data}))
    (answer,) = both(lambda c: c.embeddings.create(model="m", input="x"), kind(api_key="k", transport=handler))
    assert json.loads(handler.last.content())["encoding_format"] == "base64"
    assert answer.data[0].embedding == list(struct.unpack("<4f", struct.pack("<4f", *floats)))
    assert answer.data[1].embedding == [1.0]


@KINDS
def test_embeddings_as_the_caller_wants_them(kind: Any) -> None:
    handler = Scripted(json_response(200, {"object": "list", "data": [{"embedding": "AAAA"}]}))
    client = kind(api_key="k", transport=handler)
    (answer,) = both(lambda c: c.embeddings.create(model="m", input="x", encoding_format="base64"), client)
    assert answer.data[0].embedding == "AAAA"
    (error,) = both(
        lambda c: c.embeddings.create(model="m", input="x"),
        kind(api_key="k", transport=Scripted(json_response(200, {"object": "list", "data": []}))),
    )
    assert isinstance(error, ValueError)
    assert str(error) == "No embedding data received"


# Pages


def pages(request: Request) -> Response:
    after = int(dict(pair.split("=") for pair in request.query.split("&") if pair).get("after", 0))
    items = [{"id": str(after + n), "object": "file"} for n in (1, 2)]
    return json_response(
        200, {"object": "list", "data": items, "has_more": after < 4}, [("x-request-id", f"req_{after}")]
    )


def test_pages_are_walked() -> None:
    client = OpenAI(api_key="k", transport=pages)
    page = client.files.list(limit=2)
    assert isinstance(page, SyncCursorPage)
    assert (page._request_id, page.has_next_page(), len(page.data)) == ("req_0", True, 2)
    assert [file.id for file in page] == [str(n) for n in range(1, 7)]
    assert [len(each.data) for each in page.iter_pages()] == [2, 2, 2]
    assert page.get_next_page().data[0].id == "3"


async def test_pages_are_walked_in_an_event_loop() -> None:
    client = AsyncOpenAI(api_key="k", transport=pages)
    assert [file.id async for file in client.files.list(limit=2)] == [str(n) for n in range(1, 7)]
    page = await client.files.list(limit=2)
    assert isinstance(page, AsyncCursorPage)
    assert (await page.get_next_page()).data[0].id == "3"
    assert [len(each.data) async for each in page.iter_pages()] == [2, 2, 2]


# Bodies of every kind


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Plain:
    name: str


class Pydantic(pydantic.BaseModel):
    name: str
    other: str | None = None
    when: datetime.date = datetime.date(2024, 1, 1)
    alias: int = pydantic.Field(1, serialization_alias="byAlias")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Colour.RED, '"red"'),
        (Plain("x"), '{"name":"x"}'),
        (Pydantic(name="x", alias=3), '{"name":"x","byAlias":3}'),
        ([Pydantic(name="x", when=datetime.date(2024, 2, 3))], '[{"name":"x","when":"2024-02-03"}]'),
        (ChatCompletionMessage(role="assistant", content="x"), '{"role":"assistant","content":"x"}'),
        (
            {"nested": [ChatCompletionMessage(role="assistant", content=None)]},
            '{"nested":[{"role":"assistant","content":null}]}',
        ),
        (
            {
                "a",
            },
            '["a"]',
        ),
        ({}.keys(), "[]"),
        (map(str, range(2)), '["0","1"]'),
        ({5: 2, None: 3, True: 4}, '{"5":2,"null":3,"true":4}'),
        (2**70, str(2**70)),
        ({"deep": {"x": antiphon.omit, "y": [antiphon.omit, 1, {"z": antiphon.not_given}]}}, '{"deep":{"y":[1,{}]}}'),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, 600, tzinfo=datetime.UTC), '"2024-01-02T03:04:05.000600+00:00"'),
        ("\ud7ff\ue000\u2028</", '"\ud7ff\ue000\u2028</"'),
        ((1, 2), "[1,2]"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else type(value).__name__,
)
def test_values_are_written_as_json(value: Any, written: str) -> None:
    handler = Scripted(json_response(200, {}))
    OpenAI(api_key="k", transport=handler).responses.create(model="m", input=value)
    assert handler.last.content().decode() == f'{{"model":"m","input":{written}}}'


@pytest.mark.parametrize("value", [object(), b"bytes", {"a": [object()]}, 1j])
def test_what_has_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        OpenAI(api_key="k", transport=Scripted(OK)).responses.create(model="m", input=value)


# Errors


@pytest.mark.parametrize(
    "status", [300, 304, 400, 401, 402, 403, 404, 405, 408, 409, 413, 418, 422, 429, 499, 500, 503, 599]
)
@KINDS
def test_errors_are_the_official_ones(kind: Any, status: int) -> None:
    body = {"error": {"message": "the message", "type": "t", "param": "p", "code": "c"}}
    response = failure(status, {"x-request-id": "req_9"}, body)
    error = answered(kind, response, lambda c: c.models.retrieve("m"))
    official = _official(status, json.dumps(body).encode(), "application/json")
    assert type(error).__name__ == type(official).__name__
    assert [each.__name__ for each in type(error).__mro__ if each is not object][:-2] == [
        each.__name__ for each in type(official).__mro__ if each is not object
    ][:-2]
    for name in ("message", "body", "code", "param", "type", "status_code", "request_id"):
        assert getattr(error, name) == getattr(official, name), name
    assert str(error) == str(official)
    assert error.request.path == "/v1/models/m"
    assert error.response.status_code == status


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "text/plain"),
        (b"  upstream failed \n", "text/html"),
        (b'{"message": "bare"}', "application/json"),
        (b'{"error": "a string"}', "application/json"),
        (b'{"error": {"message": ""}}', "application/json"),
        (b'{"error": null}', "application/json"),
        (b'["a", "list"]', "application/json"),
        (b'"text"', "application/json"),
        (b'{"error": {"message": 5, "code": 7}}', "application/json"),
        (b'{"error": {"message": "by another name"}}', "text/plain"),
        ("Gr\xfc\xdf".encode("latin-1"), "text/plain"),
    ],
)
def test_bodies_of_errors_of_any_shape(body: bytes, content_type: str) -> None:
    response = Response(502, Headers({"content-type": content_type}), body)
    error = answered(OpenAI, response, lambda c: c.models.retrieve("m"))
    official = _official(502, body, content_type)
    assert isinstance(error, antiphon.InternalServerError)
    # A message that is the error itself is told too.
    assert (
        str(error).startswith(str(official))
        if b"a string" in body or body == b'"text"'
        else str(error) == str(official)
    )
    if body and body[:1] in b"{[":
        assert (error.body, error.code) == (official.body, official.code)


def _official(status: int, body: bytes, content_type: str) -> Any:
    import httpx2

    headers = {"content-type": content_type, "x-request-id": "req_9"}
    transport = httpx2.MockTransport(lambda request: httpx2.Response(status, content=body, headers=headers))
    client = openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=transport), max_retries=0)
    with pytest.raises(openai.APIError) as raised:
        client.models.retrieve("m")
    return raised.value


@KINDS
def test_errors_can_be_pickled_and_copied(kind: Any) -> None:
    error = answered(kind, failure(404, {"x-request-id": "req_9"}), lambda c: c.models.retrieve("m"))
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is antiphon.NotFoundError
        assert (str(other), other.request_id, other.status_code, other.body) == (
            str(error),
            "req_9",
            404,
            {"message": "no"},
        )
        assert other.response.headers["x-request-id"] == "req_9"
        assert other.request.path == "/v1/models/m"
    lost = pickle.loads(pickle.dumps(APIConnectionError(request=error.request)))
    assert lost.request.path == "/v1/models/m"
    assert from_response(error.response).status_code == 404


# The rest


@KINDS
def test_arguments_that_do_not_exist(kind: Any) -> None:
    client = kind(api_key="k", transport=Scripted(OK))
    (error,) = both(lambda c: c.chat.completions.create(model="m", mesages=[]), client)
    assert isinstance(error, TypeError)
    assert "messages" in str(error)
    (error,) = both(lambda c: c.models.retrieve(""), client)
    assert isinstance(error, ValueError)


@KINDS
def test_deprecated_operations_say_so_where_they_are_called(kind: Any) -> None:
    client = kind(api_key="k", transport=Scripted(OK))
    with pytest.warns(DeprecationWarning, match="files.retrieve_content") as caught:
        result = client.files.retrieve_content("f")
    assert caught[0].filename == __file__
    if hasattr(result, "close"):
        result.close()


SECRETS = ("sk-one", "sk-two", "sk-three", "entra-1", "q-secret", "hidden", "private", "basic-secret", "cookie-secret")


def test_no_secret_is_in_the_logs_whoever_asks(caplog: pytest.LogCaptureFixture) -> None:
    answer = json_response(
        200, MODEL, [("set-cookie", "cookie-secret"), ("x-request-id", "req_1"), ("x-odd", "hidden")]
    )
    handler = Scripted(answer)
    azure: dict[str, Any] = {"api_version": "2026-01-01", "azure_endpoint": "https://r.test", "transport": handler}
    clients: list[Any] = [
        OpenAI(
            api_key="sk-one",
            base_url="https://user:basic-secret@api.test/v1?code=q-secret",
            default_headers={"x-mine": "hidden", "Cookie": "cookie-secret"},
            default_query={"key": "q-secret"},
            transport=handler,
        ),
        OpenAI(api_key=lambda: "sk-two", transport=handler),
        OpenAI(api_key="sk-two", admin_api_key="sk-three", transport=handler),
        AzureOpenAI(api_key="sk-three", **azure),
        AzureOpenAI(azure_ad_token="entra-1", **azure),
        AzureOpenAI(azure_ad_token_provider=lambda: "entra-1", **azure),
    ]
    for level in (logging.DEBUG, logging.INFO):
        caplog.clear()
        with caplog.at_level(level, "antiphon"):
            for client in clients:
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": "private"}])
                client.models.retrieve("m", extra_query={"token": "q-secret", "limit": 3})
                client.copy(api_key="sk-three").models.retrieve("m", extra_headers={"Authorization": "Bearer sk-one"})
        said = caplog.text
        assert not [secret for secret in SECRETS if secret in said]
        assert said.count("HTTP response: GET ") == 2 * len(clients)
        assert "HTTP response: POST https://api.test/v1/chat/completions?code=<masked>&key=<masked> 200 in 0." in said
        assert "req_1" in said
        assert ("'authorization': '<masked>'" in said) is ("'api-key': '<masked>'" in said) is (level == logging.DEBUG)
        assert ("'content-type': 'application/json'" in said) is (level == logging.DEBUG)
        assert "api-version=2026-01-01" in said
        assert "limit=3" in said
        assert {record.name for record in caplog.records} == {"antiphon"}


def test_attempts_that_fail_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    handler = Scripted(APITimeoutError(Request("GET", "/")), OK)
    with caplog.at_level(logging.INFO, "antiphon"):
        OpenAI(api_key="k", transport=handler).models.retrieve("m")
    first, second, third = (record.getMessage() for record in caplog.records)
    assert first.startswith("HTTP request failed: GET https://api.openai.com/v1/models/m APITimeoutError in 0.")
    assert second.startswith("Retrying GET /v1/models/m in 0.")
    assert third.startswith("HTTP response: GET https://api.openai.com/v1/models/m 200 in 0.")


def test_logs_tell_the_way_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    handler = Scripted(failure(503, {"x-request-id": "req_7"}), OK)
    client = OpenAI(api_key="sk-secret", default_headers={"x-token": "hidden"}, transport=handler)
    with caplog.at_level(logging.DEBUG, "antiphon"):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "private words"}])
    text = caplog.text
    assert "POST https://api.openai.com/v1/chat/completions" in text
    assert "503" in text
    assert "req_7" in text
    assert "retry 1 of 2" in text
    for secret in ("sk-secret", "hidden", "private words"):
        assert secret not in text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "antiphon"):
        client.models.retrieve("m")
    assert not caplog.records


@pytest.mark.parametrize("variable", ["OPENAI_LOG", "ANTIPHON_LOG"])
def test_the_environment_turns_logs_on(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("antiphon")
    level = log.level
    monkeypatch.setenv(variable, "debug")
    try:
        OpenAI(api_key="k")
        assert log.level == logging.DEBUG
        monkeypatch.setenv(variable, "nonsense")
        OpenAI(api_key="k")
        assert log.level == logging.DEBUG
    finally:
        log.setLevel(level)


def test_a_chat_completion_reads_as_the_official_one() -> None:
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
            }
        ],
    }
    completion: ChatCompletion = answered(
        OpenAI, json_response(200, body), lambda c: c.chat.completions.create(model="m", messages=[])
    )
    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "f"
    assert completion.usage is None
    assert completion.to_dict() == body
