"""A server on the event loop itself, without a thread of its own. It speaks HTTP/1.1, unencrypted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from .host import BACKLOG, Host
from .http1 import Connection

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .rsgi import RSGI

__all__ = ("OnLoop",)

_ROUND: Final = 10.0
"""Seconds between two looks for connections that wait in vain."""
HEAD: Final = 30.0
"""Seconds in which the head of a request has to arrive."""
BETWEEN: Final = 900.0
"""Seconds that may pass before the next request of a connection."""


class OnLoop(Host):
    """Serves an application from the running loop."""

    def __init__(self, app: RSGI, listener: socket.socket) -> None:
        super().__init__(app, listener)
        self.loop: asyncio.AbstractEventLoop
        self.connections: set[Connection] = set()
        """Those that are open."""
        self._empty = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        self.loop = asyncio.get_running_loop()
        server = await self.loop.create_server(lambda: Connection(self), sock=self.listener, backlog=BACKLOG)
        looking = self.loop.create_task(self._look())
        try:
            ready()
            await self.stopping.wait()
        finally:
            looking.cancel()
            server.close()
        for each in list(self.connections):
            each.stop()
        if await self._ended(self.cutting.wait()):
            return
        for each in list(self.connections):
            each.cut()
        if not await self._ended(asyncio.sleep(1.0)):
            for each in list(self.connections):
                each.transport.abort()
            await asyncio.sleep(0)

    def lost(self, connection: Connection) -> None:
        """A connection is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def _ended(self, first: object) -> bool:
        """Wait until every connection is closed, or something else is there first: whether they are."""
        other = asyncio.ensure_future(first)  # type: ignore[call-overload]
        while self.connections and not other.done():
            self._empty.clear()
            empty = asyncio.ensure_future(self._empty.wait())
            await asyncio.wait((empty, other), return_when=asyncio.FIRST_COMPLETED)
            empty.cancel()
        other.cancel()
        return not self.connections

    async def _look(self) -> None:
        """Close connections that wait in vain."""
        while True:
            await asyncio.sleep(_ROUND)
            now = self.loop.time()
            for each in list(self.connections):
                if each.idle(now, HEAD, BETWEEN):
                    each.close()
