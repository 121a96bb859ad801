"""The few operations that do more than send their arguments and read the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ..kernel.view import View

if TYPE_CHECKING:
    from ..kernel.operation import Bound
    from .base import BaseClient

__all__ = ("SPECIAL", "After", "Special")

After: TypeAlias = Callable[[Any], Any]
"""Makes the call's result of what was read."""

Special: TypeAlias = "Callable[[BaseClient, Bound], After | None]"
"""What is done before a call: it may change the arguments, and tells what is done after it."""


def _as_base64(client: BaseClient, bound: Bound) -> After | None:
    """Embeddings travel as base64 unless the caller says how: a quarter of the bytes, and exact."""
    body = bound.body
    if body is None or "encoding_format" in body:
        return None
    body["encoding_format"] = "base64"
    return _as_floats


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


def _create_session(client: BaseClient, bound: Bound) -> After | None:
    """Sessions of agents: a type for the answer, functions for the tools."""
    from ..api._helpers.agents import create_session

    return create_session(client, bound)


SPECIAL: dict[str, Special] = {
    "beta.agents.sessions.create": _create_session,
    "embeddings.create": _as_base64,
}
"""By the operation's name."""
