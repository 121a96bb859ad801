"""Lanes of a responses websocket, against a server that does what the test scripts, in both colours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from antiphon import AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketBufferError,
    ResponsesWebSocketError,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)
from antiphon.types.websocket_reconnection import ReconnectingEvent
from tests.unit.client.sockets import Peer, Scripted

LIMITS = ResponsesWebSocketLimits(
    max_lanes=8, max_events_per_lane=32, max_events=64, max_bytes_per_lane=100_000, max_bytes=200_000
)


class Driver:
    """A session of either colour."""

    def __init__(self, session: Any, colour: str) -> None:
        self.session = session
        self.colour = colour

    async def __call__(self, lane: Any, method: str, *args: Any) -> Any:
        call = getattr(lane, method)
        if self.colour == "async":
            return await asyncio.wait_for(call(*args), 10)
        return await asyncio.to_thread(call, *args, **({} if method == "send" else {"timeout": 10}))

    async def close(self) -> None:
        await (self.session.close() if self.colour == "async" else asyncio.to_thread(self.session.close))


@asynccontextmanager
async def session(
    colour: str, server: Scripted, limits: ResponsesWebSocketLimits = LIMITS, isolate: bool = False, **options: Any
) -> AsyncGenerator[Driver]:
    if colour == "async":
        client = AsyncOpenAI(api_key="k", base_url=server.url)
        async with (
            client.responses.connect(**options) as connection,
            AsyncResponsesWebSocketSession(connection, limits=limits, isolate_lane_overflow=isolate) as made,
        ):
            yield Driver(made, colour)
        return
    sync = OpenAI(api_key="k", base_url=server.url).responses.connect(**options)
    opened = await asyncio.to_thread(sync.enter)
    lanes = ResponsesWebSocketSession(opened, limits=limits, isolate_lane_overflow=isolate)
    with lanes:
        yield Driver(lanes, colour)


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    colour: str = request.param
    return colour


def tell(peer: Peer, kind: str, lane: str | None = None, **response: Any) -> None:
    named = {} if lane is None else {"stream_id": lane}
    peer.send(type=f"response.{kind}", response={"id": f"resp_{lane}", "status": kind, **response}, **named)


def again(event: ReconnectingEvent) -> None:
    return None


GO = {"type": "response.steer", "previous_response_id": "resp_1", "input": "x"}
CREATE = {"type": "response.create", "input": "x"}


async def test_what_is_sent_in_a_lane_has_its_name(colour: str) -> None:
    def script(peer: Peer) -> None:
        first, second = peer.receive(), peer.receive()
        assert (first["stream_id"], "stream_id" in second) == ("a", False)
        tell(peer, "completed")
        tell(peer, "completed", "a", output=[{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}])
        peer.listen()

    with Scripted(script) as server:
        async with session(colour, server) as driver:
            lane = driver.session.lane("a")
            await driver(lane, "send", CREATE)
            await driver(driver.session.default, "send", CREATE)
            assert (await driver(driver.session.default, "get_final_response")).id == "resp_None"
            final = await driver(lane, "get_final_response")
            assert (final.id, final.output_text) == ("resp_a", "hi")
            assert await driver(lane, "get_final_response") is final
            with pytest.raises(ValueError, match="does not match"):
                await driver(lane, "send", {**CREATE, "stream_id": "b"})
            assert "stream_id" not in CREATE


async def test_one_response_at_a_time_in_a_lane(colour: str) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        tell(peer, "created", "a")
        tell(peer, "completed", "a")
        assert peer.receive()["input"] == "x"
        peer.send(type="error", stream_id="a", error={"message": "no", "code": "invalid_value"})
        peer.receive()
        tell(peer, "failed", "a")
        peer.listen()

    with Scripted(script) as server:
        async with session(colour, server) as driver:
            lane = driver.session.lane("a")
            await driver(lane, "send", CREATE)
            with pytest.raises(RuntimeError, match="Consume the current response"):
                await driver(lane, "send", CREATE)
            assert (await driver(lane, "get_final_response")).status == "completed"
            await driver(lane, "send", CREATE)
            with pytest.raises(ResponsesWebSocketError) as refused:
                await driver(lane, "get_final_response")
            assert refused.value.event.error.code == "invalid_value"  # type: ignore[union-attr]
            await driver(lane, "send", CREATE)
            assert (await driver(lane, "get_final_response")).status == "failed"


async def test_items_stand_in_for_an_output_that_is_left_out(colour: str) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        tell(peer, "created")
        for index in (1, 0):
            peer.send(type="response.output_item.done", output_index=index, item={"type": "x", "id": str(index)})
        tell(peer, "incomplete")
        peer.listen()

    with Scripted(script) as server:
        async with session(colour, server) as driver:
            await driver(driver.session.default, "send", CREATE)
            final = await driver(driver.session.default, "get_final_response")
            assert [each["id"] for each in final["output"]] == ["0", "1"]


async def test_what_has_no_lane_comes_to_the_default_one(colour: str) -> None:
    def script(peer: Peer) -> None:
        assert peer.receive() == GO
        for lane in ("a", "unknown", None, ["odd"]):
            peer.send(type="response.future", stream_id=lane, said=1)
        peer.send(type="response.future", stream_id="a", said=2)
        peer.listen()

    with Scripted(script) as server:
        async with session(colour, server) as driver:
            lane, default = driver.session.lane("a"), driver.session.default
            await driver(lane, "send", GO)
            assert (await driver(lane, "recv")).said == 1
            assert [(await driver(default, "recv"))["stream_id"] for _ in range(3)] == ["unknown", None, ["odd"]]
            lane.close()
            with pytest.raises(EOFError, match="detached"):
                await driver(lane, "recv")
            with pytest.raises(ValueError, match="already registered"):
                driver.session.lane("a")
            with pytest.raises(RuntimeError, match="not active"):
                await driver(lane, "send", CREATE)


async def test_a_wait_that_is_given_up_loses_nothing(colour: str) -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        go.wait(10)
        peer.send(type="response.future", said=1)
        peer.listen()

    with Scripted(script) as server:
        async with session(colour, server) as driver:
            lane = driver.session.default
            if colour == "sync":
                with pytest.raises(TimeoutError):
                    await asyncio.to_thread(lane.recv, timeout=0.01)
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(lane.recv(), 0.01)
            go.set()
            assert (await driver(lane, "recv")).said == 1


@pytest.mark.parametrize("limit", ["max_events_per_lane", "max_events", "max_bytes_per_lane", "max_bytes"])
async def test_too_much_ends_the_session_or_only_its_lane(colour: str, limit: str) -> None:
    size = 150

    def script(peer: Peer) -> None:
        peer.receive()
        for _ in range(3):
            peer.send(type="response.future", stream_id="slow", said="x" * size)
        tell(peer, "completed", "good")
        peer.listen()

    limits = replace(LIMITS, **{limit: 2 if "events" in limit else 2 * (size + 70)})
    with Scripted(script) as server:
        async with session(colour, server, limits) as driver:
            slow = driver.session.lane("slow")
            await driver(slow, "send", GO)
            await asyncio.to_thread(ended, driver)
            assert [(await driver(slow, "recv")).type for _ in range(2)] == ["response.future"] * 2
            with pytest.raises(ResponsesWebSocketBufferError):
                await driver(slow, "recv")
            with pytest.raises(RuntimeError, match="ended"):
                driver.session.lane("new")
        async with session(colour, server, limits, isolate=True) as driver:
            slow, good = driver.session.lane("slow"), driver.session.lane("good")
            await driver(slow, "send", GO)
            assert (await driver(good, "get_final_response")).id == "resp_good"
            for method in ("recv", "get_final_response"):
                with pytest.raises(ResponsesWebSocketBufferError):
                    await driver(slow, method)


def ended(driver: Driver) -> None:
    lanes = driver.session._router
    with lanes.condition:
        assert lanes.condition.wait_for(lambda: lanes.ended, 10)


async def test_a_response_may_have_a_limit_of_its_own(colour: str) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        tell(peer, "created")
        tell(peer, "completed", text="x" * 1000)
        peer.listen()

    with Scripted(script) as server:
        async with session(colour, server, replace(LIMITS, max_response_bytes=500)) as driver:
            await driver(driver.session.default, "send", CREATE)
            with pytest.raises(ResponsesWebSocketBufferError, match="max_response_bytes"):
                await driver(driver.session.default, "get_final_response")


async def test_the_end_of_the_connection(colour: str) -> None:
    def orderly(peer: Peer) -> None:
        peer.receive()
        tell(peer, "created")
        peer.socket.close()

    def sudden(peer: Peer) -> None:
        peer.receive()
        peer.break_off()

    for script, error in ((orderly, EOFError), (sudden, ConnectionClosedError)):
        with Scripted(script) as server:
            async with session(colour, server) as driver:
                await driver(driver.session.default, "send", CREATE)
                with pytest.raises(error):
                    await driver(driver.session.default, "get_final_response")
                with pytest.raises((RuntimeError, ConnectionClosed)):
                    await driver(driver.session.default, "send", CREATE)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to that")


async def test_another_connection_gives_names_back_before_anything_arrives(colour: str) -> None:
    go = threading.Event()

    def first(peer: Peer) -> None:
        go.wait(10)
        peer.socket.close(1012)

    def second(peer: Peer) -> None:
        assert peer.receive()["stream_id"] == "a"
        tell(peer, "completed", "a")
        peer.listen()

    with Scripted(first, second) as server:
        async with session(
            colour, server, replace(LIMITS, max_lanes=2), on_reconnecting=again, initial_delay=0
        ) as driver:
            driver.session.lane("a").close()
            with pytest.raises(ResponsesWebSocketBufferError, match="max_lanes"):
                driver.session.lane("b")
            go.set()
            await until(lambda: driver.session.connection._socket.connections == 2)
            lane = driver.session.lane("a")
            await driver(lane, "send", CREATE)
            assert (await driver(lane, "get_final_response")).id == "resp_a"


async def test_what_is_meant_for_one_connection_does_not_go_over_another(colour: str) -> None:
    lost = threading.Event()

    def first(peer: Peer) -> None:
        lost.wait(10)
        peer.socket.close(1012)

    with Scripted(first, lambda peer: peer.listen()) as server:
        async with session(colour, server, on_reconnecting=again, initial_delay=0) as driver:
            socket = driver.session.connection._socket
            reserved: list[int] = []
            before = socket.pin()
            before.claim(lambda: reserved.append(1))
            lost.set()
            await until(lambda: socket.connections == 2 and not socket._link._held)
            with pytest.raises(RuntimeError, match="restore state"):
                before.claim(lambda: reserved.append(2))
            assert reserved == [1]
            with pytest.raises(ConnectionClosed):
                await before.send("x") if colour == "async" else before.send("x")


async def test_nothing_is_sent_or_kept_while_the_connection_is_made_again(colour: str) -> None:
    asked, go = threading.Event(), threading.Event()

    def wait(event: ReconnectingEvent) -> None:
        asked.set()
        go.wait(10)

    async def await_(event: ReconnectingEvent) -> None:
        asked.set()
        await asyncio.to_thread(go.wait, 10)

    def second(peer: Peer) -> None:
        assert peer.receive()["input"] == "later"
        tell(peer, "completed")
        peer.listen()

    with Scripted(lambda peer: peer.socket.close(1012), second) as server:
        options: Any = {"on_reconnecting": wait if colour == "sync" else await_, "initial_delay": 0}
        async with session(colour, server, **options) as driver:
            await asyncio.to_thread(asked.wait, 10)
            lane = driver.session.default
            with pytest.raises(RuntimeError, match="reconnecting"):
                await driver(lane, "send", CREATE)
            go.set()
            await until(lambda: not driver.session.connection._socket._link._held)
            await driver(lane, "send", {**CREATE, "input": "later"})
            assert (await driver(lane, "get_final_response")).status == "completed"


async def test_a_connection_has_one_session_which_is_entered_once(colour: str) -> None:
    with Scripted(lambda peer: peer.listen()) as server:
        async with session(colour, server) as driver:
            made = driver.session
            other = type(made)(made.connection, limits=LIMITS)
            with pytest.raises(RuntimeError, match="already has"):
                await other.__aenter__() if colour == "async" else other.__enter__()
            with pytest.raises(RuntimeError, match="once"):
                await made.__aenter__() if colour == "async" else made.__enter__()
            with pytest.raises(RuntimeError, match="enter the session"):
                await driver(other.default, "recv")
            with pytest.raises(RuntimeError, match="not active"):
                await driver(other.default, "send", CREATE)
            await driver.close()
            await driver.close()
            with pytest.raises(EOFError):
                await driver(made.default, "recv")


@pytest.mark.parametrize("name", [0, "", "x" * 257, "a b", "é", b"a"])
def test_names_of_lanes(name: Any) -> None:
    with FakeOpenAI().client().responses.connect() as connection:
        lanes = ResponsesWebSocketSession(connection, limits=LIMITS)
        with pytest.raises(ValueError, match="stream_id"):
            lanes.lane(name)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "1", None])
def test_limits_are_positive_integers(value: Any) -> None:
    with pytest.raises(ValueError, match="max_lanes"):
        replace(LIMITS, max_lanes=value)
    assert replace(LIMITS, max_response_bytes=None).max_response_bytes is None
