"""Streamed chat completions: events, snapshots, and the completion in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....kernel.lazy import lazily

if TYPE_CHECKING:
    from ._completions import (
        AsyncChatCompletionStream,
        AsyncChatCompletionStreamManager,
        ChatCompletionStream,
        ChatCompletionStreamManager,
    )
    from ._events import (
        ChatCompletionStreamEvent,
        ChunkEvent,
        ContentDeltaEvent,
        ContentDoneEvent,
        FunctionToolCallArgumentsDeltaEvent,
        FunctionToolCallArgumentsDoneEvent,
        LogprobsContentDeltaEvent,
        LogprobsContentDoneEvent,
        LogprobsRefusalDeltaEvent,
        LogprobsRefusalDoneEvent,
        ParsedChatCompletionMessageSnapshot,
        ParsedChatCompletionSnapshot,
        ParsedChoiceSnapshot,
        RefusalDeltaEvent,
        RefusalDoneEvent,
    )
    from ._state import ChatCompletionStreamState

__all__ = (
    "AsyncChatCompletionStream",
    "AsyncChatCompletionStreamManager",
    "ChatCompletionStream",
    "ChatCompletionStreamEvent",
    "ChatCompletionStreamManager",
    "ChatCompletionStreamState",
    "ChunkEvent",
    "ContentDeltaEvent",
    "ContentDoneEvent",
    "FunctionToolCallArgumentsDeltaEvent",
    "FunctionToolCallArgumentsDoneEvent",
    "LogprobsContentDeltaEvent",
    "LogprobsContentDoneEvent",
    "LogprobsRefusalDeltaEvent",
    "LogprobsRefusalDoneEvent",
    "ParsedChatCompletionMessageSnapshot",
    "ParsedChatCompletionSnapshot",
    "ParsedChoiceSnapshot",
    "RefusalDeltaEvent",
    "RefusalDoneEvent",
)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        dict.fromkeys(__all__, "._events")
        | {name: "._completions" for name in __all__ if name.endswith(("Stream", "StreamManager"))}
        | {"ChatCompletionStreamState": "._state"},
    )
