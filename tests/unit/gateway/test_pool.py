"""Replicas, places and turns: driven by hand, so that nothing here takes time."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.gateway.config import ModelConfig
from antiphon.gateway.errors import broken, refused, slow, unreachable
from antiphon.gateway.pool import FIRST_ABSENCE, RETURN, STREAK, Pool, Turn, Watch
from antiphon.kernel.errors import APIStatusError
from antiphon.kernel.flow import Step, World, arun, run


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Asked(Step[str]):
    """A server is being asked."""

    def __init__(self, server: str) -> None:
        self.server = server


def asking(server: str) -> Generator[Step[Any], Any, str]:
    answer: str = yield Asked(server)
    return answer


def pool_of(*servers: str, clock: Clock | None = None, **options: Any) -> Pool[str]:
    config = ModelConfig("chat", servers, **options)
    return Pool(config, [(each, each) for each in servers], lambda server: asking(server), now=clock or Clock())


class Question:
    """A flow, and where it stands: at a server, waiting for its turn, or over."""

    def __init__(self, pool: Pool[str]) -> None:
        self.flow = pool.ask(asking)
        self.at: str | None = None
        self.turn: Turn[str] | None = None
        self.place: Any = None
        self.error: BaseException | None = None
        self.asked: list[str] = []
        self._go(lambda: next(self.flow))

    def _go(self, act: Any) -> None:
        self.at = self.turn = None
        try:
            step = act()
            while isinstance(step, Watch):
                step = self.flow.send(None)
        except StopIteration as done:
            _, self.place = done.value
        except APIStatusError as error:
            self.error = error
        else:
            if isinstance(step, Turn):
                self.turn = step
            else:
                assert isinstance(step, Asked)
                self.at = step.server
                self.asked.append(step.server)

    def answered(self) -> None:
        self._go(lambda: self.flow.send("hello"))

    def failed(self, error: BaseException) -> None:
        self._go(lambda: self.flow.throw(error))

    def called(self) -> None:
        """Its turn has come, or it has waited too long."""
        self._go(lambda: self.flow.send(None))

    def left(self) -> None:
        self.flow.close()
        self.at = self.turn = None

    @property
    def over(self) -> bool:
        return self.at is None and self.turn is None


def down() -> APIStatusError:
    return unreachable("chat", "connection refused")


def not_ready() -> APIStatusError:
    return refused(503, "loading", "chat")


def crashed() -> APIStatusError:
    return broken("chat", "reset")


class Traffic(RuleBasedStateMachine):
    """Any traffic at all: whatever happens, no server gets more than it may, places come back, and turns are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.pool = pool_of("a", "b", "c", clock=self.clock, concurrency=2, queue=4)
        self.under_way: list[Question] = []
        self.holding: list[Question] = []

    def settle(self) -> None:
        """Let everybody go on whose turn has come."""
        while True:
            called = [each for each in self.under_way if each.turn is not None and each.turn.given]
            if not called:
                break
            for each in called:
                each.called()
        self.holding += [each for each in self.under_way if each.over and each.place is not None]
        self.under_way = [each for each in self.under_way if not each.over]

    @rule()
    def ask(self) -> None:
        full = self.pool.waiting >= 4
        question = Question(self.pool)
        if question.error is not None:
            assert full
            assert isinstance(question.error, APIStatusError)
            assert question.error.status_code == 429
            assert question.error.response is not None
            assert question.error.response.headers["retry-after"] == "1"
        self.under_way.append(question)
        self.settle()

    def any_asked(self, data: st.DataObject) -> Question:
        asked = [each for each in self.under_way if each.at is not None]
        return asked[data.draw(st.integers(0, len(asked) - 1))]

    @precondition(lambda self: any(each.at for each in self.under_way))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.any_asked(data).answered()
        self.settle()

    @precondition(lambda self: any(each.at for each in self.under_way))
    @rule(data=st.data(), made=st.sampled_from([down, not_ready, crashed, lambda: refused(400, "no", "chat")]))
    def fail(self, data: st.DataObject, made: Callable[[], APIStatusError]) -> None:
        question = self.any_asked(data)
        error = made()
        question.failed(error)
        if made in (down, not_ready):
            assert len(set(question.asked)) == len(question.asked), "no server is asked twice"
        else:
            assert question.error is error, "where a model may have run, nobody else is asked"
        self.settle()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), collected=st.booleans())
    def leave(self, data: st.DataObject, collected: bool) -> None:
        """Whoever asked is gone: cancelled, or forgotten."""
        question = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if collected:
            del question
            gc.collect()
        else:
            question.left()
        self.settle()

    @precondition(lambda self: any(each.turn for each in self.under_way))
    @rule(data=st.data())
    def wait_too_long(self, data: st.DataObject) -> None:
        waiting = [each for each in self.under_way if each.turn is not None]
        question = waiting[data.draw(st.integers(0, len(waiting) - 1))]
        question.called()
        assert isinstance(question.error, APIStatusError)
        assert question.error.status_code == 503
        self.settle()

    @precondition(lambda self: self.holding)
    @rule()
    def let_go(self) -> None:
        place = self.holding.pop(0).place
        place.leave()
        place.leave()  # twice is no harm
        self.settle()

    @rule(seconds=st.sampled_from([0.1, 1.0, 20.0]), ready=st.booleans())
    def pass_time(self, seconds: float, ready: bool) -> None:
        self.clock.now += seconds
        for each in self.pool.due():
            self.pool.probed(each, ready)
        self.settle()

    @invariant()
    def places_are_counted(self) -> None:
        asked = [each.at for each in self.under_way if each.at is not None]
        held = [each.place.replica.url for each in self.holding]
        for replica in self.pool.replicas:
            assert replica.in_flight == (asked + held).count(replica.url)
            assert replica.in_flight <= 2
        assert self.pool.waiting == sum(each.turn is not None for each in self.under_way)

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        healthy = [each for each in self.pool.replicas if not each.out] or self.pool.replicas
        steady = [each for each in healthy if each.back is None]
        if any(each.turn is not None and not each.turn.tried for each in self.under_way):
            assert all(each.in_flight == 2 for each in steady)

    def teardown(self) -> None:
        for question in self.under_way:
            question.left()
        for question in self.holding:
            question.place.leave()
        assert self.pool.in_flight == 0
        assert self.pool.waiting == 0


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)


