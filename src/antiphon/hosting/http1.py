"""HTTP/1.1 on the event loop itself, for handlers that mostly wait for what comes over the same loop.

Granian frames HTTP in a thread of its own. Where an answer has to wait for another server, a request then changes
threads four times, and two of them take turns at the interpreter. Here the connection to the client belongs to the loop
as those to the servers do: what httptools has parsed is asked in place, and written in place when it is there.

Requests of a connection are answered one after the other, the next once the client has taken the last answer. No more
is read while two of them wait, nor while a large body is not taken as fast as it comes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httptools

from ..kernel.errors import APIStatusError
from ..kernel.http import Headers, Request, Response
from ..kernel.severed import Severed
from ..kernel.spool import IN_MEMORY, Spooled, aspooled, size_of
from .arriving import Arriving, Asked
from .pump import Gone, Stream, Watch, discard, failure, log, sendable, tells_its_end
from .sever import cut

if TYPE_CHECKING:
    from .onloop import OnLoop

__all__ = ("MOST_HEAD", "Connection")

MOST_HEAD: Final = 64 * 1024
"""The most bytes of a request's line and headers together."""
_LINGERS: Final = 2.0
"""For how many seconds a client that is refused may go on sending. Most do not read why before they have sent."""
_LINES: Final = {each.value: b"HTTP/1.1 %d %b\r\n" % (each.value, each.phrase.encode()) for each in HTTPStatus}
_FRAMING: Final = frozenset({"connection", "date", "keep-alive", "transfer-encoding"})
"""Headers of an answer that are the connection's business, and not the handler's."""
_BARE: Final = frozenset({204, 304})
"""Statuses whose answers have neither a body nor its length."""


class _TooLong(Exception):
    """The head of a request is longer than `MOST_HEAD`."""


