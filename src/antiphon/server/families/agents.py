"""Agents, their automations, environments, sessions and vaults.

API reference: https://platform.openai.com/docs/api-reference/agents
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...kernel.errors import BadRequestError
from ..kept import Kept, family, now
from ..store import bytes_of

if TYPE_CHECKING:
    from ..behaviour import Call


def _files(call: Call) -> list[Any]:
    """The files an environment is made with. Raises `BadRequestError` for one that cannot be read."""
    files: list[Any] = (call.body.get("environment") or {}).get("files") or []
    for index, file in enumerate(files):
        _bytes(call, file, f"environment.files[{index}].data")
    return files


def _environment_type(call: Call) -> str:
    return str((call.body.get("environment") or {}).get("type") or "openai_hosted")


def agent_of(call: Call) -> dict[str, Any]:
    """The agent a session runs: the one named, with what is described in its place; or the one described."""
    described = {name: value for name, value in (call.body.get("agent") or {}).items() if value is not None}
    agent = call.server.store.get("agents", call.body.get("agent_id", ""))
    if agent is None:
        agent = {"id": call.body.get("agent_id") or call.server.ids.new("agent_"), "service_tier": "auto", "tools": []}
    return {**agent, **described}


def _environment(call: Call) -> dict[str, Any]:
    """The environment a session runs in: one that is there, or one made for it."""
    asked = call.body.get("environment") or {"type": "none"}
    if asked.get("type") == "none":
        return {"type": "none"}
    key = asked.get("environment_id")
    if key is not None:
        found = family("beta.agents.environments").get(call, {}, key)
        return {**asked, "id": found["id"], "files": found.get("files") or []}
    made = family("beta.agents.environments").add(call, {}, {"type": asked.get("type")})
    _add_files(call, made)
    return {**asked, "id": made["id"]}


def blob_of(environment_id: str, path: str) -> str:
    """Where the store keeps the bytes of a file in an environment."""
    return f"agents/environments/{environment_id}/files{path}"


def keep_bytes(call: Call, environment_id: str, file: Mapping[str, Any]) -> None:
    """Keep the bytes of a file that is put into an environment."""
    call.server.store.put_blob(blob_of(environment_id, file["path"]), _bytes(call, file))


def _bytes(call: Call, file: Mapping[str, Any], where: str = "data") -> bytes:
    from base64 import b64decode

    if file.get("type") == "inline":
        try:
            return b64decode(file.get("data") or "")
        except ValueError:
            raise BadRequestError.because(
                f"Invalid '{where}': expected base64-encoded data.", param=where, code="invalid_base64"
            ) from None
    return bytes_of(call.server.store, file.get("file_id") or "")


def _add_files(call: Call, environment: dict[str, Any]) -> None:
    """An environment may be made with files in it."""
    keeper, key = family("beta.agents.environments.files"), environment["id"]
    for file in _files(call):
        if not call.server.conjures:
            keeper.add(call, {"environment_id": key}, {"path": file["path"], "size_bytes": len(_bytes(call, file))})
            keep_bytes(call, key, file)


def _size(call: Call) -> int:
    """Bytes of the file put into an environment."""
    return len(_bytes(call, call.body))


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
        created=_add_files,
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
            "vault_ids": [],
            "required_actions": [],
            "last_active_at": now,
        },
        forced={"agent": agent_of, "environment": _environment},
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
