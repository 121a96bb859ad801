"""One turn of a session that is there already: input is submitted and the events are read until the turn is over.

    with client.beta.agents.sessions.stream(session.id, input="...") as stream:
        for event in stream: ...

The two colours side by side, over one state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, cast
from uuid import uuid4

from ....kernel.flow import Await, Call, Step
from ....kernel.helper import ask
from ....kernel.omit import NotGiven, Omit, not_given, omit
from ....kernel.view import View
from ...beta.agents._result import AgentTurnResult, AgentTurnResultCollection, OutputT, afinal_result, final_result
from ._dispatch import ToolDispatcher, own_options

if TYPE_CHECKING:
    from ....api.beta.agents.sessions import Sessions
    from ....kernel.flow import Flow, World
    from ....kernel.operation import Async, Sync
    from ....kernel.options import Headers, Timeout
    from ....types.beta.agent_session_event import AgentSessionEvent
    from ....types.beta.agent_session_input_message_param import AgentSessionInputMessageParam
    from ...beta.agents._tool_error import AsyncToolErrorHandler, ToolErrorHandler
    from ._types import AsyncToolHandler, ToolHandler

__all__ = ("AgentSessionStream", "AsyncAgentSessionStream")

_REMEMBERED = 1024
"""So many events are known by their ids, in case one comes twice."""
_CUT = "the events of the session ended before its turn did"


def _message(input: str | Iterable[AgentSessionInputMessageParam]) -> dict[str, Any]:
    """The event that submits input."""
    messages: list[Any] = list(input) if not isinstance(input, str) else []
    if isinstance(input, str) and input:
        messages = [{"role": "user", "content": [{"type": "input_text", "text": input}]}]
    if not messages:
        raise ValueError("a turn begins with input: `input` is a text or messages, and it was empty")
    return {"type": "agent.session.input.message", "input": messages}


def _key(given: str | Omit, headers: Headers | None) -> Any:
    """The key of the input's request, the same for all attempts: a header overrides the parameter."""
    for name, value in (headers or {}).items():
        if name.lower() == "idempotency-key":
            return value
    return str(uuid4()) if isinstance(given, Omit) else given


class _Recent:
    """The ids of the events that came last: what comes twice is told once."""

    def __init__(self) -> None:
        # Named as the official suite looks for them.
        self.event_ids: set[str] = set()
        self.recent_events: deque[str] = deque(maxlen=_REMEMBERED)

    def is_new(self, event: Any) -> bool:
        """Whether an event has not come before, as far as is remembered. One without an id is always new."""
        name = event._data.get("event_id")
        if not isinstance(name, str):
            return True
        if name in self.event_ids:
            return False
        if len(self.recent_events) == _REMEMBERED:
            self.event_ids.remove(self.recent_events[0])
        self.recent_events.append(name)  # the oldest makes room
        self.event_ids.add(name)
        return True


class _Course:
    """How far the turn has come: the first one that is created and is no subagent's."""

    def __init__(self) -> None:
        self._turn: Any = None
        self._ended = False

    def follow(self, event: Any) -> bool:
        """Take an event; whether it is the last one that belongs to the turn."""
        match event["type"]:
            case "agent.session.turn.created" if self._turn is None:
                if getattr(event.turn, "subagent_id", None) is None:
                    self._turn = event.turn_id
            case "agent.session.turn.completed" | "agent.session.turn.failed" | "agent.session.turn.cancelled":
                self._ended = self._ended or (self._turn is not None and event.turn_id == self._turn)
            case "agent.session.idle":
                return self._ended
            case "agent.session.failed":
                return True
            case _:
                pass
        return False


class _Step(NamedTuple):
    """What is to be done about an event."""

    last: bool
    call: Any


_END: Any = object()


class _Arrival(Step[Any]):
    """Wait for the next event; `_END` where none comes any more."""

    __slots__ = ("_events",)

    def __init__(self, events: Any) -> None:
        self._events = events

    def perform(self, world: World) -> Any:
        return next(self._events, _END)

    async def aperform(self, world: World) -> Any:
        return await anext(self._events, _END)


def _shut(stream: Any) -> Step[Any]:
    return Await(stream.close()) if hasattr(stream, "aclose") else Call(stream.close)