class Connection(asyncio.Protocol):
    """A client's connection."""

    def __init__(self, host: OnLoop) -> None:
        self.host = host
        self.app = host.app
        self.loop = host.loop
        self.transport: Any = None
        self.since = 0.0
        """When the head that is arriving was begun, or the last answer ended."""
        self.socket: Any = None
        """The websocket that the connection has become."""
        self._parser: Any = httptools.HttpRequestParser(self)
        self._target: list[bytes] = []
        self._pairs: list[tuple[str, str]] = []
        self._head = 0
        self._silent = 0
        """How many bytes the parser has taken since a message, or a piece of its body, began. It tells of a header when
        all of it is there, and until then keeps it.
        """
        self._reading = False
        """Whether a head has begun to arrive."""
        self._arriving: Asked | None = None
        self._waiting: deque[Asked] = deque()
        """What was asked and is not answered yet; the first is being answered."""
        self._task: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._room: asyncio.Future[None] | None = None
        self._paused = False
        self._closing = False

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.since = self.loop.time()
        self.host.connections.add(self)
        if self.host.stopping.is_set():  # it was accepted just before
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.host.lost(self)
        self._closing = True
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self._arriving is not None and self._arriving.arriving is not None:
            self._arriving.arriving.leave()
        if self._watch is not None:
            self._watch.leave()
        if self.socket is not None:
            self.socket.lost()

    def pause_writing(self) -> None:
        self._room = self.loop.create_future()
        if self.socket is not None:
            self.socket.balance()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None
        if self.socket is not None:
            self.socket.balance()
        elif self._waiting and self._task is None:
            self.loop.call_soon(self._following)

    def data_received(self, data: bytes) -> None:
        if self.socket is not None:
            self.socket.heard(data)
            return
        if self._closing:
            return
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, _TooLong):
                self._too_long()
            else:
                log.error("a request could not be taken", exc_info=error.__context__)
                self.transport.abort()
        except httptools.HttpParserError as error:
            self._refuse(400, f"This is not HTTP/1.1: {error}.")
        else:
            if self._silent > MOST_HEAD:
                self._too_long()
            else:
                self.balance()

    # What httptools calls

    def on_message_begin(self) -> None:
        self._target, self._pairs, self._head = [], [], 0
        self._silent = 0
        self.since = self.loop.time()
        self._reading = True

    def on_url(self, url: bytes) -> None:
        self._target.append(url)
        self._longer(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._pairs.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        self._longer(len(name) + len(value))

    def _longer(self, size: int) -> None:
        self._head += size
        if self._head > MOST_HEAD:
            raise _TooLong

    def on_headers_complete(self) -> None:
        self._reading = False
        parser = self._parser
        headers = Headers.of(self._pairs)
        target = self._target[0] if len(self._target) == 1 else b"".join(self._target)
        asked = Asked(
            parser.get_method().decode("latin-1"),
            target.decode("latin-1"),
            headers,
            modern=parser.get_http_version() == "1.1",
            keep=parser.should_keep_alive(),
        )
        self._arriving = asked
        if parser.should_upgrade():
            return  # to httptools it ends here, whatever body it has
        length = headers.get("content-length")
        if length is None and headers.get("transfer-encoding") is None:
            return
        if length is None or int(length) > IN_MEMORY or int(length) > self.app.max_body:
            self._pairs = []  # for trailers, which are no headers
            asked.arriving = Arriving(self)
            self._waiting.append(asked)
            if len(self._waiting) == 1:
                self._following()
        elif not self._waiting:
            self._expected(asked)

    def on_body(self, body: bytes) -> None:
        self._silent = 0
        asked = self._arriving
        if asked is not None:
            if asked.arriving is None:
                asked.body.append(body)
            else:
                asked.arriving.take(body)

    def on_message_complete(self) -> None:
        asked, self._arriving = self._arriving, None
        if asked is None:
            return
        asked.complete = True
        if asked.arriving is not None:
            asked.arriving.end()
            return
        self._waiting.append(asked)
        if len(self._waiting) == 1 and not self._parser.should_upgrade():
            self._following()

    # Taking requests

    def balance(self) -> None:
        """Read, unless enough waits already."""
        asked = self._arriving
        enough = len(self._waiting) > 1 or (asked is not None and asked.arriving is not None and asked.arriving.full)
        if enough is not self._paused and not self._closing:
            self._paused = enough
            if enough:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _expected(self, asked: Asked) -> None:
        """Have a body sent by who waits to be told so."""
        waits = asked.modern and not asked.body and (asked.headers.get("expect") or "").lower() == "100-continue"
        if waits and not self._closing:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _begin(self, asked: Asked) -> None:
        """Answer the first of what waits."""
        if asked.arriving is not None:
            self._task = self.loop.create_task(self._take(asked, asked.arriving))
            return
        body = asked.body
        self._answer(asked, asked.request(body[0] if len(body) == 1 else b"".join(body)))

    def _answer(self, asked: Asked, request: Request, *, whole: bool = True) -> None:
        answer = self.app.answer(request, whole=whole)
        if isinstance(answer, Response) and isinstance(answer.body, bytes):
            self._whole(asked, answer, answer.body)
            self._over(asked)
        else:
            self._task = self.loop.create_task(self._unhurried(asked, answer))

    async def _take(self, asked: Asked, arriving: Arriving) -> None:
        """Take a large body, and answer. One that is too large is refused at once, and then let end."""
        most = self.app.max_body
        length = asked.headers.get("content-length")
        body: bytes | Spooled = b""
        try:
            whole = length is None or int(length) <= most
            if whole:
                self._expected(asked)
                body = await aspooled(arriving, most)
                if self._closing:
                    raise Gone
                whole = size_of(body) <= most
            if whole:
                self._answer(asked, asked.request(body))
                return
            asked.refused = True
            asked.keep = asked.keep and asked.headers.get("expect") is None
            answer = self.app.answer(asked.request(b""), whole=False)
            if not isinstance(answer, Response):
                answer = await self.app.finish(answer, Watch())
            self._whole(asked, answer, answer.content)
            if asked.keep and await self.app.let_end(arriving, None if length is None else int(length)):
                self._over(asked)
            else:
                self.close()
        except Gone:
            pass
        except Severed as severed:
            await self.sever(severed)
        except asyncio.CancelledError:  # the server is stopping and its patience is over
            self.close()
        except Exception as error:  # such as a disk that is full
            asked.keep = False
            response = failure(error)
            self._whole(asked, response, response.content)
            self._linger()

    def _over(self, asked: Asked) -> None:
        """An answer has been given: close, or go on with the next."""
        self._task = self._watch = None
        if not asked.keep or self.host.stopping.is_set():
            self.close()
            return
        self._waiting.popleft()
        self.since = self.loop.time()
        if self._waiting:
            self.loop.call_soon(self._following)  # a client that sends many at once does not keep the others waiting
        elif self._arriving is not None:
            self._expected(self._arriving)
        if self._paused:
            self.balance()

    def _following(self) -> None:
        """Answer the first of what waits, unless something is being answered, or the last answer not taken yet."""
        free = self._task is None and self._room is None and self.socket is None
        if free and self._waiting and not self._closing:
            self._begin(self._waiting[0])

    # Answering

    async def _unhurried(self, asked: Asked, answer: Any) -> None:
        """Answer with a flow or with a streamed body."""
        if self._closing:  # the client left before anything was begun
            discard(answer.body if isinstance(answer, Response) else answer)
            return
        watch = self._watch = Watch()
        try:
            response: Response = answer if isinstance(answer, Response) else await self.app.finish(answer, watch)
            body = response.body
            if isinstance(body, bytes):
                self._whole(asked, response, body)
            elif asked.method == "HEAD" or response.status in _BARE:
                discard(body)
                self._whole(asked, response, None)
            elif not await self._stream(asked, response, Stream(body), watch):
                self.close()
                return
        except Severed as severed:
            await self.sever(severed)
        except asyncio.CancelledError:
            # The client left, or the server is stopping and its patience is over: the answer ends here.
            watch.settle()
            self.close()
        except Gone:
            pass
        except Exception as error:
            log.error("an answer could not be given", exc_info=error)
            self.transport.abort()
        else:
            self._over(asked)

    async def _stream(self, asked: Asked, response: Response, stream: Stream, watch: Watch) -> bool:
        """Send a streamed body; whether it came to its end."""
        framing, chunked = b"", False
        length = response.headers.get("content-length")
        left = None if length is None else int(length)
        if length is None:
            if isinstance(response.body, Spooled):
                framing = b"content-length: %d\r\n" % response.body.size
            elif asked.modern:
                framing, chunked = b"transfer-encoding: chunked\r\n", True
            else:
                asked.keep = False  # its end is that of the connection
        begun = self._head_of(asked, response, framing)

        async def write(data: bytes) -> None:
            nonlocal begun, left
            if self._closing:
                raise Gone
            if left is not None:
                left -= len(data)
                if left < 0:
                    raise ValueError(f"a body is longer than its content-length of {length} bytes")
            framed = b"%b%x\r\n%b\r\n" % (begun, len(data), data) if chunked else begun + data
            begun = b""
            self.transport.write(framed)
            if self._room is not None:
                await self.room()

        ready = stream.gather()
        if not ready and not stream.ended:  # the first piece is long in coming, the head is not
            self.transport.write(begun)
            begun = b""
        whole = False
        try:
            whole = await self.app.stream(response, stream, write, watch, ready) and not left
        except asyncio.CancelledError:
            whole = tells_its_end(response) and not watch.left
            raise
        finally:
            if whole and not self._closing:
                self.transport.write(begun + b"0\r\n\r\n" if chunked else begun)
        return whole

    def _whole(self, asked: Asked, response: Response, body: bytes | None) -> None:
        """Send an answer; with no body where it is not sent, and its length not known."""
        if self._closing:
            return
        if response.status in _BARE or body is None:
            self.transport.write(self._head_of(asked, response, b""))
        elif asked.method == "HEAD":
            known = response.headers.get("content-length") is not None
            length = b"" if known else b"content-length: %d\r\n" % len(body)
            self.transport.write(self._head_of(asked, response, length))
        elif response.headers.get("content-length") is not None:
            self.transport.write(self._head_of(asked, response, b"") + body)
        else:
            self.transport.write(self._head_of(asked, response, b"content-length: %d\r\n" % len(body)) + body)

    def _head_of(self, asked: Asked, response: Response, framing: bytes) -> bytes:
        lines = "".join(
            [f"{name}: {value}\r\n" for name, value in sendable(response.headers.pairs) if name not in _FRAMING]
        )
        status = _LINES.get(response.status) or b"HTTP/1.1 %d \r\n" % response.status
        if not asked.keep or self.host.stopping.is_set():
            framing += b"connection: close\r\n"
        elif not asked.modern:
            framing += b"connection: keep-alive\r\n"
        return b"%b%b%bdate: %b\r\n\r\n" % (status, lines.encode("latin-1"), framing, _date())

    @property
    def full(self) -> bool:
        """Whether what was written waits for the client."""
        return self._room is not None

    async def room(self) -> None:
        """Wait until what was written is on its way. Raises `Gone` where nobody takes it any more."""
        if self._room is not None:
            await self._room
        if self._closing:
            raise Gone

    # Ending

    def close(self) -> None:
        """Close the connection once what was written has been sent."""
        self._closing = True
        self.transport.close()

    def stop(self) -> None:
        """Take no further request, and close if none is being answered."""
        if self.socket is None and not (self._waiting and self._waiting[0].complete):
            self.close()

    def cut(self) -> None:
        """Break off what is being answered."""
        if self.socket is not None:
            self.socket.cut()
        elif self._task is not None:
            self._task.cancel()
        else:
            self.close()

    def idle(self, now: float, head: float, between: float) -> bool:
        """Whether it has waited too long for a head to arrive, or for one to begin."""
        if self.socket is not None or self._waiting or self._arriving is not None:
            return False
        return now - self.since > (head if self._reading else between)

    def _refuse(self, status: int, words: str) -> None:
        """Answer to what cannot be read, and close."""
        arriving, self._arriving = self._arriving, None
        if arriving is not None and arriving.arriving is not None:
            arriving.arriving.leave()  # nobody waits for the rest of it
            self._waiting.pop()
            if arriving.refused:
                self.close()
        if self._waiting:
            self._waiting[-1].keep = False  # those before it are answered
        elif not self._closing:
            asked = Asked("GET", "/", Headers(), modern=True, keep=False)
            response = failure(APIStatusError.because(words, status=status))
            self._whole(asked, response, response.content)
            self._linger()
        self._parser = _Deaf

    def _too_long(self) -> None:
        self._refuse(431, f"The request's line and headers are longer than {MOST_HEAD} bytes.")

    def _linger(self) -> None:
        """Close, but not yet to what the client is still sending: that would break off what it has to read, too."""
        if not self._closing:
            self._closing = True
            self.transport.write_eof()
            self.loop.call_later(_LINGERS, self.transport.close)

    async def sever(self, severed: Severed) -> None:
        """End the connection where it should not end."""
        if self._closing:
            return
        self.transport.set_write_buffer_limits(0)
        with suppress(Gone):
            await self.room()  # until the system has all that was written
        found = self.transport.get_extra_info("socket")  # none where the client has left meanwhile
        fileno: int = -1 if found is None else found.fileno()
        if fileno >= 0:
            with socket.socket(fileno=os.dup(fileno)) as same:
                await cut(same, severed, settled=False)
        self.transport.abort()

    def _upgrade(self, rest: bytes) -> None:
        """A client wants to speak something else than HTTP: a websocket, or what is not spoken here."""
        asked = self._waiting[-1]
        if len(self._waiting) == 1 and asked.shakes_hands:
            self._converse(asked, rest)
        elif asked.method == "CONNECT":
            asked.keep = False
            self._parser = _Deaf
            if len(self._waiting) == 1:
                self._following()
        else:
            # Nobody has to accept such an offer. What was taken for another protocol is read as this one.
            self._waiting.pop()
            self._parser = httptools.HttpRequestParser(self)
            self.data_received(asked.head(without="upgrade") + rest)

    def _converse(self, asked: Asked, rest: bytes) -> None:
        from .sockets import Socket

        opened = self.app.opened(asked.request(b""))
        if isinstance(opened, Response):
            asked.keep = False
            self._whole(asked, opened, opened.content)
            self.close()
        else:
            self.socket = Socket(self, asked, opened)
            self.socket.heard(rest)


class _Deaf:
    """In place of a parser: what comes after what could not be read is not read either."""

    @staticmethod
    def feed_data(data: bytes) -> None:
        """Pass over it."""


_now: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    global _now
    second = int(time.time())
    if _now[0] != second:
        _now = second, formatdate(second, usegmt=True).encode()
    return _now[1]
