"""Latency as data: an engine whose answers take time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..kernel.flow import Pause, Step
from ..server.renderings.chunks import chunks
from ..server.turns import Usage
from .latency import Latencies, Latency, Pacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..server.engine import ChatEngine, ChatRequest

__all__ = ("Paced",)


class Paced:
    """Another engine at the pace of a model: `first` seconds before the first token, `each` before every further one.

    Or at that of a `pacing`, which says more and may be shared. An answer that is not streamed takes as long as its
    pieces would have taken. The server never sleeps: the latency is in the answer, and under a virtual clock it takes
    no time.
    """

    never_blocks: ClassVar[bool] = True

    def __init__(
        self, engine: ChatEngine, first: float = 0.0, each: float = 0.0, *, pacing: Pacing | None = None
    ) -> None:
        self.engine = engine
        self.pacing = Pacing(Latencies({"*": Latency(first, each)})) if pacing is None else pacing

    def __call__(self, request: ChatRequest) -> Iterator[Any]:
        pacing = self.pacing
        pacing.active += 1
        try:
            yield from self._paced(request)
        finally:
            pacing.active -= 1

    def _paced(self, request: ChatRequest) -> Iterator[Any]:
        tempo = self.pacing.begin(request)
        if tempo.found is not None and not request.choice:
            # What the engine tells of its own is told later, and counts.
            yield Usage(cached_tokens=tempo.found.cached, cache_write_tokens=tempo.found.written)
        turn = self.engine(request)
        if isinstance(turn, str):
            parts = chunks(turn)
            if not request.stream:
                yield from _pause(tempo, max(1, len(parts)), first=True)
                yield turn
                return
            turn = parts
        pieces = iter(turn)
        send: Any = getattr(pieces, "send", None)
        first = True
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
                yield from _pause(tempo, _tokens(piece), first=first)
                first = False
                sent: Any = yield piece
                piece = next(pieces) if send is None or sent is None else send(sent)
        except StopIteration:
            return
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def __repr__(self) -> str:
        return f"Paced({self.engine!r}, {self.pacing.latencies.named})"


def _pause(tempo: Any, tokens: int, *, first: bool) -> Iterator[Any]:
    seconds = tempo.next(tokens, first=first)
    if seconds:
        began = tempo.begin()
        yield Pause(seconds)
        tempo.end(began, seconds)


def _tokens(piece: Any) -> int:
    """How many tokens a piece stands for, about; space at its end is none."""
    text: Any = piece if isinstance(piece, str) else getattr(piece, "text", None)
    return max(1, len(chunks(text.strip()))) if isinstance(text, str) else 1
