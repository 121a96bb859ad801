"""Messages of templates, as graders and evals have them: filled, and as a chat or as the input of a Response.

The content of such a message is a text, a part (a text, a picture, a sound), or a list of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .renderings.responses_request import input_items, messages_of
from .templates import filled

__all__ = ("as_chat", "as_input", "text_of")


def as_input(messages: Iterable[Mapping[str, Any]], find: Callable[[str], Any] | None = None) -> list[dict[str, Any]]:
    """The items that a Response is asked with. `find` gives what the templates name; without it they are none."""
    items: list[dict[str, Any]] = []
    for message in messages:
        item = dict(message) if find is None else filled(dict(message), find)
        if "content" in item:
            kind = "output_text" if item.get("role") == "assistant" else "input_text"
            item["content"] = _parts(item["content"], kind)
        items.append(item)
    return items


def as_chat(messages: Iterable[Mapping[str, Any]], find: Callable[[str], Any] | None = None) -> list[dict[str, Any]]:
    """The messages of a chat. `find` gives what the templates name; without it they are none."""
    chat: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    for item in as_input(messages, find):
        if item.get("tool_calls") or item.get("role") in ("tool", "function"):  # it is of a chat already
            chat += messages_of(input_items(items))
            items = []
            chat.append({name: value for name, value in item.items() if name != "type"})
        else:
            items.append(item)
    return chat + messages_of(input_items(items))


def text_of(content: Any) -> str:
    """What a content says, with the text of its parts one below the other."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content] if content else []
    return "\n".join(part if isinstance(part, str) else _text_of_part(part) for part in parts)


def _text_of_part(part: Mapping[str, Any]) -> str:
    text = part.get("text", part.get("refusal"))
    return text if isinstance(text, str) else f"[{part.get('type', 'part')}]"


def _parts(content: Any, kind: str) -> Any:
    if content is None or isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return [{"type": kind, "text": part} if isinstance(part, str) else part for part in parts]
