"""One server for many tests, each with a fake of its own behind it: the key of a request says whose it is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import AuthenticationError
from ..kernel.flow import Step, World
from ..kernel.http import Request, Response
from .environment import pointing_at

if TYPE_CHECKING:
    from ..fake import FakeOpenAI
    from ..hosting.run import Running
    from ..kernel.dialogue import Dialogue
    from ..kernel.flow import Flow

__all__ = ("HEADER", "ServerOfTest", "Shared")

HEADER: Final = "x-antiphon-test"
"""The header that says whose a request is, for clients whose key cannot be chosen."""

_ISSUED: Final = "sk-antiphon-"


class Shared:
    """A handler that leaves each request to the fake its key belongs to.

    Requests without a key (links to files) and with keys of the tester's own go to the only fake there is. A key of a
    test that has ended is refused, so that what is left over from it disturbs nobody.
    """

    def __init__(self) -> None:
        self._fakes: dict[str, FakeOpenAI] = {}
        self._numbers = count(1)
        self.max_body = 513 * 1024 * 1024

    @contextmanager
    def lent(self, fake: FakeOpenAI) -> Generator[str]:
        """A key that leads to a fake, for as long as the block lasts."""
        key = f"{_ISSUED}{next(self._numbers)}"
        self._fakes[key] = fake
        try:
            yield key
        finally:
            del self._fakes[key]

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request."""
        try:
            fake = self._of(request)
        except AuthenticationError as error:
            return error.to_response()
        answer = fake(request)
        world = fake.world
        return answer if type(world) is World else _elsewhere(answer, world)

    def dialogue(self, request: Request) -> Dialogue | Response:
        """Open a websocket, or refuse to."""
        try:
            return self._of(request).dialogue(request)
        except AuthenticationError as error:
            return error.to_response()

    def _of(self, request: Request) -> FakeOpenAI:
        key = _key(request)
        found = self._fakes.get(key)
        if found is not None:
            return found
        if len(self._fakes) == 1 and not key.startswith(_ISSUED):
            return next(iter(self._fakes.values()))
        whose = "of a test that has ended" if key.startswith(_ISSUED) else "of no test"
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


def _key(request: Request) -> str:
    get = request.headers.get
    said: str = get(HEADER) or get("api-key") or ""
    if not said:
        scheme, _, rest = (get("authorization") or "").partition(" ")
        said = rest.strip() if scheme.lower() == "bearer" else ""
    if not said:  # a browser's websocket has no other place for it
        for each in (get("sec-websocket-protocol") or "").split(","):
            name, found, rest = each.strip().partition("openai-insecure-api-key.")
            if found and not name:
                return rest
    return said


class _There(Step[Any]):
    """A step that is taken in another world than the host's."""

    __slots__ = ("_step", "_world")

    def __init__(self, step: Step[Any], world: World) -> None:
        self._step = step
        self._world = world

    def perform(self, world: World) -> Any:
        return self._step.perform(self._world)

    async def aperform(self, world: World) -> Any:
        return await self._step.aperform(self._world)


def _elsewhere(answer: Response | Flow[Response], world: World) -> Response | Flow[Response]:
    if isinstance(answer, Response):
        return _body_elsewhere(answer, world)

    def flow() -> Flow[Response]:
        return _body_elsewhere((yield from _steps(answer, world)), world)

    return flow()


def _body_elsewhere(response: Response, world: World) -> Response:
    body: Any = response.body
    return response._replace(body=_steps(body, world)) if hasattr(body, "send") else response


def _steps(inner: Any, world: World) -> Any:
    """A generator with its steps taken in a world."""
    try:
        item = next(inner)
        while True:
            try:
                result = yield _There(item, world) if isinstance(item, Step) else item
            except GeneratorExit:
                raise
            except BaseException as error:
                item = inner.throw(error)
            else:
                item = inner.send(result)
    except StopIteration as done:
        return done.value
    finally:
        inner.close()
