"""One line on stderr that changes while something is waited for. Nothing where stderr is no terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import IO, Any, Self

from ._errors import clean
from ._output import is_terminal, shown_size

__all__ = ("Status",)

_DELAY = 0.7
"""Seconds in which most things are done, and which nobody needs to be told about."""
_WIDTH = 24


class Status:
    """What is being done, for how long already, and how much of it is done, until its block is left.

    with Status("uploading notes.pdf") as status:
        client.files.create(file=status.file(path), purpose="user_data")
    """

    def __init__(self, what: str, *, delay: float = _DELAY) -> None:
        self.what = clean(what)
        self.total = 0
        """The bytes there are to send; 0 where that is not known."""
        self.done = 0
        self._delay = delay
        self._began = self._sending = monotonic()
        self._over = Event()
        self._opened: list[Any] = []
        self._thread = Thread(target=self._show, daemon=True) if is_terminal(sys.stderr) else None

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()

    def end(self) -> None:
        """Take the line away, and close the files."""
        for each in self._opened:
            each.close()
        self._over.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()

    def sent(self) -> None:
        """What was to be sent is sent: from here on it is counted what comes."""
        self.total = 0
        self.restart()

    def file(self, file: Path | IO[bytes], name: str | None = None) -> Any:
        """A file whose reading is shown, as a file argument. Raises `OSError` where it cannot be opened."""
        opened = file.open("rb", buffering=0) if isinstance(file, Path) else file
        self._opened.append(opened)
        try:
            self.total = os.fstat(opened.fileno()).st_size
        except OSError:
            self.total = 0
        return (name or os.path.basename(str(getattr(opened, "name", "upload"))), _Counted(opened, self))

    def restart(self, done: int = 0) -> None:
        """So many bytes are done, none of them just now."""
        self.done = done
        self._sending = monotonic()

    def _show(self) -> None:
        if self._over.wait(self._delay):
            return
        while True:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r{self._line()[:width]}\033[K")
            sys.stderr.flush()
            if self._over.wait(0.2):
                break
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()

    def _line(self) -> str:
        now = monotonic()
        done, total = self.done, self.total
        if not total and not done:
            return f"{self.what} … {now - self._began:.0f} s"
        rate = done / max(now - self._sending, 0.001)
        if not total:
            return f"{self.what}  {shown_size(done)}  {shown_size(rate)}/s"
        if done >= total:
            return f"{self.what}  sent {shown_size(total)}, waiting … {now - self._began:.0f} s"
        full = _WIDTH * done // total
        left = f"{(total - done) / rate:.0f} s left" if rate > 0 else ""
        bar = "━" * full + "╌" * (_WIDTH - full)
        share = f"{100 * done // total:3}%  {shown_size(done)} of {shown_size(total)}"
        return f"{self.what}  {bar} {share}  {shown_size(rate)}/s  {left}"


class _Counted:
    """An open file that tells a status how far it has been read."""

    def __init__(self, file: IO[bytes], status: Status) -> None:
        self._file = file
        self._status = status

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._status.done += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        at = self._file.seek(offset, whence)
        self._status.restart(at)
        return at

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()

    def fileno(self) -> int:
        return self._file.fileno()
