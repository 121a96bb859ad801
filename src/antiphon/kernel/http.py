"""A server is a function from a request to a response. A client calls one. A filter wraps one.

`Handler` is the one seam of the package: the fake, the gateway and every stub in a test is one, and a client
can be given one as its transport. A handler that needs the outside (another server, an awaitable, a slow
function) returns a `Flow` that says what it wants done and ends in a `Response`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from .flow import Flow, Step

__all__ = ("Body", "Filter", "Handler", "Headers", "Request", "Response", "Upload", "json_response")


class Headers(Mapping[str, str]):
    """HTTP headers: an immutable multi-map whose names ignore case. Reading gives the first value of a name."""

    __slots__ = ("pairs",)
    pairs: list[tuple[str, str]]
    """Every header in order, names in lower case."""
    http_version: ClassVar[str] = "HTTP/1.1"
    """The version of HTTP they came with, where a transport says no other."""

    def __init__(self, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        items: Any = headers.items() if isinstance(headers, Mapping) else headers
        self.pairs = [(name.lower(), value) for name, value in items]

    @classmethod
    def of(cls, pairs: list[tuple[str, str]]) -> Headers:
        """Headers over a list whose names are in lower case already; the list is not copied."""
        self = Headers.__new__(Headers)
        self.pairs = pairs
        return self

    def __getitem__(self, name: str) -> str:
        lower = name.lower()
        for key, value in self.pairs:
            if key == lower:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        lower = name.lower()
        for key, value in self.pairs:
            if key == lower:
                return value
        return default

    def get_list(self, name: str) -> list[str]:
        """Every value of one name, in order."""
        lower = name.lower()
        return [value for key, value in self.pairs if key == lower]

    def multi_items(self) -> list[tuple[str, str]]:
        return list(self.pairs)

    def replaced(self, changes: Mapping[str, str | None]) -> Headers:
        """These headers with some set anew; a value of `None` removes the name."""
        lower = {name.lower(): value for name, value in changes.items()}
        kept = [pair for pair in self.pairs if pair[0] not in lower]
        return Headers.of(kept + [(name, value) for name, value in lower.items() if value is not None])

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.pairs))

    def __len__(self) -> int:
        return len(dict(self.pairs))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"


class Upload:
    """A request body that is produced piece by piece instead of being held in memory.

    `pieces` is called for every attempt; where it can be called only once (a generator, a pipe),
    `replayable` is false and the request is not retried. It may be a function, for what changes (a file is closed).
    A body that can only be awaited has `apieces` in place of `pieces`. `at_hand` says that no piece is long in coming,
    so that a transport may read it on a thread that has other things to do.
    """

    __slots__ = ("_apieces", "_pieces", "_replayable", "at_hand", "length")

    def __init__(
        self,
        pieces: Callable[[], Iterator[bytes]] | None = None,
        *,
        replayable: bool | Callable[[], bool] = True,
        length: int | None = None,
        apieces: Callable[[], AsyncIterator[bytes]] | None = None,
        at_hand: bool = False,
    ) -> None:
        self._pieces = pieces
        self._apieces = apieces
        self._replayable = replayable
        self.length = length
        self.at_hand = at_hand

    @property
    def replayable(self) -> bool:
        """Whether it can be sent (again)."""
        known = self._replayable
        return known if isinstance(known, bool) else known()

    @property
    def is_async(self) -> bool:
        """Whether it can only be awaited."""
        return self._pieces is None

    def pieces(self) -> Iterator[bytes]:
        """The body for one attempt. Raises `TypeError` where it can only be awaited."""
        if self._pieces is None:
            raise TypeError("an async body can be sent by an async client only")
        return self._pieces()

    def apieces(self) -> AsyncIterator[bytes]:
        """The body for one attempt, for a loop; what has to be read from a disk is read in threads."""
        if self._apieces is not None:
            return self._apieces()
        from .loops import in_threads

        return in_threads(self.pieces())

    def read(self) -> bytes:
        """The whole body, for transports that hold it anyway."""
        return b"".join(self.pieces())

    async def aread(self) -> bytes:
        """`read` for a loop."""
        if self._apieces is None:
            return self.read()
        return b"".join([piece async for piece in self._apieces()])


class Request(NamedTuple):
    """One HTTP request. `path` and `query` are as they stand in the request line, percent-encoded."""

    method: str
    path: str
    query: str = ""
    headers: Headers = Headers()
    body: bytes | Upload = b""
    """Bytes; above 1 MiB, where it came over a socket or is read from a file, an `Upload` that is read in pieces."""
    origin: str = "http://localhost"
    """Scheme and authority the request is addressed to, such as `http://127.0.0.1:45674`."""

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}?{self.query}" if self.query else self.origin + self.path

    def content(self) -> bytes:
        """The whole body."""
        return self.body if isinstance(self.body, bytes) else self.body.read()


if TYPE_CHECKING:
    Body: TypeAlias = bytes | Iterable[bytes | Step[Any]] | Generator[bytes | Step[Any], Any, None]
else:
    Body = bytes | Iterable
"""What a response carries: bytes, or pieces of bytes with steps between them (`Pause`, `Await`, `Read` …)."""


class Response(NamedTuple):
    """One HTTP response. A streamed body is an iterator of pieces and of steps to take between them."""

    status: int
    headers: Headers = Headers()
    body: Body = b""
    request: Request | None = None

    @property
    def status_code(self) -> int:
        return self.status

    @property
    def content(self) -> bytes:
        """The body's bytes. A streamed body has to be read by whoever holds the stream."""
        if isinstance(self.body, bytes):
            return self.body
        raise TypeError("the body of this response is a stream: iterate it instead of reading `content`")

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The decoded body. Raises `ValueError` when it is not JSON."""
        import orjson

        return orjson.loads(self.content)

    def close(self) -> None:
        """Let go of the connection of a streamed body. What has not been read is lost."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    async def aclose(self) -> None:
        """`close` for an event loop."""
        close = getattr(self.body, "aclose", None)
        if close is not None:
            await close()


if TYPE_CHECKING:
    Handler: TypeAlias = Callable[[Request], Response | Flow[Response]]
    Filter: TypeAlias = Callable[[Handler], Handler]
else:
    Handler = Callable
    Filter = Callable


def json_response(status: int, value: Any, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A response whose body is `value` as JSON. Header names must be in lower case."""
    import orjson

    return Response(status, Headers.of([("content-type", "application/json"), *headers]), orjson.dumps(value))
