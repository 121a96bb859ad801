"""Other hosts' APIs in front of the same fake: a request in another dialect is asked as a chat completion.

So rules, scripts, faults, latency and the journal are the same for all: the journal has the chat completion. A file
each; `ROUTES` says which addresses are whose.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Request, Response
    from ...server.app import Server

__all__ = ("HOSTS", "ROUTES", "speak")

ROUTES: Final = {
    "anthropic": ("anthropic", ""),
    "v1/messages": ("anthropic", "/v1/messages"),
    "gemini": ("gemini", ""),
    "v1beta/models": ("gemini", "/v1beta/models"),
}
"""Addresses below which another dialect is spoken: the module that speaks it, and what its own addresses begin with."""

HOSTS: Final = ("api.anthropic.com", "generativelanguage.googleapis.com")
"""Who speaks so."""


def speak(server: Server) -> None:
    """Have a server answer in these dialects, too."""
    for place, (name, prefix) in ROUTES.items():
        server.mount(place, partial(_answer, server, place, name, prefix))


def _answer(server: Server, place: str, name: str, prefix: str, request: Request) -> Response | Flow[Response]:
    path = prefix + request.path.removeprefix(f"/{place}")
    answered: Any = import_module(f".{name}", __name__).answer(server, request._replace(path=path))
    return answered  # type: ignore[no-any-return]
