"""One server for many tests, each with a fake of its own behind it: the key of a request says whose it is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..fake.door import HEALTH, health
from ..fake.sessions import HEADER, ISSUED, Sessions, answered, key_of, opened
from ..kernel.errors import AuthenticationError
from .environment import pointing_at

if TYPE_CHECKING:
    from ..fake import FakeOpenAI
    from ..hosting.run import Running
    from ..kernel.dialogue import Dialogue
    from ..kernel.flow import Flow
    from ..kernel.http import Request, Response

__all__ = ("HEADER", "ServerOfTest", "Shared")


class Shared:
    """A handler that leaves each request to the fake its key belongs to.

    Requests without a key (links to files) and with keys of the tester's own go to the only fake there is. A key of a
    test that has ended is refused, so that what is left over from it disturbs nobody.
    """

    def __init__(self) -> None:
        self._sessions = Sessions()
        self.max_body = 513 * 1024 * 1024

    @contextmanager
    def lent(self, fake: FakeOpenAI) -> Generator[str]:
        """A key that leads to a fake, for as long as the block lasts."""
        key = self._sessions.add(fake)
        try:
            yield key
        finally:
            self._sessions.end(key)

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request."""
        if request.path == HEALTH:
            return health()
        try:
            return answered(self._of(request), request)
        except AuthenticationError as error:
            return error.to_response()

    def dialogue(self, request: Request) -> Dialogue | Response:
        """Open a websocket, or refuse to."""
        try:
            return opened(self._of(request), request)
        except AuthenticationError as error:
            return error.to_response()

    def _of(self, request: Request) -> FakeOpenAI:
        key: str = request.headers.get(HEADER) or key_of(request)
        fakes = self._sessions.fakes
        found = fakes.get(key)
        if found is not None:
            return found
        if len(fakes) == 1 and not key.startswith(ISSUED):
            return next(iter(fakes.values()))
        whose = "of a test that has ended" if key.startswith(ISSUED) else "of no test"
        raise AuthenticationError.because(
            f"Incorrect API key provided: {key or '(none)'} is {whose}. A test's key is `fake_openai_server.api_key`, "
            f"and OPENAI_API_KEY while the test runs; the header {HEADER} may say it instead.",
            code="invalid_api_key",
        )


class ServerOfTest:
    """What a test sees of the server that is shared by the session."""

    def __init__(self, running: Running, fake: FakeOpenAI, api_key: str) -> None:
        self.fake = fake
        """The fake that answers this test, and no other."""
        self.api_key = api_key
        """The key that leads to it."""
        self.host = running.host
        self.port = running.port
        self.url = running.url
        """Scheme, host and port, such as `http://127.0.0.1:45674`."""
        self.base_url = running.base_url
        """What clients of the API take as their `base_url`."""

    @property
    def environ(self) -> dict[str, str]:
        """Variables for a program that is to talk to it: `subprocess.run(…, env={**os.environ, **server.environ})`.

        They are set in this process already, while the test runs.
        """
        return pointing_at(self.url, self.api_key)

    def __repr__(self) -> str:
        return f"<server of a test at {self.url}, key {self.api_key}>"
