"""`_response`, `_legacy_response` and `_streaming`: our classes, which the suite makes as it makes the official ones,
from a response of httpx2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple, get_args

from antiphon.kernel import raw, stream
from antiphon.kernel.body import AsyncPieces, Pieces
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.sse import Decoder
from antiphon.kernel.stream import AsyncStream, Reading, Stream
from antiphon.kernel.view import wrapper
from antiphon.transports.httpx2 import HttpxTransport, _AsyncPieces, _Pieces


def ours(response: Any, *, stream: bool = False, is_async: bool = False) -> Response:
    """A response of httpx2 as one of ours."""
    if isinstance(response, Response):
        return response
    import httpx2

    asked = getattr(response, "_request", None)
    request = Request("GET", "/foo", origin="http://api.test")
    if asked is not None:
        request = Request(asked.method, asked.url.path, headers=Headers(asked.headers.multi_items()))
    body: Any = response.content if not stream else None
    if stream:
        library: Any = httpx2.AsyncClient() if is_async else httpx2.Client()
        body = (_AsyncPieces if is_async else _Pieces)(HttpxTransport(library, is_async=is_async), response, request)
    return Response(response.status_code, Headers(response.headers.multi_items()), body, request)


def _wrap(kind: Any) -> Any:
    return wrapper(kind) or (lambda value: value)


def _reads_library_responses(cls: Any, pieces: Any, events: Any) -> None:
    begin = cls.__init__

    def __init__(self: Any, response: Any = None, *args: Any, **given: Any) -> None:
        if "raw" not in given:
            begin(self, response, *args, **given)
            return

        def read(response: Response, to: Any) -> Any:
            if given["stream"]:
                return events(response, Reading(_wrap(get_args(to)[0])))
            return raw.read_as(response, given["cast_to"] if to is None else to)

        answered = ours(given["raw"])
        begin(self, answered._replace(body=pieces(answered.body)) if pieces else answered, read, 0, given["stream"])

    cls.__init__ = __init__


def _reads_library_streams(cls: Any, *, is_async: bool) -> None:
    begin = cls.__init__

    def __init__(self: Any, response: Any, *args: Any, cast_to: Any = None, client: Any = None, **given: Any) -> None:
        if args or "reading" in given:
            begin(self, response, *args, **given)
        else:
            begin(self, ours(response, stream=True, is_async=is_async), Reading(_wrap(cast_to)))

    cls.__init__ = __init__


BinaryAPIResponse = raw.StreamedBinaryAPIResponse
AsyncBinaryAPIResponse = raw.AsyncStreamedBinaryAPIResponse


def extract_response_type(kind: Any) -> Any:
    """The type argument of a class of responses."""
    for each in (kind, *getattr(kind, "__orig_bases__", ())):
        if get_args(each):
            return get_args(each)[0]
    raise RuntimeError(f"Expected type {kind} to have a type argument at index 0 but it did not")


_reads_library_responses(raw.LegacyAPIResponse, None, Stream)
_reads_library_responses(raw.APIResponse, Pieces, Stream)
_reads_library_responses(raw.AsyncAPIResponse, AsyncPieces, AsyncStream)
_reads_library_streams(Stream, is_async=False)
_reads_library_streams(AsyncStream, is_async=True)


class ServerSentEvent(NamedTuple):
    """An event as the suite looks at it."""

    event: str | None
    data: str

    def json(self) -> Any:
        import json

        return json.loads(self.data)


class SSEDecoder:
    """Our decoder, asked as the official one is."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def iter_bytes(self, pieces: Iterator[bytes]) -> Iterator[ServerSentEvent]:
        for piece in pieces:
            for data, name in self._decoder.data(piece):
                yield ServerSentEvent(_text(name), data.decode())

    async def aiter_bytes(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
        async for piece in pieces:
            for data, name in self._decoder.data(piece):
                yield ServerSentEvent(_text(name), data.decode())


def _text(name: Any) -> str | None:
    return name.decode() if isinstance(name, bytes) else name


def _events(self: Any) -> Any:
    return SSEDecoder().iter_bytes(self.response.body)


def _aevents(self: Any) -> Any:
    return SSEDecoder().aiter_bytes(self.response.body)


Stream._iter_events = _events  # type: ignore[attr-defined]
AsyncStream._iter_events = _aevents  # type: ignore[attr-defined]


def __getattr__(name: str) -> Any:
    for home in (raw, stream):
        if hasattr(home, name):
            return getattr(home, name)
    raise AttributeError(f"antiphon has nothing in the place of {name}")
