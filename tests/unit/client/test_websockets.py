"""Websocket connections against a real server, every scenario in both colours."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus, SecurityError
from websockets.sync.server import serve

from antiphon import (
    APIError,
    AsyncOpenAI,
    OpenAI,
    OpenAIError,
    WebSocketConnectionClosedError,
    WebSocketQueueFullError,
    omit,
)
from antiphon.api.connections import RealtimeConnection
from antiphon.types.realtime import (
    ConversationItemCreatedEvent,
    ResponseCreateEvent,
    SessionCreatedEvent,
)
from antiphon.types.realtime.realtime_response_create_params import RealtimeResponseCreateParams
from antiphon.types.responses.responses_server_event import ResponseWsCreated
from antiphon.types.websocket_reconnection import ReconnectingEvent

from .sockets import Peer, Scripted, blocking

Connect = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a client; that of the other colour as its blocking twin."""
    if request.param == "sync":
        yield lambda server, **settings: OpenAI(api_key="key", base_url=server.url, **settings)
        return
    with blocking() as twin:
        yield lambda server, **settings: twin(AsyncOpenAI(api_key="key", base_url=server.url, **settings))


def created(peer: Peer) -> None:
    peer.send(type="session.created", event_id="event_1", session={"type": "realtime", "model": "m"})


def talk(peer: Peer) -> None:
    created(peer)
    peer.listen()


FAST = {"initial_delay": 0.01, "max_delay": 0.05}


# Events


def test_events_are_typed_both_ways(client: Connect) -> None:
    def script(peer: Peer) -> None:
        created(peer)
        assert peer.receive() == {
            "type": "session.update",
            "session": {"type": "realtime", "instructions": "Be brief."},
        }
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Grüße"}]}
        assert peer.receive() == {"type": "conversation.item.create", "item": item, "event_id": "event_9"}
        peer.send(type="conversation.item.created", event_id="event_2", item={**item, "id": "item_1"})
        assert peer.receive() == {"type": "response.create", "response": {"instructions": "Now."}}
        assert peer.receive() == {"type": "response.cancel"}
        peer.send(type="something.new", event_id="event_3", detail={"left": "as it is"})

    with Scripted(script) as server, client(server).realtime.connect(model="gpt-realtime") as connection:
        first = connection.recv()
        assert type(first) is SessionCreatedEvent
        assert first.session.model == "m"
        connection.session.update(session={"type": "realtime", "instructions": "Be brief."}, event_id=omit)
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Grüße"}]}
        connection.conversation.item.create(item=item, event_id="event_9")
        second = connection.parse_event(connection.recv_bytes())
        assert type(second) is ConversationItemCreatedEvent
        assert second.item.content[0].text == "Grüße"
        event = ResponseCreateEvent(type="response.create", response=RealtimeResponseCreateParams(instructions="Now."))
        connection.send(event)
        connection.send_raw(b'{"type": "response.cancel"}')
        events = list(connection)
        assert [each.type for each in events] == ["something.new"]
        assert events[0]["detail"] == {"left": "as it is"}
    assert isinstance(server.peers[0].received[0], str)
    assert isinstance(server.peers[0].received[3], bytes)


def test_what_python_has_is_written_as_json(client: Connect) -> None:
    with Scripted(talk) as server, client(server).responses.connect() as connection:
        connection.recv()
        connection.response.create(model="gpt-5", input=({"role": "user", "content": "x"} for _ in range(2)), user=omit)
        connection.response.create(metadata={"kept": "yes", "left out": omit}, store=None)
        connection.response.steer(input="more", previous_response_id="resp_1")
    assert [json.loads(each) for each in server.peers[0].received] == [
        {"type": "response.create", "model": "gpt-5", "input": [{"role": "user", "content": "x"}] * 2},
        {"type": "response.create", "metadata": {"kept": "yes"}, "store": None},
        {"type": "response.steer", "input": "more", "previous_response_id": "resp_1"},
    ]


