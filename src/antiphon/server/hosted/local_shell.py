"""A command for the caller's own shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import texts

if TYPE_CHECKING:
    from ..turns import LocalShell
    from . import Bench

__all__ = ("items",)


def items(use: LocalShell, bench: Bench) -> list[dict[str, Any]]:
    """The item of the call, whose output is due in the next request."""
    return [
        {
            "id": bench.new("lsh_"),
            "type": "local_shell_call",
            "status": "completed",
            "call_id": bench.new("call_"),
            "action": {
                "type": "exec",
                "command": texts(use.command),
                "env": {},
                "timeout_ms": None,
                "user": None,
                "working_directory": None,
            },
        }
    ]
