"""What awaiting code needs of whatever runs it: asyncio (uvloop too) or trio.

trio is asked only where the program has imported it already, so that asyncio pays nothing for it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

__all__ = ("in_thread", "in_threads", "in_trio", "sleep")


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


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces that may have to be read from a disk, without holding up the loop."""
    while (piece := await in_thread(next, pieces, None)) is not None:
        yield piece
