"""The generator itself: what is committed is what it writes, and it writes the same each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from codegen import api, files, types

ROOT = Path(__file__).parents[3]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codegen", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_what_is_committed_is_what_is_generated() -> None:
    checked = _run("--check", "types", "api")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_generating_twice_gives_the_same() -> None:
    assert dict(types.generate()) == dict(types.generate())
    assert dict(api.generate()) == dict(api.generate())


def test_check_tells_what_is_out_of_date(tmp_path: Path) -> None:
    made = {"api/one.py": "1\n", "api/two.py": "2\n"}
    assert files.write(made, tmp_path, ["api"]) == 2
    assert files.compare(made, tmp_path, ["api"]) == []
    assert files.write(made, tmp_path, ["api"]) == 0
    (tmp_path / "api" / "two.py").write_text("3\n")
    (tmp_path / "api" / "old.py").write_text("")
    (tmp_path / "api" / "_helpers").mkdir()
    (tmp_path / "api" / "_helpers" / "written.py").write_text("by hand")
    made["api/new.py"] = ""
    assert files.compare(made, tmp_path, ["api"]) == [
        "api/new.py is missing",
        "api/old.py is not generated",
        "api/two.py differs",
    ]
    assert files.write(made, tmp_path, ["api"]) == 3
    assert (tmp_path / "api" / "_helpers" / "written.py").exists()
    assert files.compare(made, tmp_path, ["api"]) == []


def test_no_sentence_of_the_official_docstrings_is_taken_over() -> None:
    import ast

    from codegen.source import modules

    theirs = {
        line.strip()
        for home in modules("openai.types")
        for node in ast.walk(home.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for line in node.value.splitlines()
        if len(line.split()) > 3
    }
    for path, text in [*types.generate(), *api.generate()]:
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                assert not theirs & {line.strip() for line in node.value.value.splitlines()}, path
