"""A handler behind granian, asked over a real socket."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from antiphon.hosting import embedded
from antiphon.hosting.access import Entry, logged
from antiphon.hosting.run import TLS, serve_in_background
from antiphon.kernel.errors import NotFoundError
from antiphon.kernel.flow import Await, Call, Flow, Pause
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.spool import IN_MEMORY, Spooled, spooled

LIMIT = 1000
EVENTS = Headers({"content-type": "text/event-stream"})


class Closed:
    """Notes when the bodies of the handler are closed."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.pieces = 0


def echo(request: Request) -> Response:
    return json_response(
        200,
        {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "origin": request.origin,
            "size": len(request.content()),
            "headers": request.headers.multi_items(),
            "x": request.headers.get("X-Thing"),
            "absent": request.headers.get("x-absent", "none"),
        },
    )


def make(closed: Closed) -> Callable[[Request], Any]:
    def body(*pieces: Any) -> Iterator[Any]:
        try:
            for piece in pieces:
                closed.pieces += 1
                yield piece
        finally:
            closed.event.set()

    def awaited() -> Flow[Response]:
        async def value() -> str:
            await asyncio.sleep(0)
            return "awaited"

        word = yield Await(value())
        other = yield Call(lambda: "called")
        return json_response(200, [word, other])

    def refused() -> Flow[Response]:
        yield Pause(0)
        raise NotFoundError.because("not here", param="id")

    def thrown() -> Iterator[Any]:
        async def fail() -> None:
            raise KeyError("inside")

        try:
            yield Await(fail())
        except KeyError as error:
            yield f"caught {error}".encode()

    def breaks() -> Iterator[Any]:
        yield b"data: 1\n\n"
        raise RuntimeError("broken in the middle")

    def explode(request: Request) -> Response:
        raise RuntimeError("the secret inside")

    def refuse(request: Request) -> Response:
        raise NotFoundError.because("no such thing", param="thing", code="gone")

    routes: dict[str, Callable[[Request], Any]] = {
        "/echo": echo,
        "/awaited": lambda request: awaited(),
        "/refused": lambda request: refused(),
        "/thrown": lambda request: Response(200, Headers(), thrown()),
        "/explode": explode,
        "/refuse": refuse,
        "/breaks": lambda request: Response(200, EVENTS, breaks()),
        "/pieces": lambda request: Response(200, EVENTS, body(b"a", b"b", b"c")),
        "/list": lambda request: Response(200, EVENTS, [b"a", Pause(0.001), b"b"]),
        "/paused": lambda request: Response(200, EVENTS, body(b"a", b"b", Pause(0.2), b"c", b"d")),
        "/endless": lambda request: Response(200, EVENTS, body(b"begun", Pause(60), b"never")),
        "/long": lambda request: Response(200, Headers(), body(*[b"x" * 10_000] * 100)),
        "/odd": lambda request: Response(200, Headers({"x-name": "caf\u00e9\r\nx"}), b"ok"),
        "/empty": lambda request: Response(204),
    }
    return lambda request: routes[request.path](request)


@pytest.fixture
def closed() -> Closed:
    return Closed()


@pytest.fixture
def entries() -> list[Entry]:
    return []


@pytest.fixture(params=["on granian's thread", "on granian's loop", "on the loop"])
def connection(
    closed: Closed, entries: list[Entry], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[http.client.HTTPConnection]:
    handler: Any = make(closed)
    if request.param == "on granian's loop":
        monkeypatch.setattr(embedded, "spawner", lambda app: None)
    handler.at_once = request.param != "on the loop"
    with serve_in_background(handler, filters=[logged(entries.append)], max_body=LIMIT) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        yield connection
        connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, **options: Any) -> tuple[int, Any, bytes]:
    connection.request(method, path, **options)
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def test_a_request_arrives_whole(connection: http.client.HTTPConnection) -> None:
    status, headers, body = ask(
        connection, "POST", "/echo?a=1%20b&c", body=b"12345", headers={"X-Thing": "1", "Host": "api.test:99"}
    )
    got = json.loads(body)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body)
    assert (got["method"], got["path"], got["query"], got["size"]) == ("POST", "/echo", "a=1%20b&c", 5)
    assert got["origin"] == "http://api.test:99"
    assert ["x-thing", "1"] in got["headers"]
    assert (got["x"], got["absent"]) == ("1", "none")


