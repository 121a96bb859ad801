"""What awaiting code needs of whatever runs it: asyncio (uvloop too) or trio.

trio is asked only where the program has imported it already, so that asyncio pays nothing for it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from time import monotonic
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

__all__ = ("in_thread", "in_threads", "in_trio", "sleep", "together")


def in_trio() -> bool:
    """Whether the calling task is one of trio's."""
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


async def sleep(seconds: float) -> None:
    """Let time pass for this task alone."""
    if in_trio():
        import trio

        await trio.sleep(seconds)
    else:
        import asyncio

        await asyncio.sleep(seconds)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may block on a worker thread."""
    if in_trio():
        from functools import partial

        import trio

        return await trio.to_thread.run_sync(partial(function, *args, **kwargs))
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)


async def together(starts: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    """The results of several at a time, at most `limit`. Where one fails the others are cancelled, and it is raised."""
    return await (_in_nursery if in_trio() else _in_tasks)(starts, limit)


async def _in_tasks(starts: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    import asyncio

    places = asyncio.Semaphore(limit)

    async def driven(start: Callable[[], Awaitable[T]]) -> T:
        async with places:
            return await start()

    tasks = [asyncio.ensure_future(driven(start)) for start in starts]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _in_nursery(starts: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    import trio

    places = trio.Semaphore(limit)
    results: dict[int, T] = {}
    failed: list[Exception] = []

    async def driven(at: int, start: Callable[[], Awaitable[T]]) -> None:
        async with places:
            try:
                results[at] = await start()
            except Exception as error:
                failed.append(error)
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for at, start in enumerate(starts):
            nursery.start_soon(driven, at, start)
    if failed:
        raise failed[0]
    return [results[at] for at in range(len(starts))]


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces that may be slow to come, without holding up the loop.

    Going to a thread and back costs more than reading a piece: what comes at once is fetched together, up to 1 MiB.
    """
    while some := await in_thread(_some, pieces):
        for piece in some:
            yield piece


_AT_ONCE = 1024 * 1024
_MOMENT = 0.005


def _some(pieces: Iterator[bytes]) -> list[bytes]:
    """The next pieces, at least one where there is one: as many as come within a moment, and no more than 1 MiB."""
    until = monotonic() + _MOMENT
    some: list[bytes] = []
    length = 0
    for piece in pieces:
        some.append(piece)
        length += len(piece)
        if length >= _AT_ONCE or monotonic() > until:
            break
    return some
