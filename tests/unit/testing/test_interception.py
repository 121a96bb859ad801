"""Requests of each library, answered by a fake in this process, whole and piece by piece."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import httpx2
import openai
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.kernel.http import Headers, Request, Response
from antiphon.server.clock import VirtualClock
from antiphon.testing import EscapedRequest, Interception, intercepted
from antiphon.testing.hosts import is_local, matches
from antiphon.testing.wire import Incoming

URL = "https://api.openai.com/v1"
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "one two three"}]}
STREAMED = {**CHAT, "stream": True}
KEY = {"authorization": "Bearer any"}


class Counting:
    """An engine that notes how far it was asked."""

    def __init__(self) -> None:
        self.said = 0

    def __call__(self, request: Any) -> Any:
        for word in ("one ", "two ", "three ", "four"):
            self.said += 1
            yield word


@pytest.fixture
def engine() -> Counting:
    return Counting()


@pytest.fixture
def interception(engine: Counting):
    with intercepted(FakeOpenAI(engine=engine)) as interception:
        yield interception


def test_the_official_package(interception: Interception) -> None:
    with openai.OpenAI(api_key="any", base_url=URL) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "one two three four"
        chunks = client.chat.completions.create(**STREAMED)
        words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
        assert words == ["one ", "two ", "three ", "four"]
        file = client.files.create(file=("a.bin", b"\0" * 3_000_000), purpose="assistants")
        assert client.files.content(file.id).read() == b"\0" * 3_000_000
        assert client.images.generate(model="gpt-image-1", prompt="a cat").data[0].b64_json
        with client.responses.stream(model="gpt-5", input="hello") as stream:
            assert stream.get_final_response().output_text == "one two three four"
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve("file-none")


async def test_the_official_package_async(interception: Interception) -> None:
    async with openai.AsyncOpenAI(api_key="any", base_url=URL) as client:
        assert (await client.chat.completions.create(**CHAT)).choices[0].message.content == "one two three four"
        words = [
            chunk.choices[0].delta.content
            async for chunk in await client.chat.completions.create(**STREAMED)
            if chunk.choices and chunk.choices[0].delta.content
        ]
        assert words == ["one ", "two ", "three ", "four"]
        file = await client.files.create(file=("a.bin", b"\0" * 3_000_000), purpose="assistants")
        assert (await client.files.content(file.id)).read() == b"\0" * 3_000_000
        assert (await client.images.generate(model="gpt-image-1", prompt="a cat")).data[0].b64_json


def test_a_stream_is_made_as_it_is_read(interception: Interception, engine: Counting) -> None:
    with (
        httpx2.Client(headers=KEY) as client,
        client.stream("POST", f"{URL}/chat/completions", json=STREAMED) as answer,
    ):
        lines = (line for line in answer.iter_lines() if '"content":"' in line and '"content":""' not in line)
        next(lines)
        assert engine.said < 4
    engine.said = 0
    with requests.post(f"{URL}/chat/completions", json=STREAMED, headers=KEY, stream=True, timeout=9) as answer:
        found = (
            line
            for line in answer.iter_lines(chunk_size=None)
            if b'"content":"' in line and b'"content":""' not in line
        )
        next(found)
        assert engine.said < 4


async def test_a_stream_is_made_as_it_is_awaited(interception: Interception, engine: Counting) -> None:
    async with aiohttp.ClientSession(headers=KEY) as session:
        async with session.post(f"{URL}/chat/completions", json=STREAMED) as answer:
            async for line in answer.content:
                if b'"content":"one' in line:
                    break
            assert engine.said < 4
        async with session.post(f"{URL}/chat/completions", json=STREAMED) as answer:
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")


def test_requests_and_urllib(interception: Interception) -> None:
    with requests.Session() as session:
        session.headers.update(KEY)
        for _ in range(3):
            answer = session.post(f"{URL}/chat/completions", json=CHAT, timeout=9)
            assert answer.json()["choices"][0]["message"]["content"] == "one two three four"
        made = session.post(
            f"{URL}/files", files={"file": ("a.txt", b"x" * 300_000)}, data={"purpose": "assistants"}, timeout=9
        ).json()
        assert session.get(f"{URL}/files/{made['id']}/content", timeout=9).content == b"x" * 300_000
        pieces = iter([json.dumps(CHAT).encode()[:20], json.dumps(CHAT).encode()[20:]])
        headers = {"content-type": "application/json"}
        assert session.post(f"{URL}/chat/completions", data=pieces, headers=headers, timeout=9).ok
        assert session.get(f"{URL}/files/none", timeout=9).status_code == 404
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/models/gpt-5", headers=KEY)) as found:
        assert json.load(found)["id"] == "gpt-5"


async def test_aiohttp(interception: Interception) -> None:
    async with aiohttp.ClientSession(headers=KEY) as session:
        for _ in range(3):
            async with session.post(f"{URL}/chat/completions", json=CHAT) as answer:
                assert (await answer.json())["choices"][0]["message"]["content"] == "one two three four"
        form = aiohttp.FormData({"purpose": "assistants"})
        form.add_field("file", b"x" * 300_000, filename="a.txt")
        async with session.post(f"{URL}/files", data=form, expect100=True) as answer:
            made = await answer.json()
        async with session.get(f"{URL}/files/{made['id']}/content") as answer:
            assert await answer.read() == b"x" * 300_000
        with pytest.raises(EscapedRequest, match=r"GET https://models.example/v1 \(aiohttp\)"):
            await session.get("https://models.example/v1")


async def test_our_own_transport(interception: Interception) -> None:
    with antiphon.OpenAI(api_key="any", base_url=URL) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "one two three four"
        assert len(list(client.chat.completions.create(**STREAMED))) > 4
    async with antiphon.AsyncOpenAI(api_key="any", base_url=URL) as aclient:
        assert (await aclient.chat.completions.create(**CHAT)).choices
        assert len([chunk async for chunk in await aclient.chat.completions.create(**STREAMED)]) > 4


async def test_connections_of_event_loops_are_guarded(interception: Interception) -> None:
    import asyncio

    with pytest.raises(EscapedRequest, match="in test_connections_of_event_loops_are_guarded"):
        await asyncio.open_connection("api.openai.com", 443)
    assert len(interception.escapes) == 1


def test_what_waits_too_long_times_out_as_the_library_has_it() -> None:
    slow = FakeOpenAI(latency=60, clock=VirtualClock())
    with intercepted(slow):
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{URL}/chat/completions", json=STREAMED, headers=KEY, timeout=1)
        with pytest.raises(requests.exceptions.ConnectionError, match="timed out"):
            requests.post(f"{URL}/chat/completions", json=STREAMED, headers=KEY, timeout=1)
        assert httpx2.post(f"{URL}/chat/completions", json=CHAT, headers=KEY, timeout=100).status_code == 200


def test_this_machine_is_left_alone_and_everything_is_put_back() -> None:
    before = (httpx2.HTTPTransport.handle_request, socket.getaddrinfo, aiohttp.TCPConnector._create_connection)
    with FakeOpenAI().start(port=0) as server, intercepted(FakeOpenAI(models=["mine"])):
        assert httpx2.HTTPTransport.handle_request is not before[0]
        assert httpx2.get(f"{server.base_url}/models/gpt-5", headers=KEY).json()["id"] == "gpt-5"
        assert requests.get(f"{server.base_url}/models/gpt-5", headers=KEY, timeout=9).json()["id"] == "gpt-5"
        with intercepted(FakeOpenAI(models=["inner"])):
            assert [each["id"] for each in httpx2.get(f"{URL}/models", headers=KEY).json()["data"]] == ["inner"]
        assert [each["id"] for each in httpx2.get(f"{URL}/models", headers=KEY).json()["data"]] == ["mine"]
    assert before == (httpx2.HTTPTransport.handle_request, socket.getaddrinfo, aiohttp.TCPConnector._create_connection)
    assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("antiphon")]


async def test_sockets_of_unix_and_transports_without_a_network_are_left_alone(
    interception: Interception, tmp_path: Path
) -> None:
    path = str(tmp_path / "s")

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(20)
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=path)) as client:
            assert client.get("http://docker/info").status_code == 202
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=path)) as aclient:
            assert (await aclient.get("http://docker/info")).status_code == 202
        thread.join()
    with httpx2.Client(transport=httpx2.MockTransport(lambda request: httpx2.Response(418))) as client:
        assert client.get(URL).status_code == 418


def test_a_project_may_be_named_as_the_machinery_is(tmp_path: Path) -> None:
    home = tmp_path / "pytest"
    home.mkdir()
    (home / "asyncio.py").write_text("def ask(get, url):\n    get(url)\n")
    scope: dict[str, Any] = {}
    exec(compile((home / "asyncio.py").read_text(), str(home / "asyncio.py"), "exec"), scope)
    with intercepted(FakeOpenAI()), pytest.raises(EscapedRequest, match="in ask") as caught:
        scope["ask"](httpx2.get, "https://models.example")
    assert "_pytest" not in caught.value.escape.stack


def test_libraries_are_seen_to_when_they_are_imported_later() -> None:
    program = """
