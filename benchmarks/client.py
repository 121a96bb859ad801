"""The client beside the official one and beside bare pyreqwest with orjson: `python -m benchmarks.client [case …]`.

Everything runs in one go against one local server; every figure is CPU time in the client's process. Take the
ratios: the figures themselves are this machine's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROUNDS = 4
SUBJECTS = ("openai", "antiphon", "bare")
CALL = "client.chat.completions.create(model='gpt-4.1', messages=[{'role': 'user', 'content': 'Say hello.'}])"
SCRIPTS = {
    "import": "import PACKAGE",
    "import_client": "from PACKAGE import OpenAI; client = OpenAI(api_key='k', base_url='http://127.0.0.1:PORT/v1')",
    "script": "from PACKAGE import OpenAI; client = OpenAI(api_key='k', base_url='http://127.0.0.1:PORT/v1'); " + CALL,
}


class Case(NamedTuple):
    title: str
    unit: str
    times_less: float | None = None
    """How many times less than the official client it is to be."""
    times_bare: float | None = None
    """How many times the bare call it may be."""


CASES = {
    "import": Case("import the package", "ms", 20),
    "import_client": Case("import and make a client", "ms", 20),
    "construct": Case("make another client", "µs"),
    "script": Case("a script that makes one call", "ms"),
    "memory": Case("peak memory of that script", "MB", 2),
    "sync": Case("a call", "µs", 8, 1.6),
    "in_flight": Case("an async call, 32 in flight", "µs", 15, 1.6),
    "stream_burst": Case("a chunk, text read, 16 to a write", "µs", 20),
    "astream_burst": Case("… async", "µs", 20),
    "stream_each": Case("a chunk, text read, each by itself", "µs", 20),
    "astream_each": Case("… async", "µs", 20),
}


@contextmanager
def server() -> Iterator[int]:
    with subprocess.Popen([sys.executable, str(HERE / "_client_server.py")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def script(code: str) -> tuple[float, float]:
    """Milliseconds of CPU and MB at most of an interpreter that runs some code, the least of three."""
    times: list[float] = []
    sizes: list[float] = []
    for _ in range(3):
        child = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
        _, status, used = os.wait4(child, 0)
        assert status == 0, code
        times.append((used.ru_utime + used.ru_stime) * 1e3)
        sizes.append(used.ru_maxrss / 1024)
    return min(times), min(sizes)


def figure(subject: str, case: str, port: int) -> float | None:
    if case in SCRIPTS or case == "memory":
        if subject == "bare":
            return None
        time, size = script(
            SCRIPTS["script" if case == "memory" else case].replace("PACKAGE", subject).replace("PORT", str(port))
        )
        return size if case == "memory" else time - script("pass")[0]
    command = [sys.executable, str(HERE / "_client_cases.py"), subject, case, str(port)]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)


def main(chosen: list[str]) -> None:
    print(f"{'':36}{'official':>10}{'ours':>10}{'bare':>10}   {'less':>6} {'goal':>5}   {'of bare':>7} {'goal':>5}")
    with server() as port:
        for name, case in CASES.items():
            if chosen and name not in chosen:
                continue
            # In turns, so that what else the machine does meets all three; the least of each.
            rounds = [
                [figure(subject, name, port) for subject in ("openai", "antiphon", "bare")] for _ in range(ROUNDS)
            ]
            official, ours, bare = (None if None in each else min(each) for each in zip(*rounds, strict=True))
            assert official is not None
            assert ours is not None
            less, goal = official / ours, case.times_less
            line = f"{case.title:31} {case.unit:>3} {official:10.1f}{ours:10.1f}"
            line += f"{'' if bare is None else f'{bare:.1f}':>10}"
            line += f"   {less:5.1f}x {'' if goal is None else f'{goal:g}':>5}"
            if bare is not None and name != "construct":
                limit = case.times_bare
                line += f"   {ours / bare:6.2f}x {'' if limit is None else f'{limit:g}':>5}"
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
