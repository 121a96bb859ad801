"""Things that happen later: jobs on the server's clock, kept in its state.

    @job("batches.run")                                        # in behaviours/batches.py, found by the first word
    def run(server: Server, job: Job) -> Again | None:
        batch = server.store.get("batches", job.subject)
        ...                                                    # one step of it; times are `job.at`, not the clock's
        return Again(0.1)                                      # once more, a tenth of a second later; None: it is done

    server.jobs.schedule("batches.run", batch["id"], after=0.05, data={"line": 0})
    server.jobs.cancel("batches.run", batch["id"])

There are no threads and no timers. Whoever looks at the state first lets happen what is due: every request that
comes in (`Server.__call__`), and every stream that lasts (`yield from server.jobs.running()`). Jobs happen in the
order of their times, each at its own: when a virtual clock jumps a day ahead, a job that wants to be done again a
second later is done again a second after the first time, and what it writes down as its time is right. So a job has to
end by itself, and one that takes long gives way between its parts with `yield Pause(0)`.

A job may be a flow, for what needs the outside (a slow engine); then the request that found it due waits for it, while
other requests see the state as it was before. A subject has at most one job of a kind: to schedule it again is to move
it. Jobs are documents of the store, so `snapshot` and `restore` carry them; one that was under way when a snapshot was
taken is done again from its beginning. `server.job_seconds` says how long what the API calls a job should take from
its creation to its end; behaviours divide it among their steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from importlib import import_module
from math import inf
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from .renderings.sinks import settled

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from .app import Server

__all__ = ("Again", "Job", "Jobs", "job")

log = logging.getLogger("antiphon.server")

JOBS: Final = "jobs"
"""The collection of the jobs that are waiting or under way."""


class Job(NamedTuple):
    """Something that is due."""

    kind: str
    """What is to be done: the name it was registered under."""
    subject: str
    """The id of the object it is done to."""
    at: float
    """When it happens, in Unix time: not later than the clock's, and maybe long before."""
    data: dict[str, Any]
    """What the last step left for this one. Belongs to the store: it is read, not changed."""


class Again(NamedTuple):
    """A job's answer: it is to be done once more."""

    after: float
    """Seconds from the time of this step."""
    data: dict[str, Any] | None = None
    """What the next step is given; `None`: the same as this one."""


if TYPE_CHECKING:
    Outcome: TypeAlias = Again | None | Flow[Again | None]
    Performer: TypeAlias = Callable[[Server, Job], Outcome]
else:
    Outcome = Performer = object

_PERFORMERS: dict[str, Performer] = {}
"""What is done for a kind of job. Filled when the modules of `behaviours/` are imported."""


def job(kind: str) -> Callable[[Performer], Performer]:
    """Register what is done for a kind of job: `batches.run` in `behaviours/batches.py`, by its first word."""

    def register(performer: Performer) -> Performer:
        _PERFORMERS[kind] = performer
        return performer

    return register


