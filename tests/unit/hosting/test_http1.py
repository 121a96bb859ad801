"""What HTTP/1.1 on the loop does with what clients send, over a real socket."""

from __future__ import annotations

import gc
import json
import re
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from antiphon.hosting import onloop
from antiphon.hosting.http1 import MOST_HEAD
from antiphon.hosting.run import Running, serve_in_background
from antiphon.kernel.dialogue import Turn
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response, json_response
from antiphon.kernel.spool import IN_MEMORY, Spool

EVENTS = Headers({"content-type": "text/event-stream"})
LIMIT = 4 * IN_MEMORY


class Handler:
    """Says what it was asked, at once or a moment later; has a dialogue."""

    at_once = False
    max_body = LIMIT

    def __init__(self) -> None:
        self.pieces = self.pages = 0
        self.closed = threading.Event()
        self.left = threading.Event()

    def __call__(self, request: Request) -> Any:
        if request.path == "/later":
            return self.later(request)
        if request.path == "/flood":
            return Response(200, Headers(), self.flood())
        if request.path == "/break":
            return Response(200, Headers(), self.broken())
        if request.path == "/sized":
            return Response(200, Headers({"content-length": "4"}), [b"ab", Pause(0), b"cd"])
        if request.path == "/stream":
            return Response(200, EVENTS, [b"data: 1\n\n", Pause(0.01), b"data: 2\n\n"])
        if request.path in ("/short", "/long"):
            last, length = (b"", "4") if request.path == "/short" else (b"cd", "2")
            return Response(200, Headers({"content-length": length}), [b"ab", Pause(0), last])
        if request.path == "/none":
            return Response(204, Headers(), [b"", Pause(0)])
        if request.path == "/huge":
            return Response(200, Headers(), [b"x" * 1_000_000] * 10)
        if request.path == "/page":
            self.pages += 1
            return Response(200, Headers(), b"x" * 65536)
        if request.path == "/hop":
            return Response(200, Headers({"connection": "x", "transfer-encoding": "y", "date": "z", "a": "b"}), b"ok")
        return self.told(request)

    def told(self, request: Request) -> Response:
        body = request.content()
        told = [request.method, request.path, request.query, request.headers.pairs, len(body), sum(body)]
        return json_response(200, told)

    def later(self, request: Request) -> Generator[Any, Any, Response]:
        yield Pause(0.02)
        return self.told(request)

    def flood(self) -> Iterator[Any]:
        try:
            for _ in range(2000):
                self.pieces += 1
                yield b"x" * 65536
                yield Pause(0)
        finally:
            self.closed.set()

    def broken(self) -> Iterator[Any]:
        yield b"half"
        yield Pause(0)
        raise RuntimeError("broken")

    # The dialogue

    def dialogue(self, request: Request) -> Any:
        return self

    def begun(self) -> Turn | None:
        return None

    def heard(self, message: bytes) -> Turn:
        if message == b"fail":
            raise RuntimeError("failed")
        return Turn("", [str(len(message)).encode()])

    def ended(self) -> None:
        self.left.set()


@pytest.fixture(scope="module")
def handler() -> Handler:
    return Handler()


@pytest.fixture(scope="module")
def server(handler: Handler) -> Iterator[Running]:
    with serve_in_background(handler) as running:
        yield running


