"""Checkpoints: what is written down of a run, and what one has to be for a run to go on from it."""

from __future__ import annotations

from typing import Any

from .items import SERVER_TOOLS
from .shapes import JSON, owned

__all__ = (
    "LAST_REVISION",
    "VERSION",
    "boundary_of",
    "fingerprint",
    "public_address",
    "runs_at_server",
    "without_secrets",
)

VERSION = 1
LAST_REVISION = 2**53 - 1
"""The greatest number that every JSON reader keeps exactly."""
FIELDS = frozenset(
    "version run_id revision phase max_steps consumed_requests tools output_override_names history attempted_call_ids "
    "returned_call_ids pending_items returned_outputs final_response".split()
)
_SECRET = frozenset(
    "apikey accesstoken refreshtoken sessiontoken sessionid idtoken authtoken authorization token password "
    "clientsecret signingsecret sig signature xgoogsignature xgoogcredential xamzsecuritytoken xamzsignature "
    "xamzcredential".split()
)
"""Parameters of addresses that carry secrets, without their dashes."""


def fingerprint(address: str) -> str:
    """What an address is recognised by, without the secrets in it. Raises `ValueError` where it is none."""
    from hashlib import sha256

    return f"sha256:{sha256(public_address(address).encode()).hexdigest()}"


def public_address(address: str) -> str:
    """An address without user, password and fragment, its secret parameters masked."""
    from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

    parts = urlsplit(address)
    if not parts.scheme or (parts.scheme in ("http", "https") and not parts.hostname):
        raise ValueError("the address of a server has a scheme and a host")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    masked = [(name, "***" if _is_secret(name) else value) for name, value in pairs]
    query = parts.query if masked == pairs else urlencode(masked, safe="*")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment=""))


def _is_secret(name: str) -> bool:
    plain = name.lower().replace("-", "").replace("_", "")
    return plain in _SECRET or (plain.startswith("x") and plain[1:] in _SECRET)


def without_secrets(tools: list[JSON]) -> list[JSON]:
    """Declarations of tools as they are written down: without credentials, and servers by their fingerprints."""
    return [_WRITTEN.get(tool["type"], _as_it_is)(tool) for tool in tools]


def _as_it_is(tool: JSON) -> JSON:
    return tool


def _mcp(tool: JSON) -> JSON:
    written = {key: value for key, value in tool.items() if key not in ("authorization", "headers")}
    if isinstance(written.get("server_url"), str):
        written["server_url"] = fingerprint(written["server_url"])
    return written


def _interpreter(tool: JSON) -> JSON:
    container = tool["container"]
    policy = container.get("network_policy") if isinstance(container, dict) else None
    if not isinstance(policy, dict) or policy.get("type") != "allowlist" or policy.get("domain_secrets") is None:
        return tool
    secrets = [{**secret, "value": ""} for secret in policy["domain_secrets"]]
    return {**tool, "container": {**container, "network_policy": {**policy, "domain_secrets": secrets}}}


_WRITTEN: dict[str, Any] = {"mcp": _mcp, "code_interpreter": _interpreter}


def boundary_of(checkpoint: Any, *, run_id: str, max_steps: int, tools: list[JSON], overrides: list[str]) -> JSON:
    """A checkpoint that a run of these settings can go on from, as a copy. Raises `ValueError` for any other."""
    saved = owned(checkpoint)
    if (
        type(saved) is not dict
        or saved.keys() != FIELDS
        or type(saved["version"]) is not int
        or saved["version"] != VERSION
        or saved["run_id"] != run_id
        or saved["phase"] != "boundary"
        or type(saved["max_steps"]) is not int
        or saved["max_steps"] != max_steps
        or not _same(saved["tools"], without_secrets(tools))
        or saved["output_override_names"] != overrides
        or saved["pending_items"] != []
        or saved["returned_outputs"] != []
        or saved["final_response"] is not None
        or any(type(saved[name]) is not list for name in ("history", "attempted_call_ids", "returned_call_ids"))
        or type(saved["revision"]) is not int
        or saved["revision"] < 1
    ):
        raise ValueError(
            "a run goes on only from a completed boundary of the same run, tools and max_steps; "
            "work that was pending has to be looked at first"
        )
    return saved


def _same(one: Any, other: Any) -> bool:
    from json import dumps

    return dumps(one, sort_keys=True) == dumps(other, sort_keys=True)


def runs_at_server(tools: list[JSON]) -> bool:
    """Whether one of the tools runs at the server."""
    return any(tool["type"] in SERVER_TOOLS for tool in tools)
