"""What holds for the files of the repository."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from antiphon.version import __version__

ROOT = Path(__file__).parents[3]
GENERATED = ("src/antiphon/types/", "src/antiphon/api/", "src/antiphon/schema/")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def test_no_file_is_too_long() -> None:
    written = [path for path in tracked("*.py") if not path.startswith(GENERATED)]
    assert len(written) > 50
    long = {path: n for path in written if (n := len((ROOT / path).read_text().splitlines())) > 800}
    assert long == {}


def test_the_lock_is_whole_and_names_no_host() -> None:
    for name in ("bootstrap", "serve", "dev", "litellm"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        assert "//" not in text
        pinned = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
        assert len(pinned) > 3
        blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
        assert all("--hash=sha256:" in block for block in blocks)


def test_what_is_asked_for_is_locked() -> None:
    def wanted(items: list[object]) -> set[str]:
        names = [re.match(r"[A-Za-z0-9-]+", item) for item in items if isinstance(item, str)]
        return {name[0].lower() for name in names if name is not None} - {"antiphon"}

    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE))
    everything = wanted(project["dependencies"]) | wanted(groups["dev"]) | wanted(groups["test"])
    extras: dict[str, list[object]] = dict(project["optional-dependencies"])
    local = wanted(extras.pop("local"))  # has an environment of its own
    assert local <= set(
        re.findall(r"^([a-z0-9-]+)==", (ROOT / "tests/conformance/oip/local.txt").read_text(), re.MULTILINE)
    )
    for extra in extras.values():
        everything |= wanted(extra)
    assert everything <= locked


def test_locks_agree() -> None:
    def versions(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))

    everything = versions("dev")
    for name in ("bootstrap", "serve", "gateway"):
        assert versions(name).items() <= everything.items()


def test_the_version_is_told_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{__version__}]" in text


def test_make_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("serve", "test", "lint", "types", "generate", "bench", "docs"):
        assert f"make {target}" in listed


def test_make_says_what_is_missing(tmp_path: Path) -> None:
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1" && exit 0\nexit 1\n')
    old.chmod(0o755)
    command = ["make", "test", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Antiphon needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.1" in done.stderr


@pytest.mark.parametrize("contract", ["layers", "server", "client"])
def test_imports_point_one_way(contract: str) -> None:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo", "--contract", contract]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_importing_the_package_loads_only_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import antiphon\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'antiphon'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
