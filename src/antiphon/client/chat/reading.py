"""What a completion says, whichever host it comes from, whole or in chunks.

content        text, a list of parts, or null beside `reasoning_content`
reasoning      `reasoning_content`, `reasoning`, or parts of the type `thinking`
finish_reason  any word, null, or ""
tool_calls     without `id`, `index` or `type`; arguments as text or as an object; every index 0
choices        null or empty in some chunks; `message` where `delta` is due
usage          on every chunk, on the last, or missing
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...kernel.errors import APIError
from ...kernel.view import View
from ...lib.streaming._deltas import Accumulated
from ...types.chat import ChatCompletion
from .pieces import Reasoning, Refusal, Text, ToolCall

__all__ = ("Answered", "Chunks", "calls_of", "read")

_REASONING = ("reasoning_content", "reasoning")


class Answered(NamedTuple):
    """What one completion came to."""

    completion: ChatCompletion
    message: dict[str, Any]
    text: str
    reasoning: str
    refusal: str
    finish_reason: str | None
    usage: Any


def read(completion: Any) -> Answered:
    """A whole completion. Raises `APIError` where there is none in the host's answer."""
    data: Any = completion._data if isinstance(completion, View) else None
    choice = _first_choice(data) if isinstance(data, dict) else None
    if data is None or choice is None:
        raise _nothing(data if data is not None else completion)
    message = _said(choice)
    if not message and isinstance(choice.get("text"), str):
        message = {"role": "assistant", "content": choice["text"]}
    told = {Text: "", Reasoning: "", Refusal: ""}
    for piece in _pieces(message):
        told[type(piece)] += piece.text
    finish = choice.get("finish_reason")
    whole: Any = completion
    return Answered(
        whole,
        message,
        told[Text],
        told[Reasoning],
        told[Refusal],
        finish if isinstance(finish, str) and finish else None,
        data.get("usage"),
    )


def _nothing(data: Any) -> APIError:
    """Some hosts answer 200 and say in the body that it went wrong."""
    error = data.get("error") if isinstance(data, dict) else None
    if error:
        from ...kernel.errors import said_by

        return APIError(said_by(error) or "The server reported an error in its answer.", body=error)
    return APIError("The server's answer has no choices, so there is nothing in it to read.", body=data)


def _first_choice(data: dict[str, Any]) -> dict[str, Any] | None:
    choices = data.get("choices")
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return None


def _said(choice: dict[str, Any]) -> dict[str, Any]:
    for key in ("message", "delta"):
        said = choice.get(key)
        if isinstance(said, dict):
            return said
    return {}


def _pieces(message: dict[str, Any]) -> Iterator[Text | Reasoning | Refusal]:
    """The words of a message or of a delta, in the order they are thought and said."""
    for key in _REASONING:
        thought = message.get(key)
        if isinstance(thought, str) and thought:
            yield Reasoning(thought)
            break
    content = message.get("content")
    if isinstance(content, str):
        if content:
            yield Text(content)
    elif isinstance(content, list):
        for part in content:
            yield from _part(part)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield Refusal(refusal)


def _part(part: Any) -> Iterator[Text | Reasoning | Refusal]:
    if isinstance(part, str):
        yield Text(part)
    elif isinstance(part, dict):
        if isinstance(part.get("text"), str):
            yield Text(part["text"])
        elif isinstance(part.get("refusal"), str):
            yield Refusal(part["refusal"])
        elif isinstance(part.get("thinking"), list):
            yield from (Reasoning(each.text) for inner in part["thinking"] for each in _part(inner))
        elif isinstance(part.get("thinking"), str):
            yield Reasoning(part["thinking"])


# Tool calls


def calls_of(message: dict[str, Any], taken: int) -> tuple[list[dict[str, Any]], list[ToolCall]]:
    """The calls of a message, as they are sent back and as they are made. `taken` calls went before: ids are unique."""
    given = message.get("tool_calls")
    sent: list[dict[str, Any]] = []
    calls: list[ToolCall] = []
    for each in given if isinstance(given, list) else ():
        if not isinstance(each, dict):
            continue
        function = each.get("function")
        function = function if isinstance(function, dict) else {}
        name, arguments = function.get("name"), function.get("arguments")
        if not isinstance(arguments, str):
            from orjson import dumps

            arguments = "{}" if arguments is None else dumps(arguments).decode()
        identity = each.get("id")
        identity = str(identity) if identity not in (None, "") else f"call_{taken + len(calls)}"
        call = ToolCall(identity, name if isinstance(name, str) else "", arguments or "{}")
        calls.append(call)
        # Everything else of the call goes back too: some hosts sign it.
        kept = {key: value for key, value in each.items() if key != "index"}
        function = {**function, "name": call.name, "arguments": call.arguments}
        sent.append({**kept, "id": call.id, "type": each.get("type") or "function", "function": function})
    return sent, calls


