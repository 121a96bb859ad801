"""instructor as its users write it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import instructor
import openai
import pytest
from pydantic import BaseModel, field_validator

ASK: Any = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "A city, please."}]}


class City(BaseModel):
    """A city."""

    name: str
    people: int


class Capital(City):
    @field_validator("people")
    @classmethod
    def large(cls, value: int) -> int:
        if value < 1000:
            raise ValueError("a capital has at least a thousand people")
        return value


MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA]


@pytest.mark.parametrize("mode", MODES)
def test_objects(fake_openai: Any, mode: Any) -> None:
    client = instructor.from_openai(openai.OpenAI(), mode=mode)
    assert isinstance(client.create(response_model=City, **ASK), City)

    async def ask() -> Any:
        return await instructor.from_openai(openai.AsyncOpenAI(), mode=mode).create(response_model=City, **ASK)

    assert isinstance(asyncio.run(ask()), City)


def test_it_asks_again_with_what_was_wrong(fake_openai: Any) -> None:
    client = instructor.from_provider("openai/gpt-5-mini")
    fake_openai.when(text="city").call_tool("Capital", name="Ulm", people=7)
    fake_openai.when(tool_result="at least a thousand").call_tool("Capital", name="Paris", people=2_000_000)
    found = client.create(response_model=Capital, messages=ASK["messages"], max_retries=2)
    assert found.name == "Paris"
    fake_openai.assert_called(times=2)


def test_streams(fake_openai: Any) -> None:
    client = instructor.from_openai(openai.OpenAI())
    fake_openai.when(text="city").call_tool("City", name="Rome", people=3)
    *_, last = client.create_partial(response_model=City, **ASK)
    assert last == City(name="Rome", people=3)
    fake_openai.when(text="several").call_tool(
        "IterableCity", tasks=[{"name": "A", "people": 1}, {"name": "B", "people": 2}]
    )
    asked = {**ASK, "messages": [{"role": "user", "content": "several"}]}
    found: Iterable[City] = client.create_iterable(response_model=City, **asked)
    assert [city.name for city in found] == ["A", "B"]
