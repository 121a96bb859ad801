"""A flow says what should happen; a driver makes it happen.

A flow is a generator that yields steps (`Send` this request, `Pause`, `Read` the next piece, `Await` this,
`Call` that slow function) and is sent their results, or has their exceptions thrown into it. Logic written as
a flow exists once and has no colour: `run` drives it in a thread, `arun` in an event loop.

Steps know how to perform themselves in both colours, given a `World`: how to send and how to sleep. A test
with a virtual clock passes a world whose sleep takes no time.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeAlias, TypeVar

from .http import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")

__all__ = (
    "Await",
    "Call",
    "Flow",
    "Next",
    "Pause",
    "Read",
    "Send",
    "Step",
    "Together",
    "World",
    "aiterate",
    "arun",
    "atell",
    "iterate",
    "run",
    "tell",
    "through",
)


class World:
    """How steps touch the outside: sending requests and letting time pass. Subclass to change either."""

    @property
    def keeps_time(self) -> bool:
        """Whether `asend` is over, whatever happens, when the `read` of its timeout has passed since it began."""
        return False

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        raise TypeError("this world has no transport: nothing can be sent from here")

    async def asend(self, request: Request, timeout: Any, stream: bool) -> Response:
        raise TypeError("this world has no transport: nothing can be sent from here")

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        from .loops import sleep

        await sleep(seconds)


class Step(Generic[T_co]):
    """Something a flow wants done."""

    __slots__ = ()

    def perform(self, world: World) -> T_co:
        raise NotImplementedError

    async def aperform(self, world: World) -> T_co:
        raise NotImplementedError


class Send(Step[Response]):
    """Send a request and get its response; with `stream` the response's body is left unread."""

    __slots__ = ("request", "stream", "timeout")

    def __init__(self, request: Request, timeout: Any = None, *, stream: bool = False) -> None:
        self.request = request
        self.timeout = timeout
        self.stream = stream

    def perform(self, world: World) -> Response:
        return world.send(self.request, self.timeout, self.stream)

    async def aperform(self, world: World) -> Response:
        return await world.asend(self.request, self.timeout, self.stream)

    def __repr__(self) -> str:
        return f"Send({self.request.method} {self.request.path})"


class Pause(Step[None]):
    """Let time pass. In a response's body this is latency as data: the handler itself never sleeps."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def perform(self, world: World) -> None:
        world.sleep(self.seconds)

    async def aperform(self, world: World) -> None:
        await world.asleep(self.seconds)

    def __repr__(self) -> str:
        return f"Pause({self.seconds})"


class Read(Step["bytes | None"]):
    """Read the next piece of a streamed response of a transport; `None` at its end."""

    __slots__ = ("stream",)

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def perform(self, world: World) -> bytes | None:
        return next(self.stream, None)

    async def aperform(self, world: World) -> bytes | None:
        return await anext(self.stream, None)


class Next(Step[Any]):
    """The next item of an iterator of either colour; `None` at its end."""

    __slots__ = ("items",)

    def __init__(self, items: Any) -> None:
        self.items = items

    def perform(self, world: World) -> Any:
        return next(self.items, None)

    async def aperform(self, world: World) -> Any:
        return await anext(self.items, None)


class Await(Step[T]):
    """Await something. Driven from a thread, it runs on an event loop kept in the background for this."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self.awaitable = awaitable

    def perform(self, world: World) -> T:
        from .portal import wait_for

        return wait_for(self.awaitable)

    async def aperform(self, world: World) -> T:
        return await self.awaitable


