"""Conversations and their items as the generic engine knows them, ChatKit.

API reference: https://platform.openai.com/docs/api-reference/conversations
"""

from __future__ import annotations

from ..kept import Kept, later

_LIMITS = {"max_requests_per_1_minute": 10}


FAMILIES = (
    Kept("conversations", "conv_", missing="Conversation with id '{id}' not found.", new={"metadata": {}}),
    Kept("conversations.items", "msg_"),
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