import sys
from antiphon import FakeOpenAI
from antiphon.testing import intercepted
with intercepted(FakeOpenAI(engine="echo")):
    assert not {"httpx2", "aiohttp", "urllib3", "openai"} & sys.modules.keys()
    import asyncio, httpx2, requests, aiohttp, openai
    key = {"authorization": "Bearer any"}
    url = "https://api.openai.com/v1/models/gpt-5"
    assert httpx2.get(url, headers=key).json()["id"] == "gpt-5"
    assert requests.get(url, headers=key, timeout=9).json()["id"] == "gpt-5"
    async def get():
        async with aiohttp.ClientSession() as session, session.get(url, headers=key) as answer:
            return (await answer.json())["id"]
    assert asyncio.run(get()) == "gpt-5"
    assert openai.OpenAI(api_key="any").models.retrieve("gpt-5").id == "gpt-5"
assert httpx2.HTTPTransport.handle_request.__module__.startswith("httpx2")
assert type(httpx2.__spec__.loader).__module__.startswith("importlib") or "frozen" in type(httpx2.__spec__.loader).__module__
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", [{"guard": False}, {"allow": ["api.openai.com"]}])
def test_a_request_that_is_let_through_goes_to_the_library(
    how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def handle(self: Any, request: Any) -> Any:
        seen.append(request.url.host)
        return httpx2.Response(200)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", handle)
    with intercepted(FakeOpenAI(), intercept=False, **how) as interception:
        assert httpx2.get(URL).status_code == 200
    assert seen == ["api.openai.com"]
    assert interception.escapes == []


def test_hosts() -> None:
    assert matches("API.OpenAI.com.", ["api.openai.com"])
    assert matches("eu.api.openai.com", ["*.api.openai.com"])
    assert not matches("api.openai.com.evil.example", ["api.openai.com", "*.openai.com"])
    assert is_local("127.0.0.1") and is_local("localhost") and is_local("[::1]") and is_local("app.localhost")
    assert not is_local("127.0.0.1.evil.example") and not is_local("192.168.0.1")


@given(
    st.binary(max_size=200),
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=6),
    st.lists(st.integers(1, 50), max_size=5),
)
def test_a_request_is_read_the_same_in_any_split(body: bytes, chunked: bool, cuts: list[int], sizes: list[int]) -> None:
    if chunked:
        rest, framed = body, b""
        for size in sizes:
            piece, rest = rest[:size], rest[size:]
            framed += b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b""
        framed += b"%X;x=y\r\n%s\r\n" % (len(rest), rest) if rest else b""
        sent = b"POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    else:
        sent = b"POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    incoming = Incoming("https://h")
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    found = [incoming.feed(sent[start:end]) for start, end in pairwise(edges)]
    request = next(each for each in found if each is not None)
    assert (request.method, request.path, request.query, request.content()) == ("POST", "/v1/x", "a=b", body)
    assert request.url == "https://h/v1/x?a=b"


