"""What the caller is to do on its computer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..turns import Computer
    from . import Bench

__all__ = ("items",)


def items(use: Computer, bench: Bench) -> list[dict[str, Any]]:
    """The item of the call, or with the preview's tool, which takes one action at a time, of each action."""
    actions = [dict(action) for action in use.actions]
    checks = [dict(check) for check in use.safety_checks]
    one_each = bool(bench.tools("computer_use_preview"))
    did: list[dict[str, Any]] = [{"action": action} for action in actions] if one_each else [{"actions": actions}]
    return [
        {
            "id": bench.new("cu_"),
            "type": "computer_call",
            "status": "completed",
            "call_id": bench.new("call_"),
            **each,
            "pending_safety_checks": checks,
        }
        for each in did
    ]
