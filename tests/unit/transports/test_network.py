"""The network: what waits how long, what is followed, compressed, proxied, uploaded, interrupted, closed."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from antiphon import APIConnectionError, APITimeoutError, AsyncOpenAI, NetworkTransport, OpenAI, Timeout
from antiphon.kernel.errors import APIStatusError
from antiphon.kernel.http import Headers, Request, Upload
from tests.unit.client.wire import STREAM, Wire, chunk, reply, wire
from tests.unit.client.worlds import MODEL, both

KINDS = pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def asked(kind: Any, base: str, **options: Any) -> Any:
    (outcome,) = both(
        lambda c: c.models.retrieve("m"), kind(**{"api_key": "k", "base_url": base, "max_retries": 0, **options})
    )
    return outcome


# What goes wrong


@KINDS
@pytest.mark.parametrize("key", ["sk-secret\n", "sk-\r\nsecret", "sk-secret\x7f"])
def test_a_key_with_a_line_break_is_not_shown(kind: Any, key: str) -> None:
    error = asked(kind, "http://127.0.0.1:9/v1", api_key=key)
    assert type(error) is ValueError
    assert str(error).lower().startswith("the value of the header authorization cannot be sent")
    assert "secret" not in str(error)
    assert error.__suppress_context__


@KINDS
def test_nobody_listens(kind: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = asked(kind, f"http://127.0.0.1:{port}/v1")
    assert type(error) is APIConnectionError
    assert str(error) == "Connection error."
    assert error.__cause__ is not None
    assert error.request.path == "/v1/models/m"


@KINDS
def test_a_name_that_leads_nowhere(kind: Any) -> None:
    assert type(asked(kind, "http://nowhere.invalid/v1")) is APIConnectionError


@KINDS
@pytest.mark.parametrize("timeout", [0.2, Timeout(30, read=0.2)])
def test_a_server_that_does_not_answer(kind: Any, timeout: Any) -> None:
    with wire((5.0,)) as server:
        start = time.monotonic()
        error = asked(kind, server.base, timeout=timeout)
        assert type(error) is APITimeoutError
        assert str(error) == "Request timed out."
        assert error.__cause__ is not None
        assert 0.15 < time.monotonic() - start < 3


@KINDS
def test_a_server_that_does_not_accept(kind: Any) -> None:
    # A full queue of connections: whoever comes now is not answered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        time.sleep(0.05)
        error = asked(kind, f"http://127.0.0.1:{full.getsockname()[1]}/v1", timeout=Timeout(5, connect=0.3))
        assert type(error) is APITimeoutError
        for each in waiting:
            each.close()


@KINDS
def test_reading_resets_the_time(kind: Any) -> None:
    body = b'{"id": "m"}'
    slow = [reply(body)[: -len(body)], *[piece for byte in body for piece in (bytes([byte]), 0.05)]]
    with wire(slow) as server:
        assert asked(kind, server.base, timeout=0.4).id == "m"


@KINDS
def test_an_answer_cut_short(kind: Any) -> None:
    with wire((reply(b'{"id": "m", "object": "model"}')[:-10], b"")) as server:
        assert type(asked(kind, server.base)) is APIConnectionError
    with wire((b"",)) as server:
        assert type(asked(kind, server.base)) is APIConnectionError
    with wire(b"not http at all\r\n\r\n") as server:
        assert type(asked(kind, server.base)) is APIConnectionError


@KINDS
def test_connections_are_tried_again(kind: Any) -> None:
    with wire((b"",), (b"",), reply(MODEL)) as server:
        assert asked(kind, server.base, max_retries=2).id == "m"
        assert [each.header("x-stainless-retry-count") for each in server.received] == [None, "1", "2"]


def test_a_header_that_cannot_be_sent() -> None:
    with wire(reply(MODEL)) as server, pytest.raises(ValueError, match="header"):
        OpenAI(api_key="k", base_url=server.base).models.retrieve("m", extra_headers={"x": "a\nb"})


# Following, unpacking, proxies


@KINDS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(kind: Any, status: int) -> None:
    moved = {"location": "/elsewhere"}
    with wire(reply(b"", status, moved), reply({"id": "c"})) as server:
        (completion,) = both(
            lambda c: c.chat.completions.create(model="m", messages=[]), kind(api_key="k", base_url=server.base)
        )
        assert completion.id == "c"
        second = server.received[1]
        assert second.target == "/elsewhere"
        assert second.method == ("POST" if status in (307, 308) else "GET")
        assert bool(second.body) is (status in (307, 308))
        assert second.header("authorization") == "Bearer k"
        assert second.header("referer") is None


@KINDS
def test_keys_do_not_follow_to_another_host(kind: Any) -> None:
    with (
        wire(reply(MODEL)) as other,
        wire(reply(b"", 307, {"location": f"{other.url.replace('127.0.0.1', 'localhost')}/x"})) as server,
    ):
        asked(kind, server.base)
        assert other.received[0].header("authorization") is None


@KINDS
def test_redirects_need_not_be_followed(kind: Any) -> None:
    with wire(reply(b"", 307, {"location": "/x"})) as server:
        error = asked(kind, server.base, transport=NetworkTransport(follow_redirects=False))
        assert isinstance(error, APIStatusError)
        assert error.status_code == 307
    with Wire(lambda received: reply(b"", 307, {"location": "/x"})) as server:
        assert type(asked(kind, server.base)) is APIConnectionError
        assert len(server.received) == 21


@KINDS
def test_answers_are_unpacked(kind: Any) -> None:
    packed = {"gzip": gzip.compress(b'{"id": "m"}'), "deflate": zlib.compress(b'{"id": "m"}')}
    for encoding, body in packed.items():
        with wire(reply(body, headers={"content-encoding": encoding})) as server:
            assert asked(kind, server.base).id == "m"
            assert encoding in (server.received[0].header("accept-encoding") or "")


@KINDS
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment(kind: Any, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Wire(lambda received: reply(MODEL)) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        assert asked(kind, "http://api.test/v1").id == "m"
        assert proxy.received[0].target == "http://api.test/v1/models/m"
        monkeypatch.setenv("NO_PROXY", "api.test")
        assert type(asked(kind, "http://api.test/v1")) is APIConnectionError
        assert type(asked(kind, "http://b.test/v1", transport=NetworkTransport(trust_env=False))) is APIConnectionError
        assert len(proxy.received) == 1


@KINDS
def test_a_proxy_of_one_s_own(kind: Any) -> None:
    with Wire(lambda received: reply(MODEL)) as proxy:
        assert asked(kind, "http://api.test/v1", transport=NetworkTransport(proxy=proxy.url)).id == "m"
        assert proxy.received[0].target == "http://api.test/v1/models/m"


# Headers and bodies


@KINDS
def test_headers_of_answers(kind: Any) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Twice: a\r\nx-twice: b\r\ncontent-length: 2\r\n\r\n{}"
    )
    with wire(head, head) as server:
        transport = NetworkTransport()
        request = Request("GET", "/", origin=server.url)

        async def awaited() -> Any:
            return await transport.asend(request, 5, False)

        response = transport.send(request, 5, False) if kind is OpenAI else asyncio.run(awaited())
    assert response.headers["content-type"] == "application/json"
    assert response.headers.get("nothing") is None
    assert response.headers.get_list("X-Twice") == ["a", "b"]
    assert response.headers.get("x-twice") == "a"
    assert ("x-twice", "b") in response.headers.pairs
    assert "CONTENT-LENGTH" in response.headers
    assert (response.status, response.content, response.request) == (200, b"{}", request)


@KINDS
def test_uploads_are_read_as_they_are_sent(kind: Any, tmp_path: Path) -> None:
    size = 16 * 1024 * 1024
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(size)
    largest, sent = [0], [0]

    class Watched(io.FileIO):
        def read(self, amount: int = -1) -> bytes:
            piece = super().read(amount)
            largest[0], sent[0] = max(largest[0], len(piece)), sent[0] + len(piece)
            return piece

    with wire(reply({"id": "f"})) as server, Watched(path) as opened:
        (answer,) = both(
            lambda c: c.files.create(file=opened, purpose="batch"), kind(api_key="k", base_url=server.base)
        )
        assert answer.id == "f"
        received = server.received[0]
        assert int(received.header("content-length") or 0) == len(received.body) > size
        assert b'filename="large.bin"' in received.body[:300]
        assert sent[0] == size
        assert largest[0] <= 256 * 1024


def test_uploads_do_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(256 * 1024 * 1024)
    code = """