def test_any_handler_will_do() -> None:
    def handler(request: Request) -> Response:
        return Response(204, Headers({"x-path": request.path}))

    with intercepted(handler, hosts=["models.example"]):
        for get in (httpx2.get, requests.get):
            answer = get("http://models.example:8080/a/b?c=d")
            assert (answer.status_code, answer.headers["x-path"], answer.content) == (204, "/a/b", b"")


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("cl100k_base", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
        ("o200k_base", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    ],
)
def test_the_vocabularies_that_tiktoken_fetches_are_answered(name: str, digest: str) -> None:
    """Byte for byte: tiktoken compares them with these digests."""
    import hashlib

    address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    with intercepted(FakeOpenAI()):
        assert hashlib.sha256(httpx2.get(address).content).hexdigest() == digest
        assert httpx2.get(address.replace(name, "p50k_base")).status_code == 404
    with intercepted(FakeOpenAI(), intercept=False), pytest.raises(EscapedRequest):
        httpx2.get(address)


def test_certificates_are_read_once_for_all_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    read: list[Any] = []
    load = ssl.SSLContext.load_verify_locations

    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        read.append(args)
        load(self, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noted)
    with intercepted(FakeOpenAI()):
        openai.OpenAI(api_key="any").close()
        before = len(read)
        for _ in range(3):
            with openai.OpenAI(api_key="any") as client:
                assert client.models.retrieve("gpt-5").id == "gpt-5"
        assert len(read) == before
    httpx2.Client().close()
    assert len(read) == before + 1
