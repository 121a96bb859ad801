"""Starting and stopping."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from antiphon.hosting.run import PortInUse, Running, authority, bind, serve_in_background
from antiphon.kernel.flow import Pause, World
from antiphon.kernel.http import Headers, Request, Response


def hello(request: Request) -> Response:
    return Response(200, Headers(), b"hello")


def get(server: Running, path: str = "/") -> bytes:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.usefixtures("host")
def test_it_serves_at_the_address_it_names() -> None:
    with serve_in_background(hello) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.base_url == f"{server.url}/v1"
        assert server.running
        assert get(server) == b"hello"
    assert not server.running
    assert repr(server) == f"<server at {server.url}, stopped>"
    with pytest.raises(ConnectionRefusedError):
        get(server)
    server.stop()


async def test_it_is_an_async_context_manager() -> None:
    async with serve_in_background(hello) as server:
        assert await asyncio.to_thread(get, server) == b"hello"
    assert not server.running


@pytest.mark.usefixtures("host")
def test_a_port_can_be_used_again_at_once() -> None:
    port = 0
    for _ in range(3):
        with serve_in_background(hello, port=port) as server:
            assert get(server) == b"hello"
            port = server.port


@pytest.mark.usefixtures("host")
def test_a_taken_port_is_one_clear_error() -> None:
    with serve_in_background(hello) as server, pytest.raises(PortInUse) as caught:
        serve_in_background(hello, port=server.port)
    assert str(caught.value) == f"127.0.0.1:{server.port} is already in use"
    assert caught.value.port == server.port


@pytest.mark.usefixtures("host")
def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match="assign"):
        serve_in_background(hello, host="203.0.113.1")


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match=f"a port is a number from 0 to 65535, not {port}"):
        serve_in_background(hello, port=port)


@pytest.mark.usefixtures("host")
def test_several_servers_share_nothing() -> None:
    def named(name: bytes) -> Any:
        return lambda request: Response(200, Headers(), name)

    with serve_in_background(named(b"one")) as one, serve_in_background(named(b"two")) as two:
        assert (get(one), get(two)) == (b"one", b"two")
        one.stop()
        assert get(two) == b"two"


@pytest.mark.usefixtures("host")
def test_stop_waits_for_answers_under_way() -> None:
    def slow(request: Request) -> Response:
        return Response(200, Headers(), iter([b"begun", Pause(0.3), b" ended"]))

    with serve_in_background(slow) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.read1() == b"begun"
        threading.Thread(target=server.stop).start()
        assert response.read() == b" ended"
        connection.close()


def test_stop_cuts_what_takes_too_long(host: str) -> None:
    closed = threading.Event()

    def body() -> Iterator[Any]:
        try:
            yield b"begun"
            yield Pause(60)
        finally:
            closed.set()

    with serve_in_background(lambda request: Response(200, Headers(), body())) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.read1() == b"begun"
        began = time.monotonic()
        server.stop(patience=0.2)
        assert time.monotonic() - began < 3
        assert closed.is_set()
        if host == "granian":  # which ends any stream as if it were whole
            assert response.read() == b""
        else:
            with pytest.raises(http.client.IncompleteRead):
                response.read()
        connection.close()


@pytest.mark.usefixtures("host")
def test_a_stream_of_events_says_that_it_was_cut() -> None:
    def body() -> Iterator[Any]:
        yield b"data: begun\n\n"
        yield Pause(60)

    events = Headers({"content-type": "text/event-stream"})
    with serve_in_background(lambda request: Response(200, events, body())) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.read1() == b"data: begun\n\n"
        server.stop(patience=0.2)
        rest = response.read()
        assert rest.startswith(b'data: {"error":{"message":"The server was stopped')
        assert rest.endswith(b"\n\n")
        connection.close()


@pytest.mark.usefixtures("host")
def test_stop_does_not_wait_for_a_request_that_does_not_arrive() -> None:
    with serve_in_background(hello) as server, socket.create_connection((server.host, server.port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\nbegun")
        time.sleep(0.1)
        began = time.monotonic()
        server.stop(patience=0.2)
        assert time.monotonic() - began < 3


@pytest.mark.usefixtures("host")
def test_the_world_says_how_long_pauses_are() -> None:
    class Quick(World):
        async def asleep(self, seconds: float) -> None:
            await asyncio.sleep(0)

    def patient(request: Request) -> Response:
        return Response(200, Headers(), iter([b"a", Pause(3600), b"b"]))

    with serve_in_background(patient, world=Quick()) as server:
        assert get(server) == b"ab"


def test_what_is_ready_does_not_pass_through_the_loop() -> None:
    threads: list[str] = []

    def body() -> Iterator[Any]:
        threads.append(threading.current_thread().name)
        yield Pause(0)
        threads.append(threading.current_thread().name)
        yield b"done"

    def handler(request: Request) -> Response:
        threads.append(threading.current_thread().name)
        return Response(200, Headers(), body() if request.path == "/slow" else b"hello")

    with serve_in_background(handler) as server:
        assert (get(server), get(server, "/slow")) == (b"hello", b"done")
        loop = f"antiphon-{server.port}"
    assert loop not in threads[:3]
    assert threads[3] == loop


@pytest.mark.usefixtures("host")
def test_streams_leave_nothing_behind() -> None:
    def slow(request: Request) -> Response:
        return Response(200, Headers(), iter([b"a", Pause(0), b"b"]))

    with serve_in_background(slow) as server:
        loop = server._loop
        assert loop is not None
        for _ in range(30):
            assert get(server) == b"ab"

        async def count() -> int:
            return len(asyncio.all_tasks())

        deadline = time.monotonic() + 5
        before = asyncio.run_coroutine_threadsafe(count(), loop).result(5)
        while before > 8 and time.monotonic() < deadline:
            before = asyncio.run_coroutine_threadsafe(count(), loop).result(5)
        assert before <= 8


@pytest.mark.usefixtures("host")
def test_other_loggers_keep_their_handlers() -> None:
    handler = logging.StreamHandler()
    before = list(logging._handlerList)  # type: ignore[attr-defined]
    with serve_in_background(hello):
        after = list(logging._handlerList)  # type: ignore[attr-defined]
    assert [each() for each in after] == [each() for each in before]
    assert handler in [each() for each in after]


def test_bind_accepts_before_anybody_serves() -> None:
    with bind() as listener, socket.create_connection(listener.getsockname(), timeout=5) as client:
        assert client.getpeername() == listener.getsockname()
        with listener.accept()[0] as accepted:
            for level, option in ((socket.IPPROTO_TCP, socket.TCP_NODELAY), (socket.SOL_SOCKET, socket.SO_KEEPALIVE)):
                assert accepted.getsockopt(level, option)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1:1"), ("0.0.0.0", "127.0.0.1:1"), ("::", "[::1]:1"), ("::1", "[::1]:1"), ("a.b", "a.b:1")],
)
def test_urls_can_be_used_on_this_machine(host: str, expected: str) -> None:
    assert authority(host, 1) == expected


SCRIPT = """
import os, sys
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.http import Headers, Response
server = serve_in_background(lambda request: Response(200, Headers(), b"hello"))
child = os.fork()
if child == 0:
    assert not server.running
    server.stop()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
import http.client
connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
connection.request("GET", "/")
assert connection.getresponse().read() == b"hello"
print("served")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.usefixtures("host")
def test_a_program_ends_without_stopping_its_server_and_may_fork() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "served\n", "")
