"""Upstreams that note what becomes of them, and callers that leave, stall and look at every message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from fastapi import FastAPI

from antiphon.kernel.flow import Await
from antiphon.kernel.http import Headers, Request, Response
from antiphon.router import ChatCompletionResource, OpenAIAPIRouter

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


def chunk(delta: dict[str, Any], finish: str | None = None, **rest: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **rest,
    }


def event(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else orjson.dumps(value)) + b"\n\n"


class Upstream:
    """A handler that streams what it is given, and notes what is asked of it and how far it gets.

    Of `pieces`, an int is a word of that number, a dict a chunk, bytes are sent as they are, a function is called and
    what it returns awaited.
    """

    def __init__(self, pieces: Callable[[], Iterator[Any]] | list[Any], headers: dict[str, str] | None = None) -> None:
        self.pieces = pieces
        self.headers = {"content-type": "text/event-stream", "x-request-id": "req_up", **(headers or {})}
        self.requests: list[Request] = []
        self.given = 0
        self.closed = asyncio.Event()
        self.finished = False

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(request.content()) for request in self.requests]

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, Headers(self.headers), self._body())

    def _body(self) -> Iterator[Any]:
        try:
            for piece in self.pieces() if callable(self.pieces) else self.pieces:
                if callable(piece):
                    yield Await(piece())
                    continue
                self.given += 1
                if isinstance(piece, int):
                    piece = chunk({"content": f"word{piece} "})
                yield piece if isinstance(piece, bytes) else event(piece)
            self.finished = True
        finally:
            self.closed.set()


def silence() -> Any:
    """Waits for ever."""
    return asyncio.Event().wait()


WORDS = [chunk({"role": "assistant", "content": ""}), 0, 1, 2, chunk({}, "stop"), b"data: [DONE]\n\n"]


class Caller:
    """Calls an ASGI application, and may leave or stop taking."""

    def __init__(self, app: Any, path: str, body: Any = None, headers: dict[str, str] | None = None) -> None:
        self.app, self.path = app, path
        self.body = orjson.dumps(HELLO if body is None else body)
        pairs = {"content-type": "application/json", **(headers or {})}
        self.headers = [(name.encode(), value.encode()) for name, value in pairs.items()]
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()
        self.got = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.takes.wait()
        self.sent.append(message)
        self.got.set()

    def start(self) -> Caller:
        path, _, query = self.path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": self.headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "root_path": "",
        }
        self.task = asyncio.create_task(self.app(scope, self.receive, self.send))
        return self

    async def wait(self) -> Caller:
        assert self.task is not None
        await asyncio.wait_for(self.task, 20)
        return self

    async def until(self, count: int) -> None:
        """Until so many messages have come."""
        while len(self.sent) < count:
            self.got.clear()
            await asyncio.wait_for(self.got.wait(), 20)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def response_headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent[1:]).decode()

    @property
    def complete(self) -> bool:
        return bool(self.sent) and self.sent[-1].get("more_body") is False


def app_of(upstream: Any, *, resource: Callable[[], Any] | None = None, **settings: Any) -> FastAPI:
    """An application with one route, `/chat`, and one websocket, `/ws`."""
    router = OpenAIAPIRouter(client=upstream, **settings)

    def chat(stream: bool = True) -> ChatCompletionResource:
        return resource() if resource is not None else ChatCompletionResource(stream=stream)

    router.post("/chat")(chat)
    router.websocket("/ws")(chat)
    app = FastAPI()
    app.include_router(router)
    app.state.router = router
    return app


def events_of(text: str) -> list[Any]:
    """The JSON of a stream of events; what is no JSON as text."""
    found: list[Any] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
        if data:
            found.append(orjson.loads(data) if data[:1] in "{[" and data != "[DONE]" else data)
    return found


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches the API."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
