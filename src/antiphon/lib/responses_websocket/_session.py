"""Sessions: one reader of a connection, many lanes, in each colour.

The reader is the connection's own iteration, so a connection that was lost is made again as it was asked to be. What a
lane sends goes over the connection that it was meant for or not at all: nobody knows what became of the responses of
another one.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from ...kernel.view import View
from ._lanes import Lane, Lanes

if TYPE_CHECKING:
    from collections.abc import Generator, MutableMapping
    from types import TracebackType

    from ...types.responses.response import Response
    from ...types.responses.responses_client_event import ResponsesClientEvent
    from ...types.responses.responses_client_event_param import ResponsesClientEventParam
    from ...types.responses.responses_server_event import ResponsesServerEvent
    from ._limits import ResponsesWebSocketLimits

    # What is built on connections is below them: they are known by what they can do.
    from ...api._helpers.sockets import Pin  # isort: skip
    from ...api.connections.responses import AsyncResponsesConnection, ResponsesConnection  # isort: skip

__all__ = (
    "AsyncResponsesWebSocketLane",
    "AsyncResponsesWebSocketSession",
    "ResponsesWebSocketLane",
    "ResponsesWebSocketSession",
)

_OWNER = "_session"
_TWICE = "a session can only be entered once"
_OUTSIDE = "enter the session before receiving: `with ResponsesWebSocketSession(…) as session:`"
_TAKEN = "this connection already has a WebSocket session: one reads, the others would get nothing"
_INACTIVE = "the session is not active: it is entered with `with` or `async with`, and closed once"
PATIENCE = 5.0
"""How long closing waits for the reader, in seconds."""


class _Hold:
    """What a session has of its connection until both are done with it: the session itself and its reader."""

    def __init__(self, connection: object) -> None:
        self._attributes: MutableMapping[str, Any] = vars(connection)
        self._users: set[str] = set()

    def take(self) -> None:
        """Raises `RuntimeError` where another session has it."""
        if self._attributes.setdefault(_OWNER, self) is not self:
            raise RuntimeError(_TAKEN)
        self._users = {"session", "reader"}

    def drop(self, *users: Literal["session", "reader"]) -> None:
        self._users.difference_update(users)
        if not self._users and self._attributes.get(_OWNER) is self:
            del self._attributes[_OWNER]


def _command(event: Any, stream_id: str | None) -> tuple[dict[str, Any], bool]:
    """A command as it is sent in a lane, and whether it asks for a response."""
    data = dict(event._data if isinstance(event, View) else event)
    creates = data.get("type") == "response.create"
    if creates:
        if data.get("stream_id", stream_id) != stream_id:
            raise ValueError(f"the stream_id {data['stream_id']!r} does not match that of the lane, {stream_id!r}")
        if stream_id is not None:
            data["stream_id"] = stream_id
    return data, creates


class _Lane:
    """What lanes of both colours are."""

    def __init__(self, session: _Session[Any, Any], state: Lane) -> None:
        self._session = session
        self._state = state

    def _sending(self, event: Any) -> tuple[Pin, str]:
        """A command that the lane has begun, and the connection it is for."""
        session, state = self._session, self._state
        socket = session.connection._socket
        pin = socket.pin()
        session._check_send(state)
        data, creates = _command(event, state.stream_id)
        text = socket.text(data)
        pin.claim(lambda: session._router.begin(state, creates))
        return pin, text

    def close(self) -> None:
        """Detach the lane: what waits in it is forgotten, and what still comes for it goes to the default lane."""
        self._session._router.detach(self._state)


L = TypeVar("L", bound=_Lane)
R = TypeVar("R")


class _Session(Generic[L, R]):
    """What sessions of both colours are: lanes, and a life that is `new`, then `open`, then `over`."""

    connection: Any
    default: L

    def __init__(self, connection: Any, limits: ResponsesWebSocketLimits, isolated: bool, made: type[L]) -> None:
        self.connection = connection
        self._router = Lanes(limits, lambda: connection._socket.connections, isolate_lane_overflow=isolated)
        self._hold = _Hold(connection)
        self._life: Literal["new", "open", "over"] = "new"
        self._made = made
        self._reader: R | None = None
        self.default = made(self, self._router.default)

    def lane(self, stream_id: str | None = None) -> L:
        """A new lane, before anything is sent in it; without a name, a new default lane after the old one was closed
        over a connection that is no more. A name is 1 to 256 ASCII letters, digits, `_`, `-` and `.`.

        Raises `ValueError` for a name that is taken or is none, `ResponsesWebSocketBufferError` beyond `max_lanes`.
        """
        lane = self._made(self, self._router.register(stream_id))
        if stream_id is None:
            self.default = lane
        return lane

    @contextmanager
    def _opening(self) -> Generator[None, None, None]:
        """Where the reader is started; if it cannot be, nothing has happened."""
        if self._life != "new":
            raise RuntimeError(_TWICE)
        self._hold.take()
        self._life = "open"
        try:
            yield
        except BaseException:
            self._life, self._reader = "new", None
            self._hold.drop("session", "reader")
            raise

    def _end(self) -> None:
        self._life = "over"
        self._router.finish()

    def _check_send(self, lane: Lane) -> None:
        if self._life != "open":
            raise RuntimeError(_INACTIVE)
        self._router.check(lane)


def _unless(failed: BaseException | None) -> suppress:
    """What closing raises is told, unless something was raised before."""
    return suppress(*([] if failed is None else [Exception]))


class ResponsesWebSocketLane(_Lane):
    """One conversation of a session: made by `session.lane(stream_id)`, or `session.default`. One thread receives."""

    _session: ResponsesWebSocketSession

    def send(self, event: ResponsesClientEvent | ResponsesClientEventParam) -> None:
        """Send a command; `response.create` is given the lane's `stream_id`.

        It is never kept for later nor sent again. Raises `RuntimeError` while the last response has not been received
        to its end, while the connection is being made again, and after the end; `ValueError` for another lane's
        `stream_id`; and the library's `ConnectionClosed`.
        """
        pin, text = self._sending(event)
        pin.send(text)

    def recv(self, *, timeout: float | None = None) -> ResponsesServerEvent:
        """The next event.

        Raises `TimeoutError` after `timeout` seconds, with nothing lost; `EOFError` where the lane or the connection
        was closed; `ResponsesWebSocketBufferError`; and what the connection was lost with.
        """
        if self._session._reader is None:
            raise RuntimeError(_OUTSIDE)
        deadline = None if timeout is None else monotonic() + timeout
        lanes = self._session._router
        with lanes.condition:
            while (event := lanes.take(self._state)) is None:
                left = _left(deadline)
                if left is not None and left <= 0:
                    raise TimeoutError(f"no event within {timeout} s")
                lanes.condition.wait(left)
            received: ResponsesServerEvent = event
            return received

    def get_final_response(self, *, timeout: float | None = None) -> Response:
        """Receive to the end of the response, and give it: completed, failed or incomplete.

        Again gives the same, unless another has begun.

        Raises `ResponsesWebSocketError` where the server refused the request, and what `recv` raises.
        """
        deadline = None if timeout is None else monotonic() + timeout
        lanes = self._session._router
        awaited = lanes.awaited(self._state)
        while (final := lanes.final(self._state, awaited)) is None:
            self.recv(timeout=_left(deadline))
        return final


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())


class ResponsesWebSocketSession(_Session[ResponsesWebSocketLane, threading.Thread]):
    """Several responses at once over a connection, each in a lane of its own.

    The session reads the connection, in a thread, and closes it when it is left: receive from its lanes only. What has
    no lane comes to `default`, errors of the connection among it. Where more waits than `limits` allow, all lanes end
    in `ResponsesWebSocketBufferError`; with `isolate_lane_overflow` only those that are furthest behind do.

    Where the connection is made again, lanes go on over the new one, which knows nothing of their responses; and names
    of lanes that were closed can be used again.
    """

    connection: ResponsesConnection

    def __init__(
        self, connection: ResponsesConnection, *, limits: ResponsesWebSocketLimits, isolate_lane_overflow: bool = False
    ) -> None:
        super().__init__(connection, limits, isolate_lane_overflow, ResponsesWebSocketLane)

    @property
    def _thread(self) -> threading.Thread | None:
        """The reader, as the official suite looks for it."""
        return self._reader

    def __enter__(self) -> Self:
        with self._opening():
            self._reader = threading.Thread(target=self._read, name="antiphon-responses", daemon=True)
            self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _unless(error):
            self.close()

    def close(self) -> None:
        """Close the session and its connection. Raises `RuntimeError` where reading has not ended 5 s later."""
        reader, again = self._reader, self._life == "over"
        self._end()
        if reader is None or (again and not reader.is_alive()):
            return
        with ExitStack() as then:
            then.callback(self._await, reader)
            self.connection.close()

    def _await(self, reader: threading.Thread) -> None:
        """See the reader end; where that is who closes, it ends by itself."""
        self._hold.drop("session")
        if reader is not threading.current_thread():
            reader.join(PATIENCE)
            if reader.is_alive():
                raise RuntimeError("the reader did not stop after the connection was closed")

    def _read(self) -> None:
        socket = self.connection._socket
        with ExitStack() as last:
            last.callback(self._hold.drop, "reader")
            last.callback(self._router.finish)
            try:
                while (data := socket.next()) is not None:
                    self._router.dispatch(self.connection.parse_event(data), len(data))
            except Exception as error:
                self._router.finish(error)
                with suppress(Exception):
                    socket.leave()


class AsyncResponsesWebSocketLane(_Lane):
    """`ResponsesWebSocketLane` for an event loop. A wait that is cancelled loses nothing. One task receives."""

    _session: AsyncResponsesWebSocketSession

    def __init__(self, session: AsyncResponsesWebSocketSession, state: Lane) -> None:
        super().__init__(session, state)
        self._changed = asyncio.Event()
        state.changed = self._changed.set

    async def send(self, event: ResponsesClientEvent | ResponsesClientEventParam) -> None:
        """Send a command. See `ResponsesWebSocketLane.send`."""
        pin, text = self._sending(event)
        await pin.send(text)

    async def recv(self) -> ResponsesServerEvent:
        """The next event. See `ResponsesWebSocketLane.recv`."""
        if self._session._reader is None:
            raise RuntimeError(_OUTSIDE)
        lanes = self._session._router
        while True:
            self._changed.clear()
            with lanes.condition:
                event = lanes.take(self._state)
            if event is not None:
                received: ResponsesServerEvent = event
                return received
            await self._changed.wait()

    async def get_final_response(self) -> Response:
        """Receive to the end of the response. See `ResponsesWebSocketLane.get_final_response`."""
        lanes = self._session._router
        awaited = lanes.awaited(self._state)
        while (final := lanes.final(self._state, awaited)) is None:
            await self.recv()
        return final


class AsyncResponsesWebSocketSession(_Session[AsyncResponsesWebSocketLane, "asyncio.Task[None]"]):
    """`ResponsesWebSocketSession` for an event loop: the reader is a task."""

    connection: AsyncResponsesConnection

    def __init__(
        self,
        connection: AsyncResponsesConnection,
        *,
        limits: ResponsesWebSocketLimits,
        isolate_lane_overflow: bool = False,
    ) -> None:
        super().__init__(connection, limits, isolate_lane_overflow, AsyncResponsesWebSocketLane)
        self._closing: asyncio.Task[None] | None = None

    @property
    def _task(self) -> asyncio.Task[None] | None:
        """The reader, as the official suite looks for it."""
        return self._reader

    async def __aenter__(self) -> Self:
        with self._opening():
            self._reader = asyncio.create_task(self._read(), name="antiphon-responses")
        # Not in the task: one that is cancelled before it began runs nothing.
        self._reader.add_done_callback(lambda _: self._hold.drop("reader"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _unless(error):
            await self.close()

    async def close(self) -> None:
        """Close the session and its connection. Closing goes on where this is cancelled; again waits for it."""
        self._end()
        if self._reader is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(self._reader), name="antiphon-responses-close")
        # Not awaited itself: who is cancelled here does not take it along.
        await asyncio.wait((self._closing,))
        self._closing.result()

    async def _close(self, reader: asyncio.Task[None]) -> None:
        async with AsyncExitStack() as then:
            then.callback(self._hold.drop, "session")
            then.push_async_callback(self.connection._socket.leave)
            reader.cancel()
            await asyncio.wait((reader,))

    async def _read(self) -> None:
        socket = self.connection._socket
        with ExitStack() as last:
            last.callback(self._router.finish)
            try:
                while (data := await socket.next()) is not None:
                    self._router.dispatch(self.connection.parse_event(data), len(data))
            except Exception as error:
                self._router.finish(error)
                with suppress(Exception):
                    await socket.leave()
