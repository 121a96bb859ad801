"""Connections whose answers can be interrupted while nothing arrives.

The network is waited for outside of Python, where Ctrl-C is not heard: a model that thinks for a minute in the middle
of a stream could not be stopped. Here another thread waits, and the main thread waits for it, which Ctrl-C ends.
That costs some microseconds a piece, so clients in programs do without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ..kernel.http import Request, Response
from ..transports.network import NetworkTransport

__all__ = ("Interruptible",)


class Interruptible(NetworkTransport):
    """The network, for the main thread of a program that a person runs."""

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        response = super().send(request, timeout, stream)
        if not stream or isinstance(response.body, bytes):
            return response
        return response._replace(body=_Pieces(response.body))


class _Pieces:
    """The body of a response, read by a thread of its own, a piece at a time and only when it is asked for."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._got: SimpleQueue[tuple[bytes | None, BaseException | None]] = SimpleQueue()
        self._over = False
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while (asked := self._asked.get()) == "next":
            try:
                self._got.put((next(self._body, None), None))
            except BaseException as error:
                self._got.put((None, error))
        getattr(self._body, asked)()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._over:
            raise StopIteration
        self._asked.put("next")
        try:
            piece, error = self._got.get()
        except BaseException:
            self.close()
            raise
        if error is not None:
            self.close()
            raise error
        if piece is None:
            self.release()
            raise StopIteration
        return piece

    def close(self) -> None:
        """Break the connection off, once the piece that is waited for has come or not."""
        self._end("close")

    def release(self) -> None:
        """Let the rest arrive unread, so that the connection can be used again."""
        self._end("release")

    def _end(self, how: str) -> None:
        if not self._over:
            self._over = True
            self._asked.put(how)
