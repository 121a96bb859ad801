"""What somebody writes by hand: FastAPI's server-sent events over the official client."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.sse import EventSourceResponse, ServerSentEvent
from openai import AsyncOpenAI
from pydantic import BaseModel

client = AsyncOpenAI(api_key="k", base_url=os.environ["UPSTREAM"])
paced_client = AsyncOpenAI(api_key="k", base_url=os.environ["UPSTREAM_PACED"])
held_client = AsyncOpenAI(api_key="k", base_url=os.environ["UPSTREAM_HELD"])
app = FastAPI()


class Message(BaseModel):
    role: str
    content: str


class Question(BaseModel):
    messages: list[Message]


async def words(client: AsyncOpenAI, question: Question) -> AsyncIterator[str]:
    messages = [message.model_dump() for message in question.messages]
    stream = await client.chat.completions.create(model="gpt-5", messages=messages, stream=True)  # type: ignore[arg-type]
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content is not None:
            yield chunk.choices[0].delta.content


@app.post("/chat", response_class=EventSourceResponse)
async def chat(question: Question) -> AsyncIterator[ServerSentEvent]:
    async for word in words(client, question):
        yield ServerSentEvent(raw_data=word, event="completion")


@app.post("/paced/chat", response_class=EventSourceResponse)
async def paced(question: Question) -> AsyncIterator[ServerSentEvent]:
    async for word in words(paced_client, question):
        yield ServerSentEvent(raw_data=word, event="completion")


@app.post("/held/chat", response_class=EventSourceResponse)
async def held(question: Question) -> AsyncIterator[ServerSentEvent]:
    async for word in words(held_client, question):
        yield ServerSentEvent(raw_data=word, event="completion")


@app.websocket("/ws")
async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            question = Question.model_validate(await websocket.receive_json())
            async for word in words(client, question):
                await websocket.send_json({"data": word, "event": "completion"})
            await websocket.send_json({"data": "", "event": "end"})
    except WebSocketDisconnect:
        pass