def test_wrong_arguments_are_refused_before_anything_is_sent() -> None:
    with Scripted(talk) as server:
        connected = OpenAI(api_key="key", base_url=server.url).live.connect().enter()
        sent: Any = connected.session
        with pytest.raises(TypeError, match=r"update\(\) got an unexpected keyword argument 'sesion'"):
            sent.update(sesion={})
        with pytest.raises(TypeError, match=r"append\(\) is missing required arguments: 'content', 'delegation_id'"):
            sent.commentary.append()
        with pytest.raises(TypeError, match="has no JSON"):
            sent.update(session={"at": object()})
        connected.close()
    assert server.peers[0].received == []


def test_each_connection_reads_events_of_its_own(client: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(type="response.created", sequence_number=0, response={"id": "resp_1", "output": []})
        peer.listen()

    with Scripted(script) as server:
        with client(server).responses.connect() as connection:
            event = connection.recv()
            assert type(event) is ResponseWsCreated
            assert event.response.id == "resp_1"
        with client(server).beta.responses.connect() as connection:
            assert type(connection.recv()).__name__ == "BetaResponseWsCreated"


# Ends


def test_iteration_ends_when_the_server_closes_in_order(client: Connect) -> None:
    with Scripted(created) as server, client(server).realtime.connect(model="m") as connection:
        assert [event.type for event in connection] == ["session.created"]
        with pytest.raises(ConnectionClosedOK):
            connection.recv()
        with pytest.raises(ConnectionClosedOK):
            connection.send({"type": "response.cancel"})


@pytest.mark.parametrize(("end", "code"), [(Peer.break_off, 1006), (lambda peer: peer.socket.close(1011, "why"), 1011)])
def test_a_lost_connection_raises(client: Connect, end: Callable[[Peer], None], code: int) -> None:
    def script(peer: Peer) -> None:
        created(peer)
        end(peer)

    with Scripted(script) as server, client(server).realtime.connect(model="m") as connection:
        events = iter(connection)
        assert next(events).type == "session.created"
        with pytest.raises(ConnectionClosedError) as caught:
            next(events)
        assert (caught.value.rcvd.code if caught.value.rcvd else 1006) == code
    assert len(server.peers) == 1


def test_leaving_the_block_closes_the_connection(client: Connect) -> None:
    ended: list[int] = []

    def script(peer: Peer) -> None:
        created(peer)
        with contextlib.suppress(ConnectionClosedError):
            peer.listen()
        assert peer.socket.close_code is not None
        ended.append(peer.socket.close_code)

    with Scripted(script) as server:
        with client(server).realtime.connect(model="m") as connection:
            connection.recv()
        with pytest.raises(KeyError), client(server).realtime.connect(model="m") as connection:
            raise KeyError(connection.recv())
        connection = client(server).realtime.connect(model="m").enter()
        connection.recv()
        connection.close(code=3000, reason="enough")
    assert sorted(ended) == [1000, 1000, 3000]


def test_what_the_library_raises_when_connecting_is_raised(client: Connect) -> None:
    with Scripted(talk) as server:
        server.refuse = [401]
        with pytest.raises(InvalidStatus) as caught, client(server).realtime.connect(model="m"):
            pass
        assert caught.value.response.status_code == 401
    with pytest.raises(OSError), client(server).realtime.connect(model="m"):
        pass


async def test_a_redirect_to_another_host_is_not_followed() -> None:
    def redirect(connection: Any, request: Any) -> Any:
        answer = connection.respond(http.HTTPStatus.TEMPORARY_REDIRECT, "")
        answer.headers["Location"] = f"ws://127.0.0.1:{other.port}/v1/realtime"
        return answer

    with Scripted(talk) as other:
        with serve(lambda connection: None, "127.0.0.1", 0, process_request=redirect) as redirecting:
            thread = threading.Thread(target=redirecting.serve_forever)
            thread.start()
            url = f"http://127.0.0.1:{redirecting.socket.getsockname()[1]}/v1"
            with pytest.raises(SecurityError):
                await AsyncOpenAI(api_key="key", base_url=url).realtime.connect(model="m").enter()
            redirecting.shutdown()
            thread.join()
    assert other.handshakes == []


# Connecting again


def lost(peer: Peer) -> None:
    created(peer)
    peer.break_off()


def test_a_lost_connection_is_made_again_where_somebody_asks_for_it(client: Connect) -> None:
    told: list[ReconnectingEvent] = []

    def script(peer: Peer) -> None:
        created(peer)
        peer.socket.close(1012, "restart")

    def again(event: ReconnectingEvent) -> Any:
        told.append(event)
        return {"extra_query": {"n": event.attempt}, "extra_headers": {"x-again": "yes"}}

    with Scripted(script, lost, created) as server:
        manager = client(server).realtime.connect(
            model="m", on_reconnecting=again, extra_query={"n": 0}, initial_delay=0.02, max_delay=8.0
        )
        with manager as connection:
            assert [event.type for event in connection] == ["session.created"] * 3
    assert [event.close_code for event in told] == [1012, 1006]
    # An event arrived in between, so the attempts are counted anew.
    assert [(event.attempt, event.max_attempts) for event in told] == [(1, 5), (1, 5)]
    assert all(0.015 <= event.delay <= 0.02 for event in told)
    assert [event.extra_query for event in told] == [{"n": 0}, {"n": 1}]
    assert [handshake.query for handshake in server.handshakes] == [
        [("model", "m"), ("n", "0")],
        [("model", "m"), ("n", "1")],
        [("model", "m"), ("n", "1")],
    ]
    assert [handshake.header("x-again") for handshake in server.handshakes] == [None, "yes", "yes"]


def test_attempts_are_limited_and_wait_longer_each_time(client: Connect) -> None:
    told: list[ReconnectingEvent] = []
    with Scripted(lost) as server:
        manager = client(server).realtime.connect(
            model="m", on_reconnecting=told.append, max_retries=4, initial_delay=0.02, max_delay=0.05
        )
        with manager as connection:
            events = iter(connection)
            next(events)
            server.refuse = [503] * 10
            with pytest.raises(ConnectionClosedError):
                next(events)
            with pytest.raises(ConnectionClosedError):
                connection.send({"type": "response.cancel"})
    assert [event.attempt for event in told] == [1, 2, 3, 4]
    for event, longest in zip(told, (0.02, 0.04, 0.05, 0.05), strict=True):
        assert 0.75 * longest <= event.delay <= longest
    assert len(server.handshakes) == 5


def test_an_error_event_does_not_count_attempts_anew(client: Connect) -> None:
    def refusing(peer: Peer) -> None:
        peer.send(type="error", event_id="e", error={"type": "server_error", "message": "full"})
        peer.break_off()

    told: list[int] = []
    with Scripted(refusing) as server:
        manager = client(server).realtime.connect(
            model="m", on_reconnecting=lambda event: told.append(event.attempt), max_retries=2, **FAST
        )
        seen: list[Any] = []
        with manager as connection, pytest.raises(ConnectionClosedError):
            seen.extend(connection)
    assert told == [1, 2]


@pytest.mark.parametrize("code", [1000, 1008, 3000, 4001])
def test_some_closes_are_final(client: Connect, code: int) -> None:
    told: list[ReconnectingEvent] = []
    with Scripted(lambda peer: peer.socket.close(code)) as server:
        with client(server).realtime.connect(model="m", on_reconnecting=told.append, **FAST) as connection:
            if code == 1000:
                assert list(connection) == []
            else:
                with pytest.raises(ConnectionClosedError):
                    list(connection)
    assert told == []


@pytest.mark.parametrize("answer", [{"abort": True}, ZeroDivisionError("of the caller's")])
def test_the_caller_may_give_up(client: Connect, answer: Any) -> None:
    def again(event: ReconnectingEvent) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with Scripted(lost) as server:
        with client(server).realtime.connect(model="m", on_reconnecting=again, **FAST) as connection:
            with pytest.raises(ConnectionClosedError):
                list(connection)
    assert len(server.handshakes) == 1


def test_recv_does_not_connect_again(client: Connect) -> None:
    told: list[ReconnectingEvent] = []
    with Scripted(lost) as server:
        with client(server).realtime.connect(model="m", on_reconnecting=told.append, **FAST) as connection:
            connection.recv()
            with pytest.raises(ConnectionClosedError):
                connection.recv()
    assert told == []


def test_what_is_sent_meanwhile_is_sent_afterwards_in_order(client: Connect) -> None:
    connection: Any = None

    def again(event: ReconnectingEvent) -> None:
        for number in range(3):
            sending = connection.target if hasattr(connection, "target") else connection
            answer = sending.send({"type": "response.cancel", "event_id": f"event_{number}"})
            if answer is not None:
                with pytest.raises(StopIteration):
                    answer.send(None)

    def second(peer: Peer) -> None:
        for _ in range(4):
            peer.receive()
        created(peer)

    with Scripted(lost, second) as server:
        with client(server).realtime.connect(model="m", on_reconnecting=again, **FAST) as connection:
            seen = 0
            for _ in connection:
                seen += 1
                if seen == 1:
                    assert server.peers[0].received == []
                    threading.Timer(0.2, lambda: None).start()
                    # Sent while it is made again, or over the new connection: behind the others either way.
                    threading.Thread(target=_later, args=(server, connection)).start()
            assert seen == 2
    assert [json.loads(each)["event_id"] for each in server.peers[1].received] == [
        "event_0",
        "event_1",
        "event_2",
        "event_last",
    ]


def _later(server: Scripted, connection: Any) -> None:
    deadline = time.monotonic() + 5
    while len(server.handshakes) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    connection.send({"type": "response.cancel", "event_id": "event_last"})


def test_the_queue_is_limited_in_bytes(client: Connect) -> None:
    with Scripted(talk) as server:
        manager = client(server).realtime.connect(model="m", max_queue_size=60)
        manager.send({"type": "response.cancel"})
        manager.send({"type": "response.cancel"})
        with pytest.raises(WebSocketQueueFullError, match="52 bytes wait, 26 more are over the limit of 60"):
            manager.send({"type": "response.cancel"})
        with manager as connection:
            connection.recv()
            connection.send({"type": "input_audio_buffer.append", "audio": "x" * 1000})
    assert [json.loads(each)["type"] for each in server.peers[0].received] == [
        "response.cancel",
        "response.cancel",
        "input_audio_buffer.append",
    ]


def test_what_was_not_sent_is_told(client: Connect) -> None:
    connection: Any = None

    def again(event: ReconnectingEvent) -> Any:
        sending = connection.target if hasattr(connection, "target") else connection
        for message in ('{"type":"a"}', b"\xff\xfe", b"text"):
            answer = sending.send_raw(message)
            if answer is not None:
                with pytest.raises(StopIteration):
                    answer.send(None)
        return {"abort": True}

    with Scripted(lost) as server:
        with client(server).realtime.connect(model="m", on_reconnecting=again, **FAST) as connection:
            with pytest.raises(WebSocketConnectionClosedError) as caught:
                list(connection)
    assert caught.value.unsent_frames == ['{"type":"a"}', b"\xff\xfe", b"text"]
    assert caught.value.unsent_messages == ['{"type":"a"}', "text"]
    assert caught.value.code == 1006
    assert isinstance(caught.value.__cause__, ConnectionClosedError)


def test_closing_ends_the_attempts_at_once(client: Connect) -> None:
    waiting = threading.Event()

    def again(event: ReconnectingEvent) -> None:
        waiting.set()

    with Scripted(lost) as server:
        with client(server).realtime.connect(
            model="m", on_reconnecting=again, initial_delay=30, max_delay=30
        ) as connection:
            closer = threading.Thread(target=lambda: (waiting.wait(5), connection.close()))
            closer.start()
            started = time.monotonic()
            with pytest.raises(ConnectionClosedError):
                list(connection)
            assert time.monotonic() - started < 5
            closer.join()
    assert len(server.handshakes) == 1


# Under load


def test_many_may_send_at_the_same_time(client: Connect) -> None:
    with Scripted(talk) as server, client(server).realtime.connect(model="m") as connection:
        connection.recv()

        def send(number: int) -> None:
            for count in range(50):
                connection.input_audio_buffer.append(audio=f"{number}:{count}:" + "x" * 500)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    audio = [json.loads(each)["audio"].split(":") for each in server.peers[0].received]
    assert len(audio) == 400
    for number in range(8):
        assert [int(count) for sender, count, _ in audio if int(sender) == number] == list(range(50))


def test_who_reads_slowly_loses_nothing(client: Connect) -> None:
    def script(peer: Peer) -> None:
        for number in range(300):
            peer.send(type="response.output_audio.delta", delta="x" * 20_000, event_id=str(number))

    with Scripted(script) as server, client(server).realtime.connect(model="m") as connection:
        numbers: list[int] = []
        for event in connection:
            numbers.append(int(event.event_id))
            if len(numbers) % 100 == 1:
                time.sleep(0.3)
    assert numbers == list(range(300))


def test_who_stops_reading_can_leave(client: Connect) -> None:
    def script(peer: Peer) -> None:
        for _ in range(500):
            peer.send(type="response.output_audio.delta", delta="x" * 20_000)
        peer.listen()

    with Scripted(script) as server:
        with client(server).realtime.connect(model="m") as connection:
            connection.recv()
            started = time.monotonic()
        assert time.monotonic() - started < 5  # the library would wait for 10 seconds
        with pytest.raises(ConnectionClosedOK):
            connection.recv()


def test_a_reader_is_told_when_another_thread_leaves(client: Connect) -> None:
    def script(peer: Peer) -> None:
        for _ in range(2000):
            peer.send(type="response.output_audio.delta", delta="x" * 20_000)
        peer.listen()

    problems: list[BaseException] = []

    def reading() -> None:
        try:
            for _ in connection:
                time.sleep(0.001)
        except BaseException as error:
            problems.append(error)

    with Scripted(script) as server:
        with client(server).realtime.connect(model="m") as connection:
            thread = threading.Thread(target=reading)
            thread.start()
            time.sleep(0.1)
        thread.join(5)
        assert not thread.is_alive()
    assert problems == []


# Only in an event loop


async def test_a_cancelled_recv_loses_nothing() -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        go.wait(5)
        created(peer)

    with Scripted(script) as server:
        async with AsyncOpenAI(api_key="key", base_url=server.url).realtime.connect(model="m") as connection:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connection.recv(), 0.02)
            go.set()
            assert (await connection.recv()).type == "session.created"


