"""Rules of fakellm: `rules`, each with a name, `when` and `respond`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .ruled import Told, calls, failing, rest, with_text

if TYPE_CHECKING:
    from ..cassettes.scrubbing import Place
    from .source import Source

__all__ = ("FIRST_WINS", "recognized", "rules")

FIRST_WINS: Final = True

_BEFORE: Final = "rules look at what was said last, and not at the message before"
_WHY: Final = {
    "previous_message_role": _BEFORE,
    "previous_message_contains": _BEFORE,
    "turn_in": "a rule is for one turn, or for all of them",
    "defaults": "what no rule answers is answered by the fake's engine",
}


def recognized(data: Any) -> bool:
    """Whether this is a file of rules of its kind."""
    found = data.get("rules") if isinstance(data, Mapping) else None
    return isinstance(found, list) and any(isinstance(each, Mapping) and "respond" in each for each in found)


def rules(source: Source) -> Iterator[Told]:
    """Its rules as ours."""
    wider = False
    for number, each in enumerate(source.data["rules"]):
        place: Place = ("rules", number)
        when = each.get("when") or {} if isinstance(each, Mapping) else None
        respond = each.get("respond") or {} if isinstance(each, Mapping) else None
        if not isinstance(when, Mapping) or not isinstance(respond, Mapping):
            source.leave(place, "a rule has when and respond", whole=True)
            continue
        answer = _answer(source, respond, (*place, "respond"))
        if answer is None:
            continue
        if "messages_contain" in when and not wider:
            wider = True
            told = "it is what the user says last that is looked at, and not all messages"
            source.leave((*place, "when", "messages_contain"), told)
        rule: dict[str, Any] = {"comment": each["name"]} if isinstance(each.get("name"), str) else {}
        conditions = _when(source, when, (*place, "when"))
        rule |= {"when": conditions} if conditions else {}
        yield Told(place, {**rule, **answer})
    rest(source, source.data, ("rules",), (), _WHY)


def _when(source: Source, when: Mapping[str, Any], place: Place) -> dict[str, Any]:
    told: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for name, value in when.items():
        if name in ("messages_contain", "tool_result_contains"):
            told["text" if name == "messages_contain" else "tool_result"] = {"contains": value, "ignore_case": True}
        elif name in _SAME:
            told[_SAME[name]] = value
        elif str(name).startswith("header."):
            headers[str(name)[7:]] = str(value)
        elif name == "turn_in" and isinstance(value, list) and len(set(map(str, value))) == 1:
            told["turn"] = value[0]
        else:
            rest(source, {name: value}, (), place, _WHY)
    return {**told, "headers": headers} if headers else told


_SAME: Final = {"model_matches": "model", "tools_include": "tools", "turn": "turn"}


def _answer(source: Source, respond: Mapping[str, Any], place: Place) -> dict[str, Any] | None:
    rest(source, respond, ("status", "content", "error", "tool_calls"), place, _WHY)
    status = respond.get("status", 200)
    if status != 200:
        return failing(source, status, {"message": respond.get("error") or respond.get("content")}, (*place, "status"))
    content = respond.get("content")
    if not respond.get("tool_calls"):
        return {"reply": "" if content is None else content}
    answer = calls(source, respond["tool_calls"], (*place, "tool_calls"))
    return None if answer is None else with_text(answer, content)
