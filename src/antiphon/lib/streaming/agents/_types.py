"""Functions that are the tools of an agent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ....types.beta.input_content_param import InputContentParam

__all__ = ("AsyncToolHandler", "ToolHandler", "ToolOutput")

ToolOutput: TypeAlias = str | Mapping[str, Any] | Iterable[InputContentParam] | None
"""What a tool may return: a text, a JSON object, parts of content, or nothing."""
ToolHandler: TypeAlias = Callable[[dict[str, Any]], ToolOutput]
"""Takes the arguments of a call by name."""
AsyncToolHandler: TypeAlias = Callable[[dict[str, Any]], ToolOutput | Awaitable[ToolOutput]]
"""The same for an async client, where it may be a coroutine function."""
