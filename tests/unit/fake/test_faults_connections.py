"""Connections that break: each client sees in process what it sees on a port."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import antiphon
from antiphon import AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.fake.faults import (
    Behaviour,
    HangUp,
    RefuseConnection,
    ResetConnection,
    ReturnStatus,
    matching,
    once,
)
from antiphon.kernel.severed import Severed
from antiphon.testing import intercepted

BODY: Any = {"model": "gpt-5", "input": "one two three four"}
KEY = {"authorization": "Bearer x"}
ADDRESS = "https://api.openai.com/v1"

BREAKS = [
    RefuseConnection(),
    ResetConnection(),
    ResetConnection("during"),
    ResetConnection("after"),
    HangUp(),
    HangUp("after"),
]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeOpenAI, str]]:
    fake = FakeOpenAI("echo")
    with fake.start(port=0) as server:
        yield fake, server.base_url


def httpx2_error(address: str, **options: Any) -> str:
    import httpx2

    with httpx2.Client(**options) as client, pytest.raises(httpx2.RequestError) as caught:
        client.post(f"{address}/responses", json=BODY, headers=KEY)
    return type(caught.value).__name__


def requests_error(address: str) -> str:
    import requests

    with pytest.raises(requests.RequestException) as caught:
        requests.post(f"{address}/responses", json=BODY, headers=KEY, timeout=10)
    return type(caught.value).__name__


def aiohttp_error(address: str) -> str:
    import aiohttp

    async def ask() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{address}/responses", json=BODY, headers=KEY) as answer,
        ):
            await answer.read()

    with pytest.raises(aiohttp.ClientError) as caught:
        asyncio.run(ask())
    return type(caught.value).__name__


def library_error(address: str) -> str:
    import orjson

    kind = http.client.HTTPSConnection if address.startswith("https") else http.client.HTTPConnection
    connection = kind(address.partition("//")[2].partition("/")[0], timeout=10)

    def ask() -> None:
        headers = {**KEY, "content-type": "application/json"}
        connection.request("POST", "/v1/responses", orjson.dumps(BODY), headers)
        connection.getresponse().read()

    with pytest.raises((OSError, http.client.HTTPException)) as caught:
        ask()
    connection.close()
    return type(caught.value).__name__


REFUSED = {
    httpx2_error: "ConnectError",
    requests_error: "ConnectionError",
    aiohttp_error: "ClientConnectorError",
    library_error: "ConnectionRefusedError",
}
"""What each library says where nobody listens."""


@pytest.mark.parametrize("error", REFUSED, ids=lambda each: each.__name__)
@pytest.mark.parametrize("broken", BREAKS, ids=str)
def test_libraries_say_the_same_as_on_a_port(
    broken: Behaviour, error: Callable[..., str], served: tuple[FakeOpenAI, str]
) -> None:
    fake = FakeOpenAI("echo", faults=broken)
    with intercepted(fake):
        in_process = error(ADDRESS)
    assert str(fake.journal[-1].fault) == str(broken)
    if isinstance(broken, RefuseConnection):
        assert in_process == REFUSED[error] == error("http://127.0.0.1:9/v1")
        return
    fake, address = served
    with fake.misbehave(broken):
        assert in_process == error(address)
    if error is httpx2_error:
        assert in_process == error("http://fake.test/v1", transport=FakeOpenAI(faults=broken).official_transport())


@pytest.mark.parametrize("broken", BREAKS, ids=str)
def test_the_official_package_says_the_same_as_on_a_port(broken: Behaviour, served: tuple[FakeOpenAI, str]) -> None:
    import httpx2
    import openai

    def error(address: str, **options: Any) -> tuple[type[Exception], str]:
        with (
            openai.OpenAI(api_key="x", base_url=address, max_retries=0, **options) as client,
            pytest.raises(openai.APIConnectionError) as caught,
        ):
            client.responses.create(**BODY)
        return type(caught.value), type(caught.value.__cause__).__name__

    transport = httpx2.Client(transport=FakeOpenAI(faults=broken).official_transport())
    kind, cause = error("http://fake.test/v1", http_client=transport)
    assert kind is openai.APIConnectionError
    fake, address = served
    with fake.misbehave(broken):
        on_a_port = error(address)
    assert on_a_port == (kind, "ReadError" if isinstance(broken, RefuseConnection) else cause)


@pytest.mark.parametrize("broken", BREAKS, ids=str)
async def test_our_client_has_one_error_for_all(broken: Behaviour, served: tuple[FakeOpenAI, str]) -> None:
    fake, address = served
    fake.journal.clear()
    with fake.misbehave(broken):
        with pytest.raises(antiphon.APIConnectionError):
            fake.client(max_retries=0).responses.create(**BODY)
        with pytest.raises(antiphon.APIConnectionError) as caught:
            await fake.async_client(max_retries=0).responses.create(**BODY)
        assert isinstance(caught.value.__cause__, Severed)
        with OpenAI(base_url=address, api_key="x", max_retries=0) as client:
            with pytest.raises(antiphon.APIConnectionError):
                client.responses.create(**BODY)
        async with AsyncOpenAI(base_url=address, api_key="x", max_retries=0) as aclient:
            with pytest.raises(antiphon.APIConnectionError):
                await aclient.responses.create(**BODY)
        assert len(fake.journal.calls(status=200)) == (
            4 if broken in (ResetConnection("after"), HangUp("after")) else 0
        )
        assert all(each.ended is not None and not each.left_early for each in fake.journal)


@pytest.mark.parametrize("broken", [ResetConnection("after", events=3), HangUp("after", events=3)], ids=str)
def test_a_stream_breaks_behind_its_events(broken: Behaviour, served: tuple[FakeOpenAI, str]) -> None:
    fake, address = served

    def read(client: OpenAI) -> list[str]:
        seen: list[str] = []
        with client, pytest.raises(antiphon.APIConnectionError):
            seen.extend(event.type for event in client.responses.create(**BODY, stream=True))
        return seen

    with fake.misbehave(broken):
        assert len(read(fake.client(max_retries=0))) == 3
        assert len(read(OpenAI(base_url=address, api_key="x", max_retries=0))) == 3
        assert [len(each.events) for each in fake.journal[-2:]] == [3, 3]


def test_a_client_tries_again(served: tuple[FakeOpenAI, str]) -> None:
    fake, address = served
    for broken in (ResetConnection(), HangUp("during"), RefuseConnection()):
        fake.journal.clear()
        with fake.misbehave(broken, when=once()), OpenAI(base_url=address, api_key="x", timeout=20) as client:
            assert client.responses.create(**BODY).output_text == BODY["input"]
        assert [each.status for each in fake.journal] == [None, 200]


def test_what_was_reset_was_acted_upon_and_what_was_refused_was_not() -> None:
    fake = FakeOpenAI("echo")
    client = fake.client(max_retries=0)
    for broken, count in ((RefuseConnection(), 0), (ResetConnection(), 1), (HangUp("during"), 2)):
        with fake.misbehave(broken, when=matching(operation="vector_stores.create")):
            with pytest.raises(antiphon.APIConnectionError):
                client.vector_stores.create(name="mine")
            assert len(list(client.vector_stores.list())) == count


def test_a_connection_that_was_broken_is_no_other_requests(served: tuple[FakeOpenAI, str]) -> None:
    fake, address = served
    with OpenAI(base_url=address, api_key="x", max_retries=0) as client:
        for _ in range(2):
            assert client.responses.create(**BODY).output_text
            with fake.misbehave(ResetConnection()), pytest.raises(antiphon.APIConnectionError):
                client.responses.create(**BODY)
        stream = client.responses.create(**BODY, stream=True)
        next(stream)
        with (
            fake.misbehave(ResetConnection()),
            OpenAI(base_url=address, api_key="x", max_retries=0) as other,
            pytest.raises(antiphon.APIConnectionError),
        ):
            other.responses.create(**BODY)
        assert [event.type for event in stream][-1] == "response.completed"


@pytest.mark.parametrize("broken", [ResetConnection(), HangUp("after", events=2)], ids=str)
async def test_websockets_break(broken: Behaviour, served: tuple[FakeOpenAI, str]) -> None:
    import websockets

    fake, address = served

    def converse(client: OpenAI, seen: list[str]) -> None:
        with client, client.responses.connect() as connection:
            connection.response.create(**BODY, store=False)
            seen.extend(event.type for event in connection)

    async def aconverse(client: AsyncOpenAI, seen: list[str]) -> None:
        async with client, client.responses.connect() as connection:
            await connection.response.create(**BODY, store=False)
            async for event in connection:
                seen.append(event.type)

    count = 2 if isinstance(broken, HangUp) else 0
    with fake.misbehave(broken):
        for client in (fake.client(), OpenAI(base_url=address, api_key="x")):
            seen: list[str] = []
            with pytest.raises(websockets.ConnectionClosedError):
                converse(client, seen)
            assert len(seen) == count
        for aclient in (fake.async_client(), AsyncOpenAI(base_url=address, api_key="x")):
            seen = []
            with pytest.raises(websockets.ConnectionClosedError):
                await aconverse(aclient, seen)
            assert len(seen) == count


def test_under_another_server_of_asgi() -> None:
    import socket
    import threading
    import time

    import httpx2
    import uvicorn

    fake = FakeOpenAI("echo")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server = uvicorn.Server(uvicorn.Config(fake.asgi(), log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        for broken, name in ((ResetConnection(), "ReadError"), (HangUp("after"), "RemoteProtocolError")):
            fake.misbehave(broken)
            assert httpx2_error(address) == name
        fake.misbehave(ReturnStatus(503))
        assert httpx2.post(f"{address}/responses", json=BODY, headers=KEY).status_code == 503
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResetConnection("later"), "reset: where is before, during or after, not 'later'"),
        (lambda: ResetConnection("before", events=2), "reset: events is for where='after', not 'before'"),
        (lambda: HangUp("after", events=-1), "hang_up: events is a whole number, at least 0, not -1"),
    ],
)
def test_bad_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
