"""Items of conversations come several at a time, and in the short forms that input of Responses may have.

API reference: https://platform.openai.com/docs/api-reference/conversations/create-items
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...api.conversations.items import Items
from ...kernel.errors import NotFoundError
from ..behaviour import Call, serves
from ..renderings.responses_request import input_items

if TYPE_CHECKING:
    from ..behaviour import Reply


@serves(Items.create)
def create(call: Call) -> Reply:
    """Add items to a conversation; the answer lists them."""
    server, key = call.server, call.params["conversation_id"]
    if server.store.get("conversations", key) is None and not server.conjures:
        raise NotFoundError.because(f"Conversation with id '{key}' not found.")
    items = input_items(call.body.get("items"), server.ids)
    for item in items:
        server.store.put(f"conversations/{key}/items", item["id"], item)
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else "",
        "last_id": items[-1]["id"] if items else "",
        "has_more": False,
    }


@serves(Items.delete)
def delete(call: Call) -> Reply:
    """Take an item out of a conversation; the answer is the conversation.

    Follows https://platform.openai.com/docs/api-reference/conversations/delete-item
    """
    server, key, item = call.server, call.params["conversation_id"], call.params["item_id"]
    conversation = server.store.get("conversations", key)
    if conversation is None and not server.conjures:
        raise NotFoundError.because(f"Conversation with id '{key}' not found.")
    if not server.store.delete(f"conversations/{key}/items", item) and not server.conjures:
        raise NotFoundError.because(f"Item with id '{item}' not found in conversation with id '{key}'.")
    if conversation is None:
        now = int(server.clock.now())
        return {"id": key, "object": "conversation", "created_at": now, "metadata": {}}
    return conversation