async def test_a_reader_cancelled_while_connecting_again_leaves_nothing_behind() -> None:
    release = threading.Event()
    attempts: list[int] = []
    trying, caught_up = asyncio.Event(), asyncio.Event()

    def again(event: ReconnectingEvent) -> None:
        attempts.append(event.attempt)
        trying.set()

    def first(peer: Peer) -> None:
        created(peer)
        peer.break_off()

    def second(peer: Peer) -> None:
        release.wait(5)
        created(peer)
        peer.listen()

    with Scripted(first, second) as server:
        manager = AsyncOpenAI(api_key="key", base_url=server.url).realtime.connect(
            model="m", on_reconnecting=again, initial_delay=30, max_delay=0.05
        )
        async with manager as connection:
            read: list[str] = []

            async def reading() -> None:
                async for event in connection:
                    read.append(event.type)
                    if len(read) == 2:
                        caught_up.set()

            task = asyncio.create_task(reading())
            await trying.wait()
            await connection.send({"type": "response.cancel"})
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Reading again takes up where the other reader was broken off; what was kept goes first.
            release.set()
            task = asyncio.create_task(reading())
            await caught_up.wait()
            await connection.send({"type": "input_audio_buffer.clear"})
            await connection.close()
            await task
    assert attempts == [1, 2]
    assert [json.loads(each)["type"] for each in server.peers[1].received] == [
        "response.cancel",
        "input_audio_buffer.clear",
    ]


