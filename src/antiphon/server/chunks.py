"""Cutting the text of a file into chunks: so many tokens each, the last of one being the first of the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from . import tokens

__all__ = ("AUTO", "EMBEDDER", "VECTOR_BYTES", "Strategy", "Text", "chunked", "strategy")

EMBEDDER: Final = "text-embedding-3-large"
"""The model that vector stores embed with, and count tokens for."""
VECTOR_BYTES: Final = 256 * 4
"""What the vector of a chunk takes: 256 numbers of single precision."""
_STEP: Final = 200_000
"""Characters whose tokens are told at a time."""


class Strategy(NamedTuple):
    """How large chunks are, and how much of each is repeated in the next, in tokens."""

    size: int
    overlap: int

    @property
    def told(self) -> dict[str, Any]:
        """As the API tells it."""
        sizes = {"max_chunk_size_tokens": self.size, "chunk_overlap_tokens": self.overlap}
        return {"type": "static", "static": sizes}


AUTO: Final = Strategy(800, 400)


def strategy(given: Mapping[str, Any] | None) -> Strategy:
    """What a `chunking_strategy` of the API says; `auto` and none are 800 tokens with 400 in common."""
    sizes = (given or {}).get("static")
    return Strategy(sizes["max_chunk_size_tokens"], sizes["chunk_overlap_tokens"]) if sizes else AUTO


class Text(NamedTuple):
    """A text and its chunks."""

    text: str
    spans: list[tuple[int, int]]
    """Where each chunk begins and ends, in characters."""

    @property
    def chunks(self) -> list[str]:
        return [self.text[start:end] for start, end in self.spans]

    @property
    def usage_bytes(self) -> int:
        """What the chunks take in a store: their text and their vectors."""
        return sum(len(chunk.encode("utf-8", "replace")) + VECTOR_BYTES for chunk in self.chunks)


def chunked(text: str, by: Strategy = AUTO) -> Text:
    """Cut a text. Chunks cover it whole; none is empty, and an empty text has none."""
    text = text.encode("utf-8", "replace").decode() if not text.isascii() else text  # lone surrogates
    if len(text.encode()) <= by.size:  # a token has at least a byte: no need to count
        return Text(text, [(0, len(text))] if text else [])
    begins: list[int] = []
    for first in range(0, len(text), _STEP):
        begins += [first + start for start in tokens.starts(text[first : first + _STEP], EMBEDDER)]
    spans: list[tuple[int, int]] = []
    for at in range(0, len(begins), by.size - by.overlap):
        after = at + by.size
        span = (begins[at], begins[after] if after < len(begins) else len(text))
        if span[0] < span[1]:  # else: tokens that are parts of one character
            spans.append(span)
        if after >= len(begins):
            break
    return Text(text, spans)
