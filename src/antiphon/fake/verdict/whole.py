"""Answers that did not come whole, and what became of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple, TypeAlias

from ...server.engine import text_of
from ..journal import Exchange
from ..said import mapping, mappings

__all__ = (
    "ERROR",
    "asks_for_more",
    "asks_the_same",
    "cut_off",
    "goes_on",
    "ids_of",
    "known_by",
    "length_cut",
    "refers_to",
)

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


Reference: TypeAlias = tuple[str, str]
"""By what a request says which answer it goes on with: the kind (`response`, `call`, `text`), and which."""


def known_by(exchange: Exchange) -> set[Reference]:
    """By what later requests may go on with an answer: its id, its calls of tools, its text as the assistant's."""
    told, said = ids_of(exchange), exchange.output_text.strip()
    found = {("response", each) for each in told.responses} | {("call", each) for each in told.calls}
    return found | {("text", said)} if said else found


def refers_to(exchange: Exchange) -> set[Reference]:
    """What a request goes on with."""
    body: Any = exchange.body
    if not isinstance(body, Mapping):
        return set()
    found = {("response", str(body.get("previous_response_id")))}
    chat = exchange.asked.chat
    for message in () if chat is None else chat.messages:
        if message.get("role") == "tool":
            found.add(("call", str(message.get("tool_call_id"))))
        elif message.get("role") == "assistant":
            found.add(("text", text_of(message).strip()))
    return found


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


def asks_the_same(exchange: Exchange) -> bytes | None:
    """What is the same in requests that ask the same; `None` where nothing can be told."""
    import orjson

    body = exchange.body
    if not isinstance(body, Mapping):
        return None
    asked = [body.get(name) for name in ("messages", "input", "prompt", "instructions")]
    return blake2b(orjson.dumps(asked, default=repr, option=orjson.OPT_SORT_KEYS)).digest()


def asks_for_more(exchange: Exchange, later: Exchange) -> bool:
    """Whether a request that asks the same has a higher limit, or none."""
    return _limit(mapping(later.body)) > _limit(mapping(exchange.body))


def _limit(body: Mapping[str, Any]) -> float:
    return next((float(body[name]) for name in _LIMITS if isinstance(body.get(name), int)), float("inf"))
