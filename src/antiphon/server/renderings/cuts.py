"""Where an answer is made to end: before a `stop` string, and at the token limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .. import tokens
from ..turns import Finish, Reasoning, Refusal, Text, ToolArguments, Usage

if TYPE_CHECKING:
    from ..engine import ChatRequest, Engines
    from ..turns import Piece
    from .sinks import Sink

__all__ = ("Cut", "cut")


def cut(sink: Sink, request: ChatRequest, engines: Engines | None = None) -> Sink:
    """The sink behind whatever cuts the request asks for, where the engines do not see to that."""
    if (engines is not None and engines.bounded) or (not request.stop and request.max_tokens is None):
        return sink
    return Cut(sink, request.stop, request.max_tokens, request.model)


class Cut:
    """A sink before another one. Text is held back as long as it may be the beginning of a stop string.

    Tokens are counted as the tokenizer counts the whole: a word is counted when the next one begins.
    """

    __slots__ = ("count", "firsts", "held", "limit", "longest", "model", "sink", "spent", "stop", "tail")

    def __init__(self, sink: Sink, stop: Sequence[str], limit: int | None, model: str) -> None:
        self.sink = sink
        self.stop = [text for text in stop if text]
        self.longest = max([len(text) for text in self.stop], default=0)
        self.firsts = {text[0] for text in self.stop}
        """What stop strings begin with: text without any of it need not be held back."""
        self.limit = limit
        self.model = model
        # Without a limit nothing is counted, and no vocabulary has to be loaded.
        self.count: Callable[[str], int] = len if limit is None else tokens.counter(model)
        self.held = ""
        self.spent = 0
        """Tokens before `tail`."""
        self.tail = ""
        """Text whose tokens are not settled yet, since what follows may merge with it."""

    def whole(self, text: str) -> None:
        """Take the text of a turn that has nothing else."""
        kept, stopped = self._before_stop(text)
        kept, over = self._within(kept if stopped else kept + self._release())
        self.sink.whole(kept)
        if over or stopped:
            self._finish(over)

    def feed(self, piece: Piece) -> bool:
        """Take one piece; whether the turn is over with it."""
        if isinstance(piece, (str, Text)):
            return self._text(piece)
        if self.held:
            held = self._release()
            if self._pass(held, held):
                return True
        if isinstance(piece, (Reasoning, Refusal, ToolArguments)):
            self._settle()
            over = self._pass(piece, piece.text)
            self._settle()
            return over
        return self.sink.feed(piece)

    def end(self) -> None:
        """The turn has ended."""
        if self.held:
            held = self._release()
            self._pass(held, held)
        self.sink.end()

    def _text(self, piece: str | Text) -> bool:
        text = piece if isinstance(piece, str) else piece.text
        if not self.stop:
            return self._pass(piece, text)
        kept, stopped = self._before_stop(text)
        if kept and self._pass(kept if isinstance(piece, str) else _shortened(piece, kept), kept):
            return True
        return stopped and self._finish(False)

    def _before_stop(self, text: str) -> tuple[str, bool]:
        """What may be said of the text so far, and whether a stop string ends it."""
        if not self.stop:
            return text, False
        text = self.held + text
        # A model stops as soon as it has said one of them: the one that is complete first, of those the longest.
        found = min(((at + len(stop), at) for stop in self.stop if (at := text.find(stop)) >= 0), default=None)
        if found is not None:
            self.held = ""
            return text[: found[1]], True
        if not self.firsts.isdisjoint(text[1 - self.longest :] if self.longest > 1 else ""):
            for size in range(min(self.longest - 1, len(text)), 0, -1):
                if any(stop.startswith(text[-size:]) for stop in self.stop):
                    self.held = text[-size:]
                    return text[:-size], False
        self.held = ""
        return text, False

    def _release(self) -> str:
        held, self.held = self.held, ""
        return held

    def _pass(self, piece: Piece, text: str) -> bool:
        kept, over = self._within(text)
        if not over:
            return self.sink.feed(piece)
        if kept:
            self.sink.feed(kept if isinstance(piece, str) else _shortened(piece, kept))  # type: ignore[arg-type]
        return self._finish(True)

    def _finish(self, over: bool) -> bool:
        self.held = ""  # what was held back is beyond the end
        if over:
            self.sink.feed(Usage(output_tokens=self.limit))
        self.sink.feed(Finish("length" if over else "stop"))
        return True

    def _within(self, text: str) -> tuple[str, bool]:
        """As much of the text as the limit allows, and whether it was too much."""
        limit = self.limit
        if limit is None:
            return text, False
        if self.tail and text[:1] == " " and text[1:2].isalnum() and not self.tail[-1].isspace():
            self._settle()  # no token reaches over the space before a word
        tail = self.tail + text
        # A token has one byte at least: short of that, nothing needs to be counted.
        if self.spent + 4 * len(tail) <= limit or self.spent + self.count(tail) <= limit:
            self.tail = tail
            return text, False
        kept = "".join(piece.text for piece in tokens.pieces(tail, self.model)[: limit - self.spent])
        return kept[len(self.tail) :], True

    def _settle(self) -> None:
        if self.limit is not None and self.tail:
            self.spent += self.count(self.tail)
            self.tail = ""


def _shortened(piece: Text | Reasoning | Refusal | ToolArguments, text: str) -> Piece:
    """The piece with less text, and with the log probabilities of what is left of it."""
    if not isinstance(piece, Text) or piece.logprobs is None:
        return piece._replace(text=text)
    kept: list[dict[str, object]] = []
    left = len(text)
    for item in piece.logprobs:
        left -= len(item["token"])
        if left < 0:
            break
        kept.append(item)
    return Text(text, kept)
