"""Generated files on disk: formatted, written, compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .overlay import WRITTEN

__all__ = ("Content", "compare", "formatted", "write")

Content = str | bytes


def _ruff() -> str:
    beside = Path(sys.executable).parent / "ruff"
    found = str(beside) if beside.exists() else shutil.which("ruff")
    if found is None:
        raise SystemExit("codegen needs ruff")
    return found


def formatted(files: Iterable[tuple[str, Content]]) -> dict[str, bytes]:
    """What is in each path, Python in the project's format and its imports sorted."""
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        paths: list[str] = []
        for path, content in files:
            target = base / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_raw(content))
            paths.append(path)
        settings = ["--no-cache", "--quiet", "--config", str(Path(__file__).parent.parent / "pyproject.toml")]
        for command in (["check", "--select", "I", "--fix"], ["format"]):
            subprocess.run([_ruff(), *command, *settings, "."], cwd=base, check=True)
        return {path: (base / path).read_bytes() for path in sorted(paths)}


def _raw(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


_ENDINGS = {"schema": "json", "server/merges": "bin"}
"""What the generated files of a folder end in, where it is not `py`."""


def _generated(root: Path, folder: str) -> Iterator[Path]:
    """The generated files of a folder; the code beside the tables of `schema`, in `_helpers` and named in `WRITTEN` is
    hand-written."""
    for path in (root / folder).rglob(f"*.{_ENDINGS.get(folder, 'py')}"):
        inside = path.relative_to(root)
        if "_helpers" not in inside.parts and inside.as_posix() not in WRITTEN:
            yield path


def compare(files: Mapping[str, Content], root: Path, folders: Iterable[str]) -> list[str]:
    """What differs between the files and what is on disk below `root`, one line each."""
    there = {str(path.relative_to(root)) for folder in folders for path in _generated(root, folder)}
    lines = [f"{path} is missing" for path in sorted(files.keys() - there)]
    lines += [f"{path} is not generated" for path in sorted(there - files.keys())]
    return lines + [
        f"{path} differs" for path in sorted(files.keys() & there) if (root / path).read_bytes() != _raw(files[path])
    ]


def write(files: Mapping[str, Content], root: Path, folders: Iterable[str]) -> int:
    """Write what differs and remove what is no longer generated. Returns how many files changed."""
    changed = 0
    for folder in folders:
        for path in list(_generated(root, folder)):
            if str(path.relative_to(root)) not in files:
                path.unlink()
                changed += 1
    for name, content in files.items():
        path = root / name
        if path.exists() and path.read_bytes() == _raw(content):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_raw(content))
        changed += 1
    return changed
