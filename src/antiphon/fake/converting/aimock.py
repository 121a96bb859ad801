"""Fixtures of aimock (`{"fixtures": [{"match": …, "response": …}]}`), and what its recorder writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .ruled import Told, calls, failing, rest, with_text

if TYPE_CHECKING:
    from ..cassettes.scrubbing import Place
    from .source import Source

__all__ = ("FIRST_WINS", "recognized", "rules")

FIRST_WINS: Final = True

_ENDPOINTS: Final[Mapping[str, str | None]] = {
    "chat": None,
    "realtime": None,
    "embedding": "embeddings.create",
    "image": "images.generate",
    "speech": "audio.speech.create",
    "transcription": "audio.transcriptions.create",
    "translation": "audio.translations.create",
}
"""What is asked, by the name of its endpoint; `None` for conversations, which need none."""

_DELAY: Final = "how long an answer takes is said of the fake, with latency=, and not of a rule"
_FAULT: Final = "what goes wrong is said of the fake, with faults=, and not of a rule"
_OVERRIDDEN: Final = "the fake counts, names and dates its answers itself"
_WHY: Final = {
    "latency": _DELAY,
    "chunkSize": "a text is streamed in pieces of its tokens; `pieces` would say otherwise",
    "streamingProfile": _DELAY,
    "recordedTimings": _DELAY,
    "replaySpeed": _DELAY,
    "truncateAfterChunks": _FAULT,
    "disconnectAfterMs": _FAULT,
    "chaos": _FAULT,
    "metadata": "digests of a prompt and of tools, which nothing is compared with",
    "usage": _OVERRIDDEN,
    "id": _OVERRIDDEN,
    "created": _OVERRIDDEN,
    "model": _OVERRIDDEN,
    "systemFingerprint": _OVERRIDDEN,
    "finishReason": "the reason to end follows from the answer",
    "reasoning": "rule files have no reasoning; `fake.when(…).reply([Reasoning(…), …])` has",
    "blocks": "calls of tools come after the text, wherever they are here",
}


def recognized(data: Any) -> bool:
    """Whether this is a file of fixtures of its kind."""
    fixtures = data.get("fixtures") if isinstance(data, Mapping) else None
    return isinstance(fixtures, list) and not any(
        isinstance(each, Mapping) and (_NOT_OURS & each.keys() or _NOT_MATCHED & _of(each, "match").keys())
        for each in fixtures
    )


_NOT_OURS: Final = {"name", "sequence"}
_NOT_MATCHED: Final = {"messages", "provider", "tools_present"}


def _of(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def rules(source: Source) -> Iterator[Told]:
    """Its fixtures as rules."""
    sequences: dict[str, Told] = {}
    turned = False
    for number, each in enumerate(source.data["fixtures"]):
        place: Place = ("fixtures", number)
        if not isinstance(each, Mapping) or not isinstance(each.get("response"), Mapping):
            source.leave(place, "a fixture has a match and a response", whole=True)
            continue
        match = _of(each, "match")
        when = _when(source, match, (*place, "match"))
        answer = None if when is None else _answer(source, each["response"], when, (*place, "response"))
        if when is None or answer is None:
            continue
        rest(source, each, ("match", "response"), place, _WHY)
        if "turn" in when and not turned:
            turned = True
            told = "a turn is the one that it says here, and not the nearest of those there are"
            source.leave((*place, "match", "turnIndex"), told)
        rule: dict[str, Any] = {"when": when, **answer} if when else answer
        if isinstance(each.get("comment"), str):
            rule = {"comment": each["comment"], **rule}
        at = match.get("sequenceIndex")
        if at is None:
            yield Told(place, rule)
            continue
        yield from _in_sequence(source, Told(place, rule), at, sequences)


def _in_sequence(source: Source, told: Told, at: Any, sequences: dict[str, Told]) -> Iterator[Told]:
    """Fixtures for the first request, the second and so on: one rule, which answers so many and makes way."""
    place, rule = told.place, told.rule
    key = json.dumps(rule.get("when", {}), sort_keys=True)
    first = sequences.get(key)
    answer = {name: value for name, value in rule.items() if name not in ("when", "comment")}
    if first is None:
        if at == 0:
            made: dict[str, Any] = {
                **{name: rule[name] for name in ("comment", "when") if name in rule},
                "times": 1,
                "answers": [answer],
            }
            sequences[key] = Told(place, made)
            yield sequences[key]
            return
    elif at == len(first.rule["answers"]):
        first.rule["answers"].append(answer)
        first.rule["times"] += 1
        return
    source.leave(
        (*place, "match", "sequenceIndex"), f"there is no fixture before it, so {at!r} never comes", whole=True
    )


def _when(source: Source, match: Mapping[str, Any], place: Place) -> dict[str, Any] | None:
    """Conditions; `None` where there can be none of that kind."""
    when: dict[str, Any] = {}
    endpoint = match.get("endpoint")
    if endpoint is not None:
        if not isinstance(endpoint, str) or endpoint not in _ENDPOINTS:
            source.leave((*place, "endpoint"), f"{endpoint!r} is nothing that the fake answers by rules", whole=True)
            return None
        if _ENDPOINTS[endpoint] is not None:
            when["operation"] = _ENDPOINTS[endpoint]
    if match.get("inputText") is not None:
        when.setdefault("operation", "embeddings.create")
    for name, value in match.items():
        condition = _CONDITIONS.get(name)
        if condition is None:
            if name not in ("endpoint", "sequenceIndex"):
                rest(source, {name: value}, (), place, {})
        elif value is not None and value != "" and value != []:
            when.update(condition(value))
    if match.get("toolCallId") is not None:
        told = "any tool's result is meant here: rules do not look at the id of the call"
        source.leave((*place, "toolCallId"), told)
        when.setdefault("tool_result", True)
    if match.get("toolResultContains"):
        when["tool_result"] = match["toolResultContains"]
    return when


def _system(value: Any) -> dict[str, Any]:
    if not isinstance(value, list):
        return {"system": value}
    if len(value) == 1:
        return {"system": value[0]}
    return {"system": {"matches": "(?s)" + "".join(f"(?=.*{_plain(str(each))})" for each in value)}}


def _plain(text: str) -> str:
    """A text as a pattern that people can read."""
    return re.sub(r"[.^$*+?{}\[\]\\|()]", r"\\\g<0>", text)


def _model(value: Any) -> dict[str, Any]:
    """A model of this name, or a dated one of it."""
    if not isinstance(value, str) or re.search(r"-\d{4}-\d\d-\d\d\Z", value):
        return {"model": value}
    return {"model": {"matches": rf"^{_plain(value)}(-\d.*)?$"}}


_CONDITIONS: Final[Mapping[str, Any]] = {
    "userMessage": lambda value: {"text": value},
    "inputText": lambda value: {"text": value},
    "systemMessage": _system,
    "toolCallId": lambda value: {},
    "toolResultContains": lambda value: {},
    "hasToolResult": lambda value: {"tool_result": value},
    "toolName": lambda value: {"tools": value},
    "model": _model,
    "responseFormat": lambda value: {"response_format": value},
    "turnIndex": lambda value: {"turn": value + 1 if isinstance(value, int) else value},
    "context": lambda value: {"headers": {"x-aimock-context": value}},
}


def _answer(source: Source, given: Mapping[str, Any], when: dict[str, Any], place: Place) -> dict[str, Any] | None:
    kind = next((name for name in _ANSWERS if name in given), None)
    if kind is None:
        told = ", ".join(given) or "nothing"
        source.leave(place, f"an answer of this kind ({told}) is not one of the API's, or not one of rules", whole=True)
        return None
    answer: dict[str, Any] | None = _ANSWERS[kind](source, given, when, place)
    if answer is not None:
        rest(source, given, _KNOWN[kind], place, _WHY)
    return answer


def _error(source: Source, given: Mapping[str, Any], when: dict[str, Any], place: Place) -> dict[str, Any] | None:
    error = given["error"] if isinstance(given["error"], Mapping) else {"message": str(given["error"])}
    answer = failing(source, given.get("status", 500), error, (*place, "status" if "status" in given else "error"))
    after = given.get("retryAfter")
    if answer is not None and isinstance(after, (int, float)):
        told = answer["fail"]
        answer["fail"] = {**(told if isinstance(told, dict) else {"status": told}), "retry_after": after}
    return answer


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _said(source: Source, given: Mapping[str, Any], when: dict[str, Any], place: Place) -> dict[str, Any] | None:
    content, called, named = given.get("content"), given.get("toolCalls"), "toolCalls"
    blocks = given.get("blocks")
    if isinstance(blocks, list) and blocks and content is None and called is None:
        each = [block for block in blocks if isinstance(block, Mapping)]
        content = "".join(str(block.get("text", "")) for block in each if block.get("type") == "text") or None
        called, named = [block for block in each if block.get("type") == "toolCall"] or None, "blocks"
    if called is None or (called == [] and content is not None):
        return {"reply": _text(content)}
    answer = calls(source, called, (*place, named))
    return None if answer is None else with_text(answer, None if content is None else _text(content))


def _images(source: Source, given: Mapping[str, Any], when: dict[str, Any], place: Place) -> dict[str, Any] | None:
    items = given.get("images") if isinstance(given.get("images"), list) else [given.get("image")]
    each = [item if isinstance(item, Mapping) else {} for item in items or ()]
    when.setdefault("operation", "images.generate")
    if each and all(isinstance(item.get("b64Json"), str) for item in each):
        told = [{"base64": item["b64Json"]} for item in each]
        return {"image": told[0]} if len(told) == 1 else {"images": told}
    source.leave(place, "a picture is answered with its bytes (b64Json), and not with an address", whole=True)
    return None


def _sound(source: Source, given: Mapping[str, Any], when: dict[str, Any], place: Place) -> dict[str, Any] | None:
    audio = given["audio"]
    data = audio.get("b64Json") if isinstance(audio, Mapping) else audio
    when.setdefault("operation", "audio.speech.create")
    return {"sound": {"base64": data}}


def _heard(source: Source, given: Mapping[str, Any], when: dict[str, Any], place: Place) -> dict[str, Any] | None:
    told = given["transcription"] if isinstance(given["transcription"], Mapping) else {}
    when.setdefault("operation", "audio.trans*.create")
    rest(source, told, ("text",), (*place, "transcription"), dict.fromkeys(told, "the fake finds it out itself"))
    return {"reply": told.get("text", "")}


def _vector(source: Source, given: Mapping[str, Any], when: dict[str, Any], place: Place) -> dict[str, Any] | None:
    when.setdefault("operation", "embeddings.create")
    return {"vector": given["embedding"]}


_ANSWERS: Final[Mapping[str, Any]] = {
    "error": _error,
    "embedding": _vector,
    "image": _images,
    "images": _images,
    "audio": _sound,
    "transcription": _heard,
    "toolCalls": _said,
    "content": _said,
    "blocks": _said,
}
"""What is made of an answer, by what there is in it."""

_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "error": ("error", "status", "retryAfter"),
    "embedding": ("embedding",),
    "image": ("image",),
    "images": ("images",),
    "audio": ("audio",),
    "transcription": ("transcription",),
    "toolCalls": ("toolCalls", "content"),
    "content": ("content", "toolCalls"),
    "blocks": (),
}
