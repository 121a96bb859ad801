"""`/live/sessions/{session_id}/fork` as a websocket: a session that begins where a stored one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....kernel.errors import NotFoundError
from ..realtime.settings import merged
from .session import LiveSession, stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ....kernel.http import Request
    from ...app import Server
    from ..talk import JSON

__all__ = ("Fork", "dialogue", "fork_of")


def dialogue(server: Server, request: Request) -> Fork:
    """The dialogue of a connection. Raises `NotFoundError` where nothing is stored of the session."""
    return fork_of(server, request, request.path.rstrip("/").split("/")[-2])


def fork_of(server: Server, request: Request, key: str) -> Fork:
    """A session that goes on from another. Raises `NotFoundError` where nothing is stored of that."""
    found = stored(server, key)
    if found is None:
        raise NotFoundError.because(f"No stored session found with id '{key}'.", code="session_not_found")
    return Fork(server, request, found)


class Fork(LiveSession):
    """One session, which inherits another's settings and what was said in it."""

    connection: ClassVar[str] = "live_forks"

    def __init__(self, server: Server, request: Request, origin: JSON) -> None:
        super().__init__(server, request)
        self._origin = origin

    def begin(self, config: Mapping[str, Any]) -> None:
        inherited = {name: value for name, value in self._origin["settings"].items() if name not in _OWN}
        self.history += self._origin["history"]
        super().begin(merged(inherited, config))


_OWN = ("id", "status", "expires_at", "input")
