"""A file or an address as a part of a message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._errors import USAGE, Problem
from ._output import read_stdin

__all__ = ("attachment",)


def attachment(source: str) -> Any:
    """A picture, a sound, a text or another file; `-` is stdin, an address is that of a picture.

    Raises `Problem` for one that cannot be read.
    """
    from ..client import media

    if source.partition(":")[0].lower() in ("http", "https", "data"):
        return media.image(source)
    try:
        path = Path(source).expanduser()
        data, name = (read_stdin(), "stdin") if source == "-" else (path.read_bytes(), path.name)
        kind = media.sniff(data, None if source == "-" else name)
        make = _KINDS.get(kind) or _KINDS.get(kind.partition("/")[0]) or _file
        return make(data, name)
    except (OSError, ValueError) as error:
        words = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Problem(f"{source}: {words}", USAGE) from None


def _image(data: bytes, name: str) -> Any:
    from ..client import media

    return media.image(data)


def _audio(data: bytes, name: str) -> Any:
    from ..client import media

    return media.audio(data)


def _text(data: bytes, name: str) -> Any:
    from ..client import media

    # Models take documents as files, but text they read best as text.
    try:
        words = data.decode()
    except UnicodeDecodeError:
        return _file(data, name)
    fence = "```"
    while fence in words:
        fence += "`"
    return media.text(f"{name}:\n{fence}\n{words.rstrip()}\n{fence}")


def _file(data: bytes, name: str) -> Any:
    from ..client import media

    return media.file(data, name=name)


_KINDS: dict[str, Callable[[bytes, str], Any]] = {
    "image": _image,
    "image/svg+xml": _text,
    "audio": _audio,
    "text": _text,
    "application/json": _text,
    "application/xml": _text,
    "application/javascript": _text,
    "application/x-sh": _text,
    "application/toml": _text,
    "application/yaml": _text,
}
