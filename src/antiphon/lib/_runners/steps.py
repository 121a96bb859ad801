"""Steps that ask a function of either colour, and jobs that run beside the flow."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ...kernel.flow import Flow, Step, World, arun, run

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ("Ask", "Job", "Settle", "Start", "Threads", "WrongColour", "begun", "with_cancelled")


class WrongColour(TypeError):
    """A function that was to be done when it returns gave something to await."""


class Ask(Step[Any]):
    """Ask a function that may be of either colour. In an event loop, what it gives to await is awaited.

    Driven from a thread there is nobody to await it: that raises `WrongColour`, unless the function is declared to be
    async; then it runs on the event loop in the background. A function declared not to be async may block, and runs
    on a worker thread where the flow is driven from a loop.
    """

    __slots__ = ("function", "is_async")

    def __init__(self, function: Callable[[], Any], is_async: bool | None = None) -> None:
        self.function = function
        self.is_async = is_async

    def perform(self, world: World) -> Any:
        result = self.function()
        if not hasattr(result, "__await__"):
            return result
        if self.is_async:
            from ...kernel.portal import wait_for

            return wait_for(result)
        if hasattr(result, "close"):
            result.close()
        raise WrongColour("a function gave something to await, and its caller does not await")

    async def aperform(self, world: World) -> Any:
        if self.is_async is False:
            from asyncio import to_thread

            result = await to_thread(self.function)
        else:
            result = self.function()
        return await result if hasattr(result, "__await__") else result


def begun(items: Any) -> Any:
    """The iterator of something that is iterated in either colour."""
    return aiter(items) if hasattr(items, "__aiter__") else iter(items)


class Job:
    """A flow under way, and what came of it."""

    __slots__ = ("error", "handle", "value")

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.value: Any = None
        self.error: BaseException | None = None

    def keep(self) -> None:
        """Take over what came of it."""
        try:
            self.value = self.handle.result()
        except (Exception, CancelledError) as error:
            self.error = error


class Threads:
    """The threads that jobs run on where there is no event loop, begun when they are first needed."""

    __slots__ = ("_executor", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, function: Callable[[], Any]) -> Any:
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor

            self._executor = ThreadPoolExecutor(self.limit, thread_name_prefix="antiphon-tools")
        return self._executor.submit(copy_context().run, function)

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        if self._executor is not None:
            self._executor.shutdown(wait=True)


class Start(Step[Job]):
    """Begin a flow beside this one: on a thread of its own, or as a task. Each has the context it was begun in."""

    __slots__ = ("flow", "threads")

    def __init__(self, flow: Flow[Any], threads: Threads) -> None:
        self.flow = flow
        self.threads = threads

    def perform(self, world: World) -> Job:
        return Job(self.threads.submit(lambda: run(self.flow, world)))

    async def aperform(self, world: World) -> Job:
        from asyncio import create_task

        return Job(create_task(arun(self.flow, world)))


class Settle(Step["BaseException | None"]):
    """Wait until jobs have ended, whatever happens to whoever waits; the cancellation that came meanwhile.

    What a job does to the world cannot be taken back: it is not left before it is known how it ended.
    """

    __slots__ = ("jobs",)

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def perform(self, world: World) -> None:
        for job in self.jobs:
            job.keep()

    async def aperform(self, world: World) -> BaseException | None:
        from asyncio import wait

        interrupted: BaseException | None = None
        for job in self.jobs:
            while not job.handle.done():
                try:
                    await wait([job.handle])
                except CancelledError as error:
                    interrupted = interrupted or error
            job.keep()
        return interrupted


def with_cancelled(handler: Callable[..., Any], args: tuple[Any, ...], cancelled: Any) -> dict[str, Any]:
    """`cancelled` as a keyword for a handler that has a parameter of that name, and nothing for any other."""
    from inspect import signature

    try:
        signed = signature(handler)
        parameter = signed.parameters.get("cancelled")
        taken = "cancelled" in signed.bind_partial(*args).arguments
    except (TypeError, ValueError):
        return {}
    named = parameter is not None and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return {"cancelled": cancelled} if named and not taken else {}
