"""Conversations in less room: what was said, in one opaque item.

Here nothing is lost in one: its content is the items that it stands for.

API reference: https://platform.openai.com/docs/guides/conversation-state#compaction
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

if TYPE_CHECKING:
    from ..kernel.flow import Step
    from .app import Server
    from .engine import ChatEngine, ChatRequest
    from .turns import Piece, Turn

__all__ = ("asked", "compaction", "expanded")

Item: TypeAlias = dict[str, Any]


def compaction(server: Server, items: Sequence[Mapping[str, Any]], *, all: bool) -> Item:
    """An item that stands for others; where these are `all` that was said, what stands before it is passed over."""
    content = b64encode(orjson.dumps({"all": all, "items": items})).decode()
    return {"id": server.ids.new("cmp_"), "type": "compaction", "encrypted_content": content}


def expanded(items: Sequence[Item]) -> list[Item]:
    """The items with what compactions stand for in their place; one from elsewhere stands for nothing here."""
    if not any(item.get("type") == "compaction" for item in items):
        return list(items)
    found: list[Item] = []
    for item in items:
        if item.get("type") != "compaction":
            found.append(item)
            continue
        everything, inner = _opened(item)
        if everything:
            found.clear()
        found += expanded(inner)
    return found


def _opened(item: Item) -> tuple[bool, list[Item]]:
    try:
        content: Any = orjson.loads(b64decode(item.get("encrypted_content") or "", validate=True))
        return bool(content["all"]), list(content["items"])
    except (ValueError, TypeError, KeyError):
        return False, []


def asked(engine: ChatEngine, request: ChatRequest, server: Server) -> Turn:
    """What the engine says; before it, or in its place where the input ends with a trigger, a compaction.

    With `context_management` there is one where the input has more tokens than its threshold.
    """
    from .turns import Item as Whole

    items = request.items
    if items and items[-1].get("type") == "compaction_trigger":
        return [Whole(compaction(server, items[:-1], all=True))]
    rules = request.body.get("context_management")
    if not rules or not _too_long(request, rules):
        return engine(request)
    piece = Whole(compaction(server, items, all=True))
    turn = engine(request)
    return [piece, turn] if isinstance(turn, str) else _after(piece, turn)


def _too_long(request: ChatRequest, rules: Iterable[Mapping[str, Any]]) -> bool:
    from . import tokens

    thresholds = [rule["compact_threshold"] for rule in rules if rule.get("compact_threshold")]
    if not thresholds:
        return False
    used = tokens.message_tokens(request.messages, request.model, request.body.get("tools"))
    return used > int(min(thresholds))


def _after(piece: Piece, turn: Iterable[Piece | Step[Any]]) -> Generator[Any, Any, None]:
    yield piece
    yield from turn
