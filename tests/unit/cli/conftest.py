"""The command, run against a fake on a port of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from antiphon import FakeOpenAI

ANTIPHON = [sys.executable, "-m", "antiphon"]


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str
    raw: bytes

    def json(self) -> Any:
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Done]


def environment(base_url: str, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTIPHON_"))}
    where = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config")}
    return {**kept, **where, "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "sk-test", "COLUMNS": "100"}


@pytest.fixture(scope="session")
def reversing() -> Iterator[str]:
    """A fake that says everything backwards."""
    with FakeOpenAI("reverse").start(port=0) as running:
        yield running.base_url


@pytest.fixture
def antiphon(reversing: str, tmp_path: Path) -> Run:
    """Run the command in an empty directory."""

    def run(*arguments: str, input: str | bytes = "", **more: str) -> Done:
        given = input.encode() if isinstance(input, str) else input
        env = {**environment(reversing, tmp_path), **more}
        done = subprocess.run(
            [*ANTIPHON, *arguments], input=given, capture_output=True, timeout=60, check=False, env=env, cwd=tmp_path
        )
        err = done.stderr.decode()
        assert "Traceback" not in err
        return Done(done.returncode, done.stdout.decode(errors="replace"), err, done.stdout)

    return run
