"""Stubs of WireMock for the API: `{"request": …, "response": …}`, alone or in `mappings`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ...kernel.errors import APIStatusError
from ...server.endpoint import routes
from .ruled import Told, failing, rest

if TYPE_CHECKING:
    from ..cassettes.scrubbing import Place
    from .source import Source

__all__ = ("FIRST_WINS", "recognized", "rules")

FIRST_WINS: Final = True
"""There it is the stub that was added last, which comes first here."""

_ADDRESSES: Final = ("url", "urlPath", "urlPathTemplate", "urlPattern", "urlPathPattern")
_DELAY: Final = "how long an answer takes is said of the fake, with latency=, and not of a rule"
_STATE: Final = "what comes after what is said by a script, and not by states of a rule"
_WHY: Final = {
    "fixedDelayMilliseconds": _DELAY,
    "delayDistribution": _DELAY,
    "chunkedDribbleDelay": _DELAY,
    "fault": "what goes wrong is said of the fake, with faults=, and not of a rule",
    "transformers": "templates of WireMock are not carried out",
    "headers": "the fake sends the API's headers",
    "priority": "of rules that fit, the one that says most answers",
    "scenarioName": _STATE,
    "requiredScenarioState": _STATE,
    "newScenarioState": _STATE,
}
_NAMES: Final = ("id", "uuid", "name", "persistent", "request", "response", "metadata", "insertionIndex")


def recognized(data: Any) -> bool:
    """Whether these are stubs of its kind."""
    return isinstance(data, Mapping) and (_is_stub(data) or any(map(_is_stub, _listed(data))))


def _listed(data: Mapping[str, Any]) -> list[Any]:
    found = data.get("mappings")
    return found if isinstance(found, list) else []


def _is_stub(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("response"), Mapping):
        return False
    request = value.get("request")
    return isinstance(request, Mapping) and any(name in request for name in _ADDRESSES)


def rules(source: Source) -> Iterator[Told]:
    """Its stubs as rules, the last one first."""
    listed = _listed(source.data)
    stubs: list[tuple[Place, Any]] = [(("mappings", at), each) for at, each in enumerate(listed)]
    # The last one answers there, so it comes first: what comes first is written at the end.
    for place, each in reversed(stubs) if stubs else [((), source.data)]:
        if not _is_stub(each):
            source.leave(place, "a stub has a request, with an address, and a response", whole=True)
            continue
        operation = _operation(source, each["request"], (*place, "request"))
        answer = None if operation is None else _answer(source, each["response"], (*place, "response"))
        if operation is None or answer is None:
            continue
        when = {"operation": operation, **_when(source, each["request"], (*place, "request"))}
        rest(source, each, _NAMES, place, _WHY)
        rule: dict[str, Any] = {"comment": each["name"]} if isinstance(each.get("name"), str) else {}
        yield Told(place, {**rule, "when": when, **answer})


def _operation(source: Source, request: Mapping[str, Any], place: Place) -> str | None:
    """The operation at the stub's address."""
    name = next(name for name in _ADDRESSES if name in request)
    address = str(request[name])
    # Of a pattern, what stands in it; a parameter is as good as any value.
    path = re.sub(r"\{[^}]*\}|\[[^\]]*\][+*]?|\.[+*]\??", "x", address).replace("\\", "").strip("^$")
    path = urlsplit(path).path
    at = path.find("/v1/")
    method = str(request.get("method", "POST"))
    try:
        return routes().match("POST" if method == "ANY" else method, path[max(at, 0) :], "").target.name
    except APIStatusError:
        source.leave((*place, name), f"{method} {address} is no operation of the API", whole=True)
        return None


