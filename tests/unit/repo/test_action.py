"""The action for workflows of GitHub: what it runs, run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import yaml

from antiphon import FakeOpenAI, OpenAI

ROOT = Path(__file__).parents[3]
ACTION: Any = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step.get("id", "install"): step for step in ACTION["runs"]["steps"]}


def start(tmp_path: Path, port: int, options: str = "") -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """Run the step that starts the fake; its result, and what it told the workflow."""
    given = {"github.action_path": str(ROOT), "inputs.port": str(port), "inputs.options": options}
    step = STEPS["start"]
    told = {name: tmp_path / name for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
    environ = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        **{name: str(path) for name, path in told.items()},
        **{name: given[value.removeprefix("${{ ").removesuffix(" }}")] for name, value in step["env"].items()},
    }
    done = subprocess.run(
        [step["shell"], "-c", step["run"]], env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    lines = [line for path in told.values() if path.exists() for line in path.read_text().splitlines()]
    return done, {name: value for name, _, value in (line.partition("=") for line in lines)}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_steps_that_follow_find_a_fake(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text('[{"when": {"text": "hello"}, "reply": "From a workflow."}]')
    done, told = start(tmp_path, port := free_port(), f"--rules {tmp_path / 'rules.json'} --seed 7")
    assert done.returncode == 0, done.stderr
    try:
        assert told["url"] == f"http://127.0.0.1:{port}"
        client = OpenAI(base_url=told["OPENAI_BASE_URL"], api_key=told["OPENAI_API_KEY"])
        assert client.responses.create(model="gpt-5", input="hello").output_text == "From a workflow."
        assert httpx2.get(f"{told['url']}/_antiphon/seed").json()["seed"] == 7
    finally:
        os.kill(int(told["pid"]), signal.SIGTERM)
    assert "POST /v1/responses 200" in Path(told["log"]).read_text()


def test_a_fake_that_does_not_start_fails_the_step(tmp_path: Path) -> None:
    done, told = start(tmp_path, free_port(), "--rules nowhere.yaml")
    assert done.returncode == 1
    assert told == {}
    assert "::error::antiphon serve does not answer" in done.stdout
    assert "nowhere.yaml: No such file or directory" in done.stderr


def test_a_port_that_is_taken_fails_the_step(tmp_path: Path) -> None:
    with FakeOpenAI().start(port=0) as server:
        done, told = start(tmp_path, server.port)
    assert done.returncode == 1
    assert told == {}
    assert f"::error::port {server.port} is taken" in done.stdout


def test_what_is_named_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert STEPS["install"]["run"] == 'python -m pip install --quiet "$ACTION[server]"'
    assert "server" in extras
    used = {value for step in STEPS.values() for value in step["env"].values()}
    assert {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]} == used - {"${{ github.action_path }}"}
    assert os.access(ROOT / "deploy" / "action" / "start.sh", os.X_OK)
    outputs = {value["value"] for value in ACTION["outputs"].values()}
    assert outputs == {"${{ steps.start.outputs.url }}", "${{ steps.start.outputs.log }}"}
