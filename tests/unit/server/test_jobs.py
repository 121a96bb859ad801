"""Jobs: what is scheduled happens when the clock says, in order, whoever looks."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.kernel.flow import Pause, run
from antiphon.kernel.http import Request
from antiphon.server import jobs
from antiphon.server.app import Server
from antiphon.server.clock import VirtualClock, seconds_of
from antiphon.server.jobs import Again, Job, job

START = 1000.0


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of jobs for these tests alone."""
    monkeypatch.setattr(jobs, "_PERFORMERS", dict(jobs._PERFORMERS))

    @job("tests.note")
    def note(server: Server, due: Job) -> None:
        write(server, due.subject, due.at)

    @job("tests.count")
    def count(server: Server, due: Job) -> Again | None:
        left = due.data["left"]
        write(server, due.subject, due.at)
        return Again(due.data["each"], {**due.data, "left": left - 1}) if left else None

    @job("tests.slow")
    def slow(server: Server, due: Job) -> Any:
        yield Pause(0)
        write(server, due.subject, due.at)

    @job("tests.broken")
    def broken(server: Server, due: Job) -> None:
        raise ZeroDivisionError


def write(server: Server, subject: str, at: float) -> None:
    number = len(server.store.list("notes"))
    server.store.put("notes", str(number), {"id": str(number), "subject": subject, "at": at})


def notes(server: Server) -> list[tuple[str, float]]:
    return [(each["subject"], each["at"]) for each in server.store.list("notes")]


def look(server: Server) -> None:
    """Any request lets happen what is due, one that is refused too."""
    answer: Any = server(Request("GET", "/v1/models"))
    if not hasattr(answer, "status"):
        answer = run(answer, server.world)
    assert answer.status == 401


@pytest.fixture
def server() -> Server:
    return Server(clock=VirtualClock(START))


def test_a_job_happens_at_its_time_and_not_before(server: Server) -> None:
    server.jobs.schedule("tests.note", "a", after=10)
    look(server)
    server.clock.advance(9.5)
    look(server)
    assert notes(server) == []
    server.clock.advance(0.5)
    look(server)
    look(server)
    assert notes(server) == [("a", START + 10)]
    assert server.jobs.waiting("tests.note", "a") is None


def test_steps_keep_their_own_time_when_the_clock_jumps(server: Server) -> None:
    server.jobs.schedule("tests.count", "a", after=1, data={"left": 2, "each": 10})
    server.jobs.schedule("tests.note", "b", at=START + 15)
    server.clock.advance("1d")
    look(server)
    assert notes(server) == [("a", START + 1), ("a", START + 11), ("b", START + 15), ("a", START + 21)]


def test_a_job_is_moved_and_cancelled(server: Server) -> None:
    server.jobs.schedule("tests.note", "a", after=1)
    server.jobs.schedule("tests.note", "a", after=5, data={"x": 1})
    server.jobs.schedule("tests.note", "b", after=2)
    assert server.jobs.waiting("tests.note", "a") == Job("tests.note", "a", START + 5, {"x": 1})
    assert server.jobs.cancel("tests.note", "b")
    assert not server.jobs.cancel("tests.note", "b")
    server.clock.advance(10)
    look(server)
    assert notes(server) == [("a", START + 5)]


def test_a_job_that_fails_is_given_up_and_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.jobs.schedule("tests.broken", "a")
    server.jobs.schedule("tests.note", "b")
    with caplog.at_level(logging.ERROR):
        look(server)
    assert notes(server) == [("b", START)]
    assert "tests.broken of a" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_job_that_is_a_flow_is_awaited_by_the_one_who_looks(server: Server) -> None:
    server.jobs.schedule("tests.slow", "a")
    first: Any = server(Request("GET", "/v1/models"))
    second: Any = server(Request("GET", "/v1/models"))  # it is under way: nobody begins it twice
    assert second.status == 401
    assert notes(server) == []
    assert run(first, server.world).status == 401
    assert notes(server) == [("a", START)]


