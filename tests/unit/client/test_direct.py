"""Requests by their address, beside the official client's: the same bytes, the same results."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import httpx2
import openai
import pytest

import antiphon
from antiphon.kernel.flow import World
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.transports.httpx2 import HandlerTransport
from antiphon.types import Model
from tests.unit.client.wire import Wire, reply
from tests.unit.client.worlds import both

KINDS = pytest.mark.parametrize("kind", [antiphon.OpenAI, antiphon.AsyncOpenAI])
MODEL = {"id": "m", "object": "model", "created": 1, "owned_by": "me"}


class Recorder:
    def __init__(self, status: int = 200) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.status = status

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.bodies.append(request.content())
        return json_response(self.status, MODEL)


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("get", "/models", {}),
    ("get", "models", {"options": {"params": {"a": [1, 2], "b": {"c": True}}}}),
    ("get", "/models?beta=true", {"options": {"params": {"limit": 1}, "headers": {"X-A": "1"}}}),
    ("get", "https://elsewhere.test/v2/x?y=1", {}),
    ("post", "/foo", {"body": {"a": 1, "b": None}}),
    ("post", "/foo", {"body": {"a": 1}, "options": {"extra_json": {"a": 2, "c": 3}}}),
    ("post", "/foo", {"content": b"raw", "options": {"headers": {"Content-Type": "text/plain"}}}),
    ("put", "/foo", {"body": [1, 2]}),
    ("patch", "/foo", {"body": {}}),
    ("delete", "/foo/1", {}),
    ("get", "/organization/users", {"options": {"security": {"admin_api_key_auth": True}}}),
]
OURS_ONLY = ("user-agent", "content-length", "host", "connection", "accept-encoding")


def seen(request: Request, body: bytes) -> tuple[Any, ...]:
    headers = {
        name: value
        for name, value in request.headers.items()
        if name not in OURS_ONLY and not name.startswith("x-stainless-")
    }
    return request.method, request.path, request.query, body, headers


@pytest.mark.parametrize(("method", "path", "arguments"), CALLS)
def test_requests_are_the_official_ones(method: str, path: str, arguments: dict[str, Any]) -> None:
    theirs, ours = Recorder(), Recorder()
    settings: dict[str, Any] = {"api_key": "k", "admin_api_key": "a", "base_url": "http://api.test/v1"}
    with openai.OpenAI(**settings, http_client=httpx2.Client(transport=HandlerTransport(theirs))) as client:
        getattr(client, method)(path, cast_to=object, **arguments)
    with antiphon.OpenAI(**settings, transport=ours) as own:
        getattr(own, method)(path, cast_to=object, **arguments)
    assert seen(ours.requests[0], ours.bodies[0]) == seen(theirs.requests[0], theirs.bodies[0])


async def test_answers_are_read_as_the_type_they_name() -> None:
    client = antiphon.OpenAI(api_key="k", transport=Recorder())
    model = client.get("/models/m", cast_to=Model)
    assert isinstance(model, Model)
    assert model.id == "m"
    assert client.get("/models/m", cast_to=dict) == MODEL
    response = client.get("/models/m", cast_to=httpx2.Response)
    assert isinstance(response, httpx2.Response)
    assert (response.json(), str(response.request.url)) == (MODEL, "https://api.openai.com/v1/models/m")
    aclient = antiphon.AsyncOpenAI(api_key="k", transport=Recorder())
    assert (await aclient.get("/models/m", cast_to=Model)).id == "m"
    with pytest.raises(TypeError, match="cannot be read as"):
        client.get("/models/m", cast_to=complex)


def test_streams_and_forms() -> None:
    fake = antiphon.FakeOpenAI()
    client = antiphon.OpenAI(api_key="k", transport=fake)
    body = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with client.post(
        "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=antiphon.Stream[dict[str, Any]]
    ) as stream:
        assert {event["object"] for event in stream} == {"chat.completion.chunk"}
    file = client.post(
        "/files", cast_to=dict, body={"purpose": "user_data"}, files={"file": ("a.txt", io.BytesIO(b"text"))}
    )
    assert (file["filename"], file["bytes"]) == ("a.txt", 4)


@pytest.mark.parametrize(
    ("content", "sent"),
    [(iter([b"a", b"b"]), 1), ([b"a", b"b"], 2), (io.BytesIO(b"ab"), 2), ("ab", 2), (bytearray(b"ab"), 2)],
)
def test_content_is_sent_again_only_where_it_can_be(content: Any, sent: int) -> None:
    recorder = Recorder(500)
    client = antiphon.OpenAI(api_key="k", transport=recorder, max_retries=1)
    with pytest.raises(antiphon.InternalServerError):
        client.post("/foo", cast_to=object, content=content)
    assert recorder.bodies == [b"ab"] * sent


def test_content_stands_alone() -> None:
    client = antiphon.OpenAI(api_key="k", transport=Recorder())
    with pytest.raises(TypeError, match="as it stands"):
        client.post("/foo", cast_to=object, content=b"a", body={})
    with pytest.raises(TypeError, match="pieces of bytes"):
        client.post("/foo", cast_to=object, content=1)


def test_a_key_is_needed() -> None:
    client = antiphon.OpenAI(admin_api_key="a", transport=Recorder(), api_key="")
    with pytest.raises(TypeError, match="Could not resolve authentication method"):
        client.get("/models", cast_to=object, options={"security": {"bearer_auth": True}})
    assert client.get("/models", cast_to=object) == MODEL


def test_what_the_official_suite_found() -> None:
    client = antiphon.OpenAI(api_key="k", transport=Recorder(), default_headers={"X-Foo": "bar"})
    assert (client.default_headers["X-Foo"], client.default_headers.get("x-FOO")) == ("bar", "bar")
    assert "X-foo" in client.default_headers
    with pytest.raises(TypeError, match="max_retries"):
        client.with_options(max_retries=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="http_client"):
        antiphon.AsyncOpenAI(api_key="k", http_client=httpx2.Client())
    recorder = Recorder()
    antiphon.OpenAI(api_key="k", transport=recorder).files.create(
        file=b"x", purpose="batch", extra_headers={"Content-Type": "multipart/form-data; boundary=mine"}
    )
    assert recorder.bodies[0].endswith(b"--mine--\r\n")
    assert recorder.requests[0].headers["content-type"] == "multipart/form-data; boundary=mine"


# Content that is awaited, redirects of one request, files that are closed between two attempts


class OneShot:
    """Pieces to be awaited, each time the ones that are left."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = iter(pieces)

    async def __aiter__(self) -> Any:
        for piece in self.pieces:
            yield piece


