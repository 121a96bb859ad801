"""What a chat remembers, and how it forgets: the oldest first, the calls of tools with their results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...kernel.view import plain

__all__ = ("Tokens", "blocks", "message", "trimmed")

Message = dict[str, Any]

_CONTEXT = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio")
"""What of a message belongs to the conversation. The rest (annotations, what a host adds) is told, not sent back."""

PER_MESSAGE = 4
"""Tokens a message costs beside its words."""
PER_IMAGE = 800
"""Tokens a picture is taken to cost, whatever its size: the API tells only once it has been paid."""
BYTES_PER_TOKEN = 4.0
"""What a token is taken to be worth until a host has said how many it counted."""


def message(given: Any) -> Message:
    """A message of a completion, or one the caller wrote, as it is sent back."""
    said = plain(given)
    if not isinstance(said, Mapping) or not isinstance(said.get("role"), str):
        raise TypeError(f"a message is a mapping with a role and content, not {given!r}")
    kept = {key: said[key] for key in _CONTEXT if said.get(key) is not None}
    if not isinstance(kept.get("content", ""), (str, list)):
        del kept["content"]
    audio = kept.get("audio")
    if isinstance(audio, Mapping) and "id" in audio:
        kept["audio"] = {"id": audio["id"]}
    if kept["role"] == "assistant":
        # Hosts that insist on the field take null beside calls, and nowhere else.
        kept.setdefault("content", None if "tool_calls" in kept else "")
    return kept


def blocks(messages: Sequence[Message]) -> list[list[Message]]:
    """Messages in groups that stand and leave together: a message that calls tools with the results, or one message."""
    grouped: list[list[Message]] = []
    for each in messages:
        if each["role"] in ("tool", "function") and grouped and grouped[-1][0]["role"] == "assistant":
            grouped[-1].append(each)
        else:
            grouped.append([each])
    return grouped


def trimmed(messages: Sequence[Message], kept: int, fits: Callable[[Sequence[Message]], bool]) -> list[Message]:
    """The newest of the messages that fit; the last `kept` always stay.

    Whole groups leave, oldest first; and since most hosts want a conversation to begin with the user, what is left
    of an older question's answer leaves with it.
    """
    left = list(messages)
    if fits(left):
        return left
    old, new = left[: len(left) - kept], left[len(left) - kept :]
    groups = blocks(old)
    while groups and not fits([*(each for group in groups for each in group), *new]):
        del groups[0]
    begins = next((n for n, group in enumerate(groups) if group[0]["role"] not in ("assistant", "tool")), None)
    if begins is None and new and new[0]["role"] not in ("assistant", "tool"):
        begins = len(groups)
    return [*(each for group in groups[begins or 0 :] for each in group), *new]


class Tokens:
    """How many tokens messages have: counted by a function of the caller, or estimated.

    An estimate goes by the bytes of the text. It learns from what the host counts: after the first answer it is off
    by a few per cent, in whatever language and with whatever tokenizer.
    """

    def __init__(self, count: Callable[[str], int] | None = None) -> None:
        self.count = count
        self._rate = 1.0 / BYTES_PER_TOKEN
        self._sizes: dict[int, tuple[Message, int, int]] = {}

    def of(self, messages: Iterable[Message], more: str = "") -> int:
        """Tokens of messages, and of more text that goes with them."""
        total = float(self._text(more))
        for each in messages:
            size, fixed = self._size(each)
            total += fixed + (size if self.count is not None else size * self._rate)
        return round(total)

    def learn(self, messages: Sequence[Message], more: str, counted: int) -> None:
        """What the host counted for messages that were sent."""
        if self.count is not None or counted <= 0:
            return
        sizes = [self._size(each) for each in messages]
        size = sum(size for size, _ in sizes) + len(more.encode())
        fixed = sum(fixed for _, fixed in sizes)
        if size and counted > fixed:
            # Hosts that count strangely are not believed beyond reason.
            self._rate = min(max((counted - fixed) / size, 1 / 16), 2.0)

    def _text(self, text: str) -> float:
        if not text:
            return 0.0
        return self.count(text) if self.count is not None else len(text.encode()) * self._rate

    def _size(self, each: Message) -> tuple[int, int]:
        """Tokens or bytes of the words of a message, and the tokens of what is no words."""
        known = self._sizes.get(id(each))
        if known is not None and known[0] is each:
            return known[1], known[2]
        texts: list[str] = []
        fixed = PER_MESSAGE + _collect(each, texts)
        size = sum(map(self.count, texts)) if self.count is not None else sum(len(text.encode()) for text in texts)
        if len(self._sizes) > 4096:
            self._sizes.clear()
        self._sizes[id(each)] = (each, size, fixed)  # holds the message, so that its id stays its own
        return size, fixed


def _collect(value: Any, texts: list[str]) -> int:
    """Gather the texts of a message; the tokens of the pictures and sounds in it."""
    if isinstance(value, str):
        texts.append(value)
        return 0
    if isinstance(value, Mapping):
        if value.get("type") in ("image_url", "input_audio", "file"):
            return PER_IMAGE
        return sum(_collect(each, texts) for key, each in value.items() if key not in ("role", "type", "id", "index"))
    if isinstance(value, (list, tuple)):
        return sum(_collect(each, texts) for each in value)
    return 0
