"""Environments of their own for other people's servers, frameworks and tools, made once, under `.cache/conformance/`.

Where one cannot be made, the tests that need it fail; `ANTIPHON_SKIP_OIP=triton,kserve` skips those of the servers it
names, and `ANTIPHON_SKIP_OIP=all` all of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.official import CACHE, run

HERE = Path(__file__).parent / "oip"
"""Where those of the servers of the protocol are described."""


def skip_if_told(name: str) -> None:
    """Skip a test of a server that is not to be installed here."""
    told = os.environ.get("ANTIPHON_SKIP_OIP", "")
    if told == "all" or name in told.split(","):
        pytest.skip(f"ANTIPHON_SKIP_OIP={told}")


def environment(name: str, where: Path = HERE) -> Path:
    """The directory of the environment of a server, made where it is not there yet from `where/name.txt`.

    Raises `RuntimeError` with what the installer said where it cannot be made.
    """
    requirements = where / f"{name}.txt"
    # The servers are of a time before Python 3.13; there another Python is looked for on this machine.
    ours = sys.version_info < (3, 13)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}" if ours else ">=3.11,<3.13"
    key = hashlib.sha256(requirements.read_bytes() + version.encode()).hexdigest()[:16]
    home = CACHE / f"{where.name}-{name}-{key}"
    if (home / "ready").exists():
        return home
    with locked(CACHE / f"{where.name}-{name}.lock"):
        if (home / "ready").exists():
            return home
        shutil.rmtree(home, ignore_errors=True)
        uv = [sys.executable, "-m", "uv", "--quiet"]
        run([*uv, "venv", "--no-python-downloads", "--python", sys.executable if ours else version, str(home)])
        into = ["--python", str(home / "bin" / "python")]
        run([*uv, "pip", "install", *into, "--no-deps", "--require-hashes", "-r", str(requirements)])
        (home / "ready").touch()
    return home


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time, of all that run tests here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
