"""Websockets of a handler in this process: what the library's connections do, with no socket.

A client whose transport is a handler (a fake) speaks with it here. What goes wrong is told by the exceptions of the
`websockets` library, as if it had been there.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...kernel.dialogue import Conversation, Goodbye, Speaks, Unasked, converse
from ...kernel.http import Headers, Request, Response
from ...kernel.severed import Severed

if TYPE_CHECKING:
    from ...kernel.dialogue import Dialogue, Turn
    from ...kernel.flow import World
    from ..base import BaseClient
    from .address import Address
    from .core import Message

__all__ = ("AsyncPeer", "Peer", "handler_of", "peer")


def handler_of(client: BaseClient) -> Speaks | None:
    """What opens the client's websockets in this process; `None` where they go over the network."""
    if client.websocket_base_url is not None:
        return None
    given = client._given_transport
    given = getattr(given, "handler", given)
    return given if isinstance(given, Speaks) else None


def _opened(handler: Speaks, address: Address) -> Dialogue:
    """The dialogue at an address. Raises the library's `InvalidStatus` where the handler refuses it."""
    url = urlsplit(address.url)
    request = Request(
        "GET",
        url.path,
        url.query,
        Headers([(name, str(value)) for name, value in address.headers.items()]),
        b"",
        f"{'https' if url.scheme == 'wss' else 'http'}://{url.netloc}",
    )
    answer = handler.dialogue(request)
    if not isinstance(answer, Response):
        return answer
    from http import HTTPStatus

    from websockets.datastructures import Headers as LibraryHeaders
    from websockets.exceptions import InvalidStatus
    from websockets.http11 import Response as LibraryResponse

    headers = LibraryHeaders(answer.headers.pairs)
    raise InvalidStatus(LibraryResponse(answer.status, HTTPStatus(answer.status).phrase, headers, answer.content))


def _closed(code: int, reason: str) -> Exception:
    from websockets.exceptions import ConnectionClosedOK
    from websockets.frames import Close

    close = Close(code, reason)
    return ConnectionClosedOK(close, close, False)


def _broken(severed: Severed) -> Exception:
    """A connection that ended without a word."""
    from websockets.exceptions import ConnectionClosedError

    error = ConnectionClosedError(None, None)
    error.__cause__ = severed.as_os_error()
    return error


def _data(message: Message) -> bytes:
    return message.encode() if isinstance(message, str) else message


class Peer:
    """A connection whose calls block. Who receives is who the server works for: nothing happens in between."""

    def __init__(self, dialogue: Dialogue, world: World) -> None:
        self._changed = threading.Condition()
        self._hearing = threading.Lock()
        self._unasked: deque[Turn] = deque()
        self._end: Exception | None = None
        if isinstance(dialogue, Unasked):
            dialogue.may_speak(self._speak)
        self._conversation = Conversation(dialogue, world)

    def send(self, message: Message) -> None:
        # Not while the condition is held: what is heard here may have to be said by another connection.
        with self._hearing:
            if self._end is not None:
                raise self._end
            self._conversation.hear(_data(message))
        with self._changed:
            self._changed.notify_all()

    def _speak(self, turn: Turn) -> None:
        with self._changed:
            self._unasked.append(turn)
            self._changed.notify_all()

    def recv(self, timeout: float | None = None, decode: bool | None = None) -> bytes:
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            with self._changed:
                while self._end is None and not self._conversation.speaking and not self._unasked:
                    left = None if deadline is None else deadline - monotonic()
                    if left is not None and left <= 0:
                        raise TimeoutError(f"nothing was said within {timeout} s")
                    self._changed.wait(left)
                if self._end is not None:
                    raise self._end
            while self._unasked:
                self._conversation.take(self._unasked.popleft())
            try:
                message = self._conversation.next()
            except Severed as severed:
                self._break(_broken(severed))
                continue
            except Goodbye:
                self._break(_closed(1000, ""))
                continue
            if message is not None:
                return message

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._break(_closed(code, reason))

    def _break(self, end: Exception) -> None:
        with self._changed:
            if self._end is None:
                self._end = end
                self._conversation.end()
                self._changed.notify_all()


class AsyncPeer:
    """A connection whose calls are coroutines. The server works in a task of the running loop."""

    def __init__(self, dialogue: Dialogue, world: World) -> None:
        self._heard: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._end: BaseException | None = None
        self._task = asyncio.get_running_loop().create_task(converse(dialogue, world, self._heard.get, self._said.put))
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._end is None:
            error = task.exception() or _closed(1000, "")
            self._end = _broken(error) if isinstance(error, Severed) else error
        self._said.put_nowait(None)

    async def send(self, message: Message) -> None:
        if self._end is not None:
            raise self._end
        self._heard.put_nowait(_data(message))

    async def recv(self, decode: bool | None = None) -> bytes:
        if self._end is not None and self._said.empty():
            raise self._end
        message = await self._said.get()
        if message is None:
            self._said.put_nowait(None)  # for whoever asks next
            raise self._end or _closed(1000, "")
        return message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self._end is None:
            self._end = _closed(code, reason)
            self._heard.put_nowait(None)
        await asyncio.wait((self._task,))


def peer(handler: Speaks, address: Address, *, is_async: bool) -> Any:
    """A connection with a handler."""
    found: Any = getattr(handler, "world", None)
    if found is None:
        from ...kernel.flow import World

        found = World()
    return (AsyncPeer if is_async else Peer)(_opened(handler, address), found)
