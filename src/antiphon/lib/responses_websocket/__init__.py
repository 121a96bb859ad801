"""Many responses at once over one connection of `client.responses.connect()`.

limits = ResponsesWebSocketLimits(
    max_lanes=8, max_events_per_lane=128, max_events=512, max_bytes_per_lane=2**24, max_bytes=2**25
)
with client.responses.connect() as connection, ResponsesWebSocketSession(connection, limits=limits) as session:
    lane = session.lane("weather")
    lane.send({"type": "response.create", "model": "gpt-5", "input": "How is the weather?"})
    print(lane.get_final_response().output_text)

_limits.py       what a session may hold, and its errors
_lanes.py        events go to lanes, wait there and are counted: no I/O, no colour
_session.py      the two colours: one reader, many lanes
_accumulator.py  what a response has said so far, for those who feed it; _items.py has its items
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...kernel.lazy import lazily

if TYPE_CHECKING:
    from ._accumulator import ResponsesWebSocketAccumulator, ResponsesWebSocketOutput, ResponsesWebSocketSnapshot
    from ._limits import ResponsesWebSocketBufferError, ResponsesWebSocketError, ResponsesWebSocketLimits
    from ._session import (
        AsyncResponsesWebSocketLane,
        AsyncResponsesWebSocketSession,
        ResponsesWebSocketLane,
        ResponsesWebSocketSession,
    )

__all__ = (
    "AsyncResponsesWebSocketLane",
    "AsyncResponsesWebSocketSession",
    "ResponsesWebSocketAccumulator",
    "ResponsesWebSocketBufferError",
    "ResponsesWebSocketError",
    "ResponsesWebSocketLane",
    "ResponsesWebSocketLimits",
    "ResponsesWebSocketOutput",
    "ResponsesWebSocketSession",
    "ResponsesWebSocketSnapshot",
)

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        dict.fromkeys(__all__, "._accumulator")
        | {name: "._session" for name in __all__ if name.endswith(("Session", "Lane"))}
        | {name: "._limits" for name in __all__ if name.endswith(("Error", "Limits"))},
    )
