"""Requests to addresses that no operation has: what the API does not document, or a host has on top of it.

    answer = client.post("/foo", cast_to=dict, body={"param": 1}, options={"headers": {"x-foo": "1"}})

They go with the client's address, key, headers, retries and transport, and are read as the type they name.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, TypeVar, cast, get_args, overload

from ..kernel.flow import arun, run
from ..kernel.http import Request, Upload
from ..kernel.omit import NotGiven, not_given
from ..kernel.stream import AsyncStream, Reading, Stream
from ..kernel.view import wrapper
from .base import BaseClient, ClientWorld, _checked_retries, _completed, _timeout, boundary_in
from .encoding import to_json
from .flow import exchange
from .plan import Prepared

if TYPE_CHECKING:
    from ..kernel.files import FileTypes
    from ..kernel.flow import World
    from ..kernel.http import Response
    from ..kernel.omit import Omit
    from ..kernel.options import Timeout

    Files = Mapping[str, FileTypes] | Iterable[tuple[str, FileTypes]]

__all__ = ("AsyncDirect", "Direct", "RequestOptions", "SecurityOptions")

T = TypeVar("T")
StreamT = TypeVar("StreamT", bound="Stream[Any]")
AsyncStreamT = TypeVar("AsyncStreamT", bound="AsyncStream[Any]")


class SecurityOptions(TypedDict, total=False):
    """Which keys a request may go with: the first of these that the client has."""

    bearer_auth: bool
    """The client's `api_key`, or what stands for it."""
    admin_api_key_auth: bool
    """The client's `admin_api_key`."""


_ANY_KEY: SecurityOptions = {"bearer_auth": True, "admin_api_key_auth": True}


class RequestOptions(TypedDict, total=False):
    """What a request by its address takes beside its body."""

    headers: Mapping[str, str | Omit]
    params: Mapping[str, object]
    """The query."""
    timeout: float | Timeout | None
    max_retries: int
    extra_json: Mapping[str, object]
    """Merged into a JSON body."""
    security: SecurityOptions
    follow_redirects: bool
    """Whether redirects are followed, whatever the transport does otherwise."""
    stream_mode: Literal["legacy", "events"]
    """With `events`, errors in a stream are events as any other; otherwise they are raised."""
    synthesize_event_and_data: bool
    """Whether events of a stream are read as `{"event": its name, "data": its data}`."""


class _Unlisted(NamedTuple):
    """What stands for an operation where there is none."""

    method: str
    admin: bool

    @property
    def name(self) -> str:
        return f"client.{self.method.lower()}"

    @property
    def fixed_headers(self) -> dict[str, str]:
        return {}

    @property
    def fixed_query(self) -> str:
        return ""


class _Asked(NamedTuple):
    """A request that is ready, and how its answer is read."""

    prepared: Prepared
    operation: Any
    max_retries: int
    follow: bool | None
    to: Any
    stream: Any
    options: RequestOptions

    def world(self, client: Any) -> World:
        """Where the request is sent."""
        if self.follow is None:
            world: World = client._world
            return world
        from ..transports.redirects import following

        return ClientWorld(following(client.transport, self.follow))

    def read(self, response: Response) -> Any:
        if self.stream is None:
            from ..kernel.raw import read_as

            return _library_response(response, self.to) if _is_library_response(self.to) else read_as(response, self.to)
        item = (*get_args(self.stream), self.to)[0]
        kind: Any = getattr(self.stream, "__origin__", self.stream)
        return kind(
            response,
            Reading(
                wrapper(item) or (lambda value: value),
                named=self.options.get("synthesize_event_and_data", False),
                errors=self.options.get("stream_mode") != "events",
            ),
        )


def _asked(
    client: BaseClient,
    method: str,
    path: str,
    to: Any,
    options: RequestOptions | None,
    body: object = None,
    content: Any = None,
    files: Files | None = None,
    stream: bool = False,
    stream_cls: Any = None,
) -> _Asked:
    options = options or {}
    operation: Any = _Unlisted(method, _goes_as_admin(client, options.get("security", _ANY_KEY)))
    extra = options.get("headers") or {}
    explicit = frozenset(name.lower() for name in extra)
    base = client._bases.get(operation) or client._base(operation)
    if "authorization" not in explicit and base.get("authorization") is None:
        client._check_credentials(operation, explicit, base)
    content_type, sent = _content(body, content, files, options.get("extra_json"), boundary_in(extra), client._is_async)
    origin, address, query = _address(client, path, body)
    timeout: Any = options.get("timeout", not_given)
    request = Request(
        method,
        address,
        _query(client, query, options.get("params")),
        _completed(base, {}, extra, content_type),
        sent,
        origin,
    )
    if stream and stream_cls is None:
        stream_cls = AsyncStream if client._is_async else Stream
    return _Asked(
        Prepared(request, client.timeout if isinstance(timeout, NotGiven) else _timeout(timeout), stream, explicit),
        operation,
        _checked_retries(options.get("max_retries", client.max_retries)),
        options.get("follow_redirects"),
        to,
        stream_cls if stream else None,
        options,
    )


