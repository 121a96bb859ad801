"""litellm, by its functions: it has no client. Lists and uploads go through the official client, which it calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise its import asks a host for prices

from .common import KEY, MESSAGES, MODEL, Weather


class Subject:
    def __init__(self, name: str, port: int) -> None:
        self.module: Any = __import__(name)
        self.url = f"http://127.0.0.1:{port}/v1"
        self.asked: dict[str, Any] = {"model": f"openai/{MODEL}", "messages": MESSAGES, "api_key": KEY}
        self.files: dict[str, Any] = {"custom_llm_provider": "openai", "api_base": self.url, "api_key": KEY}

    def call(self) -> str:
        answer = self.module.completion(api_base=self.url, **self.asked)
        text: str = answer.choices[0].message.content
        return text

    async def acall(self, path: str = "") -> str:
        answer = await self.module.acompletion(api_base=self.url + path, **self.asked)
        text: str = answer.choices[0].message.content
        return text

    def parse(self) -> Any:
        answer = self.module.completion(api_base=f"{self.url}/parsed", response_format=Weather, **self.asked)
        return Weather.model_validate_json(answer.choices[0].message.content)

    def stream(self, path: str) -> int:
        length = 0
        for chunk in self.module.completion(api_base=self.url + path, stream=True, **self.asked):
            length += len(chunk.choices[0].delta.content or "")
        return length

    async def astream(self, path: str) -> int:
        length = 0
        async for chunk in await self.module.acompletion(api_base=self.url + path, stream=True, **self.asked):
            length += len(chunk.choices[0].delta.content or "")
        return length

    def helper(self, path: str) -> int:
        """Nearest to a stream that knows its whole: chunks that are kept, and put together at the end."""
        length, chunks = 0, []
        for chunk in self.module.completion(api_base=self.url + path, stream=True, **self.asked):
            length += len(chunk.choices[0].delta.content or "")
            chunks.append(chunk)
        whole = self.module.stream_chunk_builder(chunks, messages=MESSAGES)
        assert len(whole.choices[0].message.content) == length
        return length

    async def ahelper(self, path: str) -> int:
        length, chunks = 0, []
        async for chunk in await self.module.acompletion(api_base=self.url + path, stream=True, **self.asked):
            length += len(chunk.choices[0].delta.content or "")
            chunks.append(chunk)
        whole = self.module.stream_chunk_builder(chunks, messages=MESSAGES)
        assert len(whole.choices[0].message.content) == length
        return length

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            name: str = self.module.create_file(file=file, purpose="batch", **self.files).id
        return name

    def upload_path(self, path: Path) -> str:
        name: str = self.module.create_file(file=path, purpose="batch", **self.files).id
        return name

    async def aupload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = await self.module.acreate_file(file=file, purpose="batch", **self.files)
        name: str = answer.id
        return name

    def pages(self) -> int:
        count = 0
        for each in self.module.file_list(**self.files):
            _ = each.id, each.bytes
            count += 1
        return count

    async def apages(self) -> int:
        count = 0
        async for each in await self.module.afile_list(**self.files):
            _ = each.id, each.bytes
            count += 1
        return count
