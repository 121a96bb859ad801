"""Around agents: what neither the official suite nor the contract looks at. Sessions are the fake's."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.result import Err, Ok
from antiphon.lib.beta.agents import (
    AgentFilePreparationError,
    AgentTurnResultError,
    FunctionTool,
    agent_text_format,
    function_tool,
    pydantic_function_tool,
)
from antiphon.lib.beta.agents import _arguments as arguments_module
from antiphon.lib.beta.agents._files import Selection, checked_destination, checked_destinations, directory_files
from antiphon.lib.streaming.agents._streams import _Recent
from antiphon.server.clock import VirtualClock
from antiphon.types.beta.agent_session_idle_event import AgentSessionIdleEvent

AGENT: Any = {"model": "gpt-5"}
NONE: Any = {"type": "none"}
HOSTED: Any = {"type": "openai_hosted"}


@pytest.fixture
def client() -> Iterator[OpenAI]:
    with OpenAI(transport=FakeOpenAI(), api_key="k") as made:
        yield made


# Answers of any kind of type


@dataclass
class Plain:
    summary: str


class Typed(TypedDict):
    summary: str


class Struct(msgspec.Struct):
    summary: str


@pytest.mark.parametrize("kind", [Plain, Typed, Struct])
def test_answers_are_of_any_type_that_structured_output_takes(client: OpenAI, kind: type[Any]) -> None:
    with client.beta.agents.sessions.create(
        agent=AGENT, environment=NONE, input="Hi", stream=True, output_type=kind
    ) as stream:
        parsed: Any = stream.get_final_result().output_parsed
    text = parsed["summary"] if isinstance(parsed, dict) else parsed.summary
    assert isinstance(text, str)
    assert agent_text_format(kind)["schema"]["required"] == ["summary"]


def test_a_function_is_no_type_of_an_answer(client: OpenAI) -> None:
    def weather(city: str) -> str:
        return city

    with pytest.raises(TypeError, match="output_type is a model of pydantic"):
        client.beta.agents.sessions.stream("session", input="Hi", output_type=weather)  # type: ignore[type-var]


def test_settings_of_the_agent_are_not_changed(client: OpenAI) -> None:
    agent: Any = {"model": "gpt-5", "text": {"verbosity": "low"}}
    client.beta.agents.sessions.create(agent=agent, environment=HOSTED, output_type=Plain)
    assert agent == {"model": "gpt-5", "text": {"verbosity": "low"}}


def test_results_instead_of_exceptions(client: OpenAI) -> None:
    match client.beta.agents.sessions.with_result.create(agent=AGENT, environment=NONE, input="Hi", stream=True):
        case Ok(stream):
            assert stream.get_final_result().output_text
        case Err():
            pytest.fail("a session was to be made")
    failed = client.beta.agents.sessions.with_result.create(agent_id="agent_none", environment=NONE, input="Hi")
    assert isinstance(failed, Err)
    assert failed.failure.status == 404


# Tools


def test_tools_without_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)

    def reserve(sku: str, quantity: int, product: str = "notebook") -> dict[str, object]:
        return {"sku": sku, "quantity": quantity, "product": product}

    tool = function_tool(reserve)
    assert json.loads(str(tool({"sku": "a", "quantity": 2}))) == {"sku": "a", "quantity": 2, "product": "notebook"}
    with pytest.raises(ValueError, match="quantity"):
        tool({"sku": "a", "quantity": "many"})


def test_types_that_pydantic_does_not_know_are_read_all_the_same() -> None:
    def lookup(where: Struct) -> str:
        return where.summary

    assert function_tool(lookup)({"where": {"summary": "here"}}) == "here"


@pytest.mark.parametrize("kind", [Plain, Typed, Struct])
def test_a_tool_takes_any_model(kind: Any) -> None:
    def summary(values: Any) -> str:
        text: str = values["summary"] if isinstance(values, dict) else values.summary
        return text

    tool = pydantic_function_tool(kind, handler=summary)
    assert tool({"summary": "said"}) == "said"
    assert tool.definition["parameters"]["type"] == "object"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (Plain("a"), '{"summary":"a"}'),
        (Struct("a"), '{"summary":"a"}'),
        ([Plain("a"), Struct("b")], '[{"summary":"a"},{"summary":"b"}]'),
        (
            AgentSessionIdleEvent.of({"type": "agent.session.idle", "event_id": "e"}),
            '{"type":"agent.session.idle","event_id":"e"}',
        ),
        (None, None),
        ("as it is", "as it is"),
        (1.5, "1.5"),
    ],
)
def test_outputs_of_any_kind(output: Any, said: str | None) -> None:
    assert function_tool(lambda: output, name="tool")({}) == said


def test_outputs_that_are_no_json_say_so() -> None:
    with pytest.raises(TypeError, match="object is no JSON"):
        function_tool(lambda: {"a": object()}, name="tool")({})


def test_defaults_are_the_functions_own() -> None:
    def collect(found: list[str] = []) -> str:  # noqa: B006 (that is what is tested)
        found.append("x")
        return ",".join(found)

    tool = function_tool(collect)
    assert [tool({}), tool({}), tool({"found": ["a"]})] == ["x", "x", "a,x"]


def test_a_tool_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        FunctionTool(Plain, lambda values: values.summary, name="", description="")


def test_parameters_that_cannot_be_told_to_a_model() -> None:
    def hidden(_secret: str) -> str:
        return _secret

    with pytest.raises(TypeError, match="'_secret'"):
        arguments_module.of_function(hidden)


# Streams of turns


def test_a_turn_is_entered_with_with(client: OpenAI) -> None:
    session = client.beta.agents.sessions.create(agent=AGENT, environment=HOSTED)
    stream = client.beta.agents.sessions.stream(session.id, input="Hi")
    with pytest.raises(RuntimeError, match="enter the stream"):
        next(stream)
    with pytest.raises(ValueError, match="`input` is a text or messages"):
        client.beta.agents.sessions.stream(session.id, input="")
    with pytest.raises(ValueError, match="`session_id`"):
        client.beta.agents.sessions.stream("", input="Hi")


def test_a_tool_may_close_the_stream_it_runs_in(client: OpenAI) -> None:
    open_streams: list[Any] = []

    @function_tool(name="weather", description="The weather")
    def weather(city: str) -> str:
        open_streams[0].close()
        return city

    agent: Any = {**AGENT, "tools": [weather.definition]}
    with client.beta.agents.sessions.create(
        agent=agent, environment=HOSTED, input="weather", stream=True, tool_handlers={"weather": weather}
    ) as created:
        open_streams.append(created)
        assert [event.type for event in created][-1] != "agent.session.idle"
    session = client.beta.agents.sessions.create(agent=agent, environment=HOSTED)
    with client.beta.agents.sessions.stream(session.id, input="weather", tool_handlers={"weather": weather}) as stream:
        open_streams[0] = stream
        with pytest.raises(RuntimeError, match="ended before its turn"):
            stream.until_done()


def test_a_result_that_was_closed_away_says_so(client: OpenAI) -> None:
    session = client.beta.agents.sessions.create(agent=AGENT, environment=HOSTED)
    with client.beta.agents.sessions.stream(session.id, input="Hi") as stream:
        stream.close()
        with pytest.raises(AgentTurnResultError, match="incomplete") as caught:
            stream.get_final_result()
    assert (caught.value.reason, caught.value.session_id) == ("incomplete", session.id)


@given(st.lists(st.integers(0, 3000), max_size=4000))
def test_an_event_counts_once_while_it_is_remembered(numbers: list[int]) -> None:
    recent, last = _Recent(), {}
    for at, number in enumerate(numbers):
        event = AgentSessionIdleEvent.of({"type": "agent.session.in_progress", "event_id": str(number)})
        new = recent.is_new(event)
        seen_before = number in last and at - last[number] <= 1024
        if seen_before:
            assert not new
        if number not in last:
            assert new
        if new:
            last[number] = at
        assert len(recent.event_ids) == len(recent.recent_events) <= 1024


# Slow engines


def slow(request: Any) -> Generator[Any, None, None]:
    for word in ("one ", "two ", "three"):
        yield Pause(2.0)
        yield word


def test_the_pauses_of_an_engine_are_between_the_events() -> None:
    clock = VirtualClock()
    with OpenAI(transport=FakeOpenAI(slow, clock=clock), api_key="k") as client:
        began = clock.now()
        with client.beta.agents.sessions.create(agent=AGENT, environment=NONE, input="Hi", stream=True) as stream:
            assert clock.now() == began
            at = [clock.now() - began for event in stream if event.type.endswith("output_text.delta")]
        assert at == [2.0, 4.0, 6.0]


def test_nobody_waits_for_ever_for_an_idle_session() -> None:
    clock = VirtualClock()
    with OpenAI(transport=FakeOpenAI(clock=clock), api_key="k") as client:
        session = client.beta.agents.sessions.create(agent=AGENT, environment=HOSTED)
        with client.beta.agents.sessions.events.stream(session.id) as stream:
            assert [event.type for event in stream] == ["agent.session.idle"]
        assert 29 < clock.now() - 1_700_000_000 < 31


def test_a_session_is_remembered_in_a_snapshot() -> None:
    fake = FakeOpenAI()
    with OpenAI(transport=fake, api_key="k") as client:
        sessions = client.beta.agents.sessions
        session = sessions.create(agent=AGENT, environment=HOSTED, input="Hi")
        state = fake.snapshot()
        sessions.delete(session.id)
        fake.restore(state)
        assert len(list(sessions.items.list(session.id))) == 2


# Files


@pytest.mark.parametrize(
    "path",
    ["/tmp/a", "workspace/a", "/workspace", "/workspace/", "/workspace/a//b", "/workspace/../a", "/workspace/.codex/a"],
)
def test_paths_that_no_file_may_have(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        checked_destination(path)


def test_a_file_has_nothing_below_it() -> None:
    with pytest.raises(ValueError, match="'/workspace/a' cannot be a file and have '/workspace/a/b/c' below it"):
        checked_destinations(["/workspace/a/b/c", "/workspace/a"])


def test_a_file_that_was_replaced_after_it_was_selected_is_not_sent(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.txt"
    chosen.write_text("abc")
    files = directory_files(tmp_path, "/workspace/in", ["*.txt"])
    chosen.rename(tmp_path / "original")
    chosen.write_text("xyz")
    selection = Selection()
    with pytest.raises(ValueError, match="changed after directory selection"):
        selection.open(list(files.values()))


@pytest.mark.parametrize("include", [[], [""], ["/etc/*"], ["../*"]])
def test_patterns_stay_in_the_directory(tmp_path: Path, include: Any) -> None:
    with pytest.raises(ValueError, match="select"):
        directory_files(tmp_path, "/workspace/in", include)


def test_files_are_closed_also_while_they_are_opened(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_text("a")
    selection = Selection()
    first = selection.open([source])[0]
    selection.close()
    assert first.handle.closed
    with pytest.raises(ValueError, match="not wanted"):
        selection.open([source])


def test_a_file_that_grows_is_not_sent(client: OpenAI, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("a")
    second.write_text("b")

    def growing(send: Callable[..., Any]) -> Callable[..., Any]:
        def sent(request: Any, timeout: Any, stream: bool) -> Any:
            answer = send(request, timeout, stream)
            second.write_text("b and more")
            return answer

        return sent

    client._world.send = growing(client._world.send)
    with pytest.raises(AgentFilePreparationError, match="1 were, and are yours to delete") as caught:
        client.beta.agents.environments.files.prepare({"/workspace/a": first, "/workspace/b": second})
    assert len(caught.value.prepared.uploaded_file_ids) == 1
    assert isinstance(caught.value.__cause__, ValueError)


async def test_cancelled_uploads_are_told_and_files_closed(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_text("a")
    sent: list[Any] = []
    stalled = asyncio.Event()

    class Stalling:
        async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
            sent.append(request)
            if len(sent) == 2:
                stalled.set()
                await asyncio.Event().wait()
            return Response(200, Headers.of([("content-type", "application/json")]), b'{"id":"file-1"}', request)

        async def aclose(self) -> None: ...

    async with AsyncOpenAI(transport=Stalling(), api_key="k") as client:
        task = asyncio.ensure_future(
            client.beta.agents.environments.files.prepare({"/workspace/a": source, "/workspace/b": source})
        )
        await stalled.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
    assert vars(caught.value)["prepared"].uploaded_file_ids == ["file-1"]


def test_large_files_are_sent_from_disk(client: OpenAI, tmp_path: Path) -> None:
    import tracemalloc

    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(64 * 1024 * 1024)

    class Counting:
        def send(self, request: Request, timeout: Any, stream: bool) -> Response:
            body: Any = request.body
            total = sum(len(piece) for piece in body.pieces())
            return Response(
                200,
                Headers.of([("content-type", "application/json")]),
                json.dumps({"id": str(total)}).encode(),
                request,
            )

        def close(self) -> None: ...

    with OpenAI(transport=Counting(), api_key="k") as counting:
        tracemalloc.start()
        try:
            prepared = counting.beta.agents.environments.files.prepare({"/workspace/large": source})
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert int(prepared.uploaded_file_ids[0]) > 64 * 1024 * 1024
    assert most < 16 * 1024 * 1024


def test_a_pattern_that_selects_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file in .* matches \*\.md, \*\.txt"):
        directory_files(tmp_path, "/workspace/in", ["*.md", "*.txt"])


# Whatever hosts send

KINDS = [
    "agent.session.created",
    "agent.session.idle",
    "agent.session.failed",
    "agent.session.requires_action",
    "agent.session.turn.created",
    "agent.session.turn.completed",
    "agent.session.turn.item.added",
    "agent.session.turn.item.done",
    "agent.session.of.tomorrow",
]
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["id", "type", "status", "content", "text", "turn_id", "name", "call_id", "x"]),
            inner | st.sampled_from(["message", "completed", "function_call", "turn_1", "tool"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)
SOME: Any = JSON | st.just({"id": "turn_1", "status": "completed"}) | st.just("turn_1")
FIELDS: dict[str, Any] = dict.fromkeys(
    ("event_id", "session", "session_id", "turn", "turn_id", "item", "output_index"), SOME
)
TYPES: Any = st.sampled_from(KINDS) | JSON
EVENTS: Any = st.lists(st.fixed_dictionaries({"type": TYPES}, optional=FIELDS), max_size=8)


@given(EVENTS)
@pytest.mark.filterwarnings("ignore:the agent's message")
def test_no_event_breaks_a_stream(sent: list[dict[str, Any]]) -> None:
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in sent)

    class Host:
        def send(self, request: Request, timeout: Any, stream: bool) -> Response:
            if request.method == "POST" and request.path.endswith("/sessions"):
                return Response(200, Headers.of([("content-type", "text/event-stream")]), body, request)
            return Response(204, Headers.of([]), b"", request)

        def close(self) -> None: ...

    with OpenAI(transport=Host(), api_key="k") as client:
        options: Any = {"agent": AGENT, "environment": NONE, "input": "Hi", "tool_handlers": {"tool": str}}
        events: Any = client.beta.agents.sessions.create(stream=True, **options)
        events.with_result_collection()
        assert len(list(events)) == len(sent)
        reason = None
        try:
            events.get_final_result()
        except AgentTurnResultError as error:
            reason = error.reason
        assert reason in (None, "failed", "requires_action", "incomplete")


def test_a_session_is_followed_from_another_thread() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with FakeOpenAI().start(port=0) as running, OpenAI(base_url=running.base_url, api_key="k") as client:
        sessions = client.beta.agents.sessions
        session = sessions.create(agent=AGENT, environment=HOSTED)
        followed = sessions.events.stream(session.id)
        assert next(followed).type == "agent.session.idle"

        def rest() -> list[str]:
            kinds: list[str] = []
            for event in followed:
                kinds.append(event.type)
                if event.type == "agent.session.idle":
                    break
            return kinds

        with ThreadPoolExecutor(1) as other:
            kinds = other.submit(rest)
            message: Any = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
            sessions.events.create(session.id, events=[{"type": "agent.session.input.message", "input": [message]}])
            assert kinds.result(timeout=20)[-2:] == ["agent.session.turn.completed", "agent.session.idle"]
        followed.close()


# Further voices


def test_a_raw_answer_is_the_same_stream(client: OpenAI) -> None:
    raw = client.beta.agents.sessions.with_raw_response.create(
        agent=AGENT, environment=NONE, input="Hi", stream=True, output_type=Plain
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    parsed = raw.parse().get_final_result().output_parsed
    assert isinstance(parsed, Plain)


def test_helpers_of_files_in_further_voices(client: OpenAI) -> None:
    files = client.beta.agents.environments.files
    session = client.beta.agents.sessions.create(agent=AGENT, environment=HOSTED)
    key = getattr(session.environment, "id", "")
    raw = files.with_raw_response.upload(key, file=b"a", path="/workspace/a")
    assert json.loads(raw.text)["path"] == raw.parse().file.path == "/workspace/a"
    match files.with_result.upload("env_none", file=b"a", path="/workspace/a"):
        case Err(failure=failure):
            assert "yours to delete" in failure.message
        case Ok():
            pytest.fail("there is no such environment")
