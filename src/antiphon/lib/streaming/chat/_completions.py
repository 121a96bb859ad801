"""The two colours of a streamed chat completion, side by side, over one state."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self

from ....kernel.omit import Omit, omit
from ..._variables import ResponseFormatT
from ._state import ChatCompletionStreamState

if TYPE_CHECKING:
    from ....kernel.http import Response
    from ....kernel.stream import AsyncStream, Stream
    from ....types.chat.chat_completion_chunk import ChatCompletionChunk
    from ....types.chat.chat_completion_tool_union_param import ChatCompletionToolUnionParam
    from ....types.chat.completion_create_params import ResponseFormat
    from ....types.chat.parsed_chat_completion import ParsedChatCompletion
    from ._events import ChatCompletionStreamEvent, ParsedChatCompletionSnapshot

__all__ = (
    "AsyncChatCompletionStream",
    "AsyncChatCompletionStreamManager",
    "ChatCompletionStream",
    "ChatCompletionStreamManager",
)


class ChatCompletionStream(Generic[ResponseFormatT]):
    """The events of a streamed completion. Iterate it once; what is left can be waited for."""

    def __init__(
        self,
        *,
        raw_stream: Stream[ChatCompletionChunk],
        response_format: type[ResponseFormatT] | ResponseFormat | Omit = omit,
        input_tools: Iterable[ChatCompletionToolUnionParam] | Omit = omit,
    ) -> None:
        self._raw_stream = raw_stream
        self._state = ChatCompletionStreamState(response_format=response_format, input_tools=input_tools)
        self._events: Generator[Any, None, None] = _events(raw_stream, self._state)

    @property
    def response(self) -> Response:
        """The response the stream is read from: its status and headers."""
        return self._raw_stream.response

    def __iter__(self) -> Iterator[ChatCompletionStreamEvent[ResponseFormatT]]:
        return self._events

    def __next__(self) -> ChatCompletionStreamEvent[ResponseFormatT]:
        event: ChatCompletionStreamEvent[ResponseFormatT] = next(self._events)
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

    def get_final_completion(self) -> ParsedChatCompletion[ResponseFormatT]:
        """Read the stream to its end; the completion, its content and the arguments of its calls parsed.

        Raises `LengthFinishReasonError` and `ContentFilterFinishReasonError` for an answer that was cut off.
        """
        return self.until_done()._state.get_final_completion()

    @property
    def current_completion_snapshot(self) -> ParsedChatCompletionSnapshot:
        """The completion so far."""
        return self._state.current_completion_snapshot


class ChatCompletionStreamManager(Generic[ResponseFormatT]):
    """What `client.chat.completions.stream()` gives: enter it with `with`. The request is made then."""

    def __init__(
        self,
        api_request: Callable[[], Stream[ChatCompletionChunk]],
        *,
        response_format: type[ResponseFormatT] | ResponseFormat | Omit = omit,
        input_tools: Iterable[ChatCompletionToolUnionParam] | Omit = omit,
    ) -> None:
        self._api_request = api_request
        self._how: dict[str, Any] = {"response_format": response_format, "input_tools": input_tools}
        self._stream: ChatCompletionStream[ResponseFormatT] | None = None

    def __enter__(self) -> ChatCompletionStream[ResponseFormatT]:
        self._stream = ChatCompletionStream(raw_stream=self._api_request(), **self._how)
        return self._stream

    def __exit__(self, *exc: object) -> None:
        if self._stream is not None:
            self._stream.close()


class AsyncChatCompletionStream(Generic[ResponseFormatT]):
    """The events of a streamed completion. Iterate it once; what is left can be waited for."""

    def __init__(
        self,
        *,
        raw_stream: AsyncStream[ChatCompletionChunk],
        response_format: type[ResponseFormatT] | ResponseFormat | Omit = omit,
        input_tools: Iterable[ChatCompletionToolUnionParam] | Omit = omit,
    ) -> None:
        self._raw_stream = raw_stream
        self._state = ChatCompletionStreamState(response_format=response_format, input_tools=input_tools)
        self._events: AsyncGenerator[Any, None] = _aevents(raw_stream, self._state)

    @property
    def response(self) -> Response:
        """The response the stream is read from: its status and headers."""
        return self._raw_stream.response

    def __aiter__(self) -> AsyncIterator[ChatCompletionStreamEvent[ResponseFormatT]]:
        return self._events

    async def __anext__(self) -> ChatCompletionStreamEvent[ResponseFormatT]:
        event: ChatCompletionStreamEvent[ResponseFormatT] = await anext(self._events)
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

    async def get_final_completion(self) -> ParsedChatCompletion[ResponseFormatT]:
        """Read the stream to its end; the completion, its content and the arguments of its calls parsed.

        Raises `LengthFinishReasonError` and `ContentFilterFinishReasonError` for an answer that was cut off.
        """
        return (await self.until_done())._state.get_final_completion()

    @property
    def current_completion_snapshot(self) -> ParsedChatCompletionSnapshot:
        """The completion so far."""
        return self._state.current_completion_snapshot


class AsyncChatCompletionStreamManager(Generic[ResponseFormatT]):
    """What `client.chat.completions.stream()` gives: enter it with `async with`. The request is made then."""

    def __init__(
        self,
        api_request: Callable[[], Awaitable[AsyncStream[ChatCompletionChunk]]],
        *,
        response_format: type[ResponseFormatT] | ResponseFormat | Omit = omit,
        input_tools: Iterable[ChatCompletionToolUnionParam] | Omit = omit,
    ) -> None:
        self._api_request = api_request
        self._how: dict[str, Any] = {"response_format": response_format, "input_tools": input_tools}
        self._stream: AsyncChatCompletionStream[ResponseFormatT] | None = None

    async def __aenter__(self) -> AsyncChatCompletionStream[ResponseFormatT]:
        self._stream = AsyncChatCompletionStream(raw_stream=await self._api_request(), **self._how)
        return self._stream

    async def __aexit__(self, *exc: object) -> None:
        if self._stream is not None:
            await self._stream.close()


def _is_chunk(chunk: Any) -> bool:
    # Azure's asynchronous filter puts in events with an empty `object`.
    return bool(chunk.object != "")


def _events(stream: Stream[ChatCompletionChunk], state: ChatCompletionStreamState[Any]) -> Generator[Any, None, None]:
    for chunk in stream:
        if _is_chunk(chunk):
            yield from state.handle_chunk(chunk)


async def _aevents(
    stream: AsyncStream[ChatCompletionChunk], state: ChatCompletionStreamState[Any]
) -> AsyncGenerator[Any, None]:
    async for chunk in stream:
        if _is_chunk(chunk):
            for event in state.handle_chunk(chunk):
                yield event
