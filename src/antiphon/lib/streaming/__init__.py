"""Streams of typed events: of chat completions, of responses, and of an assistant's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.lazy import lazily

if TYPE_CHECKING:
    from ._assistants import (
        AssistantEventHandler,
        AssistantEventHandlerT,
        AssistantStreamManager,
        AsyncAssistantEventHandler,
        AsyncAssistantEventHandlerT,
        AsyncAssistantStreamManager,
    )
    from ._run_state import UnknownEvent

__all__ = (
    "AssistantEventHandler",
    "AssistantEventHandlerT",
    "AssistantStreamManager",
    "AsyncAssistantEventHandler",
    "AsyncAssistantEventHandlerT",
    "AsyncAssistantStreamManager",
    "UnknownEvent",
)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, dict.fromkeys(__all__, "._assistants") | {"UnknownEvent": "._run_state"})
