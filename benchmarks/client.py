"""The client beside the official one, litellm, bare httpx2 and bare pyreqwest with orjson.

    python benchmarks/client.py [case …] [--turns 3] [--mb 1024] [--markdown]

Everything runs in one go against one local server, each measurement in a process of its own, the subjects in turns,
so that what else the machine does meets all; the least of the turns. Take the ratios: the figures themselves are this
machine's. litellm has an environment of its own under `.cache/bench`, made once from `requirements/litellm.txt`, and is
passed over where it cannot be made. Needs Linux (`/proc`), and room on the disk for the file that goes up.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "bench"
SUBJECTS = ("openai", "litellm", "httpx2", "pyreqwest", "antiphon")
TITLES = {"openai": "official", "pyreqwest": "bare", "antiphon": "ours"}
CALL = "client.chat.completions.create(model='gpt-4.1', messages=[{'role': 'user', 'content': 'Say hello.'}])"
CLIENT = "from PACKAGE import OpenAI; client = OpenAI(api_key='k', base_url='http://127.0.0.1:PORT/v1')"
SCRIPTS = {
    "import": {"httpx2": "import httpx2"},
    "import_client": {"httpx2": "import httpx2; httpx2.Client()", "litellm": ""},
    "script": {
        "httpx2": "import httpx2; httpx2.Client().post('http://127.0.0.1:PORT/v1/chat/completions', json={'model': "
        "'gpt-4.1', 'messages': [{'role': 'user', 'content': 'Say hello.'}]}).json()['choices'][0]",
        "litellm": "import litellm; litellm.completion(model='openai/gpt-4.1', api_key='k', "
        "api_base='http://127.0.0.1:PORT/v1', messages=[{'role': 'user', 'content': 'Say hello.'}])",
    },
}
"""What is run of whom; of the others what is in `SCRIPT`, and nothing of those with an empty text."""
SCRIPT = {"import": "import PACKAGE", "import_client": CLIENT, "script": f"{CLIENT}; {CALL}"}


class Row(NamedTuple):
    title: str
    unit: str
    case: str
    metric: str = "cpu"
    goals: dict[str, float] = {}
    """How many times less than another it is to be; than the bare call, how many times more it may be."""


UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6, "MB": 1.0}
ROWS = (
    Row("import the package", "ms", "import", goals={"openai": 20}),
    Row("import and make a client", "ms", "import_client", goals={"openai": 20}),
    Row("make another client", "µs", "construct"),
    Row("a script that makes one call", "ms", "script"),
    Row("… its memory at most", "MB", "script", "memory", {"openai": 2}),
    Row("a call", "µs", "sync", goals={"openai": 8, "pyreqwest": 1.6}),
    Row("a call, parsed into a model", "µs", "parse"),
    Row("an async call, 32 in flight", "µs", "in_flight", goals={"openai": 15, "pyreqwest": 1.6}),
    Row("an async call, 1,000 in flight", "µs", "held"),
    Row("… until all are answered", "ms", "held", "wall"),
    Row("… memory they take at most", "MB", "held", "memory"),
    Row("a chunk of 10,000, 16 to a write", "µs", "stream_burst", goals={"openai": 20}),
    Row("… async", "µs", "astream_burst", goals={"openai": 20}),
    Row("… with the stream() helper", "µs", "helper"),
    Row("… with it, async", "µs", "ahelper"),
    Row("a chunk of 10,000, each by itself", "µs", "stream_each", goals={"openai": 20}),
    Row("… async", "µs", "astream_each", goals={"openai": 20}),
    Row("an upload of 1 GiB, open file", "s", "upload"),
    Row("… memory it takes at most", "MB", "upload", "memory"),
    Row("… async", "s", "aupload"),
    Row("… async, memory", "MB", "aupload", "memory"),
    Row("an upload of 1 GiB by its path", "s", "upload_path"),
    Row("… memory it takes at most", "MB", "upload_path", "memory"),
    Row("an item of 100,000 in pages of 100", "µs", "pages"),
    Row("… async", "µs", "apages"),
)


@contextmanager
def server() -> Iterator[int]:
    with subprocess.Popen([sys.executable, str(HERE / "_client_server.py")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def files(megabytes: int) -> Iterator[Path]:
    """A file of so many MiB, and a small one beside it. Both are read once, so that all find them in memory."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        path = Path(directory) / "upload.bin"
        block = os.urandom(1 << 20)
        path.with_suffix(".small").write_bytes(block)
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(block)
        yield path


