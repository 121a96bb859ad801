"""The events of a session that is being created, with the result of its first turn. Both colours side by side."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Generic, Self

from ....kernel.stream import AsyncStream, Stream
from ._result import AgentTurnResult, AgentTurnResultCollection, OutputT, afinal_result, final_result

if TYPE_CHECKING:
    from ....kernel.http import Response
    from ....kernel.stream import Reading
    from ....types.beta.agent_session_event import AgentSessionEvent
    from ...streaming.agents._dispatch import ToolDispatcher
else:
    AgentSessionEvent = Any

__all__ = ("AgentSessionEventStream", "AsyncAgentSessionEventStream")


class AgentSessionEventStream(Stream[AgentSessionEvent], Generic[OutputT]):
    """What `sessions.create(stream=True)` gives: a `Stream` that also knows the result of the turn.

    Tools that were given to `create` run while it is iterated, each after the event of its call.
    """

    __slots__ = ("_collection", "_dispatcher")

    def __init__(
        self,
        response: Response,
        reading: Reading,
        output_type: type[OutputT] | None = None,
        dispatcher: ToolDispatcher | None = None,
    ) -> None:
        super().__init__(response, reading)
        self._collection: AgentTurnResultCollection[OutputT] = AgentTurnResultCollection(None, output_type)
        self._dispatcher = dispatcher
        self._events = _watched(self._events, self._collection, dispatcher)

    def with_result_collection(self) -> Self:
        """Keep what the result is made of while events are read. Called before the first is; gives this stream.

        Raises `RuntimeError` when it is too late.
        """
        self._collection.enable()
        return self

    def get_final_result(self) -> AgentTurnResult[OutputT]:
        """Read on to the end of the turn the session was created with; its result, the same each time.

        Raises `AgentTurnResultError` where the turn was not completed or not seen to its end,
        `AgentOutputParseError` where its answer is not of the type that was asked for, and `RuntimeError` where events
        were read before without `with_result_collection()`.
        """
        try:
            return final_result(self, self._collection, _handled(self._dispatcher))
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection. What has not been read is lost; the turn goes on."""
        events: Any = self._events
        if events.gi_running:  # a tool closes the stream it runs in
            self.response.close()
        else:
            super().close()


class AsyncAgentSessionEventStream(AsyncStream[AgentSessionEvent], Generic[OutputT]):
    """`AgentSessionEventStream` of an async client."""

    __slots__ = ("_collection", "_dispatcher")

    def __init__(
        self,
        response: Response,
        reading: Reading,
        output_type: type[OutputT] | None = None,
        dispatcher: ToolDispatcher | None = None,
    ) -> None:
        super().__init__(response, reading)
        self._collection: AgentTurnResultCollection[OutputT] = AgentTurnResultCollection(None, output_type)
        self._dispatcher = dispatcher
        self._events = _awatched(self._events, self._collection, dispatcher)

    def with_result_collection(self) -> Self:
        """Keep what the result is made of while events are read. Called before the first is; gives this stream.

        Raises `RuntimeError` when it is too late.
        """
        self._collection.enable()
        return self

    async def get_final_result(self) -> AgentTurnResult[OutputT]:
        """Read on to the end of the turn the session was created with; its result, the same each time.

        Raises what that of `AgentSessionEventStream` does.
        """
        try:
            return await afinal_result(self, self._collection, _handled(self._dispatcher))
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection. What has not been read is lost; the turn goes on."""
        events: Any = self._events
        if events.ag_running:  # a tool closes the stream it runs in
            await self.response.aclose()
        else:
            await super().close()


def _handled(dispatcher: ToolDispatcher | None) -> frozenset[str]:
    return frozenset() if dispatcher is None else frozenset(dispatcher.handlers)


# The generators know nothing of the streams, as those in the kernel do not.


def _watched(
    events: Generator[Any, None, None],
    collection: AgentTurnResultCollection[Any],
    dispatcher: ToolDispatcher | None,
) -> Generator[Any, None, None]:
    try:
        for event in events:
            collection.accept(event)
            call = None if dispatcher is None else dispatcher.prepare(event)
            yield event
            if call is not None and dispatcher is not None:
                dispatcher.drive(dispatcher.dispatch(call))
    except Exception as error:
        collection.record_error(error)
        raise
    finally:
        events.close()


async def _awatched(
    events: AsyncGenerator[Any, None],
    collection: AgentTurnResultCollection[Any],
    dispatcher: ToolDispatcher | None,
) -> AsyncGenerator[Any, None]:
    try:
        async for event in events:
            collection.accept(event)
            call = None if dispatcher is None else dispatcher.prepare(event)
            yield event
            if call is not None and dispatcher is not None:
                await dispatcher.drive(dispatcher.dispatch(call))
    except Exception as error:
        collection.record_error(error)
        raise
    finally:
        await events.aclose()
