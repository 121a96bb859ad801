"""Bodies read in pieces, taken apart as their reader wants them: by size, as text, by lines."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar

from .errors import OpenAIError
from .http import Response
from .stream import _aclose, _arelease, _close, _release

S = TypeVar("S", bytes, str)

__all__ = ("AsyncPieces", "Chunks", "Lines", "Pieces", "StreamAlreadyConsumed", "decoder")


class StreamAlreadyConsumed(OpenAIError):
    """A body was to be read that has been read piece by piece before, and is gone."""

    def __init__(self) -> None:
        super().__init__(
            "The body of this response has been read piece by piece already, so it is gone. Call `read()` first, or "
            "keep the pieces."
        )


class _State:
    __slots__ = ("_body", "_pieces", "begun", "closed", "ended")
    begun: bool
    """Whether a piece was asked for."""
    closed: bool
    """Whether the end was reached, or the body was closed before it."""
    ended: float | None
    """When that was, by `time.perf_counter()`."""

    def _end(self) -> None:
        if not self.closed:
            self.closed, self.ended = True, time.perf_counter()


class Pieces(_State):
    """A body as it arrives; remembers whether it has been read and whether it is closed."""

    __slots__ = ()

    def __init__(self, body: Any) -> None:
        self._body = body
        self._pieces: Iterator[bytes] = iter((body,) if isinstance(body, bytes) else body)
        self.begun = self.closed = False
        self.ended = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.begun = True
        if self.closed:
            raise StopIteration
        try:
            return next(self._pieces)
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """Break the connection off, unless the end was reached."""
        self._end()
        _close(self._body)

    def release(self) -> None:
        """Let the rest arrive unread, where the transport can."""
        self._end()
        _release(self._body)


class AsyncPieces(_State):
    """`Pieces` for an event loop."""

    __slots__ = ()

    def __init__(self, body: Any) -> None:
        self._body = body
        self._pieces: AsyncIterator[bytes] = aiter(_one(body) if isinstance(body, bytes) else body)
        self.begun = self.closed = False
        self.ended = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.begun = True
        if self.closed:
            raise StopAsyncIteration
        try:
            return await anext(self._pieces)
        except BaseException:
            self._end()
            raise

    async def aclose(self) -> None:
        """Break the connection off, unless the end was reached."""
        self._end()
        await _aclose(self._body)

    async def arelease(self) -> None:
        """Let the rest arrive unread, where the transport can."""
        self._end()
        await _arelease(self._body)


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


class Chunks(Generic[S]):
    """Pieces of any size made into chunks of one size, or passed on as they are where there is none."""

    __slots__ = ("_held", "_length", "_size")

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._held: list[S] = []
        self._length = 0

    def feed(self, piece: S) -> list[S]:
        """The chunks that `piece` completes."""
        size = self._size
        if not piece:
            return []
        if size is None:
            return [piece]
        self._held.append(piece)
        self._length += len(piece)
        if self._length < size:
            return []
        whole = self._joined()
        whole_chunks = self._length - self._length % size
        rest = whole[whole_chunks:]
        self._held, self._length = ([rest] if rest else []), len(rest)
        return [whole[start : start + size] for start in range(0, whole_chunks, size)]

    def flush(self) -> list[S]:
        """What is left at the end."""
        left = [self._joined()] if self._held else []
        self._held, self._length = [], 0
        return left

    def _joined(self) -> S:
        held: list[Any] = self._held
        whole: S = held[0][:0].join(held)
        return whole


_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


class Lines:
    """Text in any split made into lines without their ends, which are those of `str.splitlines`."""

    __slots__ = ("_cr", "_parts")

    def __init__(self) -> None:
        self._parts: list[str] = []  # of a line whose end has not come
        self._cr = False  # a CR was last: an LF may belong to it

    def feed(self, text: str) -> list[str]:
        """The lines that `text` completes."""
        if self._cr:
            text = "\r" + text
        self._cr = text[-1:] == "\r"
        if self._cr:
            text = text[:-1]
        if not text:
            return []
        lines = text.splitlines()
        ended = text[-1] in _ENDS
        if len(lines) == 1 and not ended:
            self._parts.append(text)
            return []
        if self._parts:
            lines[0] = "".join((*self._parts, lines[0]))
        self._parts = [] if ended else [lines.pop()]
        return lines

    def flush(self) -> list[str]:
        """What is left at the end."""
        left = ["".join(self._parts)] if self._parts or self._cr else []
        self._parts, self._cr = [], False
        return left


def decoder(response: Response) -> Any:
    """An incremental decoder for the charset of a response: `decode(piece, final)`."""
    import codecs

    from .binary import HttpxBinaryResponseContent

    return codecs.getincrementaldecoder(HttpxBinaryResponseContent(response).encoding or "utf-8")("replace")
