"""Latency as data: an engine whose answers take time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..kernel.flow import Pause, Step
from ..server.renderings.chunks import chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..server.engine import ChatEngine, ChatRequest

__all__ = ("Paced",)


class Paced:
    """Another engine at the pace of a model: `first` seconds before the first piece, `each` before every further one.

    An answer that is not streamed takes as long as its pieces would have taken. The server never sleeps: the
    latency is in the answer, and under a virtual clock it takes no time.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(self, engine: ChatEngine, first: float = 0.0, each: float = 0.0) -> None:
        if first < 0 or each < 0:
            raise ValueError("a pause cannot be shorter than nothing")
        self.engine = engine
        self.first = first
        self.each = each

    def __call__(self, request: ChatRequest) -> Iterator[Any]:
        turn = self.engine(request)
        if isinstance(turn, str):
            parts = chunks(turn)
            if not request.stream:
                yield Pause(self.first + self.each * max(0, len(parts) - 1))
                yield turn
                return
            turn = parts
        pieces = iter(turn)
        send: Any = getattr(pieces, "send", None)
        pause = self.first
        try:
            piece: Any = next(pieces)
            while True:
                if isinstance(piece, Step):
                    try:
                        result = yield piece
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        throw = getattr(pieces, "throw", None)
                        if throw is None:
                            raise
                        piece = throw(error)
                    else:
                        piece = next(pieces) if send is None else send(result)
                    continue
                if pause:
                    yield Pause(pause)
                pause = self.each
                sent: Any = yield piece
                piece = next(pieces) if send is None or sent is None else send(sent)
        except StopIteration:
            return
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def __repr__(self) -> str:
        return f"Paced({self.engine!r}, first={self.first}, each={self.each})"