def _when(source: Source, request: Mapping[str, Any], place: Place) -> dict[str, Any]:
    when: dict[str, Any] = {}
    headers = request.get("headers")
    for name, value in (headers if isinstance(headers, Mapping) else {}).items():
        words = _words(value)
        if str(name).lower() in ("content-type", "accept") or words is None:
            source.leave((*place, "headers", name), "this is not looked at here")
        else:
            when.setdefault("headers", {})[str(name).lower()] = words
    patterns = request.get("bodyPatterns")
    listed: list[Any] = patterns if isinstance(patterns, list) else []
    for number, each in enumerate(listed):
        found = _body(each) if isinstance(each, Mapping) else {}
        if not found or found.keys() & when.keys():
            told = "rules look at the model, at what the user says last and at whole fields, once each"
            source.leave((*place, "bodyPatterns", number), told)
            continue
        if isinstance(each.get("contains"), str) or isinstance(each.get("matches"), str):
            told = "it is what the user says last that is looked at, and not the whole body"
            source.leave((*place, "bodyPatterns", number), told)
        when |= found
    rest(source, request, ("method", "headers", "bodyPatterns", *_ADDRESSES), place, _WHY)
    return when


def _words(value: Any) -> Any:
    """A text that is looked for, as `when` has it: the whole, or a part; `None` where it is told otherwise."""
    if not isinstance(value, Mapping):
        return None
    for theirs, ours in (("equalTo", "exactly"), ("contains", "contains"), ("matches", "matches")):
        if isinstance(value.get(theirs), str):
            more = {"ignore_case": True} if value.get("caseInsensitive") is True else {}
            return {ours: value[theirs], **more}
    return None


_FIELD: Final = re.compile(r"\$\.(\w+)\Z|\$\[\?\(\s*@\.(\w+)\s*==\s*'([^']*)'\s*\)\]\Z")
_LAST: Final = re.compile(r"\$\.(?:messages|input)(?:\[[^\]]*\]|\.)?\.*(?:content)?\Z")


def _body(pattern: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions that a pattern of a body stands for; none where there is no such thing."""
    if isinstance(pattern.get("contains"), str) or isinstance(pattern.get("matches"), str):
        words = _words(pattern)
        if "matches" in words:  # the whole body, from end to end
            words = {"matches": re.sub(r"\A\.\*|\.\*\Z", "", words["matches"])}
        return {"text": words}
    given = pattern.get("equalToJson")
    if given is not None:
        try:
            value = json.loads(given) if isinstance(given, str) else given
        except ValueError:
            return {}
        return {"body": value} if isinstance(value, dict) and value else {}
    path: Any = pattern.get("matchesJsonPath")
    expression, words = path, None
    if isinstance(path, Mapping):
        expression, words = path.get("expression"), _words(path)
    field = _FIELD.match(str(expression))
    if field is not None and field[3] is not None:
        return {"model": field[3]} if field[2] == "model" else {"body": {field[2]: field[3]}}
    if words is None:
        return {}
    if field is not None and field[1] == "model":
        return {"model": words.get("exactly", words) if len(words) == 1 else words}
    return {"text": words} if _LAST.match(str(expression)) else {}


def _answer(source: Source, response: Mapping[str, Any], place: Place) -> dict[str, Any] | None:
    status = response.get("status", 200)
    body = response.get("jsonBody")
    if body is None and isinstance(response.get("body"), str):
        try:
            body = json.loads(response["body"])
        except ValueError:
            body = None
    rest(source, response, ("status", "jsonBody", "body", "headers", "statusMessage"), place, _WHY)
    if status.__class__ is int and status >= 400:
        error = body.get("error") if isinstance(body, Mapping) else None
        return failing(source, status, error if isinstance(error, Mapping) else {}, (*place, "status"))
    if not isinstance(body, dict):
        told = "a body that is no JSON object is none that a rule answers, such as a stream or a file"
        source.leave(place, told, whole=True)
        return None
    message = _message(body)
    return {"object": body} if message is None else message


def _message(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is said in a chat completion that says nothing else: so it can be streamed, too."""
    choices = body.get("choices")
    message = (
        choices[0].get("message")
        if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], Mapping)
        else None
    )
    if not isinstance(message, Mapping) or message.get("tool_calls") or not isinstance(message.get("content"), str):
        return None
    return {"reply": message["content"]}
