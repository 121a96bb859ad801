"""What the toolsets have in common: who may enter, and how a driver's method is called in either colour."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Literal, TypeAlias, TypedDict

from ..kernel.flow import Flow, Step, World
from ._runners.steps import with_cancelled
from .tool_diagnostics import Reason, Stage, ToolDiagnosticObserver, tell

__all__ = ("Cancelled", "CloseStatus", "Gate", "Invoke", "Watch", "is_async", "is_awaitable")

Cancelled: TypeAlias = Callable[[], bool]


class CloseStatus(TypedDict):
    """Whether a toolset is at rest, or still busy with its last call."""

    status: Literal["closed", "draining"]


class Gate:
    """Lets one call in at a time, and none once it is closed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = Lock()
        self._busy = self._closed = False

    @contextmanager
    def entered(self) -> Generator[None]:
        """Raises `RuntimeError` where the gate is closed or another call is inside."""
        with self._lock:
            if self._closed:
                raise RuntimeError(f"{self._name} is closed.")
            if self._busy:
                raise RuntimeError(f"{self._name} is busy with another call.")
            self._busy = True
        try:
            yield
        finally:
            with self._lock:
                self._busy = False

    def close(self) -> CloseStatus:
        with self._lock:
            self._closed = True
            return {"status": "draining" if self._busy else "closed"}


class Invoke(Step[Any]):
    """Call a function of the user's; in an event loop, await what it gives.

    A function with a parameter `cancelled` is given the run's, unless an argument fills it already.
    """

    __slots__ = ("args", "cancelled", "function")

    def __init__(self, function: Callable[..., Any], *args: Any, cancelled: Cancelled | None = None) -> None:
        self.function, self.args, self.cancelled = function, args, cancelled

    def perform(self, world: World) -> Any:
        return self.function(*self.args, **with_cancelled(self.function, self.args, self.cancelled))

    async def aperform(self, world: World) -> Any:
        return await self.perform(world)


def is_async(function: Callable[..., Any]) -> bool | None:
    """Whether a function gives something to await, as far as can be seen without calling it; `None` for unknown."""
    target: Any = inspect.unwrap(function)
    if inspect.iscoroutinefunction(target):
        return True
    if not inspect.isroutine(target) and inspect.iscoroutinefunction(inspect.unwrap(target.__call__)):
        return True
    try:
        returned = inspect.signature(target).return_annotation
    except (TypeError, ValueError):
        return None
    text = str(returned)
    if returned in (inspect.Signature.empty, Any, object) or text.rpartition(".")[2] in ("Any", "object"):
        return None
    return any(f"{kind}[" in text for kind in ("Awaitable", "Coroutine", "Future"))


def is_awaitable(value: Any) -> bool:
    """Whether a blocking call gave something to await after all. A coroutine is closed: nobody will await it."""
    if inspect.iscoroutine(value):
        value.close()
    return inspect.isawaitable(value)


class Watch:
    """One call of the model as it is worked on: whether it is still wanted, and who is told how it goes."""

    def __init__(
        self,
        api: Literal["browser", "computer"],
        call_id: str | None,
        cancelled: Cancelled | None,
        observer: ToolDiagnosticObserver | None,
        stop: Callable[[], Exception],
    ) -> None:
        self.api: Literal["browser", "computer"] = api
        self.call_id = call_id
        self.cancelled = cancelled
        self.observer = observer
        self.stop = stop
        """What is raised where it is not wanted any more."""

    def stopped(self) -> bool:
        """Whether the caller wants it to end."""
        return self.cancelled is not None and self.cancelled()

    def check(self) -> None:
        """Raises where the caller wants it to end."""
        if self.stopped():
            raise self.stop()

    def tell(self, stage: Stage, reason: Reason, since: float, member: str | None = None) -> None:
        tell(self.observer, self.api, stage, reason, since, call_id=self.call_id, member=member)

    def ask(self, function: Callable[..., Any], *args: Any) -> Flow[Any]:
        """Call one of the user's functions."""
        result = yield Invoke(function, *args, cancelled=self.cancelled)
        return result
