"""What goes wrong upstream, before the first byte and after it, as the caller is told. Secrets never."""

from __future__ import annotations

from typing import Any

import openai
import orjson
import pytest

import antiphon
from antiphon import AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.router import ChatCompletionResource, Error, Failed, Refused, ResponsesResource
from antiphon.router.errors import error_of, scrubbed

from .conftest import HELLO, WORDS, Caller, Upstream, app_of, chunk, event, events_of

KEY = "sk-proj-AbCdEf0123456789"


def refusing(status: int, error: Any, headers: dict[str, str] | None = None) -> Any:
    def handler(request: Request) -> Response:
        return json_response(status, error, Headers({"x-request-id": "req_up", **(headers or {})}).pairs)

    return handler


def client_of(handler: Any, **options: Any) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=KEY, transport=handler, max_retries=0, **options)


LIMITED = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded", "param": None}}


@pytest.mark.parametrize("format", ["lanarky", "openai", "vercel", "ag-ui", "text", "json"])
async def test_before_the_first_byte_it_is_a_response(format: str) -> None:
    upstream = client_of(refusing(429, LIMITED, {"retry-after": "7"}))
    caller = await Caller(app_of(upstream, format=format), "/chat").start().wait()
    assert caller.status == 429
    assert caller.response_headers["content-type"] == "application/json"
    assert caller.response_headers["x-request-id"] == "req_up"
    assert caller.response_headers["retry-after"] == "7"
    assert orjson.loads(caller.text) == {"error": {**LIMITED["error"], "request_id": "req_up"}}


@pytest.mark.parametrize("format", ["lanarky", "openai"])
async def test_an_error_as_the_first_event_is_a_response_too(format: str) -> None:
    upstream = Upstream([event({"error": {"message": "Overloaded.", "type": "server_error"}})])
    caller = await Caller(app_of(upstream, format=format), "/chat").start().wait()
    assert caller.status == 502
    assert orjson.loads(caller.text)["error"]["message"] == "Overloaded."


async def test_an_answer_that_fails_as_a_whole_is_a_response() -> None:
    for body in ({"error": {"message": "Overloaded."}}, {"choices": []}, {"object": "chat.completion"}):

        def handler(request: Request, body: Any = body) -> Response:
            return json_response(200, body)

        caller = await Caller(app_of(handler), "/chat?stream=false").start().wait()
        assert caller.status == 502, body
    pages = app_of(lambda request: Response(200, Headers({"content-type": "text/html"}), b"<html>"), format="json")
    caller = await Caller(pages, "/chat").start().wait()
    assert (caller.status, orjson.loads(caller.text)["error"]["code"]) == (502, "upstream_broken")


async def test_leaving_while_an_error_is_told_is_no_cancellation() -> None:
    upstream = Upstream([*WORDS[:2], event({"error": {"message": "Overloaded."}})])
    caller = Caller(app_of(upstream), "/chat").start()
    await caller.until(1)
    caller.takes.clear()
    caller.left.set()
    await caller.wait()


BROKEN = [
    chunk({"role": "assistant", "content": "Well"}),
    event({"error": {"message": f"The key {KEY} is used up.", "code": "gone"}}),
]


@pytest.mark.parametrize(
    ("format", "last"),
    [
        (
            "lanarky",
            {
                "status_code": 502,
                "detail": "The key [secret] is used up.",
                "type": "server_error",
                "code": "gone",
                "request_id": "req_up",
            },
        ),
        ("vercel", {"type": "error", "errorText": "The key [secret] is used up."}),
    ],
)
async def test_after_the_first_byte_it_is_an_event(format: str, last: Any) -> None:
    caller = await Caller(app_of(client_of(Upstream(BROKEN)), format=format), "/chat").start().wait()
    assert caller.status == 200
    assert [each for each in events_of(caller.text) if each != "[DONE]"][-1] == last
    assert KEY not in caller.text


async def test_ag_ui_and_text_tell_it_their_way() -> None:
    app = app_of(client_of(Upstream(BROKEN)))
    agui = await Caller(app, "/chat", headers={"accept": "text/event-stream; format=ag-ui"}).start().wait()
    *_, last = events_of(agui.text)
    assert (last["type"], last["code"], last["rawEvent"]["request_id"]) == ("RUN_ERROR", "gone", "req_up")
    text = await Caller(app, "/chat", headers={"accept": "text/plain"}).start().wait()
    assert text.text == "Well\n[error 502] The key [secret] is used up.\n"


