"""When faults strike.

    once()                                          the first request
    nth(2, 5), every(3), until(3), after(3)         by number
    until("30s"), after("1m"), between("09:00", "17:30")        by the fake's clock
    percentage(20, seed=7)                          by chance, the same for a seed
    matching(model="gpt-4o*", text="weather")       by what is asked, in the conditions of `FakeOpenAI.when`
    once() & matching(stream=True), always() | ..., ~matching(...)

A trigger says what is meant; each time a fault is set it begins anew. What counts, counts the requests the fault could
strike: those it makes sense for, and for which everything it is joined to with `&` holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeAlias, cast
from urllib.parse import parse_qs

from ...server.clock import seconds_of
from ..asked import Asked, Conditions
from .parts import Part, integer, number

if TYPE_CHECKING:
    from ...kernel.http import Request
    from ...server.clock import Clock
    from ..asked import Words
    from ..journal import Exchange

__all__ = (
    "TRIGGERS",
    "Beginning",
    "Seen",
    "State",
    "Trigger",
    "addressed",
    "after",
    "always",
    "attempt",
    "between",
    "every",
    "matching",
    "nth",
    "once",
    "percentage",
    "until",
)


class Beginning(NamedTuple):
    """What a trigger begins with."""

    clock: Clock
    seed: str


class Seen:
    """A request, as triggers and behaviours look at it."""

    def __init__(self, request: Request, exchange: Exchange, now: float) -> None:
        self.request = request
        self.exchange = exchange
        self.now = now
        """When it came, in Unix time by the fake's clock."""

    @property
    def asked(self) -> Asked:
        """What is asked."""
        return self.exchange.asked

    @property
    def operation(self) -> str:
        """The name of the operation, such as `chat.completions.create`."""
        return self.exchange.operation

    @cached_property
    def streams(self) -> bool:
        """Whether a stream of events is asked for."""
        asked: Any = self.asked.body.get("stream")
        if asked is None and self.request.query:
            asked = parse_qs(self.request.query).get("stream", [""])[0] == "true"
        return asked is True or asked == "true" or self.asked.body.get("stream_format") == "sse"


class State:
    """A trigger at work."""

    counts = False
    """Whether what it says depends on how many requests there were."""

    def holds(self, seen: Seen) -> bool:
        """Whether the fault would strike this request. Changes nothing."""
        raise NotImplementedError

    def count(self, seen: Seen) -> None:
        """The request has come."""

    @property
    def over(self) -> bool:
        """Whether it will not hold any more, whatever comes."""
        return False

    def why(self, seen: Seen) -> str:
        """Why it does not hold, where it does not."""
        raise NotImplementedError


class Trigger(Part):
    """When a fault strikes. Triggers are joined with `&` and `|`, and turned round with `~`."""

    def begin(self, beginning: Beginning) -> State:
        """The trigger at work, from now on."""
        raise NotImplementedError

    def called(self) -> str:
        return type(self).__name__.lower()

    def __and__(self, other: When) -> Trigger:
        return All((self, trigger(other)))

    def __or__(self, other: When) -> Trigger:
        return Either((self, trigger(other)))

    def __invert__(self) -> Trigger:
        return Not(self)


if TYPE_CHECKING:
    When: TypeAlias = Trigger | str | Mapping[str, Any] | Callable[[Asked], object] | Sequence["When"]
else:
    When = object


def trigger(given: When) -> Trigger:
    """The trigger that something stands for: one, a text or JSON that tells one, a function of what is asked, or a
    list of these, all of which have to hold.

    Raises `TypeError` or `ValueError` for something else.
    """
    if isinstance(given, Trigger):
        return given
    if isinstance(given, (str, Mapping)):
        from .described import trigger_of

        return trigger_of(given)
    if isinstance(given, Sequence) and given:
        return All(tuple(trigger(each) for each in given)) if len(given) > 1 else trigger(given[0])
    if getattr(given, "__module__", "") == __name__ and callable(given):  # the function that makes one, not called
        raise TypeError(f"a trigger is what {given.__name__}(…) gives, not {given.__name__} itself")
    if callable(given):
        return matching(predicate=given)
    raise TypeError(f"a trigger is once(), matching(...) and the like, a text such as 'once', or JSON, not {given!r}")


# Joined


