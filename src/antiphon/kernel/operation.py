"""An operation is a signature with an address.

    class Files(Resource[V]):
        @get("/files/{file_id}")
        def retrieve(self, file_id: str, *, extra_headers: …, timeout: …) -> FileObject: ...

`Files.retrieve`, read from the class, is the `Operation` itself: the key of the server's behaviour, of the
gateway's translation and of the page in the docs. Read from a resource of a client it is a call in that
client's voice: with `Sync` it returns a `FileObject`, with `Async` a coroutine of one. A voice is a phantom
type: one class per resource serves them all. Further voices of both colours answer with more than the result:

    SyncRaw        client.files.with_raw_response         LegacyAPIResponse[FileObject]
    SyncStreaming  client.files.with_streaming_response   ResponseContextManager[APIResponse[FileObject]]
    SyncResult     client.files.with_result               Ok[FileObject] | Err

Where a parameter goes follows from the declaration: names in the path fill the path, the rest is the query
of a `GET` or `DELETE` and the body of a `POST`; the decorator names the exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    overload,
)

from .lazy import evaluate
from .omit import omit

if TYPE_CHECKING:
    from .binary import HttpxBinaryResponseContent
    from .flow import Flow
    from .helper import Answer
    from .pages import (
        AsyncConversationCursorPage,
        AsyncCursorPage,
        AsyncNextCursorPage,
        AsyncPage,
        AsyncPaginator,
        AsyncTokenPage,
        SyncConversationCursorPage,
        SyncCursorPage,
        SyncNextCursorPage,
        SyncPage,
        SyncTokenPage,
    )
    from .raw import (
        APIResponse,
        AsyncAPIResponse,
        AsyncResponseContextManager,
        AsyncStreamedBinaryAPIResponse,
        LegacyAPIResponse,
        ResponseContextManager,
        StreamedBinaryAPIResponse,
    )
    from .result import Err, Ok

__all__ = (
    "OPTIONS",
    "Async",
    "AsyncCall",
    "AsyncRaw",
    "AsyncResult",
    "AsyncStreaming",
    "Bound",
    "Core",
    "Operation",
    "Overloaded",
    "PageOperation",
    "Resource",
    "Sync",
    "SyncCall",
    "SyncRaw",
    "SyncResult",
    "SyncStreaming",
    "V",
    "Voice",
    "Voiced",
    "delete",
    "get",
    "get_page",
    "post",
    "post_page",
)

OPTIONS = frozenset(("extra_headers", "extra_query", "extra_body", "timeout"))
"""Keywords every operation takes beside its own."""


class Voice:
    """How a call answers. Never instantiated: a voice is a type argument."""


class Sync(Voice):
    """Calls return their result."""


class Async(Voice):
    """Calls return a coroutine of their result."""


class SyncRaw(Voice):
    """Calls return the response, which reads the result when asked to."""


class AsyncRaw(Voice):
    """Calls return a coroutine of the response, which reads the result when asked to."""


class SyncStreaming(Voice):
    """Calls return a context manager, which gives the response before its body has arrived."""


class AsyncStreaming(Voice):
    """Calls return an async context manager, which gives the response before its body has arrived."""


class SyncResult(Voice):
    """Calls return `Ok` with their result, or `Err`."""


class AsyncResult(Voice):
    """Calls return a coroutine of `Ok` with their result, or of `Err`."""


V = TypeVar("V", bound=Voice, covariant=True)  # noqa: PLC0105 (it stands in every signature: the shorter the better)
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
SyncT = TypeVar("SyncT")
AsyncT = TypeVar("AsyncT")
if TYPE_CHECKING:
    SyncRawT = TypeVar("SyncRawT")
    AsyncRawT = TypeVar("AsyncRawT")
    SyncStreamingT = TypeVar("SyncStreamingT")
    AsyncStreamingT = TypeVar("AsyncStreamingT")
    SyncResultT = TypeVar("SyncResultT")
    AsyncResultT = TypeVar("AsyncResultT")


class Core(Protocol[V]):
    """What stands behind a resource: takes an operation and its arguments and has them done."""

    def _call(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The operation's result, or a coroutine of it."""
        ...

    def _ask(self, operation: AnyOperation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Flow[Answer[Any]]:
        """The operation as a flow, for helpers."""
        ...

    def _drive(self, flow: Flow[Any]) -> Any:
        """The result of a helper's flow, or a coroutine of it."""
        ...


class _Voiced:
    # A resource in another voice, children and all. Made when it is first asked for.
    def __init__(self, voice: str) -> None:
        self.voice = voice

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, obj: Any, owner: type) -> Any:
        if obj is None:
            return self
        made = obj.__dict__[self._attribute] = obj._around(obj._core._in_voice(self.voice))
        return made


