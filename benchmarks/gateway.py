"""The gateway beside a direct call of the protocol, the least there can be, LiteLLM 1.80.0 and Portkey's gateway.

    python benchmarks/gateway.py [--rounds 3] [--seconds 2] [--only latency,streams,memory] [--subjects …] [--markdown]

The floor is granian, pyreqwest and orjson with nothing in between, and the one by hand two protocols on uvloop.

One back end answers all of them with constants, on uvloop: it waits for them. It is a Triton with the vLLM backend,
and a server of the OpenAI API for what is passed on. Each subject is a process; one process of callers loads them in
turns, round by round; medians of the rounds, ratios within the run. LiteLLM has an environment of its own under
`.cache/bench`, made once from `requirements/litellm-proxy.txt`; Portkey's gateway is the package of npm, and needs
node. Who cannot be made is passed over. `memory` asks 100,000 times (`--requests`) and opens 1,000 streams. Needs
Linux.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
PARTS = HERE / "_gateway"
CACHE = HERE.parent / ".cache" / "bench"
IN_FLIGHT = (1, 32, 256)
STREAMS = (1, 32)
CHAT = "/v1/chat/completions"
PORTKEY = "1.15.2"
KNOWN = "triton/meta-llama/Meta-Llama-3-8B-Instruct"
"""LiteLLM asks a hub for the chat template of any model whose template it does not bring, with each request."""
PATIENCE = 20
"""Seconds that answers under way may take at the end."""
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Subject(NamedTuple):
    """Somebody who answers: where, with which headers, and the process."""

    title: str
    port: int
    pid: int | None
    whole: str = CHAT
    stream: str = CHAT
    headers: str = "{}"


class Failed(Exception):
    """Somebody did not answer well."""


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@contextmanager
def started(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process, in a group of its own, that is ended with all that it has begun."""
    settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": None, **options}
    process = subprocess.Popen(command, text=True, start_new_session=True, **settings)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, process: subprocess.Popen[str], seconds: float = 90) -> bool:
    """Wait until somebody listens there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def environment() -> Path | None:
    """An environment with LiteLLM's proxy, made when it is asked for the first time."""
    wanted = HERE.parent / "requirements" / "litellm-proxy.txt"
    version = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = CACHE / f"litellm-proxy-{version}"
    if not (home / "ready").exists():
        print("making an environment for LiteLLM …", file=sys.stderr)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        install = ["pip", "sync", "--python", str(home / "bin" / "python"), "--require-hashes", str(wanted)]
        for step in ([*uv, "venv", "--clear", "--python", sys.executable, str(home)], [*uv, *install]):
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"LiteLLM: passed over, since it could not be installed: {done.stderr.strip()[-300:]}")
                return None
        (home / "ready").touch()
    return home


def portkey() -> Path | None:
    """The script that starts Portkey's gateway, installed when it is asked for the first time."""
    home = CACHE / f"portkey-{PORTKEY}"
    script = home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not script.exists():
        print("installing Portkey's gateway …", file=sys.stderr)
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}')  # without it npm installs further up
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", f"@portkey-ai/gateway@{PORTKEY}"]
        try:
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            print("Portkey: passed over, since there is no npm")
            return None
        if done.returncode:
            print(f"Portkey: passed over, since it could not be installed: {done.stderr.strip()[-300:]}")
            return None
    return script


