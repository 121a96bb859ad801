"""Numbers about a gateway, in the text format of Prometheus.

Counting costs a fraction of a microsecond, since it happens for every piece of a stream. Where several processes serve
one port, each keeps its numbers in a file that is mapped into memory, in a directory they share, and whoever is asked
for `/metrics` adds them up. The numbers of a process that has ended still count, but for what says how things are now.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ("DIRECTORY", "GatewayMeters", "Metrics", "ModelMeters")

DIRECTORY: Final = "ANTIPHON_GATEWAY_METRICS"
"""The variable of the environment that names the directory the processes of a gateway share."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_CELLS: Final = 1 << 17
"""Numbers a process may have in its file: 1 MiB, of which a disk holds what is used."""


_SINK: Final = 32
"""Numbers at the end of which nobody is told."""


class Family(NamedTuple):
    """What is counted, for each combination of labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    kind: Literal["counter", "gauge", "histogram"]
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""
    least: bool = False
    """Of a gauge: whether the least of all processes counts, and not the sum."""

    @property
    def cells(self) -> int:
        return len(self.bounds) + 2 if self.bounds else 1


_WHOLE: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_BETWEEN: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)
_WAITED: Final = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS: Final = Family("antiphon_requests_total", "Requests answered.", ("model", "operation", "status"), "counter")
SECONDS: Final = Family(
    "antiphon_request_seconds",
    "From a request's arrival to the end of its answer.",
    ("model", "operation"),
    "histogram",
    _WHOLE,
)
UNDER_WAY: Final = Family("antiphon_requests_under_way", "Requests being answered.", (), "gauge")
FIRST: Final = Family(
    "antiphon_first_token_seconds", "To the first piece of a streamed answer.", ("model",), "histogram", _WHOLE
)
BETWEEN: Final = Family(
    "antiphon_between_tokens_seconds", "Between pieces of a streamed answer.", ("model",), "histogram", _BETWEEN
)
TOKENS: Final = Family(
    "antiphon_tokens_total", "Tokens read (input) and written (output).", ("model", "direction"), "counter"
)
COST: Final = Family(
    "antiphon_cost_total", "What tokens have cost, by the prices of the configuration.", ("model",), "counter"
)
FALLBACKS: Final = Family(
    "antiphon_fallbacks_total", "Requests answered by another model than was asked.", ("model", "to"), "counter"
)
QUEUED: Final = Family("antiphon_queue_requests", "Requests that wait for a place at a server.", ("model",), "gauge")
WAITED: Final = Family(
    "antiphon_queue_seconds",
    "How long requests waited for a place, where they had to.",
    ("model",),
    "histogram",
    _WAITED,
)
IN_FLIGHT: Final = Family("antiphon_upstream_in_flight", "Requests at a server.", ("model", "server"), "gauge")
ERRORS: Final = Family(
    "antiphon_upstream_errors_total", "Errors of servers, by what went wrong.", ("model", "kind"), "counter"
)
EJECTIONS: Final = Family(
    "antiphon_upstream_ejections_total",
    "How often a server was taken out because it was sick.",
    ("model", "server"),
    "counter",
)
UP: Final = Family(
    "antiphon_upstream_up",
    "Whether a server gets requests: 0 while it is out.",
    ("model", "server"),
    "gauge",
    least=True,
)

FAMILIES: Final = {
    each.name: each
    for each in (
        REQUESTS, SECONDS, UNDER_WAY, FIRST, BETWEEN, TOKENS, COST, FALLBACKS, QUEUED, WAITED, IN_FLIGHT, ERRORS,
        EJECTIONS, UP,
    )
}  # fmt: skip


class Metrics:
    """The numbers of one process, and those of the processes beside it where there is a `directory`.

    `directory` may be left to the environment variable `ANTIPHON_GATEWAY_METRICS`. It has to be empty when the first of
    the processes starts.
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        given = directory or os.environ.get(DIRECTORY)
        self.directory = Path(given) if given else None
        self._lock = threading.RLock()  # finalizers count too, on whatever thread they run
        self._known: dict[tuple[str, tuple[str, ...]], int] = {}
        self._used = 0
        self._names: int | None = None
        self.cells: Any = None
        """Every number, for `Counter` and `Histogram` to add to."""
        self._open()
        _OPEN.add(self)

    def counter(self, family: Family, *labels: str) -> Counter:
        return Counter(self, self._place(family, labels))

    def histogram(self, family: Family, *labels: str) -> Histogram:
        return Histogram(self, self._place(family, labels), family.bounds)

    def text(self) -> bytes:
        """All numbers, as Prometheus reads them."""
        found: dict[str, dict[tuple[str, ...], list[float]]] = {name: {} for name in FAMILIES}
        for alive, name, labels, values in self._everything():
            family = FAMILIES.get(name)
            if family is None or (not alive and family.kind == "gauge"):
                continue
            known = found[name].get(labels)
            if known is None:
                found[name][labels] = list(values)
            elif family.least:
                found[name][labels] = [min(pair) for pair in zip(known, values, strict=True)]
            else:
                found[name][labels] = [sum(pair) for pair in zip(known, values, strict=True)]
        lines: list[str] = []
        for name, samples in found.items():
            family = FAMILIES[name]
            lines += (f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}")
            for labels, values in sorted(samples.items()):
                lines += _lines(family, labels, values)
        return "\n".join([*lines, ""]).encode()

    def close(self) -> None:
        """Let go of the files; they stay, for the other processes."""
        if self._names is not None:
            self._names = None
            self._closing()

    def _place(self, family: Family, labels: tuple[str, ...]) -> int:
        """Where the numbers of these labels are, from now on."""
        key = family.name, labels
        with self._lock:
            at = self._known.get(key)
            if at is None:
                at = self._used
                if at + family.cells > len(self.cells) - _SINK:
                    if self.directory is not None:
                        return len(self.cells) - _SINK  # there is no room in the file: it is counted nowhere
                    self.cells.extend(array("d", bytes(8 * len(self.cells))))
                self._used = at + family.cells
                self._known[key] = at
                self._note(key, at)
        return at

    def _open(self) -> None:
        if self.directory is None:
            if self.cells is None:
                self.cells = array("d", bytes(8 * 512))
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        base = self.directory / str(os.getpid())
        with open(base.with_suffix(".cells"), "w+b") as file:
            file.truncate(8 * _CELLS)
            self.cells = memoryview(mmap.mmap(file.fileno(), 8 * _CELLS)).cast("d")
        self._names = os.open(base.with_suffix(".names"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._closing = weakref.finalize(self, os.close, self._names)
        for key, at in self._known.items():
            self._note(key, at)

    def _note(self, key: tuple[str, tuple[str, ...]], at: int) -> None:
        if self._names is not None:
            os.write(self._names, orjson.dumps([key[0], key[1], at]) + b"\n")

    def _everything(self) -> Iterable[tuple[bool, str, tuple[str, ...], Sequence[float]]]:
        """Every number: whether its process lives, the family, the labels, the cells."""
        if self.directory is None:
            with self._lock:
                known = list(self._known.items())
            for (name, labels), at in known:
                yield True, name, labels, self.cells[at : at + FAMILIES[name].cells]
            return
        for names in sorted(self.directory.glob("*.names")):
            alive = _alive(int(names.stem))
            try:
                cells = array("d")
                with open(names.with_suffix(".cells"), "rb") as file:
                    lines = names.read_bytes().splitlines()
                    entries = [orjson.loads(line) for line in lines if line.endswith(b"]")]
                    most = max((at + FAMILIES[name].cells for name, _, at in entries), default=0)
                    cells.frombytes(file.read(8 * most))
            except (OSError, ValueError, KeyError):  # it begins, or is of another version
                continue
            for name, labels, at in entries:
                yield alive, name, tuple(labels), cells[at : at + FAMILIES[name].cells]


_OPEN: weakref.WeakSet[Metrics] = weakref.WeakSet()


def _forked() -> None:
    """In a child: its numbers begin at nothing, in a file of its own."""
    for each in _OPEN:
        each._lock = threading.RLock()
        if each.directory is not None:
            each._open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Counter:
    """A number that is added to; a gauge is one that may be set too."""

    __slots__ = ("_at", "_metrics")

    def __init__(self, metrics: Metrics, at: int) -> None:
        self._metrics = metrics
        self._at = at

    def add(self, number: float = 1.0) -> None:
        metrics = self._metrics
        with metrics._lock:
            metrics.cells[self._at] += number

    def set(self, number: float) -> None:
        self._metrics.cells[self._at] = number


class Histogram:
    """How many of what length."""

    __slots__ = ("_at", "_bounds", "_metrics", "_sum")

    def __init__(self, metrics: Metrics, at: int, bounds: tuple[float, ...]) -> None:
        self._metrics = metrics
        self._at = at
        self._bounds = bounds
        self._sum = at + len(bounds) + 1

    def observe(self, seconds: float) -> None:
        metrics = self._metrics
        at = self._at + bisect_left(self._bounds, seconds)
        with metrics._lock:
            cells = metrics.cells
            cells[at] += 1.0
            cells[self._sum] += seconds


def _lines(family: Family, labels: tuple[str, ...], values: Sequence[float]) -> Iterable[str]:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, labels, strict=True))
    if family.kind != "histogram":
        yield f"{family.name}{{{told}}} {_number(values[0])}" if told else f"{family.name} {_number(values[0])}"
        return
    count = 0.0
    before = f"{told}," if told else ""
    for bound, number in zip([*map(_number, family.bounds), "+Inf"], values[:-1], strict=True):
        count += number
        yield f'{family.name}_bucket{{{before}le="{bound}"}} {_number(count)}'
    told = f"{{{told}}}" if told else ""
    yield f"{family.name}_sum{told} {_number(values[-1])}"
    yield f"{family.name}_count{told} {_number(count)}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


