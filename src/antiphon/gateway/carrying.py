"""What of a caller's headers is passed on to the servers of a model."""

from __future__ import annotations

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
    found: list[tuple[str, str]] = []
    parent = headers.get("traceparent")
    if parent is not None:
        found.append(("traceparent", parent))
        state = headers.get("tracestate")
        if state is not None:
            found.append(("tracestate", state))
    for name in config.forward_headers:
        value = headers.get(name)
        if value is not None and name.lower() not in _TRACE:
            found.append((name.lower(), value))
    return found
