"""What an answer says, read from its body or from the events of its stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ("Called", "Said", "said")


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
    """What a body says, or the events of a stream do."""
    if not events:
        return _whole(answer) if isinstance(answer, Mapping) else Said()
    told = [event for event in events if isinstance(event, Mapping)]
    for event in reversed(told):
        response: Any = event.get("response")
        if isinstance(response, Mapping):
            return _typed(told) if response.get("status") in ("queued", "in_progress") else _whole(response)
    return _chunks(told)


def _whole(body: Mapping[str, Any]) -> Said:
    texts: list[str] = []
    tools: list[Called] = []
    for choice in body.get("choices") or ():
        message = choice.get("message") or {}
        texts.append(message.get("content") or message.get("refusal") or choice.get("text") or "")
        tools += [_call(call) for call in message.get("tool_calls") or ()]
        if message.get("function_call"):
            tools.append(Called(message["function_call"]["name"], message["function_call"]["arguments"]))
    output: Any = body.get("output")
    for item in output if isinstance(output, list) else ():
        if item.get("type") == "message":
            texts += [part.get("text") or part.get("refusal") or "" for part in item.get("content") or ()]
        elif "call_id" in item and item.get("name"):
            tools.append(Called(item["name"], item.get("arguments") or item.get("input") or ""))
    if isinstance(body.get("text"), str):  # a transcript
        texts.append(body["text"])
    return Said("".join(texts), tools, *_tokens(body.get("usage")))


def _call(call: Mapping[str, Any]) -> Called:
    inner = call.get("function") or call.get("custom") or {}
    return Called(inner.get("name") or "", inner.get("arguments") or inner.get("input") or "")


def _typed(events: Sequence[Mapping[str, Any]]) -> Said:
    """What the events of a Response say that did not come to its end."""
    texts: list[str] = []
    calls: dict[Any, list[str]] = {}
    for event in events:
        kind, item = event.get("type"), event.get("item")
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            texts.append(str(event.get("delta") or ""))
        elif kind == "response.output_item.added" and isinstance(item, Mapping) and "call_id" in item:
            calls[item.get("id")] = [str(item.get("name") or ""), ""]
        elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
            calls.setdefault(event.get("item_id"), ["", ""])[1] += str(event.get("delta") or "")
    return Said("".join(texts), [Called(name, arguments) for name, arguments in calls.values()])


def _chunks(events: Sequence[Mapping[str, Any]]) -> Said:
    texts: list[str] = []
    calls: dict[tuple[int, int], list[str]] = {}
    usage: Any = None
    for event in events:
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            texts.append(delta.get("content") or delta.get("refusal") or choice.get("text") or "")
            for call in delta.get("tool_calls") or ():
                name, arguments = _call(call)
                told = calls.setdefault((choice.get("index", 0), call.get("index", 0)), ["", ""])
                told[0] += name
                told[1] += arguments
    return Said("".join(texts), [Called(name, arguments) for name, arguments in calls.values()], *_tokens(usage))


def _tokens(usage: Any) -> tuple[int | None, int | None, int | None]:
    if not isinstance(usage, Mapping):
        return None, None, None
    given = usage.get("prompt_tokens", usage.get("input_tokens"))
    made = usage.get("completion_tokens", usage.get("output_tokens"))
    if made is None and given is not None:  # embeddings
        made = 0
    details: Any = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    return given, made, details.get("cached_tokens")
