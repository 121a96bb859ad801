"""What the code under test did wrong, read from the journal.

    print(fake.verdict())
    fake.assert_well_behaved(ignore=["abandoned_stream"])

Requests are put together to calls first: one question, and the attempts at it. Then each kind of misbehaviour is looked
for by a function of its own. No more is said than what can be seen from the server's side: where that leaves it open
whether something went wrong, a finding is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

from ..asked import Conditions
from ..journal import Exchange, differences
from .attempts import Attempts, calls_of, final, gap, quota, wait_asked
from .history import histories, loops
from .keys import exposures
from .whole import ERROR, asks_for_more, asks_the_same, cut_off, goes_on, known_by, length_cut, refers_to

__all__ = ("CODES", "Finding", "Verdict", "verdict", "well_behaved")

AT_ONCE: Final = 0.1
"""Seconds below which a retry has not waited."""

MANY: Final = 10
"""Attempts at one call that are more than patience."""

LOOPS: Final = 3
"""How often the same tool is called with the same arguments in a conversation before that is a loop."""

Severity = Literal["error", "warning"]

CODES: Final = {
    "ignored_retry_after": "asked again sooner than `retry-after` allowed",
    "retried_final": "asked again what the answer said would not change: 400, 401, `x-should-retry: false` …",
    "retried_without_quota": "asked again although the quota was used up",
    "retry_storm": "asked again and again without waiting, or without an end",
    "accepted_truncated_stream": "went on with a stream that broke off, or did not ask again",
    "unclosed_stream": "has a stream open that it neither read to its end nor closed",
    "abandoned_stream": "left a stream before its end",
    "key_in_the_clear": "sent a key unencrypted to another machine, or in a place that is written down",
    "ignored_length": "went on with an answer that was cut off at its token limit",
    "looped_on_tool": "called the same tool with the same arguments again and again",
}
"""What is looked for."""


class Finding(NamedTuple):
    """Something that the code under test did wrong."""

    code: str
    """One of `CODES`."""
    severity: Severity
    sentence: str
    exchanges: tuple[Exchange, ...]
    """The requests that show it, in order."""
    places: tuple[int, ...]
    """Where these are in the journal."""

    def to_dict(self) -> dict[str, Any]:
        """It as JSON; the requests are told by their places in the journal."""
        return {
            "code": self.code,
            "severity": self.severity,
            "sentence": self.sentence,
            "exchanges": list(self.places),
            "request_ids": [each.request_id for each in self.exchanges],
        }

    def __str__(self) -> str:
        shown = [f"      [{place}] {each!r}" for place, each in zip(self.places, self.exchanges, strict=True)]
        if len(shown) > 6:
            shown[3:-2] = [f"      … {len(shown) - 5} more"]
        return "\n".join([f"  {self.severity} {self.code}: {self.sentence}", *shown])


class Verdict:
    """What was found. It is true where nothing is wrong; printed, it is a report."""

    def __init__(self, findings: Iterable[Finding], calls: Sequence[Attempts], requests: int) -> None:
        self.findings = list(findings)
        """What is wrong, errors first, each in the order of its first request."""
        self.calls = calls
        """The calls, each with its attempts."""
        self.requests = requests
        """How many requests were looked at."""

    def __bool__(self) -> bool:
        return not self.findings

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def errors(self) -> list[Finding]:
        """Those that are surely wrong."""
        return [each for each in self.findings if each.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """Those that may be meant so."""
        return [each for each in self.findings if each.severity == "warning"]

    @property
    def retries(self) -> int:
        """How many requests were further attempts at a call."""
        return sum(len(each) - 1 for each in self.calls)

    def without(self, ignore: Collection[str]) -> Verdict:
        """The same without some codes. Raises `ValueError` for one that there is none of."""
        unknown = sorted(set(ignore) - set(CODES))
        if unknown:
            raise ValueError(f"there is no finding {unknown[0]!r}; there are {', '.join(CODES)}")
        return Verdict([each for each in self.findings if each.code not in ignore], self.calls, self.requests)

    def to_dict(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "object": "verdict",
            "ok": not self.errors,
            "requests": self.requests,
            "calls": len(self.calls),
            "retries": self.retries,
            "findings": [each.to_dict() for each in self.findings],
        }

    def __str__(self) -> str:
        of = f"in {_count(self.requests, 'request')} of {_count(len(self.calls), 'call')}"
        if not self.findings:
            return f"The client did nothing wrong {of}."
        told = [_count(len(self.errors), "error"), _count(len(self.warnings), "warning")]
        head = " and ".join(each for each in told if not each.startswith("no "))
        return "\n".join([f"{head} {of}:", *map(str, self.findings)])

    def __repr__(self) -> str:
        return f"<Verdict: {_count(len(self.errors), 'error')}, {_count(len(self.warnings), 'warning')}>"


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


class Seen:
    """The journal, as it is looked at."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.exchanges = exchanges
        self.place = {id(each): number for number, each in enumerate(exchanges)}
        self.calls = calls_of(exchanges)
        self.call = {id(each): call for call in self.calls for each in call}

    @cached_property
    def histories(self) -> Any:
        """What each conversation had before it, by place."""
        return histories(self.exchanges)

    @cached_property
    def _referring(self) -> dict[Any, list[int]]:
        return _placed((refers_to(each), place) for place, each in enumerate(self.exchanges))

    @cached_property
    def _asking(self) -> dict[Any, list[int]]:
        return _placed(([asks_the_same(each)], place) for place, each in enumerate(self.exchanges))

    def _after(self, exchange: Exchange, places: Iterable[int]) -> Iterator[Exchange]:
        """Those at some places that came once an exchange was over, in order."""
        for place in sorted(set(places)):
            each = self.exchanges[place]
            if place > self.place[id(exchange)] and exchange.ended is not None and each.began >= exchange.ended:
                yield each

    def went_on_with(self, exchange: Exchange) -> Exchange | None:
        """The first request that has the answer of an exchange in it."""
        places = (place for key in known_by(exchange) for place in self._referring.get(key, ()))
        return next(self._after(exchange, places), None)

    def asked_for_more(self, exchange: Exchange) -> bool:
        """Whether the same was asked later, and more was let be said."""
        same = self._after(exchange, self._asking.get(asks_the_same(exchange), ()))
        return any(asks_for_more(exchange, each) for each in same)

    def asked_again(self, exchange: Exchange) -> bool:
        """Whether there was a further attempt."""
        return self.call[id(exchange)][-1] is not exchange

    def finding(self, code: str, severity: Severity, sentence: str, exchanges: Iterable[Exchange]) -> Finding:
        found = tuple(exchanges)
        return Finding(code, severity, sentence, found, tuple(self.place[id(each)] for each in found))


