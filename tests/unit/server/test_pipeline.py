"""What happens to every request before and after its operation: keys, bodies, headers, errors, streams."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.kernel.errors import RateLimitError
from antiphon.kernel.flow import Await, Call, Pause, World, iterate, run
from antiphon.kernel.http import Handler, Headers, Request, Response
from antiphon.server.app import Server
from antiphon.server.clock import VirtualClock
from antiphon.server.endpoint import endpoint
from tests.unit.server.door import KEY, ask, form

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
EVENTS = Headers({"content-type": "text/event-stream"})


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a behaviour behind `POST /completions` and give a server."""

    def install(behaviour: Any, **options: Any) -> Server:
        monkeypatch.setattr(endpoint("completions.create"), "behaviour", behaviour)
        return Server(**options)

    return install


def complete(server: Handler, **options: Any) -> Any:
    return ask(server, "POST", "/v1/completions", {"model": "m", "prompt": "p"}, **options)


# Keys


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer sk-1"},
        {"authorization": "bearer sk-1"},
        {"api-key": "azure"},
        {"authorization": "Basic " + base64.b64encode(b":sk-1").decode()},
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/organization/projects"])
def test_any_key_opens(headers: dict[str, str], path: str) -> None:
    assert ask(Server(), "GET", path, headers=headers).status == 200


def test_no_key() -> None:
    answer = ask(Server(), "GET", "/v1/models", headers={})
    assert answer.status == 401
    assert answer.error["message"].startswith("You didn't provide an API key.")
    assert answer.error["code"] is None
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer   ", "sk-123", "Digest x", "Basic !", "Basic Og==", ""])
def test_no_good_key(value: str) -> None:
    answer = ask(Server(), "GET", "/v1/models", headers={"authorization": value})
    assert answer.status == 401
    assert answer.error["code"] == "invalid_api_key"
    assert answer.error["type"] == "invalid_request_error"


def test_a_key_is_not_told_whole() -> None:
    answer = ask(Server(), "GET", "/v1/models", headers={"authorization": "sk-secret-secret-1234"})
    assert "sk-***1234" in answer.error["message"]


def test_an_empty_api_key_is_none() -> None:
    assert ask(Server(), "GET", "/v1/models", headers={"api-key": ""}).status == 401


# Headers


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/nothing", "/v1/foo"])
def test_every_answer_has_the_headers(path: str) -> None:
    headers = ask(Server(organization="org-x"), "GET", path).headers
    assert headers["x-request-id"].startswith("req_")
    assert len(headers["x-request-id"]) == 36
    assert headers["openai-processing-ms"].isdigit()
    assert headers["openai-version"] == "2020-10-01"
    assert headers["openai-organization"] == "org-x"
    assert headers["content-type"] == "application/json"
    for kind in ("requests", "tokens"):
        limit, left = (int(headers[f"x-ratelimit-{what}-{kind}"]) for what in ("limit", "remaining"))
        assert 0 < left <= limit
        assert re.fullmatch(r"0s|[1-9]\d*ms", headers[f"x-ratelimit-reset-{kind}"])


def test_an_unauthenticated_answer_has_them_too() -> None:
    assert ask(Server(), "GET", "/v1/models", headers={}).headers["x-request-id"].startswith("req_")


def test_headers_of_a_behaviour_win(behave: Any) -> None:
    own = Headers({"content-type": "text/plain", "x-ratelimit-remaining-requests": "0", "set-cookie": "a=1"})
    headers = complete(behave(lambda call: Response(200, own, b"hi"))).headers
    assert headers.get_list("x-ratelimit-remaining-requests") == ["0"]
    assert headers.get_list("x-request-id") != []


# Bodies


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"a":1}}', b"\xff"])
def test_no_json(body: bytes) -> None:
    answer = ask(Server(), "POST", "/v1/chat/completions", body)
    assert answer.status == 400
    assert answer.error["message"].startswith("We could not parse the JSON body of your request. (HINT:")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"[]", "an array"), (b'"x"', "a string"), (b"1", "an integer"), (b"1.5", "a decimal"), (b"null", "null")],
)
def test_no_object(body: bytes, kind: str) -> None:
    answer = ask(Server(), "POST", "/v1/chat/completions", body)
    assert answer.status == 400
    assert f"expected an object, but got {kind}" in answer.error["message"]


def test_another_content_type() -> None:
    answer = ask(Server(), "POST", "/v1/chat/completions", b"hi", headers={**KEY, "content-type": "text/plain"})
    assert answer.status == 400
    assert answer.error["code"] == "unsupported_content_type"
    assert answer.error["message"].startswith(
        "Unsupported content type: 'text/plain'. This API method only accepts 'application/json' requests"
    )


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
)
def test_json_by_any_name(kind: str, behave: Any) -> None:
    server = behave(lambda call: {"got": call.body["prompt"]})
    answer = ask(
        server, "POST", "/v1/completions", {"model": "m", "prompt": "p"}, headers={**KEY, "content-type": kind}
    )
    assert answer.json == {"got": "p"}


