"""A handler as a transport: what would go over the network is a function call, streaming included.

A handler may carry a `world` (a `World`, or a function that gives one): its pauses, and the client's own between
attempts, pass there. So under a virtual clock neither takes time. A pause longer than the read timeout raises
`APITimeoutError` after that timeout, as a silent server would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..kernel.errors import APIConnectionError, APIStatusError, APITimeoutError
from ..kernel.flow import World, aiterate, arun, iterate, run
from ..kernel.http import Handler, Request, Response
from ..kernel.severed import Severed
from ..kernel.spool import Spooled, aspooled, spooled

if TYPE_CHECKING:
    from ..kernel.dialogue import Dialogue
    from ..kernel.http import Upload

__all__ = ("HandlerTransport",)


class HandlerTransport:
    """Sends requests to a handler, blocking or in an event loop. Bodies above 1 MiB that the client reads from files
    or makes up as it goes come to the handler in a temporary file, as a `Spooled`.

    An `APIStatusError` that the handler raises is answered as the response it stands for, a connection it severs
    (`Severed`) is an `APIConnectionError`; what else it raises comes out of the call as it is.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.world = _world_of(handler)

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        """The handler's response, its body read unless `stream`."""
        body = request.body
        if not isinstance(body, bytes) and _comes(body, self.handler):
            request = request._replace(body=spooled(body.pieces(), _most(self.handler)))
        world = _Patient(self.world, timeout, request)
        try:
            answer = self.handler(request)
            response = answer if isinstance(answer, Response) else run(answer, world)
            said = response.body
            if isinstance(said, bytes):
                return response if response.request is not None else response._replace(request=request)
            pieces = _Pieces(said, world)
            if stream:
                return response._replace(body=pieces, request=request)
            return response._replace(body=b"".join(pieces), request=request)
        except APIStatusError as error:
            return error.to_response()._replace(request=request)
        except _OutOfPatience:
            raise APITimeoutError(request) from None
        except Severed as error:
            raise APIConnectionError(request=request) from error

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        """`send` in the running event loop."""
        body = request.body
        if not isinstance(body, bytes) and _comes(body, self.handler):
            request = request._replace(body=await aspooled(body.apieces(), _most(self.handler)))
        world = _Patient(self.world, timeout, request)
        try:
            answer = self.handler(request)
            response = answer if isinstance(answer, Response) else await arun(answer, world)
            said = response.body
            if isinstance(said, bytes):
                return response if response.request is not None else response._replace(request=request)
            pieces = _AsyncPieces(said, world)
            if stream:
                return response._replace(body=pieces, request=request)  # type: ignore[arg-type]
            return response._replace(body=b"".join([piece async for piece in pieces]), request=request)
        except APIStatusError as error:
            return error.to_response()._replace(request=request)
        except _OutOfPatience:
            raise APITimeoutError(request) from None
        except Severed as error:
            raise APIConnectionError(request=request) from error

    @property
    def dialogue(self) -> Callable[[Request], Dialogue | Response] | None:
        """What opens websockets; `None` where the handler has none."""
        found: Callable[[Request], Dialogue | Response] | None = getattr(self.handler, "dialogue", None)
        return found

    def close(self) -> None:
        """Nothing is held open: the handler belongs to whoever made it."""

    async def aclose(self) -> None:
        """Nothing is held open: the handler belongs to whoever made it."""

    def __repr__(self) -> str:
        return f"HandlerTransport({self.handler!r})"


def _world_of(handler: Any) -> World:
    world = getattr(handler, "world", None)
    if callable(world) and not isinstance(world, World):
        world = world()
    return world if isinstance(world, World) else World()


def _most(handler: Any) -> int | None:
    """The largest body that a handler takes, in bytes, where it says so."""
    most: int | None = getattr(handler, "max_body", None)
    return most


def _comes(body: Upload, handler: Any) -> bool:
    """Whether a body in pieces has to be gathered. One that the handler will refuse for its length is not even read."""
    most = _most(handler)
    return not isinstance(body, Spooled) and (most is None or body.length is None or body.length <= most)


class _OutOfPatience(BaseException):
    """The client has left. No `Exception`, so that a handler does not answer it as a failure of its own."""


class _Patient(World):
    """Lets time pass in another world, but no longer than the read timeout without a byte."""

    def __init__(self, world: World, timeout: Any, request: Request) -> None:
        self.world = world
        self.request = request
        self.patience: float | None = getattr(timeout, "read", timeout)
        self.waited = 0.0

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        return self.world.send(request, timeout, stream)

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        return await self.world.asend(request, timeout, stream)

    def sleep(self, seconds: float) -> None:
        left = self._left(seconds)
        self.world.sleep(left)
        if left < seconds:
            raise _OutOfPatience

    async def asleep(self, seconds: float) -> None:
        left = self._left(seconds)
        await self.world.asleep(left)
        if left < seconds:
            raise _OutOfPatience

    def _left(self, seconds: float) -> float:
        if self.patience is None:
            return seconds
        left = min(seconds, self.patience - self.waited)
        self.waited += left
        return left


class _Pieces:
    """The pieces of a streamed body; the patience starts anew with each."""

    __slots__ = ("_pieces", "_world")

    def __init__(self, body: Any, world: _Patient) -> None:
        self._pieces: Iterator[bytes] = iterate(body, world)
        self._world = world

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._world.waited = 0.0
        try:
            return next(self._pieces)
        except _OutOfPatience:
            raise APITimeoutError(self._world.request) from None
        except Severed as error:
            raise APIConnectionError(request=self._world.request) from error

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]


class _AsyncPieces:
    """`_Pieces` for an event loop."""

    __slots__ = ("_pieces", "_world")

    def __init__(self, body: Any, world: _Patient) -> None:
        self._pieces: AsyncIterator[bytes] = aiterate(body, world)
        self._world = world

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._world.waited = 0.0
        try:
            return await anext(self._pieces)
        except _OutOfPatience:
            raise APITimeoutError(self._world.request) from None
        except Severed as error:
            raise APIConnectionError(request=self._world.request) from error

    async def aclose(self) -> None:
        await self._pieces.aclose()  # type: ignore[attr-defined]
