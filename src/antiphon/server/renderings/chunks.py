"""How a text known in full is split into the deltas of a stream: about as a tokenizer would, but quicker."""

from __future__ import annotations

import re
from functools import lru_cache

import orjson

__all__ = ("chunks", "json_chunks")

_LIKE_TOKENS = re.compile(r"\s?\w{1,12}|\s?[^\w\s]{1,4}|\s+")
_LONG = 4096
"""Texts longer than this (in characters) are split anew each time, so that the caches stay small."""


def _split(text: str) -> tuple[str, ...]:
    return tuple(_LIKE_TOKENS.findall(text))


def _split_to_json(text: str) -> tuple[bytes, ...]:
    return tuple(map(orjson.dumps, _LIKE_TOKENS.findall(text)))


_remembered = lru_cache(1024)(_split)
_remembered_json = lru_cache(1024)(_split_to_json)


def chunks(text: str) -> tuple[str, ...]:
    """The deltas of a text; joined they are the text."""
    return _remembered(text) if len(text) <= _LONG else _split(text)


def json_chunks(text: str) -> tuple[bytes, ...]:
    """The deltas of a text, each as a JSON string."""
    return _remembered_json(text) if len(text) <= _LONG else _split_to_json(text)
