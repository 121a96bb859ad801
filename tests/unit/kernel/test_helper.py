from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from antiphon.kernel.flow import Await, Call, Flow, Pause, World, arun, run
from antiphon.kernel.helper import Answer, Together, answered, ask, helper
from antiphon.kernel.http import Response
from antiphon.kernel.operation import Resource, V


class _World(World):
    def sleep(self, seconds: float) -> None:
        pass

    async def asleep(self, seconds: float) -> None:
        pass


class _Core:
    """Answers an operation with its own name and arguments."""

    is_async = False

    def _call(self, operation: Any, args: Any, kwargs: Any) -> Any:
        raise AssertionError

    def _ask(self, operation: Any, args: Any, kwargs: Any) -> Flow[Answer[Any]]:
        yield Pause(1)
        return Answer((operation, args, kwargs), Response(201))

    def _drive(self, flow: Flow[Any]) -> Any:
        return arun(flow, _World()) if self.is_async else run(flow, _World())


class _AsyncCore(_Core):
    is_async = True


class Things(Resource[V]):
    @helper
    def twice(self, first: str, *, second: int = 2) -> Flow[Any]:
        """Ask twice."""
        one = yield from ask(self, "one", first)  # type: ignore[call-overload]
        two = yield from answered(self, "two", second=second)  # type: ignore[call-overload]
        return one, two.result, two.response.status

    @helper(deprecated="it is old")
    def old(self) -> Flow[int]:
        yield Pause(0)
        return 1


ASKED = (("one", ("a",), {}), ("two", (), {"second": 3}), 201)


def test_a_helper_blocks_or_is_awaited() -> None:
    assert Things(_Core()).twice("a", second=3) == ASKED
    assert asyncio.run(Things(_AsyncCore()).twice("a", second=3)) == ASKED
    assert Things.twice.__doc__ == "Ask twice."
    with pytest.raises(TypeError, match="first"):
        Things(_AsyncCore()).twice()  # type: ignore[call-arg]


def test_a_deprecated_helper_warns() -> None:
    for core in (_Core(), _AsyncCore()):
        with pytest.warns(DeprecationWarning, match="old.*it is old") as told:
            result = Things(core).old()
        assert told[0].filename == __file__
        assert (asyncio.run(result) if core.is_async else result) == 1
    assert Things.old.__deprecated__ == "it is old"


def _square(number: int, running: list[int], most: list[int]) -> Flow[int]:
    running.append(number)
    most.append(len(running))
    yield Pause(0)
    yield Call(time.sleep, 0.005)
    running.remove(number)
    return number * number


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_flows_together_keep_their_order_and_their_limit(limit: int) -> None:
    for drive in (run, lambda flow, world: asyncio.run(arun(flow, world))):
        running: list[int] = []
        most: list[int] = []

        def flow(running: list[int] = running, most: list[int] = most) -> Flow[list[int]]:
            return (yield Together((_square(n, running, most) for n in range(10)), limit))

        assert drive(flow(), _World()) == [n * n for n in range(10)]
        assert (max(most) == 1) if limit == 1 else (1 < max(most) <= limit)


def test_a_failure_among_flows_is_raised_and_leaves_out_the_rest() -> None:
    begun: list[int] = []

    def failing(number: int) -> Flow[None]:
        begun.append(number)
        yield Pause(0)
        yield Call(time.sleep, 0.001)
        if number == 1:
            raise KeyError(number)

    def flow() -> Flow[Any]:
        return (yield Together([failing(n) for n in range(50)], 1))

    for drive in (run, lambda flow, world: asyncio.run(arun(flow, world))):
        begun.clear()
        with pytest.raises(KeyError):
            drive(flow(), _World())
        assert begun[:2] == [0, 1] and len(begun) < 50


async def test_flows_that_wait_are_cancelled_when_one_fails() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("waiting")

    def waiting() -> Flow[None]:
        yield Await(forever())

    def failing() -> Flow[None]:
        yield Await(asyncio.sleep(0.01))
        raise KeyError

    with pytest.raises(KeyError):
        await Together([waiting(), failing()], 5).aperform(_World())
    assert ended == ["waiting"]


def test_together_runs_in_threads_of_its_own() -> None:
    threads: set[int] = set()

    def flow() -> Flow[None]:
        threads.add(threading.get_ident())
        yield Pause(0)

    step = Together([flow()], 2)
    assert step.perform(_World()) == [None]
    assert threading.get_ident() not in threads
    assert repr(step) == "Together(1 flows, 2 at a time)"
    with pytest.raises(ValueError, match="limit"):
        Together([], 0)
