"""Google's own package for Gemini, as its users write it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

MODEL = "gemini-3-flash"


class City(BaseModel):
    name: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def test_answers(fake_openai: Any) -> None:
    fake_openai.when(system="brief", text="count").reply("one two three")
    client = genai.Client()
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5)
    found = client.models.generate_content(model=MODEL, contents="count", config=config)
    assert found.text == "one two three"
    assert found.candidates[0].finish_reason == types.FinishReason.STOP
    assert found.usage_metadata.candidates_token_count > 2
    fake_openai.assert_called(model=MODEL, text="count", times=1)

    async def ask() -> Any:
        return await client.aio.models.generate_content(model=MODEL, contents="count", config=config)

    assert asyncio.run(ask()).text == "one two three"


def test_streams(fake_openai: Any) -> None:
    fake_openai.when(text="count").reply(["one ", "two ", "three"])
    client = genai.Client()
    parts = [part.text for part in client.models.generate_content_stream(model=MODEL, contents="count")]
    assert "".join(part or "" for part in parts) == "one two three"
    assert len(parts) > 2

    async def ask() -> str:
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents="count")
        return "".join([part.text or "" async for part in stream])

    assert asyncio.run(ask()) == "one two three"


def test_tools_are_called_by_the_package_itself(fake_openai: Any) -> None:
    fake_openai.when(tools="weather", text="Paris", tool_result=False).call_tool("weather", city="Paris")
    fake_openai.when(tool_result="Rain in Paris").reply("Take an umbrella.")
    config = types.GenerateContentConfig(tools=[weather])
    client = genai.Client()
    found = client.models.generate_content(model=MODEL, contents="The weather in Paris?", config=config)
    assert found.text == "Take an umbrella."
    fake_openai.assert_called(times=2)


def test_objects(fake_openai: Any) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    client = genai.Client()
    found = client.models.generate_content(model=MODEL, contents="A city, please.", config=config)
    assert isinstance(found.parsed, City)


def test_chats_counts_and_vectors(fake_openai: Any) -> None:
    client = genai.Client()
    chat = client.chats.create(model=MODEL)
    fake_openai.when(turn=2).reply("Again.")
    chat.send_message("Hello")
    assert chat.send_message("And?").text == "Again."
    assert client.models.count_tokens(model=MODEL, contents="one two three").total_tokens > 0
    found = client.models.embed_content(model="gemini-embedding-001", contents=["a cat", "a kitten"])
    assert len(found.embeddings) == 2
    assert len(found.embeddings[0].values) > 100


def test_failures(fake_openai: Any) -> None:
    fake_openai.when(text="count").fail(429, code="rate_limit_exceeded")
    client = genai.Client()
    with pytest.raises(errors.ClientError) as busy:
        client.models.generate_content(model=MODEL, contents="count")
    assert (busy.value.code, busy.value.status) == (429, "RESOURCE_EXHAUSTED")
