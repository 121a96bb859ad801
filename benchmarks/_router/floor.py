"""The least there can be: bare pyreqwest, orjson, a response of Starlette's. Nothing is checked, and no error told."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from pyreqwest.client import ClientBuilder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

HEADERS = [("authorization", "Bearer k"), ("content-type", "application/json")]
client = ClientBuilder().build()


async def pieces(url: str, body: bytes) -> AsyncIterator[bytes]:
    asked = orjson.dumps({"model": "gpt-5", "messages": orjson.loads(body)["messages"], "stream": True})
    request = client.post(f"{url}/chat/completions").headers(HEADERS).body_bytes(asked)
    async with request.streamed_read_buffer_limit(0).build_streamed() as response:
        read, left = response.body_reader.read_chunk, b""
        while (piece := await read()) is not None:
            *events, left = (left + bytes(piece)).split(b"\n\n")
            written = []
            for event in events:
                if event != b"data: [DONE]":
                    choices: Any = orjson.loads(event[6:])["choices"]
                    word = choices[0]["delta"].get("content") if choices else None
                    if word is not None:
                        written.append(b"event: completion\r\ndata: %b\r\n\r\n" % word.encode())
            if written:
                yield b"".join(written)


def answering(url: str) -> Callable[[Request], Any]:
    async def chat(request: Request) -> Response:
        return StreamingResponse(pieces(url, await request.body()), media_type="text/event-stream")

    return chat


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


app = Starlette(
    routes=[
        Route("/chat", answering(os.environ["UPSTREAM"]), methods=["POST"]),
        Route("/paced/chat", answering(os.environ["UPSTREAM_PACED"]), methods=["POST"]),
        Route("/held/chat", answering(os.environ["UPSTREAM_HELD"]), methods=["POST"]),
        WebSocketRoute("/ws", talk),
    ]
)
