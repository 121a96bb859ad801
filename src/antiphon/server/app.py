"""The OpenAI API as one handler: a function from a request to a response.

    server = Server(engines)
    response = server(Request("GET", "/v1/models", headers=Headers({"authorization": "Bearer x"})))

A request passes the filters, then authentication, then dispatch; every answer, refusals too, gets the headers
the API puts on its answers. The server holds its whole state, so two of them share nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from random import Random
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ..kernel.flow import Pause
from ..kernel.http import Request, Response
from ..kernel.spool import Spooled
from .auth import authenticated
from .blobs import linked
from .chunks import EMBEDDER
from .clock import RealClock
from .dispatch import Dispatcher
from .envelope import Envelope, error_response, guarded
from .ids import Ids
from .jobs import Jobs
from .store import MemoryStore

if TYPE_CHECKING:
    from ..kernel.dialogue import Dialogue
    from ..kernel.flow import Flow, World
    from ..kernel.http import Filter, Handler
    from .clock import Clock
    from .engine import Engines
    from .limits import RateLimits
    from .store import Store
    from .usage import Used

__all__ = ("MIB", "Server", "Snapshot")

MIB: Final = 1024 * 1024


class Snapshot(NamedTuple):
    """The state of a server. Whatever could change it, is in it; it can be pickled where the store's can."""

    documents: Any
    ids: Any
    random: Any
    requests: Any


