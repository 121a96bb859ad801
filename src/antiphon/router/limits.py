"""How much one caller may ask for, and how long everything may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("Limits",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a route. `None` is no limit. Raises `ValueError` for one that lets nothing through."""

    messages: int | None = 1000
    """Messages in one question: more are a 413."""
    size: int | None = 4 * 1024 * 1024
    """Bytes of one request's body or of one message on a websocket: more are a 413, or close the websocket (1009)."""
    seconds: float | None = 600.0
    """From the question to the end of its answer: after that the answer ends with an error, `time_limit`."""
    stall: float | None = 60.0
    """How long a caller may leave the next piece untaken: after that the connection is broken off."""
    answers: int | None = None
    """Answers under way at a time on the route: one more is a 503."""
    keepalive: float | None = 15.0
    """When nothing was sent for so long on a stream of events, a comment is: proxies close what is silent. Websockets
    are kept open by the server's own pings."""
    questions: int | None = None
    """Questions on one websocket: after the last answer it is closed (1008)."""
    waiting: int = 8
    """Questions that may wait on a websocket for the answer under way: one more is refused."""
    connected: float | None = None
    """Seconds a websocket may be open: it is closed (1008) when the answer under way ends."""
    idle: float | None = None
    """Seconds a websocket may be open without a question: it is closed (1000)."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and (value < 0 or (value == 0 and name != "waiting")):
                raise ValueError(f"{name} is a limit: a number above 0, or None for no limit; it was {value!r}")

    def check(self, messages: Sequence[object]) -> None:
        """Raise `Refused` where a question has more messages than it may have."""
        if self.messages is not None and len(messages) > self.messages:
            raise Refused(
                f"A question may have {self.messages} messages; this has {len(messages)}.",
                status=413,
                code="too_many_messages",
                param="messages",
            )
