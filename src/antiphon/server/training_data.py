"""Files of examples for fine-tuning: what is wrong with one, and how many tokens it has.

Each line is a JSON object. What is in it depends on the method, and for `supervised` on whether the model chats:

    supervised       {"messages": [{"role": …, "content": …}, …], "tools"?: […], "parallel_tool_calls"?: …}
    supervised       {"prompt": …, "completion": …}                      for babbage-002 and davinci-002
    dpo              {"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}
    reinforcement    {"messages": […], …}                                 and whatever the grader reads of the item

API reference: https://platform.openai.com/docs/api-reference/fine-tuning/chat-input and …/preference-input
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from . import tokens
from .engine import text_of

__all__ = ("LEAST", "Examples", "completes", "examples")

LEAST: Final = 10
"""So many examples a file has at the least."""

_ROLES: Final = ("system", "developer", "user", "assistant", "tool", "function")


class Examples(NamedTuple):
    """A file of examples."""

    lines: int
    tokens: int
    wrong: list[str]
    """What is wrong with it, in the order of its lines."""


def completes(model: str) -> bool:
    """Whether a model continues texts and does not chat."""
    return model.removeprefix("ft:").startswith(("babbage-002", "davinci-002"))


def examples(data: bytes, method: str, model: str, *, least: int = LEAST) -> Examples:
    """Read a file of examples."""
    check = _prompted if method == "supervised" and completes(model) else _CHECKS[method]
    count = size = 0
    wrong: list[str] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        count += 1
        try:
            row: Any = orjson.loads(line)
        except orjson.JSONDecodeError:
            wrong.append(f"Line {number} is not valid JSON.")
            continue
        if not isinstance(row, dict):
            wrong.append(f"Line {number} is not a JSON object.")
            continue
        found = [f"Line {number}: {each}" for each in check(row)]
        wrong += found
        if not found:
            size += sum(tokens.count(text, model) for text in _texts(row))
    if not wrong and count < least:
        wrong.append(f"The file has {count} example{'s' if count != 1 else ''}, but must have at least {least}.")
    return Examples(count, size, wrong)


def _messages(value: Any, where: str, *, answered: bool) -> Iterator[str]:
    if not isinstance(value, list) or not value:
        yield f"'{where}' has to be a list of messages."
        return
    last: Any = None
    for index, message in enumerate(value):
        place = f"{where}[{index}]"
        if not isinstance(message, dict):
            yield f"'{place}' is not an object."
            continue
        last = message
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES:
            yield f"'{place}.role' is {role!r}; it has to be one of {', '.join(_ROLES)}."
        if content is None and not (
            role == "assistant" and (message.get("tool_calls") or message.get("function_call"))
        ):
            yield f"'{place}.content' is missing."
        elif content is not None and not isinstance(content, (str, list)):
            yield f"'{place}.content' has to be a string or a list of parts."
        weight = message.get("weight")
        if weight is not None and weight not in (0, 1):
            yield f"'{place}.weight' is {weight!r}; it has to be 0 or 1."
    if answered and not any(isinstance(each, dict) and each.get("role") == "assistant" for each in value):
        yield f"'{where}' has no message of the assistant."
    if not answered and isinstance(last, dict) and last.get("role") == "assistant":
        yield f"'{where}' ends with a message of the assistant; it has to end with what is to be answered."


def _chat(row: Mapping[str, Any]) -> Iterator[str]:
    if "messages" not in row:
        yield "'messages' is missing."
        return
    yield from _messages(row["messages"], "messages", answered=True)


def _reinforced(row: Mapping[str, Any]) -> Iterator[str]:
    if "messages" not in row:
        yield "'messages' is missing."
        return
    yield from _messages(row["messages"], "messages", answered=False)


def _preferred(row: Mapping[str, Any]) -> Iterator[str]:
    given = row.get("input")
    if not isinstance(given, dict):
        yield "'input' has to be an object with 'messages'."
    else:
        yield from _messages(given.get("messages"), "input.messages", answered=False)
    for name in ("preferred_output", "non_preferred_output"):
        yield from _messages(row.get(name), name, answered=True)


def _prompted(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("prompt", "completion"):
        if not isinstance(row.get(name), str):
            yield f"'{name}' has to be a string."


_CHECKS: Final[dict[str, Callable[[Mapping[str, Any]], Iterator[str]]]] = {
    "supervised": _chat,
    "dpo": _preferred,
    "reinforcement": _reinforced,
}


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    """What of an example is trained on."""
    for name in ("prompt", "completion"):
        if name in row:
            yield row[name]
    given = row.get("input")
    lists = [row.get("messages"), given.get("messages") if isinstance(given, dict) else None]
    for messages in (*lists, row.get("preferred_output"), row.get("non_preferred_output")):
        for message in messages or ():
            yield text_of(message)
            for call in message.get("tool_calls") or ():
                yield str((call.get("function") or {}).get("arguments") or "")