class Wire:
    """A socket to a server, and what came over it."""

    def __init__(self, server: Running) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        line = self.file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers: dict[str, str] = {}
        while (each := self.file.readline().decode().rstrip("\r\n")) != "":
            name, _, value = each.partition(": ")
            headers[name] = value
        status = int(line.split()[1])
        body = b""
        if "content-length" in headers and method != "HEAD":
            body = self.file.read(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked" and method != "HEAD":
            while size := int(self.file.readline(), 16):
                body += self.file.read(size)
                self.file.read(2)
            self.file.readline()
        elif headers.get("connection") == "close":
            body = self.file.read()
        return status, headers, body

    def json(self) -> Any:
        return json.loads(self.answer()[2])

    @property
    def over(self) -> bool:
        try:
            return self.file.read(1) == b""
        except ConnectionResetError:
            return True


@contextmanager
def wire(server: Running) -> Generator[Wire]:
    made = Wire(server)
    with made.socket, made.file:
        yield made


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: a.test", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_requests_on_one_connection_are_answered_in_order(server: Running) -> None:
    with wire(server) as client:
        client.send(post("/later?1", b"a") + post("/2", b"bb") + post("/later?3", b"") + post("/4", b"d"))
        assert [client.json()[1:3] for _ in range(4)] == [["/later", "1"], ["/2", ""], ["/later", "3"], ["/4", ""]]
        client.send(post("/5", b""))
        assert client.json()[1] == "/5"


def test_a_large_body_may_follow_and_be_followed(server: Running) -> None:
    large = bytes(range(256)) * (2 * IN_MEMORY // 256)
    with wire(server) as client:
        threading.Thread(
            target=client.send, args=(post("/later", b"x") + post("/large", large) + post("/3", b""),)
        ).start()
        assert client.json()[1] == "/later"
        assert client.json()[4:] == [len(large), sum(large)]
        assert client.json()[1] == "/3"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 330), max_size=12), st.sampled_from(["sized", "chunked"]))
def test_it_does_not_matter_where_bytes_are_cut(server: Running, cuts: list[int], framing: str) -> None:
    if framing == "sized":
        one = post("/one?a=b", b"12345", "X-Name: value", "x-name: other")
    else:
        head = b"POST /one?a=b HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n"
        one = head + b"2\r\n12\r\n3;x=y\r\n345\r\n0\r\nx-trailer: t\r\n\r\n"
    data = one + post("/two", b"")
    with wire(server) as client:
        begin = 0
        for end in sorted({*cuts, len(data)}):
            client.send(data[begin:end])
            begin = max(begin, end)
        method, path, query, pairs, size, total = client.json()
        assert (method, path, query, size, total) == ("POST", "/one", "a=b", 5, sum(b"12345"))
        if framing == "sized":
            assert [value for name, value in pairs if name == "x-name"] == ["value", "other"]
        assert client.json()[3] == [["host", "a.test"], ["content-length", "0"]]  # and no trailer of another


def test_who_waits_to_be_told_is_told(server: Running) -> None:
    with wire(server) as client:
        for size in (3, 2 * IN_MEMORY):
            client.send(
                f"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {size}\r\n\r\n".encode()
            )
            assert client.file.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert client.file.readline() == b"\r\n"
            client.send(b"x" * size)
            assert client.json()[4] == size
        client.send(
            f"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {LIMIT + 1}\r\n\r\n".encode()
        )
        status, headers, _ = client.answer()
        assert (status, headers["connection"], client.over) == (413, "close", True)


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (b"hello\r\n\r\n", 400, "This is not HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "This is not HTTP/1.1"),
        (b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400, "This is not HTTP/1.1"),
        (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400, "This is not HTTP/1.1"),
        (b"GET /" + b"x" * MOST_HEAD + b" HTTP/1.1\r\n\r\n", 431, f"longer than {MOST_HEAD} bytes"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MOST_HEAD, 431, f"longer than {MOST_HEAD} bytes"),
    ],
)
def test_what_cannot_be_read_is_refused(server: Running, sent: bytes, status: int, words: str) -> None:
    with wire(server) as client:
        client.send(sent)
        got, headers, body = client.answer()
        assert (got, headers["connection"]) == (status, "close")
        assert words in json.loads(body)["error"]["message"]
        assert client.over


def test_what_came_before_nonsense_is_answered(server: Running) -> None:
    with wire(server) as client:
        client.send(post("/later", b"") + b"nonsense\r\n\r\n" + post("/never", b""))
        assert client.json()[1] == "/later"
        assert client.over