def test_a_flow_that_is_left_is_begun_again(server: Server) -> None:
    server.jobs.schedule("tests.slow", "a")
    first: Any = server(Request("GET", "/v1/models"))
    next(first)
    first.close()
    look(server)
    assert notes(server) == [("a", START)]


def test_what_is_cancelled_while_under_way_does_not_go_on(server: Server) -> None:
    @job("tests.endless")
    def endless(server: Server, due: Job) -> Any:
        write(server, due.subject, due.at)
        yield Pause(0)
        return Again(1)

    server.jobs.schedule("tests.endless", "a")
    first: Any = server(Request("GET", "/v1/models"))
    next(first)
    server.jobs.cancel("tests.endless", "a")
    with pytest.raises(StopIteration):
        first.send(None)
    server.clock.advance(100)
    look(server)
    assert notes(server) == [("a", START)]


def test_a_snapshot_carries_what_is_to_come(server: Server) -> None:
    server.jobs.schedule("tests.count", "a", after=1, data={"left": 1, "each": 1})
    before = pickle.loads(pickle.dumps(server.snapshot()))
    server.clock.advance(5)
    look(server)
    done = [("a", START + 1), ("a", START + 2)]
    assert notes(server) == done
    server.restore(before)
    assert notes(server) == []
    look(server)
    assert notes(server) == done
    other = Server(clock=VirtualClock(START + 5), store=server.store)
    other.restore(before)
    look(other)
    assert notes(other) == done
    server.jobs.schedule("tests.note", "b", after=1)
    server.reset()
    server.clock.advance(5)
    look(server)
    assert notes(server) == []


def test_the_outcome_of_a_job_does_not_count_for_the_one_that_was_restored(server: Server) -> None:
    server.jobs.schedule("tests.slow", "a")
    before = server.snapshot()
    first: Any = server(Request("GET", "/v1/models"))
    next(first)
    server.restore(before)
    first.send(None)  # ends the one that was under way, and begins the other
    assert server.jobs.waiting("tests.slow", "a") is not None
    with pytest.raises(StopIteration):
        first.send(None)
    assert server.jobs.waiting("tests.slow", "a") is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(1, 7)), max_size=8), st.data())
def test_jobs_happen_in_the_order_of_their_times(plans: list[tuple[int, int, int]], data: st.DataObject) -> None:
    server = Server(clock=VirtualClock(START))
    expected = []
    for number, (after, left, each) in enumerate(plans):
        server.jobs.schedule("tests.count", str(number), after=after, data={"left": left, "each": each})
        expected += [(START + after + each * step, str(number)) for step in range(left + 1)]
    for stop in sorted(data.draw(st.lists(st.integers(0, 60), max_size=5))):
        server.clock.advance(max(0.0, START + stop - server.clock.now()))
        if data.draw(st.booleans()):
            server.restore(server.snapshot())
        look(server)
        assert sorted((at, subject) for subject, at in notes(server)) == sorted(
            each for each in expected if each[0] <= START + stop
        )
    assert [at for _, at in notes(server)] == sorted(at for _, at in notes(server))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86_400), ("1h 30m", 5400), ("250ms", 0.25), ("1.5d", 129_600), ("2w", 1_209_600), (3, 3), ("10s", 10)],
)
def test_durations(text: Any, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "24", "24 hours", "1x", "-1h", "1h, 2m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is a number of seconds or a text such as '24h'"):
        seconds_of(text)


def test_the_clock_of_a_fake_can_be_moved_whichever_it_is() -> None:
    for fake in (FakeOpenAI(), FakeOpenAI(clock=VirtualClock())):
        before = fake.clock.now()
        fake.clock.advance("24h")
        assert fake.clock.now() - before >= 86_400
        assert fake.client().files.create(file=b"x", purpose="assistants").created_at >= before + 86_399


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_the_time_of_jobs_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="job_seconds"):
        FakeOpenAI(job_seconds=seconds)
