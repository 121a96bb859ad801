"""The agents SDK as its users write it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import Agent, Runner, function_tool, set_default_openai_api, set_tracing_disabled
from agents.exceptions import MaxTurnsExceeded
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel

set_tracing_disabled(True)


class City(BaseModel):
    name: str
    people: int


@function_tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


@pytest.fixture(params=["chat_completions", "responses"])
def api(request: pytest.FixtureRequest) -> Any:
    set_default_openai_api(request.param)
    return request.param


def test_an_answer_and_a_session(fake_openai: Any, api: str) -> None:
    fake_openai.when(system="brief", text="Hello").reply("Hi.")
    found = Runner.run_sync(Agent(name="a", instructions="Be brief.", model="gpt-5-mini"), "Hello")
    assert found.final_output == "Hi."
    fake_openai.when(turn=2).reply("Again.")
    more = [*found.to_input_list(), {"role": "user", "content": "And?"}]
    assert Runner.run_sync(Agent(name="a", model="gpt-5-mini"), more).final_output == "Again."


def test_tools_and_a_handoff(fake_openai: Any, api: str) -> None:
    fake_openai.when(tools="weather", text="Paris", tool_result=False).call_tool("weather", city="Paris")
    fake_openai.when(tool_result="Rain in Paris").reply("Take an umbrella.")
    forecaster = Agent(name="forecaster", tools=[weather], model="gpt-5-mini")
    assert Runner.run_sync(forecaster, "The weather in Paris?").final_output == "Take an umbrella."
    fake_openai.when(tools="transfer_to_forecaster").call_tool("transfer_to_forecaster")
    front = Agent(name="front", handoffs=[forecaster], model="gpt-5-mini")
    found = Runner.run_sync(front, "Tell me of Rome.", max_turns=9)
    assert found.last_agent.name == "forecaster"


def test_a_stream(fake_openai: Any, api: str) -> None:
    fake_openai.when(text="count").reply(["one ", "two ", "three"])

    async def ask() -> str:
        found = Runner.run_streamed(Agent(name="a", model="gpt-5-mini"), "count")
        text = ""
        async for event in found.stream_events():
            if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
                text += event.data.delta
        return text

    assert asyncio.run(ask()) == "one two three"


def test_objects(fake_openai: Any, api: str) -> None:
    agent = Agent(name="a", output_type=City, model="gpt-5-mini")
    assert isinstance(Runner.run_sync(agent, "A city, please.").final_output, City)


def test_a_loop(fake_openai: Any, api: str) -> None:
    fake_openai.when(tools="weather").call_tool("weather", city="Paris")
    fake_openai.when(tools="weather", tool_result=True).call_tool("weather", city="Paris")
    agent = Agent(name="a", tools=[weather], model="gpt-5-mini")
    with pytest.raises(MaxTurnsExceeded):
        Runner.run_sync(agent, "The weather?", max_turns=3)
    fake_openai.assert_called(times=3)