class Jobs:
    """The jobs of one server."""

    __slots__ = ("_heap", "_numbers", "_scheduled", "_server", "next")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._heap: list[tuple[float, int, str]] = []
        """Times, numbers that settle which of two at the same time is first, and names; also of those cancelled."""
        self._scheduled: dict[str, int] = {}
        """The number under which each job is to happen."""
        self._numbers = 0
        self.next = inf
        """When the next one is due, in Unix time; infinitely far where none is waiting. What was cancelled may still
        be counted."""
        self.reload()

    def reload(self) -> None:
        """Begin with the jobs that the store has."""
        with self._server.lock:
            kept = sorted(self._server.store.list(JOBS), key=lambda each: each["number"])
            # Numbers are never used twice: the outcome of what is under way now must not count for one of these.
            first = max(self._numbers, *(each["number"] for each in kept), 0) + 1
            self._heap = [(each["at"], number, each["id"]) for number, each in enumerate(kept, first)]
            self._scheduled = {name: number for _, number, name in self._heap}
            self._numbers = first + len(kept)
            heapify(self._heap)
            self._find_next()

    def schedule(
        self,
        kind: str,
        subject: str,
        *,
        after: float = 0.0,
        at: float | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Let a job happen `after` so many seconds, or `at` a Unix time; one of the kind the subject has is moved."""
        when = self._server.clock.now() + after if at is None else at
        with self._server.lock:
            self._put(_name(kind, subject), Job(kind, subject, when, {} if data is None else data))

    def cancel(self, kind: str, subject: str) -> bool:
        """Let a job not happen, or not again where it is just under way; whether there was one."""
        with self._server.lock:
            name = _name(kind, subject)
            self._server.store.delete(JOBS, name)
            return self._scheduled.pop(name, None) is not None

    def waiting(self, kind: str, subject: str) -> Job | None:
        """The job of this kind that a subject has."""
        kept = self._server.store.get(JOBS, _name(kind, subject))
        return None if kept is None else _job(kept)

    def advance(self) -> Flow[None] | None:
        """Let happen what is due. What of it wants the outside comes back as a flow to be driven."""
        return settled(self.running())

    def running(self) -> Flow[None]:
        """Let happen what is due, as a flow."""
        while (claimed := self._claim()) is not None:
            number, due = claimed
            outcome: Any = None
            try:
                outcome = _performer(due.kind)(self._server, due)
                if outcome.__class__ is GeneratorType:
                    outcome = yield from outcome
            except Exception:
                log.exception("The job %s of %s failed and is given up", due.kind, due.subject)
            except BaseException:  # whoever drove it went away: the next one begins it again
                self._unclaim(number, due)
                raise
            self._settle(number, due, outcome)

    # The order they happen in

    def _put(self, name: str, new: Job) -> None:
        self._numbers += 1
        number = self._scheduled[name] = self._numbers
        self._server.store.put(JOBS, name, {"id": name, "number": number, **new._asdict()})
        heappush(self._heap, (new.at, number, name))
        self.next = self._heap[0][0]

    def _find_next(self) -> None:
        heap, scheduled = self._heap, self._scheduled
        while heap and scheduled.get(heap[0][2]) != heap[0][1]:
            heappop(heap)  # it was cancelled or moved
        self.next = heap[0][0] if heap else inf

    def _claim(self) -> tuple[int, Job] | None:
        """The job that is due first, taken so that nobody else does it."""
        with self._server.lock:
            self._find_next()
            if self.next > self._server.clock.now():
                return None
            _, number, name = heappop(self._heap)
            self._find_next()
            kept = self._server.store.get(JOBS, name)
            assert kept is not None, f"the job {name} is scheduled and not kept"
            return number, _job(kept)

    def _unclaim(self, number: int, due: Job) -> None:
        with self._server.lock:
            heappush(self._heap, (due.at, number, _name(due.kind, due.subject)))
            self._find_next()

    def _settle(self, number: int, done: Job, outcome: Again | None) -> None:
        with self._server.lock:
            name = _name(done.kind, done.subject)
            if self._scheduled.get(name) != number:
                return  # meanwhile it was cancelled, moved, or the state is another
            if outcome is None:
                self.cancel(done.kind, done.subject)
            else:
                data = done.data if outcome.data is None else outcome.data
                self._put(name, Job(done.kind, done.subject, done.at + outcome.after, data))


def _name(kind: str, subject: str) -> str:
    return f"{kind} {subject}"


def _job(kept: dict[str, Any]) -> Job:
    return Job(kept["kind"], kept["subject"], kept["at"], kept["data"])


def _performer(kind: str) -> Performer:
    found = _PERFORMERS.get(kind)
    if found is None:
        import_module(f".behaviours.{kind.partition('.')[0]}", __package__)
        found = _PERFORMERS[kind]
    return found
