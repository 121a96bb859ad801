"""What a call takes as a file.

A file is its bytes, an open binary file, a path, or a tuple: `(name, content)`, `(name, content, content_type)`
or `(name, content, content_type, headers)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import IO, TypeAlias

__all__ = ("Base64FileInput", "FileContent", "FileTypes", "file_from_path")

Base64FileInput: TypeAlias = IO[bytes] | PathLike[str]
FileContent: TypeAlias = IO[bytes] | bytes | PathLike[str]
FileTypes: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)


def file_from_path(path: str) -> FileTypes:
    """A file as its name and its content. Raises `OSError`. A `pathlib.Path` is taken as it is, and streamed."""
    from pathlib import Path

    file = Path(path)
    return file.name, file.read_bytes()
