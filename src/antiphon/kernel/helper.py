"""A helper is a method made of operations: a flow that asks for them, written once and called in either voice.

    class Polling(Resource[V]):
        @helper
        def poll(self, video_id: str) -> Flow[Video]:
            while True:
                answer = yield from answered(self, Videos.retrieve, video_id)
                ...
                yield Pause(1.0)

Read from a resource of a `Sync` client, `poll` blocks and returns a `Video`; from that of an `Async` one it returns a
coroutine of one. The operations a helper asks for go through the client the resource belongs to, with its retries
and its settings, and the pauses pass in the client's world: with a fake under a virtual clock they take no time.
In the further voices a helper answers as an operation does: with the last response it got, whose `parse()` gives the
helper's result, or with `Ok` or `Err`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, overload

from .flow import Flow, Step, World, arun, run

if TYPE_CHECKING:
    from .http import Response
    from .operation import (
        AnyOperation,
        Async,
        AsyncRaw,
        AsyncResult,
        AsyncStreaming,
        Operation,
        Resource,
        Sync,
        SyncRaw,
        SyncResult,
        SyncStreaming,
    )
    from .raw import (
        APIResponse,
        AsyncAPIResponse,
        AsyncResponseContextManager,
        LegacyAPIResponse,
        ResponseContextManager,
    )
    from .result import Err, Ok

__all__ = ("Answer", "Helper", "Together", "answered", "ask", "helper")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Answer(NamedTuple, Generic[R]):
    """What an operation answered, and the response it came in."""

    result: R
    response: Response


if TYPE_CHECKING:

    @overload
    def answered(
        resource: Resource[Any], operation: Operation[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> Flow[Answer[R]]: ...
    @overload
    def answered(resource: Resource[Any], operation: AnyOperation, *args: Any, **kwargs: Any) -> Flow[Answer[Any]]: ...
    def answered(resource: Any, operation: Any, *args: Any, **kwargs: Any) -> Any: ...
    @overload
    def ask(resource: Resource[Any], operation: Operation[P, R], *args: P.args, **kwargs: P.kwargs) -> Flow[R]: ...
    @overload
    def ask(resource: Resource[Any], operation: AnyOperation, *args: Any, **kwargs: Any) -> Flow[Any]: ...
    def ask(resource: Any, operation: Any, *args: Any, **kwargs: Any) -> Any: ...

    class Helper(Generic[P, R]):
        """A flow as a method of a resource."""

        @overload
        def __get__(self, obj: None, owner: type) -> Helper[P, R]: ...
        @overload
        def __get__(self, obj: Resource[Sync], owner: type) -> Callable[P, R]: ...
        @overload
        def __get__(self, obj: Resource[Async], owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
        @overload
        def __get__(self, obj: Resource[SyncRaw], owner: type) -> Callable[P, LegacyAPIResponse[R]]: ...
        @overload
        def __get__(
            self, obj: Resource[AsyncRaw], owner: type
        ) -> Callable[P, Coroutine[Any, Any, LegacyAPIResponse[R]]]: ...
        @overload
        def __get__(
            self, obj: Resource[SyncStreaming], owner: type
        ) -> Callable[P, ResponseContextManager[APIResponse[R]]]: ...
        @overload
        def __get__(
            self, obj: Resource[AsyncStreaming], owner: type
        ) -> Callable[P, AsyncResponseContextManager[AsyncAPIResponse[R]]]: ...
        @overload
        def __get__(self, obj: Resource[SyncResult], owner: type) -> Callable[P, Ok[R] | Err]: ...
        @overload
        def __get__(self, obj: Resource[AsyncResult], owner: type) -> Callable[P, Coroutine[Any, Any, Ok[R] | Err]]: ...
        def __get__(self, obj: Any, owner: type) -> Any: ...

else:
    Helper = Callable

    def answered(resource, operation, *args, **kwargs):
        """Perform an operation through a resource's client; its result with the response it came in."""
        return resource._core._ask(operation, args, kwargs)

    def ask(resource, operation, *args, **kwargs):
        """Perform an operation through a resource's client; its result."""
        answer = yield from resource._core._ask(operation, args, kwargs)
        return answer.result


class _Declare(Protocol):
    def __call__(self, spec: Callable[Concatenate[Any, P], Flow[R]], /) -> Helper[P, R]: ...


@overload
def helper(spec: Callable[Concatenate[Any, P], Flow[R]], /) -> Helper[P, R]: ...
@overload
def helper(*, deprecated: str) -> _Declare: ...
def helper(spec: Any = None, /, *, deprecated: str | None = None) -> Any:
    """Declare a method of a resource that is a flow. `deprecated` says why it should not be called any more."""
    if spec is None:
        return lambda each: _method(each, deprecated)
    return _method(spec, deprecated)


def _method(spec: Any, deprecated: str | None) -> Any:
    from functools import wraps

    if deprecated is None:

        @wraps(spec)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            return self._core._drive(spec(self, *args, **kwargs))

    else:

        @wraps(spec)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            import warnings

            warnings.warn(f"{spec.__name__}() is deprecated: {deprecated}", DeprecationWarning, stacklevel=2)
            return self._core._drive(spec(self, *args, **kwargs))

        vars(call)["__deprecated__"] = deprecated
    return call


class Together(Step[list[T]]):
    """Drive several flows at the same time, at most `limit` at once: their results, in the flows' order.

    Threads of their own drive them from a blocking client, tasks from an async one. When one fails, those that have
    not begun are left out, those that have are waited for (in an event loop: cancelled), and the error is raised.
    """

    __slots__ = ("flows", "limit")

    def __init__(self, flows: Iterable[Flow[T]], limit: int) -> None:
        if limit < 1:
            raise ValueError(f"at least one has to run at a time; the limit was {limit}")
        self.flows = list(flows)
        self.limit = limit

    def perform(self, world: World) -> list[T]:
        from concurrent.futures import ThreadPoolExecutor, wait

        def driven(flow: Flow[T]) -> T:
            return run(flow, world)

        with ThreadPoolExecutor(self.limit) as executor:
            futures = [executor.submit(driven, flow) for flow in self.flows]
            _, unfinished = wait(futures, return_when="FIRST_EXCEPTION")
            for future in unfinished:
                future.cancel()
        done = [future for future in futures if not future.cancelled()]
        failed = next((error for future in done if (error := future.exception()) is not None), None)
        if failed is not None:
            raise failed
        return [future.result() for future in futures]

    async def aperform(self, world: World) -> list[T]:
        from functools import partial

        from .loops import together

        return await together([partial(arun, flow, world) for flow in self.flows], self.limit)

    def __repr__(self) -> str:
        return f"Together({len(self.flows)} flows, {self.limit} at a time)"
