"""Fixtures of stubllm: `fixtures`, each with a name, a match and a response, or several responses in a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .ruled import Told, calls, failing, rest, with_text

if TYPE_CHECKING:
    from ..cassettes.scrubbing import Place
    from .source import Source

__all__ = ("FIRST_WINS", "recognized", "rules")

FIRST_WINS: Final = False
"""There, too, what says more goes before what says less."""

_OPERATIONS: Final = {
    "/v1/chat/completions": "chat.completions.create",
    "/v1/completions": "completions.create",
    "/v1/responses": "responses.create",
    "/v1/embeddings": "embeddings.create",
    "/v1/models": "models.list",
}
_ROLES: Final = {"user": "text", "system": "system", "developer": "system", "tool": "tool_result"}
_WHY: Final = {
    "usage": "the fake counts its tokens itself",
    "model": "an answer has the name of the model that was asked",
    "finish_reason": "the reason to end follows from the answer",
    "latency_ms": "how long an answer takes is said of the fake, with latency=, and not of a rule",
    "stream_chunk_delay_ms": "how long an answer takes is said of the fake, with latency=, and not of a rule",
    "tools_present": "a rule asks for tools by their names, and not for any",
    "provider": "the dialects of other hosts are answered by the same rules",
}


def recognized(data: Any) -> bool:
    """Whether this is a file of fixtures of its kind."""
    found = data.get("fixtures") if isinstance(data, Mapping) else data
    return isinstance(found, list) and any(
        isinstance(each, Mapping) and isinstance(each.get("match"), Mapping) and each.keys() & {"response", "sequence"}
        for each in found
    )


def rules(source: Source) -> Iterator[Told]:
    """Its fixtures as rules."""
    listed = isinstance(source.data, list)
    for number, each in enumerate(source.data if listed else source.data["fixtures"]):
        place: Place = (number,) if listed else ("fixtures", number)
        if not isinstance(each, Mapping) or not isinstance(each.get("match", {}), Mapping):
            source.leave(place, "a fixture has a match and a response", whole=True)
            continue
        when = _when(source, each.get("match", {}), (*place, "match"))
        if when is None:
            continue
        given: Any = each.get("sequence")
        names: list[Place] = [("response",)]
        if isinstance(given, list) and given:
            names = [("sequence", at) for at in range(len(given))]
        else:
            given = [each.get("response") or {}]
        answers = [_answer(source, one, (*place, *name)) for one, name in zip(given, names, strict=True)]
        kept = [answer for answer in answers if answer is not None]
        if not kept:
            continue
        rest(source, each, ("name", "match", "response", "sequence"), place, _WHY)
        rule: dict[str, Any] = {"comment": each["name"]} if isinstance(each.get("name"), str) else {}
        rule |= {"when": when} if when else {}
        yield Told(place, {**rule, **(kept[0] if len(kept) == 1 else {"answers": kept})})


def _when(source: Source, match: Mapping[str, Any], place: Place) -> dict[str, Any] | None:
    when: dict[str, Any] = {}
    endpoint = match.get("endpoint")
    if endpoint is not None:
        if str(endpoint) not in _OPERATIONS:
            source.leave((*place, "endpoint"), f"{endpoint!r} is no address that rules answer", whole=True)
            return None
        when["operation"] = _OPERATIONS[str(endpoint)]
    for name in ("model", "headers"):
        if match.get(name):
            when[name] = match[name]
    given = match.get("messages")
    messages: list[Any] = given if isinstance(given, list) else []
    for number, each in enumerate(messages):
        at = (*place, "messages", number)
        told: Mapping[str, Any] = each if isinstance(each, Mapping) else {}
        content: Any = told.get("content")
        if content is None:
            source.leave(at, "a message of which nothing is said is not looked for")
            continue
        role = _ROLES.get(str(told.get("role", "user")))
        if role is None or role in when:
            source.leave(at, "rules look at what was said last by the user, the system and tools, once each")
            continue
        when[role] = _words(content)
    if match.get("provider") not in (None, "openai", "any"):
        source.leave((*place, "provider"), _WHY["provider"])
    rest(source, match, ("endpoint", "model", "headers", "messages", "provider"), place, _WHY)
    return when


def _words(content: Any) -> Any:
    if isinstance(content, Mapping):
        if content.get("exact") is not None:
            return {"exactly": content["exact"]}
        if content.get("contains") is not None:
            return {"contains": content["contains"], "ignore_case": True}
        pattern = content.get("regex")
        return {"matches": f"(?s){pattern}" if "." in str(pattern) else pattern, "ignore_case": True}
    return {"contains": content, "ignore_case": True}


def _answer(source: Source, given: Any, place: Place) -> dict[str, Any] | None:
    if not isinstance(given, Mapping):
        source.leave(place, "a response has content, tool_calls or http_status", whole=True)
        return None
    known = ["content", "tool_calls", "http_status", "error_message", "error_code"]
    status = given.get("http_status", 200)
    rest(source, given, known, place, _WHY)
    if status != 200:
        told = {"message": given.get("error_message"), "code": given.get("error_code")}
        return failing(source, status, told, (*place, "http_status"))
    content = given.get("content")
    if not given.get("tool_calls"):
        return {"reply": "Mock response." if content is None else content}
    answer = calls(source, given["tool_calls"], (*place, "tool_calls"))
    return None if answer is None else with_text(answer, content)
