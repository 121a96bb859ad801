"""What goes wrong with the connection."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...kernel.http import Response
from ...kernel.severed import Severed
from .behaviours import Behaviour, relayed
from .parts import choice, integer
from .streams import events as events_of
from .streams import is_events, whole

if TYPE_CHECKING:
    from ...kernel.severed import How
    from .behaviours import Before, Scene

__all__ = ("HangUp", "RefuseConnection", "ResetConnection")


@dataclass(frozen=True, repr=False)
class RefuseConnection(Behaviour):
    """There is no connection: nobody listens. The request is not acted upon."""

    name: ClassVar[str] = "refuse"

    def before(self, scene: Scene) -> Before:
        raise Severed("refused")


class _Break(Behaviour):
    """The connection breaks `before`, `during` or `after` the head of the answer."""

    how: ClassVar[How]
    where: str
    events: int

    def __post_init__(self) -> None:
        choice(self, "where", "before", "during", "after")
        integer(self, "events")
        if self.events and self.where != "after":
            raise ValueError(f"{self.name}: events is for where='after', not {self.where!r}")

    def suits(self, seen: Any) -> bool:
        return seen.streams or not self.events

    def altered(self, answer: Response, scene: Scene) -> Response:
        if self.where != "after":
            close = getattr(answer.body, "close", None)
            if close is not None:
                close()
            raise Severed(self.how, _head(answer) if self.where == "during" else b"")
        broken = _events(answer, self.events, self.how) if is_events(answer) else _half(answer, self.how)
        return answer._replace(body=broken)


@dataclass(frozen=True, repr=False)
class ResetConnection(_Break):
    """The other side breaks the connection off: before anything of the answer has come, in the middle of its head, or
    after it; of a stream after so many events, of another answer in the middle of its body. The request is acted upon.
    """

    name: ClassVar[str] = "reset"
    how: ClassVar[How] = "reset"
    where: str = "before"
    events: int = 0


@dataclass(frozen=True, repr=False)
class HangUp(_Break):
    """`ResetConnection`, but for the connection being closed in good order."""

    name: ClassVar[str] = "hang_up"
    how: ClassVar[How] = "closed"
    where: str = "before"
    events: int = 0


def _head(answer: Response) -> bytes:
    """A part of the head of an answer."""
    kind = answer.headers.get("content-type") or "application/json"
    return f"HTTP/1.1 {answer.status} OK\r\ncontent-type: {kind[: len(kind) // 2]}".encode("latin-1")


def _events(answer: Response, most: int, how: How) -> Generator[Any, Any, None]:
    """So many events, and the break behind them."""
    count = 0

    def feed(event: bytes) -> Iterable[bytes]:
        nonlocal count
        if count == most:
            raise Severed(how)
        count += 1
        return (event,)

    def end() -> Iterable[bytes]:
        raise Severed(how)

    return relayed(events_of(answer.body), feed, end=end)


def _half(answer: Response, how: How) -> Generator[Any, Any, None]:
    """Half of a body, or of its first piece, and the break behind it."""
    body = whole(answer)

    def feed(piece: bytes) -> Iterable[bytes]:
        yield piece[: len(piece) // 2]
        raise Severed(how)

    return relayed(answer.body if body is None else [body], feed)