class Call(Step[T]):
    """Call a function that may block: in place when driven from a thread, on a worker thread from a loop."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        self.function: Callable[[], T] = (lambda: function(*args, **kwargs)) if args or kwargs else function  # type: ignore[assignment]

    def perform(self, world: World) -> T:
        try:
            return self.function()
        except StopIteration as error:
            # It would be taken for the end of the flow; a future of asyncio would not even pass it on.
            raise RuntimeError("a called function raised StopIteration") from error

    async def aperform(self, world: World) -> T:
        from .loops import in_thread

        return await in_thread(self.perform, world)


class Together(Step[list[Any]]):
    """Drive several flows, at most `limit` of them at a time, and give what each returns, in their order.

    Driven from a thread, they take turns. Where one fails the others are given up, and its error is raised.
    """

    __slots__ = ("flows", "limit")

    def __init__(self, flows: Sequence[Flow[Any]], limit: int) -> None:
        self.flows = flows
        self.limit = limit

    def perform(self, world: World) -> list[Any]:
        return [run(flow, world) for flow in self.flows]

    async def aperform(self, world: World) -> list[Any]:
        from functools import partial

        from .loops import together

        return await together([partial(arun, flow, world) for flow in self.flows], self.limit)

    def __repr__(self) -> str:
        return f"Together({len(self.flows)})"


Flow: TypeAlias = Generator[Step[Any], Any, T]


def run(flow: Flow[T], world: World) -> T:
    """Drive a flow to its end, blocking."""
    try:
        step = next(flow)
        while True:
            try:
                result = step.perform(world)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as done:
        answer: T = done.value
        return answer


async def arun(flow: Flow[T], world: World) -> T:
    """Drive a flow to its end in the running event loop."""
    try:
        step = next(flow)
        while True:
            try:
                result = await step.aperform(world)
            except BaseException as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as done:
        answer: T = done.value
        return answer


def tell(flow: Generator[Step[Any] | T, Any, Any], world: World) -> Generator[T, None, None]:
    """What a flow yields besides its steps, as it comes. Closes the flow when it is left."""
    try:
        item = next(flow)
        while True:
            if isinstance(item, Step):
                try:
                    result = item.perform(world)
                except BaseException as error:
                    item = flow.throw(error)
                else:
                    item = flow.send(result)
            else:
                yield item
                item = next(flow)
    except StopIteration:
        return
    finally:
        flow.close()


async def atell(flow: Generator[Step[Any] | T, Any, Any], world: World) -> AsyncGenerator[T, None]:
    """`tell` for the running event loop."""
    try:
        item: Any = next(flow, None)
        while item is not None:
            if not isinstance(item, Step):
                yield item
                item = next(flow, None)
                continue
            try:
                try:
                    result = await item.aperform(world)
                except BaseException as error:
                    item = flow.throw(error)
                else:
                    item = flow.send(result)
            except StopIteration:
                return
    finally:
        flow.close()


def through(
    items: Iterable[Any],
    each: Callable[[Any], Generator[Any, Any, Any]],
    *begun: Any,
    over: Callable[[], bool] | None = None,
) -> Generator[Any, Any, Any]:
    """Go through what a generator yields: `each` takes an item, and what it returns is sent to the generator.

    `each` is a generator itself, and what it yields goes to whoever drives the whole. What goes wrong with a step is
    thrown into `items`; an iterable that is no generator is told nothing. `begun` is an item that was taken already.
    Once it is `over`, no further item is taken. Returns what `items` returns, and closes it when it is left.
    """
    rest = iter(items)
    send: Callable[[Any], Any] | None = getattr(rest, "send", None)
    try:
        item = begun[0] if begun else next(rest)
        while True:
            try:
                result = yield from each(item)
            except GeneratorExit:
                raise
            except BaseException as error:
                if not isinstance(item, Step):
                    raise
                item = _throw(rest, error)
            else:
                if over is not None and over():
                    return None
                item = next(rest) if send is None else send(result)
    except StopIteration as done:
        return done.value
    finally:
        close = getattr(rest, "close", None)
        if close is not None:
            close()


def iterate(body: Iterable[bytes | Step[Any]], world: World) -> Iterator[bytes]:
    """The pieces of a streamed body, taking the steps between them. Closes the body when it is left."""
    pieces = iter(body)
    send: Callable[[Any], bytes | Step[Any]] | None = getattr(pieces, "send", None)
    try:
        piece = next(pieces)
        while True:
            if isinstance(piece, bytes):
                yield piece
                piece = next(pieces)
            else:
                try:
                    result = piece.perform(world)
                except BaseException as error:
                    piece = _throw(pieces, error)
                else:
                    piece = next(pieces) if send is None else send(result)
    except StopIteration:
        return
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


async def aiterate(body: Iterable[bytes | Step[Any]], world: World) -> AsyncIterator[bytes]:
    """`iterate` for the running event loop."""
    pieces = iter(body)
    send: Callable[[Any], bytes | Step[Any]] | None = getattr(pieces, "send", None)
    try:
        piece = next(pieces, None)
        while piece is not None:
            if isinstance(piece, bytes):
                yield piece
                piece = next(pieces, None)
            else:
                try:
                    try:
                        result = await piece.aperform(world)
                    except BaseException as error:
                        piece = _throw(pieces, error)
                    else:
                        piece = next(pieces, None) if send is None else send(result)
                except StopIteration:
                    return
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def _throw(pieces: Any, error: BaseException) -> bytes | Step[Any]:
    throw = getattr(pieces, "throw", None)
    if throw is None:
        raise error
    thrown: bytes | Step[Any] = throw(error)
    return thrown
