"""Whoever answers: clients of this package and of the official one, blocking or not, handlers, engines.

AsyncOpenAI, Azure, clients of providers     as they are
OpenAI                                       asked without blocking, with its settings, over its connections
the official AsyncOpenAI                     as it is: its streams are read as bytes
the official OpenAI                          on worker threads
a handler: FakeOpenAI(), a gateway, a function from a request to a response      called in process
an engine of `antiphon.engines`                                                  called in process
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from ...client.base import BaseClient
from ..answers import Answer, PassedAnswer, StreamedAnswer, WholeAnswer
from .chat import ChatReader
from .passing import PassingReader
from .responses import ResponsesReader

if TYPE_CHECKING:
    from .reader import Reader

__all__ = ("Caller", "caller_of")

_READERS: Final[dict[str, type[Reader]]] = {
    "chat.completions": ChatReader,
    "responses": ResponsesReader,
    "images": PassingReader,
    "audio.transcriptions": PassingReader,
}
_STREAMING: Final = {"images": "generate"}
"""What the calls are named that are not named `create`."""


class Caller:
    """Asks with an async client of this package or the official one."""

    def __init__(self, client: Any) -> None:
        self.client = client
        keys = (getattr(client, "api_key", None), getattr(client, "admin_api_key", None))
        self.secrets = tuple(key for key in keys if isinstance(key, str) and key)
        self._found: dict[str, Any] = {}

    def method(self, path: str, name: str = "create") -> Any:
        """A method of the client, by the path of its resource."""
        key = f"{path}.{name}"
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = attrgetter(key)(self.client)
        return found

    async def stream(self, path: str, body: dict[str, Any], reader: Reader | None = None) -> Answer:
        """Ask for an answer in pieces."""
        answer: Any = await self.method(path, _STREAMING.get(path, "create"))(**body, stream=True)
        return self._streamed(answer.response, reader or _READERS[path]())

    def _streamed(self, response: Any, reader: Reader) -> Answer:
        content_type: str = response.headers.get("content-type") or ""
        pieces: Any = _ours(response) if hasattr(response, "status") else _Official(response)
        request_id = response.headers.get("x-request-id")
        if content_type.startswith("application/json"):
            # A host that does not stream, whatever it is asked.
            return _Gathered(pieces, reader, request_id=request_id, secrets=self.secrets)
        return StreamedAnswer(pieces, reader, request_id=request_id, secrets=self.secrets)

    async def whole(self, path: str, body: dict[str, Any], reader: Reader | None = None) -> Answer:
        """Ask for an answer in one piece."""
        content, headers = await self.raw(path, body)
        request_id = headers.get("x-request-id")
        return WholeAnswer(content, reader or _READERS[path](), request_id=request_id, secrets=self.secrets)

    async def raw(self, path: str, body: dict[str, Any], name: str = "create") -> tuple[bytes, Any]:
        """Any other call: the body of its response, and its headers."""
        response: Any = await self.method(path, f"with_raw_response.{name}")(**body)
        return response.content, response.headers

    async def pieces(self, path: str, body: dict[str, Any]) -> Answer:
        """A call that is answered with bytes, which are passed on as they come."""
        exchange: Any = self.method(path, "with_streaming_response.create")(**body)
        response: Any = await exchange.__aenter__()
        return PassedAnswer(
            response.iter_bytes(),
            response.headers.get("content-type") or "application/octet-stream",
            close=lambda: exchange.__aexit__(None, None, None),
            request_id=response.headers.get("x-request-id"),
            secrets=self.secrets,
        )

    async def passed(self, path: str, body: dict[str, Any], name: str = "create") -> Answer:
        """Any other call, its body passed on as it is."""
        content, headers = await self.raw(path, body, name)
        return PassedAnswer(
            content,
            headers.get("content-type") or "application/json",
            request_id=headers.get("x-request-id"),
            secrets=self.secrets,
        )

    async def result(self, path: str, body: dict[str, Any]) -> Any:
        """Any call, its result as the client gives it."""
        return await self.method(path)(**body)


class _Threaded(Caller):
    """Asks with a blocking client, on worker threads."""

    async def stream(self, path: str, body: dict[str, Any], reader: Reader | None = None) -> Answer:
        name = _STREAMING.get(path, "create")
        answer: Any = await asyncio.to_thread(lambda: self.method(path, name)(**body, stream=True))
        return self._streamed(_InThreads(answer.response), reader or _READERS[path]())

    async def raw(self, path: str, body: dict[str, Any], name: str = "create") -> tuple[bytes, Any]:
        response: Any = await asyncio.to_thread(lambda: self.method(path, f"with_raw_response.{name}")(**body))
        return response.content, response.headers

    async def pieces(self, path: str, body: dict[str, Any]) -> Answer:
        exchange: Any = self.method(path, "with_streaming_response.create")(**body)
        response: Any = await asyncio.to_thread(exchange.__enter__)
        return PassedAnswer(
            _InThreads(response).aiter_bytes(),
            response.headers.get("content-type") or "application/octet-stream",
            close=lambda: asyncio.to_thread(exchange.__exit__, None, None, None),
            request_id=response.headers.get("x-request-id"),
            secrets=self.secrets,
        )

    async def result(self, path: str, body: dict[str, Any]) -> Any:
        return await asyncio.to_thread(lambda: self.method(path)(**body))


class _Gathered(WholeAnswer):
    """A whole answer that is read when it is wanted."""

    def __init__(self, pieces: Any, reader: Reader, **rest: Any) -> None:
        super().__init__(b"", reader, **rest)
        self._pieces = pieces

    async def next(self) -> Any:
        await self._gather()
        return await super().next()

    async def body(self) -> bytes:
        await self._gather()
        return await super().body()

    async def _gather(self) -> None:
        if not self._body:
            self._body = b"".join([piece async for piece in self._pieces])

    async def close(self) -> None:
        await self._pieces.aclose()
        await super().close()


def _ours(response: Any) -> Any:
    body = response.body
    return _One(body) if isinstance(body, bytes) else body


class _One:
    """Bytes as a stream of one piece."""

    def __init__(self, body: bytes) -> None:
        self._body = [body]

    def __aiter__(self) -> _One:
        return self

    async def __anext__(self) -> bytes:
        if not self._body:
            raise StopAsyncIteration
        return self._body.pop()

    async def aclose(self) -> None:
        self._body = []


class _Official:
    """The body of a response of httpx2's as pieces."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        await self._response.aclose()


