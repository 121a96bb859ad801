"""The faults of a fake: what is set, and the filter in which it strikes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, TypeVar

from ...kernel.errors import BadRequestError
from ...kernel.severed import Severed
from ..journal import under_way

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...kernel.flow import Flow
    from ...kernel.http import Handler, Request, Response
    from ...server.app import Server
    from ...server.engine import ChatRequest
    from ...server.turns import Turn
    from ..asked import Asked
    from ..fuzz import Fuzzing, Varied
    from ..journal import Exchange
    from .fault import AtWork, Fault, Faulty, Strike
    from .triggers import When

    Twist: TypeAlias = Callable[[Turn, ChatRequest], Turn]

__all__ = ("HEADER", "Faults", "Misbehaviour")

T = TypeVar("T")

HEADER: Final = "x-antiphon-fault"
"""The header in which a client asks for a fault, told in a line."""

_REMEMBERED: Final = 1000


class Faults:
    """What goes wrong in a fake. While nothing is set, and no header is looked at, no request comes by here."""

    def __init__(self, server: Server, given: Any = (), *, header: bool = False, control: bool | None = True) -> None:
        self._server = server
        self._control = control
        self._given = [_fault(each) for each in _several(given)]
        self._lock = threading.RLock()  # conditions may be functions, and these may change what is set
        self._set: tuple[AtWork, ...] = ()
        self._asked: dict[str, AtWork] = {}
        """Faults that clients asked for, by the lines they were told in."""
        self.twists: dict[str, Twist] = {}
        """What is made of what models say later, in the background, by the ids of what was struck when it was asked."""
        self.switched: tuple[Fault, ...] = ()
        """What was set last."""
        self.fuzzing: Fuzzing | None = None
        """What varies answers within what is legal."""
        self._header = header
        self._filtering = False
        server.mount("chaos", self._chaos)
        server.left = self._left
        self.reset()

    # What is set

    @property
    def header(self) -> bool:
        """Whether clients may ask for faults, in the header `x-antiphon-fault`."""
        return self._header

    @header.setter
    def header(self, value: bool) -> None:
        self._header = value
        self._fit()

    def set(self, *faults: Faulty, when: When | None = None) -> list[AtWork]:
        """Have these go wrong from now on, and nothing else; each counts from the first request."""
        made = [_fault(each, when) for each in faults]
        self.switched = tuple(made)
        return self._put([self._begun(each, place) for place, each in enumerate(made)])

    def add(self, given: Faulty, *, when: When | None = None) -> AtWork:
        """Have this go wrong besides."""
        made = self._begun(_fault(given, when), len(self._set))
        self._put([*self._set, made])
        return made

    def remove(self, *several: AtWork) -> None:
        """Have these go wrong no more. Those that are not set are passed over."""
        self._put([each for each in self._set if each not in several])

    def clear(self) -> None:
        """Have nothing go wrong any more. What clients asked for in a header begins anew when it is asked for again."""
        self._asked = {}
        self._put([])

    def reset(self) -> None:
        """Go back to what was given in the beginning."""
        self._asked = {}
        self.twists = {}
        self.fuzzing = None
        self.switched = tuple(self._given)
        self._put([self._begun(each, place) for place, each in enumerate(self._given)])

    def vary(self, fuzzing: Fuzzing | None) -> None:
        """Have answers varied within what is legal, or no more."""
        self.fuzzing = fuzzing
        self._fit()

    def __iter__(self) -> Iterator[AtWork]:
        return iter(self._set)

    def __len__(self) -> int:
        return len(self._set)

    def __repr__(self) -> str:
        return f"<Faults: {'; '.join(map(str, self._set)) or 'none'}>"

    def _begun(self, made: Fault, place: object) -> AtWork:
        from .fault import AtWork

        # Faults beside each other have dice of their own; the same fault in the same place, the same.
        return AtWork(made, self._server.clock, f"{self._server.seed} {place}")

    def _put(self, faults: Iterable[AtWork]) -> list[AtWork]:
        with self._lock:
            self._set = tuple(faults)
            put = list(self._set)
        self._fit()
        return put

    def _fit(self) -> None:
        """Stand in the way of requests where there is a reason to."""
        wanted = bool(self._set) or self._header or self.fuzzing is not None
        if wanted != self._filtering:
            self._filtering = wanted
            self._server.inject(self if wanted else None)

    # What it makes of requests

    def __call__(self, handler: Handler) -> Handler:
        """The handler with faults: a filter, within the journal."""

        def faulty(request: Request) -> Response | Flow[Response]:
            line = request.headers.get(HEADER) if self._header else None
            fuzzing = self.fuzzing
            if line is None and not self._set and fuzzing is None:
                return handler(request)
            exchange = under_way.get()
            if exchange is None or request.method == "OPTIONS":  # whether a browser may ask is another question
                return handler(request)
            try:
                faults = self._set if line is None else (*self._set, self._asked_for(line))
            except (TypeError, ValueError) as error:
                return self._server.answer(partial(_refused, error), request)
            try:
                struck = self._struck(faults, request, exchange)
            except Exception as error:  # of a condition that is a function
                return self._failed(error, request)
            varied = None if fuzzing is None else fuzzing.draw(exchange.operation)
            if not struck and varied is None:
                return handler(request)
            return self._strike(struck, varied, request, exchange, handler)

        return faulty

    def _asked_for(self, line: str) -> AtWork:
        """The fault that a header tells. Raises `TypeError` or `ValueError` where it tells none."""
        with self._lock:
            asked = self._asked.get(line)
            if asked is None:
                asked = self._begun(_fault(line), line)
                _remember(self._asked, line, asked)
            return asked

    def _left(self, id: str) -> None:
        """What is answered now goes on later: what its model says then is struck as if it said it now."""
        exchange = under_way.get()
        if exchange is not None and exchange.twist is not None:
            with self._lock:
                _remember(self.twists, id, exchange.twist)

    def _struck(self, faults: Iterable[AtWork], request: Request, exchange: Exchange) -> list[Strike]:
        from .triggers import Seen

        seen = Seen(request, exchange, self._server.clock.now())
        with self._lock:
            return [strike for each in faults if (strike := each.strike(seen)) is not None]

    def _failed(self, error: Exception, request: Request) -> Response | Flow[Response]:
        """The answer where a fault or a function of somebody's own fails: the server's own error."""

        def failing(request: Request) -> Response:
            raise error

        return self._server.answer(failing, request)

    def _strike(
        self, struck: list[Strike], varied: Varied | None, request: Request, exchange: Exchange, handler: Handler
    ) -> Flow[Response]:
        from .fault import Struck

        if struck:
            exchange.fault = Struck(each.stage for each in struck)
        for each in struck:
            each.scene.seal = partial(self._sealed, request)
        try:
            return (yield from self._answered(struck, varied, request, exchange, handler))
        except Severed:
            raise
        except Exception as error:  # of a behaviour of somebody's own
            failed: Any = self._failed(error, request)
            return failed  # type: ignore[no-any-return]

    def _answered(
        self, struck: list[Strike], varied: Varied | None, request: Request, exchange: Exchange, handler: Handler
    ) -> Flow[Response]:
        from .behaviours import first_answer

        answer: Any = yield from first_answer((each.behaviour, each.scene) for each in struck)
        if answer is None:
            for each in struck:
                request = each.behaviour.request(request, each.scene)
            twisting = [each for each in struck if each.behaviour.twists]
            if twisting or varied is not None:
                exchange.twist = partial(_twisted, twisting, varied)
            answer = handler(request)
            if answer.__class__ is GeneratorType:
                answer = yield from answer
        if varied is not None:
            answer = varied.altered(answer)
        for each in struck:
            answer = each.behaviour.altered(answer, each.scene)
        return answer  # type: ignore[no-any-return]

    def _chaos(self, request: Request) -> Response | Flow[Response]:
        from .chaos import chaos

        return chaos(self, self._control)(request)

    def _sealed(self, request: Request, answer: Response) -> Response:
        sealed: Any = self._server.answer(lambda request: answer, request)
        return sealed  # type: ignore[no-any-return]

    def explain(self, question: Any, asked: Asked) -> list[str]:
        """What each fault would make of a request if it came now: of an exchange, or of what is asked alone."""
        from ...kernel.http import Headers
        from ..journal import Exchange
        from .triggers import Seen

        exchange = question
        if not isinstance(exchange, Exchange):
            exchange = Exchange(("POST", "", "", Headers(), b"", ""), 0.0)
            exchange.__dict__.update(asked=asked, operation=asked.operation)
        seen = Seen(exchange._request, exchange, self._server.clock.now())
        with self._lock:
            return [f"{each}: {each.explain(seen)}" for each in self._set]


def _fault(given: Faulty, when: When | None = None) -> Fault:
    from .fault import fault

    return fault(given, when=when)


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Iterable) and not isinstance(given, (str, Mapping)) else [given]


def _remember(known: dict[str, T], key: str, value: T) -> None:
    """Keep something, and forget the oldest of too many."""
    if len(known) >= _REMEMBERED:
        known.pop(next(iter(known)))
    known[key] = value


def _twisted(struck: list[Strike], varied: Varied | None, turn: Turn, request: ChatRequest) -> Turn:
    if varied is not None:
        turn = varied.twist(turn, request)
    for each in struck:
        turn = each.behaviour.twist(turn, request, each.scene)
    return turn


def _refused(error: Exception, request: Request) -> Response:
    raise BadRequestError.because(f"{HEADER}: {error}", param=HEADER, code="invalid_fault")


class Misbehaviour:
    """Faults that were set together. As a context manager it ends with the block, and what was set before is back."""

    def __init__(self, faults: Faults, given: tuple[Faulty, ...], when: When | None) -> None:
        self._faults = faults
        self._before = list(faults)
        self.faults = faults.set(*given, when=when)
        """The faults at work."""

    @property
    def strikes(self) -> int:
        """How many requests they have struck."""
        return sum(each.strikes for each in self.faults)

    def stop(self) -> None:
        """End it: what was set before goes wrong again, if these are set still."""
        if list(self._faults) == self.faults:
            self._faults._put(self._before)
        else:
            self._faults.remove(*self.faults)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Misbehaviour: {'; '.join(map(str, self.faults)) or 'none'}; {self.strikes} strikes>"
