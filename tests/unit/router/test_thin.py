"""One route, both ways to it, in the formats that everything else is built on."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from antiphon import FakeOpenAI
from antiphon.router import ChatCompletionResource, OpenAIAPIRouter

HELLO = {"messages": [{"role": "user", "content": "Hello\nworld"}]}


@pytest.fixture
def client() -> Any:
    router = OpenAIAPIRouter(client=FakeOpenAI(engine="echo"))

    @router.post("/chat")
    def chat(stream: bool = True) -> ChatCompletionResource:
        return ChatCompletionResource(stream=stream, system="You are terse.")

    @router.post("/completions", format="openai")
    async def completions() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    @router.websocket("/ws")
    def talk() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    app = FastAPI()
    app.include_router(router)
    with TestClient(app) as client:
        yield client


def test_lanarky_on_a_stream(client: TestClient) -> None:
    response = client.post("/chat", json=HELLO)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.content == (
        b"event: completion\r\ndata: \r\n\r\n"
        b"event: completion\r\ndata: Hello\r\n\r\n"
        b"event: completion\r\ndata: \r\ndata: world\r\n\r\n"
    )


def test_lanarky_in_one_event(client: TestClient) -> None:
    response = client.post("/chat", json=HELLO, params={"stream": False})
    assert response.content == b"event: completion\r\ndata: Hello\r\ndata: world\r\n\r\n"


def test_lanarky_on_a_websocket(client: TestClient) -> None:
    with client.websocket_connect("/ws") as websocket:
        for _ in range(2):
            websocket.send_json(HELLO)
            frames = [websocket.receive_json() for _ in range(4)]
            assert frames == [
                {"data": "", "event": "completion"},
                {"data": "Hello", "event": "completion"},
                {"data": "\nworld", "event": "completion"},
                {"data": "", "event": "end"},
            ]


def test_openai_passes_on_what_the_upstream_writes(client: TestClient) -> None:
    events = client.post("/completions", json=HELLO).text.strip().split("\n\n")
    assert events.pop() == "data: [DONE]"
    chunks = [orjson.loads(event.removeprefix("data: ")) for event in events]
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert said == "Hello\nworld"
    assert chunks[0]["system_fingerprint"].startswith("fp_")
    assert chunks[-1]["usage"]["completion_tokens"] == 3