def test_paths_arrive_encoded(entries: list[Entry], connection: http.client.HTTPConnection) -> None:
    ask(connection, "GET", "/a%20b%C3%A9%3F%25/ok")
    assert entries[0].path == "/a%20b%C3%A9%3F%25/ok"


def test_a_chunked_body_arrives(connection: http.client.HTTPConnection) -> None:
    status, _, body = ask(connection, "POST", "/echo", body=iter([b"123", b"4567"]), encode_chunked=True)
    assert (status, json.loads(body)["size"]) == (200, 7)


def test_head_has_no_body(closed: Closed, connection: http.client.HTTPConnection) -> None:
    status, headers, body = ask(connection, "HEAD", "/echo")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0
    status, _, body = ask(connection, "HEAD", "/pieces")
    assert (status, body, closed.pieces) == (200, b"", 0)
    assert ask(connection, "GET", "/pieces")[2] == b"abc"


def test_head_over_http_2_has_no_body(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    authority.configure_trust(context)

    def text(value: bytes) -> bytes:
        return bytes([len(value)]) + value

    asked = {b":method": b"HEAD", b":scheme": b"https", b":path": b"/echo", b":authority": b"127.0.0.1"}
    block = b"".join(b"\0" + text(name) + text(value) for name, value in asked.items())
    with serve_in_background(echo, tls=TLS(certificate, certificate)) as server:
        plain = socket.create_connection(("127.0.0.1", server.port), 5)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            assert connection.selected_alpn_protocol() == "h2"
            frames = struct.pack(">I5x", 4) + struct.pack(">IBI", len(block) << 8 | 1, 0b101, 1) + block
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames)
            file = connection.makefile("rb")
            found: list[tuple[int, int]] = []  # what kind, and how long; to the end of the stream
            while True:
                start, flags, stream = struct.unpack(">IBI", file.read(9))
                file.read(start >> 8)
                if stream:
                    found.append((start & 0xFF, start >> 8))
                    if flags & 1:
                        break
    assert [kind for kind, _ in found] == [1]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_unread(chunked: bool, connection: http.client.HTTPConnection) -> None:
    body = iter([b"x" * LIMIT, b"y"]) if chunked else b"x" * (LIMIT + 1)
    status, headers, answer = ask(connection, "POST", "/echo", body=body, encode_chunked=chunked)
    assert status == 413
    assert headers["x-request-id"].startswith("req_")
    error = json.loads(answer)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "content_too_large")


@pytest.mark.parametrize("chunked", [False, True])
def test_whoever_sends_too_much_is_told_so_once_it_is_sent(
    chunked: bool, connection: http.client.HTTPConnection
) -> None:
    body = [b"x" * 65_536] * 192  # more than the buffers of a connection
    headers = {} if chunked else {"content-length": str(sum(map(len, body)))}
    assert ask(connection, "POST", "/echo", body=iter(body), headers=headers, encode_chunked=chunked)[0] == 413
    assert ask(connection, "POST", "/echo", body=b"123")[0] == 200


