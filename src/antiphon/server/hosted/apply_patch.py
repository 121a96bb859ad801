"""A file that the caller is to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..turns import ApplyPatch
    from . import Bench

__all__ = ("items",)


def items(use: ApplyPatch, bench: Bench) -> list[dict[str, Any]]:
    """The item of the call, whose outcome is due in the next request."""
    operation = {"type": use.type, "path": use.path}
    if use.type != "delete_file":
        operation["diff"] = use.diff
    return [
        {
            "id": bench.new("apc_"),
            "type": "apply_patch_call",
            "status": "completed",
            "call_id": bench.new("call_"),
            "operation": operation,
        }
    ]
