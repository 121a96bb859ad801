"""Our helpers and the official ones against the same fake on a port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

import antiphon
from antiphon import FakeOpenAI
from tests.unit.lib.twins import agree, agree_on, plainly, record


class Weather(pydantic.BaseModel):
    city: str
    degrees: float


class GetWeather(pydantic.BaseModel):
    city: str


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with FakeOpenAI(seed=7).start(port=0) as running:
        yield running.base_url


@pytest.fixture
def pair(url: str) -> Iterator[tuple[antiphon.OpenAI, openai.OpenAI]]:
    with antiphon.OpenAI(api_key="k", base_url=url) as ours, openai.OpenAI(api_key="k", base_url=url) as theirs:
        yield ours, theirs


def _settled(recorded: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Without what differs from call to call: ids, times and padding."""
    return [(name, _without(data)) for name, data in recorded]


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        varying = ("id", "item_id", "call_id", "created", "created_at", "completed_at", "obfuscation")
        return {key: _without(item) for key, item in value.items() if key not in varying}
    return [_without(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("called", [False, True])
def test_chat(pair: tuple[antiphon.OpenAI, openai.OpenAI], structured: bool, called: bool) -> None:
    ours, theirs = pair
    asked: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "How is it in Paris?"}]}
    if structured:
        asked["response_format"] = Weather
    tool: Any = antiphon.pydantic_function_tool(GetWeather)
    their_tool: Any = openai.pydantic_function_tool(GetWeather)
    with theirs.chat.completions.stream(**asked, **({"tools": [their_tool]} if called else {})) as stream:
        expected = record(stream)
        final: Any = stream.get_final_completion()
    with ours.chat.completions.stream(**asked, **({"tools": [tool]} if called else {})) as mine:
        told = record(mine)
        completion: Any = mine.get_final_completion()
    agree_on(_settled(told), _settled(expected))
    agree(_without(plainly(completion)), _without(plainly(final)))
    parsed: Any = ours.chat.completions.parse(**asked, **({"tools": [tool]} if called else {}))
    other: Any = theirs.chat.completions.parse(**asked, **({"tools": [their_tool]} if called else {}))
    agree(_without(plainly(parsed)), _without(plainly(other)))


@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("called", [False, True])
def test_responses(pair: tuple[antiphon.OpenAI, openai.OpenAI], structured: bool, called: bool) -> None:
    ours, theirs = pair
    asked: dict[str, Any] = {"model": "gpt-5", "input": "How is it in Paris?"}
    if structured:
        asked["text_format"] = Weather
    tool: Any = antiphon.pydantic_responses_function_tool(GetWeather)
    their_tool: Any = openai.pydantic_responses_function_tool(GetWeather)
    with theirs.responses.stream(**asked, **({"tools": [their_tool]} if called else {})) as stream:
        expected = record(stream)
    with ours.responses.stream(**asked, **({"tools": [tool]} if called else {})) as mine:
        told = record(mine)
    agree_on(_settled(told), _settled(expected))
    parsed: Any = ours.responses.parse(**asked, **({"tools": [tool]} if called else {}))
    other: Any = theirs.responses.parse(**asked, **({"tools": [their_tool]} if called else {}))
    agree(_without(plainly(parsed)), _without(plainly(other)))
    assert parsed.output_parsed == other.output_parsed


def test_a_stored_response_is_streamed_again(pair: tuple[antiphon.OpenAI, openai.OpenAI]) -> None:
    ours, theirs = pair
    with ours.responses.stream(model="gpt-5", input="Hello", background=True, text_format=Weather) as stream:
        response = stream.get_final_response()
    with ours.responses.stream(response_id=response.id, starting_after=3, text_format=Weather) as again:
        told = record(again)
        assert again.get_final_response().output_parsed == response.output_parsed
    with theirs.responses.stream(response_id=response.id, starting_after=3, text_format=Weather) as official:
        agree_on(told, record(official))
