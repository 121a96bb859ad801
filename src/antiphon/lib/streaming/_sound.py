"""Chunks of chat completions as the accumulators need them, whatever host they come from.

    choices        null, no list, with entries that are no objects: passed over
    delta          missing, or under `message`
    content        in parts: their words
    index          missing, or no number: the place in the list
    tool_calls     without `index` or `id`, with the same `index` for each call, arguments as an object
    logprobs       no object, or without lists: passed over

The chunk itself is left as it is; a choice that is sound is given as it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ("CallNumbers", "sound_choices", "words_of")

JSON = dict[str, Any]

_TEXTS = ("content", "refusal", "role", "reasoning_content", "reasoning")


def sound_choices(data: JSON, calls: dict[int, CallNumbers]) -> Iterator[tuple[int, JSON]]:
    """The choices of a chunk with their numbers. `calls` remembers the calls of each choice from chunk to chunk."""
    choices: Any = data.get("choices")
    if choices.__class__ is not list:
        return
    for place, part in enumerate(choices):
        if part.__class__ is not dict:
            continue
        index = part.get("index")
        if index.__class__ is not int:
            index = place
        delta = part.get("delta")
        if (
            delta.__class__ is dict
            and len(delta) == 1
            and delta.get("content").__class__ is str
            and part.get("logprobs") is None
            and part.get("finish_reason") is None
        ):
            yield index, part  # what nearly every choice is
        else:
            yield index, _sound(part, index, calls)


def _sound(part: JSON, index: int, calls: dict[int, CallNumbers]) -> JSON:
    delta: Any = part.get("delta")
    if delta.__class__ is not dict:
        delta = part.get("message")
    made = {**part, "index": index, "delta": _sound_delta(delta, index, calls) if delta.__class__ is dict else {}}
    made.pop("message", None)
    if not (made.get("finish_reason") is None or made["finish_reason"].__class__ is str):
        made["finish_reason"] = None
    logprobs: Any = made.get("logprobs")
    if logprobs is not None:
        lists = logprobs.items() if logprobs.__class__ is dict else ()
        made["logprobs"] = {key: each for key, each in lists if each.__class__ is list} or None
    return made


def _sound_delta(delta: JSON, index: int, calls: dict[int, CallNumbers]) -> JSON:
    made = dict(delta)
    for key in _TEXTS:
        value = made.get(key)
        if value is None or value.__class__ is str:
            continue
        if key == "content" and value.__class__ is list:
            made[key] = "".join(words_of(value))
        else:
            del made[key]
    if "tool_calls" in made:
        listed = made["tool_calls"]
        numbers = calls.get(index)
        if numbers is None:
            numbers = calls[index] = CallNumbers()
        entries = listed if listed.__class__ is list else ()
        made["tool_calls"] = [numbers.numbered(each) for each in entries if each.__class__ is dict] or None
    function = made.get("function_call")
    if function is not None and function.__class__ is not dict:
        del made["function_call"]
    return made


def words_of(parts: list[Any]) -> Iterator[str]:
    """The words of content that is in parts."""
    for part in parts:
        if part.__class__ is str:
            yield part
        elif part.__class__ is dict and part.get("text").__class__ is str:
            yield part["text"]


class _Known:
    __slots__ = ("identity", "index", "name", "number", "said")

    def __init__(self, number: int, identity: Any, index: Any, name: Any) -> None:
        self.number = number
        self.identity = identity
        self.index = index
        self.name = name
        self.said: list[str] = []


class CallNumbers:
    """Which call each piece of the calls of a message belongs to, whatever the host calls it."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: list[_Known] = []

    def numbered(self, entry: JSON) -> JSON:
        """A piece of a call, with the number of the call it belongs to as its `index`, and nothing unsound in it."""
        identity, index = entry.get("id"), entry.get("index")
        function: Any = entry.get("function")
        identity = identity if identity.__class__ is str and identity else None
        index = index if index.__class__ is int else None
        sound = _sound_function(function) if function.__class__ is dict else None
        name = sound.get("name") if sound else None
        known = self._belongs(identity, index, name)
        if known is None:
            taken = {each.number for each in self._known}
            number = index if index is not None and index not in taken else max(taken, default=-1) + 1
            known = _Known(number, identity, index, name)
            self._known.append(known)
        known.identity = known.identity or identity
        known.name = known.name or name
        made = {**entry, "index": known.number}
        if identity is None:
            made.pop("id", None)
        if sound is not None:
            made["function"] = sound
            if sound.get("arguments"):
                known.said.append(sound["arguments"])
        elif function is not None:
            del made["function"]
        return made

    def _belongs(self, identity: str | None, index: int | None, name: str | None) -> _Known | None:
        for known in reversed(self._known):
            if identity is not None and known.identity is not None:
                if identity == known.identity:
                    return known
            elif index is not None and known.index is not None:
                if index == known.index and not _begins(known, name):
                    return known
            elif not _begins(known, name):
                return known
        return None


def _begins(known: _Known, name: str | None) -> bool:
    """Whether a piece that names a function begins another call of it: the arguments of the known one are complete."""
    if not name:
        return False
    if known.name is not None and known.name != name:
        return True
    from orjson import JSONDecodeError, loads

    try:
        loads("".join(known.said))
    except JSONDecodeError:
        return False
    return True


def _sound_function(function: JSON) -> JSON:
    made = dict(function)
    name, arguments = made.get("name"), made.get("arguments")
    if "name" in made and not (name.__class__ is str and name):
        del made["name"]
    if "arguments" in made and arguments.__class__ is not str:
        if arguments is None:
            del made["arguments"]
        else:
            from orjson import dumps

            made["arguments"] = dumps(arguments).decode()
    return made
