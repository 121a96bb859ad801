"""A call of a tool of an MCP server, once it is approved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..turns import McpCall
    from . import Bench

__all__ = ("items",)


def items(use: McpCall, bench: Bench) -> list[dict[str, Any]]:
    """The item of the call, or of the request to approve it."""
    wanted = {"server_label": use.server_label, "name": use.name, "arguments": use.arguments}
    approval: str | None = None
    if _needs_approval(bench.tool("mcp", server_label=use.server_label), use.name):
        approval = _approval(use, bench)
        if approval is None:
            return [{"id": bench.new("mcpr_"), "type": "mcp_approval_request", **wanted}]
    failed = use.error is not None
    return [
        {
            "id": bench.new("mcp_"),
            "type": "mcp_call",
            "status": "failed" if failed else "completed",
            "approval_request_id": approval,
            **wanted,
            "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": use.error}]}
            if failed
            else None,
            "output": None if failed else use.output or "",
        }
    ]


def _needs_approval(tool: Mapping[str, Any], name: str) -> bool:
    """Whether a tool may be called only when the caller agrees. Unless the request says otherwise, it has to."""
    rule: Any = tool.get("require_approval")
    if not isinstance(rule, Mapping):
        return rule != "never" and bool(tool)
    always, never = ((rule.get(word) or {}).get("tool_names") for word in ("always", "never"))
    if always is not None:
        return name in always
    return never is None or name not in never


def _approval(use: McpCall, bench: Bench) -> str | None:
    """The request for approval that was granted for this call and led to no call yet."""
    answered = {item["approval_request_id"]: item["approve"] for item in bench.known("mcp_approval_response")}
    spent = {item.get("approval_request_id") for item in bench.known("mcp_call")}
    for item in bench.known("mcp_approval_request"):
        key = item.get("id")
        same = (item["server_label"], item["name"]) == (use.server_label, use.name)
        if same and answered.get(key) and key not in spent:
            return str(key)
    return None
