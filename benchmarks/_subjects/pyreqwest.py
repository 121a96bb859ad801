"""Bare pyreqwest and orjson, which ours stands on, with the least that makes a call: a bound, and no client."""

from __future__ import annotations

from typing import Any

import orjson
from pyreqwest.client import ClientBuilder, SyncClientBuilder

from .common import KEY, MESSAGES, MODEL, Weather

HEADERS = [
    ("authorization", f"Bearer {KEY}"),
    ("accept", "application/json"),
    ("content-type", "application/json"),
    ("user-agent", "bare"),
]
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "Weather", "strict": True, "schema": Weather.model_json_schema()},
}
ASKED: dict[str, Any] = {"model": MODEL, "messages": MESSAGES}


class Subject:
    def __init__(self, name: str, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.client = SyncClientBuilder().build()
        self.aclient: Any = None

    def construct(self) -> None:
        SyncClientBuilder().build()

    def asked(self, path: str, body: dict[str, Any]) -> Any:
        request = self.client.post(f"{self.url}{path}/chat/completions").headers(HEADERS)
        return request.body_bytes(orjson.dumps(body))

    def aasked(self, path: str, body: dict[str, Any]) -> Any:
        if self.aclient is None:
            self.aclient = ClientBuilder().build()
        request = self.aclient.post(f"{self.url}{path}/chat/completions").headers(HEADERS)
        return request.body_bytes(orjson.dumps(body))

    def call(self) -> str:
        answer = self.asked("", ASKED).build().send()
        text: str = orjson.loads(answer.bytes().to_bytes())["choices"][0]["message"]["content"]
        return text

    async def acall(self, path: str = "") -> str:
        answer = await self.aasked(path, ASKED).build().send()
        text: str = orjson.loads((await answer.bytes()).to_bytes())["choices"][0]["message"]["content"]
        return text

    def parse(self) -> Any:
        answer = self.asked("/parsed", {**ASKED, "response_format": FORMAT}).build().send()
        return Weather.model_validate_json(orjson.loads(answer.bytes().to_bytes())["choices"][0]["message"]["content"])

    def stream(self, path: str) -> int:
        """The pieces only: nothing is decoded."""
        request = self.asked(path, {**ASKED, "stream": True}).streamed_read_buffer_limit(0)
        with request.build_streamed() as answer:
            read = answer.body_reader.read_chunk
            while read() is not None:
                pass
        return -1

    async def astream(self, path: str) -> int:
        request = self.aasked(path, {**ASKED, "stream": True}).streamed_read_buffer_limit(0)
        async with request.build_streamed() as answer:
            read = answer.body_reader.read_chunk
            while await read() is not None:
                pass
        return -1
