"""Numbers about what a fake was asked, in the text format of Prometheus, with those names of vLLM that dashboards know.

Nothing is counted while requests are answered: whoever asks for the numbers has the journal counted since the last
time, so what it had forgotten by then is not in them.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ..engines.latency import CACHES
from .courses import course_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..engines.prefixes import Cache
    from .courses import Course
    from .journal import Exchange, Journal

__all__ = ("CONTENT_TYPE", "SET", "Meters")

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class _Family(NamedTuple):
    help: str
    labels: tuple[str, ...]
    kind: Literal["counter", "gauge", "histogram"]


_MODEL: Final = ("model_name",)
_FAMILIES: Final = {
    "antiphon_requests_total": _Family("Requests answered.", ("operation", "model", "status"), "counter"),
    "antiphon_request_seconds": _Family(
        "From a request's arrival to the end of its answer.", ("operation", "model"), "histogram"
    ),
    "antiphon_tokens_total": _Family("Tokens read (input) and written (output).", ("model", "direction"), "counter"),
    "antiphon_cost_total": _Family("What tokens have cost in USD, by the fake's prices.", ("model",), "counter"),
    "antiphon_faults_total": _Family("Requests that a fault struck.", ("fault",), "counter"),
    "vllm:num_requests_running": _Family("Requests being answered.", _MODEL, "gauge"),
    "vllm:num_requests_waiting": _Family("Requests that wait: none, unless set.", _MODEL, "gauge"),
    "vllm:kv_cache_usage_perc": _Family("How full the cache of prompts is, 1 at most.", _MODEL, "gauge"),
    "vllm:prefix_cache_queries_total": _Family("Tokens looked for in the cache of prompts.", _MODEL, "counter"),
    "vllm:prefix_cache_hits_total": _Family("Tokens found in the cache of prompts.", _MODEL, "counter"),
    "vllm:prompt_tokens_total": _Family("Tokens read.", _MODEL, "counter"),
    "vllm:generation_tokens_total": _Family("Tokens written.", _MODEL, "counter"),
    "vllm:time_to_first_token_seconds": _Family("To the first piece of a streamed answer.", _MODEL, "histogram"),
    "vllm:inter_token_latency_seconds": _Family("Between pieces of a streamed answer.", _MODEL, "histogram"),
    "vllm:e2e_request_latency_seconds": _Family("From arrival to the end of the answer.", _MODEL, "histogram"),
}

SET: Final = tuple(name for name, family in _FAMILIES.items() if family.kind == "gauge")
"""What can be set to something else than it is."""

_COUNTS: Final = frozenset(("vllm:num_requests_running", "vllm:num_requests_waiting"))
"""Gauges that are whole numbers, however they change."""


class _Histogram:
    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_BOUNDS, seconds)] += 1
        self.sum += seconds


class Meters:
    """The numbers of one fake."""

    def __init__(self, journal: Journal, now: Callable[[], float], derived: Callable[[], Mapping[str, Any]]) -> None:
        self._journal = journal
        self._now = now
        self._derived = derived
        self._counted: set[Exchange] = set()
        self._counters: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, dict[tuple[str, ...], _Histogram]] = {}
        self._models: set[str] = set()
        self._set: dict[tuple[str, str], tuple[float, Course]] = {}
        self._lock = threading.Lock()

    def set(self, model: str, values: Mapping[str, float | Mapping[str, Any] | Course | None]) -> None:
        """Have gauges of a model be something else from now on, or with `None` what they are again.

        A value is a number, or changes by itself, by the fake's clock: `{"ramp": [0, 12], "seconds": 60}`, of which
        there are `ramp`, `saw`, `sine`, `square` and `steps`, or a function of the seconds since then. Raises
        `ValueError` for a name that is none of `SET`, and for what is no value.
        """
        unknown = [name for name in values if name not in SET]
        if unknown:
            raise ValueError(f"there is no gauge {unknown[0]!r}; there are {', '.join(SET)}")
        courses = {name: None if value is None else course_of(value) for name, value in values.items()}
        now = self._now()
        with self._lock:
            for name, course in courses.items():
                if course is None:
                    self._set.pop((model, name), None)
                else:
                    self._set[model, name] = now, course

    def text(self) -> bytes:
        """All numbers, as Prometheus reads them."""
        with self._lock:
            now, running, caches = self._now(), self._count(), self._caches()
            for name, told in (
                ("queries", "vllm:prefix_cache_queries_total"),
                ("hits", "vllm:prefix_cache_hits_total"),
            ):
                self._counters[told] = {(model,): getattr(cache, name) for model, cache in caches.items()}
            true: dict[str, Mapping[str, float]] = {
                "vllm:num_requests_running": running,
                "vllm:kv_cache_usage_perc": {model: cache.used(now) for model, cache in caches.items()},
            }
            lines: list[str] = []
            for name, family in _FAMILIES.items():
                lines += (f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}")
                if family.kind == "gauge":
                    lines += self._gauges(name, true.get(name, {}), now)
                elif family.kind == "counter":
                    for labels, value in sorted(self._counters.get(name, {}).items()):
                        lines.append(_line(name, _told(family, labels), value))
                else:
                    for labels, found in sorted(self._histograms.get(name, {}).items(), key=lambda each: each[0]):
                        lines += _buckets(name, _told(family, labels), found)
        return "\n".join([*lines, ""]).encode("utf-8", "replace")

    def _count(self) -> dict[str, int]:
        """Count what has ended since, and give how many requests of each model are under way."""
        running: dict[str, int] = {}
        kept = list(self._journal)
        for exchange in kept:
            if exchange.ended is None:
                running[exchange.model] = running.get(exchange.model, 0) + 1
            elif exchange not in self._counted:
                self._take(exchange, exchange.ended - exchange.began)
        self._counted = {each for each in kept if each.ended is not None}
        self._models.update(filter(None, running))
        return running

    def _take(self, exchange: Exchange, seconds: float) -> None:
        operation, model, status = exchange.operation, exchange.model, exchange.status or 0
        self._add("antiphon_requests_total", (operation, model, str(status)))
        self._observe("antiphon_request_seconds", (operation, model), seconds)
        if exchange.fault is not None:
            self._add("antiphon_faults_total", (str(exchange.fault),))
        if not model or not 200 <= status < 300:
            return
        self._models.add(model)
        tokens, one = exchange.tokens, (model,)
        for direction, name, count in (
            ("input", "vllm:prompt_tokens_total", tokens.input),
            ("output", "vllm:generation_tokens_total", tokens.output),
        ):
            self._add("antiphon_tokens_total", (model, direction), count)
            self._add(name, one, count)
        self._add("antiphon_cost_total", one, exchange.cost or 0.0)
        self._observe("vllm:e2e_request_latency_seconds", one, seconds)
        if exchange.events:
            times = [at for at, _ in exchange.pieces]
            self._observe("vllm:time_to_first_token_seconds", one, times[0])
            for before, after in pairwise(times):
                self._observe("vllm:inter_token_latency_seconds", one, after - before)

    def _add(self, name: str, labels: tuple[str, ...], number: float = 1) -> None:
        found = self._counters.setdefault(name, {})
        found[labels] = found.get(labels, 0) + number

    def _observe(self, name: str, labels: tuple[str, ...], seconds: float) -> None:
        self._histograms.setdefault(name, {}).setdefault(labels, _Histogram()).observe(seconds)

    def _caches(self) -> dict[str, Cache]:
        """The caches of models that have some."""
        caches = self._derived().get(CACHES)
        return {} if caches is None else dict(caches.items())

    def _gauges(self, name: str, true: Mapping[str, float], now: float) -> Iterator[str]:
        for model in sorted(self._models | {model for model, _ in self._set}):
            began, course = self._set.get((model, name), (0.0, None))
            value = true.get(model, 0) if course is None else course(now - began)
            yield _line(name, f'model_name="{_escaped(model)}"', round(value) if name in _COUNTS else value)


def _told(family: _Family, labels: tuple[str, ...]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, labels, strict=True))


def _buckets(name: str, told: str, found: _Histogram) -> Iterator[str]:
    count = 0
    for bound, number in zip((*map(str, _BOUNDS), "+Inf"), found.counts, strict=True):
        count += number
        yield _line(f"{name}_bucket", f'{told},le="{bound}"', count)
    yield _line(f"{name}_sum", told, found.sum)
    yield _line(f"{name}_count", told, count)


def _line(name: str, told: str, value: float) -> str:
    return f"{name}{{{told}}} {int(value) if value == int(value) else repr(float(value))}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
