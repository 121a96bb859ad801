"""The subjects of the contract: every client, blocking and async, in process and over a socket, of one server.

A test is written once, for a `Subject`. What an async client gives is awaited behind `Subject.call`.
"""

from __future__ import annotations

import http.client
import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx2
import openai
import pytest

import antiphon
from antiphon import FakeOpenAI
from antiphon.kernel.http import Headers, Request
from antiphon.transports.handler import HandlerTransport

MODEL = "gpt-4o-mini"


class Answer(NamedTuple):
    """A raw HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Subject:
    """One client and the fake behind it, as a test sees them."""

    def __init__(self, name: str, fake: FakeOpenAI, url: str | None) -> None:
        package, _, self.where = name.partition(" ")
        self.official = package.startswith("official")
        self.errors: Any = openai if self.official else antiphon
        self.is_async = package.endswith("async")
        self.fake = fake
        self.url = url
        self.client = self.make()

    def make(self, kind: str = "", **options: Any) -> Any:
        """Another client of this subject's, such as `kind="Azure"` or one with other options."""
        cls = getattr(self.errors, f"{'Async' if self.is_async else ''}{kind}OpenAI")
        base = f"{self.url or 'http://fake.test'}/v1"
        if self.url is None and self.official:
            http = httpx2.AsyncClient if self.is_async else httpx2.Client
            options = {"http_client": http(transport=self.fake.official_transport()), **options}
        elif self.url is None:
            options = {"transport": self.fake, **options}
        return cls(**{"api_key": "sk-test", "base_url": base, "max_retries": 0, **options})

    async def call(self, name: str, /, *args: Any, client: Any = None, **kwargs: Any) -> Any:
        """Call the operation with this dotted name."""
        found: Any = client or self.client
        for part in name.split("."):
            found = getattr(found, part)
        return await self.settled(found(*args, **kwargs))

    async def settled(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    async def items(self, several: Any, most: int = 10_000) -> list[Any]:
        """What a stream or an automatic page gives when it is iterated, up to `most`."""
        got: list[Any] = []
        if hasattr(several, "__aiter__"):
            async for item in several:
                got.append(item)
                if len(got) == most:
                    break
        else:
            for item in several:
                got.append(item)
                if len(got) == most:
                    break
        return got

    async def read(self, binary: Any) -> bytes:
        data: bytes = await self.settled(binary.read())
        return data

    def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, key: bool = True
    ) -> Answer:
        """Ask without any client, at a path from the root of the server or at a whole URL of it."""
        sent = {"authorization": "Bearer sk-test"} if key else {}
        sent.update(headers or {})
        path = path.removeprefix(self.url or "http://fake.test")
        if self.url is None:
            where, _, query = path.partition("?")
            request = Request(method, where, query, Headers(sent), body, "http://fake.test")
            response = HandlerTransport(self.fake).send(request, None, stream=False)
            return Answer(response.status, dict(response.headers), response.content)
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=20)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    async def close(self) -> None:
        await self.settled(self.client.close())


SUBJECTS = [
    f"{package} {where}"
    for where in ("in process", "on a port")
    for package in ("antiphon", "antiphon-async", "official", "official-async")
]


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[str], tuple[FakeOpenAI, str | None]]]:
    """A fake for each way of being configured, served on a port or not."""
    made: dict[tuple[str, bool], tuple[FakeOpenAI, str | None]] = {}
    running: list[Any] = []

    def get(where: str, **options: Any) -> tuple[FakeOpenAI, str | None]:
        key = (repr(options), where == "on a port")
        if key not in made:
            fake = FakeOpenAI(**options)
            if where == "on a port":
                running.append(fake.start(port=0))
            made[key] = (fake, running[-1].url if where == "on a port" else None)
        fake, url = made[key]
        fake.reset()
        return fake, url

    yield get
    for each in running:
        each.stop(patience=0.5)


@pytest.fixture(params=SUBJECTS)
async def api(request: pytest.FixtureRequest, served: Any) -> Any:
    """The subject of a test. `@pytest.mark.fake(**options)` says with what options its fake is made."""
    marker = request.node.get_closest_marker("fake")
    where = request.param.partition(" ")[2]
    fake, url = served(where, **(marker.kwargs if marker else {}))
    subject = Subject(request.param, fake, url)
    yield subject
    await subject.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Deprecated operations are part of the contract; their warnings are tested where they are given.
    for item in items:
        if "contract" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