@dataclass(frozen=True, repr=False)
class All(Trigger):
    """All of these hold."""

    name: ClassVar[str] = "all"
    triggers: tuple[Trigger, ...] = ()

    def __post_init__(self) -> None:
        flat: list[Trigger] = []
        for each in self.triggers:
            flat += each.triggers if isinstance(each, All) else [each]
        object.__setattr__(self, "triggers", tuple(flat))

    def begin(self, beginning: Beginning) -> State:
        return _AllState([each.begin(beginning) for each in self.triggers])

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.name, "triggers": [each.to_dict() for each in self.triggers]}

    def __str__(self) -> str:
        return " & ".join(f"({each})" if isinstance(each, Either) else str(each) for each in self.triggers)

    __repr__ = __str__


class _AllState(State):
    def __init__(self, states: list[State]) -> None:
        self.plain = [each for each in states if not each.counts]
        self.counting = [each for each in states if each.counts]
        self.counts = bool(self.counting)

    def holds(self, seen: Seen) -> bool:
        return all(each.holds(seen) for each in (*self.plain, *self.counting))

    def count(self, seen: Seen) -> None:
        if all(each.holds(seen) for each in self.plain):
            for each in self.counting:
                each.count(seen)

    @property
    def over(self) -> bool:
        return any(each.over for each in (*self.plain, *self.counting))

    def why(self, seen: Seen) -> str:
        return next(each.why(seen) for each in (*self.plain, *self.counting) if not each.holds(seen))


@dataclass(frozen=True, repr=False)
class Either(Trigger):
    """At least one of these holds."""

    name: ClassVar[str] = "any"
    triggers: tuple[Trigger, ...] = ()

    def begin(self, beginning: Beginning) -> State:
        return _EitherState([each.begin(beginning) for each in self.triggers])

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.name, "triggers": [each.to_dict() for each in self.triggers]}

    def __str__(self) -> str:
        return " | ".join(map(str, self.triggers))

    __repr__ = __str__


class _EitherState(State):
    def __init__(self, states: list[State]) -> None:
        self.states = states
        self.counts = any(each.counts for each in states)

    def holds(self, seen: Seen) -> bool:
        return any(each.holds(seen) for each in self.states)

    def count(self, seen: Seen) -> None:
        for each in self.states:
            each.count(seen)

    @property
    def over(self) -> bool:
        return all(each.over for each in self.states)

    def why(self, seen: Seen) -> str:
        return "; and ".join(each.why(seen) for each in self.states)


@dataclass(frozen=True, repr=False)
class Not(Trigger):
    """This does not hold."""

    name: ClassVar[str] = "not"
    trigger: Trigger

    def begin(self, beginning: Beginning) -> State:
        return _NotState(self.trigger.begin(beginning), str(self.trigger))

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.name, "trigger": self.trigger.to_dict()}

    def __str__(self) -> str:
        return f"~({self.trigger})" if isinstance(self.trigger, (All, Either)) else f"~{self.trigger}"

    __repr__ = __str__


class _NotState(State):
    def __init__(self, state: State, told: str) -> None:
        self.state = state
        self.counts = state.counts
        self.told = told

    def holds(self, seen: Seen) -> bool:
        return not self.state.holds(seen)

    def count(self, seen: Seen) -> None:
        self.state.count(seen)

    def why(self, seen: Seen) -> str:
        return f"{self.told} holds"


# By number


class _Counting(State):
    counts = True

    def __init__(self, strikes: Callable[[int], bool], last: int | None, told: str) -> None:
        self.strikes = strikes
        self.last = last
        self.told = told
        self.come = 0

    def holds(self, seen: Seen) -> bool:
        return self.strikes(self.come + 1)

    def count(self, seen: Seen) -> None:
        self.come += 1

    @property
    def over(self) -> bool:
        return self.last is not None and self.come >= self.last

    def why(self, seen: Seen) -> str:
        return f"it would be number {self.come + 1}, and {self.told}"


@dataclass(frozen=True, repr=False)
class Always(Trigger):
    """Every request."""

    name: ClassVar[str] = "always"

    def begin(self, beginning: Beginning) -> State:
        return _Plain(lambda seen: True, lambda seen: "")


class _Plain(State):
    def __init__(self, holds: Callable[[Seen], object], why: Callable[[Seen], str]) -> None:
        self._holds = holds
        self._why = why

    def holds(self, seen: Seen) -> bool:
        return bool(self._holds(seen))

    def why(self, seen: Seen) -> str:
        return self._why(seen)


@dataclass(frozen=True, repr=False)
class Once(Trigger):
    """The first request."""

    name: ClassVar[str] = "once"

    def begin(self, beginning: Beginning) -> State:
        return _Counting(lambda number: number == 1, 1, "the fault strikes once")


