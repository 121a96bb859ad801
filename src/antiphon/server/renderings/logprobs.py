"""Log probabilities for a text whose engine knows none: made up, plausible, and always the same for the same text."""

from __future__ import annotations

from math import log
from typing import Any
from zlib import crc32

from .. import tokens

__all__ = ("token_logprobs",)

_OTHERS = (
    *(" the", ",", " a", ".", " to", " and", " of", " in", "\n", " is", " that", " for", " I", " it", " on", " with"),
    *(" you", " as", " be", " this", " are", ":"),
)
"""Candidates that a model might have preferred."""


def token_logprobs(text: str, model: str, top: int = 0, start: int = 0) -> list[dict[str, Any]]:
    """An item a token, as in `choices[].logprobs.content` of a chat completion.

    The tokens join to the text, their bytes to its UTF-8. `top` (0 to 20) is how many candidates each token
    has in `top_logprobs`: the token itself first, the others less probable in order. `start`
    is how many tokens came before the text.
    """
    found: list[dict[str, Any]] = []
    for place, piece in enumerate(tokens.pieces(text, model), start):
        dice = crc32(piece.bytes, place)
        chance = 0.6 + 0.399 * (dice / 2**32)
        item: dict[str, Any] = {"token": piece.text, "logprob": _log(chance), "bytes": list(piece.bytes)}
        candidates = [dict(item)] if top else []
        left = 1 - chance
        first = dice % len(_OTHERS)
        for other in (*_OTHERS[first:], *_OTHERS[:first]):
            if len(candidates) >= top:
                break
            if other != piece.text:
                left *= 0.5
                candidates.append({"token": other, "logprob": _log(left), "bytes": list(other.encode())})
        item["top_logprobs"] = candidates
        found.append(item)
    return found


def _log(chance: float) -> float:
    return round(log(chance), 6)
