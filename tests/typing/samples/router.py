"""What checkers see of the router. Checked, not run."""

from __future__ import annotations

from typing import Annotated, assert_type

from fastapi import Header
from pydantic import BaseModel

from antiphon import AsyncOpenAI, FakeOpenAI
from antiphon.router import (
    Accounting,
    AgentResource,
    Answer,
    Asked,
    Budget,
    ChatCompletionResource,
    Depends,
    EmbeddingsResource,
    Event,
    Limits,
    Memory,
    MemoryStore,
    OpenAIAPIRouter,
    Opening,
    Price,
    ResponsesResource,
    SemanticCache,
    Spent,
    SQLiteStore,
    Store,
    Text,
    Totals,
)
from antiphon.types.chat import ChatCompletion
from antiphon.types.responses import Response


class Place(BaseModel):
    city: str


def weather(city: str) -> str:
    return city


async def layer(asked: Asked, ask: Opening) -> Answer:
    answer = await ask(asked)
    assert_type(answer, Answer)
    return answer


router = OpenAIAPIRouter(client=FakeOpenAI(), format="openai", limits=Limits(seconds=5), layers=[layer], prefix="/v1")
Limits(second=5)  # E


@router.post("/chat", tags=["chat"], format="vercel", parameters=["model"])
def chat(x: Annotated[str, Header()], stream: bool = True) -> ChatCompletionResource:
    return ChatCompletionResource(
        client=AsyncOpenAI(), stream=stream, system="s", tools=[weather], temperature=0.5, reasoning_effort="low"
    )


assert_type(chat("x"), ChatCompletionResource)


@router.websocket("/ws", limits=Limits(questions=5))
async def talk() -> AgentResource:
    return AgentResource(tools=[weather], max_rounds=3, top_p=0.5)


def others() -> None:
    ResponsesResource(model="m", text_format=Place, max_output_tokens=5, truncation="auto")
    ResponsesResource(truncation="never")  # E
    EmbeddingsResource(dimensions=5)
    EmbeddingsResource(dimensions="five")  # E


async def calls(resource: ChatCompletionResource, response: ResponsesResource) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    assert_type(await resource(messages), ChatCompletion)
    assert_type(await response(messages), Response)
    async for text in resource.stream_response(messages):
        assert_type(text, str)
    async for event in resource.events(messages):
        assert_type(event, Event)
        if isinstance(event, Text):
            assert_type(event.text, str)


async def endpoint(completion: ChatCompletion = Depends(chat)) -> str | None:
    return completion.choices[0].message.content


def signed_in(asked: Asked) -> str | None:
    return None if asked.connection is None else asked.connection.headers.get("x-user")


async def looked_up(asked: Asked) -> str | None:
    return signed_in(asked)


def told(spent: Spent) -> None:
    assert_type(spent.cost, float | None)


stores: list[Store] = [MemoryStore(limit=5), SQLiteStore("sessions.db")]
memory = Memory(stores[0], session=["cookie:chat", "query:chat"], user=looked_up, messages=5, tokens=None)
accounting = Accounting(
    prices={"m": Price(input=1, output=2.5)}, budgets=[Budget(cost=5, per="all")], user=signed_in, spent=told
)
cache = SemanticCache(FakeOpenAI(), scope=("model",), threshold=0.9)
OpenAIAPIRouter(layers=[memory, cache, accounting])
Memory("sessions.db")  # E
Budget(cost=5, per="team")  # E
SemanticCache(FakeOpenAI(), scope=("team",))  # E


async def kept() -> None:
    assert_type(await memory.sessions("ada"), list[str])
    assert_type(await accounting.totals(user="ada"), Totals)
