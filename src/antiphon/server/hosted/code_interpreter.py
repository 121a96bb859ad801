"""Running code in a container. No code is run: what it printed and drew, the engine says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..facts import made
from . import texts

if TYPE_CHECKING:
    from ..turns import CodeInterpreter
    from . import Bench

__all__ = ("container", "items")


def items(use: CodeInterpreter, bench: Bench) -> list[dict[str, Any]]:
    """The item of a run."""
    outputs: list[dict[str, Any]] = [] if use.logs is None else [{"type": "logs", "logs": use.logs}]
    outputs += [{"type": "image", "url": url} for url in texts(use.images)]
    asked = bench.tool("code_interpreter").get("container")
    return [
        {
            "id": bench.new("ci_"),
            "type": "code_interpreter_call",
            "status": "completed",
            "code": use.code,
            "container_id": asked if isinstance(asked, str) else container(bench, asked or {}),
            "outputs": outputs,
        }
    ]


def container(bench: Bench, asked: dict[str, Any]) -> str:
    """The container that the conversation has already, or a new one."""
    store = bench.server.store
    for item in bench.known("code_interpreter_call"):
        if store.get("containers", item.get("container_id", "")) is not None:
            return str(item["container_id"])
    key = bench.new("cntr_")
    now = int(bench.server.clock.now())
    facts = {
        "id": key,
        "object": "container",
        "created_at": now,
        "last_active_at": now,
        "name": "Auto container",
        "status": "running",
        "expires_after": {"anchor": "last_active_at", "minutes": 20},
        "memory_limit": asked.get("memory_limit") or "1g",
    }
    store.put("containers", key, made(bench.server, "containers.create", facts))
    return key