def test_whoever_asks_before_sending_is_told_at_once(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/echo")
    connection.putheader("Content-Length", str(LIMIT + 1))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.getresponse().status == 413


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_comes_in_a_file(chunked: bool) -> None:
    seen: list[Any] = []

    def handler(request: Request) -> Response:
        seen.append(request.body)
        return Response(200, Headers(), spooled(iter([request.content()])) if request.method == "POST" else b"")

    data = bytes(range(256)) * (3 * IN_MEMORY // 256)
    entries: list[Entry] = []
    with serve_in_background(handler, filters=[logged(entries.append)]) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        status, _, body = ask(connection, "POST", "/", body=iter([data]) if chunked else data, encode_chunked=chunked)
        connection.close()
    assert (status, body == data) == (200, True)
    assert isinstance(seen[0], Spooled)
    assert seen[0].size == len(data)
    assert [(entry.status, entry.whole) for entry in entries] == [(200, True)]


@pytest.mark.usefixtures("host")
def test_a_client_that_leaves_in_the_middle_of_a_large_body_leaves_nothing(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asked: list[Request] = []

    def handler(request: Request) -> Response:
        asked.append(request)
        return Response(200)

    with serve_in_background(handler) as server:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", str(10 * IN_MEMORY))
        connection.endheaders(b"x" * (5 * IN_MEMORY))
        until = time.monotonic() + 10
        while not list(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        assert list(tmp_path.iterdir())
        connection.close()
        while list(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
    assert (list(tmp_path.iterdir()), asked) == ([], [])


def test_a_huge_announced_body_is_not_waited_for(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/echo")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_a_body_at_the_limit_is_taken(connection: http.client.HTTPConnection) -> None:
    assert json.loads(ask(connection, "POST", "/echo", body=b"x" * LIMIT)[2])["size"] == LIMIT


def test_a_flow_is_driven(connection: http.client.HTTPConnection) -> None:
    assert json.loads(ask(connection, "GET", "/awaited")[2]) == ["awaited", "called"]


@pytest.mark.parametrize("path", ["/refuse", "/refused"])
def test_an_error_of_the_api_is_an_answer(path: str, connection: http.client.HTTPConnection) -> None:
    status, headers, body = ask(connection, "GET", path)
    assert status == 404
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_an_exception_does_not_leak(connection: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture) -> None:
    status, headers, body = ask(connection, "GET", "/explode")
    assert (status, json.loads(body)["error"]["type"]) == (500, "server_error")
    assert b"secret" not in body
    assert headers["x-request-id"].startswith("req_")
    assert "the secret inside" in caplog.text


def test_a_broken_stream_of_events_says_so(
    connection: http.client.HTTPConnection, caplog: pytest.LogCaptureFixture
) -> None:
    first, last = ask(connection, "GET", "/breaks")[2].split(b"\n\n")[:2]
    assert first == b"data: 1"
    assert json.loads(last.removeprefix(b"data: "))["error"]["type"] == "server_error"
    assert "broken in the middle" in caplog.text


def test_a_failed_step_is_thrown_into_the_body(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "GET", "/thrown")[2] == b"caught 'inside'"


def test_ready_pieces_are_written_together_before_a_step(connection: http.client.HTTPConnection) -> None:
    began = time.monotonic()
    connection.request("GET", "/paused")
    response = connection.getresponse()
    assert response.read1() == b"ab"
    assert response.read1() == b"cd"
    assert time.monotonic() - began >= 0.2
    assert response.read() == b""


def test_bodies_of_any_kind(closed: Closed, connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "GET", "/list")[2] == b"ab"
    assert len(ask(connection, "GET", "/long")[2]) == 1_000_000
    assert closed.event.wait(5)
    assert ask(connection, "GET", "/empty")[0] == 204


def test_header_values_that_cannot_be_sent_are_encoded(connection: http.client.HTTPConnection) -> None:
    status, headers, body = ask(connection, "GET", "/odd")
    assert (status, body, headers["x-name"]) == (200, b"ok", "caf%C3%A9%0D%0Ax")


def test_a_client_that_leaves_ends_the_body_even_in_a_pause(
    closed: Closed, entries: list[Entry], connection: http.client.HTTPConnection
) -> None:
    connection.request("GET", "/endless")
    response = connection.getresponse()
    assert response.read1() == b"begun"
    response.close()
    connection.close()
    assert closed.event.wait(5)
    assert closed.pieces == 2
    assert (entries[0].status, entries[0].whole) == (200, False)


def test_a_client_that_leaves_while_it_sends_does_no_harm(connection: http.client.HTTPConnection) -> None:
    with socket.create_connection((connection.host, connection.port)) as half:
        half.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\nbegun")
    assert ask(connection, "GET", "/echo")[0] == 200


def test_every_request_is_noted(entries: list[Entry], connection: http.client.HTTPConnection) -> None:
    ask(connection, "GET", "/echo")
    ask(connection, "GET", "/pieces")
    ask(connection, "GET", "/refuse")
    ask(connection, "GET", "/refused")
    ask(connection, "POST", "/echo", body=b"x" * (LIMIT + 1))
    assert [(e.method, e.path, e.status, e.whole) for e in entries] == [
        ("GET", "/echo", 200, True),
        ("GET", "/pieces", 200, True),
        ("GET", "/refuse", 404, True),
        ("GET", "/refused", 404, True),
        ("POST", "/echo", 413, True),
    ]
    assert all(0 <= entry.seconds < 5 for entry in entries)
