"""The playground in Chromium, against a router behind uvicorn, with a fake upstream in the same process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from antiphon.kernel.flow import Pause
from tests.browser.chromium import Browser, Page, installed, running

HOME = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HOME:
            item.add_marker(pytest.mark.timeout(600))  # on a new machine the first of them installs Chromium


class Keeper:
    """Has a Chromium that answers: the same for all tests, and another after one that broke it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._browser: Browser | None = None

    def browser(self) -> Browser:
        if self._browser is None or self._browser.broken:
            self.close()
            self._browser = self._stack.enter_context(running())
        return self._browser

    def close(self) -> None:
        self._stack.close()
        self._browser = None


@pytest.fixture(scope="session")
def keeper() -> Iterator[Keeper]:
    if os.environ.get("ANTIPHON_SKIP_BROWSER") == "1":
        pytest.skip("ANTIPHON_SKIP_BROWSER=1")
    try:
        installed()
    except RuntimeError as error:  # where everything has to run it fails; a newcomer's machine may do without
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    keeper = Keeper()
    try:
        yield keeper
    finally:
        keeper.close()


@pytest.fixture
def chromium(keeper: Keeper) -> Browser:
    return keeper.browser()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with chromium.page() as page:
        yield page


@contextmanager
def serving(app: Any, **options: Any) -> Generator[str]:
    """The address of an application that uvicorn serves."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves applications until the test is over."""
    with ExitStack() as stack:

        def served(app: FastAPI, **options: Any) -> str:
            return stack.enter_context(serving(app, **options))

        yield served


class Upstream:
    """An engine that says what it is told to, notes what it was asked, and waits where it is told to wait."""

    never_blocks = True

    def __init__(self) -> None:
        self.says: list[Any] = ["Hello", " there", "."]
        """Text or other pieces of a turn; an event is waited for, an exception is raised, `...` goes on for ever."""
        self.rounds: list[list[Any]] = []
        """What it says in the next answers, each once; then what it `says`."""
        self.bodies: list[dict[str, Any]] = []
        self.left = threading.Event()
        """Set when an answer is over, or left."""
        self.finished = 0

    @property
    def asked(self) -> list[tuple[str, Any]]:
        """Who said what in the last question."""
        return [(each["role"], each["content"]) for each in self.bodies[-1]["messages"]]

    def __call__(self, request: Any) -> Iterator[Any]:
        self.bodies.append(dict(request.body))
        try:
            for piece in self.rounds.pop(0) if self.rounds else list(self.says):
                if isinstance(piece, threading.Event):
                    while not piece.is_set():
                        yield Pause(0.01)
                elif isinstance(piece, Exception):
                    raise piece
                elif piece is ...:
                    number = 0
                    while True:
                        yield f"word{(number := number + 1)} "
                        yield Pause(0.01)
                else:
                    yield piece
                    yield Pause(0)
            self.finished += 1
        finally:
            self.left.set()


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()
