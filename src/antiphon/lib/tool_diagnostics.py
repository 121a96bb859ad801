"""What runners and sets of tools tell an observer about their work: what was done and how it ended, never content.

    runner.run(client, params, on_diagnostic=lambda event: log.info("%(stage)s %(reason)s", event))

What an observer raises is ignored, and so is what it returns: it can watch a run, not change it.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Literal, TypeAlias, TypedDict, cast

__all__ = ("ToolDiagnostic", "ToolDiagnosticObserver", "ToolDiagnosticUsage")

Api: TypeAlias = Literal["responses", "decisions", "browser", "computer"]
Stage: TypeAlias = Literal["run", "request", "arguments", "approval", "action", "output", "selection", "verification"]
Reason: TypeAlias = Literal[
    "started",
    "completed",
    "refused",
    "cancelled",
    "invalid_input",
    "invalid_output",
    "api_failed",
    "driver_failed",
    "policy_failed",
    "step_limit",
    "busy",
    "closed",
]


class ToolDiagnosticUsage(TypedDict):
    """The tokens of a request."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class ToolDiagnostic(TypedDict):
    """One thing that was done."""

    api: Api
    stage: Stage
    reason: Reason
    call_id: str | None
    member: str | None
    """The function, the action or the tool."""
    duration_ms: float
    usage: ToolDiagnosticUsage | None


ToolDiagnosticObserver: TypeAlias = Callable[[ToolDiagnostic], None]


def emit_tool_diagnostic(
    observer: ToolDiagnosticObserver | None,
    api: Api,
    stage: Stage,
    reason: Reason,
    started: float,
    *,
    call_id: str | None = None,
    member: str | None = None,
    usage: object = None,
) -> None:
    """Tell an observer, if there is one. `started` is of `time.monotonic()`."""
    if observer is None:
        return
    from asyncio import CancelledError

    try:
        told: Any = cast("Any", observer)(
            {
                "api": api,
                "stage": stage,
                "reason": reason,
                "call_id": call_id,
                "member": member,
                "duration_ms": max(0.0, (monotonic() - started) * 1000),
                "usage": _tokens(usage),
            }
        )
        _forget(told)
    except (Exception, CancelledError):
        return


def _tokens(usage: Any) -> ToolDiagnosticUsage | None:
    counts = {name: getattr(usage, name, None) for name in ToolDiagnosticUsage.__annotations__}
    if all(type(count) is int and count >= 0 for count in counts.values()):
        return cast("ToolDiagnosticUsage", counts)
    return None


def _forget(told: Any) -> None:
    """An observer that is a coroutine function gave something to await, which nobody will."""
    from inspect import iscoroutine

    if iscoroutine(told):
        told.close()
    elif hasattr(told, "add_done_callback"):
        told.add_done_callback(lambda done: done.cancelled() or done.exception())
