"""What a websocket connection does, without doing it: flows whose steps open, write, read, wait and close.

A connection is open, or it is held: before it is first opened, and while it is made again. While it is held, messages
are kept, up to a number of bytes, and go out in their order once it is open. A message is tried once: when writing it
fails it may have arrived all the same, so it is not sent again; those behind it stay kept.

The flows touch no socket and import no library: whoever drives them gives the steps a `Pump`.
"""

from __future__ import annotations

import json
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ...kernel.errors import WebSocketConnectionClosedError, WebSocketQueueFullError
from ...kernel.flow import Await, Step, World
from ...kernel.websocket import ReconnectingEvent, is_recoverable_close
from ..log import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...kernel.flow import Flow
    from ...kernel.websocket import Dial

__all__ = ("Link", "Message", "Open", "Pin", "Pump", "Receive", "Shut", "Wait", "Write", "close_code")

Message: TypeAlias = "str | bytes"

_RECONNECTING = "the connection is reconnecting: wait for it and restore state before sending"
_RECONNECTED = "the connection was made again meanwhile: restore state before sending"
_ABNORMAL = 1006
"""The code of a connection that ended without a word."""


class Pump(World):
    """What the steps of a link need of the outside, each in one colour or the other."""

    def connect(self, query: Mapping[str, Any], headers: Mapping[str, Any]) -> Any:
        """Make the connection, in place of the one there was; or a coroutine that does."""
        raise NotImplementedError

    def write(self, message: Message) -> Any:
        raise NotImplementedError

    def read(self) -> Any:
        raise NotImplementedError

    def wait(self, seconds: float) -> Any:
        """Let time pass; whether the connection was closed on purpose meanwhile."""
        raise NotImplementedError

    def shut(self) -> Any:
        """Close the connection, whatever comes of it."""
        raise NotImplementedError


class _Step(Step[Any]):
    """A method of the pump and its arguments."""

    __slots__ = ("arguments",)
    name: str

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def perform(self, world: World) -> Any:
        return getattr(world, self.name)(*self.arguments)

    async def aperform(self, world: World) -> Any:
        return await getattr(world, self.name)(*self.arguments)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.arguments))})"


class Open(_Step):
    __slots__ = ()
    name = "connect"


class Write(_Step):
    __slots__ = ()
    name = "write"


class Receive(_Step):
    __slots__ = ()
    name = "read"


class Wait(_Step):
    __slots__ = ()
    name = "wait"


class Shut(_Step):
    __slots__ = ()
    name = "shut"


def close_code(error: BaseException) -> int | None:
    """The code a connection was closed with, by the error its library raised; `None` for any other error."""
    if not hasattr(error, "rcvd"):
        return None
    frame: Any = getattr(error, "rcvd", None)
    return _ABNORMAL if frame is None else int(frame.code)


def _in_order(error: BaseException) -> bool:
    """Whether both sides agreed on closing."""
    return type(error).__name__ == "ConnectionClosedOK"


