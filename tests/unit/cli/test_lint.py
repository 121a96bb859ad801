"""`antiphon lint`, and `antiphon serve` with rule files."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from antiphon import OpenAI
from antiphon.cli import main

from .conftest import ANTIPHON


def lint(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["lint", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_files_that_are_right_and_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.json"
    good.write_text("rules:\n  - reply: x\nscripts:\n  - legs: [{user: a, reply: b}]\n")
    bad.write_text('[{"reply": "a"},\n {"replay": "b"}]')
    assert lint(capsys, good) == (0, f"{good}: 1 rule, 1 script\n", "")
    code, out, _ = lint(capsys, good, bad)
    assert code == 1
    assert out.splitlines()[1] == f"{bad}:2:3: there is no 'replay' here; did you mean 'reply'?"
    assert lint(capsys, tmp_path / "none.yaml") == (1, "", f"{tmp_path}/none.yaml: No such file or directory\n")


def test_rules_that_never_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "- {when: {text: a}, reply: x}\n"
        "- {when: {text: {exactly: a}}, reply: x}\n"
        "- {when: {text: b}, reply: x}\n"
        "- {when: {text: b}, reply: y, times: 1}\n"
        "- {when: {text: a}, reply: y}\n"
        "- {when: {text: a}, vector: [1]}\n"
    )
    code, out, _ = lint(capsys, path)
    told = "this never answers: the rule in line 5 has the same conditions, and the last of such counts"
    assert (code, out) == (1, f"{path}:1:3: {told}\n")


def test_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    from antiphon.fake.schema import SCHEMA

    code, out, _ = lint(capsys, "--schema")
    assert (code, json.loads(out)) == (0, SCHEMA)
    assert lint(capsys, "--schema", "x.yaml")[0] == 2
    assert lint(capsys) == (2, "", "antiphon: name the files to be checked, or --schema\n")


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [*ANTIPHON, "serve", "--port", "0", "--log", "off", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], process
        finally:
            process.terminate()


def test_serving_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text('[{"when": {"text": "a"}, "answers": ["one", "two"]}]')
    with serving("--rules", str(path), "--triggers", "--engine", "echo") as (url, process):
        client = OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)

        def say(text: str) -> str:
            return client.responses.create(model="gpt-5", input=text).output_text

        assert [say(text) for text in ("a", "b", "fake: reply with Hello.")] == ["one", "b", "Hello."]
        path.write_text('[{"when": {"text": "b"}, "reply": "bee"}, {"when": {"text": "a"}, "answers": ["one", "two"]}]')
        assert process.stderr is not None
        assert process.stderr.readline() == f"antiphon: {path} was read again: 2 rules\n"
        assert [say(text) for text in "ab"] == ["two", "bee"]
        path.write_text("[")
        assert process.stderr.readline().startswith(f"antiphon: {path}:1:2: this is not JSON")
        assert process.stderr.readline() == "The rules that were there stay in force.\n"
        assert say("b") == "bee"


def test_nothing_is_served_with_wrong_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- replay: x\n- reply: 3\n")
    began = time.monotonic()
    assert main(["serve", "--port", "0", "--rules", str(path), "--rules", str(tmp_path / "no.yaml")]) == 1
    assert time.monotonic() - began < 30
    assert capsys.readouterr().err.splitlines() == [
        f"antiphon: {path}:1:3: there is no 'replay' here; did you mean 'reply'?",
        f"{path}:2:10: reply is a text, not 3",
        f"{tmp_path}/no.yaml: No such file or directory",
    ]
