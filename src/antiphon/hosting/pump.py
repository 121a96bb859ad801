"""What every host does alike: wrap the handler, drive flows and streamed bodies, notice that the client has left."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..kernel.errors import APIStatusError, InternalServerError, NotFoundError
from ..kernel.flow import World, arun
from ..kernel.severed import Severed

if TYPE_CHECKING:
    from ..kernel.dialogue import Dialogue
    from ..kernel.flow import Flow, Step
    from ..kernel.http import Filter, Handler, Headers, Request, Response

__all__ = (
    "FLUSH",
    "MAX_BODY",
    "Application",
    "AskingWatch",
    "Gone",
    "Stream",
    "Watch",
    "discard",
    "failure",
    "pump",
    "sendable",
    "subprotocol_of",
    "tells_its_end",
    "too_large",
)

FLUSH = 64 * 1024
"""Pieces that are ready without waiting are put together into writes of about this many bytes."""

MAX_BODY = 513 * 1024 * 1024
"""The largest request body that is taken, in bytes: the API's largest file, and room for the form around it."""

LINGERS = 5.0
"""For how many seconds a body is read that is refused for its length."""

LINGERS_FOR = 64 * 1024 * 1024
"""How many bytes of such a body are read, at least."""

MOMENT = 0.02
"""For how many seconds an answer is waited for before anybody looks whether its client is still there."""

STOPPED = "The server was stopped before the end of this stream."

log = logging.getLogger("antiphon.hosting")


class Gone(Exception):
    """The client left before the end of its response."""


class Watch:
    """Interrupts the running task, wherever it waits, when it is told that the client has left."""

    __slots__ = ("left", "owner")

    def __init__(self) -> None:
        self.left = False
        self.owner: asyncio.Task[Any] | None = None

    def start(self) -> None:
        """Begin to watch, on behalf of the running task."""
        if self.owner is None:
            self.owner = asyncio.current_task()

    def leave(self) -> None:
        """The client has left."""
        self.left = True
        if self.owner is not None:
            self.owner.cancel()

    def settle(self) -> bool:
        """Whether the cancellation just caught was ours; then the task carries on as if it had not been cancelled."""
        if self.left and self.owner is not None:
            self.left = False
            self.owner.uncancel()
            return True
        return False