def test_no_content_type_is_json(behave: Any) -> None:
    server = behave(lambda call: {"got": call.body["prompt"]})
    request = Request("POST", "/v1/completions", "", Headers(KEY), b'{"model":"m","prompt":"p"}')
    assert server(request).json() == {"got": "p"}


def test_too_large() -> None:
    server = Server(max_body=100)
    answer = ask(server, "POST", "/v1/chat/completions", {**CHAT, "user": "x" * 100})
    assert answer.status == 413
    assert "(100)" in answer.error["message"]
    assert ask(server, "POST", "/v1/threads", {}).status == 200


def test_validation_names_the_fault() -> None:
    answer = ask(
        Server(), "POST", "/v1/chat/completions", {"model": "m", "messages": [{"role": "robot", "content": ""}]}
    )
    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["param"].startswith("messages[0]")


def test_a_query_is_typed_and_checked() -> None:
    server = FakeOpenAI().server
    for _ in range(3):
        ask(server, "POST", "/v1/assistants", {"model": "m"})
    assert len(ask(server, "GET", "/v1/assistants?limit=2&unheard=of").json["data"]) == 2
    assert ask(server, "GET", "/v1/assistants?limit=two").error["param"] == "limit"
    assert ask(server, "GET", "/v1/assistants?order=up").error["param"] == "order"


def test_a_deployment_is_the_model(behave: Any) -> None:
    server = behave(lambda call: {"model": call.body["model"]})
    address = "/openai/deployments/mine/completions?api-version=2026-01-01"
    azure = {"api-key": "k"}
    assert ask(server, "POST", address, {"prompt": "p"}, headers=azure).json == {"model": "mine"}
    assert ask(server, "POST", address, {"prompt": "p", "model": "m"}, headers=azure).json == {"model": "mine"}


def test_forms() -> None:
    server = Server()
    body, headers = form(
        [("purpose", "batch"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")]
    )
    missing = ask(server, "POST", "/v1/files", body, headers=headers)
    assert (missing.status, missing.error["param"]) == (400, "file")
    body, headers = form([("purpose", "user_data"), ("file", ('a "b".jsonl', b"\r\n--x\r\n\0"))])
    assert ask(server, "POST", "/v1/files", body, headers=headers).json["bytes"] == 8
    wrong = ask(server, "POST", "/v1/files", b"x", headers={**KEY, "content-type": "text/csv"})
    assert "only accepts 'multipart/form-data'" in wrong.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"--B\r\n\r\n",
        b"--B\r\nno headers--B--",
        b"--B\r\n\r\nx\r\n--B--",
        b"--B\r\na: b\r\n\r\nx\r\n--B--\r\n",
    ],
)
def test_broken_forms(body: bytes) -> None:
    headers = {**KEY, "content-type": "multipart/form-data; boundary=B"}
    assert ask(Server(), "POST", "/v1/files", body, headers=headers).status == 400


def test_a_form_without_boundary() -> None:
    answer = ask(Server(), "POST", "/v1/files", b"x", headers={**KEY, "content-type": "multipart/form-data"})
    assert "boundary" in answer.error["message"]


def test_names_of_files_are_read_as_clients_write_them() -> None:
    from antiphon.server.intake import read_form

    def name(written: str) -> str:
        part = f'--B\r\nContent-Disposition: form-data; name="f"; {written}\r\n\r\nx\r\n--B--\r\n'.encode()
        ((_, file),) = read_form(part, 'multipart/form-data; boundary="B"')
        assert not isinstance(file, str)
        return file.filename

    assert name('filename="a;b.txt"') == "a;b.txt"
    assert name('filename="a\\"b\\\\c"') == 'a"b\\c'
    assert name('filename="a%22b%0D%0A"') == 'a"b\r\n'
    assert name("filename=plain.txt") == "plain.txt"
    assert name("filename=\"x\"; filename*=UTF-8''na%C3%AFve.txt") == "naïve.txt"
    assert name('filename="größe.txt"') == "größe.txt"


def test_a_name_that_is_no_utf8() -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="\xff.txt"\r\n\r\nx\r\n'
    body = part + b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--B--\r\n'
    answer = ask(
        Server(), "POST", "/v1/files", body, headers={**KEY, "content-type": "multipart/form-data; boundary=B"}
    )
    assert answer.json["filename"] == "\ufffd.txt"


def test_an_offer_may_be_the_whole_body() -> None:
    headers = {**KEY, "content-type": "application/sdp"}
    answer = ask(Server(), "POST", "/v1/realtime/calls", b"v=0\r\n", headers=headers)
    assert answer.status == 201
    assert answer.headers["location"].startswith("/v1/realtime/calls/rtc_")
    assert answer.body.startswith(b"v=0")