async def test_on_reconnecting_may_be_a_coroutine_function() -> None:
    async def again(event: ReconnectingEvent) -> Any:
        await asyncio.sleep(0)
        return {"extra_query": {"again": "1"}}

    with Scripted(lost, created) as server:
        client = AsyncOpenAI(api_key="key", base_url=server.url)
        async with client.realtime.connect(model="m", on_reconnecting=again, initial_delay=0.01) as connection:
            assert [event.type async for event in connection] == ["session.created"] * 2
    assert ("again", "1") in server.handshakes[1].query


# Handlers


def test_handlers_are_called_with_events_of_their_type(client: Connect) -> None:
    def script(peer: Peer) -> None:
        for _ in range(2):
            created(peer)
            peer.send(type="input_audio_buffer.cleared", event_id="c")

    seen: list[str] = []

    with Scripted(script) as server:
        manager = client(server).realtime.connect(model="m")

        @manager.on("session.created")
        def on_created(event: SessionCreatedEvent) -> None:
            seen.append(f"created {event.event_id}")

        removed = lambda event: seen.append("removed")  # noqa: E731
        assert manager.on("session.created", removed) is manager
        manager.off("session.created", removed)
        manager.off("session.created", removed)
        with manager as connection:
            connection.once("input_audio_buffer.cleared", lambda event: seen.append("once"))
            connection.on("event")(lambda event: seen.append(f"any {event.type}"))
            connection.dispatch_events()
    assert seen == [
        "created event_1",
        "any session.created",
        "once",
        "any input_audio_buffer.cleared",
        "created event_1",
        "any session.created",
        "any input_audio_buffer.cleared",
    ]


