"""Sessions of agents as checkers see them. Checked, not run."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import assert_type

from antiphon import AsyncOpenAI, OpenAI
from antiphon.kernel.result import Err, Ok
from antiphon.lib.beta.agents import (
    AgentResultArtifacts,
    AgentSessionEventStream,
    AgentTurnResult,
    AsyncAgentResultArtifacts,
    AsyncAgentSessionEventStream,
    FunctionTool,
    PreparedAgentFiles,
    StagedAgentFile,
    function_tool,
)
from antiphon.lib.streaming.agents import AgentSessionStream, AsyncAgentSessionStream, ToolOutput
from antiphon.types.beta.agent_session import AgentSession
from antiphon.types.beta.agent_session_event import AgentSessionEvent


@dataclass
class Report:
    summary: str


@function_tool
def weather(city: str) -> str:
    return city


@function_tool(name="search")
async def search(query: str) -> dict[str, str]:
    return {"query": query}


def tools() -> None:
    assert_type(weather, FunctionTool[ToolOutput])
    assert_type(search, FunctionTool[Awaitable[ToolOutput]])
    assert_type(weather.name, str)


def created(client: OpenAI) -> None:
    sessions = client.beta.agents.sessions
    assert_type(sessions.create(environment={"type": "none"}), AgentSession)
    stream = sessions.create(environment={"type": "none"}, stream=True, output_type=Report)
    assert_type(stream, AgentSessionEventStream[Report])
    for event in stream:
        assert_type(event, AgentSessionEvent)
    result = stream.get_final_result()
    assert_type(result, AgentTurnResult[Report])
    assert_type(result.output_parsed, Report | None)
    assert_type(result.output_text, str)
    assert_type(stream.with_result_collection(), AgentSessionEventStream[Report])
    sessions.create(environment={"type": "none"}, stream=True, tool_handlers={"weather": weather})
    sessions.create(environment={"type": "none"}, stream=True, tool_handlers={"search": search})  # E
    sessions.create(environment={"type": "none"}, output_type=1)  # E
    sessions.create(stream=True)  # E
    result_of_it = sessions.with_result.create(environment={"type": "none"}, stream=True, output_type=Report)
    assert_type(result_of_it, Ok[AgentSessionEventStream[Report]] | Err)


async def created_async(client: AsyncOpenAI) -> None:
    sessions = client.beta.agents.sessions
    stream = await sessions.create(
        environment={"type": "none"}, stream=True, output_type=Report, tool_handlers={"search": search}
    )
    assert_type(stream, AsyncAgentSessionEventStream[Report])
    assert_type(await stream.get_final_result(), AgentTurnResult[Report])


def streamed(client: OpenAI) -> None:
    sessions = client.beta.agents.sessions
    stream = sessions.stream("session", input="hi", output_type=Report, tool_handlers={"weather": weather})
    assert_type(stream, AgentSessionStream[Report])
    with stream as entered:
        assert_type(entered.get_final_result().output_parsed, Report | None)
        parsed = entered.get_final_result().parse(Report)
        assert_type(parsed, AgentTurnResult[Report])
        assert_type(sessions.artifacts.for_result(parsed), AgentResultArtifacts)
    sessions.stream("session")  # E
    sessions.stream("session", input="hi", tool_handlers={"search": search})  # E


async def streamed_async(client: AsyncOpenAI) -> None:
    sessions = client.beta.agents.sessions
    stream = sessions.stream("session", input="hi", output_type=Report, tool_handlers={"search": search})
    assert_type(stream, AsyncAgentSessionStream[Report])
    async with stream as entered:
        result = await entered.get_final_result()
        assert_type(result.output_parsed, Report | None)
        assert_type(sessions.artifacts.for_result(result), AsyncAgentResultArtifacts)
        async for event in entered:
            assert_type(event, AgentSessionEvent)


async def files(client: OpenAI, async_client: AsyncOpenAI) -> None:
    here = client.beta.agents.environments.files
    assert_type(here.prepare({"/workspace/a": "a"}), PreparedAgentFiles)
    assert_type(here.upload("env", file=b"", path="/workspace/a"), StagedAgentFile)
    here.prepare_directory(".", destination="/workspace/a")  # E
    there = async_client.beta.agents.environments.files
    assert_type(await there.prepare_directory(".", destination="/workspace/a", include=["*"]), PreparedAgentFiles)
