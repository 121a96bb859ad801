"""Conversations and their items, ChatKit.

API reference: https://platform.openai.com/docs/api-reference/conversations
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kept import Kept, later
from ..renderings.responses_request import input_items

if TYPE_CHECKING:
    from ..behaviour import Call

_LIMITS = {"max_requests_per_1_minute": 10}


def _add_items(call: Call, conversation: dict[str, Any]) -> None:
    for item in input_items(call.body.get("items"), call.server.ids):
        call.server.store.put(f"conversations/{conversation['id']}/items", item["id"], item)


FAMILIES = (
    Kept(
        "conversations",
        "conv_",
        missing="Conversation with id '{id}' not found.",
        new={"metadata": {}},
        created=_add_items,
    ),
    Kept("conversations.items", "msg_", missing="Item with id '{id}' not found."),
    Kept(
        "beta.chatkit.sessions",
        "cksess_",
        noun="ChatKit session",
        new={
            "status": "active",
            "expires_at": later(600),
            "client_secret": lambda call: call.server.ids.new("ek_", 48),
            "rate_limits": _LIMITS,
            "max_requests_per_1_minute": 10,
        },
        actions={"cancel": {"status": "cancelled"}},
    ),
    Kept("beta.chatkit.threads", "cthr_", noun="ChatKit thread", new={"status": {"type": "active"}, "user": "user"}),
    Kept("beta.chatkit.threads.items", "cthi_", ops={"list": "beta.chatkit.threads.list_items"}),
)
