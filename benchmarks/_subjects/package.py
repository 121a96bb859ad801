"""A package with `OpenAI` and `AsyncOpenAI`: the official one and ours, by the same code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .common import KEY, MESSAGES, MODEL, Weather


class Subject:
    def __init__(self, name: str, port: int) -> None:
        self.module: Any = __import__(name)
        self.url = f"http://127.0.0.1:{port}/v1"
        self.clients: dict[tuple[str, str], Any] = {}

    def client(self, path: str = "", kind: str = "OpenAI") -> Any:
        """A client of an address, the same for every call."""
        found = self.clients.get((path, kind))
        if found is None:
            made = getattr(self.module, kind)(api_key=KEY, base_url=self.url + path)
            found = self.clients[path, kind] = made
        return found

    def construct(self) -> None:
        self.module.OpenAI(api_key=KEY, base_url=self.url)

    def call(self) -> str:
        answer = self.client().chat.completions.create(model=MODEL, messages=MESSAGES)
        text: str = answer.choices[0].message.content
        return text

    async def acall(self, path: str = "") -> str:
        client = self.client(path, "AsyncOpenAI")
        answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        text: str = answer.choices[0].message.content
        return text

    def parse(self) -> Any:
        client = self.client("/parsed")
        answer = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Weather)
        return answer.choices[0].message.parsed

    def stream(self, path: str) -> int:
        length = 0
        for chunk in self.client(path).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            length += len(chunk.choices[0].delta.content or "")
        return length

    async def astream(self, path: str) -> int:
        length = 0
        client = self.client(path, "AsyncOpenAI")
        async for chunk in await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
            length += len(chunk.choices[0].delta.content or "")
        return length

    def helper(self, path: str) -> int:
        length = 0
        with self.client(path).chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
            for event in stream:
                if event.type == "content.delta":
                    length += len(event.delta)
            whole = stream.get_final_completion()
        assert len(whole.choices[0].message.content) == length
        return length

    async def ahelper(self, path: str) -> int:
        length = 0
        async with self.client(path, "AsyncOpenAI").chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    length += len(event.delta)
            whole = await stream.get_final_completion()
        assert len(whole.choices[0].message.content) == length
        return length

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = self.client().files.create(file=file, purpose="batch")
        name: str = answer.id
        return name

    def upload_path(self, path: Path) -> str:
        name: str = self.client().files.create(file=path, purpose="batch").id
        return name

    async def aupload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = await self.client("", "AsyncOpenAI").files.create(file=file, purpose="batch")
        name: str = answer.id
        return name

    def pages(self) -> int:
        count = 0
        for each in self.client().files.list():
            _ = each.id, each.bytes
            count += 1
        return count

    async def apages(self) -> int:
        count = 0
        async for each in self.client("", "AsyncOpenAI").files.list():
            _ = each.id, each.bytes
            count += 1
        return count