async def test_handlers_may_be_coroutine_functions() -> None:
    seen: list[str] = []

    async def handler(event: Any) -> None:
        await asyncio.sleep(0)
        seen.append(event.type)

    with Scripted(created) as server:
        async with AsyncOpenAI(api_key="key", base_url=server.url).realtime.connect(model="m") as connection:
            connection.on("session.created", handler)
            await connection.dispatch_events()
    assert seen == ["session.created"]


def test_an_error_that_nobody_handles_is_raised(client: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.send(type="error", event_id="e", error={"type": "invalid_request_error", "message": "No.", "code": "nope"})

    with Scripted(script) as server:
        with client(server).realtime.connect(model="m") as connection:
            with pytest.raises(APIError, match=r"WebSocket error: No\.") as caught:
                connection.dispatch_events()
            assert (caught.value.code, caught.value.type) == ("nope", "invalid_request_error")
        seen: list[Any] = []
        with client(server).realtime.connect(model="m") as connection:
            connection.on("error", seen.append)
            connection.dispatch_events()
        assert [event.error.message for event in seen] == ["No."]


# What it takes


def test_without_the_package_there_is_a_hint(client: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from antiphon.client.websockets import pumps

    monkeypatch.setattr(pumps, "_same_origin", None)
    for name in ("websockets.sync.client", "websockets.asyncio.client"):
        monkeypatch.setitem(sys.modules, name, None)
    with Scripted(talk) as server:
        manager = client(server).realtime.connect(model="m")
        with pytest.raises(OpenAIError, match=r"install `antiphon\[realtime\]`"):
            manager.enter()


def test_connections_have_no_responses() -> None:
    raw: Any = OpenAI(api_key="key").with_raw_response
    with pytest.raises(TypeError, match="no response"):
        raw.realtime.connect(model="m")


def test_names_to_annotate_with() -> None:
    with Scripted(talk) as server, OpenAI(api_key="key", base_url=server.url).realtime.connect(model="m") as connection:
        assert type(connection) is RealtimeConnection
