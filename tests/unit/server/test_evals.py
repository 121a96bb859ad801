"""Runs of evals by a clock that stands still: a small model of them, in any order that hypothesis thinks of."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import antiphon
from antiphon import FakeOpenAI
from antiphon.kernel.flow import Pause
from antiphon.server.clock import VirtualClock
from antiphon.server.evals.checks import check_config

TAKES = 80
QUEUED = 8
CONFIG: Any = {"type": "custom", "item_schema": {"type": "object"}, "include_sample_schema": True}
CRITERIA: Any = [
    {
        "type": "string_check",
        "name": name,
        "operation": operation,
        "input": "{{sample.output_text}}",
        "reference": "odd",
    }
    for name, operation in (("odd", "eq"), ("no error", "like"))
]


def source(count: int) -> Any:
    """Items whose numbers are said to be odd, even, or nothing at all."""
    said = ("even", "odd", "")
    content: list[Any] = [{"item": {"n": n}, "sample": {"output_text": said[n % 3]}} for n in range(count)]
    return {"type": "jsonl", "source": {"type": "file_content", "content": content}}


@dataclass
class Run:
    """What the model knows of a run."""

    of: str
    created: float
    items: int
    stopped: float | None = None

    def done(self, now: float) -> int:
        """How many of its items were worked off."""
        now = now if self.stopped is None else min(now, self.stopped)
        size = ceil(self.items / 8)
        every = (TAKES - QUEUED) / ceil(self.items / size) if size else 1
        return min(self.items, max(0, int((now - self.created - QUEUED) // every)) * size)

    def status(self, now: float) -> str:
        if self.stopped is not None:
            return "canceled"
        if now < self.created + QUEUED:
            return "queued"
        if not self.items:
            return "failed"
        return "completed" if self.done(now) == self.items else "in_progress"


class Machine(RuleBasedStateMachine):
    """What the API does, and beside it the model."""

    official = False
    evals = Bundle("evals")
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeOpenAI(clock=VirtualClock(0), job_seconds=TAKES)
        self.errors: Any = openai if self.official else antiphon
        self.client: Any = self.fake.client(max_retries=0)
        if self.official:
            http = httpx2.Client(transport=self.fake.official_transport())
            self.client = openai.OpenAI(api_key="x", base_url="http://fake.test/v1", http_client=http, max_retries=0)
        self.api: Any = self.client.evals
        self.there: set[str] = set()
        self.known: dict[str, Run] = {}
        self.kept: Any = None

    def teardown(self) -> None:
        self.client.close()

    @property
    def now(self) -> float:
        return self.fake.clock.now()

    @rule(target=evals)
    def open(self) -> Any:
        key: str = self.api.create(data_source_config=CONFIG, testing_criteria=CRITERIA).id
        self.there.add(key)
        return key

    @rule(target=runs, of=evals, count=st.sampled_from([0, 1, 2, 3, 6, 8, 12, 24]))
    def begin(self, of: Any, count: int) -> Any:
        if of not in self.there:
            with pytest.raises(self.errors.NotFoundError):
                self.api.runs.create(of, data_source=source(count))
            of = self.open()
        run = self.api.runs.create(of, data_source=source(count))
        self.known[run.id] = Run(of, self.now, count)
        return run.id

    @rule(key=runs)
    def stop(self, key: str) -> None:
        run = self.known.get(key)
        if run is None:
            return
        if run.status(self.now) in ("queued", "in_progress"):
            assert self.api.runs.cancel(key, eval_id=run.of).status == "canceled"
            run.stopped = self.now
        else:
            with pytest.raises(self.errors.BadRequestError):
                self.api.runs.cancel(key, eval_id=run.of)

    @rule(key=runs)
    def drop(self, key: str) -> None:
        run = self.known.pop(key, None)
        if run is not None:
            assert self.api.runs.delete(key, eval_id=run.of).deleted
            with pytest.raises(self.errors.NotFoundError):
                self.api.runs.output_items.list(key, eval_id=run.of)

    @rule(of=evals)
    def close(self, of: str) -> None:
        if of in self.there:
            assert self.api.delete(of).deleted
            self.there.discard(of)
            self.known = {key: run for key, run in self.known.items() if run.of != of}

    @rule(seconds=st.sampled_from([0, 1, 3, 8, 9, 24, 80]))
    def wait(self, seconds: int) -> None:
        self.fake.clock.advance(seconds)

    @rule()
    def keep(self) -> None:
        self.kept = (self.fake.snapshot(), copy.deepcopy((self.there, self.known)))

    @rule()
    def restore(self) -> None:
        if self.kept is not None:
            state, model = self.kept
            self.fake.restore(state)
            self.there, self.known = copy.deepcopy(model)

    @invariant()
    def runs_are_as_far_as_they_should_be(self) -> None:
        for key, run in self.known.items():
            got = self.api.runs.retrieve(key, eval_id=run.of)
            assert got.status == run.status(self.now)
            assert (got.error is None) == (got.status != "failed")
            items = list(self.api.runs.output_items.list(key, eval_id=run.of, limit=7))
            assert [item.datasource_item["n"] for item in items] == [*range(run.done(self.now))]
            counts = got.result_counts
            assert (counts.total, counts.errored) == (len(items), 0)
            assert counts.passed == sum(item.status == "pass" for item in items) == len(items[1::3])
            assert counts.failed == len(items) - counts.passed
            for criterion in got.per_testing_criteria_results:
                assert (criterion.passed, criterion.failed) == (counts.passed, counts.failed)
            assert all(run.created <= item.created_at <= self.now for item in items)

    @invariant()
    def evals_have_their_runs(self) -> None:
        assert {each.id for each in self.api.list()} == self.there
        for of in self.there:
            known = {key: run.status(self.now) for key, run in self.known.items() if run.of == of}
            assert [each.id for each in self.api.runs.list(of)] == [*known]
            for status in ("queued", "completed", "canceled", "failed"):
                listed = [each.id for each in self.api.runs.list(of, status=status)]
                assert listed == [key for key, found in known.items() if found == status]

    @invariant()
    def nothing_is_left_of_what_is_over(self) -> None:
        going = {key for key, run in self.known.items() if run.status(self.now) in ("queued", "in_progress")}
        store = self.fake.server.store
        assert {each["subject"] for each in store.list("jobs")} == going
        assert {each["id"] for each in store.list("evals/rows")} <= going


@pytest.mark.parametrize("official", [False, True], ids=["antiphon", "official"])
def test_runs_of_evals(official: bool) -> None:
    machine = type("Tried", (Machine,), {"official": official})
    examples = 4 if official else 25
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None, database=None)
    )


@pytest.mark.parametrize("count", [1, 6, 12, 24, 100])
def test_a_run_takes_its_time(count: int) -> None:
    fake = FakeOpenAI(clock=VirtualClock(0), job_seconds=TAKES)
    client = fake.client(max_retries=0)
    of = client.evals.create(data_source_config=CONFIG, testing_criteria=CRITERIA)
    run = client.evals.runs.create(of.id, data_source=source(count))
    model = Run(of.id, 0, count)
    for second in range(TAKES + 1):
        got = client.evals.runs.retrieve(run.id, eval_id=of.id)
        assert (got.status, got.result_counts.total) == (model.status(second), model.done(second)), second
        fake.clock.advance(1)
    assert client.evals.runs.retrieve(run.id, eval_id=of.id).status == "completed"


def worked_off(seed: int, **options: Any) -> Any:
    fake = FakeOpenAI(seed=seed, clock=VirtualClock(0), job_seconds=TAKES, **options)
    client = fake.client(max_retries=0)
    near: Any = {
        "type": "score_model",
        "name": "s",
        "model": "gpt-5",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }
    of = client.evals.create(data_source_config=CONFIG, testing_criteria=[near])
    asks: Any = {"type": "template", "template": [{"role": "user", "content": "Number {{item.n}}"}]}
    sampled: Any = {**source(5), "type": "completions", "model": "gpt-4o", "input_messages": asks}
    run = client.evals.runs.create(of.id, data_source=sampled)
    fake.clock.advance(TAKES)
    run = client.evals.runs.retrieve(run.id, eval_id=of.id)
    return run, list(client.evals.runs.output_items.list(run.id, eval_id=of.id))


def test_the_same_seed_finds_the_same() -> None:
    run, items = worked_off(1)
    same, those = worked_off(1)
    assert run.status == "completed"
    assert len(items) == 5
    assert (run.to_dict(), [item.to_dict() for item in items]) == (same.to_dict(), [item.to_dict() for item in those])
    other, _ = worked_off(2)
    assert other.id != run.id


def test_a_broken_engine_is_an_error_of_its_items() -> None:
    def broken(request: Any) -> Any:
        raise ZeroDivisionError

    run, items = worked_off(0, engines={"gpt-4o": broken})
    assert (run.status, run.result_counts.errored) == ("completed", 5)
    assert {item.status for item in items} == {"error"}
    assert all(item.sample.error.message for item in items)


def test_rules_answer_and_others_are_served_meanwhile() -> None:
    """A run of a slow model is cancelled while it is asked: what it says then counts for nothing."""
    asked: list[Any] = []

    def slow(request: Any) -> Iterator[Any]:
        asked.append(request.user_text)
        if len(asked) == 2:
            client.evals.runs.cancel(run.id, eval_id=of.id)
        yield Pause(1)
        yield "odd"

    fake = FakeOpenAI(engines={"slow": slow}, clock=VirtualClock(0), job_seconds=TAKES)
    client = fake.client(max_retries=0)
    of = client.evals.create(data_source_config=CONFIG, testing_criteria=CRITERIA)
    asks: Any = {"type": "template", "template": [{"role": "user", "content": "{{item.n}}"}]}
    sampled: Any = {**source(2), "type": "completions", "model": "slow", "input_messages": asks}
    run = client.evals.runs.create(of.id, data_source=sampled)
    fake.clock.advance(200)
    stopped = client.evals.runs.retrieve(run.id, eval_id=of.id)
    assert (stopped.status, stopped.result_counts.total) == ("canceled", 1)
    assert asked == ["0", "1"]
    fake.when(text="1").reply("odd")
    again: Any = {**sampled, "model": "gpt-4o"}
    run = client.evals.runs.create(of.id, data_source=again)
    fake.clock.advance(200)
    items = list(client.evals.runs.output_items.list(run.id, eval_id=of.id))
    assert [item.status for item in items][1] == "pass"


def test_pictures_and_trajectories_reach_the_model() -> None:
    heard: list[Any] = []

    def engine(request: Any) -> str:
        heard.append(request.messages)
        return "seen"

    fake = FakeOpenAI(engine=engine, clock=VirtualClock(0), job_seconds=1)
    client = fake.client(max_retries=0)
    of = client.evals.create(data_source_config=CONFIG, testing_criteria=[])
    picture = "data:image/png;base64,iVBORw0KGgo="
    item = {"picture": picture, "way": [{"role": "user", "content": "{{no hole}}"}], "words": "Hi"}
    content: Any = [
        "What is this?",
        {"type": "input_image", "image_url": "{{item.picture}}", "detail": "low"},
    ]
    ways: list[Any] = [
        {"type": "template", "template": [{"role": "user", "content": content}]},
        {"type": "item_reference", "item_reference": "item.way"},
        {"type": "item_reference", "item_reference": "item.words"},
        {"type": "item_reference", "item_reference": "item.picture.x"},
    ]
    rows: Any = {"type": "file_content", "content": [{"item": item}]}
    for kind in ("completions", "responses"):
        for way in ways:
            of_model: Any = {"type": kind, "model": "gpt-4o", "source": rows, "input_messages": way}
            run = client.evals.runs.create(of.id, data_source=of_model)
            fake.clock.advance(1)
            (found,) = client.evals.runs.output_items.list(run.id, eval_id=of.id)
            assert found.status == ("error" if way is ways[-1] else "pass"), found.sample.error
    shown, way, words = heard[:3]
    assert shown[0]["content"][0] == {"type": "text", "text": "What is this?"}
    assert shown[0]["content"][1]["image_url"] == {"url": picture, "detail": "low"}
    assert [way[0]["content"], words[0]["content"]] == ["{{no hole}}", "Hi"]
    assert len(heard) == 6


schemas = st.recursive(
    st.booleans() | st.none() | st.integers() | st.text(max_size=3) | st.just("string"),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "anyOf", "enum", "required", "pattern", "$ref", "not", "minLength", "a"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "required", "$defs"]), schemas, max_size=3))
def test_a_schema_is_one_that_items_can_be_held_against_or_is_refused(schema: Any) -> None:
    from antiphon.server.evals.rows import Unfit, check_rows, schema_of

    config = {"type": "custom", "item_schema": schema}
    try:
        check_config(config)
    except antiphon.BadRequestError as error:
        assert str(error.param).startswith("data_source_config.item_schema")  # noqa: PT017
        return
    for value in ({}, {"a": 1}, {"a": ["x", None, {}]}, {"a": {"b": "string"}}):
        try:
            check_rows({"schema": schema_of(config)}, {"content": [{"item": value}]})
        except Unfit as error:
            assert error.row == 1  # noqa: PT017
