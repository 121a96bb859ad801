"""Projects: their users, groups, roles, keys, limits and settings.

API reference: https://platform.openai.com/docs/api-reference/projects
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..kept import Kept, Single, check_parents, family, now
from .organization import OWNER, assignments, key, of_group, of_user, owner, redacted, roles

if TYPE_CHECKING:
    from ..app import Server
    from ..behaviour import Call

_OWNER = "admin.organization.projects"


def _default_project(server: Server, params: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"id": "proj_default", "name": "Default project", "status": "active"}]


def _archived(call: Call, project: dict[str, Any]) -> bool:
    return project.get("status") == "archived" and not call.query.get("include_archived")


def _member(server: Server, params: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{**OWNER, "object": "organization.project.user"}]


def _rate_limits(server: Server, params: Mapping[str, str]) -> list[dict[str, Any]]:
    """One limit a model."""
    from ..vocabulary import model_ids

    limit = {"max_requests_per_1_minute": 10_000, "max_tokens_per_1_minute": 2_000_000}
    return [{"id": f"rl-{model}", "model": model, **limit} for model in model_ids(server)]


def _account_key(call: Call) -> dict[str, Any]:
    """The key a service account is made with."""
    facts = {
        "id": call.server.ids.new("key_"),
        "name": "Secret Key",
        "created_at": now(call),
        "value": key("sk-svcacct-")(call),
    }
    return {**facts, "object": "organization.project.service_account.api_key"}


def _list_key(call: Call, made: dict[str, Any]) -> None:
    """A service account's key is one of the project's."""
    account = family("admin.organization.projects.service_accounts").get(
        call, call.params, call.params["service_account_id"]
    )
    holder = {"type": "service_account", "service_account": account}
    family("admin.organization.projects.api_keys").add(
        call, call.params, {"id": made["id"], "name": made["name"], "owner": holder}
    )


def _activation(active: bool) -> Callable[[Call], dict[str, Any]]:
    """Turn certificates of the organization on or off for one project."""

    def behave(call: Call) -> dict[str, Any]:
        check_parents(call)
        certificates = family("admin.organization.certificates")
        place = family("admin.organization.projects.certificates").place(call.params)
        found = [certificates.get(call, call.params, each) for each in call.body["certificate_ids"]]
        docs = [{**each, "active": active, "object": "organization.project.certificate"} for each in found]
        for doc in docs:
            call.server.store.put(place, str(doc["id"]), doc)
        return {"object": "list", "data": docs}

    return behave


FAMILIES = (
    Kept(
        _OWNER,
        "proj_",
        new={"status": "active"},
        actions={"archive": {"status": "archived", "archived_at": now}},
        seeds=_default_project,
        hidden=_archived,
    ),
    Kept(
        "admin.organization.projects.users",
        "user-",
        noun="project user",
        given="user_id",
        new={"name": of_user("name"), "email": of_user("email"), "role": "member"},
        seeds=_member,
    ),
    assignments("admin.organization.projects.users.roles", "user"),
    Kept(
        "admin.organization.projects.service_accounts",
        "svc_acct_",
        new={"role": "member"},
        once={"api_key": _account_key},
    ),
    Kept(
        "admin.organization.projects.service_accounts.api_keys",
        "key_",
        noun="API key",
        new={"name": "Secret Key"},
        once={"value": key("sk-svcacct-")},
        created=_list_key,
    ),
    Kept(
        "admin.organization.projects.api_keys",
        "key_",
        noun="API key",
        new={
            "name": "Secret Key",
            "redacted_value": redacted("sk-proj"),
            "owner": owner,
            "owner_project_access": "active",
        },
    ),
    Kept(
        "admin.organization.projects.rate_limits",
        "rl-",
        ops={
            "list": "admin.organization.projects.rate_limits.list_rate_limits",
            "update": "admin.organization.projects.rate_limits.update_rate_limit",
        },
        seeds=_rate_limits,
        order="asc",
        limit=100,
    ),
    Single("admin.organization.projects.model_permissions", new={"mode": "deny_list", "model_ids": []}),
    Single("admin.organization.projects.service_tier_settings", new={"default": "standard", "enabled_tiers": "all"}),
    Single("admin.organization.projects.hosted_tool_permissions"),
    Kept(
        "admin.organization.projects.groups",
        noun="project group",
        key="group_id",
        given="group_id",
        new={"group_name": of_group("name"), "group_type": of_group("group_type")},
        refers={"group_id": "admin.organization.groups"},
    ),
    assignments("admin.organization.projects.groups.roles", "group"),
    Kept(
        "admin.organization.projects.roles",
        "role-",
        new={"predefined_role": False, "resource_type": "api.project"},
        names={"role_name": "name"},
        seeds=roles("api.project"),
    ),
    Single(
        "admin.organization.projects.data_retention",
        new={"type": "organization_default"},
        names={"retention_type": "type"},
    ),
    Single("admin.organization.projects.spend_limit", absent="No spend limit is set for this project."),
    Kept("admin.organization.projects.spend_alerts", "alert_"),
    Kept(
        "admin.organization.projects.certificates",
        others={"activate": _activation(True), "deactivate": _activation(False)},
    ),
)
