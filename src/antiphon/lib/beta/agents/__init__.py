"""Around sessions of hosted agents: tools that run here, results of turns, files for environments, artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....kernel.lazy import lazily

if TYPE_CHECKING:
    from ._artifacts import AgentResultArtifacts, AsyncAgentResultArtifacts
    from ._files import AgentFilePreparationError, AgentFileStagingError, PreparedAgentFiles, StagedAgentFile
    from ._output import agent_text_format
    from ._result import AgentOutputParseError, AgentTurnResult, AgentTurnResultError
    from ._stream import AgentSessionEventStream, AsyncAgentSessionEventStream
    from ._tool_error import AgentToolError
    from ._tools import FunctionTool, function_tool, pydantic_function_tool

__all__ = (
    "AgentFilePreparationError",
    "AgentFileStagingError",
    "AgentOutputParseError",
    "AgentResultArtifacts",
    "AgentSessionEventStream",
    "AgentToolError",
    "AgentTurnResult",
    "AgentTurnResultError",
    "AsyncAgentResultArtifacts",
    "AsyncAgentSessionEventStream",
    "FunctionTool",
    "PreparedAgentFiles",
    "StagedAgentFile",
    "agent_text_format",
    "function_tool",
    "pydantic_function_tool",
)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        dict.fromkeys(__all__, "._tools")
        | {name: "._artifacts" for name in __all__ if name.endswith("Artifacts")}
        | {name: "._files" for name in __all__ if "File" in name}
        | {name: "._stream" for name in __all__ if name.endswith("Stream")}
        | dict.fromkeys(("AgentOutputParseError", "AgentTurnResult", "AgentTurnResultError"), "._result")
        | {"AgentToolError": "._tool_error", "agent_text_format": "._output"},
    )
