"""Runs of assistants: every event and every object is as the schema has it, and nothing is lost when one is left."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from antiphon import FakeOpenAI
from antiphon.kernel.flow import Pause
from antiphon.schema import standalone
from antiphon.server.clock import VirtualClock
from antiphon.server.endpoint import endpoint
from antiphon.server.turns import (
    CodeInterpreter,
    ContainerCitation,
    FileCitation,
    FileSearch,
    Finish,
    Reasoning,
    Refusal,
    Text,
    ToolArguments,
    ToolCall,
    Usage,
    WebSearch,
    Whole,
)
from tests.unit.server.door import ask

FOUND = {"file_id": "file-1", "filename": "a.md", "score": 0.5, "text": "cats", "attributes": {}}
PICTURE = "data:image/png;base64,iVBORw0KGgo="

TURNS: dict[str, list[Any]] = {
    "text": ["Hello", Text(" there")],
    "nothing": [],
    "empty": [""],
    "refusal": ["Well. ", Refusal("No"), Refusal(", thanks.")],
    "search": [FileSearch(["cats"], [FOUND]), "Cats.", FileCitation("file-1", "a.md", 5), " Really."],
    "code": [CodeInterpreter("1 + 1", "2\n", [PICTURE, "https://x.test/a.png"]), "Two: ", "/mnt/data/a.csv"],
    "path": ["See /mnt/a.csv", ContainerCitation("cntr_1", "file-2", "a.csv", 4, 14)],
    "calls": ["Let me see.", ToolCall("call_1", "f"), ToolArguments("{"), ToolArguments("}"), ToolCall(None, "f")],
    "late": [ToolCall("call_1", "f"), ToolArguments("{}"), "One moment.", ToolCall("call_2", "f"), Usage(9, 50)],
    "thought": [Reasoning("Hm."), "Yes.", WebSearch("cats"), Usage(10, 20, 5)],
    "cut": ["Too lo", Finish("length")],
    "cut call": [ToolCall("call_1", "f"), ToolArguments('{"a'), Finish("length")],
    "filtered": ["Some", Finish("content_filter")],
    "whole": [
        Whole({"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}]})
    ],
}
TOOLS = [{"type": "function", "function": {"name": "f"}}, {"type": "file_search"}, {"type": "code_interpreter"}]


def begun(turn: Any) -> tuple[FakeOpenAI, str, str]:
    """A fake whose model says this, an assistant and a thread."""
    fake = FakeOpenAI(engine=lambda request: turn, clock=VirtualClock(1000))
    helper = ask(fake, "POST", "/v1/assistants", {"model": "gpt-4o", "tools": TOOLS}).json["id"]
    talk = ask(fake, "POST", "/v1/threads", {"messages": [{"role": "user", "content": "Hello"}]}).json["id"]
    return fake, helper, talk


@pytest.mark.parametrize("name", sorted(TURNS))
def test_events_and_objects_fit_the_schema(name: str) -> None:
    fake, helper, talk = begun(TURNS[name])
    address = f"/v1/threads/{talk}/runs"
    query = "include[]=step_details.tool_calls[*].file_search.results[*].content"
    said = ask(fake, "POST", address, {"assistant_id": helper, "stream": True}, query=query)
    names = [line[7:].decode() for line in said.body.split(b"\n") if line.startswith(b"event: ")]
    assert names.pop() == "done"
    events = said.events
    assert events.pop() == "[DONE]"
    schema = standalone(endpoint("beta.threads.runs.create").schema.event or {})
    for kind, data in zip(names, events, strict=True):
        jsonschema_rs.validate(schema, {"event": kind, "data": data})
    run = events[-1]
    for operation, path in (
        ("beta.threads.runs.retrieve", f"{address}/{run['id']}"),
        ("beta.threads.runs.steps.list", f"{address}/{run['id']}/steps"),
        ("beta.threads.messages.list", f"/v1/threads/{talk}/messages"),
    ):
        answer = ask(fake, "GET", path).json
        jsonschema_rs.validate(standalone(endpoint(operation).schema.response or {}), answer)
        for each in answer.get("data", ()):  # what is kept is what was told last
            told = [event for event in events if event["id"] == each["id"] and "delta" not in event]
            assert not told or _plain(told[-1]) == _plain(each) or run["status"] == "requires_action"


def _plain(doc: dict[str, Any]) -> dict[str, Any]:
    """A step without the texts that were asked for."""
    calls = doc.get("step_details", {}).get("tool_calls", ())
    for call in calls:
        for result in call.get("file_search", {}).get("results", ()):
            result.pop("content", None)
    return doc


@pytest.mark.parametrize("name", sorted(TURNS))
def test_deltas_come_to_what_is_told_at_the_end(name: str) -> None:
    fake, helper, talk = begun(TURNS[name])
    said = ask(fake, "POST", f"/v1/threads/{talk}/runs", {"assistant_id": helper, "stream": True})
    texts: dict[str, str] = {}
    for event in said.events[:-1]:
        for part in event.get("delta", {}).get("content", ()):
            told = part.get("text", {}).get("value", "") + part.get("refusal", "")
            texts[event["id"]] = texts.get(event["id"], "") + told
    messages = ask(fake, "GET", f"/v1/threads/{talk}/messages").json["data"]
    for message in messages:
        if message["role"] == "assistant":
            whole = "".join(
                part.get("text", {}).get("value", "") + part.get("refusal", "") for part in message["content"]
            )
            assert whole == texts.get(message["id"], "")


def test_calls_that_text_follows_wait_all_the_same() -> None:
    fake, helper, talk = begun(TURNS["late"])
    said = ask(fake, "POST", f"/v1/threads/{talk}/runs", {"assistant_id": helper, "stream": True})
    run = said.events[-2]
    assert run["status"] == "requires_action"
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [call["id"] for call in calls] == ["call_1", "call_2"]


def test_a_snapshot_carries_what_is_under_way() -> None:
    def slow(request: Any) -> Any:
        yield "One "
        yield Pause(30)
        yield "two."

    fake = FakeOpenAI(engine=slow, clock=VirtualClock(1000), job_seconds=20)
    helper = ask(fake, "POST", "/v1/assistants", {"model": "gpt-4o"}).json["id"]
    talk = ask(fake, "POST", "/v1/threads", {"messages": [{"role": "user", "content": "Hello"}]}).json["id"]
    address = f"/v1/threads/{talk}/runs"
    key = ask(fake, "POST", address, {"assistant_id": helper}).json["id"]
    fake.clock.advance(10)
    assert ask(fake, "GET", f"{address}/{key}").json["status"] == "in_progress"
    state = fake.snapshot()
    for _ in range(2):
        fake.clock.advance(60)
        done = ask(fake, "GET", f"{address}/{key}").json
        assert (done["status"], done["completed_at"]) == ("completed", 1035)
        assert not fake.server.store.list("threads/logs")
        fake.restore(state)


def test_the_models_other_words_are_not_lost_when_it_breaks() -> None:
    def broken(request: Any) -> Any:
        yield "One"
        yield ToolArguments("{}")

    fake = FakeOpenAI(engine=broken, clock=VirtualClock(1000))
    helper = ask(fake, "POST", "/v1/assistants", {"model": "gpt-4o"}).json["id"]
    run = ask(fake, "POST", "/v1/threads/runs", {"assistant_id": helper, "stream": True}).events[-2]
    assert (run["status"], run["last_error"]["code"]) == ("failed", "server_error")
    message = ask(fake, "GET", f"/v1/threads/{run['thread_id']}/messages").json["data"][0]
    assert (message["content"][0]["text"]["value"], message["status"]) == ("One", "incomplete")


def test_a_conjuring_server_has_runs_of_what_was_made() -> None:
    fake = FakeOpenAI(engine="echo", unknown_ids="conjure", clock=VirtualClock(1000))
    helper = ask(fake, "POST", "/v1/assistants", {"model": "gpt-4o"}).json["id"]
    asked = {"assistant_id": helper, "thread": {"messages": [{"role": "user", "content": "Hello"}]}}
    run = ask(fake, "POST", "/v1/threads/runs", asked).json
    fake.clock.advance(1)
    assert ask(fake, "GET", f"/v1/threads/{run['thread_id']}/runs/{run['id']}").json["status"] == "completed"
    assert ask(fake, "POST", f"/v1/threads/{run['thread_id']}/runs/run_other/cancel").json["status"] == "cancelled"
    assert ask(fake, "POST", "/v1/threads/t/runs", {"assistant_id": helper}).json["thread_id"] == "t"


@pytest.mark.parametrize("stream", [False, True])
def test_a_conjuring_server_takes_a_run_beside_another(stream: bool) -> None:
    # Tests against it share the names of threads: what one of them has begun is no reason to refuse another.
    fake = FakeOpenAI(engine="echo", unknown_ids="conjure", clock=VirtualClock(1000))
    helper = ask(fake, "POST", "/v1/assistants", {"model": "gpt-4o"}).json["id"]
    talk = ask(fake, "POST", "/v1/threads", {"messages": [{"role": "user", "content": "Hello"}]}).json["id"]
    first = ask(fake, "POST", f"/v1/threads/{talk}/runs", {"assistant_id": helper}).json
    second = ask(fake, "POST", f"/v1/threads/{talk}/runs", {"assistant_id": helper, "stream": stream})
    assert second.status == 200
    fake.clock.advance(1)
    assert ask(fake, "GET", f"/v1/threads/{talk}/runs/{first['id']}").json["status"] == "completed"
    assert ask(fake, "POST", f"/v1/threads/{talk}/runs", {"assistant_id": helper}).json["status"] == "queued"
