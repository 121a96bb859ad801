"""What every host does alike: drive a flow or a streamed body, and notice that the client has left."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..kernel.errors import APIStatusError, InternalServerError

if TYPE_CHECKING:
    from ..kernel.flow import Step, World
    from ..kernel.http import Response

__all__ = ("FLUSH", "Gone", "Watch", "failure", "pump", "too_large")

FLUSH = 64 * 1024
"""Pieces that are ready without waiting are put together into writes of about this many bytes."""

log = logging.getLogger("antiphon.hosting")


class Gone(Exception):
    """The client left before the end of its response."""


class Watch:
    """Interrupts the running task, wherever it waits, when the client leaves.

    `gone` gives an awaitable that ends when the client has left. Nothing is started before the first `start`:
    most answers are over before anybody could leave.
    """

    __slots__ = ("gone", "left", "owner", "task")

    def __init__(self, gone: Callable[[], Awaitable[Any]]) -> None:
        self.gone = gone
        self.left = False
        self.owner: asyncio.Task[Any] | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, on behalf of the running task."""
        if self.task is None:
            self.owner = asyncio.current_task()
            self.task = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        await self.gone()
        self.left = True
        if self.owner is not None:
            self.owner.cancel()

    def stop(self) -> None:
        """Stop watching."""
        if self.task is not None:
            self.task.cancel()
            self.task = None

    def settle(self) -> bool:
        """Whether the cancellation just caught was ours; then the task carries on as if it had not been cancelled."""
        if self.left and self.owner is not None:
            self.left = False
            self.owner.uncancel()
            return True
        return False


async def pump(
    body: Iterable[bytes | Step[Any]], world: World, write: Callable[[bytes], Awaitable[Any]], watch: Watch
) -> None:
    """Write a streamed body: ready pieces together, everything before each step, and the body closed at the end.

    A step's exception is thrown into the body where it waits, as the drivers of `kernel.flow` do. What the body
    itself raises comes out of here, after what was ready has been written.
    """
    pieces = iter(body)
    resume: Callable[[Any], bytes | Step[Any]] | None = getattr(pieces, "send", None)
    ready: list[bytes] = []
    size = 0

    async def flush() -> None:
        data = b"".join(ready)
        ready.clear()
        await write(data)

    try:
        piece = next(pieces, None)
        while piece is not None:
            if isinstance(piece, bytes):
                ready.append(piece)
                size += len(piece)
                if size >= FLUSH:
                    size = 0
                    await flush()
                    # A long body shares the loop with everybody else.
                    await asyncio.sleep(0)
                piece = next(pieces, None)
                continue
            if ready:
                size = 0
                await flush()
            watch.start()
            try:
                result = await piece.aperform(world)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                piece = _throw(pieces, error)
            else:
                piece = next(pieces, None) if resume is None else _send(resume, result)
    except asyncio.CancelledError:
        ready.clear()
        raise
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
        if ready:
            await flush()


def _send(resume: Callable[[Any], bytes | Step[Any]], result: Any) -> bytes | Step[Any] | None:
    try:
        return resume(result)
    except StopIteration:
        return None


def _throw(pieces: Any, error: BaseException) -> bytes | Step[Any] | None:
    throw = getattr(pieces, "throw", None)
    if throw is None:
        raise error
    try:
        return throw(error)
    except StopIteration:
        return None


def failure(error: BaseException) -> Response:
    """The response for what a handler raised. What is not an answer of the API is logged and becomes a bare 500."""
    if isinstance(error, APIStatusError):
        return error.to_response()
    log.error("a handler failed", exc_info=error)
    return InternalServerError.because(
        "The server had an error while processing your request.", headers=_request_id()
    ).to_response()


def too_large(limit: int) -> Response:
    """The response for a body of more than `limit` bytes."""
    return APIStatusError.because(
        f"The request body is larger than the limit of {limit} bytes.",
        code="request_too_large",
        status=413,
        headers=_request_id(),
    ).to_response()


def broken_event(error: BaseException) -> bytes:
    """The server-sent event that tells a client why its stream ends early."""
    import orjson

    response = failure(error)
    return b"data: " + orjson.dumps(orjson.loads(response.content)) + b"\n\n"


def _request_id() -> dict[str, str]:
    return {"x-request-id": f"req_{uuid.uuid4().hex}"}