def test_the_one_with_least_to_do_is_asked_and_equals_take_turns() -> None:
    pool = pool_of("a", "b", "c")
    questions = [Question(pool) for _ in range(6)]
    assert [each.at for each in questions] == ["a", "b", "c", "a", "b", "c"]
    questions[1].answered()
    questions[1].place.leave()
    assert Question(pool).at == "b"


def test_who_came_first_is_served_first() -> None:
    pool = pool_of("a", concurrency=1)
    first, second, third = Question(pool), Question(pool), Question(pool)
    assert first.at == "a"
    assert second.turn is not None
    assert third.turn is not None
    first.answered()
    first.place.leave()
    assert second.turn.given
    assert not third.turn.given
    second.left()  # its place was given already; it goes on to the next
    assert third.turn.given
    third.called()
    assert third.at == "a"


def test_a_request_goes_on_to_another_server_only_where_no_model_ran() -> None:
    pool = pool_of("a", "b")
    question = Question(pool)
    question.failed(down())
    assert question.asked == ["a", "b"]
    question.answered()
    assert question.error is None
    question = Question(pool_of("a", "b"))
    question.failed(slow("chat", "the beginning of an answer", 1.0))
    assert question.asked == ["a"]
    assert question.error is not None


def test_where_all_are_out_of_reach_the_last_word_is_told() -> None:
    pool = pool_of("a", "b")
    question = Question(pool)
    question.failed(down())
    last = not_ready()
    question.failed(last)
    assert question.error is last
    # Both are out, so both are as good as any, and one request finds out for one of them.
    assert Question(pool).at in ("a", "b")


def test_a_sick_server_is_out_and_comes_back_gradually() -> None:
    clock = Clock()
    pool = pool_of("a", "b", clock=clock)
    sick, well = pool.replicas
    for _ in range(STREAK):
        assert not sick.out
        question = Question(pool)
        if question.at != "a":  # it is a's turn with the next
            question.answered()
            question.place.leave()
            question = Question(pool)
        question.failed(crashed())
    assert sick.out
    assert pool.due() == []
    clock.now += FIRST_ABSENCE
    assert pool.due() == [sick]
    pool.probed(sick, False)
    clock.now += FIRST_ABSENCE
    assert pool.due() == []  # later each time
    clock.now += FIRST_ABSENCE
    assert pool.due() == [sick]
    pool.probed(sick, True)
    assert not sick.out
    asked = [Question(pool) for _ in range(22)]
    assert [each.at for each in asked].count("a") == 2  # a tenth of its share
    clock.now += RETURN
    more = [Question(pool) for _ in range(18)]
    assert [each.at for each in more].count("a") == 18
    assert well.in_flight == 20
    # One failure right after it is back is one too many.
    pool.failed(sick, crashed())
    assert sick.out


