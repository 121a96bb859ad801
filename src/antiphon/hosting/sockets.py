"""Websockets on the event loop itself, framed by the `websockets` package."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ..kernel.dialogue import converse
from ..kernel.severed import Severed
from .pump import Gone, log, subprotocol_of

if TYPE_CHECKING:
    from ..kernel.dialogue import Dialogue
    from .arriving import Asked
    from .http1 import Connection

__all__ = ("Socket",)

MOST_MESSAGE: Final = 64 * 1024 * 1024
"""The longest message, in bytes."""
_AHEAD: Final = 256 * 1024
"""So many bytes of messages are read ahead of who hears them,"""
_MANY: Final = 1024
"""and so many messages, however short."""
_FAREWELL: Final = 2.0
"""Seconds that a client has to answer a goodbye."""


class Socket:
    """A dialogue over a connection that has become a websocket, or that says why it has not."""

    def __init__(self, connection: Connection, asked: Asked, dialogue: Dialogue) -> None:
        self.connection = connection
        self.dialogue = dialogue
        agreed = subprotocol_of(asked.headers)
        self.protocol = ServerProtocol(
            state=State.OPEN,  # what opens it has been read already
            max_size=MOST_MESSAGE,
            subprotocols=None if agreed is None else [Subprotocol(agreed)],
            select_subprotocol=None if agreed is None else lambda _, offered: Subprotocol(agreed),
        )
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._part = bytearray()
        """Of a message whose end has not come."""
        self._waiting: asyncio.Future[None] | None = None
        self._paused = self._lost = False
        self._task: asyncio.Task[None] | None = None
        response = self.protocol.accept(Request(asked.path, Headers(asked.headers.pairs)))
        connection.transport.write(response.serialize())
        if response.status_code == 101:
            self._task = connection.loop.create_task(self._converse())
        else:
            dialogue.ended()
            connection.close()

    # What the connection tells

    def heard(self, data: bytes) -> None:
        """Bytes have come."""
        if self._task is None or not data:
            return
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            self._take(event)
        self._flush()
        if self.protocol.state is not State.OPEN:
            self._wake()
        self.balance()

    def lost(self) -> None:
        """The connection is closed."""
        self._lost = True
        self._wake()

    def cut(self) -> None:
        """Break off the dialogue."""
        if self._task is not None:
            self._task.cancel()

    # Frames

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._size += len(frame.data)
            if not frame.fin:
                self._part += frame.data
            else:
                self._messages.append(bytes(self._part + frame.data) if self._part else bytes(frame.data))
                self._part.clear()
                self._wake()

    def _flush(self) -> None:
        """Send what the protocol has to say; an empty piece is its wish to close."""
        for data in self.protocol.data_to_send():
            if data:
                self.connection.transport.write(data)
            else:
                self.connection.close()

    def balance(self) -> None:
        """Read, unless enough waits already, be it to be heard or to be sent: who pings is answered, too."""
        many = self._size > _AHEAD or len(self._messages) > _MANY
        enough = (many and bool(self._messages)) or self.connection.full
        if enough is not self._paused and not self._lost:
            self._paused = enough
            if enough:
                self.connection.transport.pause_reading()
            else:
                self.connection.transport.resume_reading()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # The dialogue

    async def _converse(self) -> None:
        code = 1012
        try:
            await converse(self.dialogue, self.connection.app.world, self._receive, self._send)
            code = 1000
        except Gone:
            pass
        except asyncio.CancelledError:
            pass  # the server is stopping and its patience is over
        except Severed as severed:
            await self.connection.sever(severed)
        except Exception as error:
            log.error("a dialogue failed", exc_info=error)
            code = 1011
        self._close(code)

    async def _receive(self) -> bytes | None:
        while not self._messages:
            if self._lost or self.protocol.state is not State.OPEN:
                return None
            self._waiting = self.connection.loop.create_future()
            await self._waiting
        message = self._messages.popleft()
        self._size -= len(message)
        self.balance()
        return message

    async def _send(self, message: bytes) -> None:
        if self._lost or self.protocol.state is not State.OPEN:
            raise Gone
        self.protocol.send_text(message)
        self._flush()
        await self.connection.room()

    def _close(self, code: int) -> None:
        if self._lost:
            return
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(code)
            self._flush()
        self.connection.loop.call_later(_FAREWELL, self.connection.close)
