"""A conversation over a websocket, without doing it: flows whose steps open, write, read, wait and shut.

    lost between answers    the connection is made again with the next question
    lost before an answer   it is made again, and what has no answer is asked again
    lost in an answer       `WebSocketConnectionClosedError`, with the questions behind it as what was not sent

Which frame is an answer's last is known by the wire format: what is received is read as it comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from enum import StrEnum
from typing import Any, Final, TypeAlias

from orjson import JSONDecodeError, dumps, loads

from ...client.flow import may_retry
from ...client.websockets.core import Message, Open, Receive, Shut, Wait, Write, close_code
from ...kernel.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    WebSocketConnectionClosedError,
    from_response,
)
from ...kernel.flow import Flow
from ...kernel.http import Headers, Response
from ..events import Event
from .exchange import Patience
from .readers import AnswerReader, find, recognized

__all__ = ("DataMode", "Talk")

Heard: TypeAlias = "tuple[Any, list[Event], bool, bool]"
"""A frame as its mode has it, what it says, whether it is its answer's last, and whether it says nothing else."""

_CANCEL: Final = '{"event":"cancel"}'
_RESUMABLE: Final = frozenset((1000, 1001, 1005, 1006, 1011, 1012, 1013, 1015))
"""Codes of connections that are worth making again for a question that has no answer yet."""

_POLICY: Final = 1008


class DataMode(StrEnum):
    """What messages are, in the program: their JSON, text or bytes."""

    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


class Talk:
    """The state of one conversation, over all the connections it has had."""

    def __init__(self, mode: DataMode, format: str | None, patience: Patience) -> None:
        self._mode = mode
        self._format = format
        self._agreed: str | None = None
        """The format as the server has confirmed it."""
        self._patience = patience
        self._connected = False
        self._closed = False
        self._answered = False
        """Whether an answer has come to its end over this connection."""
        self._asked: deque[Message] = deque()
        """Questions whose answers have not ended, the one being answered first."""
        self._reader: AnswerReader | None = None
        """Of the answer being received."""
        self._abandoned = False
        """Whether it is of no interest any more."""
        self._stopped = False
        """Whether the server was told so."""
        self._taken = 0

    # Connections

    def open(self) -> Flow[None]:
        """Make the connection. Raises `APIStatusError` where it is refused, `APIConnectionError` where none is made."""
        taken = 0
        while True:
            try:
                self._agreed = yield Open()
            except Exception as error:
                failed = _failure(error)
                if failed is None:
                    raise
                if taken >= self._patience.max_retries or not _worth_trying(failed):
                    raise failed from error
            else:
                self._connected, self._answered = True, False
                return
            if (yield Wait(self._patience.delay(taken))):
                raise failed
            taken += 1

    def _again(self, code: int) -> Flow[bool]:
        """Make a lost connection again and ask what has no answer: whether that may be done, and was."""
        while self._reader is None and self._asked and self._may_resume(code) and not self._closed:
            if self._taken >= self._patience.max_retries:
                break
            self._connected = False
            yield Shut()
            if (yield Wait(self._patience.delay(self._taken))):
                break
            self._taken += 1
            try:
                yield from self._reopen()
            except Exception as error:
                lost = close_code(error)
                if lost is None:
                    raise
                code = lost
                continue
            return True
        return False

    def _may_resume(self, code: int) -> bool:
        # A connection that has answered before may have had as many questions as it may; a new one starts anew.
        return code in _RESUMABLE or (code == _POLICY and self._answered)

    def _reopen(self, *more: Message) -> Flow[None]:
        """Make the connection again and ask what has no answer."""
        yield Shut()
        yield from self.open()
        for message in (*self._asked, *more):
            yield Write(message)

    def end(self) -> None:
        """The connection is closed on purpose."""
        self._closed, self._connected = True, False

    def _lost(self, error: Exception) -> WebSocketConnectionClosedError:
        code = close_code(error)
        frame = getattr(error, "rcvd", None)
        reason = str(frame.reason) if frame is not None else ""
        unsent = list(self._asked)[1 if self._reader is not None else 0 :]
        self._connected = False
        self._asked.clear()
        self._reader = None
        self._abandoned = self._stopped = False
        self._taken = 0
        why = f"{code}{f', {reason}' if reason else ''}"
        return WebSocketConnectionClosedError(
            f"The websocket was closed ({why}).", unsent_messages=unsent, code=code, reason=reason
        )

    # Questions

    def send(self, message: Any) -> Flow[None]:
        """Ask. An answer that was left is cancelled; a connection that was lost is made again."""
        data = _encoded(message, self._mode)
        if self._closed:
            raise WebSocketConnectionClosedError("The session was closed.", unsent_messages=[data])
        if self._abandoned:
            yield from self._stop()
        if self._connected:
            try:
                yield Write(data)
            except Exception as error:
                if close_code(error) is None:
                    raise
                self._drop()
                if self._reader is not None:
                    self._asked.append(data)
                    raise self._lost(error) from error
                self._connected = False
        if not self._connected:
            yield from self._reopen(data)
        self._asked.append(data)

    def cancel(self) -> Flow[None]:
        """Stop the answer under way, here and upstream; what it says of its end is still to be received."""
        if self._asked and self._connected:
            try:
                yield Write(_CANCEL)
            except Exception as error:
                if close_code(error) is None:
                    raise

    def abandon(self) -> None:
        """The answer being received is of no interest any more."""
        self._abandoned = bool(self._asked)

    def leave(self) -> Flow[None]:
        """Have an answer that is of no interest stopped; what still comes of it is passed over."""
        self.abandon()
        yield from self._stop()

    def _stop(self) -> Flow[None]:
        if self._abandoned and not self._stopped:
            self._stopped = True
            yield from self.cancel()

    def _drop(self) -> None:
        """Forget the answer that is of no interest, if one is under way."""
        if self._abandoned:
            self._asked.popleft()
            self._reader = None
            self._abandoned = self._stopped = False

    # Answers

    def receive(self) -> Flow[Any]:
        """The next frame."""
        if self._abandoned:
            yield from self._skip()
        heard: Heard = yield from self._next()
        return heard[0]

    def frames(self) -> Generator[Any, Any, None]:
        """The frames of an answer, but for one that marks its end and says nothing else."""
        if self._abandoned:
            yield from self._skip()
        while True:
            frame, _, last, bare = yield from self._next()
            if not (last and bare):
                yield frame
            if last:
                return

    def events(self) -> Generator[Any, Any, None]:
        """What an answer says."""
        if self._abandoned:
            yield from self._skip()
        while True:
            _, events, last, _ = yield from self._next()
            yield from events
            if last:
                return

    def _skip(self) -> Flow[None]:
        """Pass over what still comes of an answer that was left."""
        yield from self._stop()
        while self._abandoned:
            try:
                data: Message = yield Receive()
            except Exception as error:
                code = close_code(error)
                if code is None:
                    raise _untimely(error) from error
                self._drop()
                if not (yield from self._again(code)):
                    raise self._lost(error) from error
                return
            self._heard(data)

    def _next(self) -> Flow[Heard]:
        if self._closed:
            raise WebSocketConnectionClosedError("The session was closed.")
        while True:
            try:
                data: Message = yield Receive()
            except Exception as error:
                code = close_code(error)
                if code is None:
                    raise _untimely(error) from error
                if (yield from self._again(code)):
                    continue
                raise self._lost(error) from error
            return self._heard(data)

    def _heard(self, data: Message) -> Heard:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        reader = self._reader
        if reader is None:
            key = self._agreed or self._format or recognized(None, text, "text")
            reader = self._reader = find(key)()
            self._taken = 0
        events = reader.read_frame(text)
        if reader.over:
            events += reader.close()
            self._reader = None
            self._abandoned = self._stopped = False
            self._answered = True
            if self._asked:
                self._asked.popleft()
        frame = text if reader.key == "text" and self._mode is DataMode.JSON else _decoded(data, text, self._mode)
        return frame, events, reader.over, reader.bare


