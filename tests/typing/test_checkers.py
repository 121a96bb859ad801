"""pyright, mypy and ty over the samples: no error where none is marked, one on every line that is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
Found = dict[tuple[str, int], str]


def _run(*command: str) -> str:
    tool = Path(sys.executable).parent / command[0]
    found = str(tool) if tool.exists() else shutil.which(command[0])
    if found is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([found, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def _pyright() -> Found:
    report = json.loads(_run("pyright", "--outputjson", str(SAMPLES)))
    assert report["summary"]["filesAnalyzed"] > 0, report
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
        for each in report["generalDiagnostics"]
        # An expression for its own sake is what these samples are made of.
        if each["severity"] == "error" and each.get("rule") not in ("reportUnusedExpression", "reportUnusedCoroutine")
    }


def _lines(output: str, pattern: str) -> Found:
    found: Found = {}
    for line in output.splitlines():
        if match := re.match(pattern, line):
            found[Path(match[1]).name, int(match[2])] = match[3]
    return found


def _mypy() -> Found:
    output = _run("mypy", "--strict", "--no-error-summary", "--hide-error-context", str(SAMPLES))
    return _lines(output, r"([^:]+):(\d+): error: (.*)")


def _ty() -> Found:
    output = _run("ty", "check", "--output-format", "concise", "--ignore", "unused-awaitable", str(SAMPLES))
    return _lines(output, r"([^:]+):(\d+):\d+: error(.*)")


def _marked() -> set[tuple[str, int]]:
    return {
        (path.name, number)
        for path in SAMPLES.glob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.endswith("# E")
    }


@pytest.mark.parametrize("check", [_pyright, _mypy, _ty])
def test_errors_are_where_they_are_marked(check: Callable[[], Found]) -> None:
    found, marked = check(), _marked()
    assert len(marked) > 30
    assert {where: message for where, message in found.items() if where not in marked} == {}
    assert marked - found.keys() == set()
