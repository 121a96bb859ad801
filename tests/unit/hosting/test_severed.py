"""Any handler may end a connection, and the host does it: at once, in a flow, and in the middle of a body."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from antiphon.hosting.run import serve_in_background
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response
from antiphon.kernel.severed import How, Severed

pytestmark = pytest.mark.usefixtures("host")

LARGE = b"x" * 300_000


def at_once(how: How) -> Callable[[Request], Any]:
    def handler(request: Request) -> Response:
        raise Severed(how)

    return handler


def in_a_flow(how: How) -> Callable[[Request], Any]:
    def handler(request: Request) -> Generator[Any, Any, Response]:
        yield Pause(0.01)
        raise Severed(how, b"HTTP/1.1 200 OK\r\ncontent-")

    return handler


def in_the_body(how: How) -> Callable[[Request], Any]:
    def body() -> Generator[Any, Any, None]:
        yield LARGE
        yield Pause(0.01)
        yield b"the last"
        raise Severed(how)

    return lambda request: Response(200, Headers({"content-type": "text/plain"}), body())


def asked(port: int) -> tuple[bytes, bool]:
    """What a socket hears, and whether it was reset in the end."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        while True:
            try:
                piece = client.recv(65536)
            except ConnectionResetError:
                return heard, True
            if not piece:
                return heard, False
            heard += piece
            time.sleep(0.001)


@pytest.mark.parametrize("how", ["reset", "refused", "closed"])
@pytest.mark.parametrize("handler", [at_once, in_a_flow, in_the_body], ids=lambda each: each.__name__)
def test_a_connection_ends_where_the_handler_says(handler: Any, how: How) -> None:
    with serve_in_background(handler(how)) as server:
        heard, reset = asked(server.port)
    assert reset is (how != "closed")
    if handler is at_once:
        assert heard == b""
    elif handler is in_a_flow:
        assert heard == b"HTTP/1.1 200 OK\r\ncontent-"
    else:
        assert LARGE in heard.replace(b"\r\n", b"") or heard.count(b"x") >= len(LARGE)
        assert b"the last" in heard
        assert not heard.endswith(b"0\r\n\r\n")


def test_others_are_left_alone() -> None:
    def handler(request: Request) -> Response:
        if request.path == "/bad":
            raise Severed("reset")
        return Response(200, Headers(), b"good")

    import http.client

    with serve_in_background(handler) as server:
        kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for _ in range(3):
            kept.request("GET", "/good")
            assert kept.getresponse().read() == b"good"
            other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            other.request("GET", "/bad")
            with pytest.raises(ConnectionResetError):
                other.getresponse()
            other.close()
        kept.close()
