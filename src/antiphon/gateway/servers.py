"""The servers of a model behind one face: who asks need not know how many there are, nor which one answers."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from ..kernel.errors import APIStatusError
from ..kernel.flow import Together
from .errors import slow, untouched
from .patience import Guard, hurried
from .pool import Pool, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..kernel.flow import Flow
    from .config import ModelConfig
    from .oip.messages import InferRequest, InferResponse, ModelMetadata, RepositoryEntry, ServerMetadata
    from .oip.protocol import Answers, Oip
    from .pool import Place

__all__ = ("Servers",)

T = TypeVar("T")

TELLING: Final = 10.0
"""For at most so many seconds a server is waited for that tells of itself."""
SAYING: Final = 2.0
"""And for so many one of several that says whether it is ready."""


class Servers:
    """Replicas of one model, with their limits, their queue, and the patience with them. It is an `Oip` itself.

    `servers` are they, each with its address. `now` is a clock in seconds, for when one that was sick is asked again.
    """

    def __init__(
        self,
        config: ModelConfig,
        servers: Sequence[tuple[str, Oip]],
        *,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.config = config
        self.pool: Pool[Oip] = Pool(config, servers, self._probe, now=now)
        self._servers = tuple(server for _, server in servers)
        self._urls = {id(server): url for url, server in servers}

    def infer(self, request: InferRequest) -> Flow[InferResponse]:
        def ask(server: Oip) -> Flow[InferResponse]:
            if request.notes is not None:
                request.notes["upstream"] = self._urls[id(server)]
            return Guard(config.name, config.patience).over(server.infer(request), last=True)

        config = self.config
        answer, place = yield from self.pool.ask(ask)
        place.leave()
        return answer

    def open(self, request: InferRequest) -> Flow[Answers]:
        def ask(server: Oip) -> Flow[tuple[Answers, Guard]]:
            if request.notes is not None:
                request.notes["upstream"] = self._urls[id(server)]
            guard = Guard(config.name, config.patience)
            try:
                return (yield from guard.over(server.open(request))), guard
            except BaseException:
                guard.stop()
                raise

        config = self.config
        (answers, guard), place = yield from self.pool.ask(ask)
        return _Held(answers, guard, place, self.pool)

    def live(self) -> Flow[bool]:
        return (yield from self._any(lambda server: server.live()))

    def ready(self, model: str | None = None, version: str | None = None) -> Flow[bool]:
        """Whether any of them is."""
        return (yield from self._any(lambda server: server.ready(model, version)))

    def server(self) -> Flow[ServerMetadata]:
        return (yield from self._told(lambda server: server.server()))

    def metadata(self, model: str, version: str | None = None) -> Flow[ModelMetadata]:
        return (yield from self._told(lambda server: server.metadata(model, version)))

    def index(self) -> Flow[list[RepositoryEntry]]:
        return (yield from self._told(lambda server: server.index()))

    def load(self, model: str) -> Flow[None]:
        """Load it at every one of them."""
        for server in self._servers:
            yield from server.load(model)

    def unload(self, model: str) -> Flow[None]:
        """Unload it at every one of them."""
        for server in self._servers:
            yield from server.unload(model)

    def close(self) -> None:
        """Let go of every connection, once nothing is under way any more."""
        self.pool.close(self._close)

    def _close(self) -> None:
        for server in self._servers:
            server.close()

    def _told(self, ask: Callable[[Oip], Flow[T]]) -> Flow[T]:
        """What any of them tells of itself, for which nobody is waited for as long as for an answer."""
        first = self.config.patience.first
        patience = replace(self.config.patience, first=TELLING if first is None else min(first, TELLING))
        seconds = patience.first or TELLING

        def hurry(server: Oip) -> Flow[T]:
            # The guard is the first to lose its patience, where it can.
            return Guard(self.config.name, patience).over(hurried(ask(server), seconds + 0.5), last=True)

        return self.pool.anyone(hurry)

    def _any(self, ask: Callable[[Oip], Flow[bool]]) -> Flow[bool]:
        """Whether any of them says yes. Where there are several, one that says nothing holds nobody up."""
        servers = self._servers
        if len(servers) == 1:
            said = [(yield from self._yes(ask(servers[0])))]
        else:
            said = yield Together([self._yes(hurried(ask(each), SAYING)) for each in servers], len(servers))
        if True in said:
            return True
        failure = next((each for each in said if isinstance(each, APIStatusError) and not untouched(each)), None)
        if failure is not None:
            raise failure
        return False

    def _yes(self, flow: Flow[bool]) -> Flow[bool | APIStatusError]:
        try:
            return (yield from flow)
        except APIStatusError as error:
            return error
        except TimeoutError:
            return slow(self.config.name, "the beginning of an answer", SAYING)

    def _probe(self, server: Oip) -> Flow[bool]:
        return (yield from server.ready(self.config.upstream_name, self.config.version))


class _Held:
    """A stream of answers that holds a place at its server until it is over or left."""

    __slots__ = ("_answers", "_begun", "_guard", "_place", "_pool")

    def __init__(self, answers: Answers, guard: Guard, place: Place[Oip], pool: Pool[Oip]) -> None:
        self._answers = answers
        self._guard = guard
        self._place = place
        self._pool = pool
        self._begun = False

    def more(self) -> Flow[list[InferResponse]]:
        guard = self._guard
        if self._begun:
            guard.further()
        try:
            found = yield from guard.over(self._answers.more())
        except APIStatusError as error:
            self._answers.close()
            guard.stop()
            if self._place.failed(error):
                yield Watch(self._pool)
            raise
        if found:
            self._begun = True
        else:
            guard.stop()
            self._place.leave()
        return found

    def close(self) -> None:
        self._guard.stop()
        self._answers.close()
        self._place.leave()

    def __del__(self) -> None:
        self.close()
