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
from ...lib.streaming._sound import CallNumbers, sound_choices
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

    __slots__ = ("_calls", "_data", "_finish", "_seen", "_thoughts", "_told", "_usage")

    def __init__(self) -> None:
        self._told = Accumulated({})
        self._calls: dict[int, CallNumbers] = {}
        self._thoughts: list[str] = []
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
        if _first_choice(data) is None:
            return
        self._seen = True
        for index, choice in sound_choices(data, self._calls):
            if index == 0:
                self._finish = choice.get("finish_reason") or self._finish
                self._told.merge(choice["delta"])
        # Parts of parts do not fit together again; their words do, and thoughts among them are told apart here.
        yield from self._spoken(data)

    def _spoken(self, data: dict[str, Any]) -> Iterator[Text | Reasoning | Refusal]:
        choice = _first_choice(data)
        delta = _said(choice) if choice is not None else {}
        for piece in _pieces(delta):
            if isinstance(piece, Reasoning) and isinstance(delta.get("content"), list):
                self._thoughts.append(piece.text)
            yield piece

    def answered(self) -> Answered:
        """The completion the chunks make. Raises `APIError` where they make none."""
        if not self._seen:
            raise _nothing(self._data)
        message: dict[str, Any] = self._told.settle()
        message.setdefault("role", "assistant")
        message.setdefault("content", None)
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        for call in message.get("tool_calls") or ():
            call.pop("index", None)
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        data = {**self._data, "object": "chat.completion", "choices": [choice], "usage": self._usage}
        return read(ChatCompletion.of(data))
