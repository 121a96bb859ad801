"""Live sessions over media: offers are answered without any, and sessions can be watched and steered by a sideband.

API reference: https://platform.openai.com/docs/api-reference/live
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...api.live import Live
from ...api.live.sessions import Sessions
from ...kernel.errors import NotFoundError
from ..behaviour import Call, serves
from ..sockets.live.forks import fork_of
from ..sockets.live.session import LiveSession, running

if TYPE_CHECKING:
    from ..behaviour import Reply


@serves(Live.create)
def create(call: Call) -> Reply:
    """Begin a session over WebRTC. No media comes: what happens is up to the sideband."""
    session = LiveSession(call.server, call.request)
    session.begin(call.body["session"])
    return _answer(call, session)


@serves(Sessions.fork)
def fork(call: Call) -> Reply:
    """Begin a session where a stored one is."""
    session = fork_of(call.server, call.request, call.params["session_id"])
    session.begin(call.body.get("session") or {})
    return _answer(call, session)


@serves(Sessions.accept)
def accept(call: Call) -> Reply:
    """Take a call that came in, with the session it is to have."""
    session = LiveSession(call.server, call.request)
    session.id = call.params["session_id"]
    session.begin(call.body["session"])
    return None


@serves(Sessions.hangup)
def hang_up(call: Call) -> Reply:
    """End a session. A server that conjures takes any for one that has ended."""
    if call.server.conjures and call.params["session_id"] not in running(call.server):
        return None
    _found(call).end("remote_hangup")
    return None


@serves(Sessions.refer, Sessions.reject)
def pass_on(call: Call) -> Reply:
    """Pass a call on, or do not take it. Its session, where there is one, ends."""
    session = running(call.server).get(call.params["session_id"])
    if session is not None:
        session.end("remote_hangup")
    return None


def _found(call: Call) -> LiveSession:
    key = call.params["session_id"]
    session = running(call.server).get(key)
    if session is None:
        raise NotFoundError.because(f"No active session found with id '{key}'.", code="session_not_found")
    return session


def _answer(call: Call, session: LiveSession) -> dict[str, Any]:
    lines = ("v=0", f"o=- {int(call.server.clock.now())} 0 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=inactive", "")
    return {"session": {"id": session.id}, "transport": {"type": "webrtc", "sdp": "\r\n".join(lines)}}
