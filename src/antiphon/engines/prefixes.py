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
        tokens, total = _read(request)
        blocks, block, least = self.size
        keys: list[bytes] = []
        if total >= least and not _declined(request.body):
            keys = _keys(_root(request), tokens[: total - 1], block)[:blocks]  # the last token is always read
        until = now + _life(request.body)
        with self._lock:
            ends = self._ends
            there = next((place for place, key in enumerate(keys) if ends.get(key, now) <= now), len(keys))
            if there * block < least:
                there = 0
            if not request.choice:  # further choices read the prompt of the first
                self.queries += total
                self.hits += there * block
            for key in reversed(keys):  # what comes first is needed longest
                ends[key] = max(ends.get(key, until), until)
                ends.move_to_end(key)
            while len(ends) > blocks:
                ends.popitem(last=False)
        return Found(total, there * block, (len(keys) - there) * block)

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


def _declined(body: Mapping[str, Any]) -> bool:
    """Whether a request wants no cache: it would say itself where prefixes end, and says it nowhere."""
    options: Any = body.get("prompt_cache_options")
    if not isinstance(options, dict) or options.get("mode") != "explicit":
        return False
    said = (body.get(name) for name in ("messages", "input"))
    return b'"prompt_cache_breakpoint":{' not in orjson.dumps([*said], default=str)


def _life(body: Mapping[str, Any]) -> float:
    options: Any = body.get("prompt_cache_options")
    said = (body.get("prompt_cache_retention"), options.get("ttl") if isinstance(options, dict) else None)
    return max((_LIVES[each] for each in said if isinstance(each, str) and each in _LIVES), default=_LIVES["24h"])


def _root(request: ChatRequest) -> bytes:
    """What prompts have to have in common besides how they begin."""
    return orjson.dumps([request.body.get("prompt_cache_key"), list(request.response_format)], default=str)


def _keys(root: bytes, tokens: Sequence[int], block: int) -> list[bytes]:
    """A key for each whole block, which stands for all up to its end."""
    packed = array("i", tokens)
    hashed = blake2b(root, digest_size=16)
    keys: list[bytes] = []
    for start in range(0, len(packed) - block + 1, block):
        hashed.update(packed[start : start + block].tobytes())
        keys.append(hashed.digest())
    return keys


def _read(request: ChatRequest) -> tuple[list[int], int]:
    """The tokens of a prompt, as many as its usage tells but for those that begin the answer, and their number in all.

    What is no text is told apart, and counted, and has no tokens of its own.
    """
    model, body = request.model, request.body
    if request.dialect == "completions":
        tokens = [token for message in request.messages for token in encode(text_of(message), model)]
        return tokens, len(tokens)
    tokens = []
    for tool in body.get("tools") or body.get("functions") or ():
        tokens += _json(tool, model)
    for message in request.messages:
        tokens += [-1] * _FRAME
        for key, value in message.items():
            if isinstance(value, str):
                tokens += encode(value, model)
                if key == "name":
                    tokens.append(-1)
            elif key == "content" and isinstance(value, (list, tuple)):
                for part in value:
                    tokens += _part(part, model)
            elif value is not None:
                tokens += _json(value, model)
    return tokens, len(tokens) + _FRAME


def _part(part: Any, model: str) -> list[int]:
    if isinstance(part, str):
        return encode(part, model)
    text = (part.get("text") or part.get("refusal")) if isinstance(part, dict) else None
    if isinstance(text, str):
        return encode(text, model)
    # As many as it counts for, all of them what it is.
    count = message_tokens([{"content": [part]}], model) - 2 * _FRAME
    told = blake2b(orjson.dumps(part, default=str), digest_size=4).digest()
    return [int.from_bytes(told, "big", signed=True)] * count


def _json(value: Any, model: str) -> list[int]:
    return encode(orjson.dumps(value, default=str).decode(), model)
