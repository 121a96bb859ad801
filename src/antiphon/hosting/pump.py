"""What every host does alike: wrap the handler, drive flows and streamed bodies, notice that the client has left."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..kernel.errors import APIStatusError, InternalServerError
from ..kernel.flow import World, arun

if TYPE_CHECKING:
    from ..kernel.flow import Flow, Step
    from ..kernel.http import Filter, Handler, Request, Response

__all__ = ("FLUSH", "MAX_BODY", "Application", "Gone", "Watch", "discard", "failure", "pump", "sendable", "too_large")

FLUSH = 64 * 1024
"""Pieces that are ready without waiting are put together into writes of about this many bytes."""

MAX_BODY = 512 * 1024 * 1024
"""The largest request body that is taken, in bytes: the limit of the API's file uploads."""

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


class Application:
    """A handler and what a host needs to drive it.

    `filters` wrap the handler, the first outermost, and also what the host answers by itself (413). `world` is
    how the steps of flows and bodies touch the outside. A body above `max_body` bytes is answered with 413 and
    not read to its end. What is left out comes from the handler where it has an attribute of that name.
    """

    def __init__(
        self,
        handler: Handler,
        filters: Iterable[Filter] = (),
        *,
        world: World | None = None,
        max_body: int | None = None,
    ) -> None:
        self.world: World = world or getattr(handler, "world", None) or World()
        self.max_body: int = getattr(handler, "max_body", MAX_BODY) if max_body is None else max_body

        def refuse(request: Request) -> Response:
            return too_large(self.max_body)

        self.handler: Handler = handler
        self.refuse: Handler = refuse
        for each in reversed(tuple(filters)):
            self.handler = each(self.handler)
            self.refuse = each(self.refuse)

    async def finish(self, flow: Flow[Response], watch: Watch) -> Response:
        """Drive a handler's flow to its response."""
        watch.start()
        try:
            return await arun(flow, self.world)
        except Exception as error:
            return failure(error)

    async def stream(self, response: Response, write: Callable[[bytes], Awaitable[Any]], watch: Watch) -> None:
        """Write a streamed body. A stream of events that breaks says why in a last event; any other just ends."""
        body: Any = response.body
        try:
            await pump(body, self.world, write, watch)
        except Gone:
            raise
        except Exception as error:
            event = broken_event(error)
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                await write(event)


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
        discard(pieces)
        if ready:
            await flush()


def _send(resume: Callable[[Any], bytes | Step[Any]], result: Any) -> bytes | Step[Any] | None:
    try:
        return resume(result)
    except StopIteration:
        return None


def _throw(pieces: Any, error: BaseException) -> bytes | Step[Any] | None:
    throw: Callable[[BaseException], bytes | Step[Any]] | None = getattr(pieces, "throw", None)
    if throw is None:
        raise error
    try:
        return throw(error)
    except StopIteration:
        return None


def discard(body: Any) -> None:
    """Close a streamed body that nobody will read."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


def sendable(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers whose values can be sent: other characters than printable ASCII are percent-encoded as UTF-8."""
    for _, value in pairs:
        if not value.isprintable() or not value.isascii():
            return [(name, "".join(map(_sendable, value))) for name, value in pairs]
    return pairs


def _sendable(character: str) -> str:
    return character if character.isascii() and character.isprintable() else quote(character, safe="")


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