def test_a_model_that_one_server_has_lost_is_asked_of_the_other() -> None:
    pool = pool_of("a", "b")
    question = Question(pool)
    question.failed(refused(404, "no such model", "chat"))
    assert question.at == "b"
    question.answered()
    assert pool.replicas[0].out
    pool = pool_of("a", "b")
    question = Question(pool)
    question.failed(refused(404, "no such model", "chat"))
    question.failed(refused(404, "no such model", "chat"))
    assert question.error is not None
    assert not any(each.out for each in pool.replicas)  # nobody has it, so it is no server's fault


def test_who_waits_for_the_only_other_server_is_told_when_that_is_gone() -> None:
    pool = pool_of("a", "b", concurrency=1)
    first, second = Question(pool), Question(pool)
    assert (first.at, second.at) == ("a", "b")
    first.failed(down())
    assert first.turn is not None
    second.failed(crashed())
    assert first.turn.given
    first.called()
    assert first.at == "b"
    pool.failed(pool.replicas[1], down())
    assert pool.replicas[1].out


def test_closing_waits_for_what_is_under_way() -> None:
    pool = pool_of("a")
    question = Question(pool)
    closed: list[bool] = []
    pool.close(lambda: closed.append(True))
    assert not closed
    question.answered()
    question.place.leave()
    assert closed == [True]
    empty = pool_of("a")
    empty.close(lambda: closed.append(False))
    assert closed == [True, False]


def test_places_are_given_back_by_the_collector_while_the_lock_is_held() -> None:
    pool = pool_of("a", concurrency=1)
    question: Any = Question(pool)
    question.flow_again = question  # a circle: only the collector ends it
    with pool._lock:
        del question
        gc.collect()
        assert pool.replicas[0].in_flight == 1  # taken in on leaving the lock
    assert pool.replicas[0].in_flight == 0


async def test_threads_and_a_loop_wait_in_one_queue() -> None:
    import asyncio

    pool = pool_of("a", concurrency=2)
    most = 0
    done: list[str] = []
    world = World()

    class Pausing(Step[str]):
        def perform(self, world: World) -> str:
            nonlocal most
            most = max(most, pool.replicas[0].in_flight)
            threading.Event().wait(0.002)
            return "thread"

        async def aperform(self, world: World) -> str:
            nonlocal most
            most = max(most, pool.replicas[0].in_flight)
            await asyncio.sleep(0.002)
            return "task"

    def asked(server: str) -> Generator[Step[Any], Any, str]:
        answer: str = yield Pausing()
        return answer

    def once() -> Generator[Step[Any], Any, None]:
        answer, place = yield from pool.ask(asked)
        place.leave()
        done.append(answer)

    threads = [threading.Thread(target=lambda: run(once(), world)) for _ in range(20)]
    for each in threads:
        each.start()
    await asyncio.gather(*(arun(once(), world) for _ in range(20)))
    await asyncio.gather(*(asyncio.to_thread(each.join) for each in threads))
    assert sorted(done) == ["task"] * 20 + ["thread"] * 20
    assert most == 2
    assert pool.in_flight == 0


@pytest.mark.parametrize("colour", ["blocking", "async"])
async def test_waiting_ends_with_a_503(colour: str) -> None:
    pool = pool_of("a", concurrency=1, queue_seconds=0.01)
    held = Question(pool)
    with pytest.raises(APIStatusError) as caught:
        run(pool.ask(asking), World()) if colour == "blocking" else await arun(pool.ask(asking), World())
    assert (caught.value.status_code, caught.value.code) == (503, "queue_timeout")
    assert pool.waiting == 0
    held.left()


async def test_a_cancelled_wait_leaves_the_queue() -> None:
    import asyncio

    pool = pool_of("a", concurrency=1)
    held = Question(pool)
    task = asyncio.ensure_future(arun(pool.ask(asking), World()))
    await asyncio.sleep(0)
    assert pool.waiting == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.waiting == 0
    held.left()
    assert pool.in_flight == 0
