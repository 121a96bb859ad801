"""Agents, their automations, environments, sessions and vaults.

API reference: https://platform.openai.com/docs/api-reference/agents
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kept import Kept, now

if TYPE_CHECKING:
    from ..behaviour import Call


def _files(call: Call) -> list[Any]:
    return (call.body.get("environment") or {}).get("files") or []


def _environment_type(call: Call) -> str:
    return str((call.body.get("environment") or {}).get("type") or "openai_hosted")


def _agent(call: Call) -> dict[str, Any]:
    """The agent a session runs: the one named, or the one described."""
    agent = call.server.store.get("agents", call.body.get("agent_id", ""))
    return agent or {"id": call.body.get("agent_id") or call.server.ids.new("agent_"), **(call.body.get("agent") or {})}


def _size(call: Call) -> int:
    """Bytes of the file put into an environment."""
    from base64 import b64decode

    if call.body.get("type") == "inline":
        return len(b64decode(call.body.get("data") or ""))
    file = call.server.store.get("files", call.body.get("file_id", ""))
    return 0 if file is None else int(file["bytes"])


FAMILIES = (
    Kept(
        "beta.agents",
        "agent_",
        new={"metadata": {}, "tools": [], "service_tier": "auto"},
    ),
    Kept(
        "beta.agents.automations",
        "auto_",
        new={"status": "active", "metadata": {}, "created_by": {"type": "developer"}},
        actions={"pause": {"status": "paused"}, "resume": {"status": "active"}},
    ),
    Kept("beta.agents.automations.invocations", "inv_", new={"status": "queued", "source": {"type": "manual"}}),
    Kept(
        "beta.agents.environments",
        "env_",
        new={"status": "ready", "type": _environment_type, "files": _files, "plugins": [], "skills": []},
    ),
    Kept(
        "beta.agents.environments.files", key="path", given="path", noun="environment file", new={"size_bytes": _size}
    ),
    Kept(
        "beta.agents.environments.templates",
        "envtmpl_",
        noun="environment template",
        new={"capability_directories": [], "files": [], "plugins": [], "skills": []},
    ),
    Kept("beta.agents.vaults", "vault_", new={"metadata": {}}),
    Kept("beta.agents.vaults.credentials", "cred_", new={"metadata": {}}),
    Kept(
        "beta.agents.sessions",
        "session_",
        new={
            "status": "idle",
            "metadata": {},
            "agent": _agent,
            "vault_ids": [],
            "required_actions": [],
            "last_active_at": now,
        },
        refers={"agent_id": "beta.agents"},
    ),
    Kept("beta.agents.sessions.artifacts", "artifact_"),
    Kept("beta.agents.sessions.items", "item_"),
    Kept("beta.agents.sessions.traces", "trace_"),
    Kept("beta.agents.sessions.turns", "turn_"),
    Kept("beta.agents.sessions.turns.items", "item_"),
    Kept("beta.agents.sessions.subagents", "subagent_"),
    Kept("beta.agents.sessions.subagents.items", "item_"),
    Kept("beta.agents.sessions.subagents.turns", "turn_"),
    Kept("beta.agents.sessions.subagents.turns.items", "item_"),
)
