"""Sessions of agents, by our helpers and by the official package's own, on the same fake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from antiphon import FakeOpenAI, RateLimitError
from antiphon.kernel.flow import run, through
from antiphon.kernel.http import Headers, Request
from tests.contract.conftest import Subject

AGENT: dict[str, Any] = {"model": "gpt-5"}
HOSTED = {"type": "openai_hosted"}
NONE = {"type": "none"}
MESSAGE = "agent.session.input.message"


class Report(BaseModel):
    summary: str
    findings: list[str]


def helpers(api: Subject) -> Any:
    """`lib.beta.agents` of the package whose client is tested."""
    return import_module(f"{api.errors.__name__}.lib.beta.agents")


async def events_of(api: Subject, stream: Any) -> list[Any]:
    """Every event of a stream that has to be entered."""
    if api.is_async:
        async with stream as entered:
            return [event async for event in entered]
    with stream as entered:
        return list(entered)


async def result_of(api: Subject, stream: Any) -> Any:
    """The final result of a stream."""
    if api.is_async:
        async with stream as entered:
            return await entered.get_final_result()
    with stream as entered:
        return entered.get_final_result()


async def made(api: Subject, **changes: Any) -> Any:
    """A new session."""
    return await api.call("beta.agents.sessions.create", **{"agent": AGENT, "environment": HOSTED, **changes})


async def kept(api: Subject, name: str, session_id: str) -> Any:
    several = getattr(api.client.beta.agents.sessions, name).list(session_id, order="asc")
    return await api.settled(several)


async def test_a_session_is_created_and_answers(api: Subject) -> None:
    strict = api.make(_strict_response_validation=True) if api.official else api.client
    stream = await api.call(
        "beta.agents.sessions.create", client=strict, agent=AGENT, environment=NONE, input="Hello", stream=True
    )
    events = await api.items(stream)
    if strict is not api.client:
        await api.settled(strict.close())
    kinds = [event.type.removeprefix("agent.session.") for event in events]
    assert kinds[:5] == ["created", "in_progress", "turn.created", "turn.in_progress", "turn.item.added"]
    assert kinds[-4:] == ["turn.content_part.done", "turn.item.done", "turn.completed", "idle"]
    assert kinds.count("turn.output_text.delta") > 3
    text = "".join(event.delta for event in events if event.type.endswith("output_text.delta"))
    assert events[-3].item.content[0].text == text
    turn = events[-2].turn
    assert (turn.status, turn.usage) == ("completed", events[-2].usage)
    assert turn.usage.total_tokens == turn.usage.input_tokens + turn.usage.output_tokens > 0
    session = events[-1].session
    assert (session.id, session.status, session.usage) == (events[0].session.id, "idle", turn.usage)
    items = await api.items(await kept(api, "items", session.id))
    assert [item.role for item in items] == ["user", "assistant"]
    assert items[0].content[0].text == "Hello"
    assert items[1].content[0].text == text
    found = await api.call("beta.agents.sessions.turns.retrieve", turn.id, session_id=session.id)
    assert found.to_dict() == turn.to_dict()
    listed = await api.items(
        await api.settled(api.client.beta.agents.sessions.turns.items.list(turn.id, session_id=session.id))
    )
    assert {item.id for item in listed} == {item.id for item in items}


async def test_what_was_said_is_remembered(api: Subject) -> None:
    session = await made(api, agent={**AGENT, "instructions": "Be brief."})
    for said in ("One", "Two"):
        await result_of(api, api.client.beta.agents.sessions.stream(session.id, input=said))
    items = await api.items(await kept(api, "items", session.id))
    assert [item.role for item in items] == ["user", "assistant", "user", "assistant"]
    assert items[1].content[0].text != items[3].content[0].text
    assert len(await api.items(await kept(api, "turns", session.id))) == 2


async def test_an_answer_is_of_the_type_that_was_asked_for(api: Subject) -> None:
    stream = await made(api, input="A report, please", stream=True, output_type=Report)
    result = await result_of(api, stream)
    assert isinstance(result.output_parsed, Report)
    assert result.output_parsed == Report.model_validate_json(result.output_text)
    assert result.turn.status == "completed"
    assert [message.output_text for message in result.messages] == [result.output_text]


async def test_an_answer_that_is_not_of_the_type_is_kept(api: Subject) -> None:
    session = await made(api)
    with pytest.raises(helpers(api).AgentOutputParseError) as caught:
        await result_of(api, api.client.beta.agents.sessions.stream(session.id, input="Hi", output_type=Report))
    assert caught.value.result.output_text
    assert caught.value.__cause__ is None


async def test_tools_run_where_the_client_is(api: Subject) -> None:
    called: list[str] = []

    def weather(city: str) -> dict[str, Any]:
        """The weather in a city."""
        called.append(city)
        return {"city": city, "degrees": 21}

    async def weather_async(city: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return weather(city)

    tool = helpers(api).function_tool(weather_async if api.is_async else weather, name="weather")
    session = await made(api, agent={**AGENT, "tools": [tool.definition]})
    stream = api.client.beta.agents.sessions.stream(
        session.id, input="What is the weather in Paris?", tool_handlers={"weather": tool}
    )
    kinds = [event.type.removeprefix("agent.session.") for event in await events_of(api, stream)]
    assert kinds[0] == "idle"  # as it was found
    assert kinds.index("turn.item.added") < kinds.index("requires_action") < kinds.index("turn.item.done")
    assert kinds[-2:] == ["turn.completed", "idle"]
    assert len(called) == 1
    items = await api.items(await kept(api, "items", session.id))
    assert [item.type for item in items] == ["message", "function_call", "function_call_output", "message"]
    assert (items[1].status, items[1].arguments) == ("completed", {"city": called[0]})
    assert items[2].output == f'{{"city":"{called[0]}","degrees":21}}'


async def test_a_session_is_created_with_tools(api: Subject) -> None:
    called: list[dict[str, Any]] = []

    def search(arguments: dict[str, Any]) -> str:
        called.append(arguments)
        return "found"

    parameters = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    tool = {"type": "function", "name": "search", "description": "Search the web", "parameters": parameters}
    stream = await made(
        api, agent={**AGENT, "tools": [tool]}, input="search!", stream=True, tool_handlers={"search": search}
    )
    result = await result_of(api, stream)
    assert [list(each) for each in called] == [["query"]]
    assert result.output_text


async def test_a_tool_that_fails_is_told_here_and_its_reason_to_nobody_else(api: Subject) -> None:
    observed: list[Any] = []

    def broken(city: str) -> str:
        raise RuntimeError(f"secret of {city}")

    tool = helpers(api).function_tool(broken, name="weather", description="The weather")
    session = await made(api, agent={**AGENT, "tools": [tool.definition]})
    stream = api.client.beta.agents.sessions.stream(
        session.id, input="weather?", tool_handlers={"weather": tool}, on_tool_error=observed.append
    )
    assert (await result_of(api, stream)).turn.status == "completed"
    assert [(each.tool_name, each.stage, type(each.error)) for each in observed] == [
        ("weather", "execution", RuntimeError)
    ]
    items = await api.items(await kept(api, "items", session.id))
    assert (items[2].status, items[2].error) == ("failed", "Tool handler failed.")
    assert "secret" not in repr(items)


async def test_a_call_without_a_tool_waits(api: Subject) -> None:
    parameters = {"type": "object", "properties": {}}
    tool = {"type": "function", "name": "pay", "description": "Pay", "parameters": parameters}
    session = await made(api, agent={**AGENT, "tools": [tool]})
    with pytest.raises(helpers(api).AgentTurnResultError) as caught:
        await result_of(api, api.client.beta.agents.sessions.stream(session.id, input="pay"))
    assert caught.value.reason == "requires_action"
    action = caught.value.required_actions[0]
    session = await api.call("beta.agents.sessions.retrieve", session.id)
    assert (session.status, session.required_actions[0].call_id) == ("requires_action", action.call_id)
    with pytest.raises(ValueError, match="idle"):
        await events_of(api, api.client.beta.agents.sessions.stream(session.id, input="again"))
    with pytest.raises(api.errors.BadRequestError, match="Unknown pending tool call: call_none"):
        await submitted(api, session.id, tool_result("call_none", action.turn_id))
    with pytest.raises(api.errors.BadRequestError, match="when it is idle"):
        await submitted(api, session.id, {"type": "agent.session.input.message", "input": [user("more")]})
    await submitted(api, session.id, tool_result(action.call_id, action.turn_id))
    session = await api.call("beta.agents.sessions.retrieve", session.id)
    assert (session.status, session.required_actions) == ("idle", [])


async def test_a_turn_that_waits_can_be_cancelled(api: Subject) -> None:
    parameters = {"type": "object", "properties": {}}
    tool = {"type": "function", "name": "pay", "description": "Pay", "parameters": parameters}
    session = await made(api, agent={**AGENT, "tools": [tool]}, input="pay")
    assert session.status == "requires_action"
    await submitted(api, session.id, {"type": "agent.session.input.cancel"})
    turns = await api.items(await kept(api, "turns", session.id))
    assert [turn.status for turn in turns] == ["cancelled"]
    assert (await api.call("beta.agents.sessions.retrieve", session.id)).status == "idle"


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def tool_result(call_id: str, turn_id: str) -> dict[str, Any]:
    kind = "agent.session.input.tool_result"
    return {"type": kind, "call_id": call_id, "turn_id": turn_id, "success": True, "output": "paid"}


async def submitted(api: Subject, session_id: str, event: dict[str, Any], **options: Any) -> None:
    assert await api.call("beta.agents.sessions.events.create", session_id, events=[event], **options) is None


async def test_input_with_one_key_counts_once(api: Subject) -> None:
    session = await made(api)
    message = {"type": MESSAGE, "input": [user("Hello")]}
    for _ in range(2):
        await submitted(api, session.id, message, idempotency_key="one")
    await submitted(api, session.id, message, idempotency_key="two")
    assert len(await api.items(await kept(api, "turns", session.id))) == 2


def failing(request: Any) -> Any:
    yield "It begins"
    raise RateLimitError.because("Too much.")


@pytest.mark.fake(engine=failing)
async def test_a_turn_whose_model_fails_has_failed(api: Subject) -> None:
    stream = await made(api, input="Hello", stream=True)
    with pytest.raises(helpers(api).AgentTurnResultError) as caught:
        await result_of(api, stream)
    assert caught.value.reason == "failed"
    assert caught.value.turn.error.message == "Too much."
    session = await api.call("beta.agents.sessions.retrieve", caught.value.session_id)
    assert session.status == "idle"


def breaking(request: Any) -> Any:
    raise RuntimeError("broken")


@pytest.mark.fake(engine=breaking)
async def test_a_turn_whose_engine_breaks_has_failed_and_the_session_goes_on(
    api: Subject, caplog: pytest.LogCaptureFixture
) -> None:
    session = await made(api)
    for _ in range(2):
        await submitted(api, session.id, {"type": MESSAGE, "input": [user("Hello")]})
        turn = (await api.items(await kept(api, "turns", session.id)))[-1]
        assert (turn.status, turn.error.code) == ("failed", "server_error")
        assert "broken" not in turn.error.message
    assert (await api.call("beta.agents.sessions.retrieve", session.id)).status == "idle"
    assert "failed in a session" in caplog.text


def taken(step: Any) -> Generator[Any, Any, Any]:
    return (yield step)


@pytest.mark.parametrize("end", ["cancelled", "left"])
def test_a_turn_that_is_given_up_while_the_model_thinks_is_cancelled(end: str) -> None:
    fake = FakeOpenAI(lambda request: "Well, well.")
    client = fake.client()
    session = client.beta.agents.sessions.create(agent={"model": "gpt-5"}, environment={"type": "openai_hosted"})
    path, headers = f"/v1/agents/sessions/{session.id}", Headers({"authorization": "Bearer x"})

    def submit(*events: Any) -> Any:
        body = json.dumps({"events": events}).encode()
        return fake(Request("POST", f"{path}/events", "", headers, body))

    flow = submit({"type": MESSAGE, "input": [user("Hello")]})
    step = next(flow)
    if end == "left":
        flow.close()
    else:
        assert submit({"type": "agent.session.input.cancel"}).status == 204
        assert run(through(flow, taken, step), fake.world).status == 204
    (turn,) = client.beta.agents.sessions.turns.list(session.id)
    assert turn.status == "cancelled"
    assert client.beta.agents.sessions.retrieve(session.id).status == "idle"
    assert [item.type for item in client.beta.agents.sessions.items.list(session.id)] == ["message"]


async def test_sessions_that_cannot_be(api: Subject) -> None:
    with pytest.raises(api.errors.BadRequestError, match=r"'agent.model'"):
        await made(api, agent={})
    with pytest.raises(api.errors.BadRequestError, match="'input'"):
        await made(api, environment=NONE)
    with pytest.raises(api.errors.NotFoundError):
        await api.call("beta.agents.sessions.create", agent_id="agent_none", environment=NONE, input="Hi")
    with pytest.raises(api.errors.NotFoundError):
        await api.call("beta.agents.sessions.events.create", "session_none", events=[])


async def test_a_saved_agent_runs_with_changes(api: Subject) -> None:
    saved = await api.call("beta.agents.create", model="gpt-5", name="Scribe", instructions="Write.")
    session = await made(api, agent={"instructions": "Write less."}, agent_id=saved.id)
    assert (session.agent.id, session.agent.model) == (saved.id, "gpt-5")
    assert session.agent.instructions == "Write less."


async def test_a_session_goes_on_with_other_settings(api: Subject) -> None:
    session = await made(api, agent={**AGENT, "instructions": "Write."}, metadata={"a": "b"})
    changed = await api.call("beta.agents.sessions.update", session.id, agent={"model": "gpt-5-mini"})
    assert (changed.agent.id, changed.agent.model) == (session.agent.id, "gpt-5-mini")
    assert (changed.agent.instructions, changed.metadata) == ("Write.", {"a": "b"})
    assert (await api.call("beta.agents.sessions.update", session.id, metadata=None)).metadata == {}


async def test_files_get_into_environments_and_artifacts_out(api: Subject, tmp_path: Path) -> None:
    source = tmp_path / "draft.md"
    source.write_text("A draft.")
    files = api.client.beta.agents.environments.files
    prepared = await api.settled(files.prepare({"/workspace/draft.md": source, "/workspace/outputs/a.md": source}))
    assert len(prepared.uploaded_file_ids) == 2
    session = await made(api, environment={**HOSTED, "files": prepared.files})
    environment_id = session.environment.id
    staged = await api.settled(
        files.upload(environment_id, file=("report.md", b"A report."), path="/workspace/outputs/report.md")
    )
    assert (staged.file.path, staged.file.size_bytes) == ("/workspace/outputs/report.md", 9)
    listed = await api.items(await api.settled(files.list(environment_id, order="asc")))
    assert {file.path for file in listed} == {
        "/workspace/draft.md",
        "/workspace/outputs/a.md",
        "/workspace/outputs/report.md",
    }
    result = await result_of(api, api.client.beta.agents.sessions.stream(session.id, input="Go on"))
    artifacts = api.client.beta.agents.sessions.artifacts.for_result(result)
    content = await api.settled(artifacts.content("/workspace/outputs/report.md"))
    assert content.content == b"A report."
    target = tmp_path / "copy.md"
    artifact = await api.settled(artifacts.download("/workspace/outputs/a.md", to=target))
    assert (artifact.turn_id, target.read_text()) == (result.turn_id, "A draft.")
    with pytest.raises(ValueError, match=r"(?i)no artifact"):
        await api.settled(artifacts.content("/workspace/draft.md"))
    # What was published stays as it was, and is not published again.
    later = await result_of(api, api.client.beta.agents.sessions.stream(session.id, input="Go on"))
    with pytest.raises(ValueError, match=r"(?i)no artifact"):
        await api.settled(
            api.client.beta.agents.sessions.artifacts.for_result(later).content("/workspace/outputs/a.md")
        )


async def test_a_directory_is_prepared(api: Subject, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("docs/one.md", "docs/two.txt", "three.md"):
        (tmp_path / name).write_text(name)
    prepared = await api.settled(
        api.client.beta.agents.environments.files.prepare_directory(
            tmp_path, destination="/workspace/in", include=["**/*.md"]
        )
    )
    assert [file["path"] for file in prepared.files] == ["/workspace/in/docs/one.md", "/workspace/in/three.md"]
