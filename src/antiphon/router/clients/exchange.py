"""One question over HTTP and its answer, without doing it: a flow whose steps send, read, wait and leave.

    asked again     no connection, 408, 409, 429, 500 and above, or a connection that broke before the first event
    resumed         a connection that broke later, where every event so far has had an id: with `Last-Event-ID`
    otherwise       what has broken is raised

A server that gives an id it has given before does not resume but answers anew; that is not asked for twice.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Generator, Iterable, Iterator
from random import random
from typing import Any, NamedTuple, Protocol, TypeVar

from ...client.flow import backoff, may_retry, retry_after
from ...kernel.errors import APIConnectionError, APIError, from_response
from ...kernel.flow import Flow, Pause, Read, Send, Step, World
from ...kernel.http import Headers, Request, Response
from ...kernel.options import Timeout
from ...kernel.sse import Decoder
from ..events import Event
from .readers import AnswerReader, by_media_type, find, recognized

__all__ = ("Exchange", "Patience", "Raw", "ServerSentEvent", "Typed")

T_co = TypeVar("T_co", covariant=True)


class ServerSentEvent(NamedTuple):
    """An event as it came. Routes of `text` give pieces of it, those of `json` one event with the whole."""

    event: str
    """Its name; `message` where it has none."""
    data: str
    id: str = ""
    retry: int | None = None
    """Milliseconds after which the server wants to be asked again, should the connection break."""

    def json(self) -> Any:
        """The data as JSON. Raises `ValueError` where it is none."""
        from orjson import loads

        return loads(self.data)


class Patience(NamedTuple):
    """How often and after how long something that failed is tried again."""

    max_retries: int
    initial_delay: float
    """Seconds before the first; each further one takes twice as long, less up to a quarter at random."""
    max_delay: float

    @classmethod
    def checked(cls, max_retries: int, initial_delay: float, max_delay: float) -> Patience:
        """Raises `ValueError` for numbers that cannot be."""
        if max_retries < 0 or initial_delay < 0 or max_delay < 0:
            raise ValueError("max_retries, initial_delay and max_delay are not negative")
        return cls(max_retries, initial_delay, max_delay)

    def delay(self, taken: int) -> float:
        """Seconds before the next attempt, after `taken` of them."""
        return float(min(self.initial_delay * 2.0 ** min(taken, 1000), self.max_delay) * (1 - 0.25 * random()))


class Listener(Protocol[T_co]):
    """Who is told of the events of an answer."""

    def begin(self, response: Response) -> None: ...
    def hear(self, event: ServerSentEvent) -> Iterable[T_co]: ...
    def over(self) -> bool: ...
    def end(self, request: Request) -> Iterable[T_co]: ...


class Raw:
    """Tells the events as they are."""

    def begin(self, response: Response) -> None:
        pass

    def hear(self, event: ServerSentEvent) -> tuple[ServerSentEvent]:
        return (event,)

    def over(self) -> bool:
        return False

    def end(self, request: Request) -> tuple[ServerSentEvent, ...]:
        return ()


class Typed:
    """Tells what the events say, in the format that was asked for or else in the one that they have."""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._reader: AnswerReader | None = None

    def begin(self, response: Response) -> None:
        told = by_media_type(response.headers.get("content-type") or "")
        if told is None and response.headers.get("x-vercel-ai-ui-message-stream"):
            told = "vercel"
        self._key = told or self._key

    def hear(self, event: ServerSentEvent) -> list[Event]:
        name = None if event.event == "message" else event.event
        reader = self._reader
        if reader is None:
            reader = self._reader = find(self._key or recognized(name, event.data, "lanarky"))()
        return reader.read(name, event.data)

    def over(self) -> bool:
        return self._reader is not None and self._reader.over

    def end(self, request: Request) -> Iterator[Event]:
        reader = self._reader
        if reader is None:
            reader = find(self._key or "lanarky")()
        yield from reader.close()
        if not reader.ended:
            raise APIConnectionError(message="Connection error: the answer ended before it was whole.", request=request)


class Leave(Step[None]):
    """Let go of a streamed body: of its connection too, unless the body is read to its end."""

    __slots__ = ("body", "whole")

    def __init__(self, body: Any, *, whole: bool = False) -> None:
        self.body = body
        self.whole = whole

    def perform(self, world: World) -> None:
        close = (self.whole and getattr(self.body, "release", None)) or getattr(self.body, "close", None)
        if close is not None:
            close()

    async def aperform(self, world: World) -> None:
        close = (self.whole and getattr(self.body, "arelease", None)) or getattr(self.body, "aclose", None)
        if close is not None:
            await close()


class Exchange:
    """The state of one question: which response is being read, and what has been received."""

    def __init__(self, request: Request, timeout: Timeout, patience: Patience) -> None:
        self._request = request
        self._timeout = timeout
        self._patience = patience
        self._body: Any = None
        self._received = False
        self._ids: set[str] | None = set()
        """The ids of the events; `None` once one has had none."""
        self._last_id: str | None = None
        self._resuming = False
        self._retry: int | None = None
        self._taken = 0

    def leave(self) -> Leave:
        """What is to be done in the end, however it came: the connection is closed, and the server stops."""
        body, self._body = self._body, None
        return Leave(body)

    def told(self, listener: Listener[Any]) -> Generator[Any, Any, None]:
        """What the listener makes of the answer. Raises `APIError` where there is none, or no more."""
        while True:
            headers: Headers | None = None
            failed: APIError
            try:
                response: Response = yield Send(self._attempt(), self._timeout, stream=True)
                headers = response.headers
                self._body = response.body
                if not 200 <= response.status < 300:
                    response = yield from _read(response)
                    self._body = None
                    failed = from_response(response)
                    if not may_retry(response):
                        raise failed
                elif response.status == 204 and self._resuming:
                    return
                else:
                    yield from self._read(response, listener)
                    yield Leave(self._body, whole=True)
                    self._body = None
                    return
            except APIConnectionError as error:
                failed = error
                yield self.leave()
                if self._received and not self._ids:
                    raise
            if self._taken >= self._patience.max_retries:
                raise failed
            yield Pause(self._delay(headers, failed))
            self._taken += 1
            self._resuming = self._received

    def _attempt(self) -> Request:
        if not self._resuming or self._last_id is None:
            return self._request
        return self._request._replace(headers=self._request.headers.replaced({"last-event-id": self._last_id}))

    def _delay(self, headers: Headers | None, failed: APIError) -> float:
        if self._retry is not None:
            return self._retry / 1000
        if headers is not None and not isinstance(failed, APIConnectionError) and retry_after(headers) is not None:
            return backoff(self._taken, headers)
        return self._patience.delay(self._taken)

    def _read(self, response: Response, listener: Listener[Any]) -> Generator[Any, Any, None]:
        listener.begin(response)
        media = (response.headers.get("content-type") or "text/event-stream").partition(";")[0].strip().lower()
        make = _SPLITTERS.get(media)
        if make is None:
            raise APIError(
                f"{self._request.method} {self._request.path} answered with {media}: neither events, text nor JSON.",
                self._request,
            )
        splitter = make()
        body = response.body
        if isinstance(body, bytes):
            for event in splitter.feed(body):
                yield from listener.hear(self._took(event))
        else:
            while (piece := (yield Read(body))) is not None:
                for event in splitter.feed(piece):
                    yield from listener.hear(self._took(event))
                if listener.over():
                    yield from listener.end(self._request)
                    return
        for event in splitter.close(self._request):
            yield from listener.hear(self._took(event))
        yield from listener.end(self._request)

    def _took(self, event: ServerSentEvent) -> ServerSentEvent:
        if event.retry is not None:
            self._retry = event.retry
        if not event.id:
            self._ids = None
        elif self._ids is not None:
            if self._resuming and event.id in self._ids:
                self._ids = None
                raise APIConnectionError(
                    message="Connection error: the answer broke off, and the server does not resume it.",
                    request=self._request,
                )
            self._ids.add(event.id)
            self._last_id = event.id
        self._received = True
        self._taken = 0
        return event


def _read(response: Response) -> Flow[Response]:
    """A response with its body read: errors are not streamed."""
    if isinstance(response.body, bytes):
        return response
    pieces: list[bytes] = []
    while (piece := (yield Read(response.body))) is not None:
        pieces.append(piece)
    return response._replace(body=b"".join(pieces))


# Bodies as events, by media type


class _Events:
    def __init__(self) -> None:
        self._decoder = Decoder()

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        for data, name, identity, retry in self._decoder.feed(piece):
            yield ServerSentEvent(name or "message", data.decode("utf-8", "replace"), identity or "", retry)

    def close(self, request: Request) -> Iterator[ServerSentEvent]:
        left = self._decoder.close()
        if left[:6] == b"[DONE]":
            yield ServerSentEvent("message", "[DONE]")
        elif left:
            raise APIConnectionError(
                message="Connection error: the stream ended in the middle of an event.", request=request
            )


class _Text:
    def __init__(self) -> None:
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        text = self._decoder.decode(piece)
        if text:
            yield ServerSentEvent("message", text)

    def close(self, request: Request) -> Iterator[ServerSentEvent]:
        text = self._decoder.decode(b"", True)
        if text:
            yield ServerSentEvent("message", text)


class _Whole:
    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        self._pieces.append(piece)
        return iter(())

    def close(self, request: Request) -> Iterator[ServerSentEvent]:
        yield ServerSentEvent("message", b"".join(self._pieces).decode("utf-8", "replace"))


_SPLITTERS: dict[str, type[_Events | _Text | _Whole]] = {
    "text/event-stream": _Events,
    "text/plain": _Text,
    "application/json": _Whole,
}
