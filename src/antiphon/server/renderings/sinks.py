"""How a turn gets from an engine to a rendering: fed piece by piece into a sink, its steps handed on to the driver.

A sink knows no I/O. `feed` takes a piece and says whether the turn is over, `whole` takes the text of a turn
that is known in full, `end` is called once at the end. What a sink has to say on the wire it appends to a
list of bytes that all sinks of one response share; a sink of an answer that is not streamed appends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from ...kernel.flow import Pause, Step, through
from ...kernel.http import Headers

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..turns import Piece, Turn

__all__ = ("EVENT_STREAM", "Sink", "driven", "settled", "unhurried")

T = TypeVar("T")

EVENT_STREAM: Final = Headers.of([("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")])

_FLUSH: Final = 256
"""So many events that are ready are written at once, without waiting for more."""


class Sink(Protocol):
    """Where the pieces of one turn go."""

    def feed(self, piece: Piece, /) -> bool:
        """Take one piece; whether the turn is over with it."""
        ...

    def whole(self, text: str, /) -> None:
        """Take the text of a turn that has nothing else."""
        ...

    def end(self) -> None:
        """The turn has ended."""
        ...


_END: Final = object()


class _Source:
    """A turn on its way into its sink."""

    __slots__ = ("pieces", "send", "sink")

    def __init__(self, turn: Turn, sink: Sink) -> None:
        self.pieces: Iterator[Any] = iter(turn)
        self.send: Any = getattr(self.pieces, "send", None)
        self.sink = sink

    def resume(self, result: Any) -> Any:
        """The next piece or step, after a step had this result; `_END` where there is none."""
        try:
            return next(self.pieces) if self.send is None else self.send(result)
        except StopIteration:
            return _END

    def throw(self, error: BaseException) -> Any:
        """The next piece or step, after a step failed."""
        throw = getattr(self.pieces, "throw", None)
        if throw is None:
            raise error
        try:
            return throw(error)
        except StopIteration:
            return _END

    def close(self) -> None:
        close = getattr(self.pieces, "close", None)
        if close is not None:
            close()


def driven(
    turns: Sequence[tuple[Turn, Sink]], out: list[bytes], last: Callable[[], None] | None = None
) -> Generator[bytes | Step[Any], Any, None]:
    """Feed turns to their sinks, a piece of each in its turn. Yields their steps, and what is in `out` before each.

    What is ready goes out in one piece: between two steps, and at the end. `last` is called when every turn
    has ended, and may have its say in `out`.
    """
    live: list[_Source] = []
    for turn, sink in turns:
        if isinstance(turn, str):
            sink.whole(turn)
            sink.end()
        else:
            live.append(_Source(turn, sink))
    try:
        while live:
            for source in live if len(live) == 1 else tuple(live):
                piece: Any = next(source.pieces, _END)
                while isinstance(piece, Step):
                    if out:
                        yield b"".join(out)
                        out.clear()
                    try:
                        result = yield piece
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        piece = source.throw(error)
                    else:
                        piece = source.resume(result)
                if piece is _END or source.sink.feed(piece):
                    live.remove(source)
                    source.close()
                    source.sink.end()
            if len(out) >= _FLUSH:
                yield b"".join(out)
                out.clear()
    finally:
        for source in live:
            source.close()
    if last is not None:
        last()
    if out:
        yield b"".join(out)
        out.clear()


def settled(flow: Flow[T]) -> T | Flow[T]:
    """The result of a flow that wants nothing done; otherwise the flow, begun."""
    try:
        step = next(flow)
    except StopIteration as done:
        result: T = done.value
        return result
    return through(flow, _taken, step)


def _taken(step: Step[Any]) -> Flow[Any]:
    return (yield step)


def unhurried(flow: Generator[Any, Any, T], spend: Callable[[float], object]) -> Flow[T]:
    """A flow without its pauses: `spend` is told how many seconds each of them would have lasted."""

    def each(step: Step[Any]) -> Flow[Any]:
        if isinstance(step, Pause):
            spend(step.seconds)
            return None
        return (yield step)

    return through(flow, each)