# Replies


def test_replies(behave: Any) -> None:
    from antiphon.types import Model

    assert complete(behave(lambda call: {"a": 1})).json == {"a": 1}
    assert complete(behave(lambda call: Model(id="m"))).json == {"id": "m"}
    assert complete(behave(lambda call: {"m": Model(id="m")})).json == {"m": {"id": "m"}}
    empty = complete(behave(lambda call: None))
    assert (empty.status, empty.body) == (200, b"")
    assert complete(behave(lambda call: Response(202, Headers(), b"x"))).status == 202


def test_a_flow_is_driven(behave: Any) -> None:
    def slow(call: Any) -> Any:
        def flow() -> Any:
            value = yield Call(lambda: 7)
            yield Pause(1000)
            return {"value": value}

        return flow()

    clock = VirtualClock(0)
    assert complete(behave(slow, clock=clock)).json == {"value": 7}
    assert clock.now() == 1000


def test_refusals_from_anywhere_are_envelopes(behave: Any) -> None:
    error = RateLimitError.because("Slow down", code="rate_limit_exceeded", headers={"retry-after": "7"})

    def refuse(call: Any) -> Any:
        raise error

    def refuse_later(call: Any) -> Any:
        def flow() -> Any:
            yield Pause(0)
            raise error

        return flow()

    def refuse_at_the_first_piece(call: Any) -> Any:
        def body() -> Any:
            raise error
            yield b""

        return Response(200, EVENTS, body())

    def refuse_before_the_first_piece(call: Any) -> Any:
        def body() -> Any:
            yield Call(lambda: None)
            raise error

        return Response(200, EVENTS, body())

    for behaviour in (refuse, refuse_later, refuse_at_the_first_piece, refuse_before_the_first_piece):
        answer = complete(behave(behaviour))
        assert answer.status == 429
        assert answer.headers["retry-after"] == "7"
        assert answer.error == {
            "message": "Slow down",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }


