"""What a turn of a session came to: its final messages, gathered from the events as they pass."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, Collection, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, cast

from ....kernel.errors import OpenAIError
from ....kernel.view import View
from ._output import answer_format

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar  # for its default, which checkers know

    from ....types.beta.agent_session import RequiredAction
    from ....types.beta.agent_session_event import AgentSessionEvent
    from ....types.beta.agent_session_message import AgentSessionMessage
    from ....types.beta.agents.sessions.turn import Turn

    OutputT = DefaultTypeVar("OutputT", default=Any)
else:
    OutputT = TypeVar("OutputT")
ParseT = TypeVar("ParseT")

__all__ = (
    "AgentOutputParseError",
    "AgentTurnResult",
    "AgentTurnResultCollection",
    "AgentTurnResultCollector",
    "AgentTurnResultError",
    "OutputT",
    "ResultErrorReason",
    "afinal_result",
    "final_result",
)

ResultErrorReason: TypeAlias = Literal["failed", "cancelled", "requires_action", "incomplete", "observation_failed"]
"""Why there is no result: the turn failed, was cancelled, waits for something that nobody here does, was not over when
the events ended, or could not be watched to its end."""


@dataclass(frozen=True)
class AgentTurnResult(Generic[OutputT]):
    """A turn that was completed, and what the agent said in it."""

    turn: Turn
    messages: list[AgentSessionMessage]
    """The final messages in their order, without comments made on the way."""
    output_parsed: OutputT | None = None
    """The answer as the type that was asked for; `None` without one."""

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.turn.session_id

    @property
    def turn_id(self) -> str:
        """The turn's id."""
        return self.turn.id

    @property
    def output_text(self) -> str:
        """The text of all messages, joined as it is; empty where there is none."""
        return "".join(message.output_text for message in self.messages)

    def parse(self, output_type: type[ParseT]) -> AgentTurnResult[ParseT]:
        """The same result with its answer read into a type: each text is, the first one counts.

        Raises `AgentOutputParseError` for a text that is not of the type and where there is no text, `TypeError` for
        what cannot be the type of an answer.
        """
        load = answer_format(output_type).load
        try:
            parsed = [load(text) for message in self.messages for text in _texts(message)]
            answer: ParseT = parsed[0]
        except Exception:
            # What the type says of the text may quote it: an answer does not go into logs by way of an error.
            raise AgentOutputParseError(self) from None
        return AgentTurnResult(self.turn, self.messages, answer)


def _texts(message: AgentSessionMessage) -> Iterable[str]:
    content = message._data.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "output_text":
            yield part["text"]


class AgentOutputParseError(OpenAIError):
    """The turn was completed, but its answer is not of the type that was asked for."""

    def __init__(self, result: AgentTurnResult[Any]) -> None:
        super().__init__("the agent's answer is not of the type it was to be read into; see `result.output_text`")
        self.result = result
        """The result with the answer as text."""


class AgentTurnResultError(OpenAIError):
    """There is no result of a completed turn: `reason` says why, the rest what was seen of it.

    With `observation_failed` the turn may well go on: only the watching failed, and `__cause__` says how.
    """

    def __init__(
        self,
        reason: ResultErrorReason,
        *,
        turn: Turn | None,
        session_id: str | None,
        messages: list[AgentSessionMessage],
        required_actions: list[RequiredAction],
    ) -> None:
        super().__init__(f"there is no result of the agent's turn: {reason}")
        self.reason = reason
        self.turn = turn
        """The turn as far as it was seen."""
        self.session_id = session_id
        self.turn_id = None if turn is None else turn.id
        self.messages = messages
        """The final messages that had come."""
        self.required_actions = required_actions
        """What the turn waits for."""


_ENDED = frozenset(("completed", "failed", "cancelled"))