async def test_what_passes_through_has_no_secrets_in_its_errors() -> None:
    caller = await Caller(app_of(client_of(Upstream(BROKEN)), format="openai"), "/chat").start().wait()
    first, error, done = events_of(caller.text)
    assert first == BROKEN[0]
    assert error["error"] == {"message": "The key [secret] is used up.", "code": "gone", "request_id": "req_up"}
    assert done == "[DONE]"


@pytest.mark.parametrize("format", ["lanarky", "openai"])
@pytest.mark.parametrize(
    "pieces", [[*WORDS[:3]], [*WORDS[:3], b'data: {"choices": [{"del'], [*WORDS[:3], b"data: nonsense\n\n"]]
)
async def test_an_answer_that_breaks_off_does_not_look_complete(format: str, pieces: list[Any]) -> None:
    caller = await Caller(app_of(Upstream(pieces), format=format), "/chat").start().wait()
    assert "upstream_broken" in caller.text


async def test_an_answer_without_a_mark_at_its_end_is_complete() -> None:
    for format in ("lanarky", "openai"):
        caller = await Caller(app_of(Upstream(WORDS[:-1]), format=format), "/chat").start().wait()
        assert "error" not in caller.text
    assert events_of(caller.text)[-1] == "[DONE]"


async def test_a_connection_that_breaks_is_told() -> None:
    def pieces() -> Any:
        yield from WORDS[:3]
        raise antiphon.APIConnectionError(request=None)

    for format in ("lanarky", "openai"):
        caller = await Caller(app_of(Upstream(pieces), format=format), "/chat").start().wait()
        assert caller.complete
        assert "upstream_unreachable" in caller.text


async def test_a_host_that_cannot_be_reached_and_one_that_is_silent() -> None:
    refused = AsyncOpenAI(api_key=KEY, base_url="http://127.0.0.1:9/v1", max_retries=0)
    caller = await Caller(app_of(refused), "/chat").start().wait()
    assert caller.status == 502
    assert orjson.loads(caller.text)["error"]["code"] == "upstream_unreachable"

    def slow(request: Request) -> Any:
        yield Pause(30)

    caller = await Caller(app_of(client_of(slow, timeout=0.1)), "/chat").start().wait()
    assert caller.status == 504
    assert orjson.loads(caller.text)["error"]["code"] == "upstream_timeout"


async def test_bugs_are_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def handler(request: Request) -> Response:
        raise RuntimeError(f"cannot open /etc/{KEY}")

    caller = await Caller(app_of(handler), "/chat").start().wait()
    assert caller.status == 500
    assert orjson.loads(caller.text)["error"] == {
        "message": "The server had an error while answering.",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }
    assert "cannot open" in caplog.text


async def test_an_answer_that_is_no_answer() -> None:
    caller = await Caller(app_of(Upstream([b"data: [DONE]\n\n"])), "/chat").start().wait()
    assert orjson.loads(caller.text)["error"]["code"] == "empty_answer"

    def handler(request: Request) -> Response:
        return Response(200, Headers({"content-type": "text/html"}), b"<html>")

    for path in ("/chat", "/chat?stream=false"):
        caller = await Caller(app_of(handler), path).start().wait()
        assert "upstream_broken" in caller.text or "empty_answer" in caller.text


