"""Code that awaits runs under asyncio and under trio, and asks neither for what the other has."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio

from antiphon.kernel import loops
from antiphon.kernel.flow import Await, Call, Flow, Pause, World, arun
from antiphon.kernel.http import Request, Upload
from antiphon.kernel.loops import in_thread, in_threads, in_trio, sleep, together

RUNS = pytest.mark.parametrize("run", [lambda c: asyncio.run(c()), trio.run], ids=["asyncio", "trio"])
Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]


@RUNS
def test_sleeping_and_threads(run: Run) -> None:
    async def main() -> tuple[bool, bool, list[bytes]]:
        await sleep(0.01)
        here = threading.get_ident()
        there = await in_thread(lambda *, apart: threading.get_ident() != apart, apart=here)
        return in_trio(), there, [piece async for piece in in_threads(iter([b"a", b"b"]))]

    assert run(main) == (run is trio.run, True, [b"a", b"b"])
    assert not in_trio()


def test_pieces_that_come_at_once_are_fetched_together_and_slow_ones_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = threading.get_ident()
    fetched: list[int] = []

    def pieces(count: int, length: int, pause: float) -> Any:
        for _ in range(count):
            assert threading.get_ident() != here
            time.sleep(pause)
            fetched.append(length)
            yield bytes(length)

    async def ahead(count: int, length: int, pause: float = 0.0) -> list[int]:
        """How many were fetched when each was handed on."""
        fetched.clear()
        return [len(fetched) async for _ in in_threads(pieces(count, length, pause))]

    assert asyncio.run(ahead(3, 1, 0.02)) == [1, 2, 3]
    monkeypatch.setattr(loops, "_MOMENT", 60)
    assert asyncio.run(ahead(8, 256 * 1024)) == [4, 4, 4, 4, 8, 8, 8, 8]
    assert asyncio.run(ahead(0, 1)) == []


@RUNS
def test_flows(run: Run) -> None:
    async def three() -> int:
        await sleep(0)
        return 3

    def flow() -> Flow[Any]:
        yield Pause(0.01)
        yield Call(time.sleep, 0.01)
        return (yield Await(three()))

    async def main() -> Any:
        return await arun(flow(), World())

    assert run(main) == 3


@RUNS
def test_uploads(run: Run) -> None:
    async def pieces() -> Any:
        await sleep(0)
        yield b"a"
        yield b"b"

    async def main() -> Any:
        awaited, plain = Upload(apieces=pieces, replayable=False), Upload(lambda: iter([b"c", b"d"]))
        read = [await awaited.aread(), await plain.aread(), plain.read()]
        return [*read, [p async for p in awaited.apieces()], [p async for p in plain.apieces()], awaited.replayable]

    assert run(main) == [b"ab", b"cd", b"cd", [b"a", b"b"], [b"c", b"d"], False]
    with pytest.raises(TypeError, match="async client"):
        Request("POST", "/", body=Upload(apieces=pieces)).content()
    assert Upload(apieces=pieces).is_async
    assert Upload(lambda: iter([]), replayable=lambda: True).replayable


@RUNS
def test_several_at_a_time(run: Run) -> None:
    most, now = [0], [0]

    def start(n: int) -> Callable[[], Coroutine[Any, Any, int]]:
        async def counted() -> int:
            now[0] += 1
            most[0] = max(most[0], now[0])
            await sleep(0.01)
            now[0] -= 1
            return n

        return counted

    async def main() -> list[int]:
        return await together([start(n) for n in range(7)], 3)

    assert run(main) == list(range(7))
    assert most == [3]


@RUNS
def test_the_first_that_fails_is_raised_and_the_others_are_cancelled(run: Run) -> None:
    ended: list[str] = []

    async def fails() -> None:
        await sleep(0.01)
        raise LookupError("first")

    async def waits() -> None:
        try:
            await sleep(1000)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        with pytest.raises(LookupError, match="first"):
            await together([waits, fails], 2)

    run(main)
    assert ended == ["cancelled"]
