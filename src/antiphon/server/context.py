"""What a Response goes on from, and what is kept of it.

A Response is asked something in the context of earlier ones: of a chain of Responses (`previous_response_id`), or of a
conversation. Its own items are kept beside it, so that others can go on from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..kernel.errors import BadRequestError, NotFoundError
from .renderings.responses_request import Item, input_items

if TYPE_CHECKING:
    from .app import Server

__all__ = (
    "CONTEXTS",
    "PENDING",
    "RESPONSES",
    "Context",
    "check_unlocked",
    "context_of",
    "full_output",
    "given_items",
    "history",
    "items_of",
    "keep",
)

RESPONSES: Final = "responses"
"""The collection of stored Responses."""

CONTEXTS: Final = "responses/context"
"""What each stored Response was asked: its own items, and the Response before it. Kept when one is deleted, since
others may go on from it."""

PENDING: Final = "responses/pending"
"""What is still to be done for Responses that are made in the background."""


class Context(NamedTuple):
    """What a Response goes on from."""

    before: list[Item]
    """Items of the earlier conversation."""
    items: list[Item]
    """Items of this request."""
    conversation: str | None

    @property
    def all(self) -> list[Item]:
        """The whole conversation, the oldest item first."""
        return [*self.before, *self.items]


def context_of(server: Server, body: Mapping[str, Any], *, strict: bool) -> Context:
    """The context of a request. With `strict`, raises the API's errors for one that does not hold."""
    previous = body.get("previous_response_id")
    conversation = _conversation_id(body.get("conversation"))
    if strict:
        _check_sources(body, previous, conversation)
    before: list[Item] = []
    if previous is not None:
        before = history(server, previous, strict)
    elif conversation is not None:
        if strict:
            _check_conversation(server, conversation)
        before = server.store.list(items_of(conversation))
    stored = body.get("store") is not False or conversation is not None
    items = given_items(server, body.get("input"), before, param="input", kept=stored)
    return Context(before, items, conversation)


def given_items(server: Server, given: Any, before: list[Item], *, param: str, kept: bool = True) -> list[Item]:
    """What the caller gave, as items in the API's full form, those it refers to in place of the references.

    `before` is what the conversation has already. What is `kept` gets ids. Raises the API's errors for an item that is
    not there, and for one that is there twice.
    """
    strict = not server.conjures
    items = input_items(given, server.ids if kept else None)
    if any(item.get("type") == "item_reference" for item in items):
        items = [_referenced(server, item, before, strict, param) for item in items]
    if strict:
        seen: set[str] = {item["id"] for item in before if "id" in item}
        for item in items:
            key = item.get("id")
            if key in seen:
                raise BadRequestError.because(
                    f"Duplicate item found with id {key}. Remove duplicate items from your input and try again.",
                    param=param,
                )
            if key:
                seen.add(key)
    return items


def items_of(conversation: str) -> str:
    """The collection of a conversation's items."""
    return f"conversations/{conversation}/items"


def _conversation_id(given: Any) -> str | None:
    found: str | None = given.get("id") if isinstance(given, dict) else given
    return found


def _check_sources(body: Mapping[str, Any], previous: str | None, conversation: str | None) -> None:
    if previous is not None and conversation is not None:
        raise BadRequestError.because(
            "Mutually exclusive parameters. Ensure you are only providing one of: 'previous_response_id' or "
            "'conversation'.",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    if body.get("input") is None and previous is None and conversation is None and not body.get("prompt"):
        raise BadRequestError.because(
            "One of 'input', 'previous_response_id', 'prompt' or 'conversation' must be provided.",
            param="input",
            code="missing_required_parameter",
        )


def _check_conversation(server: Server, key: str) -> None:
    if server.store.get("conversations", key) is None:
        raise NotFoundError.because(f"Conversation with id '{key}' not found.", param="conversation")
    check_unlocked(server, key)


def check_unlocked(server: Server, key: str) -> None:
    """Raise `BadRequestError` where a Response is being made in the background for a conversation."""
    if any(each["conversation"] == key for each in server.store.list(PENDING)):
        raise BadRequestError.because(
            "Another process is currently operating on this conversation. Please retry in a few seconds.",
            param="conversation",
            code="conversation_locked",
        )


def history(server: Server, key: str, strict: bool) -> list[Item]:
    """Every item of the conversation up to a Response and with it, the oldest first."""
    found = server.store.get(RESPONSES, key)
    if found is None:
        if strict:
            raise BadRequestError.because(
                f"Previous response with id '{key}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return []
    if strict and found["status"] in ("queued", "in_progress"):
        raise BadRequestError.because(
            f"Previous response with id '{key}' is still {found['status']}; wait until it has ended.",
            param="previous_response_id",
            code="previous_response_not_completed",
        )
    turns: list[list[Item]] = []
    at: str | None = key
    while at is not None:
        context = server.store.get(CONTEXTS, at)
        if context is None:
            break
        turns.append([*context["items"], *context["output"]])
        at = context["previous"]
    return [item for turn in reversed(turns) for item in turn]


def _referenced(server: Server, item: Item, before: list[Item], strict: bool, param: str) -> Item:
    if item.get("type") != "item_reference":
        return item
    for known in before:
        if known.get("id") == item["id"]:
            return known
    for context in server.store.list(CONTEXTS):
        for found in (*context["items"], *context["output"]):
            if found.get("id") == item["id"]:
                return dict(found)
    if strict:
        raise NotFoundError.because(f"Item with id '{item['id']}' not found.", param=param)
    return {"id": item["id"], "type": "message", "role": "user", "status": "completed", "content": []}


def full_output(response: Mapping[str, Any], full: Mapping[str, Item]) -> list[Item]:
    """The output of a Response with all there is to its items, also what was not to be shown."""
    return [full.get(item.get("id", ""), item) for item in response["output"]]


def keep(server: Server, body: Mapping[str, Any], context: Context, response: Item, full: Mapping[str, Item]) -> None:
    """Store a Response and what it was asked, and add both to its conversation."""
    store, key = server.store, response["id"]
    output = [item for item in full_output(response, full) if "id" in item]
    ended = response["status"] not in ("queued", "in_progress")
    if context.conversation is not None and ended:
        for item in (*(each for each in context.items if each["type"] != "compaction_trigger"), *output):
            store.put(items_of(context.conversation), item["id"], item)
    if body.get("store") is False:
        return
    store.put(RESPONSES, key, response)
    # In a conversation what came before may change; a Response remembers what it was.
    own = context.all if context.conversation is not None else context.items
    previous = None if context.conversation is not None else body.get("previous_response_id")
    store.put(
        CONTEXTS,
        key,
        {"id": key, "items": own, "output": output, "previous": previous, "include": body.get("include") or []},
    )