def test_a_body_that_is_badly_framed_ends_the_connection(server: Running) -> None:
    with wire(server) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n")
        status, _, body = client.answer()
        assert (status, "Invalid character in chunk size" in json.loads(body)["error"]["message"]) == (400, True)
        assert client.over
    with wire(server) as client:  # one that was refused for its length is answered once
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n500000\r\n" + b"x" * 0x500000)
        assert client.answer()[0] == 413
        client.send(b"\r\nzz\r\n")
        assert client.over


def test_older_clients(server: Running) -> None:
    with wire(server) as client:
        client.send(b"GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        _, headers, body = client.answer()
        assert (headers["connection"], json.loads(body)[1]) == ("keep-alive", "/1")
        client.send(b"GET /stream HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        _, headers, body = client.answer()
        assert body == b"data: 1\n\ndata: 2\n\n"
        assert "transfer-encoding" not in headers
    with wire(server) as client:
        client.send(b"GET /1 HTTP/1.0\r\n\r\n")
        assert client.json()[1] == "/1"
        assert client.over


def test_targets_of_every_form(server: Running) -> None:
    with wire(server) as client:
        for target, path, query in (
            ("http://other.test/a%2Fb?c=%20", "/a%2Fb", "c=%20"),
            ("http://other.test", "/", ""),
            ("http://other.test?c=/d", "/", "c=/d"),
            ("/a?b=http://x", "/a", "b=http://x"),
            ("*", "*", ""),
        ):
            client.send(f"OPTIONS {target} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            assert client.json()[1:3] == [path, query]


def test_who_offers_another_protocol_is_answered_in_this_one(server: Running) -> None:
    with wire(server) as client:
        client.send(post("/1", b"abc", "connection: upgrade", "upgrade: h2c") + post("/2", b""))
        assert client.json()[1:5:3] == ["/1", 3]
        assert client.json()[1] == "/2"
        client.send(b"CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\n\r\nsomething else")
        assert client.json()[:2] == ["CONNECT", "a.test:443"]
        assert client.over


def test_lengths_and_headers_of_answers(server: Running) -> None:
    with wire(server) as client:
        client.send(b"GET /sized HTTP/1.1\r\nhost: a\r\n\r\n")
        _, headers, body = client.answer()
        assert (headers["content-length"], body, "transfer-encoding" in headers) == ("4", b"abcd", False)
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", headers["date"])
        client.send(b"HEAD /sized HTTP/1.1\r\nhost: a\r\n\r\nGET /hop HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.answer("HEAD")[1]["content-length"] == "4"
        _, headers, body = client.answer()
        assert (body, headers["a"], headers.keys() & {"connection", "transfer-encoding"}) == (b"ok", "b", set())
        assert headers["date"].endswith(" GMT")
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert client.answer()[1]["connection"] == "close"
        assert client.over


def test_a_body_that_breaks_does_not_look_whole(server: Running) -> None:
    with wire(server) as client:
        client.send(b"GET /break HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.file.read().endswith(b"\r\n\r\n4\r\nhalf\r\n")


def test_a_body_is_not_ahead_of_who_does_not_read(server: Running, handler: Handler) -> None:
    with wire(server) as client:
        client.send(b"GET /flood HTTP/1.1\r\nhost: a\r\n\r\n")
        before = -1
        while before != handler.pieces:
            before = handler.pieces
            time.sleep(0.2)
        assert 0 < handler.pieces < 500
    assert handler.closed.wait(10)


def test_who_sends_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onloop, "HEAD", 0.05)
    monkeypatch.setattr(onloop, "_ROUND", 0.02)
    with serve_in_background(Handler()) as server, wire(server) as half, wire(server) as idle, wire(server) as slow:
        half.send(b"G")
        slow.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\na")
        assert half.over
        idle.send(b"GET /later HTTP/1.1\r\nhost: a\r\n\r\n")
        assert idle.json()[1] == "/later"
        time.sleep(0.2)
        idle.send(b"GET /again HTTP/1.1\r\nhost: a\r\n\r\n")
        assert idle.json()[1] == "/again"
        slow.send(b"bc")
        assert slow.json()[4] == 3


def test_a_header_without_an_end_is_refused(server: Running) -> None:
    for begun in (b"GET / HTTP/1.1\r\na: ", b"GET / HTTP/1.1\r\na: b\r\na"):
        with wire(server) as client:
            client.send(begun + b"x" * 8 * MOST_HEAD)
            status, _, body = client.answer()
            assert (status, f"longer than {MOST_HEAD} bytes" in json.loads(body)["error"]["message"]) == (431, True)
            assert client.over


def test_trailers_are_no_headers(server: Running) -> None:
    with wire(server) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-mine: t\r\n\r\n")
        assert client.json()[3] == [["host", "a"], ["transfer-encoding", "chunked"]]


@pytest.mark.parametrize("protocol", ["h2c", "websocket"])
def test_an_offer_of_another_protocol_may_have_any_body(server: Running, protocol: str) -> None:
    offer = ("connection: upgrade", f"upgrade: {protocol}", "expect: 100-continue")
    large = b"x" * 2 * IN_MEMORY
    with wire(server) as client:
        for body in (b"abc", large):
            client.send(post("/1", body, *offer) + post("/2", b""))
            assert [client.file.readline() for _ in range(2)] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
            assert client.json()[1:5:3] == ["/1", len(body)]
            assert client.json()[1] == "/2"
        head = "\r\n".join(("GET /1 HTTP/1.1", "host: a", *offer[:2], "transfer-encoding: chunked", "", "")).encode()
        client.send(head + b"2\r\nab\r\n0\r\n\r\n" + post("/2", b""))
        assert client.json()[1:5:3] == ["/1", 2]
        assert client.json()[1] == "/2"
        client.send(b"GET /stream HTTP/1.0\r\nconnection: upgrade\r\nupgrade: " + protocol.encode() + b"\r\n\r\n")
        assert client.answer()[2] == b"data: 1\n\ndata: 2\n\n"  # in no chunks


def test_who_waits_to_be_told_behind_another_is_told(server: Running) -> None:
    with wire(server) as client:
        for size in (3, 2 * IN_MEMORY):
            head = f"POST /2 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {size}\r\n\r\n"
            client.send(post("/later", b"") + head.encode())
            assert client.json()[1] == "/later"
            assert client.file.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert client.file.readline() == b"\r\n"
            client.send(b"x" * size)
            assert client.json()[4] == size


def test_what_came_before_a_badly_framed_body_is_answered(server: Running) -> None:
    with wire(server) as client:
        client.send(post("/later", b"") + b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        assert client.json()[1] == "/later"
        assert client.over


def test_a_body_that_cannot_be_kept_is_answered(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Spool, "flush", full)
    with wire(server) as client:
        client.send(post("/", b"x" * 2 * IN_MEMORY))
        status, headers, _ = client.answer()
        assert (status, headers["connection"], client.over) == (500, "close", True)


def test_a_streamed_answer_that_has_no_body_sends_none(server: Running) -> None:
    with wire(server) as client:
        client.send(b"GET /none HTTP/1.1\r\nhost: a\r\n\r\n" + post("/2", b""))
        status, headers, _ = client.answer()
        assert (status, set(headers)) == (204, {"date"})
        assert client.json()[1] == "/2"


def test_a_body_of_another_length_than_was_said_ends_the_connection(server: Running) -> None:
    for path, sent in (("/short", b"ab"), ("/long", b"ab")):
        with wire(server) as client:
            client.send(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode() + post("/2", b""))
            assert client.file.read().partition(b"\r\n\r\n")[2] == sent


def test_answers_are_not_ahead_of_who_does_not_read(server: Running, handler: Handler) -> None:
    with wire(server) as client:
        client.send(b"GET /page HTTP/1.1\r\nhost: a\r\n\r\n" * 2000)
        before = -1
        while before != handler.pages:
            before = handler.pages
            time.sleep(0.2)
        assert 0 < handler.pages < 1000
        for _ in range(before + 10):
            assert len(client.answer()[2]) == 65536


def test_who_leaves_in_the_middle_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with serve_in_background(Handler()) as server:
        for path in ("/huge", "/flood", "/later", "/stream"):
            for method in ("GET", "HEAD"):
                with wire(server) as client:
                    client.send(f"{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
                    client.socket.recv(1 if path != "/later" else 0)
                with wire(server) as client:
                    client.send(f"{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


# Websockets


def address(server: Running) -> str:
    return server.url.replace("http", "ws")


def test_messages_of_every_size_and_cut(server: Running, handler: Handler) -> None:
    handler.left.clear()
    with connect(address(server), max_size=None) as client:
        client.ping().wait(10)
        for size in (0, 1, 125, 126, 65536, 3 * IN_MEMORY):
            client.send("x" * size)
            assert client.recv(10) == str(size)
        client.send(iter(["ab", "cd", "e"]))
        assert client.recv(10) == "5"
        for _ in range(300):
            client.send(b"y" * 10_000)
        assert {client.recv(10) for _ in range(300)} == {"10000"}
    assert handler.left.wait(10)


def test_a_subprotocol_is_agreed_to_and_never_a_key(server: Running) -> None:
    offered = ["openai-insecure-api-key.secret", "realtime", "other"]
    for some, agreed in ((offered, "realtime"), (offered[:1], None)):
        with connect(address(server), subprotocols=some) as client:  # type: ignore[arg-type]
            assert client.subprotocol == agreed


def test_how_dialogues_end(server: Running, handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    for message, code in (("fail", 1011), (b"\xc1\x81\0\0\0\0x", 1002)):
        handler.left.clear()
        with connect(address(server), compression=None) as client:
            if isinstance(message, str):
                client.send(message)
            else:
                client.socket.sendall(message)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code
        assert handler.left.wait(10)
    assert [record.message for record in caplog.records] == ["a dialogue failed"]


def test_a_handshake_that_is_none(server: Running, handler: Handler) -> None:
    handler.left.clear()
    with wire(server) as client:
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert client.file.readline().split()[1] == b"400"
        assert b"Sec-WebSocket-Key" in client.file.read()
    assert handler.left.wait(10)
    with serve_in_background(_without_dialogues()) as other:
        with pytest.raises(InvalidStatus) as refused:
            connect(address(other)).__enter__()
        assert refused.value.response.status_code == 404
        assert b"There is no websocket" in (refused.value.response.body or b"")


def test_a_handshake_with_a_long_header(server: Running) -> None:
    many = {f"x-{number}": "y" for number in range(200)}
    with connect(address(server), additional_headers={"authorization": "Bearer " + "x" * 20_000, **many}) as client:
        client.send("abc")
        assert client.recv(10) == "3"


def test_pings_are_not_taken_of_who_does_not_read(server: Running) -> None:
    key = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: " + "A" * 22
    ping = b"\x89\xfd\0\0\0\0" + b"x" * 125
    with wire(server) as client:
        client.send(f"GET / HTTP/1.1\r\nhost: a\r\n{key}==\r\n\r\n".encode())
        assert client.file.readline().split()[1] == b"101"
        client.socket.settimeout(0.5)
        pings = memoryview(ping * 256_000)
        with suppress(TimeoutError):
            while pings:
                pings = pings[client.socket.send(pings[:65536]) :]
        assert len(pings) > 8 * IN_MEMORY


def _without_dialogues() -> Any:
    def handler(request: Request) -> Response:
        return Response(200)

    handler.at_once = False  # type: ignore[attr-defined]
    return handler