@dataclass(frozen=True, repr=False)
class Nth(Trigger):
    """Requests by their number, the first being 1."""

    name: ClassVar[str] = "nth"
    n: tuple[int, ...]

    def __post_init__(self) -> None:
        given: Any = self.n
        numbers = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        if not numbers or any(each.__class__ is not int or each < 1 for each in numbers):
            raise ValueError(f"nth is the number of a request, or several, the first being 1, not {given!r}")
        object.__setattr__(self, "n", numbers)

    def begin(self, beginning: Beginning) -> State:
        told = f"the fault strikes number {', '.join(map(str, self.n))}"
        return _Counting(lambda number: number in self.n, max(self.n), told)

    def __str__(self) -> str:
        return f"nth({', '.join(map(str, self.n))})"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Every(Trigger):
    """Each so many-th request."""

    name: ClassVar[str] = "every"
    n: int

    def __post_init__(self) -> None:
        integer(self, "n", 1)

    def begin(self, beginning: Beginning) -> State:
        return _Counting(lambda number: number % self.n == 0, None, f"the fault strikes each {self.n}. request")


@dataclass(frozen=True, repr=False)
class Percentage(Trigger):
    """So many requests of a hundred, by chance."""

    name: ClassVar[str] = "percentage"
    percent: float = 50
    seed: int | str | None = None

    def __post_init__(self) -> None:
        number(self, "percent", 0, 100)
        seed: Any = self.seed
        if seed is not None and not isinstance(seed, (int, str)):
            raise TypeError(f"percentage: seed is a number or a text, not {seed!r}")

    def begin(self, beginning: Beginning) -> State:
        return _Chance(self.percent, beginning.seed if self.seed is None else str(self.seed))


class _Chance(State):
    counts = True

    def __init__(self, percent: float, seed: str) -> None:
        self.percent = percent
        self.random = Random(f"percentage {seed}")
        self.next = self.random.random() * 100

    def holds(self, seen: Seen) -> bool:
        return self.next < self.percent

    def count(self, seen: Seen) -> None:
        self.next = self.random.random() * 100

    def why(self, seen: Seen) -> str:
        return f"chance ({self.percent:g} %) says no"


# By the clock


def _limit(name: str, given: Any) -> int | float | datetime:
    """A number of requests, seconds as a float, or a moment."""
    if isinstance(given, datetime):
        return given if given.tzinfo else given.replace(tzinfo=UTC)
    if given.__class__ is int and given >= 0:
        return given  # type: ignore[no-any-return]
    if isinstance(given, str):
        text = given.strip()
        if text.isascii() and text.isdigit():
            return int(text)
        try:
            return float(seconds_of(text))
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise ValueError(
        f"{name} takes a number of requests, a time such as '30s' or '1m', or a moment such as "
        f"'2027-01-01T12:00:00Z' (or a datetime), not {given!r}"
    )


@dataclass(frozen=True, repr=False)
class Until(Trigger):
    """The first so many requests, or what comes before a time."""

    name: ClassVar[str] = "until"
    limit: int | str | datetime

    def __post_init__(self) -> None:
        _limit(self.name, self.limit)

    def begin(self, beginning: Beginning) -> State:
        limit = _limit(self.name, self.limit)
        if limit.__class__ is int:
            return _Counting(lambda number: number <= limit, limit, f"the fault strikes the first {limit}")  # type: ignore[operator, arg-type]
        return _Timed(beginning.clock, None, _moment(limit, beginning.clock))


@dataclass(frozen=True, repr=False)
class After(Trigger):
    """What comes after the first so many requests, or after a time."""

    name: ClassVar[str] = "after"
    limit: int | str | datetime

    def __post_init__(self) -> None:
        _limit(self.name, self.limit)

    def begin(self, beginning: Beginning) -> State:
        limit = _limit(self.name, self.limit)
        if limit.__class__ is int:
            return _Counting(lambda number: number > limit, None, f"the fault leaves the first {limit} alone")  # type: ignore[operator]
        return _Timed(beginning.clock, _moment(limit, beginning.clock), None)


def _moment(limit: Any, clock: Clock) -> float:
    return limit.timestamp() if isinstance(limit, datetime) else clock.now() + limit  # type: ignore[no-any-return]


class _Timed(State):
    def __init__(self, clock: Clock, start: float | None, end: float | None) -> None:
        self.clock = clock
        self.start = start
        self.end = end

    def holds(self, seen: Seen) -> bool:
        return (self.start is None or seen.now >= self.start) and not (self.end is not None and seen.now >= self.end)

    @property
    def over(self) -> bool:
        return self.end is not None and self.clock.now() >= self.end

    def why(self, seen: Seen) -> str:
        if self.start is not None and seen.now < self.start:
            return f"it begins in {self.start - seen.now:g} s"
        return f"it has ended {seen.now - (self.end or 0):g} s ago"


