"""A server of raw sockets for the tests: records what arrives to the byte, answers what the test scripts."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Received:
    """One request as it stood on the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)

    def names(self) -> set[str]:
        return {name for name, _ in self.headers}


Answer = bytes | Iterable[bytes | float]
"""Bytes of a response, or pieces of one and seconds to wait between them."""


def reply(body: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """A whole response; anything but bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    given = {"content-type": "application/json", "content-length": str(len(content)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + content


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: req_s\r\n\r\n"
)
END = b"0\r\n\r\n"


@dataclass
class Wire:
    """Answers every request with `answer(received)`, or with the answers of a list in turn."""

    answer: Callable[[Received], Answer] | list[Answer]
    received: list[Received] = field(default_factory=list)
    closed: list[tuple[int, float]] = field(default_factory=list)
    """Connections the client closed, and when."""
    problems: list[BaseException] = field(default_factory=list)
    opened: int = 0

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.url}/v1"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def wait_closed(self, count: int = 1, seconds: float = 5.0) -> bool:
        """Whether that many connections were closed by the client in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(self.closed) >= count:
                return True
            time.sleep(0.005)
        return False

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.opened += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection, self.opened), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        buffer = b""
        try:
            while True:
                received, buffer = self._request(connection, buffer, number)
                if received is None:
                    self.closed.append((number, time.monotonic()))
                    return
                self.received.append(received)
                answer = self.answer.pop(0) if isinstance(self.answer, list) else self.answer(received)
                for piece in (answer,) if isinstance(answer, bytes) else answer:
                    if isinstance(piece, bytes):
                        if piece == b"":  # break the connection off
                            connection.shutdown(socket.SHUT_RDWR)
                            return
                        connection.sendall(piece)
                    elif self._left_within(connection, piece):
                        self.closed.append((number, time.monotonic()))
                        return
        except (ConnectionError, BrokenPipeError):
            self.closed.append((number, time.monotonic()))
        except OSError:
            pass
        except BaseException as problem:
            self.problems.append(problem)
            connection.close()

    def _left_within(self, connection: socket.socket, seconds: float) -> bool:
        """Wait, unless the client closes the connection first."""
        connection.settimeout(seconds)
        try:
            return connection.recv(1, socket.MSG_PEEK) == b""
        except TimeoutError:
            return False
        finally:
            connection.settimeout(None)

    def _request(self, connection: socket.socket, buffer: bytes, number: int) -> tuple[Received | None, bytes]:
        while b"\r\n\r\n" not in buffer:
            data = connection.recv(65536)
            if not data:
                return None, b""
            buffer += data
        head, _, buffer = buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
        length = next((int(v) for n, v in headers if n == "content-length"), 0)
        if ("transfer-encoding", "chunked") in headers:
            body, buffer = self._chunked(connection, buffer)
        else:
            pieces = bytearray(buffer)
            while len(pieces) < length:
                pieces += connection.recv(1 << 20)
            body, buffer = bytes(pieces[:length]), bytes(pieces[length:])
        return Received(method, target, headers, body, number), buffer

    def _chunked(self, connection: socket.socket, buffer: bytes) -> tuple[bytes, bytes]:
        body = b""
        while True:
            while b"\r\n" not in buffer:
                buffer += connection.recv(65536)
            size, _, buffer = buffer.partition(b"\r\n")
            length = int(size, 16)
            while len(buffer) < length + 2:
                buffer += connection.recv(65536)
            body, buffer = body + buffer[:length], buffer[length + 2 :]
            if length == 0:
                return body, buffer


@contextlib.contextmanager
def wire(*answers: Answer) -> Iterator[Wire]:
    """A server that gives these answers in turn."""
    with Wire(list(answers)) as server:
        yield server
        assert not server.problems
