"""`antiphon new` writes a small project to begin with."""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from pathlib import Path
from shlex import quote

from ..version import __version__
from ._errors import Problem

__all__ = ("configure", "run")

KINDS = {"app": "a FastAPI application that answers with a model, a client of it, and tests with a fake"}
_ALLOWED = {".git"}
"""What a directory may have in it already."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description = "Write a small project that runs and passes its tests. Nothing is overwritten."
    parser.epilog = "kinds:\n" + "\n".join(f"  {name:<22}{what}" for name, what in KINDS.items())
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help="what is made, see below")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where; it is made, or it is empty")


def run(options: argparse.Namespace) -> int:
    """Write it."""
    directory: Path = options.directory
    name = _name(directory)
    _check(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    templates = files("antiphon.cli").joinpath("templates", options.kind)
    for template in sorted(templates.iterdir(), key=lambda each: each.name):
        made = directory / template.name.removesuffix(".txt")
        text = template.read_text("utf-8").replace("PROJECT", name).replace("VERSION", __version__)
        with made.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        written.append(made.name)
    where = str(directory)
    print(f"{where}: {', '.join(written)}")
    if where != ".":
        print(f"\n  cd {quote(where)}")
    else:
        print()
    print("  pip install 'antiphon[router,test]' 'uvicorn[standard]'\n  pytest\n  uvicorn app:app")
    return 0


def _check(directory: Path) -> None:
    """Raises `Problem` where something is there that a project would be mixed with."""
    if directory.is_dir():
        there = sorted(each.name for each in directory.iterdir() if each.name not in _ALLOWED)
        if there:
            some = ", ".join(there[:3]) + (", …" if len(there) > 3 else "")
            raise Problem(f"{directory} is not empty: it has {some}; name a directory that is new or empty")
    elif directory.exists() or directory.is_symlink():
        raise Problem(f"{directory} is no directory; name one that is new or empty")


def _name(directory: Path) -> str:
    """The project's name, made of the directory's: letters, digits, and dashes between them."""
    plain = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    return plain or "app"
