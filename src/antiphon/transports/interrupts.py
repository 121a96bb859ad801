"""Ctrl-C while a request is under way.

The main thread waits for the network outside of Python, where a signal does not reach it: without this a call
that hangs could not be interrupted. While the main thread waits, the interpreter is told to write the numbers of
arriving signals to a pipe; a thread reads it and, on SIGINT, gives the request up, so that the main thread comes
back and runs the handler of the signal, which as a rule raises `KeyboardInterrupt`.
"""

from __future__ import annotations

import os
import signal
from _thread import start_new_thread
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident, main_thread
from typing import Any, TypeVar

__all__ = ("interruptible",)

T = TypeVar("T")


class _Watch:
    """The pipe of one process, and what to give up when SIGINT comes through it."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        self.waiting: tuple[Callable[[Any], None], Any] | None = None
        self.elsewhere = -1
        start_new_thread(self._watch, ())

    def _watch(self) -> None:
        while True:
            numbers = os.read(self.reading, 64)
            if not numbers:
                return
            elsewhere = self.elsewhere
            if elsewhere != -1:
                with suppress(OSError):  # whoever listened there may have left
                    os.write(elsewhere, numbers)
            waiting = self.waiting
            if waiting is not None and signal.SIGINT in numbers:
                abort, what = waiting
                abort(what)


_watch: _Watch | None = None
_main = main_thread().ident
_set = signal.set_wakeup_fd


def interruptible(call: Callable[[], T], abort: Callable[[Any], None], what: Any) -> T:
    """Make a call that blocks outside of Python; SIGINT has `abort(what)` called, which must end it."""
    global _watch
    if get_ident() != _main or os.name != "posix":
        return call()
    watch = _watch
    if watch is None or watch.process != os.getpid():
        watch = _watch = _Watch()
    before = _set(watch.writing, warn_on_full_buffer=False)
    watch.elsewhere = before
    watch.waiting = (abort, what)
    try:
        return call()
    finally:
        watch.waiting = None
        _set(before)
