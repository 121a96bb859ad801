"""What the toolsets have in common: who may enter, and how a driver's method is called in either colour."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Literal, TypedDict

from ..kernel.flow import Step, World

__all__ = ("CloseStatus", "Gate", "Invoke", "is_async", "is_awaitable")


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
    def entered(self) -> Iterator[None]:
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

    A function with a parameter `cancelled` is given the run's, unless the arguments fill it already.
    """

    __slots__ = ("args", "cancelled", "function", "kwargs")

    def __init__(
        self,
        function: Callable[..., Any],
        *args: Any,
        cancelled: Callable[[], bool] | None = None,
        **kwargs: Any,
    ) -> None:
        self.function, self.args, self.cancelled, self.kwargs = function, args, cancelled, kwargs

    def perform(self, world: World) -> Any:
        return self.function(*self.args, **self.kwargs, **self._flag())

    async def aperform(self, world: World) -> Any:
        return await self.perform(world)

    def _flag(self) -> dict[str, Any]:
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):
            return {}
        parameter = signature.parameters.get("cancelled")
        if parameter is None or parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            return {}
        filled = "cancelled" in self.kwargs or "cancelled" in signature.bind_partial(*self.args).arguments
        return {} if filled else {"cancelled": self.cancelled}


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