def _placed(several: Iterable[tuple[Iterable[Any], int]]) -> dict[Any, list[int]]:
    """Where each key is, those of `None` left out."""
    found: dict[Any, list[int]] = {}
    for keys, place in several:
        for key in keys:
            if key is not None:
                found.setdefault(key, []).append(place)
    return found


Check = Callable[[Seen], Iterator[Finding]]


def _ignored_retry_after(seen: Seen) -> Iterator[Finding]:
    for call in seen.calls:
        for last, again in call.pairs():
            asked = wait_asked(last)
            waited = gap(last, again)
            if asked is not None and asked > 0 and waited < asked * 0.95 - 0.02:
                yield seen.finding(
                    "ignored_retry_after",
                    "error",
                    f"it was to wait {_seconds(asked)}, and asked again after {_seconds(waited)}",
                    (last, again),
                )


def _retried_final(seen: Seen) -> Iterator[Finding]:
    for call in seen.calls:
        for number, (last, again) in enumerate(call.pairs(), 1):
            reason = final(last)
            if reason is not None:
                rest = "" if len(call) == number + 1 else f", {_count(len(call) - number, 'time')}"
                exchanges = (last, *call[number:])
                yield seen.finding("retried_final", "error", f"it asked again{rest} after {reason}", exchanges)
                break
            if quota(last):
                yield seen.finding(
                    "retried_without_quota",
                    "warning",
                    "it asked again although the answer said that the quota is used up, which waiting does not change",
                    (last, again),
                )
                break


def _retry_storm(seen: Seen) -> Iterator[Finding]:
    for call in seen.calls:
        hasty = [again for last, again in call.pairs() if wait_asked(last) is None and gap(last, again) < AT_ONCE]
        if len(hasty) > 1:
            told = f"it asked {len(call)} times, {len(hasty)} of them within {_seconds(AT_ONCE)} of a failure"
            yield seen.finding("retry_storm", "error", told, call)
        elif len(call) > MANY:
            yield seen.finding("retry_storm", "error", f"it asked {len(call)} times and did not give up", call)


