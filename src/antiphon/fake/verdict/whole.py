"""Answers that did not come whole, and what became of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ...server.engine import text_of
from ..journal import Exchange
from ..said import mapping, mappings

__all__ = ("ERROR", "asks_for_more", "cut_off", "goes_on", "ids_of", "length_cut", "went_on_with")

_TOLD: Final = frozenset(
    """
    chat.completions.create completions.create responses.create images.generate images.edit audio.speech.create
    audio.transcriptions.create
    """.split()
)
"""Operations whose streams have an event that is always the last."""

_GO_ON: Final = re.compile(
    r"\b(continue|go on|carry on|keep going|finish|resume|proceed|the rest|cut off|left off)\b", re.IGNORECASE
)

ERROR: Final = "ended in an error"

_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def cut_off(exchange: Exchange) -> str | None:
    """How a stream ended that did not come to its end; `None` where it did, or was left by its reader.

    Readers are told of an error (`ERROR`); that a stream breaks off, they have to notice.
    """
    return exchange.once("cut_off", lambda: _cut_off(exchange))


def _cut_off(exchange: Exchange) -> str | None:
    if exchange.ended is None or exchange.left_early:
        return None
    if exchange.status is None or exchange.status >= 300 or exchange.operation not in _TOLD or not exchange._is_events:
        return None
    events = [each for each in exchange.events if isinstance(each, Mapping)]
    last: Mapping[str, Any] = events[-1] if events else {}
    if last.get("type") == "error" or (last.get("error") and "type" not in last):
        return ERROR
    if exchange._is_told():
        return None
    wanted = "[DONE]" if exchange.operation in ("chat.completions.create", "completions.create") else "its last event"
    return f"broke off without {wanted}"


def length_cut(exchange: Exchange) -> bool:
    """Whether the answer was cut off at its token limit."""
    return exchange.once("length_cut", lambda: _length_cut(exchange))


def _length_cut(exchange: Exchange) -> bool:
    answer: Any = exchange.answer
    bodies = (
        [answer] if isinstance(answer, Mapping) else [each for each in exchange.events if isinstance(each, Mapping)]
    )
    return any(_is_length(each) for each in bodies)


def _is_length(body: Mapping[str, Any]) -> bool:
    if any(each.get("finish_reason") == "length" for each in mappings(body.get("choices"))):
        return True
    response = mapping(body.get("response", body))
    details = mapping(response.get("incomplete_details"))
    return response.get("status") == "incomplete" and details.get("reason") == "max_output_tokens"


def went_on_with(exchange: Exchange, later: Exchange) -> bool:
    """Whether a later request has an answer in it: by its id, its calls of tools, or its text as the assistant's."""
    body: Any = later.body
    if not isinstance(body, Mapping):
        return False
    told = ids_of(exchange)
    if str(body.get("previous_response_id")) in told.responses:
        return True
    chat = later.asked.chat
    if chat is None:
        return False
    said = exchange.output_text.strip()
    for message in chat.messages:
        if message.get("role") == "tool" and str(message.get("tool_call_id")) in told.calls:
            return True
        if message.get("role") == "assistant" and said and text_of(message).strip() == said:
            return True
    return False


class Ids(NamedTuple):
    """By what a later request can refer to an answer."""

    responses: set[str]
    calls: set[str]


def ids_of(exchange: Exchange) -> Ids:
    """The ids of an answer, and of the calls of tools in it."""
    return exchange.once("ids", lambda: _ids_of(exchange))


def _ids_of(exchange: Exchange) -> Ids:
    found = Ids(set(), set())
    answer: Any = exchange.answer
    for each in mappings(exchange.events if answer is None else [answer]):
        response = mapping(each.get("response", each))
        items = [mapping(each.get("item"))]
        if response.get("object") == "response":
            found.responses.add(str(response.get("id")))
            items += mappings(response.get("output"))
        for choice in mappings(each.get("choices")):
            message = mapping(choice.get("message")) or mapping(choice.get("delta"))
            found.calls.update(str(call["id"]) for call in mappings(message.get("tool_calls")) if call.get("id"))
        found.calls.update(str(item["call_id"]) for item in items if "call_id" in item)
    return found


def goes_on(exchange: Exchange, later: Exchange) -> bool:
    """Whether a request that has the answer in it asks for the rest of it."""
    chat = later.asked.chat
    if chat is None or not chat.messages:
        return False
    last = chat.messages[-1]
    if last.get("role") == "assistant":
        return True
    return last.get("role") == "user" and _GO_ON.search(text_of(last)) is not None


def asks_for_more(exchange: Exchange, later: Exchange) -> bool:
    """Whether a request asks the same again with a higher limit, or with none."""
    before, after = exchange.body, later.body
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return False
    same = all(before.get(name) == after.get(name) for name in ("messages", "input", "prompt", "instructions"))
    return same and _limit(after) > _limit(before)


def _limit(body: Mapping[str, Any]) -> float:
    return next((float(body[name]) for name in _LIMITS if isinstance(body.get(name), int)), float("inf"))