def test_the_unexpected_is_logged_and_not_told(behave: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fail(call: Any) -> Any:
        raise RuntimeError("a secret")

    def answer_nonsense(call: Any) -> Any:
        return 7

    with caplog.at_level(logging.ERROR, "antiphon.server"):
        answer = complete(behave(fail))
        assert complete(behave(answer_nonsense)).status == 500
    assert answer.status == 500
    assert answer.error["type"] == "server_error"
    assert answer.error["message"].startswith("The server had an error while processing your request.")
    assert answer.headers["x-request-id"] in answer.error["message"]
    assert "secret" not in answer.body.decode()
    assert "a secret" in caplog.text
    assert answer.headers["x-request-id"] in caplog.text


# Streams


def streaming(pieces: Any, headers: Headers = EVENTS) -> Any:
    return lambda call: Response(200, headers, pieces)


def test_a_stream_is_passed_on(behave: Any) -> None:
    def body() -> Iterator[Any]:
        got = yield Call(lambda: b"data: 1\n\n")
        yield got
        yield Pause(5)
        got = yield Call(lambda: b"data: 2\n\n")
        yield got

    assert complete(behave(streaming(body()), clock=VirtualClock())).body == b"data: 1\n\ndata: 2\n\n"
    assert complete(behave(streaming([b"a", Pause(0), b"b"]))).body == b"ab"
    assert complete(behave(streaming(iter([])))).body == b""
    assert complete(behave(streaming(iter([Call(lambda: None)])))).body == b""


def test_latency_is_in_the_body(behave: Any) -> None:
    server = behave(streaming([Pause(5), b"x"]))
    request = Request("POST", "/v1/completions", "", Headers(KEY), b'{"model":"m","prompt":"p"}')
    answer = server(request)
    assert isinstance(answer, Response)
    clock = VirtualClock(0)
    assert b"".join(iterate(answer.body, clock.world())) == b"x"  # type: ignore[arg-type]
    assert clock.now() == 5


def test_an_error_in_the_middle_is_an_event(behave: Any, caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        raise RateLimitError.because("Slow down")

    def fail() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        raise RuntimeError("a secret")

    assert complete(behave(streaming(refuse()))).events[1]["error"]["message"] == "Slow down"
    with caplog.at_level(logging.ERROR, "antiphon.server"):
        events = complete(behave(streaming(fail()))).events
    assert events[0] == 1
    assert events[1]["error"]["type"] == "server_error"
    assert "a secret" in caplog.text


def test_a_file_breaks_off(behave: Any) -> None:
    def fail() -> Iterator[bytes]:
        yield b"RIFF"
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        complete(behave(streaming(fail(), Headers({"content-type": "audio/wav"}))))


def test_a_step_that_fails_reaches_the_stream(behave: Any) -> None:
    async def fail() -> bytes:
        raise ValueError("no")

    def body() -> Iterator[Any]:
        for _ in range(2):
            try:
                yield Await(fail())
            except ValueError:
                yield b"caught"

    assert complete(behave(streaming(body()))).body == b"caughtcaught"


def test_a_stream_is_closed_with_its_reader(behave: Any) -> None:
    closed: list[bool] = []

    def body() -> Iterator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append(True)

    answer = behave(streaming(body()))(
        Request("POST", "/v1/completions", "", Headers(KEY), b'{"model":"m","prompt":"p"}')
    )
    pieces = iterate(answer.body, World())
    assert next(pieces) == b"1"
    pieces.close()  # type: ignore[attr-defined]
    assert closed == [True]


# Filters and state


def test_filters_wrap_what_is_inside() -> None:
    seen: list[str] = []

    def filter_named(name: str) -> Any:
        def wrap(handler: Handler) -> Handler:
            def handle(request: Request) -> Any:
                seen.append(name)
                return handler(request)

            return handle

        return wrap

    server = Server(filters=[filter_named("outer"), filter_named("inner")])
    assert ask(server, "GET", "/v1/models", headers={}).status == 401
    assert seen == ["outer", "inner"]


def test_servers_share_nothing() -> None:
    one, other = Server(clock=VirtualClock()), Server(clock=VirtualClock())
    made = ask(one, "POST", "/v1/vector_stores", {"name": "a"})
    assert ask(other, "GET", f"/v1/vector_stores/{made.json['id']}").status == 404
    assert ask(other, "POST", "/v1/vector_stores", {"name": "a"}).json == made.json


def test_a_seed_decides_the_ids() -> None:
    def first(seed: int) -> str:
        id: str = ask(Server(seed=seed), "POST", "/v1/vector_stores", {}).json["id"]
        return id

    assert first(1) == first(1) != first(2)


def test_requests_before_do_not_change_the_ids() -> None:
    one, other = Server(), Server()
    ask(other, "GET", "/v1/models")
    assert ask(one, "POST", "/v1/threads", {}).json["id"] == ask(other, "POST", "/v1/threads", {}).json["id"]


def test_state_can_be_kept_and_put_back() -> None:
    server = Server(clock=VirtualClock())
    first = ask(server, "POST", "/v1/vector_stores", {"name": "a"}).json
    state = server.snapshot()
    second = ask(server, "POST", "/v1/vector_stores", {"name": "b"})
    ask(server, "POST", f"/v1/vector_stores/{first['id']}", {"name": "changed"})
    server.restore(state)
    listed = ask(server, "GET", "/v1/vector_stores").json["data"]
    assert [(each["id"], each["name"]) for each in listed] == [(first["id"], "a")]
    again = ask(server, "POST", "/v1/vector_stores", {"name": "b"})
    assert (again.json, again.headers["x-request-id"]) == (second.json, again.headers["x-request-id"])
    server.reset()
    assert ask(server, "GET", "/v1/vector_stores").json["data"] == []
    assert ask(server, "POST", "/v1/vector_stores", {"name": "a"}).json == first


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="unknown_ids"):
        Server(unknown_ids="maybe")  # type: ignore[arg-type]


def test_threads_may_share_a_server() -> None:
    from concurrent.futures import ThreadPoolExecutor

    clock = VirtualClock()
    server = FakeOpenAI(clock=clock).server
    store = ask(server, "POST", "/v1/vector_stores", {}).json["id"]

    def work(number: int) -> None:
        body, headers = form([("purpose", "assistants"), ("file", ("a.txt", b"%d" % number))])
        file = ask(server, "POST", "/v1/files", body, headers=headers).json["id"]
        assert ask(server, "POST", f"/v1/vector_stores/{store}/files", {"file_id": file}).status == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(100)))
    clock.advance(60)  # until they are read
    assert ask(server, "GET", f"/v1/vector_stores/{store}").json["file_counts"]["completed"] == 100


def test_links_need_no_key() -> None:
    from antiphon.server.blobs import PATH

    server = Server()
    server.store.put_blob(PATH + "a.png", b"PNG", "image/png")
    answer = ask(server, "GET", PATH + "a.png", headers={})
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"PNG", "image/png")
    assert ask(server, "HEAD", PATH + "a.png", headers={}).headers["content-length"] == "3"
    assert ask(server, "GET", PATH + "b.png", headers={}).status == 404
    assert ask(server, "POST", PATH + "a.png", headers={}).status == 405


def test_the_world_is_the_clock(behave: Any) -> None:
    clock = VirtualClock(0)
    server = Server(clock=clock)
    run((lambda: (yield Pause(3)))(), server.world)
    assert clock.now() == 3
