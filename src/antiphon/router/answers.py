"""Answers under way: what an endpoint has opened upstream and hands on as it comes.

    answer = await resource.open(asked)          raises where the upstream says no
    while (events := await answer.next()) is not None: ...
    await answer.close()                         at any time; the upstream then stops at once

Who hands an answer on asks for the next piece when the last one has been taken, and nobody reads ahead: a slow
reader slows the upstream down, and what is held is one piece.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from .errors import Failed, error_of
from .events import Error, Event, Finish, Text

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from .resources.base import Resource
    from .upstream.reader import Reader

__all__ = (
    "Answer",
    "Asked",
    "ComposedAnswer",
    "Layer",
    "Opening",
    "PassedAnswer",
    "Raw",
    "StreamedAnswer",
    "WholeAnswer",
)

Raw: TypeAlias = tuple[bytes, str | None]
"""The data and the name of one server-sent event of an upstream."""


@dataclass(slots=True)
class Asked:
    """One question to a resource, whichever wire format it came in."""

    messages: list[dict[str, Any]]
    """The conversation as `POST /chat/completions` has it; the items of an input, for a Response."""
    stream: bool | None = None
    """What the caller said about streaming; `None`: what the resource says."""
    options: dict[str, Any] = field(default_factory=dict)
    """Parameters of the call that the caller gave, of those the route lets callers give."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The request's body, or the websocket's message, as it came."""
    connection: HTTPConnection | None = None
    """The request, or the websocket, that the question came with."""
    resource: Resource | None = None
    """What answers in the end. Known to layers."""
    again: bool = False
    """Whether the last question is asked once more, for another answer in place of the one it had."""
    state: dict[str, Any] = field(default_factory=dict)
    """For layers to leave something to each other."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """What layers add to the headers of the response. The answers on a websocket have none."""


class _Watcher(NamedTuple):
    saw: Callable[[list[Event]], None]
    ended: Callable[[], Awaitable[None]] | None


class Answer:
    """One answer under way."""

    dialect: str | None = None
    """Which API it is an answer of, `chat` or `responses`; `None` where it is of neither."""
    has_raw = False
    """Whether `next_raw` gives the stream of that API as the upstream wrote it."""
    streamed = True
    """Whether it comes in pieces."""
    ended = False
    """Whether there is no more; known as soon as the last piece has been given."""
    request_id: str | None = None
    """The upstream's name for the request."""
    secrets: Iterable[str] = ()
    """What nobody must be told, such as the upstream's key."""

    def __init__(self) -> None:
        self._watchers: list[_Watcher] = []
        self._settled = False

    async def next(self) -> list[Event] | None:
        """The events that come next, those that arrived together in one list; `None` at the end."""
        raise NotImplementedError

    async def next_raw(self) -> list[Raw] | None:
        """The events as the upstream wrote them; `None` at the end, after which `last` tells what went wrong."""
        raise NotImplementedError

    @property
    def last(self) -> Error | None:
        """After the end of `next_raw`: the error that the upstream did not tell in its stream, if there is one."""
        return None

    async def body(self) -> bytes:
        """The whole as the API's JSON. Raises where there is none."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stop the upstream, wherever it is. May be called twice."""
        await self._settle()

    def watch(self, saw: Callable[[list[Event]], None], ended: Callable[[], Awaitable[None]] | None = None) -> None:
        """Have the events told to a function as they are handed on, in whatever format.

        `ended` is awaited once: before the last events are handed on, or when the answer is left before its end. It
        runs to its own end, even when the caller leaves meanwhile.
        """
        self._watchers.append(_Watcher(saw, ended))

    def failure(self, error: BaseException) -> Error:
        """What an exception of this answer says to the caller."""
        return error_of(error, self.secrets)

    async def _tell(self, events: list[Event]) -> None:
        """Tell the watchers, where there are any."""
        for watcher in self._watchers:
            watcher.saw(events)
        if self.ended:
            await self._settle()

    async def _settle(self) -> None:
        if not self._settled:
            self._settled = True
            ending = [watcher.ended for watcher in self._watchers if watcher.ended is not None]
            if ending:
                await undisturbed(_all(ending))

    async def __aiter__(self) -> AsyncIterator[Event]:
        try:
            while (events := await self.next()) is not None:
                for event in events:
                    yield event
        finally:
            await self.close()