class Resource(Generic[V]):
    """A group of operations in one voice."""

    if not TYPE_CHECKING:
        # Every generated class declares the types of these three.
        with_raw_response = _Voiced("raw")
        with_streaming_response = _Voiced("streaming")
        with_result = _Voiced("result")

    def __init__(self, core: Core[V]) -> None:
        self._core = core

    def _around(self, core: Any) -> Any:
        """The same group around another core."""
        return type(self)(core)

    def __repr__(self) -> str:
        return f"<{type(self).__module__.removeprefix('antiphon.api.')} of {self._core!r}>"


class _Call:
    # An operation bound to a client. No docstring: the slot of that name has the operation's.
    __slots__ = ("__doc__", "_core", "operation")

    def __init__(self, core: Core[Any], operation: AnyOperation) -> None:
        self._core = core
        self.operation = operation
        self.__doc__ = operation.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._core._call(self.operation, args, kwargs)

    def __repr__(self) -> str:
        return f"<call of {self.operation.name}>"

    @property
    def __name__(self) -> str:
        return self.operation.name.rpartition(".")[2]

    @property
    def __signature__(self) -> Any:
        return self.operation.__signature__


class _DeprecatedCall(_Call):
    __slots__ = ("__doc__",)  # a class without docstring would hide the slot it inherits

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        import warnings

        operation = self.operation
        warnings.warn(f"{operation.name} is deprecated: {operation.deprecated}", DeprecationWarning, stacklevel=2)
        return self._core._call(operation, args, kwargs)


if TYPE_CHECKING:

    class SyncCall(Generic[P, R]):
        """An operation bound to a client whose calls return their result."""

        operation: AnyOperation

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    class AsyncCall(Generic[P, R]):
        """An operation bound to a client whose calls return a coroutine."""

        operation: AnyOperation

        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...

else:
    SyncCall = AsyncCall = _Call


_NONE: dict[str, Any] = {}


class Bound(NamedTuple):
    """One call's arguments, each where it belongs. Values are as the caller gave them, omitted ones gone."""

    path: str
    query: dict[str, Any]
    headers: dict[str, Any]
    body: dict[str, Any] | None
    options: dict[str, Any]
    """`extra_headers`, `extra_query`, `extra_body` and `timeout`, those that were given."""
    local: dict[str, Any] = _NONE
    """Arguments that stay with the client, such as a type to read the answer into."""