class ModelMeters:
    """What is counted about one model."""

    def __init__(self, metrics: Metrics, model: str, price: Mapping[str, float] | None = None) -> None:
        self._metrics = metrics
        self.model = model
        self.price = price
        self.first = metrics.histogram(FIRST, model).observe
        self.between = metrics.histogram(BETWEEN, model).observe
        self.waited = metrics.histogram(WAITED, model).observe
        self.queued = metrics.counter(QUEUED, model).set
        self._input = metrics.counter(TOKENS, model, "input").add
        self._output = metrics.counter(TOKENS, model, "output").add

    def serves(self, url: str) -> Callable[[float], None]:
        """It has this server, and nothing is known against it. What it gives is told how many requests are there."""
        in_flight = self._metrics.counter(IN_FLIGHT, self.model, url).set
        in_flight(0)
        self.up(url, True)
        self._metrics.counter(EJECTIONS, self.model, url)
        return in_flight

    def up(self, url: str, up: bool) -> None:
        self._metrics.counter(UP, self.model, url).set(float(up))

    def ejected(self, url: str) -> None:
        self._metrics.counter(EJECTIONS, self.model, url).add()
        self.up(url, False)

    def failed(self, kind: str) -> None:
        """A server failed; `kind` is the code of the error."""
        self._metrics.counter(ERRORS, self.model, kind).add()

    def used(self, read: int, written: int) -> None:
        """Tokens."""
        self._input(read)
        self._output(written)
        if self.price:
            cost = read * self.price.get("input", 0.0) + written * self.price.get("output", 0.0)
            self._metrics.counter(COST, self.model).add(cost / 1_000_000)

    def fell_back(self, to: str) -> None:
        """Another model answers."""
        self._metrics.counter(FALLBACKS, self.model, to).add()


class GatewayMeters:
    """What is counted about requests, whatever becomes of them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._under_way = metrics.counter(UNDER_WAY).add
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def begun(self) -> None:
        self._under_way(1)

    def answered(self, model: str, operation: str, status: int, seconds: float) -> None:
        """A request is over. `model` is one of the configuration, or empty."""
        self._under_way(-1)
        key = model, operation, status
        meters = self._known.get(key)
        if meters is None:
            metrics = self._metrics
            meters = self._known[key] = (
                metrics.counter(REQUESTS, model, operation, str(status)),
                metrics.histogram(SECONDS, model, operation),
            )
        meters[0].add()
        meters[1].observe(seconds)
