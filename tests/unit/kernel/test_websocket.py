from __future__ import annotations

import pickle

from antiphon.kernel.errors import WebSocketConnectionClosedError
from antiphon.kernel.websocket import ReconnectingEvent, is_recoverable_close
from antiphon.types import websocket_reconnection


def test_only_some_closes_are_worth_another_attempt() -> None:
    assert [code for code in range(1000, 5000) if is_recoverable_close(code)] == [
        1001,
        1005,
        1006,
        1011,
        1012,
        1013,
        1015,
    ]
    assert websocket_reconnection.ReconnectingEvent is ReconnectingEvent


def test_what_was_not_sent_is_told_as_it_was_and_as_text() -> None:
    error = WebSocketConnectionClosedError("closed", unsent_messages=["a", b"b", b"\xff"], code=1006, reason="why")
    assert error.unsent_frames == ["a", b"b", b"\xff"]
    assert error.unsent_messages == ["a", "b"]
    assert (error.code, error.reason, str(error)) == (1006, "why", "closed")
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.unsent_frames, copied.unsent_messages) == (error.unsent_frames, error.unsent_messages)
    assert WebSocketConnectionClosedError("closed").unsent_messages == []