class _Turn(Generic[OutputT]):
    """What streams of both colours are."""

    def __init__(
        self,
        sessions: Sessions[Any],
        session_id: str,
        input: str | Iterable[AgentSessionInputMessageParam],
        output_type: type[OutputT] | None,
        dispatcher: ToolDispatcher,
        idempotency_key: str | Omit,
        extra_headers: Headers | None,
        timeout: float | Timeout | None | NotGiven,
    ) -> None:
        if not session_id:
            raise ValueError(f"`session_id` is part of the address: it cannot be {session_id!r}")
        self._sessions = sessions
        self._session_id = session_id
        self._input = _message(input)
        self._dispatcher = dispatcher
        self._idempotency_key = _key(idempotency_key, extra_headers)
        self._options = own_options(extra_headers, timeout)
        self._state, self._course = _Recent(), _Course()
        self._collection: AgentTurnResultCollection[OutputT] = AgentTurnResultCollection(session_id, output_type)
        self._stream: Any = None
        self._call: Any = None
        """What the event that was told last calls."""
        self._entered = False
        self._closed = False

    def _begin(self) -> Flow[None]:
        """Subscribe to the session's events and submit the input. Raises `ValueError` where the session is busy."""
        if self._entered or self._closed:
            raise RuntimeError("a stream of a turn is entered once: make another for the next turn")
        self._entered = True
        sessions, key = self._sessions, self._session_id
        events = sessions.events
        session = yield from ask(sessions, type(sessions).retrieve, key, **self._options)
        if session.status != "idle":
            raise ValueError(
                f"a turn can be begun while the session is idle, and it is {session.status!r}: "
                "`sessions.events.stream` follows it"
            )
        # Events are only told to who listens: this comes before the input.
        stream: Any = yield from ask(events, cast("Any", type(events).stream), key, **self._options)
        try:
            yield from ask(
                events,
                type(events).create,
                key,
                events=[self._input],
                idempotency_key=self._idempotency_key,
                **self._options,
            )
        except BaseException:
            yield _shut(stream)
            raise
        self._stream = stream

    def _step(self, event: Any) -> _Step | None:
        """Take an event; `None` where it came before."""
        if not isinstance(event, View) or "type" not in event:
            return _Step(last=False, call=None)
        if not self._state.is_new(event):
            return None
        self._collection.accept(cast("AgentSessionEvent", event))
        return _Step(self._course.follow(event), self._dispatcher.prepare(event))

    def _next(self) -> Flow[AgentSessionEvent]:
        """The next event there is to tell, after the call of the one before. What goes wrong ends the stream."""
        call, self._call = self._call, None
        event: Any = None
        step: _Step | None = None
        try:
            if call is not None:
                yield from self._dispatcher.dispatch(call)
            while step is None:
                event = yield _Arrival(self._stream)
                if event is _END:
                    raise RuntimeError(_CUT)
                step = self._step(event)
            self._call = step.call
            if step.last:
                yield from self._leave()
        except BaseException as error:
            if isinstance(error, Exception):
                self._collection.record_error(error)
            yield from self._leave()
            raise
        told: AgentSessionEvent = event
        return told

    def _leave(self) -> Flow[None]:
        self._closed = True
        if self._stream is not None:
            yield _shut(self._stream)

    def with_result_collection(self) -> Self:
        """Keep what the result is made of while events are read. Called before the first is; gives this stream.

        Raises `RuntimeError` when it is too late.
        """
        self._collection.enable()
        return self


class AgentSessionStream(_Turn[OutputT]):
    """What `sessions.stream()` gives: enter it with `with`, which submits the input, and iterate it.

    It ends with the turn: when the session is idle again or has failed. A turn that fails or is cancelled is told by
    its event, an error of the server by an event of type `error`; a connection that breaks raises. Tools run while it
    is iterated, one after the other, each after the event of its call. Leaving it early does not stop the turn.
    """

    def __init__(
        self,
        sessions: Sessions[Sync],
        session_id: str,
        *,
        input: str | Iterable[AgentSessionInputMessageParam],
        output_type: type[OutputT] | None = None,
        tool_handlers: Mapping[str, ToolHandler] | None = None,
        on_tool_error: ToolErrorHandler | None = None,
        idempotency_key: str | Omit = omit,
        extra_headers: Headers | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> None:
        dispatcher = ToolDispatcher(
            sessions, tool_handlers, on_tool_error=on_tool_error, extra_headers=extra_headers, timeout=timeout
        )
        super().__init__(sessions, session_id, input, output_type, dispatcher, idempotency_key, extra_headers, timeout)

    def __enter__(self) -> Self:
        self._dispatcher.drive(self._begin())
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> AgentSessionEvent:
        if self._closed:
            raise StopIteration
        if self._stream is None:
            raise RuntimeError("the turn has not been begun: enter the stream with `with`")
        event: AgentSessionEvent = self._dispatcher.drive(self._next())
        return event

    def until_done(self) -> None:
        """Read on to the end of the turn, running its tools."""
        for _ in self:
            pass

    def get_final_result(self) -> AgentTurnResult[OutputT]:
        """Read on to the end of the turn, running its tools; its result, the same each time.

        Raises `AgentTurnResultError` where the turn was not completed or not seen to its end,
        `AgentOutputParseError` where its answer is not of the type that was asked for, and `RuntimeError` where events
        were read before without `with_result_collection()`.
        """
        try:
            return final_result(self, self._collection, self._dispatcher.handlers.keys())
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection. What has not been read is lost; the turn goes on."""
        self._dispatcher.drive(self._leave())


class AsyncAgentSessionStream(_Turn[OutputT]):
    """`AgentSessionStream` of an async client: enter it with `async with`. Tools may be coroutine functions."""

    def __init__(
        self,
        sessions: Sessions[Async],
        session_id: str,
        *,
        input: str | Iterable[AgentSessionInputMessageParam],
        output_type: type[OutputT] | None = None,
        tool_handlers: Mapping[str, AsyncToolHandler] | None = None,
        on_tool_error: AsyncToolErrorHandler | None = None,
        idempotency_key: str | Omit = omit,
        extra_headers: Headers | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> None:
        dispatcher = ToolDispatcher(
            sessions, tool_handlers, on_tool_error=on_tool_error, extra_headers=extra_headers, timeout=timeout
        )
        super().__init__(sessions, session_id, input, output_type, dispatcher, idempotency_key, extra_headers, timeout)

    async def __aenter__(self) -> Self:
        await self._dispatcher.drive(self._begin())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AgentSessionEvent:
        if self._closed:
            raise StopAsyncIteration
        if self._stream is None:
            raise RuntimeError("the turn has not been begun: enter the stream with `async with`")
        event: AgentSessionEvent = await self._dispatcher.drive(self._next())
        return event

    async def until_done(self) -> None:
        """Read on to the end of the turn, running its tools."""
        async for _ in self:
            pass

    async def get_final_result(self) -> AgentTurnResult[OutputT]:
        """Read on to the end of the turn, running its tools; its result, the same each time.

        Raises what that of `AgentSessionStream` does.
        """
        try:
            return await afinal_result(self, self._collection, self._dispatcher.handlers.keys())
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection. What has not been read is lost; the turn goes on."""
        await self._dispatcher.drive(self._leave())