def _goes_as_admin(client: BaseClient, security: SecurityOptions) -> bool:
    bearer, admin = security.get("bearer_auth", False), security.get("admin_api_key_auth", False)
    has_key = bool(client.api_key) or client._credential is not None
    return admin and not (bearer and (has_key or client.admin_api_key is None))


def _address(client: BaseClient, path: str, body: object) -> tuple[str, str, str]:
    """Origin, path and query: of an address of its own, or below the client's."""
    scheme, found, rest = path.partition("://")
    if found and scheme in ("http", "https"):
        authority, _, below = rest.partition("/")
        address, _, query = below.partition("?")
        return f"{scheme}://{authority}", f"/{address}", query
    address, _, query = path.partition("?")
    return (*client._place(f"/{address.lstrip('/')}", body), query)


def _query(client: BaseClient, query: str, params: Mapping[str, object] | None) -> str:
    hard = "&".join(part for part in (client._base_query, query) if part)
    merged = {**client._custom_query, **(params or {})}
    if not merged:
        return hard
    from urllib.parse import parse_qsl

    from ..kernel.query import encode

    return encode({**dict(parse_qsl(hard, keep_blank_values=True)), **merged})


def _content(
    body: object,
    content: Any,
    files: Files | None,
    extra: Mapping[str, object] | None,
    boundary: str | None,
    is_async: bool,
) -> tuple[str | None, bytes | Upload]:
    """The content type, where it is not JSON, and the bytes."""
    if content is not None:
        if body is not None or files is not None:
            raise TypeError("`content` is the body as it stands: it is given without `body` and `files`")
        return None, _as_it_stands(content, is_async)
    if extra is not None:
        body = {**body, **extra} if isinstance(body, Mapping) else extra
    if files is not None:
        from ..kernel.multipart import encode, file_part
        from ..kernel.query import pairs

        named = cast("Iterable[tuple[str, FileTypes]]", files.items() if isinstance(files, Mapping) else files)
        fields = pairs(body) if isinstance(body, Mapping) else []
        return encode(fields, [file_part(name, file) for name, file in named], boundary=boundary)
    if body is None:
        return None, b""
    return None, bytes(body) if isinstance(body, (bytes, bytearray)) else to_json(body)


def _as_it_stands(content: Any, is_async: bool) -> bytes | Upload:
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if isinstance(content, str):
        return content.encode()
    if hasattr(content, "read"):
        return _of_file(content)
    if isinstance(content, (list, tuple)):
        return Upload(lambda: iter(content), length=sum(map(len, content)))
    if isinstance(content, Iterable):
        return Upload(lambda: iter(content), replayable=False)
    if isinstance(content, AsyncIterable):
        if not is_async:
            raise TypeError(f"`content` is async ({type(content).__name__}): AsyncOpenAI can send it, OpenAI cannot")
        return Upload(apieces=lambda: aiter(content), replayable=False)
    raise TypeError(f"`content` is bytes, an open binary file or pieces of bytes, not {type(content).__name__}")


def _of_file(file: Any) -> Upload:
    """What is left of a file, from where it stands."""
    try:
        begin = file.tell() if file.seekable() else None
    except (AttributeError, OSError):
        begin = None

    def replayable() -> bool:
        return begin is not None and not getattr(file, "closed", False)

    def pieces() -> Any:
        if begin is not None:
            file.seek(begin)
        while piece := file.read(256 * 1024):
            yield piece

    return Upload(pieces, replayable=replayable)


def _is_library_response(to: Any) -> bool:
    home = str(getattr(to, "__module__", "")).partition(".")[0]
    return getattr(to, "__name__", "") == "Response" and home in ("httpx", "httpx2")


def _library_response(response: Response, to: Any) -> Any:
    """A response as the class of httpx or httpx2 that the caller named."""
    import sys

    library: Any = sys.modules[to.__module__.partition(".")[0]]
    asked: Any = response.request
    # The body was decoded, and is here whole.
    headers = [pair for pair in response.headers.pairs if pair[0] not in ("content-encoding", "transfer-encoding")]
    request = library.Request(asked.method, asked.url, headers=asked.headers.pairs)
    return to(response.status, headers=headers, content=response.content, request=request)


