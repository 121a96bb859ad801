"""What models remember of prompts: their beginnings, block by block, as servers of models cache them.

A prompt that begins as an earlier one did is read faster, and its usage says so. What counts is the order in which
prompts came and the clock, so the same requests always find the same.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from ..server.engine import text_of
from ..server.tokens import encode, message_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..server.engine import ChatRequest

__all__ = ("Cache", "Caches", "Found")

_MODELS: Final = 1000
"""Models that are remembered: their names come from callers."""

_LIVES: Final = {"in_memory": 600.0, "30m": 1800.0, "12h": 43_200.0, "24h": 86_400.0}
"""Seconds for which a prefix is kept after its last use, by how a request says it. In memory it is minutes."""

_FRAME: Final = 3
"""Tokens that frame a message, and those that begin the answer."""


_MARK: Final = "prompt_cache_breakpoint"
_LOOKED_AT: Final = 80
"""Of the places where requests say that a prefix ends, the last ones, which are looked for."""


class Found(NamedTuple):
    """What a cache had of a prompt."""

    prompt: int
    """Tokens of the prompt."""
    cached: int
    """Of these, the ones that the cache had."""
    written: int
    """And the ones that it has now, and had not."""


class Cache:
    """The prefixes of one model's prompts: `blocks` of `block` tokens each, the last used ones.

    A beginning of less than `least` tokens is not used.
    """

    def __init__(self, blocks: int, block: int, least: int) -> None:
        self.size = (blocks, block, least)
        self.queries = 0
        """Tokens that were looked for, and those that were there."""
        self.hits = 0
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, request: ChatRequest, now: float) -> Found:
        """What there is of a request's prompt, which is remembered from now on."""
        tokens, total, marks = _read(request)
        blocks, block, least = self.size
        explicit, life = _is_explicit(request.body), _life(request.body)
        known = total >= least
        # The last token is always read.
        places = range(block, min(total, len(tokens) + 1), block)[:blocks] if known and not explicit else range(0)
        named = {at: life if own is None else own for at, own in marks[-_LOOKED_AT:] if least <= at < total}
        kept = {**dict.fromkeys(places, life), **dict(list(named.items())[-(4 if explicit else 3) :])}
        keys = _keys(_root(request), tokens, sorted({*places, *named}))
        with self._lock:
            ends = self._ends
            there = 0
            for at in places:
                if ends.get(keys[at], now) <= now:
                    break
                there = at
            there = max([there, *(at for at in named if ends.get(keys[at], now) > now)])
            if there < least:
                there = 0
            if not request.choice:  # further choices read the prompt of the first
                self.queries += total
                self.hits += there
            for at in sorted(kept, reverse=True):  # what comes first is needed longest
                until = now + kept[at]
                ends[keys[at]] = max(ends.get(keys[at], until), until)
                ends.move_to_end(keys[at])
            while len(ends) > blocks:
                ends.popitem(last=False)
        return Found(total, there, max([0, *(at - there for at in kept)]))

    def used(self, now: float) -> float:
        """How full it is, 1 at most."""
        with self._lock:
            return sum(end > now for end in self._ends.values()) / self.size[0]


class Caches:
    """The caches of models, by name."""

    def __init__(self) -> None:
        self._named: OrderedDict[str, Cache] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, model: str, blocks: int, block: int, least: int) -> Cache:
        """The cache of a model: an empty one where it had none of this size."""
        with self._lock:
            found = self._named.get(model)
            if found is None or found.size != (blocks, block, least):
                found = self._named[model] = Cache(blocks, block, least)
                while len(self._named) > _MODELS:
                    self._named.popitem(last=False)
            return found

    def items(self) -> list[tuple[str, Cache]]:
        """Models and their caches."""
        with self._lock:
            return list(self._named.items())


def _is_explicit(body: Mapping[str, Any]) -> bool:
    """Whether a request says itself where prefixes end, and wants no others."""
    options: Any = body.get("prompt_cache_options")
    return isinstance(options, dict) and options.get("mode") == "explicit"


