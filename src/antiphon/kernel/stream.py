"""Streams of typed events, as a call with `stream=True` gives them.

A stream is read as it is iterated and closes its connection when it ends, when it is closed, when its `with`
block is left, and when it is no longer referred to. An error the server sends in a stream raises `APIError`; a
connection that breaks raises `APIConnectionError`, one that stalls `APITimeoutError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, Generic, NamedTuple, Self, TypeVar

from .errors import APIConnectionError, APIError, said_by
from .http import Response
from .sse import Decoder

T = TypeVar("T")

__all__ = ("AsyncStream", "Reading", "Stream")


class Reading(NamedTuple):
    """How the data of server-sent events is read."""

    wrap: Callable[[Any], Any]
    """From decoded JSON to what the stream gives."""
    named: bool = False
    """Every event is read as `{"event": its name, "data": its data}`; otherwise only those named `thread.…` are."""
    errors: bool = True
    """An event with an `error` raises it, and those named `thread.…` are told by their names. Otherwise an event is
    what its data is, whatever its name, and errors are events."""


class Stream(Generic[T]):
    """Events as they arrive. Iterate it once."""

    __slots__ = ("__weakref__", "_events", "_reading", "response")
    response: Response
    """The response the stream is read from: its status and headers."""

    def __init__(self, response: Response, reading: Reading) -> None:
        self.response = response
        self._reading = reading
        # The generator knows nothing of this object, so that leaving a stream unread closes it without a collection.
        self._events: Generator[T, None, None] = _events(response, reading)

    def __iter__(self) -> Iterator[T]:
        return self._events

    def __next__(self) -> T:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. What has not been read is lost."""
        self._events.close()
        _close(self.response.body)

    def __repr__(self) -> str:
        return f"<stream of {self.response.request.path if self.response.request else 'events'}>"


class AsyncStream(Generic[T]):
    """Events as they arrive. Iterate it once."""

    __slots__ = ("__weakref__", "_events", "_reading", "response")
    response: Response
    """The response the stream is read from: its status and headers."""

    def __init__(self, response: Response, reading: Reading) -> None:
        self.response = response
        self._reading = reading
        self._events: AsyncGenerator[T, None] = _aevents(response, reading)

    def __aiter__(self) -> AsyncIterator[T]:
        return self._events

    async def __anext__(self) -> T:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. What has not been read is lost."""
        await self._events.aclose()
        await _aclose(self.response.body)

    async def aclose(self) -> None:
        """The same as `close`."""
        await self.close()

    def __repr__(self) -> str:
        return f"<stream of {self.response.request.path if self.response.request else 'events'}>"


def _events(response: Response, reading: Reading) -> Generator[Any, None, None]:
    from orjson import loads

    body: Any = response.body
    wrap, named, errors = reading
    decoder = Decoder()
    leave = _close
    try:
        for piece in (body,) if isinstance(body, bytes) else body:
            for data, name in decoder.data(piece):
                if data[:1] != b"{":
                    if data[:6] == b"[DONE]":
                        leave = _release
                        return
                    if not data:
                        continue
                try:
                    value = loads(data)
                except ValueError:
                    raise _no_json(data, response) from None
                if errors and value.__class__ is dict and value.get("error"):
                    raise _error(value["error"], response)
                if named or (errors and name is not None and name[:7] == "thread."):
                    value = {"event": name, "data": value}
                yield wrap(value)
        leave = _release
        _check_end(decoder, response)
    finally:
        leave(body)


async def _aevents(response: Response, reading: Reading) -> AsyncGenerator[Any, None]:
    from orjson import loads

    body: Any = response.body
    wrap, named, errors = reading
    decoder = Decoder()
    leave = _aclose
    try:
        async for piece in _abytes(body) if isinstance(body, bytes) else body:
            for data, name in decoder.data(piece):
                if data[:1] != b"{":
                    if data[:6] == b"[DONE]":
                        leave = _arelease
                        return
                    if not data:
                        continue
                try:
                    value = loads(data)
                except ValueError:
                    raise _no_json(data, response) from None
                if errors and value.__class__ is dict and value.get("error"):
                    raise _error(value["error"], response)
                if named or (errors and name is not None and name[:7] == "thread."):
                    value = {"event": name, "data": value}
                yield wrap(value)
        leave = _arelease
        _check_end(decoder, response)
    finally:
        await leave(body)


async def _abytes(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _error(error: Any, response: Response) -> APIError:
    return APIError(said_by(error) or "The server reported an error in the stream.", response.request, body=error)


def _no_json(data: bytes, response: Response) -> APIError:
    text = data.decode("utf-8", "replace")
    return APIError(f"The server sent an event that is not JSON: {text[:200]}", response.request, body=text)


def _check_end(decoder: Decoder, response: Response) -> None:
    """Raise when the stream ended in the middle of an event. One that lacks only its blank line is dropped."""
    left = decoder.close()
    if not left or left[:6] == b"[DONE]":
        return
    from orjson import JSONDecodeError, loads

    try:
        loads(left)
    except JSONDecodeError:
        raise APIConnectionError(
            message="Connection error: the stream ended in the middle of an event.", request=response.request
        ) from None


# Leaving a body: `release` lets a transport keep a connection whose last byte is about to come, `close` does not.


def _close(body: Any) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _release(body: Any) -> None:
    release = getattr(body, "release", None)
    if release is not None:
        release()
    else:
        _close(body)


async def _aclose(body: Any) -> None:
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()


async def _arelease(body: Any) -> None:
    release = getattr(body, "arelease", None)
    if release is not None:
        await release()
    else:
        await _aclose(body)
