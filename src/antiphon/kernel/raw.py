"""Responses instead of results: what calls answer in the voices `with_raw_response` and `with_streaming_response`.

    LegacyAPIResponse                  the body has been read; `parse()` gives the call's result
    APIResponse, AsyncAPIResponse      the body has not been read; `read`, `text`, `json`, `parse` read it whole,
                                       `iter_bytes`, `iter_text`, `iter_lines`, `stream_to_file` as it arrives

The names are the official package's. `parse(to=…)` reads the body as another type: a view, `list[…]`, `dict[…]`, a
union of them, `str`, `bytes`, `int`, `float`, `bool`, a pydantic model, `Response`; for a stream, `Stream[Type]`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, Union, get_args, get_origin, overload

from .binary import HttpxBinaryResponseContent
from .body import AsyncPieces, Chunks, Lines, Pieces, StreamAlreadyConsumed, decoder
from .http import Headers, Request, Response
from .stream import AsyncStream, Stream
from .view import View, wrapper

if TYPE_CHECKING:
    from datetime import timedelta
    from os import PathLike

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
ResponseT = TypeVar("ResponseT", bound="APIResponse[Any]", covariant=True)  # noqa: PLC0105 (it reads better)
AsyncResponseT = TypeVar("AsyncResponseT", bound="AsyncAPIResponse[Any]", covariant=True)  # noqa: PLC0105

__all__ = (
    "APIResponse",
    "AsyncAPIResponse",
    "AsyncResponseContextManager",
    "AsyncStreamedBinaryAPIResponse",
    "BaseAPIResponse",
    "LegacyAPIResponse",
    "ResponseContextManager",
    "StreamAlreadyConsumed",
    "StreamedBinaryAPIResponse",
    "read_as",
)


class BaseAPIResponse(Generic[R_co]):
    """What is known of a response whatever became of its body."""

    __slots__ = ("_parsed", "_read", "began", "ended", "http_response", "retries_taken", "streams")
    http_response: Response
    """The response of the transport."""
    retries_taken: int
    """How often the call was tried again before it was answered."""

    def __init__(
        self,
        response: Response,
        read: Callable[[Response, Any], Any],
        retries_taken: int = 0,
        streams: bool = False,
        began: float | None = None,
        ended: float | None = None,
    ) -> None:
        """`read(response, to)` reads a body as `to`, as the call's own type where that is `None`; `streams` says that
        this is a stream of events; `began` and `ended` are when the request was sent and when its answer had arrived,
        by `time.perf_counter()`.
        """
        self.http_response = response
        self.retries_taken = retries_taken
        self.streams = streams
        self.began = time.perf_counter() if began is None else began
        self.ended = ended
        self._read = read
        self._parsed: dict[Any, Any] = {}

    @property
    def headers(self) -> Headers:
        """The headers of the response."""
        return self.http_response.headers

    @property
    def http_request(self) -> Request:
        """The request that was answered: of several attempts the last."""
        request = self.http_response.request
        assert request is not None, "every transport says what its response answers"
        return request

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self.http_response.status

    @property
    def url(self) -> str:
        """What was asked, query included."""
        return self.http_request.url

    @property
    def method(self) -> str:
        """The HTTP method it was asked with."""
        return self.http_request.method

    @property
    def http_version(self) -> str:
        """`HTTP/1.1` or `HTTP/2`."""
        return self.headers.http_version

    @property
    def request_id(self) -> str | None:
        """The server's `x-request-id`."""
        found: str | None = self.headers.get("x-request-id")
        return found

    @property
    def elapsed(self) -> timedelta:
        """The time from sending the request to the end of the answer; until now, as long as that has not come."""
        from datetime import timedelta

        ended = getattr(self.http_response.body, "ended", self.ended)
        return timedelta(seconds=(time.perf_counter() if ended is None else ended) - self.began)

    @property
    def is_closed(self) -> bool:
        """Whether the body has been read or closed. Where it has not, a connection is being held."""
        body = self.http_response.body
        return isinstance(body, bytes) or bool(getattr(body, "closed", False))

    def _parse(self, to: Any) -> Any:
        result = self._parsed.get(to)
        if result is None:
            result = self._parsed[to] = self._read(self.http_response, to)
        return result

    def __repr__(self) -> str:
        request = self.http_response.request
        of = f" of {request.method} {request.path}" if request is not None else ""
        return f"<{type(self).__name__} {self.status_code}{of}>"


class LegacyAPIResponse(BaseAPIResponse[R_co]):
    """The answer of a call of `with_raw_response`, blocking or awaited. Nothing but a stream is unread."""

    __slots__ = ()

    @overload
    def parse(self, *, to: type[T]) -> T: ...
    @overload
    def parse(self) -> R_co: ...
    def parse(self, *, to: Any = None) -> Any:
        """The result the call would have had, or the body as another type. Made once.

        Raises `TypeError` for a type that nothing can be read as, `ValueError` where the body says it is JSON and is
        none.
        """
        return self._parse(to)

    @property
    def content(self) -> bytes:
        """The bytes of the body. Raises `TypeError` for a stream."""
        return self.http_response.content

    @property
    def text(self) -> str:
        """The body as text, in the charset its content type names. Raises `TypeError` for a stream."""
        return _text(self.http_response)

    def json(self) -> Any:
        """The body decoded as JSON. Raises `ValueError` when it is none."""
        return self.http_response.json()


