"""The commands of the guide do what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .conftest import environment
from .test_commands import PNG

GUIDE = Path(__file__).parents[3] / "docs" / "command-line.md"


def test_every_command_of_the_guide_runs(reversing: str, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    for name in ("build.log", "names.txt", "notes.txt"):
        (tmp_path / name).write_text("one\ntwo\n")
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 5
    function = f'antiphon() {{ "{sys.executable}" -m antiphon "$@"; }}; set -e\n'
    done = subprocess.run(
        ["bash", "-c", function + "\n".join(blocks)],
        env=environment(reversing, tmp_path) | {"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len((tmp_path / "vectors.jsonl").read_text().splitlines()) == 2
    assert (tmp_path / "lighthouse.webp").stat().st_size > 0


def test_the_guide_names_every_command() -> None:
    from antiphon.cli import COMMANDS

    assert re.findall(r"^\| `antiphon (\w+)` \|", GUIDE.read_text(), re.MULTILINE) != []
    assert set(re.findall(r"^\| `antiphon (\w+)` \|", GUIDE.read_text(), re.MULTILINE)) == set(COMMANDS)
