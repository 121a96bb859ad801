"""`/live/sessions/{session_id}/attach` as a websocket: what watches a session from a server, and steers it.

All that happens is told here too, sound both ways as PCM of 24 kHz with its times. What is sent here is done by the
session, as if its own connection had asked.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ....kernel.dialogue import Goodbye, Turn
from ....kernel.errors import NotFoundError
from ....kernel.flow import through
from ..realtime.audio import pieces
from ..talk import Talk
from .session import LiveSession, running

if TYPE_CHECKING:
    from collections.abc import Callable

    from ....kernel.errors import APIStatusError
    from ....kernel.flow import Step
    from ....kernel.http import Request
    from ...app import Server
    from ..talk import JSON, Command, Said

__all__ = ("dialogue",)


def dialogue(server: Server, request: Request) -> Sideband:
    """The dialogue of a connection. Raises `NotFoundError` where the session is not running."""
    key = request.path.rstrip("/").split("/")[-2]
    session = running(server).get(key)
    if session is None:
        raise NotFoundError.because(f"No active session found with id '{key}'.", code="session_not_found")
    return Sideband(server, request, session)


class Sideband(Talk):
    """One connection beside a session's own."""

    connection: ClassVar[str] = "live_sideband"

    def __init__(self, server: Server, request: Request, session: LiveSession) -> None:
        super().__init__(server, request)
        self._session = session
        self._speak: Callable[[Turn], None] | None = None

    def may_speak(self, speak: Callable[[Turn], None]) -> None:
        self._speak = speak

    def greet(self) -> None:
        self._session.watchers.append(self._watch)

    def ended(self) -> None:
        self._speak = None
        if self._watch in self._session.watchers:
            self._session.watchers.remove(self._watch)

    def _watch(self, event: JSON) -> None:
        sound = event.pop("sound", None)
        if sound is not None:
            (event["delta"],) = pieces(sound, None)
        if event["type"] == "session.output_audio.delta":
            event.pop("event_id", None)
        self.put(event)
        if self._speak is not None:
            self._speak(Turn("", self._last() if event["type"] == "session.closed" else self.flush()))

    def _last(self) -> Said:
        """What is there to be said, and no more."""
        yield from self.flush()
        raise Goodbye

    def fault(self, error: APIStatusError, event: Mapping[str, Any]) -> JSON:
        return self._session.fault(error, event)

    def wrong(self, error: APIStatusError, event: Mapping[str, Any]) -> None:
        fault = self.fault(error, event)
        self.say("error", error=fault, client_event_id=fault["client_event_id"])

    def _pass_on(self, event: JSON) -> Turn | None:
        turn = self._session.do(event)
        if self._session.speak is not None:
            self._session.speak(turn or Turn("", self._session.flush()))
            return None
        # Nobody else is there to do it.
        return None if turn is None else Turn(turn.lane, _unheard(turn.said))

    def _dial(self, event: JSON) -> None:
        for kind in ("send", "sent"):
            self.say(f"transport.dtmf.{kind}", event=event["event"], client_event_id=event.get("event_id"))

    commands: ClassVar[Mapping[str, Command]] = {
        **dict.fromkeys(
            (kind for kind in LiveSession.commands if kind not in ("session.start", "session.input_audio.append")),
            _pass_on,
        ),
        "transport.dtmf.send": _dial,
    }


def _unheard(said: Any) -> Said:
    """What a session without a connection says: its watchers have it already."""

    def each(piece: bytes | Step[Any]) -> Generator[bytes | Step[Any], Any, Any]:
        return None if isinstance(piece, bytes) else (yield piece)

    return through(said, each)
