"""What a model says, in other parts and another order."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from ...kernel.flow import Step, through
from ...server.turns import Reasoning, Refusal, Text, ToolArguments, ToolCall

if TYPE_CHECKING:
    from ...server.engine import ChatRequest
    from ...server.turns import Turn
    from .liberties import Liberties

__all__ = ("said_otherwise",)

_CUT: tuple[type[Any], ...] = (Reasoning, Refusal, ToolArguments)


def said_otherwise(turn: Turn, request: ChatRequest, liberties: Liberties) -> Turn:
    """The turn with its texts in other parts, where it is streamed, and its calls of tools in another order."""
    size = liberties.text if request.stream else 0
    order = liberties.calls if request.tools and request.parallel_tool_calls else 0
    if not size and not order:
        return turn
    if isinstance(turn, str):
        return list(_parts(turn, size, Random(size))) if size else turn
    return _told(turn, size, order)


def _told(turn: Any, size: int, order: int) -> Generator[Any, Any, None]:
    random = Random(size)
    held: list[list[Any]] = []  # calls, each with its arguments

    def each(piece: Any) -> Generator[Any, Any, Any]:
        sent: Any = None
        if isinstance(piece, Step):
            sent = yield piece
        elif order and isinstance(piece, ToolCall):
            held.append([piece])
        elif order and held and isinstance(piece, ToolArguments):
            held[-1] += _cut(piece, size, random)
        else:
            yield from _shuffled(held, order)
            for part in _cut(piece, size, random):
                sent = yield part
        return sent

    yield from through(turn, each)
    yield from _shuffled(held, order)


def _shuffled(held: list[list[Any]], order: int) -> Iterator[Any]:
    calls = held[:]
    held.clear()
    Random(order).shuffle(calls)
    for call in calls:
        yield from call


def _cut(piece: Any, size: int, random: Random) -> Iterator[Any]:
    """A piece in parts; those that say something of each token stay whole."""
    if not size:
        yield piece
    elif piece.__class__ is str:
        yield from _parts(piece, size, random)
    elif piece.__class__ is Text and piece.logprobs is None:
        yield from map(Text, _parts(piece.text, size, random))
    elif piece.__class__ in _CUT:
        yield from map(piece.__class__, _parts(piece.text, size, random))
    else:
        yield piece


def _parts(text: str, size: int, random: Random) -> Iterator[str]:
    place = 0
    while place < len(text):
        length = random.randint(1, size)
        yield text[place : place + length]
        place += length
