"""What sends where pyreqwest cannot: the standard library, in both colours."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon import APIConnectionError, APITimeoutError, AsyncOpenAI, NetworkTransport, OpenAI, Timeout
from antiphon.transports.redirects import Redirecting
from antiphon.transports.standard import StandardTransport
from tests.unit.client.wire import END, STREAM, Wire, chunk, reply, wire
from tests.unit.client.worlds import MODEL, both

KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
TWO = (STREAM, chunk(b'data: {"id": "c"}\n\n'), 0.01, chunk(b'data: {"id": "d"}\n\ndata: [DONE]\n\n'), END)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def made(kind: Any, base: str, settings: dict[str, Any] | None = None, **options: Any) -> Any:
    transport = StandardTransport(NetworkTransport(**(settings or {})))
    return kind(**{"api_key": "k", "base_url": base, "max_retries": 0, "transport": transport, **options})


def asked(kind: Any, base: str, settings: dict[str, Any] | None = None, **options: Any) -> Any:
    client = made(kind, base, settings, **options)
    (outcome,) = both(lambda c: c.models.retrieve("m"), client)
    client.transport.close()
    return outcome


@KINDS
def test_calls_share_a_connection(kind: Any) -> None:
    with Wire(lambda received: reply(MODEL, headers={"x-request-id": "r"})) as server:
        client = made(kind, server.base)
        for _ in range(3):
            (model,) = both(lambda c: c.models.retrieve("m"), client)
            assert (model.id, model._request_id) == ("m", "r")
        (created,) = both(lambda c: c.completions.create(model="m", prompt="é"), client)
        assert created.id == "m"
        assert server.opened == 1
        assert server.received[3].body == '{"model":"m","prompt":"é"}'.encode()
        assert {"authorization", "host", "content-length"} <= server.received[3].names()
        assert not server.received[0].body
        client.transport.close()
        assert server.wait_closed()


@KINDS
def test_streams(kind: Any) -> None:
    async def read() -> list[Any]:
        client = made(kind, server.base)
        found: list[Any] = []
        for _ in range(2):
            if kind is OpenAI:
                with client.completions.create(model="m", prompt="p", stream=True) as stream:
                    found += [event.id for event in stream]
            else:
                async with await client.completions.create(model="m", prompt="p", stream=True) as astream:
                    found += [event.id async for event in astream]
        client.transport.close()
        return found

    with Wire(lambda received: TWO) as server:
        assert asyncio.run(read()) == ["c", "d", "c", "d"]
        assert server.wait_closed(server.opened)


async def test_a_stream_that_is_left_closes_its_connection() -> None:
    with Wire(lambda received: (STREAM, chunk(b'data: {"id": "c"}\n\n'), 20.0)) as server:
        with made(OpenAI, server.base).completions.create(model="m", prompt="p", stream=True) as stream:
            assert next(stream).id == "c"
        assert server.wait_closed(1)
        stream = await made(AsyncOpenAI, server.base).completions.create(model="m", prompt="p", stream=True)
        assert (await anext(stream)).id == "c"
        await stream.close()
        assert server.wait_closed(2)


@KINDS
def test_what_goes_wrong(kind: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert type(asked(kind, f"http://127.0.0.1:{port}/v1")) is APIConnectionError
    with wire((5.0,)) as server:
        assert type(asked(kind, server.base, timeout=Timeout(5, read=0.2))) is APITimeoutError
    for cut in (
        (b"",),
        (reply(MODEL)[:-5], b""),
        (STREAM, chunk(b"a"), b""),
        (STREAM, b"5\r\nab", b""),
        (b"no http\r\n\r\n", b""),
    ):
        with wire(cut) as server:
            assert type(asked(kind, server.base)) is APIConnectionError, cut


async def test_a_cancelled_call_breaks_its_connection_off() -> None:
    with wire((20.0,)) as server:
        client = made(AsyncOpenAI, server.base)
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.models.retrieve("m")
        assert server.wait_closed()
        assert time.monotonic() - begin < 5


@KINDS
def test_a_connection_that_was_closed_meanwhile_is_made_anew(kind: Any) -> None:
    with Wire([(reply(MODEL), b""), reply(MODEL)]) as server:
        client = made(kind, server.base)
        for _ in range(2):
            (model,) = both(lambda c: c.models.retrieve("m"), client)
            assert model.id == "m"
            time.sleep(0.05)
        client.transport.close()
        assert server.opened == 2


@KINDS
def test_uploads(kind: Any, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(b"x" * 300_000)
    read, write = os.pipe()
    os.write(write, b"through a pipe")
    os.close(write)
    with Wire(lambda received: reply({"id": "f"})) as server, os.fdopen(read, "rb") as pipe:
        client = made(kind, server.base)
        for file in (large, ("n", pipe)):
            (answer,) = both(lambda c, f=file: c.files.create(file=f, purpose="batch"), client)
            assert answer.id == "f"
        client.transport.close()
    known, unknown = server.received
    assert int(known.header("content-length") or 0) == len(known.body) > 300_000
    assert unknown.header("transfer-encoding") == "chunked"
    assert b"through a pipe" in unknown.body


async def test_awaited_uploads() -> None:
    async def pieces() -> Any:
        yield b"a"
        yield b"b"

    with wire(reply({"id": "f"})) as server:
        await made(AsyncOpenAI, server.base).post("/x", cast_to=dict, content=pieces())
        assert server.received[0].body == b"ab"


@KINDS
def test_proxies(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(lambda received: reply(MODEL)) as proxy:
        through = proxy.url.replace("//", "//me:se%40cret@")
        assert asked(kind, "http://api.test/v1", {"proxy": through}).id == "m"
        assert proxy.received[0].target == "http://api.test/v1/models/m"
        assert proxy.received[0].header("proxy-authorization") == "Basic bWU6c2VAY3JldA=="
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert asked(kind, "http://api.test/v1").id == "m"
        monkeypatch.setenv("NO_PROXY", "api.test")
        assert type(asked(kind, "http://api.test/v1")) is APIConnectionError
        monkeypatch.delenv("NO_PROXY")
        assert type(asked(kind, "http://nowhere.invalid/v1", {"trust_env": False})) is APIConnectionError
        assert len(proxy.received) == 2
    socks = asked(kind, "http://api.test/v1", {"proxy": "socks5://127.0.0.1:1"})
    assert type(socks) is APIConnectionError
    assert "socks5" in str(socks.__cause__)


def test_redirects_are_followed_around_it() -> None:
    with wire(reply(b"", 307, {"location": "/elsewhere"}), reply(MODEL)) as server:
        transport = Redirecting(StandardTransport(NetworkTransport()))
        with OpenAI(api_key="k", base_url=server.base, transport=transport) as client:
            assert client.models.retrieve("m").id == "m"


def test_a_body_read_to_the_end_of_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"

    def slowly() -> Iterator[bytes | float]:
        yield head
        yield b'{"id"'
        yield 0.05
        yield b': "m"}'
        yield b""

    with Wire(lambda received: slowly()) as server:
        assert asked(OpenAI, server.base).id == "m"
