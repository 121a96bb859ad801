"""pydantic-ai as its users write it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import ModelHTTPError


class City(BaseModel):
    """A city."""

    name: str
    people: int


def agent(model: str, **options: Any) -> Any:
    return Agent(model, system_prompt="Be brief.", **options)


MODELS = ["openai-chat:gpt-5-mini", "openai-responses:gpt-5-mini"]


@pytest.mark.parametrize("model", MODELS)
def test_an_answer(fake_openai: Any, model: str) -> None:
    fake_openai.when(system="brief", text="Hello").reply("Hi.")
    found = agent(model).run_sync("Hello")
    assert found.output == "Hi."
    assert found.usage.output_tokens if hasattr(found.usage, "output_tokens") else found.usage().output_tokens


@pytest.mark.parametrize("model", MODELS)
def test_a_stream(fake_openai: Any, model: str) -> None:
    fake_openai.when(text="count").reply(["one ", "two ", "three"])

    async def ask() -> list[str]:
        async with agent(model).run_stream("count") as found:
            return [text async for text in found.stream_text(delta=True, debounce_by=None)]

    assert "".join(asyncio.run(ask())) == "one two three"


@pytest.mark.parametrize("model", MODELS)
def test_tools(fake_openai: Any, model: str) -> None:
    asked = agent(model, deps_type=str)

    @asked.tool
    def weather(ctx: RunContext[str], city: str) -> str:
        """The weather of a city."""
        return f"{ctx.deps} in {city}."

    fake_openai.when(tools="weather", text="Paris", tool_result=False).call_tool("weather", city="Paris")
    fake_openai.when(tool_result="Rain in Paris").reply("Take an umbrella.")
    assert asked.run_sync("The weather in Paris?", deps="Rain").output == "Take an umbrella."
    fake_openai.assert_called(times=2)


@pytest.mark.parametrize("model", MODELS)
def test_objects(fake_openai: Any, model: str) -> None:
    assert isinstance(agent(model, output_type=City).run_sync("A city, please.").output, City)


def test_failures(fake_openai: Any) -> None:
    fake_openai.when(text="gone").fail(404, code="model_not_found")
    with pytest.raises(ModelHTTPError) as failed:
        agent(MODELS[0]).run_sync("gone")
    assert failed.value.status_code == 404
