"""A handler as an ASGI application: by itself, mounted in Starlette, and under a server of somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from antiphon.hosting.asgi import ASGI
from antiphon.kernel.errors import NotFoundError
from antiphon.kernel.flow import Await, Flow, Pause
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.spool import IN_MEMORY, Spooled

Message = MutableMapping[str, Any]


def seen(request: Request) -> Response:
    return json_response(200, {**request._asdict(), "headers": request.headers.pairs, "body": len(request.content())})


async def ask(app: Any, method: str, url: str, **options: Any) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api.test") as client:
        return await client.request(method, url, **options)


class Script:
    """Plays an ASGI server by hand: gives these messages, then waits until `leave`, and keeps what it is sent."""

    def __init__(self, *messages: Message, **scope: Any) -> None:
        self.scope = {"type": "http", "method": "GET", "path": "/", "headers": [], **scope}
        self.messages = list(messages)
        self.sent: list[Message] = []
        self.leave = asyncio.Event()

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def run(self, app: Any) -> list[Message]:
        await app(self.scope, self.receive, self.send)
        return self.sent


REQUEST = {"type": "http.request", "body": b"", "more_body": False}


async def test_a_request_arrives_whole() -> None:
    response = await ask(ASGI(seen), "POST", "/a%2Fb%20c?x=%20", content=b"12345", headers={"X-Thing": "1"})
    got = response.json()
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    assert (got["method"], got["path"], got["query"], got["body"]) == ("POST", "/a%2Fb%20c", "x=%20", 5)
    assert got["origin"] == "http://api.test"
    assert ["x-thing", "1"] in got["headers"]


async def test_mounted_it_sees_what_comes_after_the_mount() -> None:
    app = Starlette(routes=[Mount("/fake", app=ASGI(seen))])
    got = (await ask(app, "GET", "/fake/v1/models/a%2Fb")).json()
    assert got["path"] == "/v1/models/a%2Fb"
    assert got["origin"] == "http://api.test/fake"


async def test_a_scope_with_little_in_it_is_enough() -> None:
    sent = await Script(REQUEST, path="/caf\u00e9", server=("h", 8)).run(ASGI(seen))
    assert b'"path":"/caf%C3%A9"' in sent[1]["body"]
    assert b'"origin":"http://h:8"' in sent[1]["body"]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(announced: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 50

    response = await ask(ASGI(seen, max_body=100), "POST", "/", content=b"x" * 101 if announced else pieces())
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "content_too_large"
    assert (await ask(ASGI(seen, max_body=100), "POST", "/", content=b"x" * 100)).json()["body"] == 100


async def test_a_large_body_comes_and_goes_in_pieces() -> None:
    data = bytes(range(256)) * (3 * IN_MEMORY // 256)
    bodies: list[Any] = []

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 100_000):
            yield data[at : at + 100_000]

    def handler(request: Request) -> Response:
        bodies.append(request.body)
        return Response(200, Headers(), request.body)  # type: ignore[arg-type]

    response = await ask(ASGI(handler), "POST", "/", content=pieces())
    assert isinstance(bodies[0], Spooled)
    assert response.content == data


async def test_flows_and_errors() -> None:
    def flow() -> Flow[Response]:
        yield Await(asyncio.sleep(0))
        raise NotFoundError.because("not here")

    def explode(request: Request) -> Response:
        raise RuntimeError("the secret inside")

    assert (await ask(ASGI(lambda request: flow()), "GET", "/")).status_code == 404
    response = await ask(ASGI(explode), "GET", "/")
    assert response.status_code == 500
    assert "secret" not in response.text


async def test_a_stream_is_sent_in_pieces_between_its_pauses() -> None:
    body: list[Any] = [b"a", b"b", Pause(0), b"c"]
    sent = await Script(REQUEST).run(ASGI(lambda request: Response(200, Headers(), body)))
    assert [(m.get("body"), m.get("more_body")) for m in sent[1:]] == [(b"ab", True), (b"c", True), (b"", False)]


async def test_head_has_no_body() -> None:
    sent = await Script(REQUEST, method="HEAD").run(ASGI(lambda request: Response(200, Headers(), b"12")))
    assert sent[0]["headers"] == [(b"content-length", b"2")]
    assert sent[1:] == [{"type": "http.response.body", "body": b"", "more_body": False}]


async def test_a_client_that_leaves_ends_the_body_even_in_a_pause() -> None:
    closed = asyncio.Event()

    def body() -> Iterator[Any]:
        try:
            yield b"begun"
            yield Pause(60)
        finally:
            closed.set()

    script = Script(REQUEST)
    running = asyncio.ensure_future(script.run(ASGI(lambda request: Response(200, Headers(), body()))))
    while len(script.sent) < 2:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    script.leave.set()
    await asyncio.wait_for(running, 5)
    assert closed.is_set()
    assert not running.cancelled()
    assert script.sent[-1]["body"] == b"begun"


async def test_a_server_that_cancels_is_obeyed() -> None:
    script = Script(REQUEST)
    app = ASGI(lambda request: Response(200, Headers(), [b"a", Pause(60)]))
    running = asyncio.ensure_future(script.run(app))
    while len(script.sent) < 2:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_client_that_cannot_be_written_to_has_left() -> None:
    closed = asyncio.Event()

    def body() -> Iterator[Any]:
        try:
            yield b"x" * 100_000
            yield b"never"
        finally:
            closed.set()

    class Broken(Script):
        async def send(self, message: Message) -> None:
            if message["type"] == "http.response.body":
                raise OSError("gone")

    await Broken(REQUEST).run(ASGI(lambda request: Response(200, Headers(), body())))
    assert closed.is_set()


async def test_a_client_that_leaves_while_it_sends_is_not_answered() -> None:
    assert await Script({"type": "http.disconnect"}).run(ASGI(seen)) == []


async def test_lifespan_and_other_protocols() -> None:
    script = Script({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, type="lifespan")
    assert [m["type"] for m in await script.run(ASGI(seen))] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    script = Script({"type": "websocket.connect"}, type="websocket")
    assert [m["type"] for m in await script.run(ASGI(seen))] == ["websocket.close"]
    with pytest.raises(ValueError, match="does not serve"):
        await Script(type="quic").run(ASGI(seen))