class AgentTurnResultCollector:
    """Takes the events of a session and gathers the result of its first turn that is not a subagent's."""

    def __init__(self, session_id: str | None = None) -> None:
        self.session_id = session_id
        self.turn: Turn | None = None
        self.required_actions: list[RequiredAction] = []
        self.cause: Exception | None = None
        """What ended the watching early."""
        self._over = False
        self._session_failed = False
        self._messages: dict[str, tuple[int, AgentSessionMessage]] = {}
        self._error: AgentTurnResultError | None = None
        self._result: AgentTurnResult[Any] | None = None

    def accept(self, event: AgentSessionEvent) -> None:
        """Take an event. What comes after the turn is over is passed over."""
        kind: Any = getattr(event, "type", None)  # what a host sends may be anything
        accept = None if self._over or not isinstance(kind, str) else _ACCEPT.get(kind)
        if accept is not None:
            accept(self, event)

    def _told_by(self, event: Any) -> Any:
        """The session an event is about, whose id is taken."""
        session = event.session
        if isinstance(session, View):
            self.session_id = session._data.get("id") or self.session_id
        return session

    def _created(self, event: Any) -> None:
        self._told_by(event)

    def _turn_created(self, event: Any) -> None:
        turn = event.turn
        if self.turn is None and isinstance(turn, View) and turn._data.get("subagent_id") is None:
            self.turn, self.session_id = cast("Turn", deepcopy(turn)), event.session_id

    def _turn_ended(self, event: Any) -> None:
        if self.turn is not None and event.turn_id == self.turn.id and isinstance(event.turn, View):
            self.turn, self.required_actions = cast("Turn", deepcopy(event.turn)), []

    def _item_done(self, event: Any) -> None:
        item = event.item._data if isinstance(event.item, View) else {}
        if (
            self.turn is not None
            and item.get("type") == "message"
            and item.get("turn_id") == self.turn.id
            and item.get("phase") != "commentary"
            and item.get("status") == "completed"
        ):
            _warn_of_types(item)
            message = _message_type().of(deepcopy(item))
            place = event.output_index if isinstance(event.output_index, int) else len(self._messages)
            self._messages[str(item.get("id"))] = (place, message)

    def _in_progress(self, event: Any) -> None:
        self.required_actions = []

    def _requires_action(self, event: Any) -> None:
        session = self._told_by(event)
        actions = getattr(session, "required_actions", None)
        self.required_actions = deepcopy(actions) if isinstance(actions, list) else []

    def _failed(self, event: Any) -> None:
        self._told_by(event)
        self._session_failed = self._over = True

    def _idle(self, event: Any) -> None:
        # Idle before the turn began is the session as it was found.
        status: Any = None if self.turn is None else self.turn.status
        if isinstance(status, str) and status in _ENDED:
            self.required_actions, self._over = [], True

    def is_done(self) -> bool:
        """Whether the turn is over."""
        return self._over

    def messages(self) -> list[AgentSessionMessage]:
        """The final messages so far, in the order of the output."""
        return [message for _, message in sorted(self._messages.values(), key=lambda placed: placed[0])]

    def error(self, reason: ResultErrorReason) -> AgentTurnResultError:
        """The error that says there is no result. The first is the last: it is kept, and takes what was gathered."""
        if self._error is None:
            self._error = AgentTurnResultError(
                reason,
                turn=self.turn,
                session_id=self.session_id,
                messages=self.messages(),
                required_actions=self.required_actions,
            )
            self.turn, self.required_actions, self._over = None, [], True
            self._messages.clear()
        return self._error

    def check_outcome(self, handled_tools: Collection[str] = ()) -> None:
        """Raise `AgentTurnResultError` where a result cannot come any more. Calls of these tools are seen to."""
        if self._error is not None:
            raise self._error
        status = None if self.turn is None else self.turn.status
        if self._session_failed or status == "failed":
            raise self.error("failed")
        if status == "cancelled":
            raise self.error("cancelled")
        for action in self.required_actions:
            said: dict[str, Any] = getattr(action, "_data", None) or {}
            if said.get("type") != "function_call" or said.get("name") not in handled_tools:
                raise self.error("requires_action")
        if self.cause is not None:
            raise self.error("observation_failed") from self.cause

    def result(self) -> AgentTurnResult[Any]:
        """The result, the same each time. Raises `AgentTurnResultError`."""
        if self._result is None:
            self.check_outcome()
            if not self._over or self.turn is None or self.turn.status != "completed":
                raise self.error("incomplete")
            self._result = AgentTurnResult(deepcopy(self.turn), self.messages())
            self._messages.clear()
        return self._result


