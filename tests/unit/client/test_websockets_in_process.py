"""Websockets of a handler in the same process: what the library's connections do, without a socket."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from antiphon import AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.transports.handler import HandlerTransport

FOREVER = 3600.0


def test_a_wait_is_as_long_as_it_is_asked_to_be() -> None:
    with FakeOpenAI().client().responses.connect() as connection:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            connection._socket.receive(0.05)
        assert time.monotonic() - begun >= 0.05


def test_another_thread_ends_a_wait_by_sending_or_closing() -> None:
    with FakeOpenAI().client().responses.connect() as connection:
        timer = threading.Timer(0.05, lambda: connection.response.create(model="gpt-5", input="x"))
        timer.start()
        assert connection.recv().type == "response.created"
        timer.join()
        for event in connection:
            if event.type == "response.completed":
                break
        closer = threading.Timer(0.05, connection.close)
        closer.start()
        assert list(connection) == []
        closer.join()
        for call in (connection.recv, lambda: connection.send({"type": "response.create"})):
            with pytest.raises(ConnectionClosedOK):
                call()
        connection.close()


async def test_the_same_in_an_event_loop() -> None:
    async with FakeOpenAI().async_client().responses.connect() as connection:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.05)
        await connection.response.create(model="gpt-5", input="x")
        assert (await connection.recv()).type == "response.created"
        await connection.close()
        with pytest.raises(ConnectionClosedOK):
            await connection.send({"type": "response.create"})
        while True:
            try:
                await connection.recv()
            except ConnectionClosedOK:
                break
        with pytest.raises(ConnectionClosedOK):
            await connection.recv()


def test_time_is_that_of_the_handler() -> None:
    from tests.unit.client.worlds import Virtual

    fake = FakeOpenAI(latency=FOREVER)
    world = Virtual()

    class Handler:
        def __init__(self) -> None:
            self.world = world

        def __call__(self, request: Any) -> Any:
            return fake(request)

        def dialogue(self, request: Any) -> Any:
            return fake.dialogue(request)

    with OpenAI(api_key="k", transport=Handler()).responses.connect() as connection:
        connection.response.create(model="gpt-5", input="x")
        assert any(event.type == "response.completed" for event in connection)
    assert FOREVER in world.slept


def test_a_transport_of_a_handler_has_its_websockets() -> None:
    client = OpenAI(api_key="k", transport=HandlerTransport(FakeOpenAI()))
    with client.responses.connect() as connection:
        connection.response.create(model="gpt-5", input="x")
        assert connection.recv().type == "response.created"
    assert HandlerTransport(lambda request: None).dialogue is None  # type: ignore[arg-type, return-value]


def test_what_is_refused_is_refused_as_over_the_network() -> None:
    with pytest.raises(InvalidStatus) as refused:
        FakeOpenAI().client().live.sideband.connect(session_id="none").enter()
    response = refused.value.response
    assert (response.status_code, response.reason_phrase) == (404, "Not Found")
    assert b"No active session" in (response.body or b"")
    assert response.headers["x-request-id"].startswith("req_")


async def test_websockets_with_an_address_of_their_own_go_there() -> None:
    elsewhere = {"websocket_base_url": "ws://127.0.0.1:1/v1", "transport": FakeOpenAI(), "api_key": "k"}
    with pytest.raises(OSError):
        OpenAI(**elsewhere).responses.connect().enter()  # type: ignore[arg-type]
    with pytest.raises(OSError):
        await AsyncOpenAI(**elsewhere).responses.connect().enter()  # type: ignore[arg-type]


def test_azure_and_bare_addresses() -> None:
    fake = FakeOpenAI(engine="echo")
    for base in ("http://fake.test", "http://fake.test/openai/v1", "http://fake.test/openai/deployments/gpt-5"):
        with OpenAI(api_key="k", base_url=base, transport=fake).responses.connect() as connection:
            connection.send({"type": "response.create", "model": "gpt-5", "input": "x"})
            assert connection.recv().type == "response.created"


def test_filters_and_limits_hold_for_each_message() -> None:
    asked: list[str] = []

    def note(handler: Any) -> Any:
        def noted(request: Any) -> Any:
            asked.append(f"{request.method} {request.path} {request.headers['authorization']}")
            return handler(request)

        return noted

    with FakeOpenAI(filters=[note]).client().responses.connect() as connection:
        for _ in range(2):
            connection.response.create(model="gpt-5", input="x")
            assert any(event.type == "response.completed" for event in connection)
    assert asked == ["POST /v1/responses Bearer fake"] * 2


def test_what_connects_is_loaded_when_something_does() -> None:
    code = "import sys, antiphon; antiphon.FakeOpenAI().client(); assert 'websockets' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