class AnyOperation:
    """One endpoint of the API: its address, its parameters and what it answers."""

    def __init__(
        self,
        method: str,
        path: str,
        spec: Callable[..., Any],
        *,
        events: str | None = None,
        query: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        fixed_headers: Mapping[str, str] | None = None,
        files: tuple[str, ...] = (),
        form: bool = False,
        json_without_files: bool = False,
        parts: Mapping[str, str] | None = None,
        alone: str | None = None,
        local: tuple[str, ...] = (),
        rename: Mapping[str, str] | None = None,
        paged: bool = False,
        streams: bool = False,
        admin: bool = False,
        deprecated: str | None = None,
    ) -> None:
        """Beside the address: `events` is the type of a stream's events, `query` names what a `POST` puts in its
        query, `headers` the header each parameter fills, `files` the parameters that are files, `form` says the body
        is a form, `json_without_files` that it is JSON when no file is given, `rename` the keys
        whose JSON name differs (`a.b` for one inside an object), `parts` the content type of each part of a form
        and `alone` the part that is the whole body where no other is given. `local` names the parameters that are
        no part of the request: the client acts on them, and `None` is as good as nothing.
        """
        self.method = method
        self.path, _, self.fixed_query = path.partition("?")
        self.spec = spec
        self.module: str = spec.__module__
        self.name = f"{self.module.removeprefix('antiphon.api.')}.{spec.__name__}"
        self.events = events
        self.header_params = dict(headers or {})
        self.fixed_headers = dict(fixed_headers or {})
        self.files = files
        self.form = form
        self.json_without_files = json_without_files
        self.parts = parts
        self.alone = alone
        self.local = local
        self.rename = dict(rename or {})
        self._nested = [(name.split("."), key) for name, key in self.rename.items() if "." in name]
        self.paged = paged
        self.streams = streams or events is not None
        self.admin = admin
        self.deprecated = deprecated
        code = spec.__code__
        positional = code.co_varnames[1 : code.co_argcount]
        keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        own = [name for name in (*positional, *keywords) if name not in OPTIONS]
        self.path_params = tuple(part[1:-1] for part in self.path.split("/") if part[:1] == "{")
        self.positional = positional
        elsewhere = {*self.path_params, *self.header_params, *local}
        rest = [name for name in own if name not in elsewhere]
        in_query = method in ("GET", "DELETE")
        self.query_params = tuple(name for name in rest if in_query or name in query)
        self.body_params = tuple(name for name in rest if name not in self.query_params)
        defaults = spec.__kwdefaults__ or {}
        self.parameters = frozenset(own)
        self.required = frozenset(name for name in own if name not in defaults)
        self._simple = not (self.path_params or self.query_params or self.header_params or self.rename or local)
        self.__doc__ = spec.__doc__
        self.__name__ = spec.__name__
        self._attribute = spec.__name__

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, obj: Any, owner: type) -> Any:
        if obj is None:
            return self
        kind = _Call if self.deprecated is None else _DeprecatedCall
        call = obj.__dict__[self._attribute] = kind(obj._core, self)
        return call

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.name}>"

    @property
    def __signature__(self) -> Any:
        import inspect

        signature = inspect.signature(self.spec)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    @property
    def result(self) -> Any:
        """The type of the answer, as the declaration states it."""
        return evaluate(self.spec.__annotations__["return"], self.module)

    @property
    def event(self) -> Any:
        """The type of one event of the stream, or `None` where the operation does not stream."""
        return None if self.events is None else evaluate(self.events, self.module)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        """Sort the arguments of one call. Raises `TypeError` for an unknown, missing or doubled one.

        `kwargs` is taken over and may be changed.
        """
        options = _NONE
        if args:
            if len(args) > len(self.positional):
                raise TypeError(
                    f"{self.name}() takes {len(self.positional)} positional arguments, {len(args)} were given"
                )
            for name, value in zip(self.positional, args, strict=False):
                if name in kwargs:
                    raise TypeError(f"{self.name}() got two values for argument '{name}'")
                kwargs[name] = value
        if not self.parameters.issuperset(kwargs):
            options = {name: kwargs.pop(name) for name in OPTIONS.intersection(kwargs)}
            for name in kwargs:
                if name not in self.parameters:
                    raise TypeError(f"{self.name}() got an unexpected keyword argument '{name}'{self._nearest(name)}")
        for value in kwargs.values():
            if value is omit:
                kwargs = {name: value for name, value in kwargs.items() if value is not omit}
                break
        if not self.required <= kwargs.keys():
            missing = ", ".join(f"'{name}'" for name in sorted(self.required - kwargs.keys()))
            raise TypeError(f"{self.name}() is missing required arguments: {missing}")
        if self._simple:
            return Bound(self.path, _NONE, _NONE, kwargs if self.method == "POST" else None, options)
        return self._sort(kwargs, options)

    def _sort(self, kwargs: dict[str, Any], options: dict[str, Any]) -> Bound:
        path = self.path
        for name in self.path_params:
            path = path.replace("{" + name + "}", _segment(self.name, name, kwargs[name]), 1)
        query = {self.rename.get(name, name): kwargs[name] for name in self.query_params if name in kwargs}
        headers = {header: kwargs[name] for name, header in self.header_params.items() if name in kwargs}
        body = {self.rename.get(name, name): kwargs[name] for name in self.body_params if name in kwargs}
        for way, key in self._nested:
            body = _renamed(body, way, key)
        local = {name: kwargs[name] for name in self.local if kwargs.get(name) is not None}
        return Bound(path, query, headers, body if self.method == "POST" else None, options, local)

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name, self.parameters | OPTIONS, 1)
        return f"; did you mean '{near[0]}'?" if near else ""


def _renamed(value: Any, way: list[str], key: str) -> Any:
    """`value` with the last name of the way through it replaced by `key`; nothing of the caller's is changed."""
    if not isinstance(value, Mapping) or way[0] not in value:
        return value
    if len(way) == 1:
        return {key if name == way[0] else name: each for name, each in value.items()}
    return {**value, way[0]: _renamed(value[way[0]], way[1:], key)}


SEGMENT = "!$&'()*+,;=:@-._~"
"""What stands for itself in a segment of a path beside letters and digits (RFC 3986, `pchar`)."""

_as_it_is = re.compile(r"[\w-]+", re.ASCII).fullmatch


