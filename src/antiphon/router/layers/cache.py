"""Answers that are given again: a layer that knows questions by what they mean."""

from __future__ import annotations

import logging
import math
from array import array
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from time import time
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from ...kernel.vectors import dot
from ..answers import ComposedAnswer
from ..events import Event, Finish, Reasoning, Start, Text, ToolArguments, ToolCall, ToolResult, Usage
from ..upstream.callers import caller_of
from .asking import Named, named
from .said import is_answer

if TYPE_CHECKING:
    from ..answers import Answer, Asked, Opening

    Embed: TypeAlias = Callable[[str], Awaitable[Sequence[float]]]
    Part: TypeAlias = Literal["user", "model", "system"]

__all__ = ("SemanticCache",)

log = logging.getLogger("antiphon.router")

_SCOPE: Final = ("user", "model", "system")
_MANY: Final = 50
"""More vectors than these are looked through on a thread, so that everybody else goes on."""
_INDIFFERENT: Final = frozenset(
    "extra_headers extra_query metadata model prompt_cache_key prompt_cache_options prompt_cache_retention "
    "safety_identifier service_tier store stream_options timeout user".split()
)
"""Parameters of a call that make no difference to its answer."""


@dataclass(slots=True)
class _Kept:
    """An answer."""

    scope: str
    text: str
    vector: array[float] | None
    until: float | None
    events: list[Event]
    dialect: str | None


