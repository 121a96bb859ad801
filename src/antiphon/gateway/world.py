"""The gateway's outside: time passes as it does, and requests go over the network, over connections that are kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIConnectionError
from ..kernel.flow import Read, Send, World
from ..kernel.http import Request, Response
from ..kernel.loops import in_trio
from ..server.clock import RealClock
from ..transports.network import NetworkTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ..kernel.flow import Flow
    from .connections import Connections

__all__ = ("NetworkClock", "NetworkWorld", "Sender", "heard", "leave", "rest_of", "running")


def running() -> asyncio.AbstractEventLoop | None:
    """The loop that runs here, which is the one to leave bodies on that are got now; `None` for a blocking caller."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def leave(body: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Let go of a streamed body where nothing can be awaited any more: its server is told, soon at the latest.

    `loop` is the one it came on, in case it is left from elsewhere, as by the collector.
    """
    close = getattr(body, "close", None)
    if close is not None:
        close()
        return
    aclose = getattr(body, "aclose", None)
    here = running()
    if aclose is None or (loop or here) is None:
        return
    if loop is None or loop is here:
        _leave(aclose)
    elif not loop.is_closed():  # else its connections went with it
        loop.call_soon_threadsafe(_leave, aclose)


def _leave(aclose: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = asyncio.get_running_loop().create_task(aclose())
    _LEAVING.add(task)  # a loop keeps no tasks alive
    task.add_done_callback(_LEAVING.discard)


_LEAVING: set[asyncio.Task[Any]] = set()


def rest_of(body: Any) -> Flow[bytes]:
    """All of a body, streamed or not. Raises `APIConnectionError` where it breaks off."""
    if isinstance(body, bytes):
        return body
    pieces: list[bytes] = []
    yield from _read(body, pieces)
    return b"".join(pieces)


def heard(body: Any) -> Flow[bytes]:
    """What an error says, streamed or not: as much as comes before it breaks off, or is more than anybody reads."""
    if isinstance(body, bytes):
        return body
    pieces: list[bytes] = []
    with suppress(APIConnectionError):
        yield from _read(body, pieces, _LONGEST_ERROR)
    leave(body)
    return b"".join(pieces)


def _read(body: Any, pieces: list[bytes], most: int | None = None) -> Flow[None]:
    size = 0
    while (most is None or size < most) and (piece := (yield Read(body))) is not None:
        pieces.append(piece)
        size += len(piece)


_LONGEST_ERROR: Final = 1 << 20
"""Bytes of an error that are read."""


_KEPT = 1024
"""Idle connections to a server. Fewer than there are requests at a time, and each burst would make them anew."""
_IDLE = 4.0
"""For how many seconds. MLServer and KServe drop connections that are idle for 5: a request on one that is being
dropped is lost, and nobody can tell whether a model has run for it.
"""


class NetworkWorld(World):
    """A world that sends over HTTP: with `transport`, or over connections of its own.

    Those of an event loop are ours (`connections`), and those of blocking callers pyreqwest's. `roots` is the path of a
    PEM file with more to trust. Raises `OSError` for one that cannot be read.
    """

    def __init__(self, transport: Any = None, roots: str | None = None) -> None:
        self.connections: Connections | None = None
        if transport is None:
            transport = NetworkTransport(
                trust_env=False,
                follow_redirects=False,
                max_connections=None,
                max_keepalive_connections=_KEPT,
                keepalive_expiry=_IDLE,
                verify=True if roots is None else roots,
            )
            self.connections = _connections(roots)
        self.transport = transport

    @property
    def keeps_time(self) -> bool:
        return self.connections is not None and not in_trio()

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        answer: Response = self.transport.send(request, timeout, stream)
        return answer

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        if self.connections is not None and not in_trio():
            return await self.connections.send(request, timeout, stream)
        answer: Response = await self.transport.asend(request, timeout, stream)
        return answer

    def close(self) -> None:
        """Let go of connections that nobody uses."""
        self.transport.close()
        if self.connections is not None:
            self.connections.close()


def _connections(roots: str | None) -> Connections | None:
    try:
        from .connections import Connections
    except ImportError:  # without httptools
        return None
    if roots is None:
        return Connections(_KEPT, _IDLE)
    from ssl import create_default_context

    trusted = create_default_context()
    trusted.load_verify_locations(roots)
    return Connections(_KEPT, _IDLE, trusted)


class Sender:
    """Makes the steps that send requests to the servers of a model.

    They go over the connections of whoever drives them; where a model has `roots` of its own, over its own.
    """

    def __init__(self, timeout: Any, roots: str | None) -> None:
        self.timeout = timeout
        self._world = None
        if roots is not None:
            Path(roots).read_bytes()  # it is read when it is needed, and should be missed now
            self._world = NetworkWorld(roots=roots)

    def __call__(self, request: Request, *, stream: bool = False) -> Send:
        if self._world is None:
            return Send(request, self.timeout, stream=stream)
        return _Elsewhere(self._world, request, self.timeout, stream=stream)

    def close(self) -> None:
        """Let go of its own connections."""
        if self._world is not None:
            self._world.close()


class _Elsewhere(Send):
    """A request that is sent in another world than the one it is driven in."""

    __slots__ = ("world",)

    def __init__(self, world: World, request: Request, timeout: Any, *, stream: bool) -> None:
        super().__init__(request, timeout, stream=stream)
        self.world = world

    def perform(self, world: World) -> Response:
        return super().perform(self.world)

    async def aperform(self, world: World) -> Response:
        return await super().aperform(self.world)


class NetworkClock(RealClock):
    """A clock whose world sends over HTTP, so that what a server drives by itself does so too: lines of a batch."""

    __slots__ = ("_network",)

    def __init__(self, world: NetworkWorld) -> None:
        super().__init__()
        self._network = world

    def world(self) -> World:
        return self._network
