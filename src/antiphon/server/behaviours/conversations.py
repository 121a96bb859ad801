"""Conversations and what is said in them: by the caller, and by Responses that are made in one.

API reference: https://platform.openai.com/docs/api-reference/conversations
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...api.conversations import Conversations
from ...api.conversations.items import Items
from ...kernel.errors import BadRequestError, NotFoundError
from ..behaviour import Call, serves
from ..context import check_unlocked, given_items, items_of
from ..kept import family
from ..paging import page_of
from ..renderings.response_items import shown

if TYPE_CHECKING:
    from ..behaviour import Reply
    from ..renderings.responses_request import Item


@serves(Conversations.create)
def create(call: Call) -> Reply:
    """A conversation, with items or without.

    Follows https://platform.openai.com/docs/api-reference/conversations/create
    """
    items = _given(call, [])
    facts = {"metadata": call.body.get("metadata") or {}}
    conversation: Item = family("conversations").add(call, {}, facts)
    _put(call, conversation["id"], items)
    return conversation


@serves(Conversations.retrieve)
def retrieve(call: Call) -> Reply:
    """A conversation. Follows https://platform.openai.com/docs/api-reference/conversations/retrieve"""
    return _conversation(call)


@serves(Conversations.update)
def update(call: Call) -> Reply:
    """Give a conversation other metadata.

    Follows https://platform.openai.com/docs/api-reference/conversations/update
    """
    with call.server.lock:
        conversation = _conversation(call)
        changed = {**conversation, "metadata": call.body.get("metadata") or {}}
        call.server.store.put("conversations", conversation["id"], changed)
    return changed


@serves(Conversations.delete)
def delete(call: Call) -> Reply:
    """Forget a conversation. Follows https://platform.openai.com/docs/api-reference/conversations/delete"""
    key = _conversation(call)["id"]
    call.server.store.delete("conversations", key)
    return {"id": key, "object": "conversation.deleted", "deleted": True}


@serves(Items.create)
def create_items(call: Call) -> Reply:
    """Add items to a conversation; the answer lists them.

    Follows https://platform.openai.com/docs/api-reference/conversations/create-items
    """
    key = _conversation(call)["id"]
    with call.server.lock:
        if not call.server.conjures:
            check_unlocked(call.server, key)
        known = call.server.store.list(items_of(key))
        items = _given(call, known)
        _put(call, key, items)
    include = call.query.get("include") or ()
    return {
        "object": "list",
        "data": [shown(item, include) for item in items],
        "first_id": items[0]["id"] if items else "",
        "last_id": items[-1]["id"] if items else "",
        "has_more": False,
    }


@serves(Items.list)
def list_items(call: Call) -> Reply:
    """The items of a conversation, the latest first unless told otherwise.

    Follows https://platform.openai.com/docs/api-reference/conversations/list-items
    """
    key = _conversation(call)["id"]
    found = page_of(call.server.store, items_of(key), call.query, lenient=call.server.conjures)
    include = call.query.get("include") or ()
    found["data"] = [shown(item, include) for item in found["data"]]
    return found


@serves(Items.retrieve)
def retrieve_item(call: Call) -> Reply:
    """An item of a conversation.

    Follows https://platform.openai.com/docs/api-reference/conversations/get-item
    """
    key, item = _conversation(call)["id"], call.params["item_id"]
    found = call.server.store.get(items_of(key), item)
    if found is None:
        if call.server.conjures:
            return family("conversations.items").document(call, item)
        raise _no_item(item, key)
    return shown(found, call.query.get("include") or ())


@serves(Items.delete)
def delete_item(call: Call) -> Reply:
    """Take an item out of a conversation; the answer is the conversation.

    Follows https://platform.openai.com/docs/api-reference/conversations/delete-item
    """
    conversation, item = _conversation(call), call.params["item_id"]
    if not call.server.store.delete(items_of(conversation["id"]), item) and not call.server.conjures:
        raise _no_item(item, conversation["id"])
    return conversation


def _given(call: Call, known: list[Item]) -> list[Item]:
    """The items of the request. A conversation keeps no triggers: they ask a Response for something."""
    items = given_items(call.server, call.body.get("items"), known, param="items")
    for index, item in enumerate(items):
        if item["type"] == "compaction_trigger" and not call.server.conjures:
            where = f"items[{index}].type"
            raise BadRequestError.because(
                f"Invalid value: 'compaction_trigger' cannot be added to a conversation ('{where}').",
                param=where,
                code="invalid_value",
            )
    return [item for item in items if item["type"] != "compaction_trigger"]


def _conversation(call: Call) -> dict[str, Any]:
    """The conversation that the address names. Raises `NotFoundError`."""
    return family("conversations").get(call, call.params, call.params["conversation_id"])


def _no_item(item: str, conversation: str) -> NotFoundError:
    return NotFoundError.because(f"Item with id '{item}' not found in conversation with id '{conversation}'.")


def _put(call: Call, key: str, items: list[Item]) -> None:
    for item in items:
        call.server.store.put(items_of(key), item["id"], item)