async def _all(ending: list[Callable[[], Awaitable[None]]]) -> None:
    """Call them one after the other; of those that raise, the first is raised once all were called."""
    failed: Exception | None = None
    for each in ending:
        try:
            await each()
        except Exception as error:
            failed = failed or error
    if failed is not None:
        raise failed


_under_way: Final[set[asyncio.Task[None]]] = set()


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Do it to its end: whoever waits for it may be cancelled meanwhile, and then waits no longer."""
    task = asyncio.get_running_loop().create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    await asyncio.shield(task)


if TYPE_CHECKING:
    Opening: TypeAlias = Callable[[Asked], Awaitable[Answer]]
    Layer: TypeAlias = Callable[[Asked, Opening], Awaitable[Answer]]
else:
    Opening = Layer = object
"""A layer stands between the endpoint and the resource: it is given the question and what would answer it, and
answers itself, or asks on and hands on the answer, which it may `watch`."""

_TAIL: Final = 4
"""So many events from the end of a stream say whether it is complete."""


class StreamedAnswer(Answer):
    """An answer that is read from a stream of bytes: an async iterator with `aclose()`."""

    has_raw = True

    def __init__(
        self, body: Any, reader: Reader, *, request_id: str | None = None, secrets: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self._body = body
        self._piece: Callable[[], Awaitable[bytes]] = aiter(body).__anext__
        self._reader = reader
        self._tail: list[Raw] = []
        self._closed = False
        self._begun = False
        self._last: Error | None = None
        reader.request_id = self.request_id = request_id
        reader.secrets = self.secrets = secrets
        self.dialect = reader.dialect

    async def next(self) -> list[Event] | None:
        reader = self._reader
        while not self.ended:
            try:
                piece = await self._piece()
            except StopAsyncIteration:
                events = reader.close()
                self.ended = True
            else:
                events = reader.read(piece)
                if reader.done:
                    events += reader.close()
                    self.ended = True
            if self.ended:
                await self._leave()
            if self._watchers:
                await self._tell(events)
            if events:
                return events
        return None

    async def next_raw(self) -> list[Raw] | None:
        reader = self._reader
        while not self.ended:
            try:
                piece = await self._piece()
            except StopAsyncIteration:
                pairs: list[Raw] = []
                self.ended = True
            else:
                pairs = reader.split(piece)
                if reader.done:
                    self.ended = True
            if pairs and not self._begun:
                self._begun = True
                refused = reader.refusal(pairs[0][0])
                if refused is not None:
                    raise Failed(refused)
            events: list[Event] = []
            if self._watchers:
                for data, _ in pairs:
                    reader.feed_data(data, events)
            elif len(pairs) >= _TAIL:
                self._tail = pairs[-_TAIL:]
            else:
                self._tail = (self._tail + pairs)[-_TAIL:]
            if self.ended:
                await self._leave()
                self._close_raw(events)
            if self._watchers:
                await self._tell(events)
            if pairs:
                return pairs
        return None

    def _close_raw(self, events: list[Event]) -> None:
        reader = self._reader
        if not self._watchers:
            for data, _ in self._tail:
                reader.feed_data(data, [])
        told = reader.failed is not None and not reader.garbled
        events += reader.close()
        if reader.failed is not None and not told:
            self._last = reader.failed

    @property
    def last(self) -> Error | None:
        return self._last

    async def close(self) -> None:
        if not self._closed:
            self._closed = self.ended = True
            close = getattr(self._body, "aclose", None)
            if close is not None:
                await close()
        await self._settle()

    async def _leave(self) -> None:
        """Let go of a stream whose end has come: the connection may be used again."""
        if not self._closed:
            self._closed = True
            leave = getattr(self._body, "arelease", None) or getattr(self._body, "aclose", None)
            if leave is not None:
                await leave()


class WholeAnswer(Answer):
    """An answer that came in one piece."""

    streamed = False

    def __init__(
        self, body: bytes, reader: Reader, *, request_id: str | None = None, secrets: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self._body = body
        self._reader = reader
        reader.request_id = self.request_id = request_id
        reader.secrets = self.secrets = secrets
        self.dialect = reader.dialect

    async def next(self) -> list[Event] | None:
        if self.ended:
            return None
        events = self._events()
        self.ended = True
        await self._tell(events)
        return events

    async def body(self) -> bytes:
        if self._body.lstrip()[:1] != b"{":
            raise Failed(self._reader.broken())
        if not self.ended and self._watchers:
            await self.next()
        self.ended = True
        return self._body

    def _events(self) -> list[Event]:
        from orjson import JSONDecodeError, loads

        try:
            value = loads(self._body)
        except JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            return [self._reader.broken()]
        return self._reader.whole(value)


class PassedAnswer(Answer):
    """A body that is passed on as it is: JSON that is no conversation, sound, or text."""

    has_raw = True

    def __init__(
        self,
        body: bytes | AsyncIterator[bytes],
        media_type: str,
        *,
        close: Callable[[], Awaitable[Any]] | None = None,
        request_id: str | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.media_type = media_type
        self.request_id = request_id
        self.secrets = secrets
        self.streamed = not isinstance(body, bytes)
        self.dialect = "passed"
        self._body = body
        self._close = close
        self._told: list[Event] = []

    async def next(self) -> list[Event] | None:
        """Nothing of what passes, but for its usage, and that it has ended."""
        if self.ended:
            return None
        await self.body()
        return self._told

    async def next_raw(self) -> list[Raw] | None:
        if self.ended:
            return None
        assert not isinstance(self._body, bytes)
        try:
            return [(await anext(self._body), None)]
        except StopAsyncIteration:
            self.ended = True
            await self._tell([Finish("stop")])
            return None

    async def body(self) -> bytes:
        body = self._body if isinstance(self._body, bytes) else b"".join([piece async for piece in self._body])
        if not self.ended:
            self.ended = True
            self._told = [*_usage_in(body, self.media_type), Finish("stop")]
            await self._tell(self._told)
        return body

    async def close(self) -> None:
        close, self._close = self._close, None
        if close is not None:
            await close()
        await self._settle()


def _usage_in(body: bytes, media_type: str) -> list[Event]:
    """The usage that a body of JSON tells, if it does."""
    if not media_type.startswith("application/json") or b'"usage"' not in body:
        return []
    from orjson import JSONDecodeError, loads

    from .upstream.chat import usage_of

    try:
        value = loads(body)
    except JSONDecodeError:
        return []
    usage = value.get("usage") if isinstance(value, dict) else None
    return [usage_of(usage)] if isinstance(usage, dict) else []


class ComposedAnswer(Answer):
    """An answer composed by hand, or by an agent: an async iterator of events, of lists of events, or of text.

    It ends with a `Finish` or an `Error`; where it yields neither, `Finish("stop")` is added. In the format `openai` it
    is written as the `dialect` has it: as chunks, or as the events of `responses`.
    """

    def __init__(
        self,
        events: AsyncIterator[Event | str | list[Event]],
        *,
        secrets: Iterable[str] = (),
        streamed: bool = True,
        dialect: str | None = None,
    ) -> None:
        super().__init__()
        self.dialect = dialect
        self._events = events
        self.secrets = secrets
        self.streamed = streamed

    async def next(self) -> list[Event] | None:
        if self.ended:
            return None
        events: list[Event]
        try:
            given = await anext(self._events)
        except StopAsyncIteration:
            events = [Finish("stop")]
        else:
            events = given if isinstance(given, list) else [Text(given) if isinstance(given, str) else given]
        if events and isinstance(events[-1], (Finish, Error)):
            self.ended = True
        if self._watchers:
            await self._tell(events)
        return events

    async def body(self) -> bytes:
        from .formats.composed import completion, response

        gathered: list[Event] = []
        while (events := await self.next()) is not None:
            gathered += events
        return response(gathered) if self.dialect == "responses" else completion(gathered)

    async def close(self) -> None:
        self.ended = True
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()
        await self._settle()