class AskingWatch(Watch):
    """A watch that finds out by itself.

    `gone` gives an awaitable that ends when the client has left. Nothing is started before the first `start`, and then
    a moment later: most answers are over before anybody could leave.
    """

    __slots__ = ("gone", "task", "timer")

    def __init__(self, gone: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self.gone = gone
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self.owner is None:
            super().start()
            self.timer = asyncio.get_running_loop().call_later(MOMENT, self._watch)

    def _watch(self) -> None:
        self.timer = None
        self.task = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        await self.gone()
        self.leave()

    def stop(self) -> None:
        """Stop watching."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.task is not None:
            self.task.cancel()
            self.task = None


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
        self.dialogue: Callable[[Request], Dialogue | Response] | None = getattr(handler, "dialogue", None)
        """Opens websockets, where the handler has them."""
        self.max_body: int = getattr(handler, "max_body", MAX_BODY) if max_body is None else max_body
        self.at_once: bool = getattr(handler, "at_once", True)
        """Whether most answers are there when the handler returns. Where they are not, it is called on the loop that
        waits for them: two threads that take turns at the interpreter cost more than they save."""

        def refuse(request: Request) -> Response:
            return too_large(self.max_body)

        self.handler: Handler = handler
        self.refuse: Handler = refuse
        for each in reversed(tuple(filters)):
            self.handler = each(self.handler)
            self.refuse = each(self.refuse)

    def answer(self, request: Request, *, whole: bool = True) -> Any:
        """What the handler says, or for a request that did not come whole the host: a response, or a flow to one.

        Raises nothing.
        """
        try:
            return self.handler(request) if whole else self.refuse(request)
        except Severed as severed:
            return _severed(severed)
        except Exception as error:
            return failure(error)

    async def let_end(self, pieces: AsyncIterable[bytes], length: int | None) -> bool:
        """Take the rest of a body that is too large, unless it is much larger, and throw it away: whether it ended.

        Most clients that are cut off while they send do not read why.
        """
        most = max(2 * self.max_body, LINGERS_FOR)
        if length is not None and length > most:
            return False
        try:
            async with asyncio.timeout(LINGERS):
                async for piece in pieces:
                    most -= len(piece)
                    if most < 0:
                        return False
        except TimeoutError:
            return False
        return True

    def opened(self, request: Request) -> Dialogue | Response:
        """The dialogue of a websocket's handshake, or the response that refuses it."""
        if self.dialogue is None:
            return NotFoundError.because(f"There is no websocket at {request.path}.").to_response()
        try:
            return self.dialogue(request)
        except Exception as error:
            return failure(error)

    async def finish(self, flow: Flow[Response], watch: Watch) -> Response:
        """Drive a handler's flow to its response. Raises `Severed` where it has none."""
        watch.start()
        try:
            return await arun(flow, self.world)
        except Severed:
            raise
        except Exception as error:
            return failure(error)

    async def stream(
        self,
        response: Response,
        stream: Stream,
        write: Callable[[bytes], Awaitable[Any]],
        watch: Watch,
        ready: bytes = b"",
    ) -> bool:
        """Write a streamed body. A stream of events that breaks says why in a last event; any other just ends.

        `False` where it broke and its client could not be told. Raises `Severed` where its connection is to end.
        """
        events = tells_its_end(response)
        try:
            await pump(stream, self.world, write, watch, ready)
        except (Gone, Severed):
            raise
        except asyncio.CancelledError:
            # Where the client is still there, the server has stopped, and the end would look like a good one.
            if events and not watch.left:
                await write(broken_event(InternalServerError.because(STOPPED)))
            raise
        except Exception as error:
            event = broken_event(error)
            if events:
                await write(event)
            return events
        return True


class Stream:
    """A streamed body being read: what is ready together, and the step to take before there is more.

    A step's result is sent into the body where it waits, its exception thrown, as the drivers of `kernel.flow` do.
    """

    __slots__ = ("_next", "_resume", "ended", "error", "pieces", "step")

    def __init__(self, body: Iterable[bytes | Step[Any]]) -> None:
        self.pieces: Any = iter(body)
        self.step: Step[Any] | None = None
        """What has to be done before there is more."""
        self.ended = False
        self.error: Exception | None = None
        """What the body raised, if it ended so."""
        self._next: bytes | Step[Any] | None = None
        self._resume: Callable[[Any], bytes | Step[Any]] | None = getattr(self.pieces, "send", None)

    def gather(self) -> bytes:
        """The pieces that are ready without waiting, up to about `FLUSH` bytes; nothing at the end."""
        if self.ended:
            return b""
        ready: list[bytes] = []
        size = 0
        try:
            piece = self._next
            if piece is None:
                piece = next(self.pieces, None)
            self._next = None
            while piece is not None:
                if not isinstance(piece, bytes):
                    self.step = piece
                    break
                ready.append(piece)
                size += len(piece)
                if size >= FLUSH:
                    break
                piece = next(self.pieces, None)
            else:
                self.ended = True
        except Exception as error:
            self.ended, self.error = True, error
        return ready[0] if len(ready) == 1 else b"".join(ready)

    def send(self, result: Any) -> None:
        """Go on with the result of the step."""
        self._advance(self._resume, result)

    def throw(self, error: BaseException) -> None:
        """Go on with the exception of the step."""
        throw: Callable[[BaseException], bytes | Step[Any]] | None = getattr(self.pieces, "throw", None)
        if throw is None:
            raise error
        self._advance(throw, error)

    def _advance(self, way: Callable[[Any], bytes | Step[Any]] | None, value: Any) -> None:
        self.step = None
        if way is None:
            return
        try:
            self._next = way(value)
        except StopIteration:
            self.ended = True

    def close(self) -> None:
        """Close the body, wherever it stands."""
        discard(self.pieces)


def subprotocol_of(headers: Headers) -> str | None:
    """What a websocket agrees to speak: the first that is offered. Those with a dot stand for headers, keys even."""
    for each in (headers.get("sec-websocket-protocol") or "").split(","):
        name: str = each.strip()
        if name and "." not in name:
            return name
    return None


def tells_its_end(response: Response) -> bool:
    """Whether a body is a stream of events, the last of which says why it breaks off."""
    kind: str = response.headers.get("content-type", "")
    return kind.startswith("text/event-stream")


async def pump(
    stream: Stream, world: World, write: Callable[[bytes], Awaitable[Any]], watch: Watch, ready: bytes = b""
) -> None:
    """Write a streamed body: ready pieces together, everything before each step, and the body closed at the end.

    `ready` is what has been gathered of it already.

    What the body raises comes out of here, after what was ready has been written.
    """
    try:
        if ready:
            await write(ready)
        while not stream.ended:
            step = stream.step
            if step is not None:
                watch.start()
                try:
                    result = await step.aperform(world)
                except asyncio.CancelledError:
                    raise
                except BaseException as error:
                    stream.throw(error)
                else:
                    stream.send(result)
            data = stream.gather()
            if data:
                await write(data)
                if stream.step is None and not stream.ended:
                    # A long body shares the loop with everybody else.
                    await asyncio.sleep(0)
        if stream.error is not None:
            raise stream.error
    finally:
        stream.close()


def _severed(severed: Severed) -> Generator[Step[Any], Any, Response]:
    """A flow that comes to nothing."""
    yield from ()
    raise severed


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
        f"Maximum content size limit ({limit}) exceeded",
        code="content_too_large",
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
