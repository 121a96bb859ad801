"""LiteLLM as its users write it."""

from __future__ import annotations

import asyncio
from typing import Any

import litellm
import pytest

ASK: Any = {"model": "openai/gpt-5-mini", "messages": [{"role": "user", "content": "count"}]}


@pytest.fixture(autouse=True)
def numbers(fake_openai: Any) -> Any:
    fake_openai.when(text="count").reply(["one ", "two ", "three"])
    litellm.in_memory_llm_clients_cache.flush_cache()
    return fake_openai


def test_answers(numbers: Any) -> None:
    found: Any = litellm.completion(**ASK)
    assert found.choices[0].message.content == "one two three"
    assert found.usage.total_tokens > 0
    numbers.assert_called(model="gpt-5-mini", times=1)


def test_streams() -> None:
    chunks: Any = litellm.completion(**ASK, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three"


def test_async() -> None:
    async def ask() -> str:
        chunks: Any = await litellm.acompletion(**ASK, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    assert asyncio.run(ask()) == "one two three"


def test_the_rest(numbers: Any) -> None:
    vectors: Any = litellm.embedding(model="openai/text-embedding-3-small", input=["a", "b"])
    assert len(vectors.data[0]["embedding"]) == 1536
    assert litellm.responses(model="openai/gpt-5-mini", input="count").output[-1].content[0].text == "one two three"
    assert litellm.image_generation(model="openai/gpt-image-1", prompt="a cat").data


def test_failures(numbers: Any) -> None:
    numbers.when(text="busy").fail(429, code="rate_limit_exceeded")
    with pytest.raises(litellm.RateLimitError):
        litellm.completion(
            model="openai/gpt-5-mini", messages=[{"role": "user", "content": "busy"}], num_retries=0, max_retries=0
        )
