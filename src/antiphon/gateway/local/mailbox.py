"""From a thread that works to a loop that waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from typing import Any

__all__ = ("Mailbox",)


class Mailbox:
    """What a thread has put in, taken by one coroutine: awaited, it gives all there is, and waits for at least one."""

    __slots__ = ("_items", "_lock", "_waiting")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._lock = threading.Lock()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def put(self, item: Any) -> None:
        """Put something in, from any thread."""
        with self._lock:
            self._items.append(item)
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            loop, woken = waiting
            try:
                loop.call_soon_threadsafe(_wake, woken)
            except RuntimeError:  # the loop has closed: nobody reads it any more
                return

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self._take().__await__()

    async def _take(self) -> list[Any]:
        while True:
            with self._lock:
                if self._items:
                    items, self._items = self._items, []
                    return items
                loop = asyncio.get_running_loop()
                woken: asyncio.Future[None] = loop.create_future()
                self._waiting = loop, woken
            await woken


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
