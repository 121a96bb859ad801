"""The API's websockets: a module for each address, found by it.

A connection is opened by whoever may ask for anything else: the key is looked at before the address. A message that
asks for something is answered as a request would be, by the same handler, with the headers of the handshake: filters,
limits and keys hold for it.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from ...kernel.errors import NotFoundError
from ...kernel.http import Response
from ..routes import stripped
from .handshake import with_headers

if TYPE_CHECKING:
    from ...kernel.dialogue import Dialogue
    from ...kernel.http import Request
    from ..app import Server

__all__ = ("opened",)

ADDRESSES = {
    "/responses": "responses",
    "/realtime": "realtime.opening",
    "/realtime/translations": "realtime.translations",
    "/live/sessions": "live.session",
    "/live/sessions/{session_id}/attach": "live.sideband",
    "/live/sessions/{session_id}/fork": "live.forks",
}
"""The websockets below `/v1`, and the module that has each."""

_PATTERNS = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), name) for path, name in ADDRESSES.items()]


def opened(server: Server, request: Request) -> Dialogue:
    """The dialogue of a handshake. Raises the API's errors where there is none."""
    request = with_headers(request)
    server.authentication(_anything)(request)
    path, _ = stripped(request.path)
    name = next((name for pattern, name in _PATTERNS if pattern.fullmatch(path.rstrip("/"))), None)
    if name is None:
        raise NotFoundError.because(
            f"There is no websocket at {request.path}; there is one at {', '.join(f'/v1{path}' for path in ADDRESSES)}."
        )
    made: Dialogue = import_module(f".{name}", __name__).dialogue(server, request)
    return made


def _anything(request: Request) -> Response:
    return Response(200)
