"""LlamaIndex as its users write it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


@pytest.mark.parametrize("kind", [OpenAI, OpenAIResponses])
def test_answers_and_streams(fake_openai: Any, kind: Any) -> None:
    fake_openai.when(text="Hello").reply("Hi.")
    fake_openai.when(text="count").reply(["one ", "two ", "three"])
    model = kind(model="gpt-4.1-mini")
    assert model.chat([ChatMessage("Hello")]).message.content == "Hi."
    assert "".join(part.delta or "" for part in model.stream_chat([ChatMessage("count")])) == "one two three"

    async def ask() -> str:
        return "".join([part.delta or "" async for part in await model.astream_chat([ChatMessage("count")])])

    assert asyncio.run(ask()) == "one two three"


def test_an_index_over_documents(fake_openai: Any) -> None:
    Settings.llm = OpenAI(model="gpt-4.1-mini")
    Settings.embed_model = OpenAIEmbedding(model="text-embedding-3-small")
    texts = ["The harbour of Rotterdam is the largest of Europe.", "Cats sleep for most of the day."]
    index = VectorStoreIndex.from_documents([Document(text=text) for text in texts])
    fake_openai.when(text="Cats sleep").reply("They sleep.")
    found = index.as_query_engine(similarity_top_k=1).query("How long do cats sleep in a day?")
    assert str(found) == "They sleep."  # so the right document was found, by the fake's vectors


def test_objects(fake_openai: Any) -> None:
    found = OpenAI(model="gpt-4.1-mini").as_structured_llm(City).chat([ChatMessage("A city, please.")])
    assert isinstance(found.raw, City)


def test_an_agent_with_tools(fake_openai: Any) -> None:
    fake_openai.when(tools="weather", text="Paris", tool_result=False).call_tool("weather", city="Paris")
    fake_openai.when(tool_result="Rain in Paris").reply("Take an umbrella.")
    agent = FunctionAgent(tools=[weather], llm=OpenAI(model="gpt-4.1-mini"), system_prompt="Be brief.")

    async def ask() -> str:
        return str(await agent.run("The weather in Paris?"))

    assert asyncio.run(ask()) == "Take an umbrella."
