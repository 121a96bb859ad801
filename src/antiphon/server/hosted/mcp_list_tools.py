"""The tools of an MCP server. No server is asked: they are those the engine says, or those the request allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..turns import McpListTools
    from . import Bench

__all__ = ("items", "offered")

_QUERY: Final = {
    "type": "object",
    "properties": {"query": {"type": "string"}},
    "required": ["query"],
    "additionalProperties": False,
}
_USUAL: Final = ("search", "fetch")
"""Tools of a server where the request does not name any."""


def items(use: McpListTools, bench: Bench) -> list[dict[str, Any]]:
    """The item of a list, or of the failure to get one."""
    tools: list[dict[str, Any]] = []
    if use.error is None:
        given = use.tools
        if given is None:
            given = [{"name": name} for name in offered(bench.tool("mcp", server_label=use.server_label))]
        tools = [{"annotations": None, "description": None, "input_schema": _QUERY, **tool} for tool in given]
    item = {"id": bench.new("mcpl_"), "type": "mcp_list_tools", "server_label": use.server_label, "tools": tools}
    return [item if use.error is None else {**item, "error": use.error}]


def offered(tool: Mapping[str, Any]) -> list[str]:
    """The names of the tools that a request allows on a server; the usual ones where it allows any."""
    allowed = tool.get("allowed_tools")
    named: Any = allowed.get("tool_names") if isinstance(allowed, dict) else allowed
    return list(named or _USUAL)