import pathlib, resource, socket, sys, threading
from antiphon import OpenAI
server = socket.create_server(("127.0.0.1", 0))
def serve():
    peer, _ = server.accept()
    left, buffer = 256 * 1024 * 1024, bytearray(1 << 20)
    while left > 0:
        left -= peer.recv_into(buffer)
    peer.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 2\\r\\n\\r\\n{}')
    peer.recv(1)
threading.Thread(target=serve, daemon=True).start()
client = OpenAI(api_key="k", base_url=f"http://127.0.0.1:{server.getsockname()[1]}")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
client.files.create(file=pathlib.Path(sys.argv[1]), purpose="batch")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 40  # megabytes


@KINDS
def test_a_body_of_unknown_length_goes_in_chunks(kind: Any) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as writing:
        writing.write(b"through a pipe")
    with wire(reply({"id": "f"})) as server, os.fdopen(read, "rb") as reading:
        (answer,) = both(
            lambda c: c.files.create(file=("n.txt", reading), purpose="batch"), kind(api_key="k", base_url=server.base)
        )
        assert answer.id == "f"
        assert server.received[0].header("transfer-encoding") == "chunked"
        assert b"through a pipe" in server.received[0].body


def test_uploads_have_time_for_their_size() -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(6):
            time.sleep(0.1)
            yield b"x" * 1024

    with wire(reply(MODEL), (5.0,)) as server:
        transport = NetworkTransport()
        request = Request("POST", "/", headers=Headers({}), body=Upload(slowly, length=6 * 1024), origin=server.url)
        assert transport.send(request, 0.55, False).status == 200
        with pytest.raises(APITimeoutError):
            transport.send(request._replace(body=Upload(lambda: iter([b"x"]), length=1)), 0.3, False)
        transport.close()


