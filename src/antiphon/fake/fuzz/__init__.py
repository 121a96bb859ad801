"""Legal behaviour, varied: what the API is free to do one way or another, done one way or another.

    fake.fuzz(7)                                   # liberties drawn anew for each request, the same for a seed
    fake.fuzz(Liberties(text=1, unknown=True))     # these, for each request
    with fake.fuzz(7): ...

What an answer means stays the same, so a client that breaks is wrong.
"""

from __future__ import annotations

from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Self

from .bodies import looks_otherwise
from .liberties import Liberties
from .turns import said_otherwise

if TYPE_CHECKING:
    from ...kernel.http import Response
    from ...server.engine import ChatRequest
    from ...server.turns import Turn
    from ..faults.setting import Faults

__all__ = ("Fuzzing", "Liberties", "Varied")


class Varied:
    """The liberties of one answer."""

    __slots__ = ("liberties", "operation")

    def __init__(self, liberties: Liberties, operation: str) -> None:
        self.liberties = liberties
        self.operation = operation

    def twist(self, turn: Turn, request: ChatRequest) -> Turn:
        """What the model says, said otherwise."""
        return said_otherwise(turn, request, self.liberties)

    def altered(self, answer: Response) -> Response:
        """The answer, looking otherwise."""
        return looks_otherwise(answer, self.operation, self.liberties)


class Fuzzing:
    """Answers are varied until it is stopped. As a context manager it ends with the block."""

    def __init__(self, faults: Faults, seed: int | str | Liberties) -> None:
        given: Any = seed
        if isinstance(given, bool) or not isinstance(given, (int, str, Liberties)):
            raise TypeError(f"fuzz takes a seed or Liberties, not {given!r}")
        self._faults = faults
        self._before = faults.fuzzing
        self.given: int | str | Liberties = given
        """The seed, or the liberties."""
        self._number = count(1)

    def draw(self, operation: str) -> Varied:
        """The liberties of the next answer."""
        given = self.given
        drawn = given if isinstance(given, Liberties) else Liberties.drawn(Random(f"{given} {next(self._number)}"))
        return Varied(drawn, operation)

    def stop(self) -> None:
        """Vary nothing any more, or what was varied before."""
        if self._faults.fuzzing is self:
            self._faults.vary(self._before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Fuzzing by {self.given!r}>"
