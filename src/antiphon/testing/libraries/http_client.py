"""`http.client`, and with it `urllib.request`: a connection is given a socket that is none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...kernel.errors import APIConnectionError, APITimeoutError
from ...kernel.severed import Severed
from ..wire import CONTINUE, LAST, Incoming, chunk, head

if TYPE_CHECKING:
    from ...kernel.http import Request
    from ...transports.handler import HandlerTransport
    from ..interception import Interception

__all__ = ("Socket", "patches", "replacement")


def patches(module: ModuleType, interception: Interception) -> Iterator[tuple[Any, str, Any]]:
    """What connects, with and without TLS."""
    for name, scheme in (("HTTPConnection", "http"), ("HTTPSConnection", "https")):
        owner: Any = getattr(module, name, None)
        if owner is not None and "connect" in vars(owner):  # a Python without TLS has no HTTPSConnection
            yield owner, "connect", replacement(owner.connect, scheme, interception, module.__name__)


def replacement(connect: Any, scheme: str, interception: Interception, library: str) -> Any:
    """A `connect` that asks where the connection goes first."""

    def connected(self: Any) -> None:
        host = self._tunnel_host or self.host
        there = interception.route(host, f"A request to {scheme}://{host}", library)
        if there is None:
            connect(self)
            return
        port = (self._tunnel_port if self._tunnel_host else self.port) or 0
        usual = port in (0, 443 if scheme == "https" else 80)
        self.sock = Socket(there, f"{scheme}://{host}" if usual else f"{scheme}://{host}:{port}", self.timeout)
        if hasattr(self, "is_verified"):  # urllib3 warns about connections whose peer is not
            self.is_verified = True

    return connected


class Socket:
    """As much of a socket as these libraries use. The answer is made as it is read."""

    def __init__(self, there: HandlerTransport, origin: str, timeout: Any) -> None:
        self._there = there
        self._incoming = Incoming(origin)
        self._answer: Iterator[bytes] = iter(())
        self._timeout: Any = None
        self.settimeout(timeout)

    def sendall(self, data: Any) -> None:
        request = self._incoming.feed(bytes(data))
        if request is not None:
            self._answer = self._answered(request)
            self.next()
        elif self._incoming.waits:
            self._incoming.waits = False
            self._answer = iter((CONTINUE,))

    def next(self) -> bytes:
        """The next bytes of the answer; none at its end. Raises what a socket does."""
        try:
            return next(self._answer, b"")
        except APITimeoutError as error:
            raise TimeoutError("timed out") from error
        except APIConnectionError as error:
            severed = error.__cause__
            if not isinstance(severed, Severed):
                raise ConnectionResetError(str(error)) from error
            if severed.how == "closed":
                return b""
            raise severed.as_os_error() from error

    def _answered(self, request: Request) -> Iterator[bytes]:
        response: Any = None
        failure: APIConnectionError | None = None
        try:
            response = self._there.send(request, self._timeout, True)
        except APIConnectionError as error:
            failure = error
            if isinstance(error.__cause__, Severed) and error.__cause__.how == "refused":
                raise
        yield b""  # there is a connection; what comes over it is read later
        if failure is not None:
            raise failure
        begin, chunked = head(response)
        yield begin
        body: Any = response.body
        if not chunked:
            if request.method != "HEAD" and body and isinstance(body, bytes):
                yield body
            return
        try:
            for piece in body:
                if piece:
                    yield chunk(piece)
            yield LAST
        finally:
            body.close()

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def settimeout(self, timeout: Any) -> None:
        self._timeout = timeout if isinstance(timeout, (int, float)) else None

    def gettimeout(self) -> Any:
        return self._timeout

    def setsockopt(self, *_: Any) -> None:
        """There is nothing to be set."""

    def shutdown(self, how: int) -> None:
        """Nothing more is read."""
        self._answer = iter(())

    def close(self) -> None:
        """What was made of it to read from goes on, as with a socket."""


class _Reader(io.RawIOBase):
    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held:
            self._held = self._socket.next()
        taken = self._held[: len(buffer)]
        self._held = self._held[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        if not self.closed:
            close = getattr(self._socket._answer, "close", None)
            if close is not None:
                close()
        super().close()
