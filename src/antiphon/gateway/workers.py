"""Several processes that serve one port: a parent that starts them, and starts another where one dies.

The port is bound before any of them is there and they all accept from it, so a request that comes while one of them
dies, or is not there yet, waits for another. The parent only waits: it has neither threads nor connections, so that
children can be forked from it at any time.

What a gateway keeps is kept by its first process. The others pass on to it what touches that: see `sharing`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

__all__ = ("Workers", "cores")

QUICK: Final = 2.0
"""A process that lives for less seconds is not replaced at once."""
LONGEST_WAIT: Final = 30.0

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)

Serve = Callable[[int, Callable[[], None]], int]
"""What a process does: it is told which one it is, and what to call when it serves; its exit code comes back."""


def cores() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


class Workers:
    """Processes that all do the same. What there is to say of them is told to `say`."""

    def __init__(self, count: int, serve: Serve, say: Callable[[str], object]) -> None:
        self.count = count
        self.serve = serve
        self.say = say
        self.stopping = 0
        """How often it was told to stop."""
        self._places: dict[int, int] = {}
        """Which place each process has."""
        self._born: dict[int, float] = {}
        self._due: dict[int, float] = {}
        """When places that are empty are filled."""
        self._failures = [0] * count
        self._reload = False
        self._failed = False
        """Whether one of them ended before all of them served."""
        self._wake_read, self._wake_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()
        self._alive_read, self._alive_write = os.pipe()
        """Nothing is ever written to this one: it ends with the parent."""

    def run(self, ready: Callable[[], None], reload: Callable[[], bool]) -> int:
        """Run them until a signal; `ready` is called when all of them serve.

        With SIGHUP `reload` is called, and where it says so each of them is sent the signal. Gives an exit code: 1
        where one of them does not even begin to serve.
        """
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hup)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it ends the wait
        for place in range(self.count):
            self._spawn(place)
        begun = 0
        code: int | None = None
        while code is None:
            begun += self._wait()
            if begun >= self.count:
                begun = -sys.maxsize
                ready()
            code = self._reap(begun=begun < 0)
            self._respawn()
            if self._reload:
                self._reload = False
                if reload():
                    self._signal(signal.SIGHUP)
        return code

    def _stop(self, number: int, frame: object) -> None:
        self.stopping += 1
        self._signal(signal.SIGTERM)

    def _hup(self, number: int, frame: object) -> None:
        self._reload = True

    def _signal(self, number: int) -> None:
        for pid in list(self._places):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait(self) -> int:
        """Wait for something to happen. Says how many have begun to serve."""
        now = time.monotonic()
        until = min((due - now for due in self._due.values()), default=None)
        timeout = None if until is None else max(0.0, until)
        readable, _, _ = select.select([self._wake_read, self._ready_read], [], [], timeout)
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
        return len(os.read(self._ready_read, 4096)) if self._ready_read in readable else 0

    def _spawn(self, place: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal for the parent must not be taken by a child that has the parent's handlers still.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid:
            self._places[pid] = place
            self._born[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            return
        code = 1
        try:
            code = self._child(place)
        except KeyboardInterrupt:
            code = 130
        except BaseException as error:  # told here: nobody above would
            kind = "" if isinstance(error, (ImportError, ValueError)) else f"{type(error).__name__}: "
            self.say(f"process {place + 1} failed: {kind}{error}")
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _child(self, place: int) -> int:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.setpgid(0, 0)  # Ctrl-C is for the parent, which passes on what it means
        for each in (self._wake_read, self._wake_write, self._ready_read, self._alive_write):
            os.close(each)
        threading.Thread(target=self._orphaned, name="antiphon-parent", daemon=True).start()
        return self.serve(place, self._begun)

    def _begun(self) -> None:
        os.write(self._ready_write, b".")
        os.close(self._ready_write)

    def _orphaned(self) -> None:
        os.read(self._alive_read, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    def _reap(self, *, begun: bool) -> int | None:
        """Look who has ended. Gives the exit code of the whole once it is over."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            place = self._places.pop(pid, None)
            if place is None:
                continue
            lived = time.monotonic() - self._born.pop(pid)
            if self.stopping:
                continue
            if not begun:
                self._failed = True
                self.stopping = 1
                self._signal(signal.SIGTERM)
                continue
            self._failures[place] = 0 if lived > QUICK else self._failures[place] + 1
            wait = min(LONGEST_WAIT, 2.0 ** self._failures[place] - 1) if self._failures[place] else 0.0
            self._due[place] = time.monotonic() + wait
            code = os.waitstatus_to_exitcode(status)
            how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
            self.say(f"process {place + 1} {how}; another takes its place{f' in {wait:g} s' if wait else ''}")
        if self._places or (self._due and not self.stopping):
            return None
        return 1 if self._failed else 0

    def _respawn(self) -> None:
        now = time.monotonic()
        for place, due in list(self._due.items()):
            if self.stopping:
                del self._due[place]
            elif due <= now:
                del self._due[place]
                self._spawn(place)
