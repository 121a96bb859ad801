"""Websocket connections as their users see them: typed events both ways, in both voices.

    with client.realtime.connect(model="gpt-realtime") as connection:
        connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        for event in connection:
            ...

What happens on the wire is the client's business: a connection holds a socket that the client made of a `Dial`, and
gives it frames. What can be sent is declared once for both voices, as an operation is:

    class RealtimeSessionResource(Sender[V]):
        @event("session.update")
        def update(self, *, session: Session, event_id: str | Omit = omit) -> None: ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from antiphon.kernel.errors import APIError
from antiphon.kernel.lazy import evaluate
from antiphon.kernel.omit import NotGiven, Omit, omit
from antiphon.kernel.operation import Async, Sync, V
from antiphon.kernel.view import plain, wrapper

if TYPE_CHECKING:
    from types import TracebackType

    from antiphon.kernel.operation import Resource
    from antiphon.kernel.websocket import Dial

__all__ = (
    "AsyncConnection",
    "AsyncConnectionManager",
    "AsyncSocket",
    "Connect",
    "Pin",
    "Sender",
    "Senders",
    "Socket",
    "SyncConnection",
    "SyncConnectionManager",
    "connects",
    "event",
)

P = ParamSpec("P")
SentT = TypeVar("SentT")
ReceivedT = TypeVar("ReceivedT")
ConnectionT = TypeVar("ConnectionT")
AsyncConnectionT = TypeVar("AsyncConnectionT")
HandlerT = TypeVar("HandlerT", bound=Callable[[Any], object])
ManagerT = TypeVar("ManagerT")
AsyncManagerT = TypeVar("AsyncManagerT")


# What the client gives


class Pin(Protocol):
    """One of a socket's connections, for what is sent over that one or not at all."""

    def claim(self, reserve: Callable[[], object]) -> None:
        """Call a function while no other connection can take this one's place. Raises `RuntimeError` where one has."""
        ...

    @property
    def send(self) -> Callable[[str | bytes], Any]:
        """Writes a message, once."""
        ...


class Socket(Protocol):
    """A websocket, over all the connections it has had, and what was not sent yet."""

    @property
    def connections(self) -> int:
        """How many there have been."""
        ...

    def pin(self) -> Pin:
        """The connection as it is now. Raises `RuntimeError` while it is made again."""
        ...

    def text(self, event: Any) -> str:
        """An event as the message that says it. Raises `TypeError` for what has no JSON."""
        ...

    def keep(self, message: str | bytes) -> None:
        """Queue a message for when there is a connection. Raises `WebSocketQueueFullError`."""
        ...

    def open(self) -> None: ...
    def put(self, message: str | bytes) -> None: ...
    def receive(self, timeout: float | None = None) -> bytes:
        """The next message, of this connection. Raises `TimeoutError` after so many seconds."""
        ...

    def next(self) -> bytes | None:
        """The next message, of a new connection where the old one was lost; `None` at the end."""
        ...

    def close(self, code: int, reason: str) -> None: ...
    def leave(self) -> None:
        """Close in order, without anything being read any more."""
        ...


