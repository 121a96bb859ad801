"""Dialogues on a port and in ASGI applications."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import MutableMapping
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from antiphon import FakeOpenAI
from antiphon.hosting.asgi import ASGI
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.dialogue import Turn
from antiphon.kernel.errors import NotFoundError
from antiphon.kernel.http import Request, Response

Message = MutableMapping[str, Any]


class Echo:
    """Says back what it hears; counts those who left."""

    def __init__(self) -> None:
        self.left = 0
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Response:
        return Response(200, body=b"http")

    def dialogue(self, request: Request) -> Any:
        self.requests.append(request)
        if request.path == "/no":
            raise NotFoundError.because("not here")
        return self

    def begun(self) -> Turn:
        return Turn("", [b"hello"])

    def heard(self, message: bytes) -> Turn:
        return Turn("", [message, message.upper()])

    def ended(self) -> None:
        self.left += 1


class Script:
    """Plays an ASGI server: gives these messages, one whenever the application has said something."""

    def __init__(self, *messages: Message, **scope: Any) -> None:
        self.scope = {"type": "websocket", "path": "/v1/responses", "headers": [(b"host", b"a.test")], **scope}
        self.messages = [{"type": "websocket.connect"}, *messages]
        self.sent: list[Message] = []
        self.said = asyncio.Event()

    async def receive(self) -> Message:
        if not self.messages:
            await self.said.wait()
            return {"type": "websocket.disconnect", "code": 1001}
        return self.messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message.get("text", "").isupper():
            self.said.set()

    async def run(self, app: Any) -> list[Message]:
        await asyncio.wait_for(app(self.scope, self.receive, self.send), 10)
        return self.sent


async def test_a_dialogue_in_an_asgi_application() -> None:
    echo = Echo()
    given: list[Message] = [
        {"type": "websocket.receive", "text": "ab"},
        {"type": "websocket.receive", "bytes": b"cd"},
    ]
    sent = await Script(*given, query_string=b"x=1", scheme="wss").run(ASGI(echo))
    assert sent[0] == {"type": "websocket.accept"}
    assert [each["text"] for each in sent[1:4]] == ["hello", "ab", "AB"]
    assert echo.left == 1
    (request,) = echo.requests
    assert (request.method, request.path, request.query) == ("GET", "/v1/responses", "x=1")
    assert request.headers["host"] == "a.test"
    offered = [(b"sec-websocket-protocol", b"openai-beta.realtime-v1, realtime")]
    sent = await Script(given[0], headers=offered).run(ASGI(echo))
    assert sent[0] == {"type": "websocket.accept", "subprotocol": "realtime"}


async def test_a_refusal_is_said_where_the_server_can_say_it() -> None:
    sent = await Script(path="/no").run(ASGI(Echo()))
    assert sent == [{"type": "websocket.close", "code": 1008}]
    start, body = await Script(path="/no", extensions={"websocket.http.response": {}}).run(ASGI(Echo()))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
    assert json.loads(body["body"])["error"]["message"] == "not here"
    sent = await Script().run(ASGI(lambda request: Response(200)))
    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_who_is_gone_ends_a_dialogue() -> None:
    echo = Echo()

    class Gone(Script):
        async def send(self, message: Message) -> None:
            if message["type"] == "websocket.send":
                raise OSError("gone")
            await super().send(message)

    assert await Gone().run(ASGI(echo)) == [{"type": "websocket.accept"}]
    assert echo.left == 1


@pytest.mark.usefixtures("host")
def test_a_dialogue_on_a_port() -> None:
    echo = Echo()
    with serve_in_background(echo) as server:
        url = server.url.replace("http", "ws")
        with connect(f"{url}/v1/responses?x=1", additional_headers={"x-mine": "y"}) as socket:
            socket.send("ab")
            socket.send(b"cd")
            assert [socket.recv(timeout=10) for _ in range(5)] == ["hello", "ab", "AB", "cd", "CD"]
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{url}/no").__enter__()
        assert refused.value.response.status_code == 404
        deadline = time.monotonic() + 10
        while echo.left < 1 and time.monotonic() < deadline:
            time.sleep(0.005)
    assert echo.left == 1
    assert echo.requests[0].headers["x-mine"] == "y"
    assert echo.requests[0].query == "x=1"


@pytest.mark.usefixtures("host")
def test_a_handler_without_dialogues_refuses() -> None:
    with serve_in_background(lambda request: Response(200, body=b"x")) as server:
        with pytest.raises(InvalidStatus) as refused:
            connect(server.url.replace("http", "ws")).__enter__()
        assert refused.value.response.status_code == 404


def _rest(socket: Any) -> None:
    while True:
        socket.recv(timeout=15)


@pytest.mark.usefixtures("host")
def test_a_server_stops_with_dialogues_open() -> None:
    server = FakeOpenAI(latency=1000.0).start(port=0)
    try:
        headers = {"authorization": "Bearer x"}
        with connect(f"{server.url.replace('http', 'ws')}/v1/responses", additional_headers=headers) as socket:
            socket.send("{}")
            socket.recv(timeout=15)  # what is wrong with it: so it is open on the server's side, too
            socket.send(json.dumps({"type": "response.create", "model": "gpt-5", "input": "x"}))
            begun = time.monotonic()
            server.stop(patience=0.2)
            assert time.monotonic() - begun < 15
            with pytest.raises(ConnectionClosed):
                _rest(socket)
    finally:
        server.stop()
    assert not server.running
