"""The tables that `antiphon.server.merging` tells tokens by: of each vocabulary what texts can have that it tells."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator, Mapping
from importlib import import_module
from struct import pack

from antiphon.server.merging import BLOCK, tells

__all__ = ("generate", "packed")

NAMES = {"cl100k_base": 100_256, "o200k_base": 199_998}
"""Each vocabulary, and how many tokens it has that came of merging."""


def generate() -> Iterator[tuple[str, bytes]]:
    for name, count in NAMES.items():
        bytes_of = import_module("toktok")._encoding(name).decode_single_token_bytes
        ranks = {token: number for number in range(count) if wanted(token := bytes_of(number))}
        yield f"server/merges/{name}.bin", packed(ranks)


def wanted(token: bytes) -> bool:
    """Whether a text that tables tell may have a token, which may begin and end amid a character."""
    begun = token.lstrip(bytes(range(0x80, 0xC0)))
    try:
        return tells(getincrementaldecoder("utf-8")().decode(begun))
    except UnicodeDecodeError:
        return False


def packed(ranks: Mapping[bytes, int]) -> bytes:
    """A table as it lies in its file; the module that reads it tells the format."""
    tokens = sorted(ranks)
    words = b"\xff" + b"".join(token + b"\xff" for token in tokens)
    begins: list[int] = []
    at = 12
    for place, token in enumerate(tokens):
        if place % BLOCK == 0:
            begins.append(at)
        at += len(token) + 1
    begins.append(at)
    firsts = b"\xff".join(tokens[::BLOCK])
    planes = b"".join(bytes(ranks[token] >> shift & 255 for token in tokens) for shift in (16, 8, 0))
    head = pack("<3I", len(tokens), len(words), len(firsts))
    return head + words + firsts + pack(f"<{len(begins)}I", *begins) + planes