async def test_a_host_that_does_not_stream_is_read_whole() -> None:
    whole = {
        "id": "1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }

    def handler(request: Request) -> Response:
        return json_response(200, whole)

    caller = await Caller(app_of(handler), "/chat").start().wait()
    assert caller.text == "event: completion\r\ndata: Hi\r\n\r\n"
    caller = await Caller(app_of(handler, format="openai"), "/chat").start().wait()
    assert events_of(caller.text)[0]["choices"][0]["delta"]["content"] == "Hi"


# Other clients


def official(handler: Any) -> openai.AsyncOpenAI:
    import httpx2

    from antiphon.transports.httpx2 import HandlerTransport

    http = httpx2.AsyncClient(transport=HandlerTransport(handler))
    return openai.AsyncOpenAI(api_key=KEY, http_client=http, max_retries=0)


async def test_the_official_client_streams_and_its_errors_are_told() -> None:
    caller = await Caller(app_of(official(Upstream(WORDS))), "/chat").start().wait()
    assert caller.text.endswith("data: word2 \r\n\r\n")
    raw = await Caller(app_of(official(Upstream(WORDS)), format="openai"), "/chat").start().wait()
    assert events_of(raw.text)[-1] == "[DONE]"
    whole = await Caller(app_of(official(FakeOpenAI(engine="echo")), format="json"), "/chat").start().wait()
    assert orjson.loads(whole.text)["choices"][0]["message"]["content"] == "Hello"
    caller = await Caller(app_of(official(refusing(429, LIMITED))), "/chat").start().wait()
    assert caller.status == 429
    assert orjson.loads(caller.text)["error"]["code"] == "rate_limit_exceeded"
    assert caller.response_headers["x-request-id"] == "req_up"


async def test_leaving_stops_what_the_official_client_asked_for() -> None:
    import asyncio

    from .conftest import silence

    upstream = Upstream([*WORDS[:2], silence])
    caller = Caller(app_of(official(upstream)), "/chat").start()
    await caller.until(2)
    caller.left.set()
    await asyncio.wait_for(upstream.closed.wait(), 10)
    await caller.wait()


async def test_blocking_clients_do_not_block_the_loop() -> None:
    import httpx2

    from antiphon.transports.httpx2 import HandlerTransport

    http = httpx2.Client(transport=HandlerTransport(FakeOpenAI(engine="echo")))
    theirs = openai.OpenAI(api_key=KEY, http_client=http)
    ours = FakeOpenAI(engine="echo").client()
    over_httpx = OpenAI(api_key=KEY, transport=http)
    for client in (theirs, ours, over_httpx):
        for path in ("/chat", "/chat?stream=false"):
            caller = await Caller(app_of(client), path).start().wait()
            assert caller.text.endswith("data: Hello\r\n\r\n")
    http.close()


async def test_a_blocking_client_that_is_changed_is_asked_as_it_is_now() -> None:
    keys: list[str] = []

    def noting(request: Request) -> Response:
        keys.append(request.headers["authorization"])
        return json_response(200, {"choices": [{"index": 0, "message": {"content": "Hi"}}]})

    client = OpenAI(api_key="one", transport=noting)
    app = app_of(client, format="json")
    for _ in range(2):
        await Caller(app, "/chat").start().wait()
    client.api_key = "two"
    await Caller(app, "/chat").start().wait()
    assert keys == ["Bearer one", "Bearer one", "Bearer two"]


async def test_engines_answer_in_process() -> None:
    from antiphon.engines import Echo, engine

    for source in (Echo(), engine(lambda request: request.user_text)):
        caller = await Caller(app_of(source), "/chat").start().wait()
        assert caller.text.endswith("data: Hello\r\n\r\n")


async def test_what_cannot_answer_is_told_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caller = await Caller(app_of(42), "/chat").start().wait()
    assert caller.status == 500
    assert "client= takes a client" in caplog.text


# The words


def test_scrubbing() -> None:
    assert scrubbed("Incorrect API key provided: sk-ab12****wxyz.") == "Incorrect API key provided: [secret]."
    assert scrubbed("Authorization: Bearer abcdefghijkl") == "Authorization: [secret]"
    assert scrubbed("the token hunter22 is wrong", ["hunter22"]) == "the token [secret] is wrong"
    assert scrubbed("ask-me-anything about risk-assessments") == "ask-me-anything about risk-assessments"


def test_errors_of_this_package_and_of_the_official_one_are_told_alike() -> None:
    ours = antiphon.NotFoundError.because("No such model.", code="model_not_found", headers={"x-request-id": "req_1"})
    assert error_of(ours) == Error("No such model.", 404, "invalid_request_error", "model_not_found", None, "req_1")
    assert error_of(Refused("No.", status=402, code="broke")) == Error("No.", 402, "invalid_request_error", "broke")
    assert error_of(Failed(Error("x"))) == Error("x")
    assert error_of(antiphon.APITimeoutError(None)).status == 504


async def test_refusals_of_a_resource_reach_the_caller_of_its_methods() -> None:
    resource = ChatCompletionResource(client=Upstream(BROKEN), stream=True)
    said = []
    texts = resource.stream_response(HELLO["messages"])
    said.append(await anext(texts))
    with pytest.raises(Failed, match="used up"):
        await anext(texts)
    assert said == ["Well"]
    with pytest.raises(Refused, match="`messages` is empty"):
        await resource([])
    with pytest.raises(antiphon.RateLimitError):
        await ResponsesResource(client=client_of(refusing(429, LIMITED)))(HELLO["messages"])
