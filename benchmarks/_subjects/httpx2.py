"""A bare httpx2 client: what somebody writes who does without a package for the API. Nothing is retried or typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2

from .common import KEY, MESSAGES, MODEL, Weather

LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)
HEADERS = {"authorization": f"Bearer {KEY}"}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "Weather", "strict": True, "schema": Weather.model_json_schema()},
}
ASKED: dict[str, Any] = {"model": MODEL, "messages": MESSAGES}


class Subject:
    def __init__(self, name: str, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.client = httpx2.Client(base_url=self.url, headers=HEADERS, timeout=600)
        self.aclient = httpx2.AsyncClient(base_url=self.url, headers=HEADERS, timeout=600, limits=LIMITS)

    def construct(self) -> None:
        httpx2.Client(base_url=self.url, headers=HEADERS, timeout=600)

    def call(self) -> str:
        answer = self.client.post("/chat/completions", json=ASKED)
        text: str = answer.raise_for_status().json()["choices"][0]["message"]["content"]
        return text

    async def acall(self, path: str = "") -> str:
        answer = await self.aclient.post(f"{path}/chat/completions", json=ASKED)
        text: str = answer.raise_for_status().json()["choices"][0]["message"]["content"]
        return text

    def parse(self) -> Any:
        answer = self.client.post("/parsed/chat/completions", json={**ASKED, "response_format": FORMAT})
        return Weather.model_validate_json(answer.raise_for_status().json()["choices"][0]["message"]["content"])

    def stream(self, path: str) -> int:
        length = 0
        with self.client.stream("POST", f"{path}/chat/completions", json={**ASKED, "stream": True}) as answer:
            for line in answer.raise_for_status().iter_lines():
                if line.startswith("data: {"):
                    length += len(json.loads(line[6:])["choices"][0]["delta"].get("content") or "")
        return length

    async def astream(self, path: str) -> int:
        length = 0
        async with self.aclient.stream("POST", f"{path}/chat/completions", json={**ASKED, "stream": True}) as answer:
            async for line in answer.raise_for_status().aiter_lines():
                if line.startswith("data: {"):
                    length += len(json.loads(line[6:])["choices"][0]["delta"].get("content") or "")
        return length

    def upload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = self.client.post("/files", data={"purpose": "batch"}, files={"file": file})
        name: str = answer.raise_for_status().json()["id"]
        return name

    async def aupload(self, path: Path) -> str:
        with path.open("rb") as file:
            answer = await self.aclient.post("/files", data={"purpose": "batch"}, files={"file": file})
        name: str = answer.raise_for_status().json()["id"]
        return name

    def pages(self) -> int:
        count, query = 0, {}
        while True:
            page = self.client.get("/files", params=query).raise_for_status().json()
            for each in page["data"]:
                _ = each["id"], each["bytes"]
                count += 1
            if not page["has_more"]:
                return count
            query = {"after": page["last_id"]}

    async def apages(self) -> int:
        count, query = 0, {}
        while True:
            page = (await self.aclient.get("/files", params=query)).raise_for_status().json()
            for each in page["data"]:
                _ = each["id"], each["bytes"]
                count += 1
            if not page["has_more"]:
                return count
            query = {"after": page["last_id"]}
