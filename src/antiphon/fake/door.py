"""A fake as it stands on a port: its API, sessions with fakes of their own, and the control API below `/_antiphon`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..kernel.errors import AuthenticationError, PermissionDeniedError
from ..kernel.http import json_response
from ..version import __version__
from .sessions import Sessions, answered, opened

if TYPE_CHECKING:
    from ..kernel.dialogue import Dialogue
    from ..kernel.flow import Flow, World
    from ..kernel.http import Request, Response
    from . import FakeOpenAI

__all__ = ("HEALTH", "PREFIX", "Door", "controlled", "health", "host_of", "is_loopback")

PREFIX: Final = "/_antiphon"
"""Below which the control API is."""

HEALTH: Final = "/_antiphon/health"


def health() -> Response:
    """What is said to who asks whether anybody is there."""
    return json_response(200, {"status": "ok", "server": "antiphon", "version": __version__})


def is_loopback(host: str) -> bool:
    """Whether what is served at a host can be reached from this machine only."""
    name = host.lower().strip("[]").rstrip(".")
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def host_of(origin: str) -> str:
    """The host of an origin; empty for what is none, as clients may name themselves."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def controlled(
    fake: FakeOpenAI, request: Request, control: bool | None, door: Door | None = None
) -> Response | Flow[Response]:
    """Answer a request to the control API, or refuse to. `control` is as `Door` has it."""
    if request.path == HEALTH:
        return health()
    host = host_of(request.origin)
    if control or (control is None and is_loopback(host)):
        from .control import answer

        return answer(fake, request, door)
    why = (
        "is switched off here"
        if control is False
        else f"answers those who address this machine as localhost or 127.0.0.1, and not as {host}"
    )
    return PermissionDeniedError.because(
        f"The control API {why}: `antiphon serve --control`, or FakeOpenAI(control=True), opens it to whoever reaches "
        "the server.",
        code="control_off",
    ).to_response()


class Door:
    """The handler of a fake for hosts.

    `control` says who may use the control API: everybody (`True`), nobody (`False`), or whoever addresses this machine
    as such (`None`), so that no page of the web gets at it by a name of its own.
    """

    def __init__(self, fake: FakeOpenAI, control: bool | None) -> None:
        self.fake = fake
        self.control = control
        self.sessions = Sessions()
        """Fakes that were made over HTTP, with keys of their own."""
        self._server = fake.server
        self._shared = False

    @property
    def world(self) -> World:
        """How flows of the fake let time pass."""
        return self._server.world

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""
        return self._server.max_body

    def share(self) -> Sessions:
        """The sessions; from now on each request is looked at for one."""
        self._shared = True
        return self.sessions

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request."""
        fake = self.fake
        if self._shared:
            try:
                fake = self.sessions.of(request) or fake
            except AuthenticationError as error:
                if not request.path.startswith(PREFIX):
                    return error.to_response()
        if request.path.startswith(PREFIX):
            return controlled(fake, request, self.control, self)
        return self._server(request) if fake is self.fake else answered(fake, request)

    def dialogue(self, request: Request) -> Dialogue | Response:
        """Open a websocket, or refuse to."""
        if self._shared:
            try:
                fake = self.sessions.of(request)
            except AuthenticationError as error:
                return error.to_response()
            if fake is not None:
                return opened(fake, request)
        return self._server.dialogue(request)

    def __repr__(self) -> str:
        return f"<Door of {self.fake!r}>"
