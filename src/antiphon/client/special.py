"""The few operations that do more than send their arguments and read the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..kernel.view import View

__all__ = ("SPECIAL", "Special")


class Special(NamedTuple):
    """What is done before and after a call."""

    before: Callable[[dict[str, Any]], bool]
    """Changes the arguments of the body; tells whether `after` is wanted."""
    after: Callable[[Any], Any]
    """Makes the call's result of what was read."""


def _as_base64(body: dict[str, Any]) -> bool:
    """Embeddings travel as base64 unless the caller says how: a quarter of the bytes, and exact."""
    if "encoding_format" in body:
        return False
    body["encoding_format"] = "base64"
    return True


def _as_floats(answer: Any) -> Any:
    """Read base64 embeddings as lists of floats. Raises `ValueError` where there are none."""
    items = answer["data"] if isinstance(answer, View) and "data" in answer else None
    if not items:
        raise ValueError("No embedding data received")
    import sys
    from array import array
    from base64 import b64decode

    for item in items:
        encoded = item.get("embedding")
        if isinstance(encoded, str):
            floats = array("f", b64decode(encoded))
            if sys.byteorder == "big":
                floats.byteswap()
            item["embedding"] = floats.tolist()
    return answer


SPECIAL: dict[str, Special] = {"embeddings.create": Special(_as_base64, _as_floats)}
"""By the operation's name."""