def _accepted_truncated_stream(seen: Seen) -> Iterator[Finding]:
    for each in seen.exchanges:
        why = cut_off(each)
        if why is None:
            continue
        later = seen.went_on_with(each)
        if later is not None:
            told = f"the stream {why}, and it went on with what had come"
            yield seen.finding("accepted_truncated_stream", "error", told, (each, later))
        elif why != ERROR and not seen.asked_again(each):
            told = f"the stream {why}, and it did not ask again: whether it noticed cannot be seen from here"
            yield seen.finding("accepted_truncated_stream", "warning", told, (each,))


def _streams(seen: Seen) -> Iterator[Finding]:
    for each in seen.exchanges:
        if each._pieces is None:
            continue
        if each.ended is None:
            told = f"after {_count(len(each.pieces), 'piece')} its stream was neither read to its end nor closed"
            yield seen.finding("unclosed_stream", "error", told, (each,))
        elif each.left_early:
            told = f"it left the stream after {_count(len(each.pieces), 'piece')}, {_seconds(each.seconds or 0.0)}"
            yield seen.finding("abandoned_stream", "warning", told, (each,))


def _key_in_the_clear(seen: Seen) -> Iterator[Finding]:
    found: dict[str, list[Exchange]] = {}
    for each in seen.exchanges:
        for where in exposures(each):
            found.setdefault(where, []).append(each)
    for where, exchanges in found.items():
        yield seen.finding("key_in_the_clear", "error", f"it sent a key {where}", exchanges)


def _ignored_length(seen: Seen) -> Iterator[Finding]:
    for each in seen.exchanges:
        if not length_cut(each):
            continue
        later = seen.went_on_with(each)
        if later is not None:
            if not goes_on(each, later):
                told = "the answer was cut off at its token limit, and it went on as if it were whole"
                yield seen.finding("ignored_length", "error", told, (each, later))
        elif not seen.asked_for_more(each):
            told = (
                "the answer was cut off at its token limit, and it neither asked for the rest nor for more: whether it "
                "noticed cannot be seen from here"
            )
            yield seen.finding("ignored_length", "warning", told, (each,))


def _looped_on_tool(seen: Seen) -> Iterator[Finding]:
    for loop in loops(seen.exchanges, seen.histories, LOOPS):
        told = f"it called {loop.name}({loop.arguments}) {loop.times} times in one conversation, and went on"
        yield seen.finding("looped_on_tool", "error", told, loop.exchanges)


_CHECKS: Final[tuple[Check, ...]] = (
    _ignored_retry_after,
    _retried_final,
    _retry_storm,
    _accepted_truncated_stream,
    _streams,
    _key_in_the_clear,
    _ignored_length,
    _looped_on_tool,
)


def verdict(exchanges: Iterable[Exchange], query: Mapping[str, Any] | None = None) -> Verdict:
    """What was done wrong in these requests; with a query, as `journal.calls` takes it, what such requests show.

    Raises `TypeError` for a query that cannot be one.
    """
    every = list(exchanges)
    seen = Seen(every)
    findings = [finding for check in _CHECKS for finding in check(seen)]
    if query:
        given = dict(query)
        tool, status = given.pop("tool", None), given.pop("status", None)
        asked = Conditions(given)
        meant = {id(each) for each in every if not differences(each, asked, tool, status)}
        findings = [each for each in findings if any(id(one) in meant for one in each.exchanges)]
    findings.sort(key=lambda each: (each.severity != "error", each.places))
    return Verdict(findings, seen.calls, len(every))


def well_behaved(found: Verdict, ignore: Collection[str], warnings: bool) -> None:
    """See that nothing is wrong. Raises `AssertionError` with what is."""
    __tracebackhide__ = True
    if isinstance(ignore, str):
        ignore = (ignore,)
    left = found.without(ignore)
    wrong = left.findings if warnings else left.errors
    if wrong:
        raise AssertionError(f"expected a client that behaves well. {Verdict(wrong, found.calls, found.requests)}")


def _seconds(number: float) -> str:
    return f"{max(0.0, number):.3g} s"
