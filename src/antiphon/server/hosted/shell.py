"""Commands for a shell: the caller runs them, or a container would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import texts
from .code_interpreter import container

if TYPE_CHECKING:
    from ..turns import Shell
    from . import Bench

__all__ = ("items",)


def items(use: Shell, bench: Bench) -> list[dict[str, Any]]:
    """The item of the call; and in a container that of its output, which the engine says."""
    commands = texts(use.commands)
    asked: Any = bench.tool("shell").get("environment") or {}
    environment: dict[str, Any] = {"type": "local"}
    if asked.get("type") == "container_reference":
        environment = {"type": "container_reference", "container_id": asked["container_id"]}
    elif asked.get("type") == "container_auto":
        environment = {"type": "container_reference", "container_id": container(bench, asked)}
    call_id = bench.new("call_")
    call = {
        "id": bench.new("sh_"),
        "type": "shell_call",
        "status": "completed",
        "call_id": call_id,
        "action": {"commands": commands, "max_output_length": None, "timeout_ms": None},
        "environment": environment,
    }
    if environment["type"] == "local":
        return [call]
    outputs = use.outputs if use.outputs is not None else [("", "", 0)] * len(commands)
    return [
        call,
        {
            "id": bench.new("sho_"),
            "type": "shell_call_output",
            "status": "completed",
            "call_id": call_id,
            "max_output_length": None,
            "output": [
                {"stdout": stdout, "stderr": stderr, "outcome": {"type": "exit", "exit_code": code}}
                for stdout, stderr, code in outputs
            ],
        },
    ]