class Link:
    """The state of one connection, over all the sockets it has had. Safe for threads: its lock is never held while
    anything is done.
    """

    def __init__(self, dial: Dial, *, jitter: Callable[[], float] = random) -> None:
        self._lock = allocate_lock()
        self._kept: deque[tuple[Message, int]] = deque()
        self._bytes = 0
        self._limit = dial.max_queue_size
        self._held = True
        self._flushing = False
        self._lost = False
        self._attempt = 0
        self._ask = dial.on_reconnecting
        self._max_retries = dial.max_retries
        self._initial_delay = dial.initial_delay
        self._max_delay = dial.max_delay
        self._jitter = jitter
        self._query = dial.extra_query
        self._headers = dial.extra_headers
        self._closed = False
        self.connections = 0
        """How many connections there have been."""

    # Messages

    def keep(self, message: Message) -> None:
        """Queue a message. Raises `WebSocketQueueFullError`, and forgets the message, where it is too much."""
        size = len(message.encode() if isinstance(message, str) else message)
        with self._lock:
            self._keep(message, size)

    def _keep(self, message: Message, size: int) -> None:
        if self._bytes + size > self._limit:
            raise WebSocketQueueFullError(
                f"the queue of messages to be sent is full: {self._bytes} bytes wait, {size} more are over the limit "
                f"of {self._limit}"
            )
        self._kept.append((message, size))
        self._bytes += size

    def _direct(self) -> bool:
        """Whether messages go out at once; over a connection that is gone, to be told so."""
        if self._closed:
            return True
        return not self._held and (self._lost or not (self._kept or self._flushing))

    def admit(self, message: Message) -> bool | None:
        """`True` where the message can be written at once; otherwise it was kept, and `False` says that the caller
        has to flush. Raises `WebSocketQueueFullError`.
        """
        if self._direct():
            return True
        size = len(message.encode() if isinstance(message, str) else message)
        with self._lock:
            if self._direct():
                return True
            self._keep(message, size)
            if self._held or self._flushing:
                return None
            self._flushing = True
            return False

    def flush(self, *, holding: bool = False) -> Flow[None]:
        """Write what is kept. `holding`: as who holds the connection, and lets go of it when nothing is left."""
        try:
            while True:
                with self._lock:
                    if self.ended() or (self._held and not holding):
                        return
                    if not self._kept:
                        if holding:
                            self._held = False
                        else:
                            self._flushing = False
                        return
                    message, size = self._kept.popleft()
                try:
                    yield Write(message)
                finally:
                    with self._lock:
                        self._bytes -= size
        finally:
            if not holding:
                self._flushing = False

    def _unsent(self) -> list[Message]:
        with self._lock:
            messages = [message for message, _ in self._kept]
            self._kept.clear()
            self._bytes = 0
        return messages

    def pin(self, send: Callable[[Message], Any]) -> Pin:
        """The connection there is, whose method is `send`. Raises `RuntimeError` while it is made again."""
        with self._lock:
            if self._held:
                raise RuntimeError(_RECONNECTING)
            return Pin(self, self.connections, send)

    def claim(self, number: int, reserve: Callable[[], object]) -> None:
        with self._lock:
            if self._held:
                raise RuntimeError(_RECONNECTING)
            if number != self.connections:
                raise RuntimeError(_RECONNECTED)
            reserve()

    # The connection

    def open(self) -> Flow[None]:
        """Make the connection and send what is kept."""
        with self._lock:
            self._closed, self._held, self._lost = False, True, False
        yield Open(self._query, self._headers)
        self.connections += 1
        try:
            yield from self.flush(holding=True)
        except GeneratorExit:
            raise
        except Exception as error:
            # Whoever reads is told, and what is left is kept until then.
            self._lost = True
            _log("The WebSocket was opened, but not all that was queued could be sent: %r", error, warning=True)
        except BaseException:
            yield Shut()
            raise
        finally:
            self._held = False

    def receive(self) -> Flow[bytes]:
        """The next message."""
        data: bytes = yield Receive()
        self.arrived(data)
        return data

    def arrived(self, data: bytes) -> None:
        """Count attempts anew once the server has something to say; refusing is not that."""
        if not self._attempt:
            return
        try:
            kind = json.loads(data)["type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if isinstance(kind, str) and kind not in ("", "error"):
            self._attempt = 0

    def next(self) -> Flow[bytes | None]:
        """The next message, over a new connection where the old one was lost; `None` where it was closed in order."""
        while True:
            try:
                if self._kept and self._left_over():
                    yield from self.flush()
                return (yield from self.receive())
            except Exception as error:
                code = close_code(error)
                if code is None:
                    raise
                if (yield from self.recover(code)):
                    continue
                unsent = self._unsent()
                if unsent:
                    raise WebSocketConnectionClosedError(
                        f"The WebSocket was closed ({code}) with {len(unsent)} messages that were not sent.",
                        unsent_messages=unsent,
                        code=code,
                    ) from error
                if _in_order(error):
                    return None
                raise

    def _left_over(self) -> bool:
        """Whether there is something to flush that nobody flushes: what a recovery that was broken off has left."""
        with self._lock:
            if self._held or self._lost or self._flushing or not self._kept:
                return False
            self._flushing = True
            return True

    def recover(self, code: int) -> Flow[bool]:
        """Make a lost connection again: whether there is one."""
        if self._ask is None or not is_recoverable_close(code):
            return False
        with self._lock:
            if self.ended():
                return False
            self._held = self._lost = True
        try:
            while self._attempt < self._max_retries:
                self._attempt += 1
                if not (yield from self._prepared(code)):
                    return False
                try:
                    yield Open(self._query, self._headers)
                except Exception as error:
                    _log("WebSocket could not be made again: %s", type(error).__name__)
                    continue
                self.connections += 1
                self._lost = False
                try:
                    if not self.ended():
                        yield from self.flush(holding=True)
                except Exception as error:
                    self._lost = True
                    yield Shut()
                    lost = close_code(error)
                    if lost is not None and not is_recoverable_close(lost):
                        return False
                    code = lost or code
                    continue
                if self.ended():
                    yield Shut()
                    return False
                _log("WebSocket connected again")
                return True
            return False
        finally:
            with self._lock:
                self._held = False

    def _prepared(self, code: int) -> Flow[bool]:
        """Ask whether and how to try again, and wait: whether to."""
        delay = min(self._initial_delay * 2.0 ** min(self._attempt - 1, 1000), self._max_delay)
        delay *= 1 - 0.25 * self._jitter()
        told = ReconnectingEvent(self._attempt, self._max_retries, delay, code, self._query, self._headers)
        assert self._ask is not None
        try:
            answer = self._ask(told)
            if hasattr(answer, "__await__"):
                answer = yield Await(answer)
        except Exception as error:
            _log("on_reconnecting failed, so the WebSocket stays closed: %r", error, warning=True)
            return False
        if answer is not None:
            if answer.get("abort"):
                return False
            self._query = answer.get("extra_query", self._query)
            self._headers = answer.get("extra_headers", self._headers)
        _log("Making the WebSocket again in %.1f s, attempt %d of %d", delay, self._attempt, self._max_retries)
        closed: bool = yield Wait(delay)
        return not closed

    def ended(self) -> bool:
        """Whether it was closed on purpose; that may happen during any step."""
        return self._closed

    def end(self) -> None:
        """It is closed on purpose: no attempt is made any more, and what is kept stays for whoever reads."""
        with self._lock:
            self._closed = True
            self._held = False


class Pin(NamedTuple):
    """One of a link's connections, for what is to be sent over that one or not at all."""

    link: Link
    number: int
    send: Callable[[Message], Any]
    """Writes a message, once, whatever became of the connection."""

    def claim(self, reserve: Callable[[], object]) -> None:
        """Call a function while it is certain that no other connection takes the place of this one.

        Raises `RuntimeError` where one has or is about to, and what the function raises.
        """
        self.link.claim(self.number, reserve)


def _log(text: str, *values: object, warning: bool = False) -> None:
    log = logger()
    if log is not None:
        (log.warning if warning else log.info)(text, *values)
