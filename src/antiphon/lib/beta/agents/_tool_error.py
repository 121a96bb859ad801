"""What went wrong in a tool that runs here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ("AgentToolError", "AsyncToolErrorHandler", "ToolErrorHandler", "ToolErrorStage")

ToolErrorStage: TypeAlias = Literal["arguments", "execution", "output"]
"""Where a tool failed: its arguments could not be read, it raised, or what it returned is no JSON."""


@dataclass(frozen=True)
class AgentToolError:
    """A tool's failure, told to `sessions.stream(on_tool_error=...)`; the model only learns that there was one.

    Errors of the API and of the stream are raised as ever and not told here.
    """

    error: Exception
    """What was raised. It stays on this machine."""
    tool_name: str
    session_id: str
    turn_id: str
    call_id: str
    stage: ToolErrorStage


ToolErrorHandler: TypeAlias = Callable[[AgentToolError], None]
AsyncToolErrorHandler: TypeAlias = Callable[[AgentToolError], "Awaitable[None] | None"]
