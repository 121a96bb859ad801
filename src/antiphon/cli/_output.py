"""Words, JSON, tables and bytes on stdout or in files."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ._errors import USAGE, Problem, clean

__all__ = (
    "Paint",
    "check_target",
    "is_terminal",
    "json_line",
    "print_text",
    "read_stdin",
    "read_text",
    "show_json",
    "show_table",
    "shown_size",
    "writing",
)


def is_terminal(stream: Any) -> bool:
    """Whether a person looks at a stream, through a terminal that can move its cursor."""
    return bool(stream is not None and stream.isatty()) and os.environ.get("TERM") != "dumb"


class Paint:
    """Bright and dim words where the terminal shows them, plain ones elsewhere."""

    def __init__(self, stream: Any) -> None:
        self.on = is_terminal(stream) and not os.environ.get("NO_COLOR")

    def bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self.on else text

    def dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self.on else text


def show_json(value: Any) -> None:
    """Print a value as JSON, indented."""
    import orjson

    from ..kernel.view import plain

    _write(orjson.dumps(plain(value), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def json_line(value: Any) -> None:
    """Print a value as a line of JSON, at once."""
    import orjson

    from ..kernel.view import plain

    _write(orjson.dumps(plain(value), option=orjson.OPT_APPEND_NEWLINE))


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_text(text: str) -> None:
    """Print what the API said, with a line break at its end; at a terminal, nothing that would drive it."""
    if sys.stdout.isatty():
        text = clean(text)
    print(text.rstrip("\n"))


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows: in columns at a terminal, with tabs between the fields elsewhere."""
    cells = [[clean(cell).replace("\t", " ").replace("\n", " ") for cell in row] for row in rows]
    if is_terminal(sys.stdout) and cells:
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        )
    else:
        lines = ("\t".join(row) for row in cells)
    for line in lines:
        print(line)


def shown_size(size: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def read_stdin() -> bytes:
    """All of stdin."""
    if sys.stdin is None:
        raise Problem("there is nothing on stdin", USAGE)
    return sys.stdin.buffer.read()


def read_text(argument: str, empty: str = "the text is empty") -> str:
    """A text of the command line: `-` stands for stdin. Raises `Problem` for one that is not UTF-8, or empty."""
    try:
        text = read_stdin().decode() if argument == "-" else argument
        text.encode()
    except UnicodeError:
        raise Problem("the text is not UTF-8", USAGE) from None
    if not text.strip():
        raise Problem(empty, USAGE)
    return text


def check_target(target: str | None) -> Path | None:
    """Where `writing` will write; `None` for stdout. Raises `Problem` where that cannot be."""
    if target is None or target == "-":
        if sys.stdout.isatty():
            raise Problem("this would fill the terminal with bytes: name a file with -o, or redirect the output", USAGE)
        return None
    path = Path(target).expanduser()
    if path.is_dir():
        raise Problem(f"{target} is a directory: name a file", USAGE)
    if not path.parent.is_dir():
        raise Problem(f"{path.parent} is not a directory", USAGE)
    return path


@contextmanager
def writing(target: str | None) -> Generator[IO[bytes], None, None]:
    """A file to write an answer to, which appears once it is whole. `-`, or nothing, is stdout.

    Raises `Problem` where that cannot be, `OSError` where the file cannot be written.
    """
    path = check_target(target)
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file():  # a pipe, a device
        with path.open("wb") as out:
            yield out
        return
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("xb") as out:
            yield out
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
