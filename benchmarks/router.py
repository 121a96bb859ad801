"""The router beside an endpoint written by hand, Lanarky, and the least there can be: streams of 100 chunks.

    python benchmarks/router.py [--rounds 3] [--seconds 3] [--only rates,paced,first,streams,sockets] [--markdown]

Each application is served by the same uvicorn in a process of its own, and all ask one local server that answers
constants, on uvloop: it waits for them. One process of callers loads them, in turns, round by round; medians of the
rounds. CPU is that of the application's process, its threads included. Lanarky 0.8.8 has an environment of its own
under `.cache/bench`, made once from `requirements/lanarky.txt`, and is passed over where it cannot be made. Needs
Linux, and room for 6,000 open files.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "bench"
BODY = json.dumps({"messages": [{"role": "user", "content": "Say a hundred words."}]})
IN_FLIGHT = (1, 8, 32)
CASES = ("rates", "paced", "first", "streams", "sockets")


class Subject(NamedTuple):
    title: str
    application: str
    path: str
    socket: bool = False
    """Whether its application's websockets are measured with it."""


SUBJECTS = (
    Subject("ours, lanarky", "ours", "lanarky", True),
    Subject("ours, openai", "ours", "openai"),
    Subject("ours, vercel", "ours", "vercel"),
    Subject("floor", "floor", "chat", True),
    Subject("handwritten", "handwritten", "chat", True),
    Subject("Lanarky, a client for all", "lanarky", "shared", True),
    Subject("Lanarky, as its guide", "lanarky", "guide"),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lanarky() -> str | None:
    """The interpreter of an environment with Lanarky, made when it is asked for the first time."""
    wanted = HERE.parent / "requirements" / "lanarky.txt"
    version = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = CACHE / f"lanarky-{version}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print("making an environment for Lanarky …", file=sys.stderr)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        install = ["pip", "sync", "--python", str(python), "--require-hashes", str(wanted)]
        for step in ([*uv, "venv", "--clear", "--python", sys.executable, str(home)], [*uv, *install]):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"Lanarky: passed over, since it could not be installed: {done.stderr.strip()[-300:]}")
                return None
        (home / "ready").touch()
    return str(python)


