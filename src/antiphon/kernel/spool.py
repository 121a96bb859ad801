"""Bodies that are too large to be held: gathered piece by piece, kept in a temporary file, read in pieces.

    body = spooled(pieces)        # bytes where they are few, else a `Spooled`
    body.part(100, 5_000_000)     # some of it, over the same file

The file lies where temporary files do (`TMPDIR`) and is removed once nobody holds a `Spooled` over it any more, and at
the end of the process. What is in it does not change, so whoever likes may share it: a body, the file that is kept of
it, and every snapshot of a store with that file.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self

from .http import Upload
from .loops import in_thread

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("IN_MEMORY", "Spool", "Spooled", "aspooled", "pieces_of", "size_of", "spooled")

IN_MEMORY: Final = 1024 * 1024
"""The most bytes of a body that are held in memory."""

_PIECE: Final = 256 * 1024
"""What is read of a file at a time."""


class _File:
    """A temporary file that goes when it is no longer held."""

    __slots__ = ("__weakref__", "path")

    def __init__(self) -> None:
        from tempfile import mkstemp
        from weakref import finalize

        descriptor, self.path = mkstemp(prefix="antiphon-")
        os.close(descriptor)
        finalize(self, _remove, self.path, os.getpid())


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:  # a forked child leaves the files of its parent alone
        with suppress(OSError):
            os.unlink(path)


class Spooled(Upload):
    """Bytes in a temporary file. They can be read again and again, by several at a time."""

    __slots__ = ("_file", "_start", "size")
    size: int
    """How many bytes."""

    def __init__(self, file: Any, start: int, size: int) -> None:
        super().__init__(length=size, at_hand=True)
        self._file: _File = file
        self._start = start
        self.size = size

    @property
    def is_async(self) -> bool:
        return False

    @property
    def place(self) -> tuple[str, int, int]:
        """The path of the file, and where in it the bytes begin and end. Good for as long as this is held."""
        return self._file.path, self._start, self._start + self.size

    def pieces(self) -> Iterator[bytes]:
        left = self.size
        if not left:
            return
        with open(self._file.path, "rb", buffering=0) as file:
            file.seek(self._start)
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise OSError(f"{self._file.path} has been cut short")
                left -= len(piece)
                yield piece

    def part(self, start: int, size: int) -> Spooled:
        """Some of the bytes, over the same file. Raises `ValueError` where there are none."""
        if not 0 <= start <= start + size <= self.size:
            raise ValueError(f"there are no bytes {start} to {start + size} in {self.size}")
        return Spooled(self._file, self._start + start, size)

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> Any:
        return _written, (self.read(),)

    def __repr__(self) -> str:
        return f"<{self.size} bytes in {self._file.path}>"


def _written(data: bytes) -> Spooled:
    with Spool(0) as spool:
        spool.write(data)
        return spool.finish()


class Spool:
    """Takes bytes piece by piece. A context manager: what is not done when it is left is thrown away."""

    __slots__ = ("_file", "_flushed", "_most", "_ready", "_writer", "size")

    def __init__(self, most: int = IN_MEMORY) -> None:
        self.size = 0
        """How many bytes were taken."""
        self._most = most
        self._ready: list[bytes] = []
        self._flushed = 0
        self._file: _File | None = None
        self._writer: BinaryIO | None = None

    def write(self, piece: bytes) -> None:
        """Take a piece. It is held in memory until `flush`."""
        self.size += len(piece)
        self._ready.append(piece)

    @property
    def full(self) -> bool:
        """Whether so much is held that it is time for `flush`."""
        return self.size - self._flushed > self._most

    def flush(self) -> None:
        """Put what is held into the file. Raises `OSError` when it does not take it."""
        if self._writer is None:
            self._file = _File()
            self._writer = open(self._file.path, "wb", buffering=0)  # noqa: SIM115
        data = b"".join(self._ready)
        self._ready.clear()
        view = memoryview(data)
        while view:
            view = view[self._writer.write(view) :]
        self._flushed = self.size

    def done(self) -> bytes | Spooled:
        """What was taken: bytes where they are few."""
        return b"".join(self._ready) if self._file is None and self.size <= self._most else self.finish()

    def finish(self) -> Spooled:
        """What was taken, in the file, however little it is."""
        self.flush()
        self.close()
        return Spooled(self._file, 0, self.size)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def spooled(pieces: Iterable[bytes], most: int | None = None) -> bytes | Spooled:
    """Pieces as one body. Once there are more bytes than `most`, no further piece is asked for."""
    with Spool() as spool:
        for piece in pieces:
            spool.write(piece)
            if spool.full:
                spool.flush()
            if most is not None and spool.size > most:
                break
        return spool.done()


async def aspooled(pieces: AsyncIterable[bytes], most: int | None = None) -> bytes | Spooled:
    """`spooled` for an event loop; the file is written in threads."""
    with Spool() as spool:
        async for piece in pieces:
            spool.write(piece)
            if most is not None and spool.size > most:
                break
            if spool.full:
                await in_thread(spool.flush)
        return spool.done() if spool.size <= IN_MEMORY else await in_thread(spool.finish)


def size_of(body: bytes | Spooled) -> int:
    """How many bytes a body has."""
    return len(body) if isinstance(body, bytes) else body.size


def pieces_of(body: bytes | Spooled) -> Iterator[bytes]:
    """A body in pieces; one that is bytes is one piece."""
    return iter((body,)) if isinstance(body, bytes) else body.pieces()
