"""The gateway's outside: time passes as it does, and requests go over the network, over connections that are kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..kernel.flow import World
from ..kernel.http import Request, Response
from ..kernel.loops import in_trio
from ..server.clock import RealClock
from ..transports.network import NetworkTransport

if TYPE_CHECKING:
    from .connections import Connections

__all__ = ("NetworkClock", "NetworkWorld", "leave")


def leave(body: Any) -> None:
    """Let go of a streamed body where nothing can be awaited any more: its server is told, soon at the latest."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
        return
    aclose = getattr(body, "aclose", None)
    if aclose is None:
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # the loop is over; with it went its connections
        return
    task = loop.create_task(aclose())
    _LEAVING.add(task)  # a loop keeps no tasks alive
    task.add_done_callback(_LEAVING.discard)


_LEAVING: set[asyncio.Task[Any]] = set()


_KEPT = 1024
"""Idle connections to a server. Fewer than there are requests at a time, and each burst would make them anew."""
_IDLE = 4.0
"""For how many seconds. MLServer and KServe drop connections that are idle for 5: a request on one that is being
dropped is lost, and nobody can tell whether a model has run for it.
"""


class NetworkWorld(World):
    """A world that sends over HTTP: with `transport`, or over connections of its own.

    Those of an event loop are ours (`connections`), and those of blocking callers pyreqwest's.
    """

    def __init__(self, transport: Any = None) -> None:
        self.connections: Connections | None = None
        if transport is None:
            transport = NetworkTransport(
                trust_env=False,
                follow_redirects=False,
                max_connections=None,
                max_keepalive_connections=_KEPT,
                keepalive_expiry=_IDLE,
            )
            self.connections = _connections()
        self.transport = transport

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        answer: Response = self.transport.send(request, timeout, stream)
        return answer

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        if self.connections is not None and not in_trio():
            return await self.connections.send(request, timeout, stream)
        answer: Response = await self.transport.asend(request, timeout, stream)
        return answer


def _connections() -> Connections | None:
    try:
        from .connections import Connections
    except ImportError:  # without httptools
        return None
    return Connections(_KEPT, _IDLE)


class NetworkClock(RealClock):
    """A clock whose world sends over HTTP, so that what a server drives by itself does so too: lines of a batch."""

    __slots__ = ("_network",)

    def __init__(self, world: NetworkWorld) -> None:
        super().__init__()
        self._network = world

    def world(self) -> World:
        return self._network
