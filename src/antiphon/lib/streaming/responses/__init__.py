"""Streamed responses: the API's events with snapshots, and the response in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....kernel.lazy import lazily

if TYPE_CHECKING:
    from ._events import (
        ParsedResponseSnapshot,
        ResponseCompletedEvent,
        ResponseFunctionCallArgumentsDeltaEvent,
        ResponseStreamEvent,
        ResponseTextDeltaEvent,
        ResponseTextDoneEvent,
    )
    from ._responses import (
        AsyncResponseStream,
        AsyncResponseStreamManager,
        ResponseStream,
        ResponseStreamManager,
    )
    from ._state import ResponseStreamState

__all__ = (
    "AsyncResponseStream",
    "AsyncResponseStreamManager",
    "ParsedResponseSnapshot",
    "ResponseCompletedEvent",
    "ResponseFunctionCallArgumentsDeltaEvent",
    "ResponseStream",
    "ResponseStreamEvent",
    "ResponseStreamManager",
    "ResponseStreamState",
    "ResponseTextDeltaEvent",
    "ResponseTextDoneEvent",
)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        dict.fromkeys(__all__, "._events")
        | {name: "._responses" for name in __all__ if name.endswith(("Stream", "StreamManager"))}
        | {"ResponseStreamState": "._state"},
    )
