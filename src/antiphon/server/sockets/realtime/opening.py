"""`/realtime` as a websocket: conversations with a model that hears and speaks.

A connection is for a model, for a call (`call_id`), or for transcriptions alone (`intent=transcription`). One that says
`OpenAI-Beta: realtime=v1` is spoken with in the words of the beta.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....kernel.errors import BadRequestError
from ...behaviours.realtime import session_of_call, session_of_key
from ..handshake import query_of
from .beta import BetaSession
from .session import Session

if TYPE_CHECKING:
    from ....kernel.http import Request
    from ...app import Server

__all__ = ("dialogue",)


def dialogue(server: Server, request: Request) -> Session:
    """The dialogue of a connection. Raises the API's errors."""
    query = query_of(request)
    given: dict[str, Any] | None = session_of_key(server, request)
    if query.get("call_id"):
        given = session_of_call(server, query["call_id"])
    kind = (given or {}).get("type") or ("transcription" if query.get("intent") == "transcription" else "realtime")
    model = query.get("model") or query.get("deployment") or (given or {}).get("model") or ""
    if kind == "realtime":
        if not model:
            raise BadRequestError.because("you must provide a model parameter", param="model", code="missing_model")
        server.engines.chat(model)
    beta = "realtime=v1" in (request.headers.get("openai-beta") or "")
    return (BetaSession if beta else Session)(server, request, model, kind, given)
