"""Conversations: a history with a limit, tools from plain functions, answers whole or as they are said."""

from __future__ import annotations

from ...lib._function_tool import FunctionTool
from .chat import AsyncChat, AsyncChatStream, Chat, ChatStream
from .options import ChatOptions
from .pieces import Piece, Reasoning, Refusal, Reply, Text, ToolCall, ToolResult, Usage

__all__ = (
    "AsyncChat",
    "AsyncChatStream",
    "Chat",
    "ChatOptions",
    "ChatStream",
    "FunctionTool",
    "Piece",
    "Reasoning",
    "Refusal",
    "Reply",
    "Text",
    "ToolCall",
    "ToolResult",
    "Usage",
)
