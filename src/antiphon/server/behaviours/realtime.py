"""Keys and calls of the realtime API: what a browser connects with, and calls that have sessions.

An ephemeral key opens sessions that begin as it says, until it expires. A call is answered without media: there is none
at this end. Its session can be joined over a websocket (`call_id`) until it is hung up.

API reference: https://platform.openai.com/docs/api-reference/realtime-sessions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...api.realtime.calls import Calls
from ...api.realtime.client_secrets import ClientSecrets
from ...api.realtime.translations.client_secrets import ClientSecrets as TranslationSecrets
from ...kernel.errors import AuthenticationError, BadRequestError, NotFoundError
from ...kernel.http import Headers, Response
from ..auth import key_of
from ..behaviour import Call, serves
from ..sockets.realtime.settings import begun, merged, updated

if TYPE_CHECKING:
    from ...kernel.http import Request
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("keep_key", "session_of_call", "session_of_key")

KEYS: Final = "realtime/client_secrets"
CALLS: Final = "realtime/calls"

MODEL: Final = "gpt-realtime"
_LASTS: Final = 600
_SHORTEST, _LONGEST = 10, 7200


# Keys


def keep_key(call: Call, session: dict[str, Any], expires_after: dict[str, Any] | None) -> tuple[str, int]:
    """A new key for a session, and when it expires. Raises `BadRequestError` for a time that is none."""
    seconds = (expires_after or {}).get("seconds")
    seconds = _LASTS if seconds is None else seconds
    if not _SHORTEST <= seconds <= _LONGEST:
        raise BadRequestError.because(
            f"Invalid 'expires_after.seconds': expected a value between {_SHORTEST} and {_LONGEST}, but got {seconds}.",
            param="expires_after.seconds",
            code="invalid_value",
        )
    value = call.server.ids.new("ek_", 32)
    expires = int(call.server.clock.now()) + seconds
    call.server.store.put(KEYS, value, {"id": value, "session": session, "expires_at": expires})
    return value, expires


@serves(ClientSecrets.create)
def create_key(call: Call) -> Reply:
    """A key that a browser may have: it opens a session that is set already."""
    asked: dict[str, Any] = call.body.get("session") or {"type": "realtime"}
    kind = asked.get("type", "realtime")
    model = asked.get("model") or MODEL
    session = begun(kind, call.server.ids.new("sess_"), model, call.server.clock.now())
    session = updated(session, asked)
    value, expires = keep_key(
        call,
        {**asked, "type": kind, **({"model": model} if kind == "realtime" else {})},
        call.body.get("expires_after"),
    )
    return {"value": value, "expires_at": expires, "session": {**_voiced(session), "expires_at": 0}}


def _voiced(session: dict[str, Any]) -> dict[str, Any]:
    """Settings as answers tell them: a voice that was made is told by its id."""
    output: Any = (session.get("audio") or {}).get("output") or {}
    voice = output.get("voice")
    if not isinstance(voice, dict):
        return session
    return {**session, "audio": {**session["audio"], "output": {**output, "voice": voice.get("id")}}}


@serves(TranslationSecrets.create)
def create_translation_key(call: Call) -> Reply:
    """A key that opens a translation."""
    from ..sockets.realtime.translations import settings

    asked: dict[str, Any] = call.body["session"]
    session = merged(settings(call.server.ids.new("sess_"), asked["model"], call.server.clock.now()), asked)
    value, expires = keep_key(call, {**asked, "type": "translation"}, call.body.get("expires_after"))
    return {"value": value, "expires_at": expires, "session": session}


def session_of_key(server: Server, request: Request) -> dict[str, Any] | None:
    """The session that a request's key was made for; `None` for the other keys.

    Raises `AuthenticationError` for a key that has expired.
    """
    value = key_of(request.headers)
    known = server.store.get(KEYS, value) if value is not None and value.startswith("ek_") else None
    if known is None:
        return None
    if known["expires_at"] <= server.clock.now():
        raise AuthenticationError.because("The ephemeral key has expired.", code="invalid_api_key")
    session: dict[str, Any] = known["session"]
    return session


# Calls


@serves(Calls.create)
def create(call: Call) -> Reply:
    """Answer a WebRTC offer: inactive, for there is no media at this end. The address of the call is in `location`."""
    name = call.server.ids.new("rtc_")
    lines = ("v=0", f"o=- {int(call.server.clock.now())} 0 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=inactive", "")
    headers = [("content-type", "application/sdp"), ("location", f"/v1/realtime/calls/{name}")]
    session = call.body.get("session") or session_of_key(call.server, call.request) or {}
    _put(call, name, session if isinstance(session, dict) else {})
    return Response(201, Headers.of(headers), "\r\n".join(lines).encode())


@serves(Calls.accept)
def accept(call: Call) -> Reply:
    """Take a call that came in, with the session it is to have."""
    _put(call, call.params["call_id"], dict(call.body))
    return None


@serves(Calls.refer)
def refer(call: Call) -> Reply:
    """Pass a call on."""
    return None


@serves(Calls.hangup, Calls.reject)
def hang_up(call: Call) -> Reply:
    """End a call: its session cannot be joined any more."""
    call.server.store.delete(CALLS, call.params["call_id"])
    return None


def _put(call: Call, name: str, session: dict[str, Any]) -> None:
    session = {"type": "realtime", "model": MODEL, **session}
    call.server.store.put(CALLS, name, {"id": name, "session": session})


def session_of_call(server: Server, name: str) -> dict[str, Any]:
    """The session of a call. Raises `NotFoundError` where there is no such call."""
    known = server.store.get(CALLS, name)
    if known is None:
        raise NotFoundError.because(
            f"No session found for call_id '{name}'.", param="call_id", code="call_id_not_found"
        )
    session: dict[str, Any] = known["session"]
    return session
