"""The two colours of a streamed response, side by side, over one state."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self

from ....kernel.omit import Omit, omit
from ..._variables import TextFormatT
from ._state import ResponseStreamState, comes_after

if TYPE_CHECKING:
    from ....kernel.http import Response
    from ....kernel.stream import AsyncStream, Stream
    from ....types.responses.parsed_response import ParsedResponse
    from ....types.responses.response_stream_event import ResponseStreamEvent as RawResponseStreamEvent
    from ....types.responses.tool_param import ToolParam
    from ._events import ParsedResponseSnapshot, ResponseStreamEvent

__all__ = (
    "AsyncResponseStream",
    "AsyncResponseStreamManager",
    "ResponseStream",
    "ResponseStreamManager",
)


class ResponseStream(Generic[TextFormatT]):
    """The events of a streamed response. Iterate it once; what is left can be waited for."""

    def __init__(
        self,
        *,
        raw_stream: Stream[RawResponseStreamEvent],
        text_format: type[TextFormatT] | Omit = omit,
        input_tools: Iterable[ToolParam] | Omit = omit,
        starting_after: int | None = None,
    ) -> None:
        self._raw_stream = raw_stream
        self._state = ResponseStreamState(text_format=text_format, input_tools=input_tools)
        self._events: Generator[Any, None, None] = _events(raw_stream, self._state, starting_after)

    @property
    def response(self) -> Response:
        """The response the stream is read from: its status and headers."""
        return self._raw_stream.response

    def __iter__(self) -> Iterator[ResponseStreamEvent[TextFormatT]]:
        return self._events

    def __next__(self) -> ResponseStreamEvent[TextFormatT]:
        event: ResponseStreamEvent[TextFormatT] = next(self._events)
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. What has not been read is lost."""
        self._events.close()
        self._raw_stream.close()

    def until_done(self) -> Self:
        """Read the stream to its end."""
        for _ in self._events:
            pass
        return self

    def get_final_response(self) -> ParsedResponse[TextFormatT]:
        """Read the stream to its end; the response, its texts and the arguments of its calls parsed.

        Raises `RuntimeError` where it was not completed.
        """
        return self.until_done()._state.get_final_response()

    @property
    def current_response_snapshot(self) -> ParsedResponseSnapshot:
        """The response so far."""
        return self._state.current_response_snapshot


class ResponseStreamManager(Generic[TextFormatT]):
    """What `client.responses.stream()` gives: enter it with `with`. The request is made then."""

    def __init__(
        self,
        api_request: Callable[[], Stream[RawResponseStreamEvent]],
        *,
        text_format: type[TextFormatT] | Omit = omit,
        input_tools: Iterable[ToolParam] | Omit = omit,
        starting_after: int | None = None,
    ) -> None:
        self._api_request = api_request
        self._how: dict[str, Any] = {
            "text_format": text_format,
            "input_tools": input_tools,
            "starting_after": starting_after,
        }
        self._stream: ResponseStream[TextFormatT] | None = None

    def __enter__(self) -> ResponseStream[TextFormatT]:
        self._stream = ResponseStream(raw_stream=self._api_request(), **self._how)
        return self._stream

    def __exit__(self, *exc: object) -> None:
        if self._stream is not None:
            self._stream.close()


class AsyncResponseStream(Generic[TextFormatT]):
    """The events of a streamed response. Iterate it once; what is left can be waited for."""

    def __init__(
        self,
        *,
        raw_stream: AsyncStream[RawResponseStreamEvent],
        text_format: type[TextFormatT] | Omit = omit,
        input_tools: Iterable[ToolParam] | Omit = omit,
        starting_after: int | None = None,
    ) -> None:
        self._raw_stream = raw_stream
        self._state = ResponseStreamState(text_format=text_format, input_tools=input_tools)
        self._events: AsyncGenerator[Any, None] = _aevents(raw_stream, self._state, starting_after)

    @property
    def response(self) -> Response:
        """The response the stream is read from: its status and headers."""
        return self._raw_stream.response

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent[TextFormatT]]:
        return self._events

    async def __anext__(self) -> ResponseStreamEvent[TextFormatT]:
        event: ResponseStreamEvent[TextFormatT] = await anext(self._events)
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection. What has not been read is lost."""
        await self._events.aclose()
        await self._raw_stream.close()

    async def until_done(self) -> Self:
        """Read the stream to its end."""
        async for _ in self._events:
            pass
        return self

    async def get_final_response(self) -> ParsedResponse[TextFormatT]:
        """Read the stream to its end; the response, its texts and the arguments of its calls parsed.

        Raises `RuntimeError` where it was not completed.
        """
        return (await self.until_done())._state.get_final_response()

    @property
    def current_response_snapshot(self) -> ParsedResponseSnapshot:
        """The response so far."""
        return self._state.current_response_snapshot


class AsyncResponseStreamManager(Generic[TextFormatT]):
    """What `client.responses.stream()` gives: enter it with `async with`. The request is made then."""

    def __init__(
        self,
        api_request: Callable[[], Awaitable[AsyncStream[RawResponseStreamEvent]]],
        *,
        text_format: type[TextFormatT] | Omit = omit,
        input_tools: Iterable[ToolParam] | Omit = omit,
        starting_after: int | None = None,
    ) -> None:
        self._api_request = api_request
        self._how: dict[str, Any] = {
            "text_format": text_format,
            "input_tools": input_tools,
            "starting_after": starting_after,
        }
        self._stream: AsyncResponseStream[TextFormatT] | None = None

    async def __aenter__(self) -> AsyncResponseStream[TextFormatT]:
        self._stream = AsyncResponseStream(raw_stream=await self._api_request(), **self._how)
        return self._stream

    async def __aexit__(self, *exc: object) -> None:
        if self._stream is not None:
            await self._stream.close()


def _events(
    stream: Stream[RawResponseStreamEvent], state: ResponseStreamState[Any], after: int | None
) -> Generator[Any, None, None]:
    for raw in stream:
        for event in state.handle_event(raw):
            if comes_after(event, after):
                yield event


async def _aevents(
    stream: AsyncStream[RawResponseStreamEvent], state: ResponseStreamState[Any], after: int | None
) -> AsyncGenerator[Any, None]:
    async for raw in stream:
        for event in state.handle_event(raw):
            if comes_after(event, after):
                yield event
