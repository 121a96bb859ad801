"""Sessions of realtime translation, against a server that does what the test scripts, in both colours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from antiphon import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI, OpenAIError
from antiphon.lib.realtime_translation import AsyncTranslationSession, TranslationSession
from tests.unit.client.sockets import Peer, Scripted

AUDIO = {"type": "session.input_audio_buffer.append", "audio": "AAAA"}
CLOSE = {"type": "session.close"}


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    colour: str = request.param
    return colour


class Talk:
    def __init__(self, connection: Any, colour: str) -> None:
        self.connection, self.colour = connection, colour

    async def __call__(self, method: str, *args: Any, **options: Any) -> Any:
        call = getattr(self.connection, method)
        if self.colour == "async":
            return await asyncio.wait_for(call(*args), 10)
        return await asyncio.to_thread(call, *args, **options)


def made(colour: str, settings: dict[str, Any], **options: Any) -> Any:
    settings = {"api_key": "k", **settings}
    if colour == "async":
        return AsyncTranslationSession(AsyncOpenAI(**settings).realtime.translations, **options)
    return TranslationSession(OpenAI(**settings).realtime.translations, **options)


@asynccontextmanager
async def session(colour: str, settings: dict[str, Any], **options: Any) -> AsyncGenerator[Talk]:
    entered = made(colour, settings, **{"model": "m", **options})
    if colour == "async":
        async with entered as connection:
            yield Talk(connection, colour)
        return
    with entered as connection:
        yield Talk(connection, colour)


async def test_what_is_translated_is_heard_to_its_end(colour: str) -> None:
    def script(peer: Peer) -> None:
        assert [peer.receive(), peer.receive()] == [AUDIO, CLOSE]
        peer.send(type="session.closed")  # not whole: it ends nothing
        peer.send(type="session.output_transcript.delta", event_id="1", delta="Bonjour")
        peer.send(type="session.closed", event_id="2")
        peer.listen()

    with Scripted(script) as server:
        async with session(colour, {"base_url": server.url}) as talk:
            await talk("send", AUDIO)
            await talk("send", CLOSE)
            await talk("send", CLOSE)  # once is enough
            with pytest.raises(OpenAIError, match="input is closed"):
                await talk("send", AUDIO)
            with pytest.raises(ValueError, match="event_id"):
                await talk("recv")
            assert (await talk("recv")).delta == "Bonjour"
            assert (await talk("recv")).event_id == "2"
            with pytest.raises(OpenAIError, match="input is closed"):
                await talk("send", CLOSE)
            with pytest.raises(ConnectionClosed):
                await talk("recv")
            await talk("close")
        assert len(server.peers[0].received) == 2


async def test_an_end_without_goodbye_is_told(colour: str) -> None:
    with Scripted(lambda peer: peer.socket.close()) as server:
        async with session(colour, {"base_url": server.url}) as talk:
            with pytest.raises(ConnectionClosed):
                await talk("recv")
            with pytest.raises(ConnectionClosed):
                await talk("send", AUDIO)
            with pytest.raises(OpenAIError, match="input is closed"):
                await talk("send", AUDIO)


def test_a_wait_may_be_short_and_closing_takes_none_of_it() -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        go.wait(10)
        peer.send(type="session.closed", event_id="1")
        peer.listen()

    with Scripted(script) as server:
        with made("sync", {"base_url": server.url}, model="m") as connection:
            with pytest.raises(TimeoutError):
                connection.recv(timeout=0.01)
            go.set()
            assert connection.recv(timeout=10).type == "session.closed"
            connection.close()
            connection.close()


async def test_where_it_connects_to(colour: str) -> None:
    def script(peer: Peer) -> None:
        peer.listen()

    with Scripted(script) as server:
        base = f"{server.url}?tenant=t&priority=base"
        gateway = f"{server.url}?gateway=g&priority=gateway".replace("http:", "ws:")
        settings = {"base_url": base, "default_query": {"mine": "d"}, "websocket_base_url": gateway}
        async with session(colour, settings, extra_query={"x": "1"}, extra_headers={"x-y": "z"}):
            pass
        (handshake,) = server.handshakes
        assert sorted(handshake.query) == [
            ("gateway", "g"),
            ("mine", "d"),
            ("model", "m"),
            ("priority", "gateway"),
            ("tenant", "t"),
            ("x", "1"),
        ]
        assert handshake.header("x-y") == "z"


async def test_what_cannot_be_a_session(colour: str) -> None:
    async def enter(found: Any) -> None:
        await found.enter() if colour == "async" else found.enter()

    base = {"base_url": "http://127.0.0.1:1/v1"}
    with pytest.raises(ValueError, match="model"):
        await enter(made(colour, base, model=""))
    for settings, options in (
        ({"base_url": "http://127.0.0.1:1/v1?intent=x"}, {}),
        ({**base, "default_query": {"intent": "x"}}, {}),
        ({**base, "websocket_base_url": "ws://127.0.0.1:1/v1?intent=x"}, {}),
        (base, {"extra_query": {"intent": "x"}}),
    ):
        with pytest.raises(ValueError, match="intent"):
            await enter(made(colour, settings, model="m", **options))
    azure: dict[str, Any] = {"azure_endpoint": "https://x.test", "api_version": "v", "api_key": "k"}
    resource: Any = (AsyncAzureOpenAI if colour == "async" else AzureOpenAI)(**azure).realtime.translations
    kind: Any = AsyncTranslationSession if colour == "async" else TranslationSession
    with pytest.raises(OpenAIError, match="not available through this provider"):
        await enter(kind(resource, model="m"))


async def test_a_session_is_entered_once(colour: str) -> None:
    with Scripted(lambda peer: peer.listen()) as server:
        found = made(colour, {"base_url": server.url}, model="m")
        connection = await found.enter() if colour == "async" else found.enter()
        with pytest.raises(RuntimeError, match="once"):
            await found.enter() if colour == "async" else found.enter()
        await Talk(connection, colour)("close")