def _segment(operation: str, name: str, value: Any) -> str:
    text = str(value)
    if _as_it_is(text):
        return text
    from urllib.parse import quote

    if not text:
        raise ValueError(f"{operation}() needs a value for '{name}', which is part of the address; it was {value!r}")
    return {".": "%2E", "..": "%2E%2E"}.get(text) or quote(text, safe=SEGMENT)


if TYPE_CHECKING:

    class Operation(AnyOperation, Generic[P, R]):
        """An endpoint that answers one `R`."""

        @overload
        def __get__(self, obj: None, owner: type) -> Operation[P, R]: ...
        @overload
        def __get__(self, obj: Resource[Sync], owner: type) -> SyncCall[P, R]: ...
        @overload
        def __get__(self, obj: Resource[Async], owner: type) -> AsyncCall[P, R]: ...
        @overload
        def __get__(self, obj: Resource[SyncRaw], owner: type) -> SyncCall[P, LegacyAPIResponse[R]]: ...
        @overload
        def __get__(self, obj: Resource[AsyncRaw], owner: type) -> AsyncCall[P, LegacyAPIResponse[R]]: ...
        @overload
        def __get__(
            self: Operation[P, HttpxBinaryResponseContent], obj: Resource[SyncStreaming], owner: type
        ) -> SyncCall[P, ResponseContextManager[StreamedBinaryAPIResponse]]: ...
        @overload
        def __get__(
            self: Operation[P, HttpxBinaryResponseContent], obj: Resource[AsyncStreaming], owner: type
        ) -> SyncCall[P, AsyncResponseContextManager[AsyncStreamedBinaryAPIResponse]]: ...
        @overload
        def __get__(
            self, obj: Resource[SyncStreaming], owner: type
        ) -> SyncCall[P, ResponseContextManager[APIResponse[R]]]: ...
        @overload
        def __get__(
            self, obj: Resource[AsyncStreaming], owner: type
        ) -> SyncCall[P, AsyncResponseContextManager[AsyncAPIResponse[R]]]: ...
        @overload
        def __get__(self, obj: Resource[SyncResult], owner: type) -> SyncCall[P, Ok[R] | Err]: ...
        @overload
        def __get__(self, obj: Resource[AsyncResult], owner: type) -> AsyncCall[P, Ok[R] | Err]: ...
        def __get__(self, obj: Any, owner: type) -> Any: ...

    class PageOperation(AnyOperation, Generic[P, SyncT, AsyncT, T]):
        """An endpoint that answers one page of `T`, from which the next can be fetched."""

        @overload
        def __get__(self, obj: None, owner: type) -> PageOperation[P, SyncT, AsyncT, T]: ...
        @overload
        def __get__(self, obj: Resource[Sync], owner: type) -> Callable[P, SyncT]: ...
        @overload
        def __get__(self, obj: Resource[Async], owner: type) -> Callable[P, AsyncPaginator[T, AsyncT]]: ...
        @overload
        def __get__(self, obj: Resource[SyncRaw], owner: type) -> SyncCall[P, LegacyAPIResponse[SyncT]]: ...
        @overload
        def __get__(self, obj: Resource[AsyncRaw], owner: type) -> AsyncCall[P, LegacyAPIResponse[AsyncT]]: ...
        @overload
        def __get__(
            self, obj: Resource[SyncStreaming], owner: type
        ) -> SyncCall[P, ResponseContextManager[APIResponse[SyncT]]]: ...
        @overload
        def __get__(
            self, obj: Resource[AsyncStreaming], owner: type
        ) -> SyncCall[P, AsyncResponseContextManager[AsyncAPIResponse[AsyncT]]]: ...
        @overload
        def __get__(self, obj: Resource[SyncResult], owner: type) -> SyncCall[P, Ok[SyncT] | Err]: ...
        @overload
        def __get__(self, obj: Resource[AsyncResult], owner: type) -> AsyncCall[P, Ok[AsyncT] | Err]: ...
        def __get__(self, obj: Any, owner: type) -> Any: ...

    class Overloaded(
        AnyOperation,
        Generic[SyncT, AsyncT, SyncRawT, AsyncRawT, SyncStreamingT, AsyncStreamingT, SyncResultT, AsyncResultT],
    ):
        """An endpoint whose answer depends on its arguments: its calls are protocols with overloads, one a voice."""

        @overload
        def __get__(self, obj: None, owner: type) -> AnyOperation: ...
        @overload
        def __get__(self, obj: Resource[Sync], owner: type) -> SyncT: ...
        @overload
        def __get__(self, obj: Resource[Async], owner: type) -> AsyncT: ...
        @overload
        def __get__(self, obj: Resource[SyncRaw], owner: type) -> SyncRawT: ...
        @overload
        def __get__(self, obj: Resource[AsyncRaw], owner: type) -> AsyncRawT: ...
        @overload
        def __get__(self, obj: Resource[SyncStreaming], owner: type) -> SyncStreamingT: ...
        @overload
        def __get__(self, obj: Resource[AsyncStreaming], owner: type) -> AsyncStreamingT: ...
        @overload
        def __get__(self, obj: Resource[SyncResult], owner: type) -> SyncResultT: ...
        @overload
        def __get__(self, obj: Resource[AsyncResult], owner: type) -> AsyncResultT: ...
        def __get__(self, obj: Any, owner: type) -> Any: ...

    class Voiced(Generic[SyncT, AsyncT]):
        """A resource, with all that is in it, in another voice of the same colour."""

        @overload
        def __get__(self, obj: None, owner: type) -> Any: ...
        @overload
        def __get__(self, obj: Resource[Sync], owner: type) -> SyncT: ...
        @overload
        def __get__(self, obj: Resource[Async], owner: type) -> AsyncT: ...
        def __get__(self, obj: Any, owner: type) -> Any: ...

    # What a call returns in each voice but the plain ones.
    InRaw: TypeAlias = LegacyAPIResponse[R]
    InAsyncRaw: TypeAlias = Coroutine[Any, Any, LegacyAPIResponse[R]]
    InStreaming: TypeAlias = ResponseContextManager[APIResponse[R]]
    InAsyncStreaming: TypeAlias = AsyncResponseContextManager[AsyncAPIResponse[R]]
    InResult: TypeAlias = Ok[R] | Err
    InAsyncResult: TypeAlias = Coroutine[Any, Any, Ok[R] | Err]

    overloaded: Any
    """Stands for the value of an attribute whose type is written out as `Overloaded[…]`, for checkers only."""
    voiced: Any
    """The same for `Voiced[…]`."""

    class _Page(Protocol):
        @overload
        def __call__(
            self, spec: Callable[Concatenate[Any, P], SyncCursorPage[T]], /
        ) -> PageOperation[P, SyncCursorPage[T], AsyncCursorPage[T], T]: ...
        @overload
        def __call__(
            self, spec: Callable[Concatenate[Any, P], SyncConversationCursorPage[T]], /
        ) -> PageOperation[P, SyncConversationCursorPage[T], AsyncConversationCursorPage[T], T]: ...
        @overload
        def __call__(
            self, spec: Callable[Concatenate[Any, P], SyncNextCursorPage[T]], /
        ) -> PageOperation[P, SyncNextCursorPage[T], AsyncNextCursorPage[T], T]: ...
        @overload
        def __call__(
            self, spec: Callable[Concatenate[Any, P], SyncTokenPage[T]], /
        ) -> PageOperation[P, SyncTokenPage[T], AsyncTokenPage[T], T]: ...
        @overload
        def __call__(
            self, spec: Callable[Concatenate[Any, P], SyncPage[T]], /
        ) -> PageOperation[P, SyncPage[T], AsyncPage[T], T]: ...

