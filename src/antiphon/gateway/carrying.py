"""What of a caller's headers is passed on to the servers of a model."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..kernel.http import Headers
    from .config import ModelConfig

__all__ = ("carried",)

_TRACE: Final = ("traceparent", "tracestate")


def carried(config: ModelConfig, headers: Headers | None) -> Sequence[tuple[str, str]]:
    """Where the request belongs to a trace, which one, so that what servers do is told as part of it; and what the
    model's `forward_headers` name.
    """
    if headers is None:
        return ()
    wanted = _wanted(config.forward_headers)
    found: dict[str, str] = {}
    for name, value in headers.pairs:
        if name in wanted:
            found.setdefault(name, value)
    if "traceparent" not in found:
        found.pop("tracestate", None)
    return [*found.items()]


@lru_cache(1024)
def _wanted(forwarded: tuple[str, ...]) -> frozenset[str]:
    return frozenset((*_TRACE, *(name.lower() for name in forwarded)))
