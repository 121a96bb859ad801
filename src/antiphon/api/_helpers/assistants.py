"""What the streaming helpers of assistants do; their signatures are in `antiphon.api._typed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .structured import client_of, given_of, requester

if TYPE_CHECKING:
    from antiphon.kernel.operation import AnyOperation

__all__ = ("stream_outputs", "stream_run", "stream_thread")


def _stream(arguments: dict[str, Any], name: str, operation: AnyOperation) -> Any:
    from antiphon.lib.streaming import (
        AssistantEventHandler,
        AssistantStreamManager,
        AsyncAssistantEventHandler,
        AsyncAssistantStreamManager,
    )

    resource, given = given_of(arguments)
    handler: Any = given.pop("event_handler", None)
    for part in ("thread_id", "run_id"):
        if part in given and not given[part]:
            raise ValueError(f"`{part}` is part of the address: it cannot be {given[part]!r}")
    given["stream"] = True
    given["extra_headers"] = {
        # What the official client tells a server of its helpers, so ours does.
        "X-Stainless-Stream-Helper": name,
        "X-Stainless-Custom-Event-Handler": "true" if handler else "false",
        **(given.get("extra_headers") or {}),
    }
    request = requester(resource, operation, given)
    if client_of(resource)._is_async:
        return AsyncAssistantStreamManager(request, event_handler=handler or AsyncAssistantEventHandler())
    return AssistantStreamManager(request, event_handler=handler or AssistantEventHandler())


def stream_thread(arguments: dict[str, Any], name: str) -> Any:
    """`beta.threads.create_and_run_stream`."""
    from ..beta.threads import Threads

    return _stream(arguments, name, Threads.create_and_run)


def stream_run(arguments: dict[str, Any], name: str) -> Any:
    """`beta.threads.runs.stream` and `create_and_stream`, which are one."""
    from ..beta.threads.runs import Runs

    return _stream(arguments, "threads.runs.create_and_stream", Runs.create)


def stream_outputs(arguments: dict[str, Any], name: str) -> Any:
    """`beta.threads.runs.submit_tool_outputs_stream`."""
    from ..beta.threads.runs import Runs

    return _stream(arguments, name, Runs.submit_tool_outputs)
