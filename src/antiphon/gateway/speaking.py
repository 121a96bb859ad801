"""What becomes of the words of a model on their way to the server: they end where they have to, calls of tools are
read out of them, and what came in one piece is told in several where it is streamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..server.renderings.chunks import chunks
from ..server.renderings.cuts import Cut
from ..server.turns import Finish, Text, ToolArguments, ToolCall, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..server.turns import FinishReason, Piece
    from .conventions import Convention, Question
    from .toolcalls import Parser

__all__ = ("Mouth",)


class Mouth:
    """Takes the pieces of one turn, and gives them as they are to be told."""

    over: bool = False
    """Whether the turn has ended, whatever the model still says."""
    single: bool = False
    """Whether one tool may be called, and no more."""
    splits: bool = False
    """Whether long texts are told in pieces."""
    unlikely: bool = False
    """Whether log probabilities were asked for, of a model that may not tell any."""
    plain: bool = False
    """Whether texts are told as they are, but for where they end."""
    _called: bool = False
    _dropping: bool = False
    _limit: Usage | None = None
    _reason: FinishReason | None = None

    def __init__(self, stop: list[str], limit: int | None, model: str, read: Parser | None) -> None:
        self._stop = stop
        self._limited = limit
        self._model = model
        self._read = read
        self._cut: Cut | None = None
        """What ends texts, once one has come that it may concern."""
        self._line: list[Piece] = []

    @classmethod
    def of(cls, follows: Convention, question: Question, read: Parser | None) -> Mouth | None:
        """What a question needs; `None` where pieces can be told as they come."""
        request = question.request
        limit = None if follows.limits else question.limit
        stop = question.stop
        splits = request.stream and not question.stream
        unlikely = bool(question.options.get("logprobs"))
        if not (stop or limit is not None or read is not None or splits or unlikely):
            return None
        mouth = cls(stop, limit, request.model, read)
        mouth.single = not request.parallel_tool_calls
        mouth.splits, mouth.unlikely = splits, unlikely
        mouth.plain = limit is None and read is None and not splits and not unlikely
        return mouth

    def feed(self, piece: Piece) -> Sequence[Piece]:
        """What is told of a piece."""
        if self.over:
            return ()
        if self.plain and piece.__class__ is str and self._passes(piece):  # type: ignore[arg-type]
            return (piece,)
        cut = self._cut
        if cut is None:
            if not self._stop and self._limited is None:
                return self._told([piece])
            cut = self._cut = Cut(_Line(self._line), self._stop, self._limited, self._model)
        self.over = cut.feed(piece)
        return self._taken()

    def _passes(self, text: str) -> bool:
        """Whether nothing in a text can be, or begin, what ends it; nor end what came before."""
        if self._cut is not None and self._cut.held:
            return False
        for stop in self._stop:  # noqa: SIM110 - a generator costs more than the loop
            if stop[0] in text:
                return False
        return True

    def end(self, last: Iterable[Piece]) -> list[Piece]:
        """What is told at the end. `last` is what the reader knows then."""
        used: Usage | None = None
        reason: FinishReason | None = None
        told: list[Piece] = []
        for piece in last:
            if isinstance(piece, Usage):
                used = piece
            elif isinstance(piece, Finish):
                reason = piece.reason
            else:
                told += self.feed(piece)
        if self._cut is not None and self._cut.held and not self.over:
            self._cut.end()
            told += self._taken()
        if self._read is not None:
            told += self._words(self._read.end())
        if self.over and used is not None:
            used = used._replace(output_tokens=None)  # what it counted was cut off in part
        if used is not None:
            told.append(used)
        if self._limit is not None:
            told.append(self._limit)
        reason = self._reason or reason
        if reason in (None, "stop") and self._called:
            reason = "tool_calls"
        if reason is not None:
            told.append(Finish(reason))
        return told

    def _taken(self) -> list[Piece]:
        line, self._line[:] = list(self._line), []
        return self._told(line)

    def _told(self, pieces: list[Piece]) -> list[Piece]:
        told: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, Finish):
                self._reason = piece.reason
            elif isinstance(piece, Usage):
                self._limit = piece
            elif self._read is not None and isinstance(piece, (str, Text)):
                told += self._words(self._read.feed(piece if isinstance(piece, str) else piece.text))
            else:
                told += self._words([piece])
        return told

    def _words(self, pieces: Iterable[Piece]) -> list[Piece]:
        told: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, ToolCall):
                self._dropping = self.single and self._called
                self._called = True
            if self._dropping and isinstance(piece, (ToolCall, ToolArguments)):
                continue
            if not isinstance(piece, str):
                told.append(piece)
            else:
                parts: Any = chunks(piece) if self.splits else (piece,)
                told += (Text(part, []) for part in parts) if self.unlikely else parts
        return told


class _Line:
    """Where what is left of pieces goes."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces

    def feed(self, piece: Piece) -> bool:
        self.pieces.append(piece)
        return False

    def whole(self, text: str) -> None:
        self.pieces.append(text)

    def end(self) -> None:
        """Nothing is held here."""
