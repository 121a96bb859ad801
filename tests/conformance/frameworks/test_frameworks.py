"""Programs on other people's frameworks, run as they are, and answered by the plugin of pytest.

Each framework has an environment of its own under `.cache/conformance/`, made once from its `.txt`; its programs are in
`programs/`. Two generations of the official package are among what they stand on, and httpx, httpx2 and aiohttp.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.environments import environment
from tests.conformance.official import ROOT

HERE = Path(__file__).parent
PASSED = {
    "anthropic": 6,
    "google_genai": 6,
    "instructor": 5,
    "langchain": 9,
    "litellm": 5,
    "llama_index": 5,
    "openai_agents": 10,
    "pydantic_ai": 9,
}


def test_every_program_is_run() -> None:
    names = {path.stem for path in (HERE / "programs").glob("*.py")}
    assert names == set(PASSED) == {path.stem for path in HERE.glob("*.txt")}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PASSED)
def test_programs_on(name: str, tmp_path: Path) -> None:
    home = environment(name, HERE)
    shutil.copy(HERE / "programs" / f"{name}.py", tmp_path / f"test_{name}.py")
    plugins = ["-p", "antiphon.testing.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [str(home / "bin" / "python"), "-m", "pytest", "-q", *plugins, f"test_{name}.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "TIKTOKEN_CACHE_DIR": str(tmp_path / "vocabularies")},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (re.findall(r"(\d+) passed", done.stdout) or ["0"])[0] == str(PASSED[name]), done.stdout