class SemanticCache:
    """A layer that answers a question again that was asked before, in other words perhaps.

        SemanticCache(client, threshold=0.93, seconds=3600)

    - `client`: who makes vectors of questions, with `model` and `dimensions`: anything a resource takes as its client.
      Or `embed`, a coroutine function from a text to its vector.
    - `threshold`: the cosine of the angle between two questions from which on they mean the same; 1 for the same
      words only. How near is near is another matter with each model: try yours.
    - `seconds`: how long an answer is good for. `limit`: how many are kept, those not used for longest leave first.
    - `scope`: who shares an answer. Only the same `user`, the same `model` and the same `system` prompt, unless one of
      these is left out. What was said before the question, parameters, tools and pictures always have to be the same.
    - `user`: who asks, a function from the question; what a `Memory` before this layer has found, unless told.
    - `tools`: whether to keep answers that call tools, too.

    An answer is kept when it is complete. Given again it comes in the wire format of its caller, at once, with a usage
    of nothing, an id of its own and the header `x-semantic-cache: hit`. A caller that sends `cache-control: no-cache`,
    or asks again, gets a new one. Where the vector of a question cannot be had, the model is asked.
    """

    def __init__(
        self,
        client: Any = None,
        *,
        model: str = "text-embedding-3-small",
        dimensions: int | None = None,
        embed: Embed | None = None,
        threshold: float = 0.95,
        seconds: float | None = 3600.0,
        limit: int = 10_000,
        scope: Iterable[Part] = _SCOPE,
        user: Named | None = None,
        tools: bool = False,
        clock: Callable[[], float] = time,
    ) -> None:
        if (client is None) == (embed is None):
            raise TypeError("a SemanticCache has a client, or embed=, a coroutine function from a text to its vector")
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold is a cosine, more than 0 and at most 1; it was {threshold}")
        if limit < 1 or (seconds is not None and not seconds > 0):
            raise ValueError("limit is at least 1, and seconds are more than 0, or None for ever")
        self._scope = frozenset(scope)
        unknown = sorted(self._scope - set(_SCOPE))
        if unknown:
            raise ValueError(f"a scope has {', '.join(_SCOPE)}; not {', '.join(unknown)}")
        self.threshold = threshold
        self.seconds = seconds
        self.limit = limit
        self.tools = tools
        self._client = client
        self._body = {"model": model, "encoding_format": "float"} | ({"dimensions": dimensions} if dimensions else {})
        self._embed = embed
        self._user = user
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._scopes: dict[str, dict[str, _Kept]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget all answers."""
        self._kept.clear()
        self._scopes.clear()

    async def __call__(self, asked: Asked, ask: Opening) -> Answer:
        """Answer again, or ask and keep the answer."""
        question = _question(asked.messages)
        control = "" if asked.connection is None else asked.connection.headers.get("cache-control", "")
        user = await named(self._user, asked, "user")
        if question is None or asked.resource is None or "no-store" in control:
            return await ask(asked)
        text, rest = question
        scope = self._scope_of(asked, user, rest)
        vector: array[float] | None = None
        if "no-cache" not in control and not asked.again:
            found = self._same(scope, text)
            likeness = 1.0
            if found is None and self.threshold < 1:
                vector = await self._vector(text)
                found, likeness = await self._nearest(scope, vector)
            if found is not None:
                self._kept.move_to_end((found.scope, found.text))
                asked.headers.append(("x-semantic-cache", "hit"))
                asked.headers.append(("x-semantic-cache-similarity", f"{likeness:.4f}"))
                stream = asked.stream if asked.stream is not None else asked.resource.stream
                return ComposedAnswer(_again(found, self._clock()), streamed=stream, dialect=found.dialect)
        asked.headers.append(("x-semantic-cache", "miss"))
        answer = await ask(asked)
        gathered: list[Event] = []

        async def ended() -> None:
            if self._worth(gathered):
                await self._keep(scope, text, vector, gathered, answer.dialect)

        answer.watch(gathered.extend, ended)
        return answer

    # Questions

    def _scope_of(self, asked: Asked, user: str | None, rest: Any) -> str:
        """Who shares the answer to a question, as a digest of all that has to be the same."""
        from orjson import OPT_NON_STR_KEYS, OPT_SORT_KEYS, dumps

        resource: Any = asked.resource
        options = {**resource.options, **asked.options}
        same = [
            type(resource).__qualname__,
            user if "user" in self._scope else None,
            (options.get("model") or getattr(resource, "model", None)) if "model" in self._scope else None,
            getattr(resource, "system", None) if "system" in self._scope else None,
            {name: value for name, value in options.items() if name not in _INDIFFERENT},
            getattr(resource, "tools", ()),
            rest,
        ]
        return sha256(dumps(same, _named, OPT_SORT_KEYS | OPT_NON_STR_KEYS)).hexdigest()

    async def _vector(self, text: str) -> array[float] | None:
        """The vector of a text, of length 1; `None` where it cannot be had."""
        try:
            if self._embed is not None:
                numbers: Any = await self._embed(text)
            else:
                made = await caller_of(self._client, "embeddings").result("embeddings", {**self._body, "input": text})
                numbers = made.data[0].embedding
            vector = array("d", map(float, numbers))
        except Exception:
            log.warning("a question has no vector, and is asked", exc_info=True)
            return None
        length = math.hypot(*vector)
        return array("d", [each / length for each in vector]) if length and math.isfinite(length) else None

    # Answers

    def _same(self, scope: str, text: str) -> _Kept | None:
        found = self._scopes.get(scope, {}).get(text)
        return found if found is not None and self._good(found) else None

    async def _nearest(self, scope: str, vector: array[float] | None) -> tuple[_Kept | None, float]:
        """The answer to the question that is nearest, and how near, if it is near enough."""
        if vector is None:
            return None, 0.0
        near = [each for each in list(self._scopes.get(scope, {}).values()) if each.vector and self._good(each)]

        def nearest() -> tuple[_Kept | None, float]:
            best, likeness = None, -1.0
            for each in near:
                if each.vector is not None and len(each.vector) == len(vector):
                    alike = dot(each.vector, vector)
                    if alike > likeness:
                        best, likeness = each, alike
            return (best, min(likeness, 1.0)) if likeness >= self.threshold else (None, likeness)

        if len(near) <= _MANY:
            return nearest()
        import asyncio

        best, likeness = await asyncio.to_thread(nearest)
        # It may have had to leave meanwhile.
        return (best if best is not None and self._good(best) else None), likeness

    def _good(self, kept: _Kept) -> bool:
        """Whether an answer may be given; one that is too old leaves."""
        key = (kept.scope, kept.text)
        if self._kept.get(key) is not kept:
            return False
        if kept.until is None or kept.until > self._clock():
            return True
        self._drop(key)
        return False

    def _drop(self, key: tuple[str, str]) -> None:
        del self._kept[key]
        scope = self._scopes[key[0]]
        del scope[key[1]]
        if not scope:
            del self._scopes[key[0]]

    def _worth(self, events: Sequence[Event]) -> bool:
        """Whether an answer is kept: one that is complete."""
        last = events[-1] if events else None
        if not isinstance(last, Finish) or last.reason not in (("stop", "tool_calls") if self.tools else ("stop",)):
            return False
        return self.tools or not any(isinstance(each, (ToolCall, ToolResult)) for each in events)

    async def _keep(
        self, scope: str, text: str, vector: array[float] | None, events: list[Event], dialect: str | None
    ) -> None:
        if vector is None and self.threshold < 1:
            vector = await self._vector(text)
        key = (scope, text)
        until = None if self.seconds is None else self._clock() + self.seconds
        self._kept[key] = kept = _Kept(scope, text, vector, until, _joined(events), dialect)
        self._kept.move_to_end(key)
        self._scopes.setdefault(scope, {})[text] = kept
        if len(self._kept) > self.limit:
            self._drop(next(iter(self._kept)))


def _question(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]] | None:
    """The words of a question, and all else that it is made of; `None` where the user does not say anything."""
    if not messages or messages[-1].get("role", "user") != "user" or is_answer(messages[-1]):
        return None
    last = messages[-1]
    content = last.get("content")
    texts: list[str] = []
    others: list[Any] = []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            others.append(part)
    text = "\n".join(texts).strip()
    beside = {name: value for name, value in last.items() if name not in ("content", "id")}
    return (text, [*messages[:-1], beside, others]) if text else None


def _named(value: Any) -> Any:
    """What is no JSON, as something that is the same for the same thing."""
    name = getattr(value, "__qualname__", None) or getattr(value, "name", None)
    return f"{getattr(value, '__module__', '')}.{name}" if isinstance(name, str) else repr(value)


def _joined(events: Sequence[Event]) -> list[Event]:
    """Events with the pieces that belong together as one."""
    joined: list[Event] = []
    for (kind, identity), same in groupby(events, lambda each: (type(each), getattr(each, "id", None))):
        if kind in (Text, Reasoning):
            joined.append(kind("".join(each.text for each in same)))  # type: ignore[call-arg,union-attr]
        elif kind is ToolArguments:
            joined.append(ToolArguments(str(identity), "".join(each.text for each in same)))  # type: ignore[union-attr]
        else:
            joined.extend(same)
    return joined


async def _again(kept: _Kept, now: float) -> AsyncIterator[list[Event]]:
    """The events of an answer once more: another answer, which costs nothing."""
    from uuid import uuid4

    events = [each for each in kept.events if not isinstance(each, Usage)]
    for place, event in enumerate(events):
        if isinstance(event, Start) and event.id:
            joint = "-" if "-" in event.id else "_"
            events[place] = Start(event.id.partition(joint)[0] + joint + uuid4().hex, event.model, int(now))
    yield [*events[:-1], Usage(0, 0, cached_tokens=0), events[-1]]