else:
    Operation = PageOperation = Overloaded = AnyOperation
    Voiced = _Voiced


class _Declare(Protocol):
    def __call__(self, spec: Callable[Concatenate[Any, P], R], /) -> Operation[P, R]: ...


def _declare(method: str, path: str, **how: Any) -> Any:
    return lambda spec: AnyOperation(method, path, spec, **how)


def get(path: str, **how: Any) -> _Declare:
    """Declare `GET path`. Parameters that are not in the path are its query."""
    declare: _Declare = _declare("GET", path, **how)
    return declare


def post(path: str, **how: Any) -> _Declare:
    """Declare `POST path`. Parameters that are not in the path, and not named in `query=`, are its body."""
    declare: _Declare = _declare("POST", path, **how)
    return declare


def delete(path: str, **how: Any) -> _Declare:
    """Declare `DELETE path`. Parameters that are not in the path are its query."""
    declare: _Declare = _declare("DELETE", path, **how)
    return declare


def get_page(path: str, **how: Any) -> _Page:
    """Declare a `GET` whose answer is a page."""
    declare: _Page = _declare("GET", path, paged=True, **how)
    return declare


def post_page(path: str, **how: Any) -> _Page:
    """Declare a `POST` whose answer is a page."""
    declare: _Page = _declare("POST", path, paged=True, **how)
    return declare
