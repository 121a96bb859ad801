"""HTTP to model servers from a loop: whatever a server does with its connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.gateway.connections import ConnectError, Connections, ConnectTimeoutError, ReadError, ReadTimeoutError
from antiphon.kernel.errors import APIConnectionError, APITimeoutError
from antiphon.kernel.http import Headers, Request
from antiphon.kernel.options import Timeout

PATIENT = Timeout(30, connect=5)
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.origin = ""
        self.asked = asyncio.Event()
        self.lost = asyncio.Event()


@asynccontextmanager
async def serving(act: Act) -> AsyncIterator[Server]:
    told = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                told.requests.append(head + await reader.readexactly(length))
                told.asked.set()
                await act(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            told.lost.set()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    told.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield told
    finally:
        server.close()


def answering(*pieces: bytes, close: bool = False) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.close()

    return act


def asking(origin: str, body: bytes = b"{}", **headers: str) -> Request:
    return Request("POST", "/v2/models/chat/infer", "a=b", Headers(headers), body, origin)


async def read(response: Any) -> bytes:
    return b"".join([piece async for piece in response.body])


async def test_a_request_as_it_is_sent_and_an_answer_as_it_comes() -> None:
    async with serving(answering(WHOLE)) as server:
        connections = Connections()
        response = await connections.send(asking(server.origin, **{"X-One": "1"}), PATIENT, False)
        assert (response.status, response.content) == (200, b"hello")
        assert response.headers["Content-Type"] == "text/plain"
        host = server.origin.removeprefix("http://")
        assert server.requests == [
            f"POST /v2/models/chat/infer?a=b HTTP/1.1\r\nhost: {host}\r\nx-one: 1\r\ncontent-length: 2\r\n\r\n{{}}".encode()
        ]
        await connections.send(Request("GET", "/v2", origin=server.origin), PATIENT, False)
        assert server.requests[1] == f"GET /v2 HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
        assert server.connections == 1  # it was kept


@given(
    data=st.data(),
    stream=st.booleans(),
    answer=st.sampled_from([WHOLE, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE]),
)
@settings(max_examples=25, deadline=None)
def test_however_an_answer_is_cut(data: st.DataObject, stream: bool, answer: bytes) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1), max_size=5)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]

    async def main() -> None:
        async with serving(answering(*pieces)) as server:
            connections = Connections()
            for _ in range(2):
                response = await connections.send(asking(server.origin), PATIENT, stream)
                assert (await read(response) if stream else response.content) == b"hello"
            assert server.connections == 1

    asyncio.run(main())


async def test_a_body_that_ends_with_its_connection() -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo", close=True)) as server:
        connections = Connections()
        assert (await connections.send(asking(server.origin), PATIENT, False)).content == b"hello"
        assert await read(await connections.send(asking(server.origin), PATIENT, True)) == b"hello"
        assert server.connections == 2


@pytest.mark.parametrize("cut", [WHOLE[:-1], CHUNKED[:-5], WHOLE[:20], b""])
async def test_an_answer_that_breaks_off_is_an_error(cut: bytes) -> None:
    async with serving(answering(cut, close=True)) as server:
        connections = Connections()
        with pytest.raises(APIConnectionError) as caught:
            await connections.send(asking(server.origin), PATIENT, False)
        assert isinstance(caught.value.__cause__, ReadError)
        with pytest.raises(APIConnectionError) as caught:
            await read(await connections.send(asking(server.origin), PATIENT, True))
        assert isinstance(caught.value.__cause__, ReadError)


async def test_what_is_no_http_is_an_error() -> None:
    async with serving(answering(b"SSH-2.0-OpenSSH\r\n")) as server:
        with pytest.raises(APIConnectionError) as caught:
            await Connections().send(asking(server.origin), PATIENT, False)
        assert "no HTTP" in str(caught.value.__cause__)


async def test_no_connection_is_told_from_a_lost_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(APIConnectionError) as caught:
        await Connections().send(asking(f"http://127.0.0.1:{port}"), PATIENT, False)
    assert isinstance(caught.value.__cause__, ConnectError)

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with serving(reset) as server:
        with pytest.raises(APIConnectionError) as caught:
            await Connections().send(asking(server.origin), PATIENT, False)
        assert isinstance(caught.value.__cause__, ReadError)


async def test_patience_with_connecting_and_with_answering() -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = []
    for _ in range(4):  # nobody accepts, and the queue is full: further connections hang
        each = socket.socket()
        each.setblocking(False)
        each.connect_ex(full.getsockname())
        waiting.append(each)
    try:
        origin = f"http://127.0.0.1:{full.getsockname()[1]}"
        with pytest.raises(APITimeoutError) as caught:
            await Connections().send(asking(origin), Timeout(30, connect=0.05), False)
        assert isinstance(caught.value.__cause__, ConnectTimeoutError)
    finally:
        for each in (full, *waiting):
            each.close()
    async with serving(answering(b"HTTP/1.1 200 OK\r\n")) as server:
        with pytest.raises(APITimeoutError) as caught:
            await Connections().send(asking(server.origin), Timeout(0.05, connect=5), False)
        assert isinstance(caught.value.__cause__, ReadTimeoutError)
        await asyncio.wait_for(server.lost.wait(), 10)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhel"])
async def test_whoever_leaves_takes_the_connection_along(stream: bool, begun: bytes) -> None:
    async with serving(answering(begun)) as server:
        connections = Connections()

        async def ask() -> None:
            response = await connections.send(asking(server.origin), PATIENT, stream)
            await read(response)

        task = asyncio.ensure_future(ask())
        await asyncio.wait_for(server.asked.wait(), 10)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.lost.wait(), 10)


@pytest.mark.parametrize("how", ["close", "aclose", "forget"])
async def test_a_stream_that_is_left_in_the_middle(how: str) -> None:
    async with serving(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhel")) as server:
        response: Any = await Connections().send(asking(server.origin), PATIENT, True)
        assert await anext(response.body) == b"hel"
        if how == "close":
            response.body.close()
            response.body.close()
        elif how == "aclose":
            await response.body.aclose()
        else:
            del response
        await asyncio.wait_for(server.lost.wait(), 10)


async def test_a_server_is_not_read_faster_than_its_caller_reads() -> None:
    written = 0
    total = 64 * 1024 * 1024

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while written < total:
            writer.write(bytes(1024 * 1024))
            await writer.drain()
            written += 1024 * 1024

    async with serving(flood) as server:
        response: Any = await Connections().send(asking(server.origin), PATIENT, True)
        await asyncio.sleep(0.3)
        assert written < total / 2
        got = 0
        async for piece in response.body:
            got += len(piece)
        assert got == total


async def test_connections_are_kept_for_a_while_and_not_beyond_what_is_wanted() -> None:
    async with serving(answering(WHOLE)) as server:
        connections = Connections(2, 0.05)
        await asyncio.gather(*(connections.send(asking(server.origin), PATIENT, False) for _ in range(4)))
        assert server.connections == 4
        await asyncio.gather(*(connections.send(asking(server.origin), PATIENT, False) for _ in range(2)))
        assert server.connections == 4
        await asyncio.sleep(0.1)
        await connections.send(asking(server.origin), PATIENT, False)
        assert server.connections == 5
        connections.close()
        await asyncio.wait_for(server.lost.wait(), 10)


async def test_a_connection_its_server_has_closed_is_not_used_again() -> None:
    async with serving(answering(WHOLE, close=True)) as server:
        connections = Connections()
        for _ in range(3):
            assert (await connections.send(asking(server.origin), PATIENT, False)).content == b"hello"
            await asyncio.sleep(0.02)
        assert server.connections == 3
    said = WHOLE.replace(b"content-type: text/plain", b"connection: close")
    async with serving(answering(said)) as server:
        for _ in range(2):
            await connections.send(asking(server.origin), PATIENT, False)
        assert server.connections == 2


async def test_a_header_with_a_line_break_is_refused_without_telling_it() -> None:
    async with serving(answering(WHOLE)) as server:
        connections = Connections()
        with pytest.raises(ValueError, match="x-one") as caught:
            await connections.send(asking(server.origin, **{"x-one": "secret\r\nx-two: 2"}), PATIENT, False)
        assert "secret" not in str(caught.value)
        assert (await connections.send(asking(server.origin), PATIENT, False)).content == b"hello"


def test_over_tls_and_in_one_loop_after_another(tmp_path: Any) -> None:
    import ssl

    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def main(connections: Connections, fails: bool) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(WHOLE)
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        origin = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        if fails:
            with pytest.raises(APIConnectionError) as caught:
                await connections.send(asking(origin), PATIENT, False)
            assert isinstance(caught.value.__cause__, ConnectError)
        else:
            assert (await connections.send(asking(origin), PATIENT, False)).content == b"hello"
        server.close()

    connections = Connections(verify=trusting)
    asyncio.run(main(connections, False))
    asyncio.run(main(connections, False))
    asyncio.run(main(Connections(), True))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("apart", [False, True])
async def test_a_second_answer_is_nobodys(stream: bool, apart: bool) -> None:
    second = b"HTTP/1.1 500 No\r\ncontent-length: 4\r\nx: 1\r\n\r\nevil"
    pieces = (WHOLE[:-2], WHOLE[-2:] + second) if apart else (WHOLE + second,)
    async with serving(answering(*pieces)) as server:
        connections = Connections()
        for asked in (1, 2):
            answer = await connections.send(asking(server.origin), PATIENT, stream)
            assert (answer.status, answer.headers.get("x")) == (200, None)
            body: Any = answer.body
            assert (b"".join([piece async for piece in body]) if stream else body) == b"hello"
            assert server.connections == asked  # one that says too much is not asked again
        connections.close()
