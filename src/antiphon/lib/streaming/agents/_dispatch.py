"""Calls of tools in a session's events: run here, and the results submitted. A flow, for both colours."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import uuid4

from ....kernel.errors import BadRequestError
from ....kernel.flow import Await, Pause
from ....kernel.helper import ask
from ....kernel.omit import NotGiven, not_given
from ....kernel.view import View, plain
from ...beta.agents._tool_error import AgentToolError, ToolErrorStage

if TYPE_CHECKING:
    from ....api.beta.agents.sessions import Sessions
    from ....kernel.flow import Flow
    from ....kernel.options import Headers, Timeout
    from ....types.beta.agent_function_call_item import AgentFunctionCallItem

__all__ = ("FAILED", "Invocation", "ToolDispatcher", "own_options")

FAILED = "Tool handler failed."
"""All the model learns of a tool's failure: what an exception says may be secret."""

_RACE_PAUSES = (0.1, 0.3, 0.6, None)
"""Seconds between attempts to submit a result: a call may be told before the server waits for its result."""


def own_options(extra_headers: Headers | None, timeout: float | Timeout | None | NotGiven) -> dict[str, Any]:
    """The options of every request a helper makes: the caller's, without what belongs to one request alone."""
    headers = {
        name: value
        for name, value in (extra_headers or {}).items()
        if name.lower() not in ("idempotency-key", "x-stainless-raw-response")
    }
    return {"extra_headers": headers or None, "timeout": timeout}


class _Pending(NamedTuple):
    """A call that is to be run: as it came, whatever the caller does to the event."""

    session_id: str
    call: AgentFunctionCallItem
    handler: Any


class Invocation:
    """One run of a tool, and how far it has come."""

    def __init__(self, pending: _Pending) -> None:
        self.pending = pending
        self.stage: ToolErrorStage = "arguments"

    def reach(self, stage: ToolErrorStage) -> None:
        """Tell how far it has come."""
        self.stage = stage

    def run(self) -> Any:
        """What the tool returns, or a promise of it."""
        from ...beta.agents._tools import FunctionTool

        handler = self.pending.handler
        arguments = _arguments(self.pending.call)
        self.stage = "execution"
        if isinstance(handler, FunctionTool) and type(handler).__call__ is FunctionTool.__call__:
            return handler.run(arguments, self.reach)
        return handler(arguments)

    def failure(self, error: Exception) -> AgentToolError:
        """What to tell of an error."""
        session_id, call, _ = self.pending
        return AgentToolError(
            error=error,
            tool_name=call.name,
            session_id=session_id,
            turn_id=call.turn_id,
            call_id=call.call_id,
            stage=self.stage,
        )


class ToolDispatcher:
    """Runs the tools that events call for, and submits what they say."""

    def __init__(
        self,
        sessions: Sessions[Any],
        handlers: Mapping[str, Any] | None,
        *,
        on_tool_error: Any = None,
        extra_headers: Headers | None = None,
        timeout: float | Timeout | None | NotGiven = not_given,
    ) -> None:
        core: Any = sessions._core
        self.handlers = dict(handlers or {})
        self.drive: Any = core._drive
        self._is_async: bool = core._is_async
        self._events = sessions.events
        self._on_tool_error = on_tool_error
        self._options = own_options(extra_headers, timeout)
        self._seen: set[tuple[Any, Any]] = set()

    def prepare(self, event: Any) -> _Pending | None:
        """The call an event tells of, where there is a tool for it and it was not told before."""
        if (
            not self.handlers
            or not isinstance(event, View)
            or event._data.get("type") != "agent.session.turn.item.added"
        ):
            return None
        item = getattr(event, "item", None)
        if not isinstance(item, View) or getattr(item, "type", None) != "function_call":
            return None
        key = (item._data.get("turn_id"), item._data.get("call_id"))
        handler = self.handlers.get(str(item._data.get("name")))
        if handler is None or not all(isinstance(each, str) for each in key) or key in self._seen:
            return None
        self._seen.add(key)
        return _Pending(getattr(event, "session_id", ""), cast("AgentFunctionCallItem", deepcopy(item)), handler)

    def dispatch(self, pending: _Pending) -> Flow[None]:
        """Run a tool and submit its result; that it failed, where it did."""
        invocation = Invocation(pending)
        try:
            output = invocation.run()
            if isawaitable(output):
                output = yield from self._awaited(output)
            invocation.stage = "output"
            result = _succeeded(pending.call, output)
        except Exception as error:
            result = _result(pending.call, success=False, error=FAILED)
            if self._on_tool_error is not None:
                yield from self._told(invocation.failure(error))
        yield from self._submitted(pending, result)

    def _awaited(self, output: Awaitable[Any]) -> Flow[Any]:
        if not self._is_async:
            close = getattr(output, "close", None) or getattr(output, "cancel", None)
            if close is not None:
                close()
            raise TypeError("a tool that is a coroutine function needs AsyncOpenAI")
        value = yield Await(output)
        return value

    def _told(self, failure: AgentToolError) -> Flow[None]:
        # Whatever the observer does, the result is submitted.
        with suppress(Exception):
            said = self._on_tool_error(failure)
            if self._is_async and isawaitable(said):
                yield Await(said)
            elif iscoroutine(said):
                said.close()

    def _submitted(self, pending: _Pending, result: dict[str, Any]) -> Flow[None]:
        # One key for all attempts: the server takes one of them.
        key = str(uuid4())
        for pause in _RACE_PAUSES:
            try:
                yield from ask(
                    self._events,
                    type(self._events).create,
                    pending.session_id,
                    events=[result],
                    idempotency_key=key,
                    **self._options,
                )
                return
            except BadRequestError as error:
                if pause is None or not _is_early(error, pending.call.call_id):
                    raise
            yield Pause(pause)


def _is_early(error: BadRequestError, call_id: str) -> bool:
    """Whether the server does not wait for the result yet."""
    body = error.body
    return (
        isinstance(body, Mapping)
        and body.get("code") == "invalid_request_error"
        and body.get("message") == f"Unknown pending tool call: {call_id}"
    )


def _arguments(call: AgentFunctionCallItem) -> dict[str, Any]:
    given: Any = call.arguments
    arguments = json.loads(given) if isinstance(given, str) else deepcopy(given)
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of a function are a JSON object, not {type(arguments).__name__}")
    return arguments


def _result(call: AgentFunctionCallItem, **said: Any) -> dict[str, Any]:
    return {"type": "agent.session.input.tool_result", "turn_id": call.turn_id, "call_id": call.call_id, **said}


def _succeeded(call: AgentFunctionCallItem, output: Any) -> dict[str, Any]:
    """The result of a call. Raises what an output that is no JSON raises, here and not when it is sent."""
    if isinstance(output, Mapping):
        output = json.dumps(plain(dict(output)), separators=(",", ":"))
    elif output is not None and not isinstance(output, str):
        output = plain(list(cast("Iterable[Any]", output)))
    json.dumps(output, ensure_ascii=False).encode()
    return _result(call, success=True, output=output)