@dataclass(frozen=True, repr=False)
class Between(Trigger):
    """From one time of the day to another, in UTC; or from one moment to another."""

    name: ClassVar[str] = "between"
    start: str | time | datetime
    end: str | time | datetime

    def __post_init__(self) -> None:
        start, end = _time(self.start), _time(self.end)
        if type(start) is not type(end):
            raise ValueError(f"between takes two times of a day or two moments, not {self.start!r} and {self.end!r}")
        if isinstance(start, datetime) and start >= end:  # type: ignore[operator]
            raise ValueError(f"between takes the earlier moment first: {self.start!r} is not before {self.end!r}")

    def begin(self, beginning: Beginning) -> State:
        start, end = _time(self.start), _time(self.end)
        if isinstance(start, datetime):
            return _Timed(beginning.clock, start.timestamp(), end.timestamp())  # type: ignore[union-attr]

        def holds(seen: Seen) -> bool:
            now = datetime.fromtimestamp(seen.now, UTC).time()
            return start <= now < end if start <= end else now >= start or now < end  # type: ignore[operator]

        return _Plain(holds, lambda seen: f"it is {datetime.fromtimestamp(seen.now, UTC):%H:%M:%S} UTC")

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.name, "start": _told(self.start), "end": _told(self.end)}


def _told(given: Any) -> str:
    return given if isinstance(given, str) else given.isoformat()  # type: ignore[no-any-return]


def _time(given: Any) -> time | datetime:
    if isinstance(given, datetime):
        return given if given.tzinfo else given.replace(tzinfo=UTC)
    if isinstance(given, time):
        return given
    if isinstance(given, str):
        try:
            return time.fromisoformat(given)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(given)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except ValueError:
            pass
    raise ValueError(f"between takes times such as '09:00', or moments such as '2027-01-01T12:00:00Z', not {given!r}")


# By what is asked


class Matching(Trigger):
    """What meets all of these conditions, as `FakeOpenAI.when` has them."""

    name: ClassVar[str] = "matching"

    def __init__(self, stream: bool | None = None, **conditions: Any) -> None:
        if stream is not None and stream.__class__ is not bool:
            raise TypeError(f"stream of matching is True or False, not {stream!r}")
        self.stream = stream
        self.conditions = Conditions(conditions)
        if stream is None and not self.conditions.given:
            raise ValueError("matching needs a condition, such as model='gpt-4o*'; without one it is always()")

    def settings(self) -> dict[str, Any]:
        return {**self.conditions.given, **({} if self.stream is None else {"stream": self.stream})}

    def to_dict(self) -> dict[str, Any]:
        from .described import told_condition

        return {"type": self.name, **{name: told_condition(name, value) for name, value in self.settings().items()}}

    def begin(self, beginning: Beginning) -> State:
        conditions, stream = self.conditions, self.stream

        def holds(seen: Seen) -> bool:
            return (stream is None or seen.streams is stream) and conditions.hold(seen.asked)

        def why(seen: Seen) -> str:
            if stream is not None and seen.streams is not stream:
                return f"a stream is {'not ' if stream else ''}asked for"
            return "; ".join(conditions.differences(seen.asked))

        return _Plain(holds, why)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matching) and self.settings() == other.settings()

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        stream = [] if self.stream is None else [f"stream={self.stream}"]
        return f"matching({', '.join(filter(None, [str(self.conditions), *stream]))})"

    __repr__ = __str__


