"""Ours: a factory for each wire format, over our client."""

from __future__ import annotations

import os

from fastapi import FastAPI

from antiphon import AsyncOpenAI
from antiphon.router import ChatCompletionResource, OpenAIAPIRouter

router = OpenAIAPIRouter(client=AsyncOpenAI(api_key="k", base_url=os.environ["UPSTREAM"]))
paced = AsyncOpenAI(api_key="k", base_url=os.environ["UPSTREAM_PACED"])
held = AsyncOpenAI(api_key="k", base_url=os.environ["UPSTREAM_HELD"])


@router.post("/lanarky", format="lanarky")
@router.post("/openai", format="openai")
@router.post("/vercel", format="vercel")
@router.websocket("/ws")
def chat() -> ChatCompletionResource:
    return ChatCompletionResource(stream=True)


@router.post("/paced/lanarky", format="lanarky")
@router.post("/paced/openai", format="openai")
@router.post("/paced/vercel", format="vercel")
def slowly() -> ChatCompletionResource:
    return ChatCompletionResource(client=paced, stream=True)


@router.post("/held/lanarky", format="lanarky")
@router.post("/held/openai", format="openai")
@router.post("/held/vercel", format="vercel")
def for_ever() -> ChatCompletionResource:
    return ChatCompletionResource(client=held, stream=True)


app = FastAPI()
app.include_router(router)
