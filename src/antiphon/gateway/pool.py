"""Replicas of one model: who is asked next, how many at a time, who waits, and who is left alone because it is sick.

A pool knows nothing of what it asks: `ask` is given a function that makes a flow over a server. A place at a server is
taken before and given back after, whatever happens in between. It does no I/O, and its lock is held for microseconds,
so it may be used from handlers, loops and threads alike.

- The server with the fewest requests under way is asked; among equals they take turns.
- Where every server has as many as it may, a request waits its turn, first come first served.
- A server that cannot be reached, or says it is not ready, is out at once; one that fails several times in a row is out
  too. One that is out is asked whether it is ready again, later each time. When it is, it comes back gradually.
- Where all of them are out nobody is: what a server says is a better answer than a guess about it.
- A request goes to a second server only where no model can have run at the first.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ..kernel.errors import APIError, APIStatusError
from ..kernel.flow import Read, Step, run
from .errors import broken, full, reason, untouched, waited
from .patience import hurried
from .world import leave, running

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..kernel.flow import Flow, World
    from .config import ModelConfig
    from .metrics import ModelMeters
    from .patience import Guard

S = TypeVar("S")
T = TypeVar("T")

__all__ = ("HeldBody", "Place", "Pool", "Replica", "Watch")

STREAK: Final = 5
"""So many failures in a row, and a server is out."""
FIRST_ABSENCE: Final = 1.0
"""For how many seconds a server is out, at first; each time twice as long."""
LONGEST_ABSENCE: Final = 10.0
RETURN: Final = 10.0
"""For how many seconds a server that is back gets less than its share."""
LEAST_SHARE: Final = 0.1
PROBE: Final = 5.0
"""How long it is waited for a server that is asked whether it is ready, in seconds."""

_AT_ONCE: Final = frozenset({"upstream_unreachable", "upstream_connect_timeout", "model_not_ready"})
_OF_MODELS: Final = frozenset({"gateway_misconfigured"})


class Replica(Generic[S]):
    """A server, and how it is doing."""

    __slots__ = ("absences", "back", "due", "in_flight", "out", "server", "streak", "told", "url")

    def __init__(self, url: str, server: S) -> None:
        self.url = url
        self.server = server
        self.in_flight = 0
        self.out = False
        """Whether it gets no requests."""
        self.due = 0.0
        """When it is asked whether it is ready again."""
        self.back: float | None = None
        """When it came back, where that is not long ago."""
        self.streak = 0
        """Failures in a row."""
        self.absences = 0
        """How often it was out since it was well for long."""
        self.told: Callable[[float], object] | None = None
        """What is told how many requests are under way, where anybody counts."""

    def share(self, now: float) -> float:
        """How much of its full share it gets, up to 1."""
        if self.back is None:
            return 1.0
        share = (now - self.back) / RETURN
        if share >= 1:
            self.back = None
            self.absences = 0
            return 1.0
        return max(share, LEAST_SHARE)

    def __repr__(self) -> str:
        return f"<{self.url}: {self.in_flight} under way{', out' if self.out else ''}>"


class Place(Generic[S]):
    """A place at a server. It has to be left, and leaving it twice is no harm."""

    __slots__ = ("_pool", "replica")

    def __init__(self, pool: Pool[S], replica: Replica[S]) -> None:
        self._pool: Pool[S] | None = pool
        self.replica = replica

    def leave(self) -> None:
        """Give it back, to whoever waits longest."""
        pool = self._pool
        if pool is not None:
            self._pool = None
            pool.left(self.replica)

    def failed(self, error: BaseException) -> bool:
        """Leave because of an error. Says whether the server is out for it, and was not before."""
        pool = self._pool
        out = pool is not None and pool.failed(self.replica, error)
        self.leave()  # after it: nobody is to be given the place at a server that is out
        return out

    def __del__(self) -> None:
        if self._pool is not None:
            self.leave()


class HeldBody(Generic[S]):
    """The body of a response that is being read, with the place it holds at its server and the patience with it."""

    __slots__ = ("_begun", "_body", "_guard", "_loop", "_place", "_pool")

    def __init__(self, body: Any, place: Place[S], guard: Guard, pool: Pool[S]) -> None:
        self._body = body
        self._place = place
        self._guard = guard
        self._pool = pool
        self._begun = False
        self._loop = running()

    def read(self) -> Flow[bytes | None]:
        """The next piece; `None` at the end. Raises an error for a body that breaks off or is too long in coming."""
        guard = self._guard
        if self._begun:
            guard.further()
        try:
            piece = yield from guard.take(Read(self._body))
        except APIError as error:
            raised = error if isinstance(error, APIStatusError) else broken(self._pool.name, reason(error))
            if self._place.failed(raised):
                yield Watch(self._pool)
            self.close()
            raise raised from error
        self._begun = True
        if piece is None:
            guard.stop()
            self._place.leave()
        return piece

    def close(self) -> None:
        """Leave: the server is told at once. After the end it does nothing."""
        self._guard.stop()
        leave(self._body, self._loop)
        self._place.leave()

    def __del__(self) -> None:
        self.close()  # a body that nobody has begun to read ends without a word


class Pool(Generic[S]):
    """The replicas of a model. `probe` asks one of them whether it is ready."""

    def __init__(
        self,
        config: ModelConfig,
        servers: Sequence[tuple[str, S]],
        probe: Callable[[S], Flow[bool]],
        *,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.name = config.name
        self.limit = config.concurrency
        self.longest_queue = config.queue
        self.queue_seconds = config.queue_seconds
        self.replicas = [Replica(url, server) for url, server in servers]
        self.probe = probe
        self.meters: ModelMeters | None = None
        self.closing = False
        self._now = now
        self._lock = _Lock()
        self._waiting: deque[Turn[S]] = deque()
        self._next = 0
        self._prober: threading.Thread | None = None
        self._ended = threading.Event()
        self._on_end: Callable[[], object] | None = None

    def told_to(self, meters: ModelMeters) -> None:
        """Have these told what happens from now on."""
        for each in self.replicas:
            each.told = meters.serves(each.url)
        self.meters = meters

    @property
    def in_flight(self) -> int:
        """Requests under way at all of them."""
        return sum(each.in_flight for each in self.replicas)

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return len(self._waiting)

    # Asking

    def ask(self, ask: Callable[[S], Flow[T]]) -> Flow[tuple[T, Place[S]]]:
        """What a server answers, and the place that is still held there.

        Raises what the last server that was asked said, 429 where too many wait already, and 503 after too long a wait.
        """
        tried: list[Replica[S]] = []
        refused: APIStatusError | None = None
        while True:
            place = self.take(tried)
            if place is None:
                place = yield from self._turn(tried)
                if place is None:
                    assert refused is not None  # who has tried nothing yet is given something or an error
                    raise refused
            try:
                answer = yield from ask(place.replica.server)
            except APIStatusError as error:
                if place.failed(error):
                    yield Watch(self)
                if not untouched(error) or not self.others(tried := [*tried, place.replica]):
                    raise
                refused = error
            except BaseException:
                place.leave()
                raise
            else:
                if place.replica.streak:
                    self.succeeded(place.replica)
                if refused is not None and refused.status_code == 404 and self.doubt(tried):
                    # The model is at one server and not at another: the other one has lost it.
                    yield Watch(self)
                return answer, place

    def anyone(self, ask: Callable[[S], Flow[T]]) -> Flow[T]:
        """What any server says to a question that may be asked as often as one likes, and that takes no place."""
        failure: APIStatusError | None = None
        for replica in sorted(self.replicas, key=lambda each: (each.out, each.in_flight)):
            try:
                return (yield from ask(replica.server))
            except APIStatusError as error:
                failure = failure or error
                if self.failed(replica, error) or (error.code == "upstream_timeout" and self._silent(replica)):
                    yield Watch(self)
        assert failure is not None
        raise failure

    def _turn(self, tried: list[Replica[S]]) -> Flow[Place[S] | None]:
        turn = self.queue(tried)
        began = self._now()
        try:
            yield turn
            return turn.taken()
        finally:
            self.unqueue(turn)
            if self.meters is not None:
                self.meters.waited(self._now() - began)

    # Places

    def take(self, tried: Collection[Replica[S]] = ()) -> Place[S] | None:
        """A place at a server that is not among those; `None` where none is free, or others wait already."""
        with self._lock:
            if self._waiting:
                return None
            replica = self._free(tried)
            return None if replica is None else self._occupied(replica)

    def others(self, tried: Collection[Replica[S]]) -> bool:
        """Whether there is a server in rotation that is not among those."""
        return any(not each.out and each not in tried for each in self.replicas)

    def queue(self, tried: Collection[Replica[S]] = ()) -> Turn[S]:
        """A place in the queue. Raises 429 where it is full."""
        turn = Turn(self, tried)
        with self._lock:
            self._waiting.append(turn)
            self._serve()
            if not turn.given and len(self._waiting) > self.longest_queue:
                turn.given = True
                self._waiting.pop()
                raise full(self.name, self.longest_queue)
            self._told()
        return turn

    def unqueue(self, turn: Turn[S]) -> None:
        """Leave the queue; a place that was given in this moment goes to the next. Again does nothing."""
        self._lock.soon(self._unqueued, turn)

    def left(self, replica: Replica[S]) -> None:
        """A place is free again."""
        self._lock.soon(self._left, replica)

    def _unqueued(self, turn: Turn[S]) -> None:
        place, turn.place = turn.place, None
        if place is not None:
            place._pool = None
            self._left(place.replica)
        elif not turn.given:
            turn.given = True
            self._waiting.remove(turn)
            self._serve()  # who was behind may be first now
            self._told()

    def _left(self, replica: Replica[S]) -> None:
        replica.in_flight -= 1
        if replica.told is not None:
            replica.told(replica.in_flight)
        if self._waiting:
            self._serve()
            self._told()
        elif self.closing and self._idle():
            self._end()

    def _occupied(self, replica: Replica[S]) -> Place[S]:
        replica.in_flight += 1
        if replica.told is not None:
            replica.told(replica.in_flight)
        return Place(self, replica)

    def _free(self, tried: Collection[Replica[S]]) -> Replica[S] | None:
        """The server to ask next. With the lock held."""
        replicas = self.replicas
        count = len(replicas)
        limit = self.limit
        if count == 1:
            only = replicas[0]
            return None if only in tried or (limit is not None and only.in_flight >= limit) else only
        best: Replica[S] | None = None
        least = place = 0.0
        now = self._now()
        all_out = not tried and all(each.out for each in replicas)
        first = self._next
        for step in range(count):
            at = (first + step) % count
            each = replicas[at]
            if (each.out and not all_out) or each in tried:
                continue
            share = 1.0 if each.back is None else each.share(now)
            if limit is not None and each.in_flight >= max(1, int(limit * share)):
                continue
            load = (each.in_flight + 1) / share
            if best is None or load < least:
                best, least, place = each, load, at
        if best is not None:
            self._next = (int(place) + 1) % count
        return best

    def _serve(self) -> None:
        """Give what is free to those who wait, the first first. With the lock held."""
        for turn in tuple(self._waiting):
            replica = self._free(turn.tried)
            if replica is None:
                if not turn.tried:
                    return  # who has tried nothing can take anything; the others neither get one
                if self.others(turn.tried):
                    continue
            self._waiting.remove(turn)
            turn.give(None if replica is None else self._occupied(replica))

    def _told(self) -> None:
        if self.meters is not None:
            self.meters.queued(len(self._waiting))

    # Health

    def succeeded(self, replica: Replica[S]) -> None:
        """It answered."""
        if replica.streak:
            replica.streak = 0
            if self.meters is not None and not replica.out:
                self.meters.up(replica.url, True)

    def failed(self, replica: Replica[S], error: BaseException) -> bool:
        """It answered with an error, or not at all. Says whether it is out for that, and was not before."""
        if not isinstance(error, APIStatusError):
            return False
        code, status = error.code or "", error.status_code
        if self.meters is not None:
            self.meters.failed(code or str(status))
        if status < 500 or code in _OF_MODELS:
            if status != 429:
                self.succeeded(replica)
            return False
        with self._lock:
            replica.streak += 1
            if len(self.replicas) == 1:
                # There is nobody else to ask.
                if self.meters is not None and code in _AT_ONCE:
                    self.meters.up(replica.url, False)
                return False
            if replica.out or (code not in _AT_ONCE and replica.streak < STREAK):
                return False
            self._out(replica)
            return True

    def _silent(self, replica: Replica[S]) -> bool:
        """It says nothing, not even of itself."""
        return len(self.replicas) > 1 and self.doubt((replica,))

    def doubt(self, tried: Collection[Replica[S]]) -> bool:
        """These did not know the model, and another does: they are out until they do."""
        with self._lock:
            found = [each for each in tried if not each.out]
            for each in found:
                self._out(each)
        return bool(found)

    def probed(self, replica: Replica[S], ready: bool) -> None:
        """It was asked whether it is ready: it is back, or out for longer."""
        with self._lock:
            if not replica.out:
                return
            if not ready:
                self._absent(replica)
                return
            replica.out = False
            replica.back = self._now()
            replica.streak = STREAK - 1  # the next failure is one too many
            if self.meters is not None:
                self.meters.up(replica.url, True)
            self._serve()
            self._told()

    def due(self) -> list[Replica[S]]:
        """Those that are to be asked whether they are ready."""
        now = self._now()
        return [each for each in self.replicas if each.out and each.due <= now]

    def _out(self, replica: Replica[S]) -> None:
        replica.out = True
        replica.back = None
        self._absent(replica)
        if self.meters is not None:
            self.meters.ejected(replica.url)
        self._serve()  # those who wait for this one only
        self._told()

    def _absent(self, replica: Replica[S]) -> None:
        replica.due = self._now() + min(FIRST_ABSENCE * 2**replica.absences, LONGEST_ABSENCE)
        replica.absences = min(replica.absences + 1, 16)

    def watch(self, world: World) -> None:
        """Ask those who are out whether they are ready, from a thread that ends when none is out any more."""
        with self._lock:
            if self._prober is None and not self._ended.is_set():
                self._prober = threading.Thread(
                    target=_watching,
                    args=(weakref.ref(self), self._ended, world),
                    name=f"antiphon-probe-{self.name}",
                    daemon=True,
                )
                self._prober.start()

    def _until_due(self) -> float | None:
        """In how many seconds somebody is to be asked; `None` where nobody is, and then watching is over."""
        with self._lock:
            times = [each.due for each in self.replicas if each.out]
            if not times:
                self._prober = None
                return None
            return min(times) - self._now()

    # The end

    def close(self, on_end: Callable[[], object]) -> None:
        """Call `on_end` when nothing is under way any more. What is, and what waits, goes on as before."""
        with self._lock:
            if not self.closing:
                self.closing, self._on_end = True, on_end
                if self._idle():
                    self._end()

    def _idle(self) -> bool:
        return not self._waiting and not any(each.in_flight for each in self.replicas)

    def _end(self) -> None:
        self._ended.set()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


class _Lock:
    """A lock, and what is to be done under it by whoever cannot wait for it.

    Places are given back where flows end, also where the garbage collector ends them: on any thread, at any moment, on
    one that holds this lock too. What is given back then is taken in by whoever has the lock, on leaving it.
    """

    __slots__ = ("_acts", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acts: deque[tuple[Callable[[Any], None], Any]] = deque()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._acts:
            self._act()

    def soon(self, act: Callable[[Any], None], subject: Any) -> None:
        """Do this under the lock, now where it is free."""
        self._acts.append((act, subject))
        self._act()

    def _act(self) -> None:
        while self._acts and self._lock.acquire(blocking=False):
            try:
                while self._acts:
                    act, subject = self._acts.popleft()
                    act(subject)
            finally:
                self._lock.release()


class Turn(Step[None], Generic[S]):
    """Waiting for a place. Raises 503 where it takes too long."""

    __slots__ = ("_pool", "_wake", "given", "place", "tried")

    def __init__(self, pool: Pool[S], tried: Collection[Replica[S]]) -> None:
        self._pool = pool
        self.tried = tried
        self.given = False
        self.place: Place[S] | None = None
        self._wake: Callable[[], object] | None = None

    def give(self, place: Place[S] | None) -> None:
        """The wait is over. `None`: there is no other server any more. With the pool's lock held."""
        self.given = True
        self.place = place
        if self._wake is not None:
            self._wake()

    def taken(self) -> Place[S] | None:
        """What was given, which is now somebody else's to leave. Raises 503 where nothing was."""
        with self._pool._lock:
            if not self.given:
                raise waited(self._pool.name, self._pool.queue_seconds)
            place, self.place = self.place, None
            return place

    def _given_else(self, wake: Callable[[], object]) -> bool:
        with self._pool._lock:
            self._wake = wake
            return self.given

    def perform(self, world: World) -> None:
        event = threading.Event()
        if not self._given_else(event.set):
            event.wait(self._pool.queue_seconds)

    async def aperform(self, world: World) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not future.done():
                future.set_result(None)

        def wake() -> None:
            if not loop.is_closed():  # with its loop went who waited: its flow's end gives the place on
                loop.call_soon_threadsafe(settle)

        if not self._given_else(wake):
            await asyncio.wait((future,), timeout=self._pool.queue_seconds)


class Watch(Step[None]):
    """Begin to ask those who are out whether they are ready, in the world of whoever noticed."""

    __slots__ = ("_pool",)

    def __init__(self, pool: Pool[Any]) -> None:
        self._pool = pool

    def perform(self, world: World) -> None:
        self._pool.watch(world)

    async def aperform(self, world: World) -> None:
        self._pool.watch(world)


def _watching(reference: weakref.ref[Pool[Any]], ended: threading.Event, world: World) -> None:
    while True:
        pool = reference()
        if pool is None or (seconds := pool._until_due()) is None:
            return
        if seconds > 0:
            del pool  # it may be forgotten meanwhile
            if ended.wait(seconds):
                return
            continue
        for replica in pool.due():
            try:
                ready = run(hurried(pool.probe(replica.server), PROBE), world)
            except Exception:  # whatever it is: it is not ready
                ready = False
            pool.probed(replica, ready)
        del pool
