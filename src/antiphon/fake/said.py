"""What an answer says, read from its body or from the events of its stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ("Called", "Said", "mapping", "mappings", "said")


class Called(NamedTuple):
    """A tool that the model called."""

    name: str
    arguments: str
    """JSON; of a custom tool its input."""


class Said(NamedTuple):
    """What an answer says."""

    text: str = ""
    tools: Sequence[Called] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    """Tokens as the answer tells them; `None` where it does not."""
    cached_tokens: int | None = None
    """Of the input, those that came from the cache."""


def said(answer: Any, events: Sequence[Any]) -> Said:
    """What a body says, or the events of a stream do. What is not as the API has it says nothing."""
    if not events:
        return _whole(answer) if isinstance(answer, Mapping) else Said()
    told = mappings(events)
    for event in reversed(told):
        response: Any = event.get("response")
        if isinstance(response, Mapping):
            return _typed(told) if response.get("status") in ("queued", "in_progress") else _whole(response)
    return _chunks(told)


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none of what is no list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, (list, tuple)) else []


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; an empty one of what is none."""
    return value if isinstance(value, Mapping) else {}


def _text(*values: Any) -> str:
    """The first of these that is a text and not empty."""
    return next((value for value in values if isinstance(value, str) and value), "")


def _whole(body: Mapping[str, Any]) -> Said:
    texts: list[str] = []
    tools: list[Called] = []
    for choice in mappings(body.get("choices")):
        message = mapping(choice.get("message"))
        texts.append(_text(message.get("content"), message.get("refusal"), choice.get("text")))
        tools += [_call(call) for call in mappings(message.get("tool_calls"))]
        if isinstance(message.get("function_call"), Mapping):
            tools.append(_named(message["function_call"]))
    for item in mappings(body.get("output")):
        if item.get("type") == "message":
            texts += [_text(part.get("text"), part.get("refusal")) for part in mappings(item.get("content"))]
        elif "call_id" in item and item.get("name"):
            tools.append(_named(item))
    texts.append(_text(body.get("text")))  # a transcript
    return Said("".join(texts), tools, *_tokens(body.get("usage")))


def _call(call: Mapping[str, Any]) -> Called:
    return _named(mapping(call.get("function")) or mapping(call.get("custom")))


def _named(call: Mapping[str, Any]) -> Called:
    return Called(_text(call.get("name")), _text(call.get("arguments"), call.get("input")))


def _typed(events: Sequence[Mapping[str, Any]]) -> Said:
    """What the events of a Response say that did not come to its end."""
    texts: list[str] = []
    calls: dict[str, list[str]] = {}
    for event in events:
        kind, item = event.get("type"), mapping(event.get("item"))
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            texts.append(_text(event.get("delta")))
        elif kind == "response.output_item.added" and "call_id" in item:
            calls[str(item.get("id"))] = [_text(item.get("name")), ""]
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            calls.setdefault(str(event.get("item_id")), ["", ""])[1] += _text(event.get("delta"))
    return Said("".join(texts), [Called(name, arguments) for name, arguments in calls.values()])


def _chunks(events: Sequence[Mapping[str, Any]]) -> Said:
    texts: list[str] = []
    calls: dict[tuple[str, str], list[str]] = {}
    usage: Any = None
    for event in events:
        usage = event.get("usage") or usage
        for choice in mappings(event.get("choices")):
            delta = mapping(choice.get("delta"))
            texts.append(_text(delta.get("content"), delta.get("refusal"), choice.get("text")))
            for call in mappings(delta.get("tool_calls")):
                name, arguments = _call(call)
                told = calls.setdefault((str(choice.get("index", 0)), str(call.get("index", 0))), ["", ""])
                told[0] += name
                told[1] += arguments
    return Said("".join(texts), [Called(name, arguments) for name, arguments in calls.values()], *_tokens(usage))


def _tokens(usage: Any) -> tuple[int | None, int | None, int | None]:
    told = mapping(usage)
    given = _count(told.get("prompt_tokens", told.get("input_tokens")))
    made = _count(told.get("completion_tokens", told.get("output_tokens")))
    if made is None and given is not None:  # embeddings
        made = 0
    details = mapping(told.get("prompt_tokens_details")) or mapping(told.get("input_tokens_details"))
    return given, made, _count(details.get("cached_tokens"))


def _count(value: Any) -> int | None:
    return value if value.__class__ is int and value >= 0 else None