# Chunks


class Chunks:
    """A completion put together from its chunks. `add` gives the words that are new."""

    __slots__ = ("_calls", "_data", "_finish", "_seen", "_told", "_usage")

    def __init__(self) -> None:
        self._told = Accumulated({})
        self._calls: list[dict[str, Any]] = []
        self._data: dict[str, Any] = {}
        self._finish: Any = None
        self._usage: Any = None
        self._seen = False

    def add(self, chunk: Any) -> Iterator[Text | Reasoning | Refusal]:
        """The words of one more chunk."""
        data = chunk._data if isinstance(chunk, View) else chunk
        if not isinstance(data, dict):
            return
        if not self._data:
            self._data = {key: value for key, value in data.items() if key not in ("choices", "usage")}
        else:
            for key, value in data.items():
                if value is not None and value != "" and key not in ("choices", "usage", "object"):
                    self._data[key] = value
        if isinstance(data.get("usage"), dict):
            self._usage = data["usage"]
        choice = _first_choice(data)
        if choice is None:
            return
        self._seen = True
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
        delta = _said(choice)
        if isinstance(delta.get("tool_calls"), list):
            delta = {**delta, "tool_calls": [self._numbered(each) for each in delta["tool_calls"]]}
        content = delta.get("content")
        if isinstance(content, list):
            # Parts of parts do not fit together again; their words do.
            words = "".join(piece.text for piece in _pieces({"content": content}) if isinstance(piece, Text))
            thoughts = "".join(piece.text for piece in _pieces({"content": content}) if isinstance(piece, Reasoning))
            delta = {**delta, "content": words, **({"reasoning_content": thoughts} if thoughts else {})}
        self._told.merge(delta)
        yield from _pieces(delta)

    def _numbered(self, entry: Any) -> Any:
        """A piece of a call, with the number of the call it belongs to whatever the host calls it."""
        if not isinstance(entry, dict):
            return entry
        identity, index = entry.get("id") or None, entry.get("index")
        function = entry.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        place = self._belongs(identity, index, name)
        if place is None:
            place = len(self._calls)
            self._calls.append({"id": identity, "index": index, "name": name, "said": ""})
        known = self._calls[place]
        known["id"] = known["id"] or identity
        known["name"] = known["name"] or name
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(arguments, str):
            known["said"] += arguments
        elif isinstance(arguments, dict):
            from orjson import dumps

            known["said"] += dumps(arguments).decode()
            entry = {**entry, "function": {**(function or {}), "arguments": known["said"]}}
        return {**entry, "index": place}

    def _belongs(self, identity: Any, index: Any, name: Any) -> int | None:
        """Which call a piece belongs to; `None` for a new one."""
        for place in range(len(self._calls) - 1, -1, -1):
            known = self._calls[place]
            if identity is not None and known["id"] is not None:
                if identity == known["id"]:
                    return place
            elif index is not None and known["index"] is not None:
                if index == known["index"] and not _begins(known, name):
                    return place
            elif not _begins(known, name):
                return place
        return None

    def answered(self) -> Answered:
        """The completion the chunks make. Raises `APIError` where they make none."""
        if not self._seen:
            raise _nothing(self._data)
        message: dict[str, Any] = self._told.settle()
        message.setdefault("role", "assistant")
        message.setdefault("content", None)
        for call in message.get("tool_calls") or ():
            call.pop("index", None)
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        data = {**self._data, "object": "chat.completion", "choices": [choice], "usage": self._usage}
        return read(ChatCompletion.of(data))


def _begins(known: dict[str, Any], name: Any) -> bool:
    """Whether a piece that names a function begins another call of it: the arguments of the known one are complete."""
    if not name:
        return False
    if known["name"] is not None and known["name"] != name:
        return True
    from orjson import JSONDecodeError, loads

    try:
        loads(known["said"])
    except JSONDecodeError:
        return False
    return True