class Direct(BaseClient):
    """Requests by their address, blocking. Raises what every call raises, `TypeError` for a type nothing is read as.

    `cast_to` is what `antiphon.APIResponse.parse` takes, or `httpx2.Response`. `body` is sent as JSON, with `files`
    as a form; `content` is sent as it stands. With `stream`, the answer is a stream of `stream_cls`.
    """

    _world: World

    def _direct(self, *args: Any) -> Any:
        asked = _asked(self, *args)
        flow = exchange(asked.prepared, self._token(asked.operation), asked.max_retries, self._hooks)
        response = run(flow, asked.world(self))
        return asked.read(response)

    @overload
    def get(
        self, path: str, *, cast_to: type[T], options: RequestOptions | None = None, stream: Literal[False] = False
    ) -> T: ...
    @overload
    def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions | None = None,
        stream: Literal[True],
        stream_cls: type[StreamT],
    ) -> StreamT: ...
    def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions | None = None,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any:
        """`GET` an address."""
        return self._direct("GET", path, cast_to, options, None, None, None, stream, stream_cls)

    @overload
    def post(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
        files: Files | None = None,
        stream: Literal[False] = False,
    ) -> T: ...
    @overload
    def post(
        self,
        path: str,
        *,
        cast_to: Any,
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
        files: Files | None = None,
        stream: Literal[True],
        stream_cls: type[StreamT],
    ) -> StreamT: ...
    def post(
        self,
        path: str,
        *,
        cast_to: Any,
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
        files: Files | None = None,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any:
        """`POST` to an address."""
        return self._direct("POST", path, cast_to, options, body, content, files, stream, stream_cls)

    def put(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        files: Files | None = None,
        options: RequestOptions | None = None,
    ) -> T:
        """`PUT` to an address."""
        result: T = self._direct("PUT", path, cast_to, options, body, content, files)
        return result

    def patch(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        files: Files | None = None,
        options: RequestOptions | None = None,
    ) -> T:
        """`PATCH` an address."""
        result: T = self._direct("PATCH", path, cast_to, options, body, content, files)
        return result

    def delete(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
    ) -> T:
        """`DELETE` an address."""
        result: T = self._direct("DELETE", path, cast_to, options, body, content)
        return result


class AsyncDirect(BaseClient):
    """`Direct` for an event loop."""

    _world: World

    async def _direct(self, *args: Any) -> Any:
        asked = _asked(self, *args)
        flow = exchange(asked.prepared, self._token(asked.operation), asked.max_retries, self._hooks)
        response = await arun(flow, asked.world(self))
        return asked.read(response)

    @overload
    async def get(
        self, path: str, *, cast_to: type[T], options: RequestOptions | None = None, stream: Literal[False] = False
    ) -> T: ...
    @overload
    async def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions | None = None,
        stream: Literal[True],
        stream_cls: type[AsyncStreamT],
    ) -> AsyncStreamT: ...
    async def get(
        self,
        path: str,
        *,
        cast_to: Any,
        options: RequestOptions | None = None,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any:
        """`GET` an address."""
        return await self._direct("GET", path, cast_to, options, None, None, None, stream, stream_cls)

    @overload
    async def post(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
        files: Files | None = None,
        stream: Literal[False] = False,
    ) -> T: ...
    @overload
    async def post(
        self,
        path: str,
        *,
        cast_to: Any,
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
        files: Files | None = None,
        stream: Literal[True],
        stream_cls: type[AsyncStreamT],
    ) -> AsyncStreamT: ...
    async def post(
        self,
        path: str,
        *,
        cast_to: Any,
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
        files: Files | None = None,
        stream: bool = False,
        stream_cls: Any = None,
    ) -> Any:
        """`POST` to an address."""
        return await self._direct("POST", path, cast_to, options, body, content, files, stream, stream_cls)

    async def put(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        files: Files | None = None,
        options: RequestOptions | None = None,
    ) -> T:
        """`PUT` to an address."""
        result: T = await self._direct("PUT", path, cast_to, options, body, content, files)
        return result

    async def patch(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        files: Files | None = None,
        options: RequestOptions | None = None,
    ) -> T:
        """`PATCH` an address."""
        result: T = await self._direct("PATCH", path, cast_to, options, body, content, files)
        return result

    async def delete(
        self,
        path: str,
        *,
        cast_to: type[T],
        body: object | None = None,
        content: Any = None,
        options: RequestOptions | None = None,
    ) -> T:
        """`DELETE` an address."""
        result: T = await self._direct("DELETE", path, cast_to, options, body, content)
        return result
