"""The real servers of the protocol: started once for a test run, shared by its processes, stopped at its end."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.conformance.environments import HERE, environment, locked

PATIENCE = 90.0
UNLOADED = {"smol", "spare"}
"""Models of Triton's that tests load when they want them."""


class Server(NamedTuple):
    """A server that is ready."""

    rest: str
    """`http://127.0.0.1:…`"""
    grpc: str
    """`grpc://127.0.0.1:…`"""
    log: Path
    """Where its models write what became of requests with a `mark-…` in their prompt."""

    def saw(self, line: str, seconds: float = 10.0) -> bool:
        """Whether its models have written this line, within some seconds."""
        end = time.monotonic() + seconds
        while not (found := line in self.log.read_text().splitlines()) and time.monotonic() < end:
            time.sleep(0.02)
        return found


class _Start(NamedTuple):
    command: list[str]
    environment: Mapping[str, str]


def _triton(home: Path, work: Path, http: int, grpc: int) -> _Start:
    packages = next((home / "lib").glob("python*/site-packages"))
    root = packages / "pytriton" / "tritonserver"
    stub = root / "backends" / "python" / "triton_python_backend_stub"
    if not stub.exists():
        version = packages.parent.name.removeprefix("python")
        shutil.copy(root / "python_backend_stubs" / version / stub.name, stub)
    options = {
        "model-repository": HERE / "triton",
        "backend-directory": root / "backends",
        "model-control-mode": "explicit",
        "http-address": "127.0.0.1",
        "http-port": http,
        "grpc-address": "127.0.0.1",
        "grpc-port": grpc,
        "allow-metrics": "false",
        "exit-timeout-secs": 1,
    }
    command = [str(root / "bin" / "tritonserver"), *(f"--{name}={value}" for name, value in options.items())]
    models = sorted({each.name for each in (HERE / "triton").iterdir()} - UNLOADED)
    command += [f"--load-model={name}" for name in models]
    libraries = {"LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs")}
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return _Start(command, {**libraries, "PATH": path, "PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"})


def _mlserver(home: Path, work: Path, http: int, grpc: int) -> _Start:
    # Without workers: streams need that, and with uvloop it does not start otherwise.
    settings = {
        "host": "127.0.0.1",
        "http_port": http,
        "grpc_port": grpc,
        "metrics_endpoint": None,
        "parallel_workers": 0,
        "gzip_enabled": False,
    }
    shutil.copytree(HERE / "mlserver", work, dirs_exist_ok=True)
    (work / "settings.json").write_text(json.dumps(settings))
    return _Start([str(home / "bin" / "mlserver"), "start", str(work)], {"PYTHONPATH": str(work)})


def _kserve(home: Path, work: Path, http: int, grpc: int) -> _Start:
    return _Start([str(home / "bin" / "python"), str(HERE / "kserve_models.py"), str(http), str(grpc)], {})


_STARTS: dict[str, Callable[[Path, Path, int, int], _Start]] = {
    "triton": _triton,
    "mlserver": _mlserver,
    "kserve": _kserve,
}


@contextmanager
def shared(name: str, base: Path) -> Iterator[Server]:
    """A server, for as long as this lasts. `base` is a directory that all processes of the run have in common."""
    home = environment(name)
    base.mkdir(parents=True, exist_ok=True)
    lease, state = base / f"{name}.lease", base / f"{name}.json"
    lease.touch()
    with lease.open() as held:
        with locked(base / f"{name}.starting"):
            fcntl.flock(held, fcntl.LOCK_SH)
            if not state.exists():
                _start(name, home, base, lease, state)
            said = json.loads(state.read_text())
        yield Server(said["rest"], said["grpc"], base / f"{name}.log")


def _start(name: str, home: Path, base: Path, lease: Path, state: Path) -> None:
    work = base / f"{name}-work"
    work.mkdir(exist_ok=True)
    log, output = base / f"{name}.log", base / f"{name}.out"
    log.touch()
    http, grpc = _ports(2)
    start = _STARTS[name](home, work, http, grpc)
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "PYTEST_", "COV_"))}
    state.write_text(json.dumps({"rest": f"http://127.0.0.1:{http}", "grpc": f"grpc://127.0.0.1:{grpc}"}))
    with output.open("ab") as out:
        subprocess.run(
            [sys.executable, str(HERE / "keeper.py"), str(lease), str(state), *start.command],
            env={**ours, **start.environment, "OIP_TEST_LOG": str(log)},
            cwd=work,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=True,
        )
    end = time.monotonic() + PATIENCE
    while not _ready(f"http://127.0.0.1:{http}/v2/health/ready"):
        if not state.exists() or time.monotonic() > end:  # the keeper has taken it away, or will when we let go
            state.unlink(missing_ok=True)
            raise RuntimeError(f"{name} did not start:\n{output.read_text(errors='replace')[-10000:]}")
        time.sleep(0.05)


def _ready(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