@contextmanager
def upstream() -> Iterator[dict[str, str]]:
    """The server that all ask: where it is, as settings of those who ask."""
    with subprocess.Popen([sys.executable, str(HERE / "_client_server.py")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            base = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
            yield {"UPSTREAM": f"{base}/hundred", "UPSTREAM_PACED": f"{base}/paced", "UPSTREAM_HELD": f"{base}/open"}
        finally:
            process.kill()


@contextmanager
def served(application: str, python: str, settings: dict[str, str]) -> Iterator[tuple[int, int]]:
    """The port and the pid of an application."""
    port = free_port()
    command = [python, str(HERE / "_router" / "serve.py"), application, str(port)]
    process = subprocess.Popen(command, env={**os.environ, "LOGURU_LEVEL": "ERROR", **settings}, cwd=CACHE)
    try:
        for _ in range(1200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"the application {application} did not start") from None
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGKILL)  # it may be asked to let thousands of connections go
        process.wait()


def check(port: int, path: str) -> None:
    """One stream, read: it has a hundred words, or nothing is worth measuring."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, BODY, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read().decode()
        words = sum(any(word in line for word in WORDS) for line in answer.splitlines())
        if response.status != 200 or words != 100:
            raise SystemExit(f"{path} answered {response.status} and {words} words: {answer[:500]}")
    finally:
        connection.close()


WORDS = [
    f" {word}" for word in "call ours over pipe wire node ring send wait loop task file page item text word".split()
]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def loaded(port: int, pid: int, path: str, seconds: float, in_flight: int) -> tuple[float, float, float]:
    """Streams a second, seconds of CPU a stream, and in how many pieces one came."""
    began = cpu_seconds(pid)
    found = asked("rate", port, path, in_flight, seconds)
    cost = cpu_seconds(pid) - began
    return found["streams"] / found["seconds"], cost / found["streams"], found["pieces"]


def asked(way: str, port: int, path: str, count: int, seconds: float = 0) -> dict[str, float]:
    """What the callers saw."""
    command = [sys.executable, str(HERE / "_router" / "load.py"), way, str(port), path, str(count), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{path}, {way}: {done.stderr.strip()[-1000:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def memory(way: str, port: int, pid: int, path: str, count: int) -> float:
    """Bytes that each of so many open connections takes."""
    if way == "streams":
        asked("rate", port, path.replace("/held/", "/"), 8, 1)
    command = [sys.executable, str(HERE / "_router" / "load.py"), way, str(port), path, str(count)]
    before = resident(pid)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        assert load.stdin is not None
        line = load.stdout.readline()
        if not line:
            raise SystemExit(f"{path}: {way} could not be opened")
        time.sleep(1)
        taken = (resident(pid) - before) / count
        load.stdin.write("\n")
    return taken


class Row(NamedTuple):
    title: str
    unit: str
    cells: dict[str, list[float]]
    """Of each subject, what the rounds came to."""
    rate: bool = False
    """Whether more is better."""
    compared: bool = True


def measured(options: argparse.Namespace, pythons: dict[str, str], settings: dict[str, str]) -> Iterator[Row]:
    subjects = [subject for subject in SUBJECTS if subject.application in pythons]
    if "rates" in options.only or "first" in options.only or "paced" in options.only:
        yield from in_turns(options, pythons, settings, subjects)
    if "streams" in options.only:
        # A process for each: what one of them took is not given back to the next.
        cells = {}
        for subject in subjects:
            if subject.path != "guide":
                with served(subject.application, pythons[subject.application], settings) as (port, pid):
                    cells[subject.title] = [memory("streams", port, pid, f"/held/{subject.path}", 1000) / 1024]
        yield Row("memory of each of 1,000 open streams", "KiB", cells)
    if "sockets" in options.only:
        cells = {}
        for subject in subjects:
            if subject.socket:
                with served(subject.application, pythons[subject.application], settings) as (port, pid):
                    memory("sockets", port, pid, "/ws", 20)
                    cells[subject.title] = [memory("sockets", port, pid, "/ws", 5000) / 1024]
        yield Row("memory of each of 5,000 idle websockets", "KiB", cells)


def in_turns(
    options: argparse.Namespace, pythons: dict[str, str], settings: dict[str, str], subjects: list[Subject]
) -> Iterator[Row]:
    with ExitStack() as stack:
        where = {name: stack.enter_context(served(name, python, settings)) for name, python in pythons.items()}
        for subject in subjects:
            check(where[subject.application][0], f"/{subject.path}")
        for in_flight in IN_FLIGHT if "rates" in options.only else ():
            yield from rates(options, where, subjects, "", options.seconds, in_flight)
        if "paced" in options.only:
            yield from rates(options, where, subjects, "/paced", options.seconds, 8)
        if "first" in options.only:
            found: dict[str, dict[str, list[float]]] = {}
            for _ in range(options.rounds):
                for subject in subjects:
                    port, _ = where[subject.application]
                    for name, value in asked("first", port, f"/paced/{subject.path}", 3).items():
                        found.setdefault(name, {}).setdefault(subject.title, []).append(value)
            yield Row("until the first event", "ms", times(1000, found["first"]))
            yield Row("from event to event, sent 5 ms apart", "ms", times(1000, found["gap"]), compared=False)
            yield Row("… that came with the one before", "%", times(100, found["together"]), compared=False)


def rates(
    options: argparse.Namespace,
    where: dict[str, tuple[int, int]],
    subjects: list[Subject],
    pace: str,
    seconds: float,
    in_flight: int,
) -> Iterator[Row]:
    found: list[dict[str, list[float]]] = [{subject.title: [] for subject in subjects} for _ in range(3)]
    for turn in range(options.rounds + 1):
        first = 2 * turn % len(subjects)
        for subject in [*subjects[first:], *subjects[:first]]:  # nobody always comes after the slowest
            port, pid = where[subject.application]
            figures = loaded(port, pid, f"{pace}/{subject.path}", seconds if turn else 0.2, in_flight)
            for metric, figure in zip(found, figures, strict=True):
                if turn:  # the first is to warm up
                    metric[subject.title].append(figure)
    speed, cost, pieces = found
    if pace:
        yield Row(f"CPU of a stream, chunks 5 ms apart, {in_flight} in flight", "ms", times(1000, cost))
    else:
        yield Row(f"streams a second, {in_flight} in flight", "", speed, True)
        yield Row("… CPU of one", "ms", times(1000, cost))
        yield Row("… pieces of one that were read", "", pieces, compared=False)


def times(factor: float, cells: dict[str, list[float]]) -> dict[str, list[float]]:
    return {title: [factor * value for value in values] for title, values in cells.items()}


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown(row: Row) -> list[str]:
    cells = row.cells
    return [number(median(cells[subject.title])) if subject.title in cells else "" for subject in SUBJECTS]


def ratios(row: Row) -> list[str]:
    """How many times better ours, in the format of Lanarky, is than others: medians of what the rounds came to."""
    ours = row.cells.get(SUBJECTS[0].title)
    if ours is None or not row.compared:
        return ["", "", ""]
    better = max if row.rate else min
    lanarkys = [values for title, values in row.cells.items() if title.startswith("Lanarky")]
    others = [row.cells.get("handwritten"), better(lanarkys, key=median, default=None), row.cells.get("floor")]
    found = []
    for other in others:
        pairs = zip(ours, other or (), strict=False)
        found.append(f"{median([a / b if row.rate else b / a for a, b in pairs]):.2f}×" if other else "")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CASES), help=f"what is measured, of {', '.join(CASES)}")
    parser.add_argument("--applications", default="ours,floor,handwritten,lanarky")
    parser.add_argument("--paths", help="which routes, of lanarky, openai, vercel, chat, shared, guide (all)")
    parser.add_argument("--markdown", action="store_true", help="print a table for docs/performance.md")
    options = parser.parse_args()
    options.only = options.only.split(",")
    if options.paths:
        global SUBJECTS
        SUBJECTS = tuple(subject for subject in SUBJECTS if subject.path in options.paths.split(","))
    unknown = set(options.only) - set(CASES)
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    CACHE.mkdir(parents=True, exist_ok=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # servers are stopped
    pythons: dict[str, str] = {}
    for name in options.applications.split(","):
        python = lanarky() if name == "lanarky" else sys.executable
        if python is not None:
            pythons[name] = python
    heads = [*(subject.title for subject in SUBJECTS), "of handwritten", "of Lanarky", "of the floor"]
    write(options.markdown, "", "", heads)
    if options.markdown:
        print("|---" * (len(heads) + 2) + "|")
    with upstream() as settings:
        for row in measured(options, pythons, settings):
            write(options.markdown, row.title, row.unit, [*shown(row), *ratios(row)])


def write(markdown: bool, title: str, unit: str, cells: list[str]) -> None:
    if markdown:
        print(f"| {title} | {unit} | {' | '.join(cells)} |", flush=True)
    else:
        print(f"{title:44} {unit:>3}" + "".join(f"{cell[-15:]:>16}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
