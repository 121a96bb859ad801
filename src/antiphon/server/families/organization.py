"""The organization: its users, groups, roles, keys, certificates, limits and providers of identity.

API reference: https://platform.openai.com/docs/api-reference/administration
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..kept import Kept, Single, family, later, now

if TYPE_CHECKING:
    from ..app import Server
    from ..behaviour import Call

_WEEK = 604_800
OWNER = {
    "id": "user-owner",
    "name": "Owner",
    "email": "owner@example.com",
    "role": "owner",
    "object": "organization.user",
}
"""Who was in the organization before anyone was invited."""

READ, WRITE = "api.read", "api.write"


def key(prefix: str) -> Callable[[Call], str]:
    """A new secret key."""
    return lambda call: call.server.ids.new(prefix, 48)


def redacted(prefix: str) -> Callable[[Call], str]:
    """What is shown of a key once it has been told."""
    return lambda call: f"{prefix}...{call.server.ids.new('', 4)}"


def owner(call: Call) -> dict[str, Any]:
    return {"type": "user", **OWNER, "added_at": now(call), "created_at": now(call)}


def roles(resource: str) -> Callable[[Server, Mapping[str, str]], list[dict[str, Any]]]:
    """The roles every organization and project has from the start."""

    def seeds(server: Server, params: Mapping[str, str]) -> list[dict[str, Any]]:
        common = {"predefined_role": True, "resource_type": resource, "object": "role"}
        return [
            {**common, "id": "role-owner", "name": "owner", "permissions": [READ, WRITE], "description": "All rights"},
            {**common, "id": "role-reader", "name": "reader", "permissions": [READ], "description": "May read"},
        ]

    return seeds


def role_of(call: Call) -> dict[str, Any]:
    """The role that is assigned, of the project or of the organization."""
    role = call.body.get("role_id") or call.params.get("role_id", "role-reader")
    for place in ("admin.organization.projects.roles", "admin.organization.roles"):
        keeper = family(place)
        if all(name in call.params for name in _names(keeper.collection)):
            found = keeper.lookup(call.server, call.params, role)
            if found is not None:
                return found
    return {
        "id": role,
        "object": "role",
        "name": role,
        "permissions": [],
        "predefined_role": False,
        "resource_type": "api",
    }


def _names(collection: str) -> list[str]:
    return [part[1:-1] for part in collection.split("/") if part[:1] == "{"]


def user_of(call: Call) -> dict[str, Any]:
    """The user that is spoken of, as the organization knows them."""
    user = call.body.get("user_id") or call.params.get("user_id", "user-owner")
    found = family("admin.organization.users").lookup(call.server, {}, user)
    return found or {"id": user, "object": "organization.user", "added_at": now(call), "name": None, "email": None}


def group_of(call: Call) -> dict[str, Any]:
    """The group that is spoken of."""
    group = call.body.get("group_id") or call.params.get("group_id", "")
    found = family("admin.organization.groups").lookup(call.server, {}, group)
    facts = {"name": group, "created_at": now(call), "group_type": "group", "is_scim_managed": False}
    return {"object": "group", **(found or {"id": group, **facts}), "scim_managed": False}


def of_role(field: str) -> Callable[[Call], Any]:
    return lambda call: role_of(call).get(field)


def of_user(field: str, default: Any = None) -> Callable[[Call], Any]:
    return lambda call: user_of(call).get(field) or default


def of_group(field: str) -> Callable[[Call], Any]:
    return lambda call: group_of(call).get(field)


ASSIGNED = {name: of_role(name) for name in ("name", "permissions", "description", "predefined_role", "resource_type")}
"""What an assignment says about its role."""


def assignments(resource: str, whom: str) -> Kept:
    """The roles that a user or a group has."""
    about = {"user": user_of, "group": group_of}[whom]
    return Kept(
        resource,
        noun="role assignment",
        given="role_id",
        new=ASSIGNED,
        answers={"create": lambda call, doc: {"role": role_of(call), whom: about(call), "object": f"{whom}.role"}},
    )


def activation(active: bool) -> Callable[[Call], dict[str, Any]]:
    """Turn certificates on or off for the organization."""

    def behave(call: Call) -> dict[str, Any]:
        keeper = family("admin.organization.certificates")
        with call.server.lock:
            docs = [{**keeper.get(call, call.params, each), "active": active} for each in call.body["certificate_ids"]]
            for doc in docs:
                call.server.store.put(keeper.place(call.params), str(doc["id"]), doc)
        return {"object": "list", "data": [{**doc, "object": "organization.certificate"} for doc in docs]}

    return behave


FAMILIES = (
    Kept(
        "admin.organization.admin_api_keys",
        "key_",
        noun="admin API key",
        new={"redacted_value": redacted("sk-admin"), "owner": owner},
        once={"value": key("sk-admin-")},
    ),
    Kept("admin.organization.audit_logs", "audit_log-"),
    Kept(
        "admin.organization.certificates",
        "cert_",
        new={"object": "certificate", "active": False},
        others={"activate": activation(True), "deactivate": activation(False)},
    ),
    Single(
        "admin.organization.data_retention",
        new={"type": "modified_abuse_monitoring"},
        names={"retention_type": "type"},
    ),
    Kept(
        "admin.organization.external_keys",
        "extkey_",
        new={
            "object": "organization.external_key",
            "api_project_ids": [],
            "workspace_id": lambda call: call.server.organization,
        },
        actions={"validate": {}},
        answers={"validate": lambda call, doc: {"status": "valid"}},
    ),
    Kept(
        "admin.organization.external_storage",
        "extstor_",
        noun="external storage configuration",
        new={"status": "pending", "geography": "us"},
        actions={"validate": {"status": "validated"}},
        refers={"project_id": "admin.organization.projects"},
    ),
    Kept("admin.organization.groups", "group_", new={"group_type": "group", "is_scim_managed": False}),
    Kept(
        "admin.organization.groups.users",
        noun="group user",
        given="user_id",
        new={"name": of_user("name", ""), "email": of_user("email"), "user_type": "user"},
    ),
    assignments("admin.organization.groups.roles", "group"),
    Kept(
        "admin.organization.invites",
        "invite-",
        new={"status": "pending", "expires_at": later(_WEEK), "projects": []},
    ),
    Kept(
        "admin.organization.users",
        "user-",
        seeds=lambda server, params: [OWNER],
        filters={"emails": "email"},
    ),
    assignments("admin.organization.users.roles", "user"),
    Kept(
        "admin.organization.roles",
        "role-",
        new={"predefined_role": False, "resource_type": "api.organization"},
        names={"role_name": "name"},
        seeds=roles("api.organization"),
    ),
    Single("admin.organization.spend_limit", absent="No spend limit is set for this organization."),
    Kept("admin.organization.spend_alerts", "alert_"),
    Kept(
        "admin.organization.workload_identity_providers",
        "wip_",
        new={"enabled": True, "attribute_transformations": [], "verification": {"type": "discovery"}},
    ),
    Kept(
        "admin.organization.workload_identity_providers.federation_rules",
        "wifr_",
        new={"enabled": True, "permissions": {"type": "service_account_default"}},
    ),
)