@pytest.mark.parametrize("transport", ["ours", "httpx2", "aiohttp", "handler"])
async def test_content_may_be_awaited(transport: str) -> None:
    recorder = Recorder()

    def echoed(received: Any) -> bytes:
        recorder.bodies.append(received.body)
        return reply(MODEL)

    with Wire(echoed) as server:
        given: Any = {
            "ours": lambda: None,
            "httpx2": httpx2.AsyncClient,
            "aiohttp": antiphon.DefaultAioHttpClient,
            "handler": lambda: recorder,
        }[transport]()
        async with antiphon.AsyncOpenAI(api_key="k", base_url=server.base, transport=given) as client:
            answer = await client.post("/foo", cast_to=dict, content=OneShot(b"one ", b"two"))
    assert answer == MODEL
    assert recorder.bodies == [b"one two"]


async def test_awaited_content_is_sent_once() -> None:
    recorder = Recorder(500)
    client = antiphon.AsyncOpenAI(api_key="k", transport=recorder, max_retries=3)
    with pytest.raises(antiphon.InternalServerError):
        await client.post("/foo", cast_to=dict, content=OneShot(b"a"))
    assert recorder.bodies == [b"a"]
    with pytest.raises(TypeError, match="AsyncOpenAI can send it"):
        antiphon.OpenAI(api_key="k", transport=recorder).post("/foo", cast_to=dict, content=OneShot(b"a"))


def redirected(request: Request) -> Response:
    if request.path.endswith("/moved"):
        return Response(307, Headers({"location": "/v1/here"}))
    return json_response(200, MODEL)


@KINDS
@pytest.mark.parametrize("transport", ["ours", "httpx2", "aiohttp", "handler", "azure"])
def test_redirects_are_followed_or_not_as_the_request_says(kind: Any, transport: str) -> None:
    def moved(received: Any) -> bytes:
        if received.target.partition("?")[0].endswith("/moved"):
            return reply(b"", 307, {"location": "/v1/here"})
        return reply(MODEL)

    is_async = kind is antiphon.AsyncOpenAI
    if transport == "aiohttp" and not is_async:
        pytest.skip("aiohttp is async")

    async def outcomes() -> list[Any]:
        given: Any = {
            "ours": lambda: None,
            "azure": lambda: None,
            "httpx2": httpx2.AsyncClient if is_async else httpx2.Client,
            "aiohttp": antiphon.DefaultAioHttpClient,
            "handler": lambda: redirected,
        }[transport]()
        settings: Any = {"api_key": "k", "base_url": server.base, "transport": given, "max_retries": 0}
        if transport == "azure":
            azure = antiphon.AsyncAzureOpenAI if is_async else antiphon.AzureOpenAI
            client = azure(api_version="1", **settings)
        else:
            client = kind(**settings)
        found: list[Any] = []
        for follow in (True, False, True):
            try:
                answer = client.post("/moved", cast_to=dict, body={}, options={"follow_redirects": follow})
                found.append(await answer if is_async else answer)
            except antiphon.APIStatusError as error:
                found.append(error.status_code)
        await client.close() if is_async else client.close()
        return found

    with Wire(moved) as server:
        assert asyncio.run(outcomes()) == [MODEL, 307, MODEL]
        assert server.wait_closed(server.opened)


@KINDS
@pytest.mark.parametrize("when", ["while it is answered", "while it is waited"])
@pytest.mark.parametrize("given", ["files", "content"])
def test_a_file_that_is_closed_is_not_sent_again(kind: Any, when: str, given: str) -> None:
    file = io.BytesIO(b"once")

    class Closing(Recorder):
        def __call__(self, request: Request) -> Response:
            response = super().__call__(request)
            if when == "while it is answered":
                file.close()
            return response

        class world(World):
            def sleep(self, seconds: float) -> None:
                file.close()

            async def asleep(self, seconds: float) -> None:
                file.close()

    recorder = Closing(503)
    sent: Any = {"content": file} if given == "content" else {"files": {"file": ("n.txt", file)}}
    (outcome,) = both(lambda c: c.post("/foo", cast_to=dict, **sent), kind(api_key="k", transport=recorder))
    assert isinstance(outcome, antiphon.InternalServerError)
    assert (outcome.status_code, len(recorder.bodies)) == (503, 1)
    assert b"once" in recorder.bodies[0]