# Many at once


def test_threads_share_a_client() -> None:
    def slow(received: Any) -> Iterator[bytes | float]:
        yield 0.05
        yield reply({**MODEL, "id": received.target.rpartition("/")[2]})

    with Wire(slow) as server:
        client = OpenAI(api_key="k", base_url=server.base)
        start = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            ids = list(pool.map(lambda n: client.models.retrieve(f"m{n}").id, range(60)))
        assert ids == [f"m{n}" for n in range(60)]
        assert time.monotonic() - start < 2
        assert server.opened <= 20


async def test_calls_in_flight_do_not_wait_for_each_other() -> None:
    def slow(received: Any) -> Iterator[bytes | float]:
        yield 0.1
        yield reply({**MODEL, "id": received.target.rpartition("/")[2]})

    with Wire(slow) as server:
        client = AsyncOpenAI(api_key="k", base_url=server.base)
        start = time.monotonic()
        models = await asyncio.gather(*[client.models.retrieve(f"m{n}") for n in range(40)])
        assert [model.id for model in models] == [f"m{n}" for n in range(40)]
        assert time.monotonic() - start < 2


def test_connections_are_limited() -> None:
    def slow(received: Any) -> Iterator[bytes | float]:
        yield 0.03
        yield reply(MODEL)

    with Wire(slow) as server:
        client = OpenAI(api_key="k", base_url=server.base, transport=NetworkTransport(max_connections=2))
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda n: client.models.retrieve("m"), range(20)))
        assert server.opened <= 2
        impatient = client.with_options(timeout=Timeout(5, pool=0.01), max_retries=0)
        with ThreadPoolExecutor(10) as pool:
            outcomes = list(pool.map(lambda n: both(lambda c: c.models.retrieve("m"), impatient)[0], range(10)))
        assert APITimeoutError in {type(outcome) for outcome in outcomes}


def test_one_client_in_several_event_loops() -> None:
    with Wire(lambda received: reply(MODEL)) as server:
        client = AsyncOpenAI(api_key="k", base_url=server.base)

        async def once() -> str:
            return (await client.models.retrieve("m")).id

        assert [asyncio.run(once()) for _ in range(3)] == ["m"] * 3
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda n: asyncio.run(once()), range(8))) == ["m"] * 8