class APIResponse(BaseAPIResponse[R_co]):
    """The answer of a call of `with_streaming_response`: its body is read when it is asked for, and once."""

    __slots__ = ()

    @overload
    def parse(self, *, to: type[T]) -> T: ...
    @overload
    def parse(self) -> R_co: ...
    def parse(self, *, to: Any = None) -> Any:
        """The result the call would have had, or the body as another type; a stream is given unread.

        Raises `TypeError` for a type that nothing can be read as, `ValueError` where the body says it is JSON and is
        none, and what `read` raises.
        """
        if not self.streams:
            self.read()
        return self._parse(to)

    def read(self) -> bytes:
        """The bytes of the body, read to the end. Raises `APIConnectionError` when it is cut off, `APITimeoutError`
        when it does not come, `StreamAlreadyConsumed` when it has been iterated.
        """
        body = self.http_response.body
        if not isinstance(body, bytes):
            body = b"".join(self._unread())
            self.ended = time.perf_counter()
            self.http_response = self.http_response._replace(body=body)
        return body

    def text(self) -> str:
        """The body as text, in the charset its content type names. Raises what `read` raises."""
        self.read()
        return _text(self.http_response)

    def json(self) -> Any:
        """The body decoded as JSON. Raises `ValueError` when it is none, and what `read` raises."""
        self.read()
        return self.http_response.json()

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The bytes as they arrive, or `chunk_size` at a time. Raises what `read` raises."""
        chunks: Chunks[bytes] = Chunks(chunk_size)
        for piece in self._unread():
            yield from chunks.feed(piece)
        yield from chunks.flush()

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """The text as it arrives, or `chunk_size` characters at a time. Raises what `read` raises."""
        chunks: Chunks[str] = Chunks(chunk_size)
        decode = decoder(self.http_response).decode
        for piece in self._unread():
            yield from chunks.feed(decode(piece))
        yield from chunks.feed(decode(b"", True))
        yield from chunks.flush()

    def iter_lines(self) -> Iterator[str]:
        """The lines of the text, without their ends, as they arrive. Raises what `read` raises."""
        lines = Lines()
        for text in self.iter_text():
            yield from lines.feed(text)
        yield from lines.flush()

    def stream_to_file(self, file: str | PathLike[str], *, chunk_size: int | None = None) -> None:
        """Write the bytes to a file as they arrive. Raises `OSError`, and what `read` raises."""
        with open(file, "wb") as opened:
            opened.writelines(self.iter_bytes(chunk_size))

    write_to_file = stream_to_file

    def close(self) -> None:
        """Let go of the connection. What has not been read is lost."""
        body: Any = self.http_response.body
        if not isinstance(body, bytes):
            body.close()

    def _unread(self) -> Iterator[bytes]:
        body: Any = self.http_response.body
        if isinstance(body, bytes):
            return iter((body,))
        if body.begun or body.closed:
            raise StreamAlreadyConsumed
        pieces: Pieces = body
        return pieces


class AsyncAPIResponse(BaseAPIResponse[R_co]):
    """`APIResponse` for an event loop."""

    __slots__ = ()

    @overload
    async def parse(self, *, to: type[T]) -> T: ...
    @overload
    async def parse(self) -> R_co: ...
    async def parse(self, *, to: Any = None) -> Any:
        """The result the call would have had, or the body as another type; a stream is given unread.

        Raises `TypeError` for a type that nothing can be read as, `ValueError` where the body says it is JSON and is
        none, and what `read` raises.
        """
        if not self.streams:
            await self.read()
        return self._parse(to)

    async def read(self) -> bytes:
        """The bytes of the body, read to the end. Raises `APIConnectionError` when it is cut off, `APITimeoutError`
        when it does not come, `StreamAlreadyConsumed` when it has been iterated.
        """
        body = self.http_response.body
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in self._unread()])
            self.ended = time.perf_counter()
            self.http_response = self.http_response._replace(body=body)
        return body

    async def text(self) -> str:
        """The body as text, in the charset its content type names. Raises what `read` raises."""
        await self.read()
        return _text(self.http_response)

    async def json(self) -> Any:
        """The body decoded as JSON. Raises `ValueError` when it is none, and what `read` raises."""
        await self.read()
        return self.http_response.json()

    async def iter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """The bytes as they arrive, or `chunk_size` at a time. Raises what `read` raises."""
        chunks: Chunks[bytes] = Chunks(chunk_size)
        async for piece in self._unread():
            for chunk in chunks.feed(piece):
                yield chunk
        for chunk in chunks.flush():
            yield chunk

    async def iter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """The text as it arrives, or `chunk_size` characters at a time. Raises what `read` raises."""
        chunks: Chunks[str] = Chunks(chunk_size)
        decode = decoder(self.http_response).decode
        async for piece in self._unread():
            for chunk in chunks.feed(decode(piece)):
                yield chunk
        for chunk in (*chunks.feed(decode(b"", True)), *chunks.flush()):
            yield chunk

    async def iter_lines(self) -> AsyncIterator[str]:
        """The lines of the text, without their ends, as they arrive. Raises what `read` raises."""
        lines = Lines()
        async for text in self.iter_text():
            for line in lines.feed(text):
                yield line
        for line in lines.flush():
            yield line

    async def stream_to_file(self, file: str | PathLike[str], *, chunk_size: int | None = None) -> None:
        """Write the bytes to a file as they arrive, on worker threads. Raises `OSError`, and what `read` raises."""
        from .loops import in_thread

        opened = await in_thread(open, file, "wb")
        try:
            async for chunk in self.iter_bytes(chunk_size):
                await in_thread(opened.write, chunk)
        finally:
            opened.close()

    write_to_file = stream_to_file

    async def close(self) -> None:
        """Let go of the connection. What has not been read is lost."""
        body: Any = self.http_response.body
        if not isinstance(body, bytes):
            await body.aclose()

    def _unread(self) -> AsyncIterator[bytes]:
        body: Any = self.http_response.body
        if isinstance(body, bytes):
            return AsyncPieces(body)
        if body.begun or body.closed:
            raise StreamAlreadyConsumed
        pieces: AsyncPieces = body
        return pieces


class StreamedBinaryAPIResponse(APIResponse[bytes]):
    """An `APIResponse` of bytes: files, speech, video."""

    __slots__ = ()


class AsyncStreamedBinaryAPIResponse(AsyncAPIResponse[bytes]):
    """An `AsyncAPIResponse` of bytes: files, speech, video."""

    __slots__ = ()


class ResponseContextManager(Generic[ResponseT]):
    """Makes the call when it is entered and closes the response when it is left."""

    __slots__ = ("_ask", "_response")

    def __init__(self, ask: Callable[[], ResponseT]) -> None:
        self._ask = ask
        self._response: Any = None

    def __enter__(self) -> ResponseT:
        response = self._response = self._ask()
        return response

    def __exit__(self, *exc: object) -> None:
        if self._response is not None:
            self._response.close()


class AsyncResponseContextManager(Generic[AsyncResponseT]):
    """Makes the call when it is entered and closes the response when it is left."""

    __slots__ = ("_ask", "_response")

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, AsyncResponseT]]) -> None:
        self._ask = ask
        self._response: Any = None

    async def __aenter__(self) -> AsyncResponseT:
        response = self._response = await self._ask()
        return response

    async def __aexit__(self, *exc: object) -> None:
        if self._response is not None:
            await self._response.close()


# Reading a body as a type the caller names


def _text(response: Response) -> str:
    return HttpxBinaryResponseContent(response).text


def _flag(response: Response) -> bool:
    return response.text.strip().lower() == "true"


_PLAIN: dict[Any, Callable[[Response], Any]] = {
    None: lambda response: None,
    NoneType: lambda response: None,
    str: _text,
    bytes: lambda response: response.content,
    int: lambda response: int(_text(response)),
    float: lambda response: float(_text(response)),
    bool: _flag,
    HttpxBinaryResponseContent: HttpxBinaryResponseContent,
    Response: lambda response: response,
}


def _holds_models(to: Any) -> bool:
    """Whether models of pydantic are among the members of a type."""
    return any(
        _holds_models(each)
        or (isinstance(each, type) and hasattr(each, "model_validate") and not issubclass(each, View))
        for each in get_args(to)
    )


def read_as(response: Response, to: Any) -> Any:
    """A body that was read, as a type. Raises `TypeError` where nothing can be read as that.

    What does not say it is JSON is given as text, unless a view is asked for and it is JSON after all.
    """
    while get_origin(to) is Annotated or hasattr(to, "__value__"):
        to = to.__value__ if hasattr(to, "__value__") else get_args(to)[0]
    origin = get_origin(to) or to
    plain = _PLAIN.get(to)
    if plain is not None:
        return plain(response)
    is_view = isinstance(origin, type) and issubclass(origin, View)
    validate = getattr(to, "model_validate", None) if isinstance(to, type) and not is_view else None
    if origin in (Stream, AsyncStream):
        raise TypeError(f"{to} needs a call with a stream")
    if not (is_view or validate or origin in (object, Any, list, dict, Union, UnionType)):
        raise TypeError(
            f"a response cannot be read as {to}: name a view, a pydantic model, list[…], dict[…], a union, "
            "str, bytes, int, float, bool or Response"
        )
    content_type: str = response.headers.get("content-type", "*")
    if not content_type.partition(";")[0].rstrip().endswith("json"):
        if not (is_view or validate):
            return _text(response)
        try:
            value = response.json()
        except ValueError:
            return _text(response)
    else:
        value = response.json()
    if validate is not None:
        return validate(value)
    if origin in (list, dict, Union, UnionType) and _holds_models(to):
        from pydantic import TypeAdapter

        return TypeAdapter(to).validate_python(value)
    wrap = wrapper(to)
    result = value if wrap is None else wrap(value)
    if isinstance(result, View):
        result._request_id = response.headers.get("x-request-id")
    return result
