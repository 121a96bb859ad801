"""Requests as they arrive on the loop: their heads, and bodies that are taken piece by piece."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from ..kernel.http import Headers, Request
from .pump import Gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..kernel.spool import Spooled
    from .http1 import Connection

__all__ = ("Arriving", "Asked")

_AHEAD: Final = 256 * 1024
"""So many bytes of a large body are read ahead of the disk."""


class Asked:
    """A request as it arrives: its head, and its body so far."""

    __slots__ = (
        "arriving",
        "body",
        "complete",
        "headers",
        "keep",
        "method",
        "modern",
        "origin",
        "path",
        "query",
        "refused",
    )

    def __init__(self, method: str, target: str, headers: Headers, *, modern: bool, keep: bool) -> None:
        if not target.startswith("/") and "://" in target:  # as a proxy is asked
            target = target.partition("://")[2]
            target = target[len(target.partition("?")[0].partition("/")[0]) :]
            target = target if target.startswith("/") else f"/{target}"
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.origin = f"http://{headers.get('host') or 'localhost'}"
        self.modern = modern
        """Whether it is HTTP/1.1, and not older."""
        self.keep = keep
        """Whether the client wants to go on with the connection."""
        self.body: list[bytes] = []
        self.arriving: Arriving | None = None
        self.complete = False
        self.refused = False
        """Whether it was answered before its body had come."""

    def request(self, body: bytes | Spooled) -> Request:
        return Request(self.method, self.path, self.query, self.headers, body, self.origin)

    @property
    def shakes_hands(self) -> bool:
        """Whether it asks for a websocket, which no request with a body does, nor an old one."""
        get = self.headers.get
        bare = get("transfer-encoding") is None and get("content-length", "0") == "0"
        return self.modern and self.method == "GET" and bare and get("upgrade", "").lower() == "websocket"

    def head(self, without: str) -> bytes:
        """Its line and headers as they came, but one."""
        line = f"{self.method} {self.path}{'?' if self.query else ''}{self.query} HTTP/1.{int(self.modern)}"
        lines = [f"{name}: {value}" for name, value in self.headers.pairs if name != without]
        return "\r\n".join([line, *lines, "", ""]).encode("latin-1")


class Arriving:
    """A body that is taken while it comes. Iterating raises `Gone` when the client leaves before its end."""

    __slots__ = ("_ended", "_gone", "_pieces", "_size", "_waiting", "connection")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = self._gone = False
        self._waiting: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        return self._size > _AHEAD

    def take(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def leave(self) -> None:
        self._gone = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._size -= len(piece)
                self.connection.balance()
                yield piece
            if self._ended:
                return
            if self._gone:
                raise Gone
            self._waiting = self.connection.loop.create_future()
            await self._waiting