def _encoded(message: Any, mode: DataMode) -> Message:
    if mode is DataMode.JSON:
        return dumps(message).decode()
    wanted = str if mode is DataMode.TEXT else bytes
    if type(message) is not wanted:
        raise TypeError(f"in this mode messages are {wanted.__name__}, not {type(message).__name__}")
    given: Message = message
    return given


def _decoded(data: Message, text: str, mode: DataMode) -> Any:
    """A frame as its mode has it. What is no JSON where JSON is due, such as `[DONE]`, stays text."""
    if mode is DataMode.TEXT:
        return text
    if mode is DataMode.BYTES:
        return data.encode() if isinstance(data, str) else data
    try:
        return loads(text)
    except JSONDecodeError:
        return text


def _untimely(error: Exception) -> Exception:
    """The error of a frame that did not come."""
    return APITimeoutError() if isinstance(error, TimeoutError) else error


def _failure(error: Exception) -> APIError | None:
    """Why there is no connection; `None` for what is a bug."""
    if isinstance(error, APIError):
        return error
    response: Any = getattr(error, "response", None)
    if response is not None and hasattr(response, "status_code"):
        headers = Headers(list(response.headers.raw_items()))
        return from_response(Response(response.status_code, headers, bytes(response.body or b"")))
    if isinstance(error, TimeoutError):
        return APITimeoutError()
    if isinstance(error, OSError) or type(error).__name__ in _HANDSHAKE:
        return APIConnectionError(message=f"Connection error: {error}")
    return None


_HANDSHAKE: Final = ("InvalidHandshake", "InvalidMessage", "InvalidUpgrade", "InvalidHeader", "ConnectionClosedError")


def _worth_trying(failed: APIError) -> bool:
    return not isinstance(failed, APIStatusError) or may_retry(failed.response)
