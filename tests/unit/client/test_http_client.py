"""`http_client=`: clients of httpx2, httpx and aiohttp; and settings that say where the API is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx2
import pytest

import antiphon
from antiphon import (
    APIConnectionError,
    APITimeoutError,
    AsyncOpenAI,
    FakeOpenAI,
    NotFoundError,
    OpenAI,
    Timeout,
)
from antiphon.kernel.http import Response
from tests.unit.client.wire import END, STREAM, Wire, chunk

HI: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with FakeOpenAI().start(port=0) as server:
        yield server.base_url


def test_a_blocking_client_of_httpx2(url: str) -> None:
    seen: list[str] = []
    theirs = httpx2.Client(event_hooks={"request": [lambda request: seen.append(request.url.path)]})
    with OpenAI(api_key="k", base_url=url, http_client=theirs) as client:
        assert client.chat.completions.create(model="m", messages=HI).choices
        assert len(list(client.chat.completions.create(model="m", messages=HI, stream=True))) > 3
        with pytest.raises(NotFoundError):
            client.files.retrieve("file-none")
    assert seen == ["/v1/chat/completions", "/v1/chat/completions", "/v1/files/file-none"]
    assert theirs.is_closed


async def test_an_async_client_of_httpx2(url: str) -> None:
    theirs = httpx2.AsyncClient()
    async with AsyncOpenAI(api_key="k", base_url=url, http_client=theirs) as client:
        assert (await client.models.list()).data
    assert theirs.is_closed


async def test_a_session_of_aiohttp(url: str, tmp_path: Any) -> None:
    session = aiohttp.ClientSession()
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello" * 100_000)
    async with AsyncOpenAI(api_key="k", base_url=url, http_client=session, max_retries=0) as client:
        answer = await client.chat.completions.create(model="m", messages=HI)
        assert answer._request_id and answer.choices[0].message.content
        count = 0
        async with await client.chat.completions.create(model="m", messages=HI, stream=True) as stream:
            async for chunk in stream:
                count += bool(chunk.choices)
        assert count > 3
        async with await client.chat.completions.create(model="m", messages=HI, stream=True) as stream:
            await anext(aiter(stream))  # and leave
        file = await client.files.create(file=path, purpose="assistants")
        assert (await client.files.content(file.id)).content == path.read_bytes()
        with pytest.raises(NotFoundError):
            await client.files.delete("file-nöne")
        assert "aiohttp" in repr(client.transport).lower()
    assert session.closed


async def test_what_was_given_is_closed_though_nothing_was_sent() -> None:
    theirs, blocking, session = httpx2.AsyncClient(), httpx2.Client(), aiohttp.ClientSession()
    for given in (theirs, session):
        async with AsyncOpenAI(api_key="k", http_client=given):
            pass
    client = OpenAI(api_key="k", http_client=blocking)
    client.close()
    client.close()
    assert theirs.is_closed
    assert blocking.is_closed
    assert session.closed


async def test_failures_of_aiohttp() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if b"stream" in line:
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"
            )
        elif b"slow" in line:
            await gate.wait()
        writer.close()
        await writer.wait_closed()

    gate = asyncio.Event()
    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings: dict[str, Any] = {"api_key": "k", "base_url": f"http://127.0.0.1:{port}/v1", "max_retries": 0}
    async with AsyncOpenAI(**settings, http_client=aiohttp.ClientSession()) as client:
        with pytest.raises(APIConnectionError) as failed:
            await client.models.retrieve("cut")
        assert not isinstance(failed.value, APITimeoutError)
        with pytest.raises(APITimeoutError):
            await client.models.retrieve("slow", timeout=0.05)
        with pytest.raises(APIConnectionError):
            async for _ in await client.responses.retrieve("resp_stream", stream=True):
                pass
        nowhere = client.copy(base_url="http://127.0.0.1:1/v1")
        with pytest.raises(APIConnectionError):
            await nowhere.models.retrieve("x")
    gate.set()
    await asyncio.sleep(0.02)
    server.close()


async def test_a_session_is_for_async_clients() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError, match="session of aiohttp"):
            OpenAI(api_key="k", http_client=session).models.retrieve("m")


def test_one_thing_sends() -> None:
    with pytest.raises(TypeError, match="give one"):
        OpenAI(api_key="k", http_client=httpx2.Client(), transport=lambda request: Response(200))


def test_a_copy_may_send_otherwise() -> None:
    first, second = FakeOpenAI(), FakeOpenAI()
    client = first.client()
    client.copy(http_client=second).files.create(file=b"x", purpose="assistants")
    assert (len(client.files.list().data), len(second.client().files.list().data)) == (0, 1)


def test_the_timeout_of_an_httpx_client_is_ours() -> None:
    assert OpenAI(api_key="k", http_client=httpx2.Client()).timeout == Timeout(600, connect=5)
    assert OpenAI(api_key="k", http_client=httpx2.Client(timeout=7)).timeout == Timeout(7)
    assert OpenAI(api_key="k", http_client=httpx2.Client(timeout=7), timeout=9).timeout == 9
    assert OpenAI(api_key="k", http_client=httpx2.Client(timeout=None)).timeout == Timeout(None)


def test_clients_with_our_defaults(url: str) -> None:
    assert issubclass(antiphon.DefaultHttpxClient, httpx2.Client)
    assert issubclass(antiphon.DefaultAsyncHttpxClient, httpx2.AsyncClient)
    for kind in (antiphon.DefaultHttpxClient, antiphon.DefaultHttpx2Client):
        theirs = kind(headers={"x-mine": "1"})
        assert theirs.timeout == httpx2.Timeout(600, connect=5)
        assert theirs.follow_redirects is True
        assert theirs.headers["x-mine"] == "1"
        with OpenAI(api_key="k", base_url=url, http_client=theirs) as client:
            assert client.models.list().data
    assert antiphon.DefaultAsyncHttpx2Client(follow_redirects=False).follow_redirects is False


async def test_a_session_with_our_defaults(url: str) -> None:
    async with AsyncOpenAI(api_key="k", base_url=url, http_client=antiphon.DefaultAioHttpClient()) as client:
        assert (await client.models.list()).data


# Where the API is


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("global", "https://api.openai.com/v1/"),
        *[(region, f"https://{region}.api.openai.com/v1/") for region in ("us", "eu", "ae", "au", "in", "jp")],
    ],
)
def test_regions(region: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    for kind in (OpenAI, AsyncOpenAI):
        assert kind(api_key="k", data_residency=region).base_url == address
        copied = kind(api_key="k", websocket_base_url="wss://w/v1").copy(data_residency=region)
        assert (copied.base_url, copied.websocket_base_url) == (address, None)
        assert copied.copy(base_url="http://x/v1").base_url == "http://x/v1/"
        assert copied.copy().base_url == address


def test_a_region_is_an_address() -> None:
    for other in ({"base_url": "http://x/v1"}, {"websocket_base_url": "wss://x"}):
        with pytest.raises(ValueError, match="data_residency"):
            OpenAI(api_key="k", data_residency="eu", **other)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="data_residency"):
        OpenAI(api_key="k").copy(data_residency="eu", base_url="http://x/v1")
    with pytest.raises(ValueError, match="'mars'"):
        OpenAI(api_key="k", data_residency="mars")  # type: ignore[arg-type]


def test_the_address_of_websockets_is_kept() -> None:
    client = OpenAI(api_key="k", websocket_base_url="wss://w/v1")
    assert client.websocket_base_url == "wss://w/v1"
    assert client.copy().websocket_base_url == "wss://w/v1"
    assert client.copy(websocket_base_url="wss://v").websocket_base_url == "wss://v"


async def streamed_twice(client: AsyncOpenAI) -> None:
    for _ in range(2):
        async with await client.chat.completions.create(model="m", messages=[], stream=True) as stream:
            assert [event.id async for event in stream] == ["c"]


LAST = chunk(b'data: {"id": "c"}\n\ndata: [DONE]\n\n')


@pytest.mark.parametrize("library", ["httpx2", "aiohttp"])
@pytest.mark.parametrize("gap", [0.001, 0.02])
async def test_a_stream_that_ended_leaves_its_connection_for_the_next(library: str, gap: float) -> None:
    with Wire(lambda received: (STREAM, LAST, gap, END)) as server:
        made = httpx2.AsyncClient() if library == "httpx2" else antiphon.DefaultAioHttpClient()
        async with AsyncOpenAI(api_key="k", base_url=server.base, http_client=made) as client:
            await streamed_twice(client)
        assert server.opened == 1


@pytest.mark.parametrize("library", ["httpx2", "aiohttp"])
async def test_a_stream_whose_end_does_not_come_is_not_waited_for(library: str) -> None:
    with Wire(lambda received: (STREAM, LAST, 20.0, END)) as server:
        made = httpx2.AsyncClient() if library == "httpx2" else antiphon.DefaultAioHttpClient()
        async with AsyncOpenAI(api_key="k", base_url=server.base, http_client=made) as client:
            begin = time.monotonic()
            await streamed_twice(client)
            assert time.monotonic() - begin < 5
        assert server.opened == 2


async def test_a_body_that_waits_while_it_closes_is_closed_all_the_same() -> None:
    class Body(httpx2.AsyncByteStream):
        closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'data: {"id": "c"}\n\ndata: [DONE]\n\n'
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            await asyncio.sleep(0)
            self.closed = True

    body = Body()
    made = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, stream=body)))
    async with AsyncOpenAI(api_key="k", http_client=made) as client:
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        assert [event.id async for event in stream] == ["c"]
        assert body.closed
