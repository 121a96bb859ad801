"""What conversations have behind them: the tools that were called in them, turn by turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..journal import Exchange
from ..said import mapping, mappings
from .whole import ids_of

__all__ = ("History", "Loop", "histories", "loops")

Turns = tuple[frozenset[tuple[str, str]], ...]


class History(NamedTuple):
    """What a request has before it."""

    root: Any
    """What its conversation is known by."""
    turns: Turns
    """The calls of tools that have been answered, as names and arguments, for each turn of the model's."""


class Loop(NamedTuple):
    """A call that was made again and again."""

    name: str
    arguments: str
    times: int
    exchanges: tuple[Exchange, ...]
    """The requests that brought its results."""


def histories(exchanges: Sequence[Exchange]) -> list[History]:
    """The history of each request, in order. Responses that go on from others have the history of these, too."""
    known: dict[str, tuple[History, Turns]] = {}
    found: list[History] = []
    for each in exchanges:
        body: Any = each.body
        chat = each.asked.chat
        if chat is None or not isinstance(body, Mapping):
            found.append(History(None, ()))
            continue
        before = known.get(str(body.get("previous_response_id") or _conversation(body)))
        own = _turns(chat.messages)
        if before is None:
            first = next(
                (str(message.get("content")) for message in chat.messages if message.get("role") == "user"), ""
            )
            history = History((each.operation, first), own)
        else:
            history = History(before[0].root, (*before[0].turns, *before[1], *own))
        found.append(history)
        made = frozenset((call.name, _normal(call.arguments)) for call in each.tool_calls)
        ids = {*ids_of(each).responses, _conversation(body)} - {""}
        for name in ids:
            known[name] = (history, (made,) if made else ())
    return found


def _turns(messages: Sequence[Mapping[str, Any]]) -> Turns:
    found: list[frozenset[tuple[str, str]]] = []
    for message in messages:
        calls: list[tuple[str, str]] = []
        for call in mappings(message.get("tool_calls")):
            inner = mapping(call.get("function")) or mapping(call.get("custom"))
            calls.append((str(inner.get("name")), _normal(inner.get("arguments") or inner.get("input") or "")))
        if calls:
            found.append(frozenset(calls))
    return tuple(found)


def _normal(arguments: Any) -> str:
    """Arguments in one form, however they were written."""
    import orjson

    try:
        return orjson.dumps(orjson.loads(arguments), option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, ValueError):
        return str(arguments)


def _conversation(body: Mapping[str, Any]) -> str:
    given: Any = body.get("conversation")
    return str(given.get("id") if isinstance(given, Mapping) else given or "")


def loops(exchanges: Sequence[Exchange], known: Sequence[History], least: int) -> list[Loop]:
    """Calls that were made at least so often in a conversation which went on with their results."""
    found: dict[tuple[Any, str, str], tuple[int, list[Exchange]]] = {}
    for each, history in zip(exchanges, known, strict=True):
        if each.asked.tool_result is None:
            continue
        counted = Counter(call for turn in history.turns for call in turn)
        for (name, arguments), times in counted.items():
            key = (history.root, name, arguments)
            if history.turns and (name, arguments) in history.turns[-1]:
                most, brought = found.setdefault(key, (0, []))
                found[key] = (max(most, times), [*brought, each])
    return [
        Loop(name, arguments, times, tuple(brought))
        for (_, name, arguments), (times, brought) in found.items()
        if times >= least
    ]
