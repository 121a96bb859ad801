"""Latency as data: an engine whose answers take time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..kernel.flow import Pause, Step, through
from ..server.renderings.chunks import chunks
from ..server.turns import Usage
from .latency import Latencies, Latency, Pacing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ..server.engine import ChatEngine, ChatRequest
    from .latency import Tempo

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
        turn = self.engine(request)
        if isinstance(turn, str):
            parts = chunks(turn)
            if not request.stream:
                tempo = yield from self._begun(request)
                yield from _pause(tempo, max(1, len(parts)), first=True)
                yield turn
                return
            turn = parts
        begun: Tempo | None = None

        def each(piece: Any) -> Generator[Any, Any, Any]:
            nonlocal begun
            if not isinstance(piece, Step):
                first = begun is None
                if begun is None:
                    begun = yield from self._begun(request)
                yield from _pause(begun, _tokens(piece), first=first)
            return (yield piece)

        yield from through(turn, each)

    def _begun(self, request: ChatRequest) -> Generator[Any, Any, Tempo]:
        """The tempo of an answer of which something is there: what is refused has been read by no model."""
        tempo = self.pacing.begin(request)
        if tempo.found is not None and not request.choice:
            # What the engine tells of its own is told later, and counts.
            yield Usage(cached_tokens=tempo.found.cached, cache_write_tokens=tempo.found.written)
        return tempo

    def __repr__(self) -> str:
        return f"Paced({self.engine!r}, {self.pacing.latencies.named})"


def _pause(tempo: Tempo, tokens: int, *, first: bool) -> Iterator[Any]:
    seconds = tempo.next(tokens, first=first)
    if seconds:
        began = tempo.begin()
        yield Pause(seconds)
        tempo.end(began, seconds)


def _tokens(piece: Any) -> int:
    """How many tokens a piece stands for, about; space at its end is none."""
    text: Any = piece if isinstance(piece, str) else getattr(piece, "text", None)
    return max(1, len(chunks(text.strip()))) if isinstance(text, str) else 1