def litellm_proxy(stack: ExitStack, home: Path, upstream: int) -> Subject | None:
    port = free_port()
    base = f"http://127.0.0.1:{upstream}/v2/models"
    models = [
        {"model_name": name, "litellm_params": {"model": KNOWN, "api_base": f"{base}/{name}/generate"}}
        for name in ("chat", "open")
    ]
    config = CACHE / f"litellm-proxy-{port}.json"  # YAML has JSON in it
    config.write_text(json.dumps({"model_list": models, "litellm_settings": {"telemetry": False}}))
    stack.callback(config.unlink)
    command = [str(home / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    settings = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    settings["PATH"] = f"{home / 'bin'}:{settings['PATH']}"
    process = stack.enter_context(started(*command, env=settings, cwd=CACHE, **QUIET))
    if not answers(port, process):
        print("LiteLLM's proxy: passed over, since it did not start")
        return None
    return Subject("LiteLLM's proxy", port, process.pid)


def portkey_gateway(stack: ExitStack, script: Path, upstream: int) -> Subject | None:
    port = free_port()
    settings = {**os.environ, "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    command = ["node", str(script), f"--port={port}", "--headless"]
    process = stack.enter_context(started(*command, cwd=CACHE, env=settings, **QUIET))
    if not answers(port, process):
        print("Portkey: passed over, since it did not start")
        return None
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"}
    return Subject("Portkey, passing on", port, process.pid, headers=json.dumps(headers))


def subjects(stack: ExitStack, upstream: int, wanted: set[str]) -> Iterator[Subject]:
    """All there are, running."""
    yield Subject("direct", upstream, None, "/v2/models/chat/infer", "/v2/models/chat/generate_stream")
    for title, script, *arguments in (
        ("ours", "ours.py", "oip"),
        ("floor", "shelf.py"),
        ("floor, by hand", "floor.py"),
        ("ours, passing on", "ours.py", "openai"),
    ):
        if title in wanted:
            command = [sys.executable, str(PARTS / script), str(upstream), *arguments]
            process = stack.enter_context(started(*command))
            yield Subject(title, int(line_of(process)), process.pid)
    if "litellm" in wanted and (home := environment()) is not None:
        made = litellm_proxy(stack, home, upstream)
        if made is not None:
            yield made
    if "portkey" in wanted and (script_ := portkey()) is not None:
        made = portkey_gateway(stack, script_, upstream)
        if made is not None:
            yield made


def asked(way: str, subject: Subject, count: int, seconds: float = 0) -> dict[str, float]:
    """What callers of it saw."""
    path = subject.stream if way == "streams" else subject.whole
    command = [sys.executable, str(PARTS / "load.py"), way, str(subject.port), path, str(count), str(seconds)]
    try:
        done = subprocess.run(
            [*command, subject.headers], capture_output=True, text=True, check=False, timeout=seconds + PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{subject.title}, {way} {count}: no end after {PATIENCE} seconds more") from None
    if done.returncode:
        raise Failed(f"{subject.title}, {way} {count}: {done.stderr.strip()[-600:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def resident(pid: int) -> float:
    """MiB of memory that a process has, and those it has begun."""
    total = 0
    for each in Path("/proc").glob("[0-9]*"):
        try:
            fields = (each / "stat").read_text().rsplit(")", 1)[1].split()
            if int(each.name) == pid or int(fields[2]) == pid:  # the group it leads
                total += int((each / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return total * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Row(NamedTuple):
    title: str
    unit: str
    cells: dict[str, float]


def latency(options: argparse.Namespace, all_: list[Subject]) -> Iterator[Row]:
    for in_flight in IN_FLIGHT:
        found = in_turns(options, all_, "whole", in_flight)
        yield Row(f"answers a second, {in_flight} in flight", "", found["rate"])
        direct = {name: found[name]["direct"] for name in ("p50", "p99")}
        for name in ("p50", "p99"):
            added = {title: 1000 * (value - direct[name]) for title, value in found[name].items() if title != "direct"}
            yield Row(f"… added to the {direct[name] * 1000:.2f} ms of a direct call at {name}", "ms", added)
        yield Row("… CPU of an answer, in the gateway's process", "µs", found["cpu"])


def streams(options: argparse.Namespace, all_: list[Subject]) -> Iterator[Row]:
    for in_flight in STREAMS:
        found = in_turns(options, all_, "streams", in_flight)
        yield Row(f"chunks a second, {in_flight} streams of 100 in flight", "", found["events"])
        yield Row("… CPU of a chunk, in the gateway's process", "µs", found["cpu"])


def in_turns(options: argparse.Namespace, all_: list[Subject], way: str, in_flight: int) -> dict[str, dict[str, float]]:
    """Medians of what the rounds came to, by what was measured and by subject."""
    found: dict[str, dict[str, list[float]]] = {}
    failed: set[str] = set()
    for turn in range(options.rounds + 1):
        first = turn % len(all_)
        for subject in [*all_[first:], *all_[:first]]:  # nobody always comes after the slowest
            seconds = options.seconds if turn else 0.3
            began = 0.0 if subject.pid is None else cpu_seconds(subject.pid)
            if subject.title in failed:
                continue
            try:
                figures = asked(way, subject, in_flight, seconds)
            except Failed as error:
                print(f"{error}", file=sys.stderr)
                failed.add(subject.title)
                continue
            if subject.pid is not None:
                spent = cpu_seconds(subject.pid) - began
                done = figures["events" if way == "streams" else "rate"] * figures["seconds"]
                figures["cpu"] = 1_000_000 * spent / done
            if turn:  # the first is to warm up
                for name, figure in figures.items():
                    found.setdefault(name, {}).setdefault(subject.title, []).append(figure)
    return {name: {title: median(each) for title, each in cells.items()} for name, cells in found.items()}


def memory(options: argparse.Namespace, all_: list[Subject]) -> Iterator[Row]:
    """What a gateway has in memory: before, after so many requests, and with so many streams open."""
    ours = [each for each in all_ if each.pid is not None and each.title.startswith(("ours", "floor"))]
    rows: dict[str, dict[str, float]] = {}
    for subject in ours:
        assert subject.pid is not None
        asked("count", subject, options.requests // 20, 600)
        for part in range(1, 5):
            asked("count", subject, options.requests // 4, 600)
            done = f"{options.requests * part // 4:,}"
            rows.setdefault(f"memory after {done} requests", {})[subject.title] = resident(subject.pid)
        for turn in ("", " again"):
            before = resident(subject.pid)
            command = [sys.executable, str(PARTS / "load.py"), "held", str(subject.port), subject.stream, "1000", "0"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
                if not line_of(load):
                    raise SystemExit(f"{subject.title}: streams could not be opened")
                time.sleep(0.5)
                held = resident(subject.pid)
                rows.setdefault(f"… with 1,000 streams open{turn}", {})[subject.title] = held
                rows.setdefault(f"… of each stream{turn}, KiB", {})[subject.title] = (held - before) * 1024 / 1000
                assert load.stdin is not None
                load.stdin.write("\n")
            time.sleep(1)
    for title, cells in rows.items():
        yield Row(title, "" if title.endswith("KiB") else "MiB", cells)


def sdk(options: argparse.Namespace, home: Path, upstream: int) -> Iterator[Row]:
    found = []
    for _ in range(options.rounds):
        command = [str(home / "bin" / "python"), str(PARTS / "sdk.py"), str(upstream), "32", str(options.seconds)]
        settings = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=settings, timeout=60)
        except subprocess.SubprocessError as error:
            print(f"LiteLLM's package: passed over: {error}", file=sys.stderr)
            return
        found.append(json.loads(done.stdout)["rate"])
    yield Row("answers a second, 32 in flight", "", {"LiteLLM's package, no gateway": median(found)})


CASES = {"latency": latency, "streams": streams, "memory": memory}
WANTED = ("ours", "floor", "floor, by hand", "litellm", "ours, passing on", "portkey", "sdk")


def shown(rows: list[Row], *, markdown: bool) -> None:
    titles = list(dict.fromkeys(title for row in rows for title in row.cells))
    table = [["", *titles]]
    for row in rows:
        cells = [number(row.cells[title]) if title in row.cells else "" for title in titles]
        table.append([f"{row.title}{', ' + row.unit if row.unit else ''}", *cells])
    if markdown:
        table.insert(1, ["---", *("---:" for _ in titles)])
        for line in table:
            print("| " + " | ".join(line) + " |")
        return
    widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
    for line in table:
        print(
            "  ".join(
                cell.ljust(w) if at == 0 else cell.rjust(w)
                for at, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
        )


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--only", default=",".join(CASES), help=", ".join(CASES))
    parser.add_argument("--subjects", default=";".join(WANTED), help="; ".join(WANTED))
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # what was begun is ended
    wanted = set(options.subjects.split(";"))
    rows: list[Row] = []
    with ExitStack() as stack:
        backend = stack.enter_context(started(sys.executable, str(PARTS / "backend.py")))
        upstream = int(line_of(backend))
        all_ = list(subjects(stack, upstream, wanted))
        for name, case in CASES.items():
            if name in options.only.split(","):
                for row in case(options, all_):
                    rows.append(row)
                    if not options.markdown:
                        print(row.title, {title: number(value) for title, value in row.cells.items()}, flush=True)
        if "sdk" in wanted and "latency" in options.only.split(",") and (home := environment()) is not None:
            rows += sdk(options, home, upstream)
    shown(rows, markdown=options.markdown)


if __name__ == "__main__":
    main()
