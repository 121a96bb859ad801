"""How much a session may hold, and what is raised when that is too little or a request fails."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...types.responses.responses_server_event import ResponsesServerEvent

__all__ = ("ResponsesWebSocketBufferError", "ResponsesWebSocketError", "ResponsesWebSocketLimits")


@dataclass(frozen=True)
class ResponsesWebSocketLimits:
    """How many events may wait to be received, and how much they weigh: the bytes of the messages they came in.

    These are your program's limits, not the server's. Choose them for the largest answers you expect, with pictures and
    results of tools. Raises `ValueError` where one is not a positive integer.
    """

    max_lanes: int
    """How many lanes there may be, with the default one, and with closed ones until the connection is made again."""
    max_events_per_lane: int
    max_events: int
    max_bytes_per_lane: int
    max_bytes: int
    max_response_bytes: int | None = None
    """Bytes of the events that one response is put together from; any number with `None`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            if value is None and field.name == "max_response_bytes":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise ValueError(f"the limits are positive integers; {field.name} was {value!r}")


class ResponsesWebSocketBufferError(RuntimeError):
    """More waits to be received, or belongs to one response, than the session's limits allow."""


class ResponsesWebSocketError(RuntimeError):
    """The server answered a request with an error.

    What it says is in `event`. The message has nothing of it, since that may quote what was asked.
    """

    event: ResponsesServerEvent

    def __init__(self, event: ResponsesServerEvent) -> None:
        super().__init__("the server answered with an error event: see `event`")
        self.event = event
