"""Which recording a request is answered with.

Requests are compared without what is another each time: ids, UUIDs and long hexadecimal numbers are told apart but not
read (the first one, the second one, the first again), and times that were the present when they were recorded are as
good as times that are the present now. What a client made up when it was recorded then stands for what it makes up now,
in the requests and answers that follow, too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson

from .recording import Recording

__all__ = ("Candidate", "Choice", "Likeness", "Matcher", "Sought", "renamed")

_NEAR: Final = 2 * 86_400.0
"""Seconds within which a time is the present."""

_MONTHS: Final[tuple[str, ...]] = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())
_MONTH: Final = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    "|Nov(?:ember)?|Dec(?:ember)?)"
)
_DAY: Final = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,?\x20)"
_CLOCK: Final = (
    r"(?:(?:[T\x20]|,?\x20at\x20|,\x20)\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:\x20?[AaPp][Mm])?"
    r"(?:\x20?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?)?"
)

_MADE_UP: Final = re.compile(
    rf"""
    (?<![A-Za-z0-9])(?:
      (?P<uuid>[0-9a-fA-F]{{8}}-(?:[0-9a-fA-F]{{4}}-){{3}}[0-9a-fA-F]{{12}})
    | (?P<day>(?P<y>20\d\d)[-/.年](?P<m>\d\d?)[-/.月](?P<d>\d\d?)日?{_CLOCK})
    | (?P<slashed>(?P<one>\d\d?)[/.](?P<two>\d\d?)[/.](?P<slashed_year>20\d\d){_CLOCK})
    | (?P<asctime>{_DAY}?(?P<asctime_month>{_MONTH})\x20{{1,2}}(?P<asctime_date>\d\d?)
          \x20\d\d:\d\d:\d\d(?:\x20[A-Z]{{3,4}})?\x20(?P<asctime_year>20\d\d))
    | (?P<words>{_DAY}?(?:
          (?P<month>{_MONTH})\.?\x20(?P<date>\d\d?)(?:st|nd|rd|th)?,?\x20(?P<year>20\d\d)
        | (?P<date2>\d\d?)(?:st|nd|rd|th)?\x20(?P<month2>{_MONTH})\.?,?\x20(?P<year2>20\d\d)){_CLOCK})
    | (?P<id>(?P<kind>[a-z]{{2,12}}(?:_[a-z]{{2,12}}){{0,2}}[-_])(?=[A-Za-z]*\d)[A-Za-z0-9]{{10,}})
    | (?P<hex>(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{{24,}})
    | (?P<unix>1[4-9]\d{{8}}(?:\d{{3}})?(?:\.\d{{1,9}})?)
    )(?![A-Za-z0-9])
    """,
    re.VERBOSE,
)
"""What a client makes up: ids, and times."""
_DIGIT: Final = re.compile("[0-9]")
"""What is in all of it."""


class Likeness(NamedTuple):
    """How requests are compared.

    `ignore` are places of the body that do not matter, such as `metadata.run` or `messages[*].name`, with all that is
    in them; `volatile` are patterns for what is another each time, in texts anywhere.
    """

    ignore: Sequence[str] = ()
    volatile: Sequence[str] = ()


class _Reader:
    """Reads a request as of a time, without what is another each time."""

    def __init__(self, now: float | None, ignored: re.Pattern[str] | None, volatile: Sequence[re.Pattern[str]]) -> None:
        self._now = now
        self._ignored = ignored
        self._volatile = volatile
        self.ids: dict[str, str] = {}
        """The ids in the order in which they come, and what each is called."""
        self._count: dict[str, int] = {}

    def value(self, value: Any, place: str = "") -> Any:
        if isinstance(value, str):
            return value if place == "model" else self.text(value)
        if isinstance(value, Mapping):
            read: dict[str, Any] = {}
            for name in sorted(value):
                inner = f"{place}.{name}" if place else str(name)
                if self._ignored is None or not self._ignored.match(inner):
                    read[self.text(name)] = self.value(value[name], inner)
            return read
        if isinstance(value, (list, tuple)):
            return [self.value(each, f"{place}[{number}]") for number, each in enumerate(value)]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if self._is_now(value):
                return "<now>"
            return int(value) if abs(value) < 2**53 and value == int(value) else value  # 1 and 1.0 are the same
        return value

    def text(self, text: str) -> str:
        for pattern in self._volatile:
            text = pattern.sub("<volatile>", text)
        return _MADE_UP.sub(self._called, text) if len(text) > 8 and _DIGIT.search(text) else text

    def _called(self, match: re.Match[str]) -> str:
        found: str = match[0]
        for name in ("uuid", "id", "hex"):
            if match[name] is not None:
                return self._id(found, match["kind"].rstrip("-_") if name == "id" else name)
        return "<now>" if any(map(self._is_near, _times_of(match))) else found

    def _id(self, found: str, kind: str) -> str:
        called = self.ids.get(found)
        if called is None:
            number = self._count[kind] = self._count.get(kind, 0) + 1
            called = self.ids[found] = f"<{kind} {number}>"
        return called

    def _is_now(self, value: float) -> bool:
        return (1e9 < value < 2e10 and self._is_near(value)) or (1e12 < value < 2e13 and self._is_near(value / 1000))

    def _is_near(self, at: float) -> bool:
        return self._now is not None and abs(at - self._now) <= _NEAR


def _times_of(match: re.Match[str]) -> Iterator[float]:
    """What times a text may mean, to the day."""
    group = match.group
    if group("unix") is not None:
        value = float(group("unix"))
        yield value / 1000 if value > 1e11 else value
    elif group("day") is not None:
        yield from _noon(group("y"), group("m"), group("d"))
    elif group("slashed") is not None:  # some begin with the month, and some with the day
        yield from _noon(group("slashed_year"), group("one"), group("two"))
        yield from _noon(group("slashed_year"), group("two"), group("one"))
    elif group("asctime") is not None:
        yield from _noon(group("asctime_year"), _month(group("asctime_month")), group("asctime_date"))
    else:
        month, date = group("month") or group("month2"), group("date") or group("date2")
        yield from _noon(group("year") or group("year2"), _month(month), date)


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _noon(year: str | int, month: str | int, day: str | int) -> Iterator[float]:
    with suppress(ValueError):
        yield datetime(int(year), int(month), int(day), 12, tzinfo=UTC).timestamp()


class Sought:
    """A request, recorded or not, as it is compared."""

    def __init__(self, method: str, url: str, body: Mapping[str, Any], reader: Callable[[], _Reader]) -> None:
        self.method = method
        scheme, _, rest = url.partition("://")
        host, _, target = rest.partition("/")
        self.host = f"{scheme}://{host}"
        self._target = f"/{target}"
        path, _, query = self._target.partition("?")
        self.path = path
        self.query = query
        self.body = body
        self._reader = reader

    @cached_property
    def _read(self) -> tuple[bytes, dict[str, Any], dict[str, str]]:
        reader = self._reader()
        read = {
            "method": self.method,
            "path": reader.text(self.path),
            "query": reader.value(sorted([*each] for each in parse_qsl(self.query, keep_blank_values=True))),
            "body": reader.value(_comparable(self.body)),
        }
        return orjson.dumps(read, option=orjson.OPT_SORT_KEYS), read, reader.ids

    @property
    def key(self) -> bytes:
        """What is alike in requests that are alike."""
        return self._read[0]

    @property
    def read(self) -> dict[str, Any]:
        """The request without what is another each time."""
        return self._read[1]

    @cached_property
    def parted(self) -> tuple[Sought, str] | None:
        """The request without what the user says last, and that, without what is another each time."""
        from .similar import parted

        found = parted(self.body)
        if found is None:
            return None
        rest, text = found
        return Sought(self.method, f"{self.host}{self._target}", rest, self._reader), self._reader().text(text)

    @property
    def ids(self) -> list[str]:
        """What was made up, in the order in which it comes."""
        return list(self._read[2])


def _comparable(body: Mapping[str, Any]) -> Any:
    if "json" in body:
        return body["json"]
    if "form" in body:
        # Libraries send fields in orders of their own.
        return {"form": sorted(body["form"], key=lambda field: orjson.dumps(field, option=orjson.OPT_SORT_KEYS))}
    return dict(body)


class Choice(NamedTuple):
    """A recording that a request may be answered with."""

    recording: Recording
    replaced: dict[str, str]
    """What was made up then, and stands for what is made up now, where these differ."""


class Candidate(NamedTuple):
    """A recording that a request, or a websocket, may be."""

    theirs: Sought
    sought: Sought
    recording: Recording


class Matcher:
    """Finds the recordings of requests. To be used by one thread at a time.

    `clean` makes of a body what is compared of it: what is a secret here and now, recordings have to be rid of, too.
    Raises `ValueError` for a pattern that is none.
    """

    def __init__(self, likeness: Likeness, clean: Callable[[Any], Any] = lambda body: body) -> None:
        self._clean = clean
        for what, given in (("ignore", likeness.ignore), ("volatile", likeness.volatile)):
            if isinstance(given, str):
                raise ValueError(f"{what} is a list, such as [{given!r}], not a text")
        self._ignored = _places(likeness.ignore)
        self._volatile = [_pattern(each) for each in likeness.volatile]
        self._by_key: dict[bytes, list[tuple[Sought, Recording]]] = {}
        self.every: list[tuple[Sought, Recording]] = []
        self.given: dict[str, str] = {}
        """What was made up in the recordings, and what stands for it now."""
        self._taken: dict[str, str] = {}
        self._known: set[str] = set()
        self._unread: list[Recording] = []

    def sought(self, method: str, url: str, body: Mapping[str, Any]) -> Sought:
        """A request of now as it is compared."""
        at = time.time()
        return Sought(method, url, body, lambda: _Reader(at, self._ignored, self._volatile))

    def recorded(self, recording: Recording) -> Sought:
        """A recorded request as it is compared."""
        at = recording.recorded
        return Sought(
            recording.method,
            recording.url,
            self._clean(recording.asked),
            lambda: _Reader(at, self._ignored, self._volatile),
        )

    def read(self, value: Any, at: float | None) -> Any:
        """JSON of a time without what is another each time."""
        return _Reader(at, self._ignored, self._volatile).value(value)

    def add(self, recording: Recording) -> None:
        """Take a recording in."""
        sought = self.recorded(recording)
        self.every.append((sought, recording))
        recording.number = len(self.every)
        self._by_key.setdefault(sought.key, []).append((sought, recording))
        self._unread.append(recording)

    def choose(self, sought: Sought, *, again: bool) -> Choice | None:
        """The recording for a request: of those that are alike the first that was not played, and where all were, with
        `again`, the last; `None` where there is none.
        """
        alike = self._by_key.get(sought.key)
        if not alike:
            return None
        best: tuple[Any, ...] | None = None
        chosen: tuple[Sought, Recording] | None = None
        for number, (theirs, recording) in enumerate(alike):
            if recording.played and not again:
                continue
            rank = self._rank(sought, theirs, recording, number)
            if rank is not None and (best is None or rank < best):
                best, chosen = rank, (theirs, recording)
        if chosen is None:
            return None
        theirs, recording = chosen
        recording.played += 1
        self._agree(theirs, sought)
        return Choice(recording, self.replaced())

    def _agree(self, theirs: Sought, sought: Sought) -> None:
        """What was made up in a recording stands for what is there now."""
        for then, now in zip(theirs.ids, sought.ids, strict=True):
            self.given[then] = now
            self._taken[now] = then

    def replaced(self) -> dict[str, str]:
        """What was made up then, and stands for what is made up now, where these differ."""
        return {then: now for then, now in self.given.items() if then != now}

    def fits(self, theirs: Sought, ours: Sought, recording: Recording) -> bool:
        """Whether a recording of a request that is alike is about the same things."""
        return self._rank(ours, theirs, recording, 0) is not None

    # Websockets

    def candidates(self, sought: Sought, *, again: bool) -> list[Candidate]:
        """The recordings of the opening of a websocket, the best first; with `again` also those that were played."""
        found: list[tuple[tuple[Any, ...], Candidate]] = []
        for number, (theirs, recording) in enumerate(self._by_key.get(sought.key, ())):
            rank = self._rank(sought, theirs, recording, number)
            if rank is not None and (again or not recording.played):
                found.append((rank, Candidate(theirs, sought, recording)))
        return [candidate for _, candidate in sorted(found, key=lambda each: each[0])]

    def take(self, candidate: Candidate) -> None:
        """It is this one."""
        candidate.recording.played += 1
        self._agree(candidate.theirs, candidate.sought)

    def choice(self, candidate: Candidate) -> Choice:
        """It is this one, which is played."""
        self.take(candidate)
        return Choice(candidate.recording, self.replaced())

    def message(self, recording: Recording, body: Mapping[str, Any], at: float | None) -> Sought:
        """A message of a client as it is compared: one of a recording `at` a time, or one of now (`None`)."""
        when = time.time() if at is None else at
        return Sought("MESSAGE", recording.url, body, lambda: _Reader(when, self._ignored, self._volatile))

    def meets(self, theirs: Sought, ours: Sought, recording: Recording) -> bool:
        """Whether a message is as it was recorded."""
        if theirs.key != ours.key or not self.fits(theirs, ours, recording):
            return False
        self._agree(theirs, ours)
        return True

    def distance(self, theirs: Sought, ours: Sought) -> float:
        """How different two messages are."""
        from .comparing import distance

        return distance(theirs.read, ours.read)

    def _rank(self, sought: Sought, theirs: Sought, recording: Recording, number: int) -> tuple[Any, ...] | None:
        """How good a recording is for a request, less being better; `None` where it is one of something else."""
        against = agree = 0
        for then, now in zip(theirs.ids, sought.ids, strict=True):
            if self.given.get(then, then) == now:
                agree += 1
            elif now in self._ids_known():
                return None  # it is about another thing, of which there are recordings
            elif then in self.given or now in self._taken:
                against += 1
        played = recording.played > 0
        return against, -agree, played, sought.host != theirs.host, -number if played else number

    def _ids_known(self) -> set[str]:
        """Everything that was made up in the recordings."""
        for recording in self._unread:
            for found in _MADE_UP.finditer(_all_of(recording)):
                if found["uuid"] or found["id"] or found["hex"]:
                    self._known.add(found[0])
        self._unread.clear()
        return self._known

    # Where there is none

    def nearest(self, sought: Sought) -> tuple[Sought, Recording] | None:
        """The recording that differs least from a request."""
        from .comparing import distance

        there = [each for each in self.every if each[0].method == sought.method] or self.every
        return min(there, key=lambda each: distance(each[0].read, sought.read), default=None)

    def alike(self, sought: Sought) -> list[Recording]:
        """The recordings of requests that are alike."""
        return [recording for _, recording in self._by_key.get(sought.key, ())]


def _all_of(recording: Recording) -> str:
    return orjson.dumps(recording.value, default=str).decode()


def _pattern(given: str) -> re.Pattern[str]:
    try:
        return re.compile(given)
    except (re.error, TypeError) as error:
        raise ValueError(f"volatile takes regular expressions; {given!r} is none: {error}") from None


def _places(given: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern of places in a body, and of all that is below them."""
    each = [re.escape(place).replace(r"\*", r"[^.\[\]]*") for place in given]
    return re.compile(rf"(?:{'|'.join(each)})(?:[.\[]|\Z)") if each else None


def renamed(data: bytes, replaced: Mapping[str, str]) -> bytes:
    """An answer with what was made up then as it is now."""
    for then, now in replaced.items():
        if then.encode() in data:
            data = data.replace(then.encode(), now.encode())
    return data