def _life(body: Mapping[str, Any]) -> float:
    options: Any = body.get("prompt_cache_options")
    said = (body.get("prompt_cache_retention"), options.get("ttl") if isinstance(options, dict) else None)
    return max((_LIVES[each] for each in said if isinstance(each, str) and each in _LIVES), default=_LIVES["24h"])


def _root(request: ChatRequest) -> bytes:
    """What prompts have to have in common besides how they begin."""
    return orjson.dumps([request.body.get("prompt_cache_key"), list(request.response_format)], default=str)


def _keys(root: bytes, tokens: Sequence[int], places: Sequence[int]) -> dict[int, bytes]:
    """A key for each of these places, which stands for all up to it."""
    packed = array("i", tokens)
    hashed = blake2b(root, digest_size=16)
    keys: dict[int, bytes] = {}
    before = 0
    for at in places:
        hashed.update(packed[before:at].tobytes())
        keys[at] = hashed.digest()
        before = at
    return keys


def _marks(request: ChatRequest) -> dict[tuple[int, int], Any]:
    """Where a request says that a prefix ends, by message and part."""
    if not request.items:
        return {
            (place, part): end
            for place, message in enumerate(request.messages)
            for part, end in _marked(message.get("content"))
        }
    # Messages of items do not have it any more, but are in their order.
    marked = [(place, found) for place, item in enumerate(request.items) if (found := _marked(item.get("content")))]
    if not marked:
        return {}
    from ..server.renderings.responses_request import messages_of

    items: list[Any] = [*request.items]
    before = len(request.messages) - len(messages_of(items))
    return {
        (before + len(messages_of(items[: place + 1])) - 1, part): end for place, found in marked for part, end in found
    }


def _marked(content: Any) -> list[tuple[int, Any]]:
    parts: list[Any] = [*content] if isinstance(content, (list, tuple)) else []
    ends: Any = ((place, part.get(_MARK)) for place, part in enumerate(parts) if isinstance(part, dict))
    return [(place, end) for place, end in ends if isinstance(end, dict)]


def _read(request: ChatRequest) -> tuple[list[int], int, list[tuple[int, float | None]]]:
    """The tokens of a prompt, as many as its usage tells but for those that begin the answer, and their number in all.

    And where the request says that prefixes end, with the seconds for which each is kept. What is no text is told
    apart, and counted, and has no tokens of its own.
    """
    model, body = request.model, request.body
    if request.dialect == "completions":
        tokens = [token for message in request.messages for token in encode(text_of(message), model)]
        return tokens, len(tokens), []
    tokens, marks = [], _marks(request)
    ends: list[tuple[int, float | None]] = []
    for tool in body.get("tools") or body.get("functions") or ():
        tokens += _json(tool, model)
    for place, message in enumerate(request.messages):
        tokens += [-1] * _FRAME
        for key, value in message.items():
            if key == "content" and value is not None:
                for number, part in enumerate(value if isinstance(value, (list, tuple)) else (value,)):
                    tokens += _part(part, model)
                    if (place, number) in marks:
                        ends.append((len(tokens), _LIVES.get(str(marks[place, number].get("ttl")))))
            elif isinstance(value, str):
                tokens += encode(value, model)
                if key == "name":
                    tokens.append(-1)
            elif value is not None:
                tokens += _json(value, model)
    return tokens, len(tokens) + _FRAME, ends


def _part(part: Any, model: str) -> list[int]:
    if isinstance(part, str):
        return encode(part, model)
    text = (part.get("text") or part.get("refusal")) if isinstance(part, dict) else None
    if isinstance(text, str):
        return encode(text, model)
    # As many as it counts for, all of them what it is.
    count = message_tokens([{"content": [part]}], model) - 2 * _FRAME
    what = {name: value for name, value in part.items() if name != _MARK} if isinstance(part, dict) else part
    told = blake2b(orjson.dumps(what, default=str), digest_size=4).digest()
    return [int.from_bytes(told, "big", signed=True)] * count


def _json(value: Any, model: str) -> list[int]:
    return encode(orjson.dumps(value, default=str).decode(), model)
