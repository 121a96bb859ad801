"""`antiphon new`: a project that runs as it was written."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .conftest import Run, environment

FILES = {".gitignore", "README.md", "app.py", "client.py", "pyproject.toml", "test_app.py"}


def test_the_project_passes_its_tests(antiphon: Run, tmp_path: Path) -> None:
    done = antiphon("new", "app", "some/My Shop")
    assert (done.code, done.err) == (0, "")
    where = tmp_path / "some" / "My Shop"
    assert {each.name for each in where.iterdir()} == FILES
    assert "  cd 'some/My Shop'\n" in done.out
    about = tomllib.loads((where / "pyproject.toml").read_text())
    assert about["project"]["name"] == "my-shop"
    assert (where / "README.md").read_text().startswith("# my-shop\n")
    for each in where.iterdir():
        assert not {"PROJECT", "VERSION"} & set(each.read_text().replace("[", " ").split())
    kept = {name: value for name, value in environment("", tmp_path).items() if not name.startswith("OPENAI_")}
    tested = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=where,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "3 passed" in tested.stdout


def test_the_client_says_in_a_line_what_is_wrong(antiphon: Run, tmp_path: Path) -> None:
    antiphon("new", "app", "shop")
    done = subprocess.run(
        [sys.executable, "client.py", "Hello", "--url", "http://127.0.0.1:1"],
        cwd=tmp_path / "shop",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "client.py: http://127.0.0.1:1: Connection error.\n"


@pytest.mark.parametrize("name", ["app.py", "notes.txt"])
def test_nothing_is_overwritten(antiphon: Run, tmp_path: Path, name: str) -> None:
    there = tmp_path / "shop" / name
    there.parent.mkdir()
    there.write_text("mine")
    done = antiphon("new", "app", "shop")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"antiphon: shop is not empty: it has {name}; name a directory that is new or empty\n"
    assert [each.name for each in there.parent.iterdir()] == [name] and there.read_text() == "mine"


def test_a_directory_may_be_there_and_may_be_a_repository(antiphon: Run, tmp_path: Path) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    assert antiphon("new", "app", "shop").code == 0
    assert {each.name for each in (tmp_path / "shop").iterdir()} == FILES | {".git"}


def test_what_cannot_be_written_is_said(antiphon: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert antiphon("new", "app", "file").err == ("antiphon: file is no directory; name one that is new or empty\n")
    assert antiphon("new", "app", "file/below").err == "antiphon: file/below: Not a directory\n"
    done = antiphon("new", "site", "shop")
    assert done.code == 2 and "invalid choice: 'site' (choose from 'app')" in done.err
    assert antiphon("new", "app").code == 2