def litellm() -> str | None:
    """The interpreter of an environment with litellm, made when it is asked for the first time."""
    wanted = HERE.parent / "requirements" / "litellm.txt"
    version = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = CACHE / f"litellm-{version}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        print("making an environment for litellm …", file=sys.stderr)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        install = ["pip", "sync", "--python", str(python), "--require-hashes", str(wanted)]
        for step in ([*uv, "venv", "--clear", "--python", sys.executable, str(home)], [*uv, *install]):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"litellm: passed over, since it could not be installed: {done.stderr.strip()[-300:]}")
                return None
        (home / "ready").touch()
    return str(python)


def script(python: str, code: str) -> dict[str, float]:
    """Seconds of CPU and MB at most of an interpreter that runs some code, the least of three."""
    times: list[float] = []
    sizes: list[float] = []
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    for _ in range(3):
        child = os.posix_spawn(python, [python, "-c", code], environment)
        _, status, used = os.wait4(child, 0)
        assert status == 0, code
        times.append(used.ru_utime + used.ru_stime)
        sizes.append(used.ru_maxrss / 1024)
        if times[0] > 1:
            break
    return {"cpu": min(times), "memory": min(sizes)}


def measured(python: str, subject: str, case: str, port: int, file: Path) -> dict[str, float] | None:
    if case not in SCRIPT:
        command = [python, str(HERE / "_client_cases.py"), subject, case, str(port), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.stdout:  # litellm may crash after its last line, when the interpreter ends
            raise SystemExit(f"{subject}, {case}: {done.stderr.strip()[-2000:]}")
        figures: dict[str, float] | None = json.loads(done.stdout.splitlines()[-1])
        return figures
    code = SCRIPTS[case].get(subject, SCRIPT[case])
    if not code or subject == "pyreqwest":
        return None
    figures = script(python, code.replace("PACKAGE", subject).replace("PORT", str(port)))
    figures["cpu"] -= script(python, "pass")["cpu"]
    return figures


def least(rounds: list[dict[str, float] | None]) -> dict[str, float]:
    found = [each for each in rounds if each is not None]
    return {metric: min(each[metric] for each in found) for metric in found[0]} if found else {}


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times_less(row: Row, other: str, figures: dict[str, dict[str, float]]) -> str:
    """How many times less ours is, and the goal; than the bare call, how many times more."""
    ours, theirs = figures["antiphon"].get(row.metric), figures.get(other, {}).get(row.metric)
    if ours is None or theirs is None:
        return ""
    bound = other == "pyreqwest"
    if bound and row.metric == "cpu" and row.case == "construct":
        return ""
    floor = 1.0 if row.unit == "MB" else 1e-9  # less than a MB is nothing
    ratio = max(ours, floor) / max(theirs, floor) if bound else max(theirs, floor) / max(ours, floor)
    goal = row.goals.get(other)
    text = f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio >= 10 else f"{ratio:.2f}×"
    return text if goal is None else f"{text} ({goal:g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(dict.fromkeys(row.case for row in ROWS)))
    parser.add_argument("--turns", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--mb", type=int, default=1024, help="size of the upload in MiB (1024)")
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="who is measured, ours among them")
    parser.add_argument("--markdown", action="store_true", help="print a table for docs/performance.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # server and files are cleared away
    known = dict.fromkeys(row.case for row in ROWS)
    for case in options.cases:
        if case not in known:
            parser.error(f"there is no case {case!r}; there are {', '.join(known)}")
    pythons: dict[str, str] = {}
    for subject in options.subjects.split(","):
        python = litellm() if subject == "litellm" else sys.executable
        if python is not None:
            pythons[subject] = python
    others = [subject for subject in pythons if subject != "antiphon"]
    heads = [TITLES.get(each, each) for each in (*others, "antiphon")]
    heads += [f"of {TITLES[each]}" if each == "pyreqwest" else f"less than {TITLES.get(each, each)}" for each in others]
    write(options.markdown, "", "", heads)
    if options.markdown:
        print("|---" * (len(heads) + 2) + "|")
    with server() as port, files(options.mb) as file:
        for case in known:
            if options.cases and case not in options.cases:
                continue
            found: dict[str, list[dict[str, float] | None]] = {subject: [] for subject in pythons}
            for _ in range(options.turns):
                for subject, python in pythons.items():
                    found[subject].append(measured(python, subject, case, port, file))
            figures = {subject: least(rounds) for subject, rounds in found.items()}
            for row in ROWS:
                if row.case == case:
                    cells = [figures[each].get(row.metric) for each in (*others, "antiphon")]
                    shown = ["" if each is None else number(each * UNITS[row.unit]) for each in cells]
                    shown += [times_less(row, other, figures) for other in others]
                    write(options.markdown, row.title, row.unit, shown)


def write(markdown: bool, title: str, unit: str, cells: list[str]) -> None:
    if markdown:
        print(f"| {title} | {unit} | {' | '.join(cells)} |", flush=True)
    else:
        print(f"{title:35} {unit:>3}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
