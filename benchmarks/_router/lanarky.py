"""Lanarky 0.8.8, in an environment of its own: as its guide has it, and with one client for all requests."""

from __future__ import annotations

import os

os.environ["OPENAI_API_KEY"] = "k"
os.environ["OPENAI_BASE_URL"] = os.environ["UPSTREAM"]

from lanarky import Lanarky  # type: ignore[import-not-found]
from lanarky.adapters.openai.resources import ChatCompletionResource  # type: ignore[import-not-found]
from lanarky.adapters.openai.routing import OpenAIAPIRouter  # type: ignore[import-not-found]
from openai import AsyncOpenAI

client = AsyncOpenAI()
paced_client = AsyncOpenAI(base_url=os.environ["UPSTREAM_PACED"])
held_client = AsyncOpenAI(base_url=os.environ["UPSTREAM_HELD"])
router = OpenAIAPIRouter()


@router.post("/guide")
def guide() -> ChatCompletionResource:
    return ChatCompletionResource(stream=True)


@router.post("/shared")
def shared() -> ChatCompletionResource:
    return ChatCompletionResource(client=client, stream=True)


@router.post("/paced/guide")
def paced_guide() -> ChatCompletionResource:
    return ChatCompletionResource(client=AsyncOpenAI(base_url=os.environ["UPSTREAM_PACED"]), stream=True)


@router.post("/paced/shared")
def paced() -> ChatCompletionResource:
    return ChatCompletionResource(client=paced_client, stream=True)


@router.post("/held/shared")
def held() -> ChatCompletionResource:
    return ChatCompletionResource(client=held_client, stream=True)


@router.websocket("/ws")
def talk() -> ChatCompletionResource:
    return ChatCompletionResource(client=client, stream=True)


app = Lanarky()
app.include_router(router)