class Server:
    """The API over a store, a clock, a seed and engines.

    `unknown_ids` says what an id is that the store does not have: `"error"`, a 404 as the API's, or `"conjure"`,
    a plausible object made for the occasion. That is for suites written against mocks, so answers then keep to the
    letter of the API's types even where the API does not: no base64 embeddings, no null probabilities.
    `models` names the models that exist; without it those the engines name and those of the API do. `max_body` is
    the largest request body in bytes: a file of 512 MiB in its form. `rate_limits` (`server.limits`) are kept for each
    key and model. `filters` wrap the handler, the first outermost, within the API's headers and outside of
    authentication. `around` is one about all of it: what it is given raises nothing, and its answers have the API's
    headers; requests of the server's own, such as the lines of a batch, do not pass it. `job_seconds` is how long, by
    the clock, a job takes from its creation to its end: a background response, a batch, a fine-tuning job.
    `python_graders` lets graders run the Python that callers send, on this machine. `unknown_fields` says whether
    fields of a body that no schema names are refused, as the API does, or passed on to engines. `authentication` is
    the filter that decides who may ask. `published_limits` says whether models are held to what OpenAI publishes about
    those of their names: how much they read, how long vectors are, which sizes pictures have, and whether answers tell
    rate limits like its own where there are none. `embedder` is the model whose vectors vector stores are searched by;
    `None`: by words only.
    """

    def __init__(
        self,
        engines: Engines | None = None,
        *,
        store: Store | None = None,
        clock: Clock | None = None,
        seed: int | str = 0,
        unknown_ids: Literal["error", "conjure"] = "error",
        organization: str = "org-antiphon",
        models: Sequence[str] | None = None,
        max_body: int = 513 * MIB,
        rate_limits: RateLimits | None = None,
        filters: Iterable[Filter] = (),
        around: Filter | None = None,
        job_seconds: float = 0.1,
        python_graders: bool = False,
        unknown_fields: Literal["refuse", "allow"] = "refuse",
        authentication: Filter = authenticated,
        published_limits: bool = True,
        embedder: str | None = EMBEDDER,
    ) -> None:
        if not 0 <= job_seconds < inf:
            raise ValueError(f"job_seconds is a number of seconds, not {job_seconds!r}")
        if unknown_ids not in ("error", "conjure"):
            raise ValueError(f"unknown_ids is 'error' or 'conjure', not {unknown_ids!r}")
        if engines is None:
            from .engine import Engines

            engines = Engines()
        self.engines = engines
        self.store: Store = MemoryStore() if store is None else store
        self.clock: Clock = RealClock() if clock is None else clock
        self._tick: Callable[[], float] = getattr(self.clock, "tick", self.clock.now)
        self.seed = seed
        self.ids = Ids(seed)
        self.random = Random(f"random {seed}")
        self.conjures = unknown_ids == "conjure"
        self.organization = organization
        self.models = None if models is None else tuple(models)
        self.max_body = max_body
        self.lock = threading.RLock()
        """Held while a document is read, changed and put back; never while code of the user's runs."""
        self.job_seconds = float(job_seconds)
        self.python_graders = python_graders
        self.unknown_fields = unknown_fields
        self.published_limits = published_limits
        self.embedder = embedder
        self.ledger: Callable[[], Iterable[Used]] = tuple
        """What was used, for those who ask for the usage of the organization: nothing, unless somebody counts."""
        self.left: Callable[[str], object] = str
        """Told the id of what a request leaves for later, such as a Response in the background, when it does."""
        self.derived: dict[str, Any] = {}
        """What was worked out from the state and can be again, such as indexes: gone when the state is another."""
        self.jobs = Jobs(self)
        self._envelope = Envelope(organization, seed, limits=published_limits)
        self._dispatcher = Dispatcher(self)
        handler: Handler = self._dispatcher
        if rate_limits is not None:
            from .limits import limited
            from .limits import rate_limits as read

            handler = limited(self, read(rate_limits))(handler)
        self.authentication = authentication
        handler = linked(self.store, authentication(handler))
        for each in reversed(list(filters)):
            handler = each(handler)
        self._beside: dict[str, Handler] = {}
        self._prefixes: tuple[str, ...] = ()
        self._bare: Handler = partial(self._answer, handler)
        self._around = around
        self.inject(None)

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request. What needs the outside (a slow engine, latency) comes back as a flow to be driven."""
        if request.path.startswith(self._prefixes):
            for name, beside in self._beside.items():
                if request.path[1:] == name or request.path.startswith(f"/{name}/"):
                    return beside(request)
        if self.jobs.next < inf and self.jobs.next <= self.clock.now():
            due = self.jobs.advance()
            if due is not None:
                return self._after(due, request)
        return self._answered(request)

    def dialogue(self, request: Request) -> Dialogue | Response:
        """Open a websocket, or refuse to. Each message that asks for something is then answered as a request is."""
        from .sockets import opened

        try:
            return opened(self, request)
        except Exception as error:
            request_id = self._envelope.new_id()
            return self._envelope.sealed(error_response(error, request, request_id), request, request_id, 0.0)

    def inner(self, request: Request) -> Response | Flow[Response]:
        """Answer a request of the server's own, such as a line of a batch: without filters, keys and due jobs."""
        return self._answer(self._dispatcher, request)

    def mount(self, name: str, handler: Handler) -> None:
        """Have a handler answer below `/name`, beside the API: without key, filters, jobs, and what is around it.

        It raises nothing.
        """
        self._beside[name] = handler
        self._prefixes = tuple(f"/{each}" for each in self._beside)

    def inject(self, within: Filter | None) -> None:
        """Put a filter between `around` and all the rest, in the place of the last; `None` takes it out.

        It may raise `Severed`. Requests that are under way are not concerned.
        """
        handler = self._bare if within is None else within(self._bare)
        self._answered: Handler = handler if self._around is None else self._around(handler)

    def answer(self, handler: Handler, request: Request) -> Response | Flow[Response]:
        """What another handler says in place of the API: its errors as the API's, and with the API's headers."""
        return self._answer(handler, request)

    def _after(self, due: Flow[None], request: Request) -> Flow[Response]:
        yield from due
        answer = self._answered(request)
        return (yield from answer) if answer.__class__ is GeneratorType else answer  # type: ignore[misc, return-value]

    def _answer(self, handler: Handler, request: Request) -> Response | Flow[Response]:
        began = self._tick()
        request_id = self._envelope.new_id()
        try:
            answer = handler(request)
            if answer.__class__ is GeneratorType:
                return self._driven(answer, request, request_id, began)  # type: ignore[arg-type]
            if answer.body.__class__ is not bytes:  # type: ignore[union-attr]
                return self._streamed(answer, request, request_id, began)  # type: ignore[arg-type]
        except Exception as error:
            answer = error_response(error, request, request_id)
        return self._envelope.sealed(answer, request, request_id, self._tick() - began)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<Server of {self.organization}>"

    @property
    def world(self) -> World:
        """The world to drive this server's flows in: its clock's."""
        return self.clock.world()

    # State

    def snapshot(self) -> Any:
        """The state as a value: what the store keeps, and where the ids and the random numbers are."""
        return Snapshot(self.store.snapshot(), self.ids.snapshot(), self.random.getstate(), self._envelope.snapshot())

    def restore(self, state: Any) -> None:
        """Go back to a snapshot. The clock is not turned back. Raises `TypeError` for what is no snapshot."""
        if not isinstance(state, Snapshot):
            raise TypeError(f"a snapshot is what `snapshot` gave, not a {type(state).__name__}")
        with self.lock:
            documents, ids, random, requests = state
            self.store.restore(documents)
            self.ids.restore(ids)
            self.random.setstate(random)
            self._envelope.restore(requests)
            self.derived = {}
            self.jobs.reload()

    def reset(self, seed: int | str | None = None) -> None:
        """Begin anew: an empty store, and the ids and random numbers of the seed, or of another, from the first."""
        with self.lock:
            if seed is not None:
                self.seed = seed
            self.store.clear()
            self.ids.reset(seed)
            self.random = Random(f"random {self.seed}")
            self._envelope.reset(seed)
            self.derived = {}
            self.jobs.reload()

    # Answers that are not there yet

    def _driven(self, flow: Flow[Response], request: Request, request_id: str, began: float) -> Flow[Response]:
        try:
            answer = yield from flow
            if answer.body.__class__ is not bytes:
                opened = self._streamed(answer, request, request_id, began)
                return (yield from opened) if opened.__class__ is GeneratorType else opened  # type: ignore[misc, return-value]
        except Exception as error:
            answer = error_response(error, request, request_id)
        return self._envelope.sealed(answer, request, request_id, self._tick() - began)

    def _streamed(self, answer: Response, request: Request, request_id: str, began: float) -> Response | Flow[Response]:
        """Take the first piece of a stream before the answer begins, so that an error in it is an answer of its own.

        Latency belongs to the body: an answer whose body begins with a pause begins before it. What is in a file stays
        there, for hosts that can send it from there.
        """
        if isinstance(answer.body, Spooled):
            return self._envelope.sealed(answer, request, request_id, self._tick() - began)
        pieces = iter(answer.body)
        first = next(pieces, None)
        if first is None or isinstance(first, (bytes, Pause)):
            return self._begun(answer, first, pieces, request, request_id, began)
        return self._awaited(answer, first, pieces, request, request_id, began)

    def _awaited(
        self, answer: Response, step: Any, pieces: Any, request: Request, request_id: str, began: float
    ) -> Flow[Response]:
        send = getattr(pieces, "send", None)
        try:
            while step is not None and not isinstance(step, (bytes, Pause)):
                try:
                    result = yield step
                except BaseException as error:
                    throw = getattr(pieces, "throw", None)
                    if throw is None:
                        raise
                    step = throw(error)
                else:
                    step = next(pieces) if send is None else send(result)
        except StopIteration:
            step = None
        except Exception as error:
            failed = error_response(error, request, request_id)
            return self._envelope.sealed(failed, request, request_id, self._tick() - began)
        return self._begun(answer, step, pieces, request, request_id, began)

    def _begun(
        self, answer: Response, first: Any, pieces: Any, request: Request, request_id: str, began: float
    ) -> Response:
        body: Any = b"" if first is None else guarded(first, pieces, answer, request, request_id)
        opened = Response(answer.status, answer.headers, body, answer.request)
        return self._envelope.sealed(opened, request, request_id, self._tick() - began)
