"""Sessions: one reader of a connection, many lanes, in each colour.

The reader is the connection's own iteration, so a connection that was lost is made again as it was asked to be. What a
lane sends goes over the connection that it was meant for or not at all: nobody knows what became of the responses of
another one.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from ...kernel.view import View
from ._lanes import Lane, Lanes

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import TracebackType

    from ...types.responses.response import Response
    from ...types.responses.responses_client_event import ResponsesClientEvent
    from ...types.responses.responses_client_event_param import ResponsesClientEventParam
    from ...types.responses.responses_server_event import ResponsesServerEvent
    from ._limits import ResponsesWebSocketLimits

    # What is built on connections is below them: they are known by what they can do.
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
PATIENCE = 5.0
"""How long closing waits for the reader, in seconds."""


def _claim(connection: object, owner: object) -> None:
    held: MutableMapping[str, Any] = vars(connection)
    if held.setdefault(_OWNER, owner) is not owner:
        raise RuntimeError("this connection already has a WebSocket session: one reads, the others would get nothing")


def _release(connection: object, owner: object) -> None:
    held: MutableMapping[str, Any] = vars(connection)
    if held.get(_OWNER) is owner:
        del held[_OWNER]


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


class ResponsesWebSocketLane:
    """One conversation of a session: made by `session.lane(stream_id)`, or `session.default`. One thread receives."""

    def __init__(self, session: ResponsesWebSocketSession, state: Lane) -> None:
        self._session = session
        self._state = state

    def send(self, event: ResponsesClientEvent | ResponsesClientEventParam) -> None:
        """Send a command; `response.create` is given the lane's `stream_id`.

        It is never kept for later nor sent again. Raises `RuntimeError` while the last response has not been received
        to its end, while the connection is being made again, and after the end; `ValueError` for another lane's
        `stream_id`; and the library's `ConnectionClosed`.
        """
        session = self._session
        pin = session.connection._socket.pin()
        session._check_send(self._state)
        data, creates = _command(event, self._state.stream_id)
        text = session.connection._socket.text(data)
        pin.claim(lambda: session._router.begin(self._state, creates))
        pin.send(text)

    def recv(self, *, timeout: float | None = None) -> ResponsesServerEvent:
        """The next event.

        Raises `TimeoutError` after `timeout` seconds, with nothing lost; `EOFError` where the lane or the connection
        was closed; `ResponsesWebSocketBufferError`; and what the connection was lost with.
        """
        if self._session._thread is None:
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

    def close(self) -> None:
        """Detach the lane: what waits in it is forgotten, and what still comes for it goes to the default lane."""
        self._session._router.detach(self._state)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - monotonic())


class ResponsesWebSocketSession:
    """Several responses at once over a connection, each in a lane of its own.

    The session reads the connection, in a thread, and closes it when it is left: receive from its lanes only. What has
    no lane comes to `default`, errors of the connection among it. Where more waits than `limits` allow, all lanes end
    in `ResponsesWebSocketBufferError`; with `isolate_lane_overflow` only those that are furthest behind do.

    Where the connection is made again, lanes go on over the new one, which knows nothing of their responses; and names
    of lanes that were closed can be used again.
    """

    connection: ResponsesConnection
    default: ResponsesWebSocketLane

    def __init__(
        self, connection: ResponsesConnection, *, limits: ResponsesWebSocketLimits, isolate_lane_overflow: bool = False
    ) -> None:
        self.connection = connection
        self._router = Lanes(
            limits, lambda: connection._socket.connections, isolate_lane_overflow=isolate_lane_overflow
        )
        self._thread: threading.Thread | None = None
        self._closed = False
        self.default = ResponsesWebSocketLane(self, self._router.default)

    def __enter__(self) -> Self:
        if self._thread is not None or self._closed:
            raise RuntimeError(_TWICE)
        _claim(self.connection, self)
        self._thread = threading.Thread(target=self._read, name="antiphon-responses", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._thread = None
            _release(self.connection, self)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise

    def lane(self, stream_id: str | None = None) -> ResponsesWebSocketLane:
        """A new lane, before anything is sent in it; without a name, a new default lane after the old one was closed
        over a connection that is no more. A name is 1 to 256 ASCII letters, digits, `_`, `-` and `.`.

        Raises `ValueError` for a name that is taken or is none, `ResponsesWebSocketBufferError` beyond `max_lanes`.
        """
        lane = ResponsesWebSocketLane(self, self._router.register(stream_id))
        if stream_id is None:
            self.default = lane
        return lane

    def close(self) -> None:
        """Close the session and its connection. Raises `RuntimeError` where reading has not ended 5 s later."""
        if self._closed and (self._thread is None or not self._thread.is_alive()):
            return
        self._closed = True
        self._router.finish()
        thread = self._thread
        if thread is None:
            return
        try:
            self.connection.close()
        finally:
            if thread is not threading.current_thread():
                thread.join(timeout=PATIENCE)
                if thread.is_alive():
                    raise RuntimeError("the reader did not stop after the connection was closed")
                _release(self.connection, self)

    def _check_send(self, lane: Lane) -> None:
        if self._thread is None or self._closed:
            raise RuntimeError("the session is not active: it is entered with `with`, and closed once")
        self._router.begin(lane, False)

    def _read(self) -> None:
        connection = self.connection
        try:
            while (data := connection._socket.next()) is not None:
                self._router.dispatch(connection.parse_event(data), len(data))
        except Exception as error:
            self._router.finish(error)
            with suppress(Exception):
                connection._socket.leave()
        finally:
            self._router.finish()
            if self._closed:
                _release(connection, self)


class AsyncResponsesWebSocketLane:
    """`ResponsesWebSocketLane` for an event loop. A wait that is cancelled loses nothing. One task receives."""

    def __init__(self, session: AsyncResponsesWebSocketSession, state: Lane) -> None:
        self._session = session
        self._state = state
        self._changed = asyncio.Event()
        state.changed = self._changed.set

    async def send(self, event: ResponsesClientEvent | ResponsesClientEventParam) -> None:
        """Send a command. See `ResponsesWebSocketLane.send`."""
        session = self._session
        pin = session.connection._socket.pin()
        session._check_send(self._state)
        data, creates = _command(event, self._state.stream_id)
        text = session.connection._socket.text(data)
        pin.claim(lambda: session._router.begin(self._state, creates))
        await pin.send(text)

    async def recv(self) -> ResponsesServerEvent:
        """The next event. See `ResponsesWebSocketLane.recv`."""
        if self._session._task is None:
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

    def close(self) -> None:
        """Detach the lane. See `ResponsesWebSocketLane.close`."""
        self._session._router.detach(self._state)


class AsyncResponsesWebSocketSession:
    """`ResponsesWebSocketSession` for an event loop: the reader is a task."""

    connection: AsyncResponsesConnection
    default: AsyncResponsesWebSocketLane

    def __init__(
        self,
        connection: AsyncResponsesConnection,
        *,
        limits: ResponsesWebSocketLimits,
        isolate_lane_overflow: bool = False,
    ) -> None:
        self.connection = connection
        self._router = Lanes(
            limits, lambda: connection._socket.connections, isolate_lane_overflow=isolate_lane_overflow
        )
        self._task: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._closed = False
        self.default = AsyncResponsesWebSocketLane(self, self._router.default)

    async def __aenter__(self) -> Self:
        if self._task is not None or self._closed:
            raise RuntimeError(_TWICE)
        _claim(self.connection, self)
        self._task = asyncio.create_task(self._read(), name="antiphon-responses")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except Exception:
            if error is None:
                raise

    def lane(self, stream_id: str | None = None) -> AsyncResponsesWebSocketLane:
        """A new lane. See `ResponsesWebSocketSession.lane`."""
        lane = AsyncResponsesWebSocketLane(self, self._router.register(stream_id))
        if stream_id is None:
            self.default = lane
        return lane

    async def close(self) -> None:
        """Close the session and its connection. Closing goes on where this is cancelled; again waits for it."""
        self._closed = True
        self._router.finish()
        if self._task is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(self._task), name="antiphon-responses-close")
        # Not awaited itself: who is cancelled here does not take it along.
        await asyncio.wait((self._closing,))
        self._closing.result()

    async def _close(self, reader: asyncio.Task[None]) -> None:
        try:
            reader.cancel()
            await asyncio.wait((reader,))
            await self.connection._socket.leave()
        finally:
            _release(self.connection, self)

    def _check_send(self, lane: Lane) -> None:
        if self._task is None or self._closed:
            raise RuntimeError("the session is not active: it is entered with `async with`, and closed once")
        self._router.begin(lane, False)

    async def _read(self) -> None:
        connection = self.connection
        try:
            while (data := await connection._socket.next()) is not None:
                self._router.dispatch(connection.parse_event(data), len(data))
        except Exception as error:
            self._router.finish(error)
            with suppress(Exception):
                await connection._socket.leave()
        finally:
            self._router.finish()
