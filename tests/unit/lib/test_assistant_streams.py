"""Handlers of assistants' streams, beside the official ones over the same bytes."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import openai
import pytest

import antiphon
from antiphon import AssistantEventHandler, AsyncAssistantEventHandler
from antiphon.kernel.http import Headers, Request, Response
from antiphon.lib.streaming import UnknownEvent
from tests.unit.lib.twins import agree, ours, ours_async, plainly, sse, theirs

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
CALLBACKS = [name for name in vars(AssistantEventHandler) if name.startswith("on_")]
OFFICIAL = [name for name in CALLBACKS if name != "on_unknown_event"]


def run(status: str) -> dict[str, Any]:
    return {"id": "run_1", "object": "thread.run", "thread_id": "thread_1", "assistant_id": "asst_1", "status": status}


def message(content: list[Any], status: str = "in_progress", id: str = "msg_1") -> dict[str, Any]:
    return {"id": id, "object": "thread.message", "role": "assistant", "status": status, "content": content}


def said(*content: dict[str, Any], id: str = "msg_1") -> tuple[str, dict[str, Any]]:
    delta = {"id": id, "object": "thread.message.delta", "delta": {"content": list(content)}}
    return "thread.message.delta", delta


def text(value: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "type": "text", "text": {"value": value, **more}}


def image(index: int) -> dict[str, Any]:
    return {"index": index, "type": "image_file", "image_file": {"file_id": "file_1"}}


def step(details: dict[str, Any], status: str = "in_progress", id: str = "step_1") -> dict[str, Any]:
    return {"id": id, "object": "thread.run.step", "run_id": "run_1", "status": status, "step_details": details}


def stepped(*calls: dict[str, Any], id: str = "step_1") -> tuple[str, dict[str, Any]]:
    details = {"type": "tool_calls", "tool_calls": list(calls)}
    return "thread.run.step.delta", {
        "id": id,
        "object": "thread.run.step.delta",
        "delta": {"step_details": details},
    }


def code(input: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "type": "code_interpreter", "code_interpreter": {"input": input, **more}}


NOTE = {"index": 0, "type": "file_citation", "text": "[1]", "file_citation": {"file_id": "f"}}
TOLD = [
    ("thread.created", {"id": "thread_1", "object": "thread"}),
    ("thread.run.created", run("queued")),
    ("thread.run.queued", run("queued")),
    ("thread.run.in_progress", run("in_progress")),
    ("thread.run.step.created", step({"type": "message_creation", "message_creation": {"message_id": "msg_1"}})),
    ("thread.run.step.in_progress", step({"type": "message_creation", "message_creation": {"message_id": "msg_1"}})),
    ("thread.message.created", message([])),
    ("thread.message.in_progress", message([])),
    said(text("Hel", annotations=[])),
    said(text("lo")),
    said(text(" [1]", annotations=[NOTE])),
    said(image(1)),
    said(text("More", 2)),
    said(text("!", 2)),
    (
        "thread.message.completed",
        message([text("Hello [1]", annotations=[NOTE]), image(1), text("More!", 2)], "completed"),
    ),
    (
        "thread.run.step.completed",
        step({"type": "message_creation", "message_creation": {"message_id": "msg_1"}}, "completed"),
    ),
    ("thread.run.completed", run("completed")),
]
CALLED = [
    ("thread.run.created", run("queued")),
    ("thread.run.step.created", step({"type": "tool_calls", "tool_calls": []})),
    ("thread.run.step.in_progress", step({"type": "tool_calls", "tool_calls": []})),
    stepped({**code("import", outputs=[]), "id": "call_1"}),
    stepped(code(" math")),
    stepped(code("", outputs=[{"index": 0, "type": "logs", "logs": "o"}])),
    stepped(code("", outputs=[{"index": 0, "type": "logs", "logs": "k"}])),
    stepped({"index": 1, "id": "call_2", "type": "function", "function": {"name": "f", "arguments": "{"}}),
    stepped({"index": 1, "type": "function", "function": {"arguments": "}"}}),
    ("thread.run.requires_action", run("requires_action")),
]


def _logging(base: Any, log: list[Any], colour: str) -> Any:
    """A handler of one kind or the other that writes down what it is told."""

    def write(name: str, handler: Any, arguments: tuple[Any, ...]) -> None:
        state = {
            key: copy.deepcopy(plainly(getattr(handler, key)))
            for key in ("current_run", "current_message_snapshot", "current_run_step_snapshot")
        }
        event = handler.current_event
        plain = [copy.deepcopy(plainly(each)) if not isinstance(each, Exception) else each for each in arguments]
        log.append((name, plain, state, None if event is None else event.event))

    def blocking(name: str) -> Any:
        return lambda self, *arguments: write(name, self, arguments)

    def awaited(name: str) -> Any:
        async def callback(self: Any, *arguments: Any) -> None:
            write(name, self, arguments)

        return callback

    make = blocking if colour == "sync" else awaited
    return type("Handler", (base,), {name: make(name) for name in CALLBACKS})()


ASKED: dict[str, Any] = {"thread_id": "thread_1", "assistant_id": "asst_1"}


@pytest.mark.parametrize("events", [TOLD, CALLED])
async def test_callbacks_are_the_official_ones(events: Any) -> None:
    body = sse(events, named=True)
    expected: list[Any] = []
    with theirs(body).beta.threads.runs.stream(
        **ASKED, event_handler=_logging(openai.AssistantEventHandler, expected, "sync")
    ) as official:
        given = [event.event for event in official]
    log: list[Any] = []
    handler = _logging(AssistantEventHandler, log, "sync")
    with ours(body).beta.threads.runs.stream(**ASKED, event_handler=handler) as stream:
        assert stream is handler
        assert [event.event for event in stream] == given
    assert [name for name, *_ in log] == [name for name, *_ in expected]
    for mine, other in zip(log, expected, strict=True):
        if mine[0] == "on_run_step_done":
            # The official snapshot stays what it was before the step was done.
            assert mine[2].pop("current_run_step_snapshot")["status"] == "completed"
            other[2].pop("current_run_step_snapshot")
        agree(list(mine), list(other), mine[0])
    awaited: list[Any] = []
    other_handler = _logging(AsyncAssistantEventHandler, awaited, "async")
    async with ours_async(body).beta.threads.runs.stream(**ASKED, event_handler=other_handler) as stream_in_loop:
        await stream_in_loop.until_done()
    assert [(name, arguments) for name, arguments, *_ in awaited] == [(name, arguments) for name, arguments, *_ in log]


def test_the_end_of_it_all() -> None:
    with ours(sse(TOLD, named=True)).beta.threads.create_and_run_stream(assistant_id="a") as stream:
        assert list(stream.text_deltas) == ["Hel", "lo", " [1]", "More", "!"]
        assert stream.get_final_run().status == "completed"
        assert [each.status for each in stream.get_final_messages()] == ["completed"]
        assert [each.status for each in stream.get_final_run_steps()] == ["completed"]
    assert stream.current_event is None


async def test_the_end_of_it_all_awaited() -> None:
    client = ours_async(sse(TOLD, named=True))
    async with client.beta.threads.create_and_run_stream(assistant_id="a") as stream:
        assert [each async for each in stream.text_deltas] == ["Hel", "lo", " [1]", "More", "!"]
        assert (await stream.get_final_run()).status == "completed"
        assert len(await stream.get_final_messages()) == 1
        assert len(await stream.get_final_run_steps()) == 1


async def test_where_nothing_came_there_is_nothing() -> None:
    for wanted in ("get_final_run", "get_final_messages", "get_final_run_steps"):
        with ours(sse([])).beta.threads.runs.stream(**ASKED) as stream, pytest.raises(RuntimeError, match="told of no"):
            getattr(stream, wanted)()
        async with ours_async(sse([])).beta.threads.runs.stream(**ASKED) as awaited:
            with pytest.raises(RuntimeError, match="told of no"):
                await getattr(awaited, wanted)()


def test_a_step_after_another_begins_anew() -> None:
    again = [
        *CALLED[:-1],
        ("thread.run.step.completed", step({"type": "tool_calls", "tool_calls": []}, "completed")),
        ("thread.run.step.created", step({"type": "tool_calls", "tool_calls": []}, id="step_2")),
        stepped({**code("x"), "id": "call_3"}, id="step_2"),
        ("thread.run.completed", run("completed")),
    ]
    log: list[Any] = []
    handler = _logging(AssistantEventHandler, log, "sync")
    with ours(sse(again, named=True)).beta.threads.runs.stream(**ASKED, event_handler=handler) as stream:
        stream.until_done()
    told = [
        (name, arguments[0]["id"])
        for name, arguments, *_ in log
        if name in ("on_tool_call_created", "on_tool_call_done")
    ]
    assert told == [(f"on_tool_call_{what}", f"call_{number}") for number in (1, 2, 3) for what in ("created", "done")]


@dataclasses.dataclass
class Progress:
    percent: int


class Curious(AssistantEventHandler):
    event_types = {"thread.progress": Progress}

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[UnknownEvent] = []

    def on_unknown_event(self, event: UnknownEvent) -> None:
        self.seen.append(event)


class CuriousInLoop(AsyncAssistantEventHandler):
    event_types = {"thread.progress": Progress}

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[UnknownEvent] = []

    async def on_unknown_event(self, event: UnknownEvent) -> None:
        self.seen.append(event)


async def test_unknown_events_are_handed_over() -> None:
    events = [
        ("thread.run.created", run("queued")),
        ("thread.progress", {"percent": 50}),
        ("thread.brand.new", {"a": [1]}),
        ("brand.new", {"a": 1}),
        ("done", "[DONE]"),
    ]
    body = sse(events[:-1], named=True)
    with ours(body).beta.threads.runs.stream(**ASKED, event_handler=Curious()) as stream:
        given = list(stream)
    expected = [("thread.progress", Progress(50)), ("thread.brand.new", {"a": [1]}), ("brand.new", {"a": 1})]
    assert [(event.event, event.data) for event in stream.seen] == expected
    assert [event.event for event in given] == [name for name, _ in events[:-1]]
    async with ours_async(body).beta.threads.runs.stream(**ASKED, event_handler=CuriousInLoop()) as awaited:
        await awaited.until_done()
    assert [(event.event, event.data) for event in awaited.seen] == expected


def test_a_handler_serves_one_stream() -> None:
    handler = AssistantEventHandler()
    with pytest.raises(RuntimeError, match="not been started"):
        list(handler)
    handler = AssistantEventHandler()
    client = ours(sse(TOLD, named=True))
    with client.beta.threads.runs.stream(**ASKED, event_handler=handler):
        pass
    with (
        pytest.raises(RuntimeError, match="one stream"),
        client.beta.threads.runs.stream(**ASKED, event_handler=handler),
    ):
        pass


class Told(AssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.log: list[Any] = []

    def on_exception(self, exception: Exception) -> None:
        self.log.append(exception)

    def on_timeout(self) -> None:
        self.log.append("timeout")

    def on_end(self) -> None:
        self.log.append("end")


class ToldInLoop(AsyncAssistantEventHandler):
    def __init__(self) -> None:
        super().__init__()
        self.log: list[Any] = []

    async def on_exception(self, exception: Exception) -> None:
        self.log.append(exception)

    async def on_timeout(self) -> None:
        self.log.append("timeout")

    async def on_end(self) -> None:
        self.log.append("end")


def _breaking(error: Exception) -> Any:
    def pieces() -> Any:
        yield sse(TOLD[:2], named=True, done=False)
        raise error

    def handler(request: Request) -> Response:
        return Response(200, Headers({"content-type": "text/event-stream"}), pieces(), request)

    return handler


@pytest.mark.parametrize("timeout", [True, False])
async def test_a_stream_that_breaks_is_told_of(timeout: bool) -> None:
    error = antiphon.APITimeoutError() if timeout else antiphon.APIConnectionError()
    before = ["timeout"] if timeout else []
    client = antiphon.OpenAI(api_key="k", base_url="http://t/v1", transport=_breaking(error))
    with client.beta.threads.runs.stream(**ASKED, event_handler=Told()) as stream:
        with pytest.raises(type(error)):
            stream.until_done()
    assert [*stream.log[:-2], *map(type, stream.log[-2:-1]), stream.log[-1]] == [*before, type(error), "end"]
    in_loop = antiphon.AsyncOpenAI(api_key="k", base_url="http://t/v1", transport=_breaking(error))
    async with in_loop.beta.threads.runs.stream(**ASKED, event_handler=ToldInLoop()) as awaited:
        with pytest.raises(type(error)):
            await awaited.until_done()
    assert awaited.log[-1] == "end"
    assert ("timeout" in awaited.log) == timeout


def test_an_error_in_a_callback_is_raised() -> None:
    class Failing(Told):
        def on_text_delta(self, delta: Any, snapshot: Any) -> None:
            raise KeyError("mine")

    with ours(sse(TOLD, named=True)).beta.threads.runs.stream(**ASKED, event_handler=Failing()) as stream:
        with pytest.raises(KeyError):
            stream.until_done()
    assert [type(each) for each in stream.log] == [KeyError, str]


def test_requests_are_the_official_ones() -> None:
    sent: list[Any] = []
    body = sse(TOLD, named=True)
    outputs: list[Any] = [{"tool_call_id": "call_1", "output": "1"}]
    for client in (ours(body, sent), theirs(body, sent)):
        threads: Any = client.beta.threads
        for manager in (
            threads.runs.stream(**ASKED, include=["step_details.tool_calls[*].file_search.results[*].content"]),
            threads.runs.create_and_stream(**ASKED, instructions="x"),
            threads.runs.submit_tool_outputs_stream(tool_outputs=outputs, thread_id="t", run_id="r"),
            threads.create_and_run_stream(assistant_id="a", thread={"messages": []}),
        ):
            with manager as stream:
                stream.until_done()
    for mine, other in zip(sent[:4], sent[4:], strict=True):
        assert json.loads(mine.body) == json.loads(other.content)
        assert mine.path == other.url.path
        assert mine.query == other.url.query.decode()
        for name in ("openai-beta", "x-stainless-stream-helper", "x-stainless-custom-event-handler"):
            assert mine.headers[name] == other.headers[name]


def test_an_empty_id_is_refused() -> None:
    for missing in ({"thread_id": "", "run_id": "r"}, {"thread_id": "t", "run_id": ""}):
        with pytest.raises(ValueError, match="part of the address"):
            ours(b"").beta.threads.runs.submit_tool_outputs_stream(tool_outputs=[], **missing)


def test_what_hosts_leave_out_is_made_up_for() -> None:
    events = [
        said(text("a"), id="msg_9"),
        said(text("b"), id="msg_9"),
        stepped(code("x"), id="step_9"),
        ("thread.run.step.in_progress", step({"type": "tool_calls", "tool_calls": []}, id="step_8")),
        ("thread.message.incomplete", {"id": "msg_9", "content": None}),
    ]
    with ours(sse(events[:2], named=True)).beta.threads.runs.stream(**ASKED) as stream:
        found: Any = stream.get_final_messages()[0].content[0]
    assert found.text.value == "ab"
    with ours(sse(events, named=True)).beta.threads.runs.stream(**ASKED) as stream:
        assert [each.id for each in stream.get_final_run_steps()] == ["step_9", "step_8"]


def test_that_they_are_deprecated_is_told_of_the_caller() -> None:
    with pytest.warns(DeprecationWarning, match=r"runs\.stream is deprecated") as told:
        ours(b"").beta.threads.runs.stream(**ASKED)
    assert told[0].filename == __file__
