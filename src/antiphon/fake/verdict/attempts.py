"""Requests put together to calls, and what their answers asked of whoever would ask again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Any, Final

from ..journal import Exchange
from .whole import cut_off

__all__ = ("Attempts", "calls_of", "final", "gap", "quota", "wait_asked")

_PASSING: Final = (408, 409, 429)
"""Statuses below 500 after which asking again may help."""


class Attempts(Sequence[Exchange]):
    """One call: what was asked, and asked again."""

    def __init__(self, first: Exchange) -> None:
        self._all = [first]

    def __getitem__(self, place: Any) -> Any:
        return self._all[place]

    def __len__(self) -> int:
        return len(self._all)

    def add(self, exchange: Exchange) -> None:
        self._all.append(exchange)

    def pairs(self) -> Iterator[tuple[Exchange, Exchange]]:
        """Each attempt, and the one that followed it."""
        return iter(zip(self._all, self._all[1:], strict=False))

    def __repr__(self) -> str:
        return f"<{len(self)} attempts at {self._all[0]!r}>"


def calls_of(exchanges: Sequence[Exchange]) -> list[Attempts]:
    """Requests, put together to calls.

    Requests with one `idempotency-key` are attempts at one call. Others are, where they ask the same again after it
    failed: as a client says that counts them (`x-stainless-retry-count`), and as can be seen where none does.
    """
    calls: list[Attempts] = []
    latest: dict[Any, Attempts] = {}
    changed: dict[int, int] = {}
    changes = 0
    for each in exchanges:
        key = each._sent[3].get("idempotency-key") or _fingerprint(each)
        call = latest.get(key)
        again = call is not None and (
            key.__class__ is str or _is_again(call[-1], each, since=changes - changed.get(id(call[-1]), changes))
        )
        if again and call is not None:
            call.add(each)
        else:
            latest[key] = call = Attempts(each)
            calls.append(call)
        # What succeeds may change what a later request comes to.
        if each.method not in ("GET", "HEAD") and each.status is not None and each.status < 300:
            changes += 1
        changed[id(each)] = changes
    return calls


def _fingerprint(exchange: Exchange) -> tuple[str, str, str, bytes]:
    method, path, query, headers, body, _ = exchange._sent
    kind = headers.get("content-type") or ""
    if kind.startswith("multipart/"):  # what parts it is put together with, differs each time
        body = repr(exchange.body).encode("utf-8", "replace")
    length = b"" if body else (headers.get("content-length") or "").encode()
    return method, path, query, blake2b(body or length, digest_size=16).digest()


def _is_again(last: Exchange, each: Exchange, since: int) -> bool:
    """Whether the same request is a further attempt; `since` says how much has changed between them."""
    if last.ended is None or each.began < last.ended:
        return False  # both at the same time: two that ask the same
    if _counted(each) > 0:
        return True
    if not _failed(last):
        return False
    return final(last) is None or (each.method not in ("GET", "HEAD") and since == 0)


def _counted(exchange: Exchange) -> int:
    told = exchange._sent[3].get("x-stainless-retry-count") or ""
    return int(told) if told.isascii() and told.isdigit() else 0


def _failed(exchange: Exchange) -> bool:
    return exchange.status is None or exchange.status >= 400 or exchange.left_early or cut_off(exchange) is not None


def gap(last: Exchange, again: Exchange) -> float:
    """Seconds between an answer and the next attempt, by the fake's clock and, where that stands still, by the real."""
    ended = last.began if last.ended is None else last.ended
    return (again.began - ended) + max(0.0, again._real_began - last._real_ended)


def wait_asked(exchange: Exchange) -> float | None:
    """Seconds for which a failure asked to be left alone; `None` where it asked for nothing."""
    if exchange._told is None or exchange._told[0] < 400:
        return None
    get = exchange._told[1].get
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        told = get(name)
        try:
            if told is not None:
                return float(told) * unit
        except ValueError:
            pass
    try:
        date = get("retry-after")
        return None if date is None else parsedate_to_datetime(date).timestamp() - (exchange.ended or exchange.began)
    except (ArithmeticError, TypeError, ValueError):
        return None


def final(exchange: Exchange) -> str | None:
    """Why asking the same again cannot help; `None` where it may."""
    if exchange._told is None or exchange._told[0] < 400:
        return None
    status, headers, _ = exchange._told
    said = headers.get("x-should-retry")
    if said == "false":
        return f"a {status} with x-should-retry: false"
    if said == "true" or status >= 500 or status in _PASSING:
        return None
    return f"a {status}"


def quota(exchange: Exchange) -> bool:
    """Whether it was refused because the quota is used up."""
    answer: Any = exchange.answer if exchange.status == 429 else None
    error: Any = answer.get("error") if isinstance(answer, Mapping) else None
    return isinstance(error, Mapping) and "insufficient_quota" in (error.get("code"), error.get("type"))
