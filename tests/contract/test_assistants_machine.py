"""Runs of assistants against a small model of them, in any order that hypothesis thinks of."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import antiphon
from antiphon import FakeOpenAI
from antiphon.server.clock import VirtualClock
from antiphon.server.turns import ToolArguments, ToolCall

TAKES = 8
QUEUED = 2
LIFE = 600
OVER = ("completed", "cancelled", "expired")


def engine(request: Any) -> Any:
    """Calls a function when it is asked to, and repeats what it is told."""
    if request.user_text == "call" and not request.answers_tool:
        yield ToolCall(None, "f")
        yield ToolArguments("{}")
        return
    yield f"{request.user_text} it is"


@dataclass
class Run:
    """What the model knows of a run."""

    thread: str
    created: float
    calls: bool
    """Whether it has yet to call a function."""
    began: float
    """When it was queued last."""
    takes: float = TAKES
    queued: float = QUEUED
    stopped: float | None = None
    called: bool = False

    def status(self, now: float) -> str:
        if self.stopped is not None:
            return "cancelling" if now < self.stopped + self.queued else "cancelled"
        expires = self.created + LIFE
        if now < self.began + self.queued:
            return "queued"
        if self.began + self.takes > expires:
            return "expired" if now >= expires else "in_progress"
        if now < self.began + self.takes:
            return "in_progress"
        if self.calls:
            return "requires_action" if now < expires else "expired"
        return "completed"


class Machine(RuleBasedStateMachine):
    """What the API does, and beside it a model: the runs, and what users said in each thread."""

    official = False

    threads = Bundle("threads")
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeOpenAI(engine=engine, clock=VirtualClock(0), job_seconds=TAKES)
        self.errors: Any = openai if self.official else antiphon
        self.client: Any = self.fake.client(max_retries=0)
        if self.official:
            http = httpx2.Client(transport=self.fake.official_transport())
            self.client = openai.OpenAI(api_key="x", base_url="http://fake.test/v1", http_client=http, max_retries=0)
        self.beta: Any = self.client.beta.threads
        tools = [{"type": "function", "function": {"name": "f"}}]
        self.helper: str = self.client.beta.assistants.create(model="gpt-4o", tools=tools).id
        self.said: dict[str, int] = {}
        """What users said in each thread, by number."""
        self.known: dict[str, Run] = {}
        self.kept: Any = None

    def teardown(self) -> None:
        self.client.close()

    # The model

    @property
    def now(self) -> float:
        return self.fake.clock.now()

    def status(self, key: str) -> str:
        return self.known[key].status(self.now)

    def busy(self, thread: str) -> bool:
        return any(run.thread == thread and run.status(self.now) not in OVER for run in self.known.values())

    def refused(self, call: Any, *args: Any, **options: Any) -> None:
        with pytest.raises(self.errors.BadRequestError):
            call(*args, **options)

    # What may be done

    @rule(target=threads)
    def open(self) -> Any:
        key: str = self.beta.create(messages=[{"role": "user", "content": "Hi"}]).id
        self.said[key] = 1
        return key

    @rule(target=runs, thread=threads, text=st.sampled_from(["say", "call"]), stream=st.booleans())
    def begin(self, thread: Any, text: str, stream: bool) -> Any:
        message = [{"role": "user", "content": text}]
        asked = {"assistant_id": self.helper, "additional_messages": message, "stream": stream}
        if thread not in self.said:
            with pytest.raises(self.errors.NotFoundError):
                self.beta.runs.create(thread, **asked)
            thread = self.open()
        if self.busy(thread):
            self.refused(self.beta.runs.create, thread, **asked)
            thread = self.open()
        run = self.beta.runs.create(thread, **asked)
        self.said[thread] += 1
        told = Run(thread, self.now, text == "call", self.now)
        if stream:
            events = list(run)
            run, told.takes, told.queued = events[-1].data, 0, 0
            assert events[-1].event == f"thread.run.{told.status(self.now)}"
        self.known[run.id] = told
        return run.id

    @rule(thread=threads)
    def say(self, thread: str) -> None:
        if thread not in self.said:
            return
        if self.busy(thread):
            self.refused(self.beta.messages.create, thread, role="user", content="And?")
        else:
            self.beta.messages.create(thread, role="user", content="And?")
            self.said[thread] += 1

    @rule(key=runs)
    def answer(self, key: str) -> None:
        run = self.known.get(key)
        if run is None:
            return
        if run.status(self.now) != "requires_action":
            self.refused(self.beta.runs.submit_tool_outputs, key, thread_id=run.thread, tool_outputs=[])
            return
        self.refused(self.beta.runs.submit_tool_outputs, key, thread_id=run.thread, tool_outputs=[])
        waiting = self.beta.runs.retrieve(key, thread_id=run.thread).required_action.submit_tool_outputs.tool_calls
        outputs = [{"tool_call_id": call.id, "output": "done"} for call in waiting]
        again = self.beta.runs.submit_tool_outputs(key, thread_id=run.thread, tool_outputs=outputs)
        assert again.status == "queued"
        run.calls, run.called, run.began, run.takes, run.queued = False, True, self.now, TAKES, QUEUED

    @rule(key=runs)
    def stop(self, key: str) -> None:
        run = self.known.get(key)
        if run is None:
            return
        if run.status(self.now) in (*OVER, "cancelling"):
            self.refused(self.beta.runs.cancel, key, thread_id=run.thread)
            return
        assert self.beta.runs.cancel(key, thread_id=run.thread).status == "cancelling"
        run.stopped = self.now

    @rule(seconds=st.sampled_from([0, 1, 2, 5, 8, 593, 1000]))
    def wait(self, seconds: int) -> None:
        self.fake.clock.advance(seconds)

    @invariant()
    def runs_are_as_far_as_they_should_be(self) -> None:
        for key, run in self.known.items():
            self.look(key, run)

    def look(self, key: str, run: Run) -> None:
        status = run.status(self.now)
        got = self.beta.runs.retrieve(key, thread_id=run.thread)
        steps = list(self.beta.runs.steps.list(key, thread_id=run.thread, order="asc"))
        assert got.status == status
        assert (got.required_action is not None) == (status == "requires_action")
        assert (got.usage is not None) == (status in OVER)
        kinds = ["tool_calls"] * (run.called or status == "requires_action") + ["message_creation"]
        if status == "completed":
            assert [step.type for step in steps] == kinds
            assert {step.status for step in steps} == {"completed"}
            assert got.completed_at == int(run.began + run.takes)
            assert got.usage.total_tokens == sum(step.usage.total_tokens for step in steps)
        elif status in OVER:
            assert {step.status for step in steps} <= {"completed", status}
        elif status == "requires_action":
            assert [(step.type, step.status) for step in steps] == [("tool_calls", "in_progress")]
        assert all(step.created_at <= self.now for step in steps)

    @rule(thread=threads)
    def close(self, thread: str) -> None:
        if self.said.pop(thread, None) is not None:
            assert self.beta.delete(thread).deleted
            self.known = {key: run for key, run in self.known.items() if run.thread != thread}

    @rule()
    def keep(self) -> None:
        self.kept = (self.fake.snapshot(), copy.deepcopy((self.said, self.known)))

    @rule()
    def restore(self) -> None:
        if self.kept is not None:
            state, model = self.kept
            self.fake.restore(state)
            self.said, self.known = copy.deepcopy(model)

    @invariant()
    def threads_have_what_was_said(self) -> None:
        for thread, count in self.said.items():
            got = list(self.beta.messages.list(thread, order="asc", limit=3))
            assert sum(message.role == "user" for message in got) == count
            back = list(self.beta.messages.list(thread, limit=2))
            assert [message.id for message in back] == [message.id for message in reversed(got)]
            for key, run in self.known.items():
                if run.thread == thread and self.status(key) == "completed":
                    (told,) = (message for message in got if message.run_id == key)
                    assert (told.status, told.content[0].text.value[-5:]) == ("completed", "it is")


@pytest.mark.parametrize("official", [False, True], ids=["antiphon", "official"])
def test_runs_of_assistants(official: bool) -> None:
    machine = type("Tried", (Machine,), {"official": official})
    examples = 8 if official else 30
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None, database=None)
    )
