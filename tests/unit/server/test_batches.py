"""Batches by a clock that stands still: what happens when, what is cancelled and what comes too late."""

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

OVER = {"completed", "failed", "expired", "cancelled"}


def lines(count: int, text: str = "Hello") -> bytes:
    rows = (
        {
            "custom_id": f"ask-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "gpt-5", "messages": [{"role": "user", "content": f"{text} {number}"}]},
        }
        for number in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


class Scene:
    def __init__(self, count: int = 8, **options: Any) -> None:
        self.clock = VirtualClock()
        self.fake = FakeOpenAI("echo", clock=self.clock, **{"job_seconds": 10, **options})
        self.client = self.fake.client(max_retries=0)
        self.input = self.client.files.create(file=("in.jsonl", lines(count)), purpose="batch")
        self.batch_id = self.create().id

    def create(self, **options: Any) -> Any:
        return self.client.batches.create(
            input_file_id=self.input.id, endpoint="/v1/chat/completions", completion_window="24h", **options
        )

    @property
    def batch(self) -> Any:
        return self.client.batches.retrieve(self.batch_id)

    def rows(self, file_id: str | None) -> list[Any]:
        data = b"" if file_id is None else self.client.files.content(file_id).read()
        return [json.loads(row) for row in data.splitlines()]


def test_a_batch_takes_its_time() -> None:
    scene = Scene()
    began = scene.batch.created_at
    seen = []
    for _ in range(11):
        batch = scene.batch
        seen.append((batch.status, batch.request_counts.completed))
        scene.clock.advance(1)
    assert seen[0] == ("validating", 0)
    assert seen[1] == ("in_progress", 0)
    assert seen[2:9] == [("in_progress", done) for done in range(1, 8)]
    assert seen[9:] == [("finalizing", 8), ("completed", 8)]
    done = scene.batch
    assert (done.in_progress_at, done.finalizing_at, done.completed_at) == (began + 1, began + 9, began + 10)


def test_a_leap_of_a_day_dates_everything_rightly() -> None:
    scene = Scene()
    began = scene.batch.created_at
    scene.clock.advance("2d")
    done = scene.batch
    assert done.status == "completed"
    assert done.completed_at == began + 10


def test_what_was_done_when_it_was_cancelled_is_kept() -> None:
    scene = Scene()
    scene.clock.advance(5)
    assert scene.client.batches.cancel(scene.batch_id).status == "cancelling"
    scene.clock.advance(0.5)
    assert scene.batch.status == "cancelling"
    scene.clock.advance(0.5)
    done = scene.batch
    assert done.status == "cancelled"
    assert done.cancelled_at == done.created_at + 6
    assert [row["custom_id"] for row in scene.rows(done.output_file_id)] == [f"ask-{number}" for number in range(4)]
    assert done.error_file_id is None


def test_what_is_late_expires_and_the_rest_is_kept() -> None:
    scene = Scene(job_seconds=2 * 86_400)
    scene.clock.advance("3d")
    done = scene.batch
    assert done.status == "expired"
    assert done.expired_at == done.expires_at == done.created_at + 86_400
    assert (done.request_counts.completed, done.request_counts.failed) == (3, 5)
    assert len(scene.rows(done.output_file_id)) == 3
    late = scene.rows(done.error_file_id)
    assert [row["custom_id"] for row in late] == [f"ask-{number}" for number in range(3, 8)]
    assert all(row["response"] is None and row["error"]["code"] == "batch_expired" for row in late)


def test_a_batch_that_was_validated_needs_its_input_no_more() -> None:
    scene = Scene(20)
    scene.clock.advance(4)
    before = scene.batch.request_counts.completed
    assert 0 < before < 20
    scene.client.files.delete(scene.input.id)
    state = scene.fake.snapshot()
    scene.clock.advance(20)
    done = scene.batch
    assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 20, 0)
    assert [row["custom_id"] for row in scene.rows(done.output_file_id)] == [f"ask-{number}" for number in range(20)]
    scene.fake.restore(state)
    assert len(scene.rows(scene.batch.output_file_id)) == 20  # the clock is not turned back


