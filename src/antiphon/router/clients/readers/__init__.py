"""Readers of the wire formats, a file each, found by their keys; or told by how an answer begins."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from .base import AnswerReader, decoded

__all__ = ("KEYS", "AnswerReader", "accepted", "by_media_type", "find", "recognized")

_WHERE: Final = {
    "lanarky": ".lanarky",
    "json": ".json",
    "openai": ".openai",
    "ag-ui": ".ag_ui",
    "vercel": ".vercel",
    "text": ".text",
}
KEYS: Final = tuple(_WHERE)
"""The formats there are, in the order in which answers are tried."""

_MEDIA_TYPES: Final = {"text": "text/plain", "json": "application/json"}
_BY_MEDIA_TYPE: Final = {media: key for key, media in _MEDIA_TYPES.items()}


def find(key: str) -> Callable[[], AnswerReader]:
    """The reader of a format. Raises `ValueError` for a key there is no format of."""
    home = _WHERE.get(key)
    if home is None:
        raise ValueError(f"there is no wire format {key!r}; there are {', '.join(KEYS)}")
    found: Callable[[], AnswerReader] = import_module(home, __name__).READER
    return found


def accepted(key: str | None) -> str:
    """What a request for a format says in `Accept`."""
    if key is None:
        return "text/event-stream"
    return _MEDIA_TYPES.get(key) or f"text/event-stream; format={key}"


def by_media_type(content_type: str) -> str | None:
    """The format that a media type alone tells."""
    return _BY_MEDIA_TYPE.get(content_type.partition(";")[0].strip().lower())


def recognized(name: str | None, data: str, otherwise: str) -> str:
    """The format of an answer that begins with this event; `otherwise` where it could be any."""
    value = decoded(data) if data[:1] == "{" else None
    for key in KEYS:
        reader: type[AnswerReader] = import_module(_WHERE[key], __name__).READER
        if reader.knows(name, data, value):
            return key
    return otherwise
