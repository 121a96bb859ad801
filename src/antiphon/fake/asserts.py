"""What tests say of a journal: that something was asked, or was not. What does not hold is told beside what was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .asked import Conditions
from .journal import differences

if TYPE_CHECKING:
    from .journal import Exchange, Journal
    from .rules import Rules

__all__ = ("all_used", "called", "cost_at_most", "in_order", "not_called", "nothing_unexpected", "tokens_at_most")

_LISTED: Final = 20


def __tracebackhide__(failure: Any) -> bool:
    """pytest shows where a test asserted something, and not how that was found out."""
    return bool(failure.errisinstance(AssertionError))


class _Query:
    def __init__(self, given: Mapping[str, Any]) -> None:
        told: Any = given
        if not isinstance(told, Mapping):
            raise TypeError(f"a query is a mapping of conditions, such as {{'text': 'Hello'}}, not {given!r}")
        self.given = {name: value for name, value in given.items() if value is not None}
        self.tool = self.given.get("tool")
        self.status = self.given.get("status")
        self.asked = Conditions({n: value for n, value in self.given.items() if n not in ("tool", "status")})

    def differences(self, exchange: Exchange) -> list[str]:
        return differences(exchange, self.asked, self.tool, self.status)

    def __str__(self) -> str:
        own = [f"{name}={self.given[name]!r}" for name in ("tool", "status") if name in self.given]
        return ", ".join(filter(None, [str(self.asked), *own])) or "anything"


def _listed(exchanges: Iterable[Exchange], query: _Query | None = None) -> str:
    """Exchanges, one to a line, and what keeps them from being meant."""
    lines: list[str] = []
    every = list(exchanges)
    for number, each in enumerate(every[-_LISTED:], max(0, len(every) - _LISTED)):
        lines.append(f"  [{number}] {each!r}")
        lines += [f"        {why}" for why in (query.differences(each) if query is not None else ())]
    if len(every) > _LISTED:
        lines.insert(0, f"  … {len(every) - _LISTED} before these")
    return "\n".join(lines)


def _asked(exchanges: list[Exchange], query: _Query | None = None) -> str:
    return f"The fake was asked:\n{_listed(exchanges, query)}" if exchanges else "The fake was asked nothing."


def called(journal: Journal, times: int | None, given: Mapping[str, Any]) -> None:
    """See that something was asked, so many times or at all."""
    query, every = _Query(given), list(journal)
    found = sum(not query.differences(each) for each in every)
    if found if times is None else found == times:
        return
    wanted = "a request" if times is None else f"{times} request{'' if times == 1 else 's'}"
    raise AssertionError(f"expected {wanted} with {query}, and there were {found or 'none'}.\n{_asked(every, query)}")


def not_called(journal: Journal, given: Mapping[str, Any]) -> None:
    """See that something was not asked."""
    query = _Query(given)
    found = [each for each in journal if not query.differences(each)]
    if found:
        raise AssertionError(f"expected no request with {query}, and there were {len(found)}:\n{_listed(found)}")


def in_order(journal: Journal, several: Iterable[Mapping[str, Any]]) -> None:
    """See that there were requests one after the other, whatever was between them."""
    every = list(journal)
    place = 0
    for number, given in enumerate(several):
        query = _Query(given)
        start = place
        while place < len(every) and query.differences(every[place]):
            place += 1
        if place == len(every):
            since = "" if start == 0 else f" after [{start - 1}]"
            raise AssertionError(f"expected request {number + 1} of the order, with {query}{since}.\n{_asked(every)}")
        place += 1


def tokens_at_most(journal: Journal, most: int, given: Mapping[str, Any]) -> None:
    """See that requests and their answers had no more tokens together."""
    query = _Query(given)
    found = [each for each in journal if not query.differences(each)]
    each_of = [each.tokens.total for each in found]
    if sum(each_of) > most:
        told = "\n".join(f"  {count:>6} {each!r}" for count, each in zip(each_of, found, strict=True))
        raise AssertionError(f"expected {most} tokens at most with {query}, and there were {sum(each_of)}:\n{told}")


def all_used(rules: Rules, journal: Journal) -> None:
    """See that every rule has answered something."""
    unused = rules.unused()
    if unused:
        told = "\n".join(f"  {rule}" for rule in unused)
        raise AssertionError(
            f"expected every rule to answer something, and these did not:\n{told}\n{_asked(list(journal))}"
        )


def cost_at_most(journal: Journal, most: float, given: Mapping[str, Any]) -> None:
    """See that requests and their answers did not cost more together, in USD."""
    query = _Query(given)
    found = [(each, each.cost) for each in journal if not query.differences(each)]
    unknown = sorted({each.model for each, cost in found if cost is None})
    if unknown:
        raise AssertionError(
            f"expected a cost of {_usd(most)} at most with {query}, and there is no price for {', '.join(unknown)}: "
            f"say it with FakeOpenAI(prices={{{unknown[0]!r}: Price(input=…, output=…)}}), in USD a million tokens"
        )
    total = sum(cost or 0.0 for _, cost in found)
    if total > most:
        told = "\n".join(f"  {_usd(cost or 0.0):<10} {each.tokens.total:>6} tokens  {each!r}" for each, cost in found)
        raise AssertionError(f"expected a cost of {_usd(most)} at most with {query}, and it was {_usd(total)}:\n{told}")


def _usd(amount: float) -> str:
    """An amount, down to a millionth of a dollar where it is that small."""
    cents = f"${amount:.2f}"
    return cents if round(amount, 2) == round(amount, 6) else f"${amount:.6f}".rstrip("0")


def nothing_unexpected(rules: Rules, journal: Journal, expected: Iterable[Mapping[str, Any]]) -> None:
    """See that no engine was left to make up an answer, and no address was asked that there is none of."""
    queries = [_Query(given) for given in expected]
    found: list[str] = []
    for number, each in enumerate(journal):
        if each.rule is not None or (each.operation and each.engine is None and not _refused(each)):
            continue
        if any(not query.differences(each) for query in queries):
            continue
        found.append(f"  [{number}] {each!r}")
        if not each.operation:
            found.append("        there is no operation at this address")
            continue
        near = rules.nearest(each.asked)
        found.append(
            "        no rule is for it: there are none"
            if near is None
            else f"        the nearest is {near[0]}, but {'; '.join(near[1])}"
            if near[1]
            else f"        now {near[0]} would answer"
        )
    if found:
        count = sum(not line.startswith("        ") for line in found)
        beside = "" if not queries else f", or one of {'; '.join(f'({query})' for query in queries)}"
        raise AssertionError(
            f"expected every request to be answered by a rule{beside}, and {count} "
            f"{'was' if count == 1 else 'were'} not:\n" + "\n".join(found)
        )


def _refused(exchange: Exchange) -> bool:
    """Whether it was refused for want of a rule."""
    answer: Any = exchange.answer if exchange.status == 404 else None
    return isinstance(answer, dict) and (answer.get("error") or {}).get("code") == "no_rule"