@dataclass(frozen=True, repr=False)
class Addressed(Trigger):
    """Requests by how they go over the wire; all but the method are patterns of `re` for the whole value."""

    name: ClassVar[str] = "request"
    method: str | None = None
    path: str | None = None
    queries: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    body: str | None = None

    def __post_init__(self) -> None:
        for name in ("method", "path", "body"):
            given = getattr(self, name)
            if given is not None and not isinstance(given, str):
                raise TypeError(f"{name} of a request is a text, not {given!r}")
        for pattern in self._patterns():
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                raise ValueError(f"{pattern!r} is no pattern of a request: {error}") from None

    def _patterns(self) -> Iterable[Any]:
        yield from (each for each in (self.path, self.body) if each is not None)
        for several in cast("tuple[Any, Any]", (self.queries, self.headers)):
            if several is not None and not isinstance(several, Mapping):
                raise TypeError(f"queries and headers of a request map names to patterns, not {several!r}")
            yield from (several or {}).values()

    def begin(self, beginning: Beginning) -> State:
        return _Plain(lambda seen: not self._differs(seen.request), lambda seen: self._differs(seen.request))

    def _differs(self, request: Request) -> str:
        queries = parse_qs(request.query)
        sent: list[tuple[str, str | None, Sequence[str]]] = [("path", self.path, [request.path])]
        sent += [(f"query {name}", each, queries.get(name, ())) for name, each in (self.queries or {}).items()]
        sent += [
            (f"header {name}", each, request.headers.get_list(name)) for name, each in (self.headers or {}).items()
        ]
        if self.body is not None:
            sent.append(("body", self.body, [request.content().decode("utf-8", "replace")]))
        if self.method is not None and self.method.upper() != request.method:
            return f"the method is {request.method}, not {self.method.upper()}"
        for what, pattern, values in sent:
            if pattern is not None and not any(re.fullmatch(pattern, each, re.DOTALL) for each in values):
                return f"the {what} does not match {pattern!r}"
        return ""


@dataclass(frozen=True, repr=False)
class Attempt(Trigger):
    """The first so many attempts of a call, as clients tell in `x-stainless-retry-count`."""

    name: ClassVar[str] = "attempt"
    most: int = 1

    def __post_init__(self) -> None:
        integer(self, "most", 1)

    def begin(self, beginning: Beginning) -> State:
        def retries(seen: Seen) -> int:
            told: str = seen.request.headers.get("x-stainless-retry-count") or "0"
            return int(told) if told.isascii() and told.isdigit() else 0

        return _Plain(
            lambda seen: retries(seen) < self.most,
            lambda seen: f"it is attempt {retries(seen) + 1}, and the fault strikes the first {self.most}",
        )


TRIGGERS: Final[dict[str, type[Trigger]]] = {
    each.name: each for each in (Always, Once, Nth, Every, Percentage, Until, After, Between, Addressed, Attempt)
}
"""Triggers by their names, but for those that have others in them."""


def always() -> Trigger:
    """Every request."""
    return Always()


def once() -> Trigger:
    """The first request."""
    return Once()


def nth(*n: int) -> Trigger:
    """Requests by their number, the first being 1. Raises `ValueError` for no number."""
    return Nth(n)


def every(n: int) -> Trigger:
    """Each `n`-th request. Raises `ValueError` for no number."""
    return Every(n)


def percentage(percent: float = 50, *, seed: int | str | None = None) -> Trigger:
    """So many requests of a hundred, by chance; the same for a seed, which is the fake's unless told otherwise."""
    return Percentage(percent, seed)


def until(limit: int | str | datetime) -> Trigger:
    """The first `limit` requests; or what comes until so long from now (`"30s"`), or until a moment."""
    return Until(limit)


def after(limit: int | str | datetime) -> Trigger:
    """All but the first `limit` requests; or what comes so long from now (`"30s"`), or after a moment."""
    return After(limit)


def between(start: str | time | datetime, end: str | time | datetime) -> Trigger:
    """From one time of the day to another (`"22:00"`, `"06:00"`, in UTC), or from one moment to another."""
    return Between(start, end)


def matching(
    *,
    operation: str | re.Pattern[str] | None = None,
    model: str | re.Pattern[str] | None = None,
    text: Words | None = None,
    system: Words | None = None,
    tools: str | Iterable[str] | None = None,
    tool_result: Words | bool | None = None,
    turn: int | None = None,
    headers: Mapping[str, Words] | None = None,
    metadata: Mapping[str, Words] | None = None,
    response_format: str | None = None,
    body: Mapping[str, Any] | None = None,
    predicate: Callable[[Asked], object] | None = None,
    stream: bool | None = None,
) -> Trigger:
    """What meets all of these conditions, which are those of `FakeOpenAI.when`, and whether a stream is asked for.

    Raises `TypeError` or `ValueError` for a condition that cannot be one.
    """
    return Matching(
        stream,
        operation=operation,
        model=model,
        text=text,
        system=system,
        tools=tools,
        tool_result=tool_result,
        turn=turn,
        headers=headers,
        metadata=metadata,
        response_format=response_format,
        body=body,
        predicate=predicate,
    )


def addressed(
    method: str | None = None,
    path: str | None = None,
    *,
    queries: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
) -> Trigger:
    """Requests by how they go over the wire; all but the method are patterns of `re` for the whole value."""
    return Addressed(method, path, queries, headers, body)


def attempt(most: int = 1) -> Trigger:
    """The first `most` attempts of a call, by the header in which clients count what they send again."""
    return Attempt(most)