class AsyncSocket(Protocol):
    """`Socket` for an event loop; what a pin sends is to be awaited."""

    @property
    def connections(self) -> int: ...
    def pin(self) -> Pin: ...

    def text(self, event: Any) -> str: ...
    def keep(self, message: str | bytes) -> None: ...
    async def open(self) -> None: ...
    async def put(self, message: str | bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def next(self) -> bytes | None: ...
    async def close(self, code: int, reason: str) -> None: ...
    async def leave(self) -> None: ...


# What is sent


class Senders(Generic[V]):
    """What a connection can be sent, in its voice."""


class Sender(Generic[V]):
    """Methods that send events, one an event."""

    def __init__(self, connection: Senders[V]) -> None:
        self._connection = connection


if TYPE_CHECKING:

    class Event(Generic[P]):
        """A method that sends one event."""

        @overload
        def __get__(self, obj: None, owner: type) -> Event[P]: ...
        @overload
        def __get__(self, obj: Sender[Sync], owner: type) -> Callable[P, None]: ...
        @overload
        def __get__(self, obj: Sender[Async], owner: type) -> Callable[P, Coroutine[Any, Any, None]]: ...
        def __get__(self, obj: Any, owner: type) -> Any: ...

else:
    Event = Callable


class _Declare(Protocol):
    def __call__(self, spec: Callable[Concatenate[Any, P], None], /) -> Event[P]: ...


def event(kind: str) -> _Declare:
    """Declare a method that sends an event of type `kind`, whose fields are the method's parameters."""

    def declare(spec: Any) -> Any:
        from functools import wraps

        code = spec.__code__
        names = frozenset(code.co_varnames[1 : 1 + code.co_kwonlyargcount])
        required = names - frozenset(spec.__kwdefaults__ or ())

        @wraps(spec)
        def send(self: Any, **fields: Any) -> Any:
            if not names.issuperset(fields):
                unknown = next(name for name in fields if name not in names)
                raise TypeError(f"{spec.__qualname__}() got an unexpected keyword argument '{unknown}'")
            if not required.issubset(fields):
                missing = ", ".join(f"'{name}'" for name in sorted(required.difference(fields)))
                raise TypeError(f"{spec.__qualname__}() is missing required arguments: {missing}")
            given = {name: value for name, value in fields.items() if not isinstance(value, (Omit, NotGiven))}
            return self._connection.send({"type": kind, **given})

        send.event = kind  # type: ignore[attr-defined]
        return send

    declared: _Declare = declare
    return declared


# Handlers


class Handlers:
    """Functions to be called with events, by the events' type."""

    def __init__(self) -> None:
        self._by_type: dict[str, list[tuple[Callable[[Any], object], bool]]] = {}

    def add(self, kind: str, handler: Callable[[Any], object], once: bool) -> None:
        # Lists are replaced rather than changed, so that other threads see the one or the other.
        self._by_type[kind] = [*self._by_type.get(kind, ()), (handler, once)]

    def remove(self, kind: str, handler: Callable[[Any], object]) -> None:
        left = list(self._by_type.get(kind, ()))
        for index, (each, _) in enumerate(left):
            if each == handler:
                del left[index]
                break
        self._by_type[kind] = left

    def take(self, kind: str) -> list[Callable[[Any], object]]:
        """The handlers of a type; those that are called once are gone then."""
        found = self._by_type.get(kind)
        if not found:
            return []
        if any(once for _, once in found):
            self._by_type[kind] = [each for each in found if not each[1]]
        return [handler for handler, _ in found]

    def of(self, received: Any) -> list[Callable[[Any], object]]:
        """The handlers of an event: those of its type, then those of every event.

        Raises `APIError` for an error that nobody handles.
        """
        kind = getattr(received, "type", None)
        handlers = [*(self.take(kind) if isinstance(kind, str) else ()), *self.take("event")]
        if kind == "error" and not handlers:
            body = received["error"] if "error" in received else plain(received)
            message = body.get("message") if isinstance(body, dict) else None
            raise APIError(f"WebSocket error: {message or received}", body=body)
        return handlers


class _Handling:
    """`on`, `once` and `off`."""

    _handlers: Handlers

    @overload
    def on(self, event_type: str, handler: Callable[[Any], object]) -> Self: ...
    @overload
    def on(self, event_type: str, handler: None = None) -> Callable[[HandlerT], HandlerT]: ...
    def on(self, event_type: str, handler: Callable[[Any], object] | None = None) -> Any:
        """Have `dispatch_events` call a function with every event of a type, or with every event for `"event"`.

        Without `handler` it is a decorator. A handler that is added twice is called twice.
        """
        return self._add(event_type, handler, False)

    @overload
    def once(self, event_type: str, handler: Callable[[Any], object]) -> Self: ...
    @overload
    def once(self, event_type: str, handler: None = None) -> Callable[[HandlerT], HandlerT]: ...
    def once(self, event_type: str, handler: Callable[[Any], object] | None = None) -> Any:
        """`on`, for the next such event only."""
        return self._add(event_type, handler, True)

    def off(self, event_type: str, handler: Callable[[Any], object]) -> Self:
        """Take back one `on` or `once`, where there was one."""
        self._handlers.remove(event_type, handler)
        return self

    def _add(self, event_type: str, handler: Callable[[Any], object] | None, once: bool) -> Any:
        if handler is not None:
            self._handlers.add(event_type, handler, once)
            return self

        def decorate(function: HandlerT) -> HandlerT:
            self._handlers.add(event_type, function, once)
            return function

        return decorate


# Connections


class _Connection(_Handling, Generic[ReceivedT]):
    """What is the same in both colours: events read from JSON, and handlers for them."""

    _received: ClassVar[str]
    """The type of what arrives, as its module spells it."""
    _read: ClassVar[Callable[[Any], Any] | None] = None

    def parse_event(self, data: str | bytes) -> ReceivedT:
        """The event in a message, for those who receive bytes. Raises `ValueError` where it is not JSON."""
        from orjson import loads

        read = type(self)._read
        if read is None:
            home: Any = next(each for each in type(self).__mro__ if "_received" in each.__dict__)
            read = wrapper(evaluate(home._received, home.__module__)) or _same
            # A function as a class attribute would become a method.
            home._read = staticmethod(read)
        parsed: ReceivedT = read(loads(data))
        return parsed


def _same(value: Any) -> Any:
    return value


class SyncConnection(_Connection[ReceivedT], Generic[SentT, ReceivedT]):
    """An open connection. One thread receives; any number may send at the same time."""

    def __init__(self, socket: Socket, handlers: Handlers) -> None:
        self._socket = socket
        self._handlers = handlers

    def send(self, event: SentT) -> None:
        """Send an event.

        While the connection is being made again, events are kept and sent in order afterwards. Raises
        `WebSocketQueueFullError` where they come to more than `max_queue_size` bytes, and the library's
        `ConnectionClosed` where the connection is closed.
        """
        self._socket.put(self._socket.text(event))

    def send_raw(self, data: bytes | str) -> None:
        """Send a message that is written already, text or bytes. Otherwise as `send`."""
        self._socket.put(data)

    def recv(self) -> ReceivedT:
        """The next event. Raises the library's `ConnectionClosed` when there is none: only iteration reconnects."""
        return self.parse_event(self._socket.receive())

    def recv_bytes(self) -> bytes:
        """The next message as it arrived; `parse_event` makes an event of it. Otherwise as `recv`."""
        return self._socket.receive()

    def __iter__(self) -> Iterator[ReceivedT]:
        """Events until the connection is closed.

        With `on_reconnecting`, a connection that was lost is made again, and iteration goes on. Raises
        `WebSocketConnectionClosedError` when it ends with events that were not sent, otherwise the library's
        `ConnectionClosedError` when it was lost, and nothing when either side closed it in order.
        """
        while (data := self._socket.next()) is not None:
            yield self.parse_event(data)

    def dispatch_events(self) -> None:
        """Call the handlers with events until the connection is closed. Raises what iteration raises, and `APIError`
        for an error event that has no handler.
        """
        for received in self:
            for handler in self._handlers.of(received):
                handler(received)

    def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Close the connection; it is not made again."""
        self._socket.close(code, reason)


class AsyncConnection(_Connection[ReceivedT], Generic[SentT, ReceivedT]):
    """An open connection. One task receives; any number may send at the same time."""

    def __init__(self, socket: AsyncSocket, handlers: Handlers) -> None:
        self._socket = socket
        self._handlers = handlers

    async def send(self, event: SentT) -> None:
        """Send an event. See `SyncConnection.send`."""
        await self._socket.put(self._socket.text(event))

    async def send_raw(self, data: bytes | str) -> None:
        """Send a message that is written already, text or bytes. Otherwise as `send`."""
        await self._socket.put(data)

    async def recv(self) -> ReceivedT:
        """The next event; nothing is lost when this is cancelled. See `SyncConnection.recv`."""
        return self.parse_event(await self._socket.receive())

    async def recv_bytes(self) -> bytes:
        """The next message as it arrived; `parse_event` makes an event of it. Otherwise as `recv`."""
        return await self._socket.receive()

    async def __aiter__(self) -> AsyncIterator[ReceivedT]:
        """Events until the connection is closed. See `SyncConnection.__iter__`."""
        while (data := await self._socket.next()) is not None:
            yield self.parse_event(data)

    async def dispatch_events(self) -> None:
        """Call the handlers, awaiting those that are coroutines. See `SyncConnection.dispatch_events`."""
        while (data := await self._socket.next()) is not None:
            received = self.parse_event(data)
            for handler in self._handlers.of(received):
                answer = handler(received)
                if isinstance(answer, Awaitable):
                    await answer

    async def close(self, *, code: int = 1000, reason: str = "") -> None:
        """Close the connection; it is not made again."""
        await self._socket.close(code, reason)


# Managers


class SyncConnectionManager(_Handling, Generic[ConnectionT, SentT]):
    """Connects when it is entered and closes when it is left: `with client.realtime.connect(…) as connection:`.

    Without `with`, connect with `enter()` and close the connection yourself.
    """

    _connection: ClassVar[type[Any]]

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._handlers = Handlers()
        self._entered = False

    def send(self, event: SentT) -> None:
        """Have an event sent as soon as there is a connection. Raises `WebSocketQueueFullError`."""
        self._socket.keep(self._socket.text(event))

    def enter(self) -> ConnectionT:
        """Connect. Raises what the `websockets` library raises, and `OpenAIError` where that is not installed."""
        self._socket.open()
        self._entered = True
        made: ConnectionT = self._connection(self._socket, self._handlers)
        return made

    def __enter__(self) -> ConnectionT:
        return self.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            try:
                self._socket.leave()
            except Exception:
                if error is None:
                    raise


class AsyncConnectionManager(_Handling, Generic[AsyncConnectionT, SentT]):
    """Connects when it is entered and closes when it is left: `async with client.realtime.connect(…) as connection:`.

    Without `async with`, connect with `await ….enter()` and close the connection yourself.
    """

    _connection: ClassVar[type[Any]]

    def __init__(self, socket: AsyncSocket) -> None:
        self._socket = socket
        self._handlers = Handlers()
        self._entered = False

    def send(self, event: SentT) -> None:
        """Have an event sent as soon as there is a connection. Raises `WebSocketQueueFullError`."""
        self._socket.keep(self._socket.text(event))

    async def enter(self) -> AsyncConnectionT:
        """Connect. Raises what the `websockets` library raises, and `OpenAIError` where that is not installed."""
        await self._socket.open()
        self._entered = True
        made: AsyncConnectionT = self._connection(self._socket, self._handlers)
        return made

    async def __aenter__(self) -> AsyncConnectionT:
        return await self.enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            try:
                await self._socket.leave()
            except Exception:
                if error is None:
                    raise


# `connect`


if TYPE_CHECKING:

    class Connect(Generic[P, ManagerT, AsyncManagerT]):
        """A method of a resource that makes a connection's manager."""

        @overload
        def __get__(self, obj: None, owner: type) -> Connect[P, ManagerT, AsyncManagerT]: ...
        @overload
        def __get__(self, obj: Resource[Sync], owner: type) -> Callable[P, ManagerT]: ...
        @overload
        def __get__(self, obj: Resource[Async], owner: type) -> Callable[P, AsyncManagerT]: ...
        def __get__(self, obj: Any, owner: type) -> Any: ...

else:
    Connect = Callable


def connects(
    find: Callable[[], tuple[type[ManagerT], type[AsyncManagerT]]],
) -> Callable[[Callable[Concatenate[Any, P], Dial]], Connect[P, ManagerT, AsyncManagerT]]:
    """Declare a method that makes a connection's manager from the `Dial` it returns.

    `find` gives the managers of both colours; it is called when the first connection is made, since they are not
    imported before.
    """

    def declare(spec: Any) -> Any:
        from functools import wraps

        @wraps(spec)
        def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
            dial, core = spec(self, *args, **kwargs), self._core
            make = getattr(core, "_socket", None)
            if make is None:
                raise TypeError("connect() makes a connection, which has no response: call it on the client itself")
            manager: Any = find()[core._is_async]
            return manager(make(dial))

        return connect

    declared: Callable[[Callable[Concatenate[Any, P], Dial]], Connect[P, ManagerT, AsyncManagerT]] = declare
    return declared


def given(**values: Any) -> dict[str, Any]:
    """The parameters that are not omitted."""
    return {name: value for name, value in values.items() if value is not omit}
