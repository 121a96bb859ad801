"""What toolsets and tool runners tell an observer as they go: which stage ended how and when, never what was said.

    def observe(diagnostic: ToolDiagnostic) -> None:
        print(diagnostic["api"], diagnostic["stage"], diagnostic["reason"], diagnostic["duration_ms"])

Nothing an observer does changes the run: what it raises is dropped, and what it returns is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
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
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")


class ToolDiagnosticUsage(TypedDict):
    """Tokens of one response."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class ToolDiagnostic(TypedDict):
    """One thing that happened."""

    api: Api
    stage: Stage
    reason: Reason
    call_id: str | None
    """The call of the model that it belongs to."""
    member: str | None
    """The tool, or the action of a toolset."""
    duration_ms: float
    usage: ToolDiagnosticUsage | None


ToolDiagnosticObserver: TypeAlias = Callable[[ToolDiagnostic], None]


def tell(
    observer: ToolDiagnosticObserver | None,
    api: Api,
    stage: Stage,
    reason: Reason,
    since: float,
    *,
    call_id: str | None = None,
    member: str | None = None,
    usage: object = None,
) -> None:
    """Tell the observer, where there is one. `since` is when it began, of `time.monotonic()`."""
    if observer is None:
        return
    import asyncio

    # What goes wrong in it is the observer's own affair.
    with suppress(Exception, asyncio.CancelledError):
        given: Any = observer(
            {
                "api": api,
                "stage": stage,
                "reason": reason,
                "call_id": call_id,
                "member": member,
                "duration_ms": max(0.0, (monotonic() - since) * 1000),
                "usage": _counted(usage),
            }
        )
        _let_go(given)


def _counted(usage: Any) -> ToolDiagnosticUsage | None:
    if usage is None:
        return None
    tokens = {name: getattr(usage, name, None) for name in _TOKENS}
    if not all(type(count) is int and count >= 0 for count in tokens.values()):
        return None
    counted: ToolDiagnosticUsage = cast("Any", tokens)
    return counted


def _let_go(given: Any) -> None:
    """Forget a coroutine or a future without a word from the interpreter that nobody waited for it."""
    import asyncio
    import inspect

    if inspect.iscoroutine(given):
        given.close()
    elif isinstance(given, asyncio.Future):
        given.add_done_callback(lambda done: done.cancelled() or done.exception())
