"""Handlers of an assistant's run as it is streamed: subclass one and write the callbacks that matter.

    class Handler(AssistantEventHandler):
        def on_text_delta(self, delta, snapshot):
            print(delta.value, end="")

    with client.beta.threads.runs.stream(thread_id=..., assistant_id=..., event_handler=Handler()) as stream:
        stream.until_done()

The two colours side by side, over one state. A handler serves one stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias

from ...kernel.errors import APITimeoutError
from ._run_state import KNOWN, RunState, UnknownEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from typing_extensions import TypeVar  # for its defaults, which checkers know

    from ...kernel.stream import AsyncStream, Stream
    from ...types.beta.assistant_stream_event import AssistantStreamEvent
    from ...types.beta.threads.image_file import ImageFile
    from ...types.beta.threads.message import Message
    from ...types.beta.threads.message_delta import MessageDelta
    from ...types.beta.threads.run import Run
    from ...types.beta.threads.runs.run_step import RunStep
    from ...types.beta.threads.runs.run_step_delta import RunStepDelta
    from ...types.beta.threads.runs.tool_call import ToolCall
    from ...types.beta.threads.runs.tool_call_delta import ToolCallDelta
    from ...types.beta.threads.text import Text
    from ...types.beta.threads.text_delta import TextDelta

    AssistantEventHandlerT = TypeVar(
        "AssistantEventHandlerT", bound="AssistantEventHandler", default="AssistantEventHandler"
    )
    AsyncAssistantEventHandlerT = TypeVar(
        "AsyncAssistantEventHandlerT", bound="AsyncAssistantEventHandler", default="AsyncAssistantEventHandler"
    )
    Event: TypeAlias = AssistantStreamEvent | UnknownEvent
else:
    from typing import TypeVar

    AssistantEventHandlerT = TypeVar("AssistantEventHandlerT", bound="AssistantEventHandler")
    AsyncAssistantEventHandlerT = TypeVar("AsyncAssistantEventHandlerT", bound="AsyncAssistantEventHandler")

__all__ = (
    "AssistantEventHandler",
    "AssistantEventHandlerT",
    "AssistantStreamManager",
    "AsyncAssistantEventHandler",
    "AsyncAssistantEventHandlerT",
    "AsyncAssistantStreamManager",
)

_TIMEOUTS = (APITimeoutError, TimeoutError)


class _Handler:
    """What handlers of both colours know."""

    event_types: ClassVar[Mapping[str, Any]] = {}
    """Types for the data of events that the API does not document, by the names of the events: models of pydantic,
    dataclasses, structs of msgspec or TypedDicts. Without one, the data of such an event is the JSON itself."""

    def __init__(self) -> None:
        self._state = RunState()
        self._current_event: Any = None
        self._raw_stream: Any = None

    def _init(self, stream: Any) -> None:
        if self._raw_stream is not None:
            raise RuntimeError("an event handler serves one stream: make another for another")
        self._raw_stream = stream

    def _started(self) -> Any:
        if self._raw_stream is None:
            raise RuntimeError("the stream has not been started: enter it with `with`")
        return self._raw_stream

    def _known(self, event: Any) -> Any:
        """An event, or what is made of one whose name the API does not document."""
        name = event._data.get("event")
        if name in KNOWN:
            return event
        kind = self.event_types.get(name)
        if kind is None:
            return UnknownEvent.of(event._data)
        from orjson import dumps

        from .._formats import format_of

        return UnknownEvent.of({"event": name, "data": format_of(kind).load(dumps(event._data.get("data")).decode())})

    def _callback(self, name: str) -> Any:
        """A callback that somebody wrote; those that do nothing are not prepared for."""
        callback = getattr(self, name)
        return None if getattr(callback, "__func__", None) in _DEFAULTS else callback

    @property
    def current_event(self) -> Event | None:
        """The event that is being handled, while it is."""
        current: Event | None = self._current_event
        return current

    @property
    def current_run(self) -> Run | None:
        """The run, as it was told last."""
        return self._state.current_run()

    @property
    def current_run_step_snapshot(self) -> RunStep | None:
        """The step that is under way, as far as it has come."""
        return self._state.current_step()

    @property
    def current_message_snapshot(self) -> Message | None:
        """The message that came last, as far as it has come."""
        return self._state.current_message()

    def _final_run(self) -> Run:
        run = self._state.current_run()
        if run is None:
            raise RuntimeError("the stream told of no run")
        return run

    def _final_steps(self) -> list[RunStep]:
        if not self._state.steps:
            raise RuntimeError("the stream told of no run steps")
        return self._state.all_steps()

    def _final_messages(self) -> list[Message]:
        if not self._state.messages:
            raise RuntimeError("the stream told of no messages")
        return self._state.all_messages()


def _texts(event: Any) -> Iterator[str]:
    """The pieces of text in an event."""
    if event.event == "thread.message.delta":
        for part in event.data.delta.content or ():
            if part.type == "text" and part.text and part.text.value:
                yield part.text.value


class AssistantEventHandler(_Handler):
    """Callbacks for a run of a blocking client. Iterating it gives the events as well."""

    def __init__(self) -> None:
        super().__init__()
        self._events: Generator[Any, None, None] = self._handled()
        self.text_deltas: Iterator[str] = (text for event in self for text in _texts(event))
        """The pieces of text as they come; reading them handles the events."""

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def __next__(self) -> Event:
        event: Event = next(self._events)
        return event

    def close(self) -> None:
        """Close the connection. What has not been read is lost."""
        if self._raw_stream is not None:
            self._raw_stream.close()

    def until_done(self) -> None:
        """Handle all events."""
        for _ in self._events:
            pass

    def get_final_run(self) -> Run:
        """Handle all events; the run. Raises `RuntimeError` where there was none."""
        self.until_done()
        return self._final_run()

    def get_final_run_steps(self) -> list[RunStep]:
        """Handle all events; the steps of the run. Raises `RuntimeError` where there were none."""
        self.until_done()
        return self._final_steps()

    def get_final_messages(self) -> list[Message]:
        """Handle all events; the messages of the run. Raises `RuntimeError` where there were none."""
        self.until_done()
        return self._final_messages()

    # Callbacks

    def on_event(self, event: AssistantStreamEvent) -> None:
        """Every event, before anything is made of it."""

    def on_unknown_event(self, event: UnknownEvent) -> None:
        """An event the API does not document: its data is JSON, or of the type `event_types` has for its name."""

    def on_run_step_created(self, run_step: RunStep) -> None:
        """A step has begun."""

    def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> None:
        """More of a step, and all of it so far."""

    def on_run_step_done(self, run_step: RunStep) -> None:
        """A step has ended, one way or the other."""

    def on_tool_call_created(self, tool_call: ToolCall) -> None:
        """A call of a tool has begun."""

    def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        """More of a call, and all of it so far. Not for the delta that began it."""

    def on_tool_call_done(self, tool_call: ToolCall) -> None:
        """A call is complete."""

    def on_message_created(self, message: Message) -> None:
        """A message has begun."""

    def on_message_delta(self, delta: MessageDelta, snapshot: Message) -> None:
        """More of a message, and all of it so far."""

    def on_message_done(self, message: Message) -> None:
        """A message is complete, or as complete as it will be."""

    def on_text_created(self, text: Text) -> None:
        """A text of a message has begun."""

    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        """More of a text, and all of it so far."""

    def on_text_done(self, text: Text) -> None:
        """A text is complete."""

    def on_image_file_done(self, image_file: ImageFile) -> None:
        """An image of a message is complete."""

    def on_exception(self, exception: Exception) -> None:
        """Something failed: the stream, or a callback. It is raised after this."""

    def on_timeout(self) -> None:
        """The stream stalled. Comes before `on_exception`."""

    def on_end(self) -> None:
        """The stream has ended, was left or failed."""

    def _handled(self) -> Generator[Any, None, None]:
        try:
            for raw in self._started():
                event = self._current_event = self._known(raw)
                self.on_event(event)
                for name, arguments in self._state.feed(event):
                    callback = self._callback(name)
                    if callback is not None:
                        callback(*arguments())
                if isinstance(event, UnknownEvent):
                    self.on_unknown_event(event)
                self._current_event = None
                yield event
        except Exception as error:
            if isinstance(error, _TIMEOUTS):
                self.on_timeout()
            self.on_exception(error)
            raise
        finally:
            self.on_end()


class AssistantStreamManager(Generic[AssistantEventHandlerT]):
    """What the streaming helpers of assistants give: enter it with `with`. The request is made then."""

    def __init__(
        self, api_request: Callable[[], Stream[AssistantStreamEvent]], *, event_handler: AssistantEventHandlerT
    ) -> None:
        self._api_request = api_request
        self._event_handler = event_handler
        self._stream: Stream[AssistantStreamEvent] | None = None

    def __enter__(self) -> AssistantEventHandlerT:
        self._stream = self._api_request()
        self._event_handler._init(self._stream)
        return self._event_handler

    def __exit__(self, *exc: object) -> None:
        if self._stream is not None:
            self._stream.close()


class AsyncAssistantEventHandler(_Handler):
    """Callbacks, coroutines all, for a run of an async client. Iterating it gives the events as well."""

    def __init__(self) -> None:
        super().__init__()
        self._events: AsyncGenerator[Any, None] = self._handled()
        self.text_deltas: AsyncIterator[str] = self._text_deltas()
        """The pieces of text as they come; reading them handles the events."""

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events

    async def __anext__(self) -> Event:
        event: Event = await anext(self._events)
        return event

    async def _text_deltas(self) -> AsyncIterator[str]:
        async for event in self._events:
            for text in _texts(event):
                yield text

    async def close(self) -> None:
        """Close the connection. What has not been read is lost."""
        if self._raw_stream is not None:
            await self._raw_stream.close()

    async def until_done(self) -> None:
        """Handle all events."""
        async for _ in self._events:
            pass

    async def get_final_run(self) -> Run:
        """Handle all events; the run. Raises `RuntimeError` where there was none."""
        await self.until_done()
        return self._final_run()

    async def get_final_run_steps(self) -> list[RunStep]:
        """Handle all events; the steps of the run. Raises `RuntimeError` where there were none."""
        await self.until_done()
        return self._final_steps()

    async def get_final_messages(self) -> list[Message]:
        """Handle all events; the messages of the run. Raises `RuntimeError` where there were none."""
        await self.until_done()
        return self._final_messages()

    # Callbacks

    async def on_event(self, event: AssistantStreamEvent) -> None:
        """Every event, before anything is made of it."""

    async def on_unknown_event(self, event: UnknownEvent) -> None:
        """An event the API does not document: its data is JSON, or of the type `event_types` has for its name."""

    async def on_run_step_created(self, run_step: RunStep) -> None:
        """A step has begun."""

    async def on_run_step_delta(self, delta: RunStepDelta, snapshot: RunStep) -> None:
        """More of a step, and all of it so far."""

    async def on_run_step_done(self, run_step: RunStep) -> None:
        """A step has ended, one way or the other."""

    async def on_tool_call_created(self, tool_call: ToolCall) -> None:
        """A call of a tool has begun."""

    async def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        """More of a call, and all of it so far. Not for the delta that began it."""

    async def on_tool_call_done(self, tool_call: ToolCall) -> None:
        """A call is complete."""

    async def on_message_created(self, message: Message) -> None:
        """A message has begun."""

    async def on_message_delta(self, delta: MessageDelta, snapshot: Message) -> None:
        """More of a message, and all of it so far."""

    async def on_message_done(self, message: Message) -> None:
        """A message is complete, or as complete as it will be."""

    async def on_text_created(self, text: Text) -> None:
        """A text of a message has begun."""

    async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        """More of a text, and all of it so far."""

    async def on_text_done(self, text: Text) -> None:
        """A text is complete."""

    async def on_image_file_done(self, image_file: ImageFile) -> None:
        """An image of a message is complete."""

    async def on_exception(self, exception: Exception) -> None:
        """Something failed: the stream, or a callback. It is raised after this."""

    async def on_timeout(self) -> None:
        """The stream stalled. Comes before `on_exception`."""

    async def on_end(self) -> None:
        """The stream has ended, was left or failed."""

    async def _handled(self) -> AsyncGenerator[Any, None]:
        try:
            async for raw in self._started():
                event = self._current_event = self._known(raw)
                await self.on_event(event)
                for name, arguments in self._state.feed(event):
                    callback = self._callback(name)
                    if callback is not None:
                        await callback(*arguments())
                if isinstance(event, UnknownEvent):
                    await self.on_unknown_event(event)
                self._current_event = None
                yield event
        except Exception as error:
            if isinstance(error, _TIMEOUTS):
                await self.on_timeout()
            await self.on_exception(error)
            raise
        finally:
            await self.on_end()


class AsyncAssistantStreamManager(Generic[AsyncAssistantEventHandlerT]):
    """What the streaming helpers of assistants give: enter it with `async with`. The request is made then."""

    def __init__(
        self,
        api_request: Callable[[], Awaitable[AsyncStream[AssistantStreamEvent]]],
        *,
        event_handler: AsyncAssistantEventHandlerT,
    ) -> None:
        self._api_request = api_request
        self._event_handler = event_handler
        self._stream: AsyncStream[AssistantStreamEvent] | None = None

    async def __aenter__(self) -> AsyncAssistantEventHandlerT:
        self._stream = await self._api_request()
        self._event_handler._init(self._stream)
        return self._event_handler

    async def __aexit__(self, *exc: object) -> None:
        if self._stream is not None:
            await self._stream.close()


_DEFAULTS = frozenset(
    function
    for cls in (AssistantEventHandler, AsyncAssistantEventHandler)
    for name, function in vars(cls).items()
    if name.startswith("on_")
)
"""The callbacks that do nothing."""
