"""The router behind the server people use: uvicorn, over a socket, with an upstream on another."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from antiphon import AsyncOpenAI, FakeOpenAI
from antiphon.kernel.flow import Pause
from antiphon.router import ChatCompletionResource, OpenAIAPIRouter


class Journal:
    """What became of the answers of an engine."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.left = threading.Event()
        self.finished = False

    def engine(self, request: Any) -> Iterator[Any]:
        try:
            for number in range(int(request.user_text.partition(" ")[0] or 3)):
                yield f"word{number} "
                self.began.set()
                yield Pause(0.01)
            self.finished = True
        finally:
            self.left.set()


Journal.engine.never_blocks = True  # type: ignore[attr-defined]


@contextmanager
def serving(app: FastAPI, **options: Any) -> Iterator[tuple[uvicorn.Server, int]]:
    config = uvicorn.Config(app, port=0, log_level="critical", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for _ in range(1000):
            if server.started:
                break
            time.sleep(0.01)
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def app(journal: Journal) -> Iterator[FastAPI]:
    with FakeOpenAI(engine=journal.engine).start(port=0) as upstream:
        router = OpenAIAPIRouter(client=AsyncOpenAI(api_key="any", base_url=upstream.base_url), grace=0.1)

        @router.post("/chat")
        def chat() -> ChatCompletionResource:
            return ChatCompletionResource(stream=True)

        @router.websocket("/ws")
        def talk() -> ChatCompletionResource:
            return ChatCompletionResource(stream=True)

        app = FastAPI()
        app.include_router(router)
        yield app


async def asked(port: int, words: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"messages": [{"role": "user", "content": f"{words} words"}]}).encode()
    head = f"POST /chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


async def noted(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, 20)


async def test_every_piece_is_forwarded_as_it_comes(app: FastAPI, journal: Journal) -> None:
    with serving(app) as (_, port):
        reader, writer = await asked(port, 20)
        first = await asyncio.wait_for(reader.readuntil(b"word0"), 20)
        assert not journal.finished, "the first word is here before the last is said"
        assert b"text/event-stream" in first
        rest = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 20)
        assert b"word19" in rest
        writer.close()


async def test_leaving_stops_the_upstream(app: FastAPI, journal: Journal) -> None:
    with serving(app) as (_, port):
        reader, writer = await asked(port, 100_000)
        await asyncio.wait_for(reader.readuntil(b"word1 "), 20)
        writer.close()
        assert await noted(journal.left)
        assert not journal.finished


async def test_a_stopped_server_ends_its_streams_in_words(app: FastAPI, journal: Journal) -> None:
    with serving(app, timeout_graceful_shutdown=1) as (server, port):
        reader, writer = await asked(port, 100_000)
        await asyncio.wait_for(reader.readuntil(b"word1 "), 20)
        server.should_exit = True
        rest = await asyncio.wait_for(reader.read(), 20)
        assert b"event: error" in rest
        assert b"server_stopped" in rest
        assert rest.endswith(b"0\r\n\r\n"), "the response is complete"
        assert await noted(journal.left)
        writer.close()


async def test_a_stopped_server_lets_short_answers_end(app: FastAPI, journal: Journal) -> None:
    with serving(app, timeout_graceful_shutdown=10) as (server, port):
        reader, writer = await asked(port, 30)
        await asyncio.wait_for(reader.readuntil(b"word1 "), 20)
        server.should_exit = True
        rest = await asyncio.wait_for(reader.read(), 20)
        assert b"word29" in rest
        assert b"error" not in rest
        writer.close()


async def test_websockets(app: FastAPI, journal: Journal) -> None:
    from websockets.asyncio.client import connect

    with serving(app, ws="websockets-sansio") as (_, port):
        async with connect(f"ws://127.0.0.1:{port}/ws") as websocket:
            await websocket.send(json.dumps({"messages": [{"role": "user", "content": "100000 words"}]}))
            assert json.loads(await websocket.recv())["event"] == "completion"
            await websocket.send('{"event": "cancel"}')
            while json.loads(await asyncio.wait_for(websocket.recv(), 20))["event"] != "end":
                pass
            assert await noted(journal.left)
            assert not journal.finished
            journal.left.clear()
            await websocket.send(json.dumps({"messages": [{"role": "user", "content": "100000 words"}]}))
            await websocket.recv()
        assert await noted(journal.left)
        assert not journal.finished