def test_streams_are_refused_and_files_expire_when_asked() -> None:
    scene = Scene()
    row = json.loads(lines(1))
    row["body"]["stream"] = True
    scene.input = scene.client.files.create(file=("in.jsonl", json.dumps(row).encode()), purpose="batch")
    scene.batch_id = scene.create(output_expires_after={"anchor": "created_at", "seconds": 3600}).id
    scene.clock.advance(60)
    (refused,) = scene.rows(scene.batch.error_file_id)
    assert "Streaming is not supported" in refused["response"]["body"]["error"]["message"]
    file = scene.client.files.retrieve(scene.batch.error_file_id)
    assert file.expires_at == file.created_at + 3600


def test_an_engine_that_fails_is_an_error_of_its_line(caplog: pytest.LogCaptureFixture) -> None:
    def engine(request: Any) -> str:
        if request.user_text.endswith("3"):
            raise RuntimeError("no")
        if request.user_text.endswith("4"):
            raise antiphon.RateLimitError.because("slow down")
        return "yes"

    scene = Scene()
    scene.fake = FakeOpenAI(engine, clock=scene.clock, job_seconds=10)
    scene.client = scene.fake.client()
    scene.input = scene.client.files.create(file=("in.jsonl", lines(8)), purpose="batch")
    scene.batch_id = scene.create().id
    scene.clock.advance(60)
    assert scene.batch.request_counts.completed == 6
    assert [row["response"]["status_code"] for row in scene.rows(scene.batch.error_file_id)] == [500, 429]


def test_a_snapshot_has_the_batch_in_the_middle() -> None:
    scene = Scene()
    scene.clock.advance(5)
    assert scene.batch.request_counts.completed == 4
    state = scene.fake.snapshot()
    scene.clock.advance(60)
    assert scene.batch.status == "completed"
    scene.fake.restore(state)
    assert scene.batch.status == "completed"  # the clock is not turned back, so what was due happens at once
    assert len(scene.rows(scene.batch.output_file_id)) == 8


class Batches(RuleBasedStateMachine):
    """However time passes and whoever cancels when: every line ends in one file, or in none where it was not run."""

    @initialize(count=st.integers(1, 30), seconds=st.sampled_from([1.0, 10.0, 200_000.0]))
    def begin(self, count: int, seconds: float) -> None:
        self.count = count
        self.scene = Scene(count, job_seconds=seconds)
        self.status = "validating"
        self.cancelled = False

    @rule(seconds=st.floats(0, 50_000))
    def wait(self, seconds: float) -> None:
        self.scene.clock.advance(seconds)

    @rule()
    def cancel(self) -> None:
        try:
            assert self.scene.client.batches.cancel(self.scene.batch_id).status == "cancelling"
            self.cancelled = True
        except antiphon.ConflictError:
            assert self.scene.batch.status in OVER | {"cancelling"}

    @precondition(lambda self: hasattr(self, "scene"))
    @invariant()
    def it_adds_up(self) -> None:
        order = ["validating", "in_progress", "finalizing", "cancelling", "completed", "expired", "cancelled"]
        batch = self.scene.batch
        assert order.index(batch.status) >= order.index(self.status)
        if self.status in OVER:
            assert batch.status == self.status
        self.status = batch.status
        counts = batch.request_counts
        assert counts.completed + counts.failed <= self.count
        output, errors = (self.scene.rows(each) for each in (batch.output_file_id, batch.error_file_id))
        names = [row["custom_id"] for row in (*output, *errors)]
        assert len(names) == len(set(names))
        if batch.status in ("completed", "expired"):
            assert sorted(names) == sorted(f"ask-{number}" for number in range(self.count))
            assert (len(output), len(errors)) == (counts.completed, counts.failed)
        elif batch.status == "cancelled":
            assert self.cancelled
            assert len(output) == counts.completed
        else:
            assert not names


TestBatches = Batches.TestCase
TestBatches.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