_ACCEPT: dict[str, Any] = {
    "agent.session.created": AgentTurnResultCollector._created,
    "agent.session.turn.created": AgentTurnResultCollector._turn_created,
    "agent.session.turn.completed": AgentTurnResultCollector._turn_ended,
    "agent.session.turn.failed": AgentTurnResultCollector._turn_ended,
    "agent.session.turn.cancelled": AgentTurnResultCollector._turn_ended,
    "agent.session.turn.item.done": AgentTurnResultCollector._item_done,
    "agent.session.in_progress": AgentTurnResultCollector._in_progress,
    "agent.session.requires_action": AgentTurnResultCollector._requires_action,
    "agent.session.failed": AgentTurnResultCollector._failed,
    "agent.session.idle": AgentTurnResultCollector._idle,
}


def _message_type() -> type[AgentSessionMessage]:
    from ....types.beta.agent_session_message import AgentSessionMessage

    return AgentSessionMessage


def _warn_of_types(item: dict[str, Any]) -> None:
    """Warn where a final message is not as the API documents it: its text would be missing without a word."""
    content = item.get("content")
    if not isinstance(content, list):
        warnings.warn("the agent's message has an unexpected type at content: expected a list", stacklevel=2)
        return
    for at, part in enumerate(content):
        if isinstance(part, dict) and part.get("type") == "output_text" and not isinstance(part.get("text"), str):
            warnings.warn(
                f"the agent's message has an unexpected type at content[{at}].text: expected a string", stacklevel=2
            )


class AgentTurnResultCollection(Generic[OutputT]):
    """A collector that is there only where a result was asked for: who reads events pays for no result."""

    def __init__(self, session_id: str | None = None, output_type: type[OutputT] | None = None) -> None:
        if output_type is not None:
            answer_format(output_type)
        self.output_type = output_type
        self.collector: AgentTurnResultCollector | None = None
        self._session_id = session_id
        self._begun = False
        self._parsed: AgentTurnResult[OutputT] | None = None

    def enable(self) -> AgentTurnResultCollector:
        """Collect from now on. Raises `RuntimeError` where events have passed already."""
        if self.collector is None:
            if self._begun:
                raise RuntimeError(
                    "some events were read without being collected: call with_result_collection() before the first one"
                )
            self.collector = AgentTurnResultCollector(self._session_id)
        return self.collector

    def accept(self, event: AgentSessionEvent) -> None:
        """Take an event."""
        self._begun = True
        if self.collector is not None:
            self.collector.accept(event)

    def record_error(self, error: Exception) -> None:
        """Take what ended the events; after the turn it does not matter."""
        if self.collector is not None and not self.collector.is_done():
            self.collector.cause = error

    def result(self) -> AgentTurnResult[OutputT]:
        """The result, with its answer parsed where a type was asked for. Raises what `get_final_result` does."""
        result = self.enable().result()
        if self.output_type is None:
            return result
        if self._parsed is None:
            self._parsed = result.parse(self.output_type)
        return self._parsed


# Reading events until the result is there, in both colours


def final_result(
    events: Iterable[Any], collection: AgentTurnResultCollection[OutputT], handled: Collection[str]
) -> AgentTurnResult[OutputT]:
    """The result of the turn whose events these are; read only as far as it takes."""
    collector = collection.enable()
    try:
        collector.check_outcome(handled)
        if not collector.is_done():
            for _ in events:
                collector.check_outcome(handled)
                if collector.is_done():
                    break
        return collection.result()
    except (AgentTurnResultError, AgentOutputParseError):
        raise
    except Exception as error:
        raise _unobserved(collector, error) from error


async def afinal_result(
    events: AsyncIterable[Any], collection: AgentTurnResultCollection[OutputT], handled: Collection[str]
) -> AgentTurnResult[OutputT]:
    """`final_result` for an event loop."""
    collector = collection.enable()
    try:
        collector.check_outcome(handled)
        if not collector.is_done():
            async for _ in events:
                collector.check_outcome(handled)
                if collector.is_done():
                    break
        return collection.result()
    except (AgentTurnResultError, AgentOutputParseError):
        raise
    except Exception as error:
        raise _unobserved(collector, error) from error


def _unobserved(collector: AgentTurnResultCollector, error: Exception) -> AgentTurnResultError:
    collector.cause = error
    return collector.error("observation_failed")