_END: Final = object()


class _InThreads:
    """A blocking response whose pieces are read on worker threads."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.headers = response.headers
        self._pieces: Iterator[bytes] = (
            response.iter_bytes() if hasattr(response, "iter_bytes") else iter(response.body)
        )

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        while True:
            piece: Any = await asyncio.to_thread(next, self._pieces, _END)
            if piece is _END:
                return
            yield piece

    async def aclose(self) -> None:
        await asyncio.to_thread(self._response.close)


# Which caller


_KEPT: Final = "_antiphon_caller"
"""Where a handler or an engine keeps what asks it, which is made once and lives as long as it does."""


def caller_of(client: Any, kind: str = "chat") -> Caller:
    """Who asks, for what a resource was given as its client. Raises `TypeError` for what cannot answer.

    An engine is one of the `kind`: `chat`, `embeddings` or `images`.
    """
    if isinstance(client, BaseClient):
        return Caller(client) if client._is_async else _unblocked(client)
    if hasattr(client, "chat") and hasattr(client, "responses"):
        blocking = not hasattr(client, "__aenter__")
        return _Threaded(client) if blocking else Caller(client)
    if not callable(client):
        raise TypeError(
            "client= takes a client (of this package or the official one), a handler such as FakeOpenAI(), or an "
            f"engine of antiphon.engines; this is of type {type(client).__name__}"
        )
    kept: Any = getattr(client, "__dict__", None)
    kept = kept if isinstance(kept, dict) else {}
    key = f"{_KEPT}_{kind}"
    found: Caller | None = kept.get(key)
    if found is None:
        handler = _served(client, kind) if getattr(client, "never_blocks", False) else client
        found = kept[key] = Caller(_over(handler))
    return found


def _over(handler: Callable[..., Any]) -> Any:
    from ...client import AsyncOpenAI

    return AsyncOpenAI(api_key="in-process", base_url="http://in-process.test/v1", transport=handler)


def _served(engine: Any, kind: str) -> Any:
    from ...server.app import Server
    from ...server.engine import Engines

    engines: dict[str, Any] = {kind: {"*": engine}}
    return Server(Engines(**engines))


def _unblocked(client: Any) -> Caller:
    """An async client like a blocking one, over the same connections where its transport has both colours."""
    from ...client import AsyncOpenAI, OpenAI
    from ...transports.handler import HandlerTransport
    from ...transports.network import NetworkTransport

    kept = vars(client).get(_KEPT)
    # Whatever is changed of a client, its headers are put together anew: then it is another.
    if kept is not None and kept[0] is client._bases:
        return kept[1]  # type: ignore[no-any-return]
    if type(client) is not OpenAI or not isinstance(client.transport, (HandlerTransport, NetworkTransport)):
        return _Threaded(client)
    nothing: dict[str, Any] = dict.fromkeys(
        ("default_headers", "set_default_headers", "default_query", "set_default_query")
    )
    made = Caller(AsyncOpenAI(**client._copied(nothing)))
    vars(client)[_KEPT] = (client._bases, made)
    return made
