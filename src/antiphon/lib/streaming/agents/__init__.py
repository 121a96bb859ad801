"""Streams of one turn of an agent's session, with the tools that run here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....kernel.lazy import lazily

if TYPE_CHECKING:
    from ._streams import AgentSessionStream, AsyncAgentSessionStream
    from ._types import AsyncToolHandler, ToolHandler, ToolOutput

__all__ = ("AgentSessionStream", "AsyncAgentSessionStream", "AsyncToolHandler", "ToolHandler", "ToolOutput")

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__, {name: "._streams" if name.endswith("Stream") else "._types" for name in __all__}
    )