async def test_a_cancelled_call_ends_at_once() -> None:
    # pyreqwest 0.15 lets the request itself run on to its end behind the scenes; nobody waits for it.
    with Wire(lambda received: reply(MODEL) if received.target.endswith("again") else (5.0,)) as server:
        client = AsyncOpenAI(api_key="k", base_url=server.base)
        task = asyncio.create_task(client.models.retrieve("m"))
        while not server.received:  # noqa: ASYNC110 (a thread is waited for)
            await asyncio.sleep(0.01)
        start = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.models.retrieve("again")).id == "m"
        assert time.monotonic() - start < 1


def test_closing_closes_the_connections() -> None:
    with Wire(lambda received: reply(MODEL)) as server:
        with OpenAI(api_key="k", base_url=server.base) as client:
            client.models.retrieve("m")
            client.models.retrieve("m", timeout=3)
        assert server.wait_closed(2)
        with pytest.raises(RuntimeError, match="closed"):
            client.models.retrieve("m")


def test_as_many_timeouts_as_one_likes() -> None:
    with Wire(lambda received: reply(MODEL)) as server:
        client = OpenAI(api_key="k", base_url=server.base)
        for n in range(40):
            assert client.models.retrieve("m", timeout=10 + n).id == "m"
        assert len(client.transport._clients) <= 16  # type: ignore[attr-defined]


# Processes


HEARS_CTRL_C = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""A suite that runs in the background hands down a SIGINT that is ignored."""


def script(code: str, *arguments: str, interrupt: float | None = None) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code if interrupt is None else HEARS_CTRL_C + code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    if interrupt is not None:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(interrupt)
        process.send_signal(2)
    try:
        out, err = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the script did not end; it said:\n{out}\n{err}") from None
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_interrupts_a_call_that_hangs() -> None:
    code = """
import sys, time
from antiphon import OpenAI
client = OpenAI(api_key="k", base_url=sys.argv[1], max_retries=0)
print("ready", flush=True)
try:
    client.models.retrieve("m")
except KeyboardInterrupt:
    print("interrupted", flush=True)
assert client.models.retrieve("again").id == "m"
print("and goes on")
"""

    def answer(received: Any) -> Any:
        return reply(MODEL) if received.target.endswith("again") else (20.0,)

    with Wire(answer) as server:
        start = time.monotonic()
        result = script(code, server.base, interrupt=0.5)
        assert result.stdout == "interrupted\nand goes on\n", result.stderr
        assert time.monotonic() - start < 10


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_signals_reach_whoever_waits_for_them() -> None:
    """A loop's own signal handlers work beside blocking calls in the same thread."""
    code = """
import asyncio, os, signal, sys, threading, time
from antiphon import OpenAI
client = OpenAI(api_key="k", base_url=sys.argv[1])
async def main():
    got = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, got.append, 1)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    client.models.retrieve("m")
    await asyncio.sleep(0.1)
    print(got)
asyncio.run(main())
"""
    with Wire(lambda received: (0.5, reply(MODEL))) as server:
        result = script(code, server.base)
        assert result.stdout == "[1]\n", result.stderr


@pytest.mark.parametrize("how", ["calls", "streams"])
def test_a_script_of_async_calls_ends_in_peace(how: str) -> None:
    code = """
import asyncio, sys
from antiphon import AsyncOpenAI
client = AsyncOpenAI(api_key="k", base_url=sys.argv[1])
async def calls():
    await client.models.retrieve("m")
async def streams():
    async with await client.completions.create(model="m", prompt="p", stream=True) as stream:
        await anext(stream)
async def main():
    await asyncio.gather(*[globals()[sys.argv[2]]() for _ in range(32)])
asyncio.run(main())
"""
    streamed = (STREAM, *[chunk(b'data: {"id": "c"}\n\n'), 0.01] * 20)
    with Wire(lambda received: streamed if received.method == "POST" else reply(MODEL)) as server:
        for _ in range(3):
            result = script(code, server.base, how)
            assert (result.returncode, result.stderr) == (0, "")


def test_a_thread_that_is_not_the_main_one_needs_no_watch() -> None:
    with Wire(lambda received: reply(MODEL)) as server:
        client = OpenAI(api_key="k", base_url=server.base)
        results: list[str] = []
        thread = threading.Thread(target=lambda: results.append(client.models.retrieve("m").id))
        thread.start()
        thread.join()
        assert results == ["m"]
