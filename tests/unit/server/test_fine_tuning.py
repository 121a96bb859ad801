"""Fine-tuning jobs by a clock that stands still."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import antiphon
from antiphon import FakeOpenAI
from antiphon.server.clock import VirtualClock

OVER = {"succeeded", "failed", "cancelled"}


def lines(count: int) -> bytes:
    message = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
    return b"\n".join([json.dumps(message).encode()] * count)


class Scene:
    def __init__(self, count: int = 10, **options: Any) -> None:
        self.clock = VirtualClock()
        self.fake = FakeOpenAI(clock=self.clock, job_seconds=100)
        self.client = self.fake.client(max_retries=0)
        file = self.client.files.create(file=("in.jsonl", lines(count)), purpose="fine-tune")
        self.id = self.client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file.id, **options).id

    @property
    def job(self) -> Any:
        return self.client.fine_tuning.jobs.retrieve(self.id)

    @property
    def events(self) -> list[Any]:
        return list(self.client.fine_tuning.jobs.list_events(self.id, limit=100))[::-1]

    @property
    def steps(self) -> list[int]:
        return [event.data["step"] for event in self.events if event.type == "metrics"]  # type: ignore[index]


def test_a_job_takes_its_time() -> None:
    scene = Scene()
    began = scene.job.created_at
    seen = []
    for _ in range(11):
        seen.append((scene.job.status, len(scene.steps)))
        scene.clock.advance(10)
    assert [status for status, _ in seen] == ["validating_files", "queued", *["running"] * 6, *["succeeded"] * 3]
    assert [count for _, count in seen[3:]] == [5, 10, 15, 20, 25, 30, 30, 30]
    done = scene.job
    assert done.finished_at == began + 80
    assert [event.created_at for event in scene.events] == sorted(event.created_at for event in scene.events)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("n_epochs", 0, "below minimum value. Expected a value >= 1"),
        ("n_epochs", 1 << 62, "above maximum value. Expected a value <= 50"),
        ("batch_size", 0, "below minimum value. Expected a value >= 1"),
        ("batch_size", 257, "above maximum value. Expected a value <= 256"),
    ],
)
def test_hyperparameters_have_bounds(name: str, value: int, why: str) -> None:
    with pytest.raises(antiphon.BadRequestError, match=why) as caught:
        Scene(hyperparameters={name: value})
    assert caught.value.param == f"hyperparameters.{name}"
    with pytest.raises(antiphon.BadRequestError, match=why) as caught:
        Scene(method={"type": "supervised", "supervised": {"hyperparameters": {name: value}}})
    assert caught.value.param == f"method.supervised.hyperparameters.{name}"
    client = (fake := FakeOpenAI(clock=VirtualClock(), unknown_ids="conjure")).client(max_retries=0)
    file = client.files.create(file=("in.jsonl", lines(10)), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file.id, hyperparameters={name: value})  # type: ignore[arg-type]
    fake.clock.advance("1h")
    assert client.fine_tuning.jobs.retrieve(job.id).status == "succeeded"


def test_hyperparameters_of_ones_own_and_many_steps() -> None:
    scene = Scene(
        40, method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 10, "batch_size": 2}}}
    )
    assert scene.job.hyperparameters.n_epochs == 10
    scene.clock.advance("1h")
    done = scene.job
    assert (done.hyperparameters.n_epochs, done.hyperparameters.batch_size) == (10, 2)
    assert done.method.supervised.hyperparameters.learning_rate_multiplier == 2.0
    assert scene.steps == list(range(2, 201, 2))
    checkpoints = list(scene.client.fine_tuning.jobs.checkpoints.list(scene.id))
    assert [each.step_number for each in checkpoints] == [200, 180, 160]
    big = Scene(1000)
    big.clock.advance("1h")
    assert big.job.hyperparameters.batch_size == 2
    assert len(big.steps) == 100
    assert big.steps[-1] == 1500


def test_pause_and_resume_lose_nothing() -> None:
    scene = Scene()
    scene.clock.advance(45)
    assert scene.client.fine_tuning.jobs.pause(scene.id).status == "paused"
    scene.clock.advance("1d")
    assert scene.job.status == "paused"
    before = scene.steps
    state = scene.fake.snapshot()
    assert scene.client.fine_tuning.jobs.resume(scene.id).status == "queued"
    scene.clock.advance("1h")
    assert scene.job.status == "succeeded"
    assert scene.steps == list(range(1, 31))
    assert before == scene.steps[: len(before)]
    scene.fake.restore(state)
    assert scene.job.status == "paused"
    scene.client.fine_tuning.jobs.resume(scene.id)
    scene.clock.advance("1h")
    assert scene.steps == list(range(1, 31))


def test_the_same_seed_tells_the_same_numbers() -> None:
    first, second, other = Scene(seed=1), Scene(seed=1), Scene(seed=2)
    for scene in (first, second, other):
        scene.clock.advance("1h")
    assert first.job.to_dict() == second.job.to_dict()
    assert [event.data for event in first.events] == [event.data for event in second.events]
    assert [event.data for event in first.events] != [event.data for event in other.events]


class Tuning(RuleBasedStateMachine):
    """However time passes and whatever is asked of the job, its steps come once each and in order."""

    @initialize(count=st.integers(10, 40))
    def begin(self, count: int) -> None:
        self.scene = Scene(count)
        self.status = "validating_files"

    @rule(seconds=st.floats(0, 80))
    def wait(self, seconds: float) -> None:
        self.scene.clock.advance(seconds)

    @rule(verb=st.sampled_from(["cancel", "pause", "resume", "pause", "resume"]))
    def turn(self, verb: str) -> None:
        before = self.scene.job.status
        allowed = {"cancel": before not in OVER, "pause": before in ("queued", "running"), "resume": before == "paused"}
        try:
            after = getattr(self.scene.client.fine_tuning.jobs, verb)(self.scene.id).status
        except antiphon.BadRequestError:
            assert not allowed[verb]
        else:
            assert allowed[verb]
            assert after == {"cancel": "cancelled", "pause": "paused", "resume": "queued"}[verb]

    @precondition(lambda self: hasattr(self, "scene"))
    @invariant()
    def it_adds_up(self) -> None:
        job = self.scene.job
        if self.status in OVER:
            assert job.status == self.status
        self.status = job.status
        steps = self.scene.steps
        assert steps == sorted(set(steps))
        assert (job.fine_tuned_model is not None) == (job.status == "succeeded")
        assert (job.finished_at is not None) == (job.status in OVER)
        assert job.error is None
        if job.status == "succeeded":
            assert len(list(self.scene.client.fine_tuning.jobs.checkpoints.list(self.scene.id))) == 3


TestTuning = Tuning.TestCase
TestTuning.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
