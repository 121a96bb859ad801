"""What was used, span by span: how the usage and costs of an organization are summed up.

A server does not count by itself: whoever keeps what was asked gives it a ledger (`Server.ledger`).

API reference: https://platform.openai.com/docs/api-reference/usage
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from ..kernel.errors import BadRequestError

__all__ = ("DEFAULT_PROJECT", "WIDTHS", "Used", "page")

DEFAULT_PROJECT: Final = "proj_default"
"""The project of what was asked for none."""


class Used(NamedTuple):
    """One request that used something."""

    at: float
    """When, in Unix time."""
    kind: str
    """What: `completions`, `embeddings`, `costs` …"""
    counts: Mapping[str, float]
    """How much of each, by the names that results have for it."""
    labels: Mapping[str, Any]
    """What results can be grouped and filtered by: `model`, `api_key_id`, `line_item` …"""


Gauge: TypeAlias = Callable[[Sequence[int], int], Iterable[Used]]
"""What there was in spans of time: of the beginnings of the spans, and their length in seconds."""

WIDTHS: Final = {"1m": 60, "1h": 3600, "1d": 86_400}
_MOST: Final = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}
"""How many spans a page has: unless told, and at most."""
_MOST_OF_COSTS: Final = {**_MOST, "1d": (7, 180)}
_END_OF_TIME: Final = 2**40
_FILTERS: Final = {"models": "model", "api_key_ids": "api_key_id", "project_ids": "project_id", "user_ids": "user_id",
                   "line_items": "line_item", "sizes": "size", "sources": "source",
                   "vector_store_ids": "vector_store_id", "context_levels": "context_level"}  # fmt: skip


def page(
    ledger: Iterable[Used] | Gauge,
    kind: str,
    result: str,
    query: Mapping[str, Any],
    now: float,
    *,
    lenient: bool = False,
) -> dict[str, Any]:
    """A page of spans of time with what was used in each. `result` is the `object` of the results.

    What is kept is told by a gauge. `lenient` takes whatever makes no sense for the first page. Raises
    `BadRequestError` for a span that ends before it begins, a page that there is none of, and too many spans.
    """
    width = WIDTHS[query.get("bucket_width") or "1d"]
    usual, most = (_MOST_OF_COSTS if kind == "costs" else _MOST)[query.get("bucket_width") or "1d"]
    limit = query.get("limit") or usual
    if lenient:
        limit = min(limit, most)
    elif limit > most:
        raise BadRequestError.because(
            f"Invalid 'limit': {limit} is more than the {most} that a page may have with this 'bucket_width'.",
            param="limit",
        )
    began: int = query["start_time"]
    ended: int = query.get("end_time") or int(now) + 1
    for name, moment in (("start_time", began), ("end_time", ended)):
        if not 0 <= moment < _END_OF_TIME:
            raise BadRequestError.because(f"Invalid '{name}': {moment} is no Unix time in seconds.", param=name)
    if ended <= began and not lenient:
        raise BadRequestError.because("Invalid 'end_time': it has to be after 'start_time'.", param="end_time")
    first = began - began % width + _skipped(query.get("page"), lenient) * width
    starts = range(first, ended, width)
    shown = starts[:limit]
    groups: Sequence[str] = query.get("group_by") or ()
    told = ledger(shown, width) if callable(ledger) else ledger
    sums = _summed([each for each in told if each.kind == kind and _wanted(each, query)], groups, first, width)
    more = len(starts) > limit
    return {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": start,
                "end_time": min(start + width, ended),
                "results": [
                    _result(kind, result, counts, dict(zip(groups, labels, strict=True)))
                    for labels, counts in sums.get(start, {}).items()
                ],
            }
            for start in shown
        ],
        "has_more": more,
        "next_page": f"page_{(first - (began - began % width)) // width + limit}" if more else None,
    }


def _skipped(token: str | None, lenient: bool) -> int:
    number = (token or "page_0").removeprefix("page_")
    if not (number.isascii() and number.isdigit() and len(number) < 9):
        if lenient:
            return 0
        raise BadRequestError.because(f"Invalid 'page': there is no page {token!r}.", param="page")
    return int(number)


def _wanted(used: Used, query: Mapping[str, Any]) -> bool:
    for name, label in _FILTERS.items():
        if query.get(name) and used.labels.get(label) not in query[name]:
            return False
    batch = query.get("batch")
    return batch is None or bool(used.labels.get("batch")) == batch


def _summed(
    ledger: Iterable[Used], groups: Sequence[str], first: int, width: int
) -> dict[int, dict[tuple[Any, ...], dict[str, float]]]:
    sums: dict[int, dict[tuple[Any, ...], dict[str, float]]] = {}
    for used in ledger:
        start = int(used.at) - (int(used.at) - first) % width
        of = sums.setdefault(start, {}).setdefault(tuple(used.labels.get(each) for each in groups), {})
        for name, count in used.counts.items():
            of[name] = of.get(name, 0) + count
    return sums


def _result(kind: str, result: str, counts: Mapping[str, float], labels: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"object": result, **labels}
    if kind == "costs":
        return {**told, "amount": {"value": round(counts["value"], 12), "currency": "usd"}}
    return {**told, **counts}
