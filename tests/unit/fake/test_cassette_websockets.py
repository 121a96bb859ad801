"""Websockets that are recorded while they are held, and held again as they were recorded."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from antiphon import AsyncOpenAI, FakeOpenAI
from antiphon.fake.cassettes import Cassette, CassetteError, Mode
from antiphon.fake.cassettes.files import load
from antiphon.fake.cassettes.pairs import told_apart
from antiphon.fake.cassettes.safety import verified
from antiphon.kernel.dialogue import Conversation, Goodbye, Turn
from antiphon.kernel.flow import Pause, World
from antiphon.kernel.http import Headers, Request, Response
from antiphon.server.clock import VirtualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cassettes" / "socket.yaml"


def respond(connection: Any, text: str, **more: Any) -> list[Any]:
    connection.response.create(model="gpt-5", input=text, **more)
    events: list[Any] = []
    for event in connection:
        events.append(event)
        if event.type in ("response.completed", "error"):
            return events
    return events


def converse(cassette: Cassette) -> list[str]:
    """Two responses over one connection, and a realtime session, which the server begins."""
    client = cassette.client()
    with client.responses.connect() as connection:
        events = respond(connection, "Hi")
        events += respond(connection, "More", previous_response_id=events[-1].response.id)
    with client.realtime.connect(model="gpt-realtime") as session:
        events.append(session.recv())
        session.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        )
        session.response.create()
        for event in session:
            events.append(event)
            if event.type == "response.done":
                break
    return [event.to_json() for event in events]


@pytest.mark.parametrize("where", ["in process", "over the network"])
def test_what_was_said_is_said_again(path: Path, where: str) -> None:
    fake = FakeOpenAI()
    with fake.start(port=0) as server:
        with Cassette(path, upstream=fake if where == "in process" else server.base_url) as cassette:
            recorded = converse(cassette)
    with Cassette(path, "strict") as cassette:
        assert converse(cassette) == recorded
        cassette.assert_all_played()
    with Cassette(path, "none") as cassette:
        assert converse(cassette) == recorded == converse(cassette)  # again and again
    first, second = yaml.safe_load(path.read_text())["exchanges"]
    assert first["request"]["url"].endswith("/v1/responses")
    assert second["request"]["url"].endswith("/v1/realtime?model=gpt-realtime")
    assert first["request"]["url"].startswith("wss://api" if where == "in process" else "ws://127.0.0.1")
    assert [each["from"] for each in second["dialogue"]["messages"][:2]] == ["server", "client"]
    assert not verified(path)


@pytest.mark.parametrize("played", [False, True])
def test_on_a_port_in_an_event_loop(path: Path, played: bool) -> None:
    async def talk(cassette: Cassette) -> list[str]:
        with cassette.start(port=0) as server:
            async with AsyncOpenAI(base_url=server.base_url, api_key="k") as client:
                async with client.responses.connect() as connection:
                    await connection.response.create(model="gpt-5", input="Hi")
                    events = []
                    async for event in connection:
                        events.append(event.to_json())
                        if event.type == "response.completed":
                            return events
        return []

    with FakeOpenAI().start(port=0) as real, Cassette(path, upstream=real.base_url) as cassette:
        recorded = asyncio.run(talk(cassette))
    assert recorded
    if played:
        with Cassette(path, "strict") as cassette:
            assert asyncio.run(talk(cassette)) == recorded
            cassette.assert_all_played()


def test_a_message_that_differs_shows_the_nearest_and_the_difference(path: Path) -> None:
    with Cassette(path, upstream=FakeOpenAI()) as cassette:
        for text in ("Is it cold?", "Is it warm in Oslo?"):
            with cassette.client().responses.connect() as connection:
                respond(connection, text)
    with Cassette(path, "none") as cassette:
        with cassette.client().responses.connect() as connection:
            (error,) = respond(connection, "Is it warm in Rome?")
            assert not list(connection)  # the connection is closed
    assert error.type == "error"
    assert error.error.code == "no_recording"
    (miss,) = cassette.misses
    assert miss.message == error.error.message
    assert "Message 1 of the client in the websocket /v1/responses is not in" in miss.message
    assert "The nearest is recording 2, at line" in miss.message
    assert "\n  body.input: recorded 'Is it warm in Oslo?', asked 'Is it warm in Rome?'" in miss.message
    assert "--antiphon-record=all" in miss.message
    with Cassette(path, "none") as cassette, cassette.client().responses.connect() as connection:
        respond(connection, "Is it cold?")
        (error,) = respond(connection, "Still?")
    assert "Message 2" in error.error.message
    assert "recording 1, at line 3 has ended there" in error.error.message


def test_an_address_that_is_not_recorded_is_refused(path: Path) -> None:
    with Cassette(path, upstream=FakeOpenAI()) as cassette, cassette.client().responses.connect() as connection:
        respond(connection, "Hi")
    cassette = Cassette(path, "none")
    answer = cassette.dialogue(Request("GET", "/v1/realtime", "model=gpt-realtime"))
    assert isinstance(answer, Response)
    assert answer.json()["error"]["code"] == "no_recording"
    assert "WEBSOCKET /v1/realtime is not in" in cassette.misses[0].message
    plain = cassette(Request("GET", "/v1/responses"))  # what is no websocket is not answered with one
    assert isinstance(plain, Response)
    assert plain.status == 404


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [("none", "error"), ("once", "error"), ("strict", "error"), ("new", "response.completed")],
)
def test_what_is_not_recorded_is_recorded_where_the_mode_says_so(path: Path, mode: Mode, outcome: str) -> None:
    with Cassette(path, upstream=FakeOpenAI()) as cassette, cassette.client().responses.connect() as connection:
        recorded = respond(connection, "Hi")
    with Cassette(path, mode, upstream=FakeOpenAI()) as cassette:
        with cassette.client().responses.connect() as connection:
            assert respond(connection, "Hello")[-1].type == outcome
        if mode == "new":
            with cassette.client().responses.connect() as connection:
                assert [each.to_json() for each in respond(connection, "Hi")] == [e.to_json() for e in recorded]
    assert len(load(path).recordings) == (2 if mode == "new" else 1)


def test_all_records_anew(path: Path) -> None:
    for text in ("one", "two"):
        with Cassette(path, "all", upstream=FakeOpenAI()) as cassette:
            with cassette.client().responses.connect() as connection:
                respond(connection, text)
    (recording,) = load(path).recordings
    assert recording.messages[0]["data"]["input"] == "two"


def test_strict_sees_that_all_was_said(path: Path) -> None:
    with Cassette(path, upstream=FakeOpenAI()) as cassette, cassette.client().responses.connect() as connection:
        respond(connection, "one")
        respond(connection, "two")
    with Cassette(path, "strict") as cassette:
        with cassette.client().responses.connect() as connection:
            respond(connection, "one")
        with pytest.raises(AssertionError, match="recording 1, at line 3: WEBSOCKET /v1/responses, "):
            cassette.assert_all_played()
        answer = cassette.dialogue(Request("GET", "/v1/responses", "", Headers(), b"", "https://api.openai.com"))
        assert isinstance(answer, Response)  # once is enough
        assert "was asked once more (mode strict)" in answer.json()["error"]["message"]


def test_what_the_client_makes_up_stands_for_what_it_made_up_then(path: Path) -> None:
    def ask(cassette: Cassette) -> tuple[str, Any]:
        run = str(uuid4())
        with cassette.client().responses.connect() as connection:
            return run, respond(connection, f"Run {run}", metadata={"run": run})[-1].response.metadata["run"]

    with Cassette(path, upstream=FakeOpenAI()) as cassette:
        then, echoed = ask(cassette)
        assert then == echoed
    with Cassette(path, "none") as cassette:
        now, echoed = ask(cassette)
    assert now == echoed != then


def test_secrets_are_not_written(path: Path) -> None:
    key = "sk-proj-abcdefghijklmnop1234"

    class Echo:
        def __call__(self, request: Request) -> Response:
            return Response(404)

        def dialogue(self, request: Request) -> Any:
            class Dialogue:
                def begun(self) -> None:
                    return None

                def heard(self, message: bytes) -> Turn:
                    text = orjson.loads(message)["text"]
                    pieces = [{"type": "x.delta", "delta": text[:9]}, {"type": "x.delta", "delta": text[9:]}]
                    return Turn("", iter([*map(orjson.dumps, pieces), b"not JSON: " + text.encode()]))

                def ended(self) -> None:
                    return None

            return Dialogue()

    with Cassette(path, upstream=Echo(), scrub=[r"customer-\d+"]) as cassette:
        headers = Headers({"sec-websocket-protocol": "realtime, openai-insecure-api-key.a-key-of-one-s-own"})
        dialogue = cassette.dialogue(Request("GET", "/v1/realtime", f"key={key}", headers))
        assert not isinstance(dialogue, Response)
        talk = Conversation(dialogue, World())
        for text in (key, "customer-123", "a-key-of-one-s-own"):
            talk.hear(orjson.dumps({"text": text}))
            while talk.next() is not None:
                pass
        talk.end()
    written = path.read_text()
    assert "sk-proj-" not in written and "customer-123" not in written and "a-key-of-one-s-own" not in written
    assert written.count("SCRUBBED") >= 8
    assert not verified(path)
    path.write_text(written.replace("not JSON: SCRUBBED", f"not JSON: {key}", 1))
    (found,) = verified(path)
    assert found.place == "exchanges[0].dialogue.messages[3].text"


def test_time_passes_as_it_did(path: Path) -> None:
    clock = VirtualClock()
    with Cassette(path, upstream=FakeOpenAI(clock=clock, latency="2s/0.1s")) as cassette:
        with cassette.client().responses.connect() as connection:
            respond(connection, "Hi")
    spent = sum(each.get("after", 0) for each in load(path).recordings[0].messages)
    assert spent > 1.9
    for speed, share in ((1, 1.0), (10, 0.1), (0, 0.0)):
        clock = VirtualClock()
        began = clock.now()
        with Cassette(path, "none", speed=speed, clock=clock) as cassette:
            with cassette.client().responses.connect() as connection:
                respond(connection, "Hi")
        assert clock.now() - began == pytest.approx(spent * share, abs=0.01)


def test_a_refusal_is_recorded_unless_it_is_about_the_key(path: Path) -> None:
    fake = FakeOpenAI()
    with Cassette(path, upstream=fake) as cassette, pytest.raises(InvalidStatus):
        with cassette.client(base_url="https://api.openai.com/v1/nowhere").responses.connect():
            pass
    with Cassette(path, "none") as cassette, pytest.raises(InvalidStatus) as refused:
        with cassette.client(base_url="https://api.openai.com/v1/nowhere").responses.connect():
            pass
    assert refused.value.response.status_code == 404
    assert b"There is no websocket at" in (refused.value.response.body or b"")
    keyed = path.with_name("keyed.yaml")
    with serve(lambda peer: None, "127.0.0.1", 0, process_request=unauthorized) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        upstream = f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        with Cassette(keyed, upstream=upstream) as cassette, cassette.client().responses.connect() as connection:
            (error,) = respond(connection, "Hi")
        server.shutdown()
    assert error.error.code == "invalid_api_key"
    assert not keyed.exists()


def unauthorized(connection: Any, request: Any) -> Any:
    return connection.respond(401, '{"error": {"code": "invalid_api_key", "message": "No."}}')


def test_a_host_that_is_not_there_is_said_to_be(path: Path) -> None:
    with Cassette(path, upstream="http://127.0.0.1:9") as cassette:
        with cassette.client().responses.connect() as connection:
            (error,) = respond(connection, "Hi")
    assert error.error.code == "upstream_unreachable"
    assert not path.exists()


def test_an_upstream_without_websockets_is_said_to_have_none(path: Path) -> None:
    cassette = Cassette(path, upstream=lambda request: Response(200))
    answer = cassette.dialogue(Request("GET", "/v1/responses"))
    assert isinstance(answer, Response)
    assert (answer.status, answer.json()["error"]["code"]) == (501, "not_recorded")


def test_what_the_server_closes_is_closed_again(path: Path) -> None:
    def hang_up(peer: Any) -> None:
        peer.send(b'{"type": "session.created"}'.decode())
        peer.recv()
        peer.close(1000, "enough")

    server = serve(hang_up, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def talk(cassette: Cassette) -> list[str]:
        with cassette.client().realtime.connect(model="m") as session:
            first = session.recv()
            session.send({"type": "response.create"})
            return [first.type, *(event.type for event in session)]

    with Cassette(path, upstream=f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1") as cassette:
        assert talk(cassette) == ["session.created"]
    server.shutdown()
    assert yaml.safe_load(path.read_text())["exchanges"][0]["dialogue"]["closed"] == "server"
    with Cassette(path, "strict") as cassette:
        assert talk(cassette) == ["session.created"]
        cassette.assert_all_played()


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ("[]", ["has no message of the server"]),
        ("[{from: client, data: {type: response.create}}]", ["has no message of the server"]),
        ("[{from: server, data: {type: hi}}, {from: client, data: {type: response.create}}]", ["hi"]),
    ],
)
def test_whoever_waits_where_the_client_spoke_last_does_not_wait_for_ever(
    path: Path, messages: str, says: list[str]
) -> None:
    path.parent.mkdir()
    head = "antiphon cassette: 1\nexchanges:\n- request: {method: GET, url: 'wss://a.test/v1/responses'}\n"
    path.write_text(f"{head}  dialogue: {{messages: {messages}}}\n")
    with Cassette(path, "strict") as cassette, cassette.start(port=0) as server:
        address = f"{server.base_url.replace('http', 'ws', 1)}/responses"
        with connect(address, additional_headers={"Authorization": "Bearer k"}) as connection:
            if "client" in messages:
                connection.send('{"type": "response.create"}')
            for each in says:
                assert each in str(connection.recv(timeout=20))
            with pytest.raises(ConnectionClosedOK):
                connection.recv(timeout=20)
        cassette.assert_all_played()
        assert not cassette.misses
        with Cassette(path, "none") as again, again.start(port=0) as other:  # who says more is told that it is too much
            address = f"{other.base_url.replace('http', 'ws', 1)}/responses"
            with connect(address, additional_headers={"Authorization": "Bearer k"}) as connection:
                for _ in range(messages.count("client") + 1):
                    connection.send('{"type": "response.create"}')
                assert "has ended there" in str(list(connection)[-1])
            assert len(again.misses) == 1


def test_what_is_still_open_is_recorded_when_the_cassette_is_closed(path: Path) -> None:
    with Cassette(path, upstream=FakeOpenAI()) as cassette:
        connection = cassette.client().responses.connect().enter()
        events = respond(connection, "Hi")
    (recording,) = load(path).recordings
    assert len(recording.messages) == 1 + len(events)
    connection.close()


def test_two_dialogues_are_compared(path: Path) -> None:
    other = path.with_name("other.yaml")
    for where, text in ((path, "a"), (other, "a")):
        with Cassette(where, upstream=FakeOpenAI("echo")) as cassette:
            with cassette.client().responses.connect() as connection:
                respond(connection, text)
    one, two = (load(each).recordings for each in (path, other))
    assert told_apart(one, two) == []
    other.write_text(other.read_text().replace("input: a", "input: b"))
    lines = told_apart(load(path).recordings, load(other).recordings)
    assert lines[0] == "! 1 WEBSOCKET /v1/responses: what is said is another"
    assert "messages[0].data.input: first 'a', second 'b'" in lines[1]


@pytest.mark.parametrize(
    ("dialogue", "says"),
    [
        ("{}", "dialogue.messages: a list of messages was expected, not nothing"),
        ("{messages: [{data: {}}]}", "messages[0]: the from is missing: 'client' or 'server'"),
        ("{messages: [{from: client}]}", "messages[0]: a message has data, text or base64"),
        ("{messages: [{from: server, data: 1, text: a}]}", "there is one body: data or text, not both"),
        ("{messages: [{from: server, data: 1, after: -1}]}", "a number of seconds was expected"),
        ("{messages: [], closed: 1}", "dialogue.closed: 'server' was expected"),
        ("{messages: [], layout: wide}", "dialogue.layout: one of compact"),
    ],
)
def test_a_dialogue_that_is_wrong_is_refused_with_its_place(path: Path, dialogue: str, says: str) -> None:
    path.parent.mkdir()
    head = "antiphon cassette: 1\nexchanges:\n- request: {method: GET, url: 'wss://a.test/v1/responses'}\n"
    path.write_text(f"{head}  dialogue: {dialogue}\n")
    with pytest.raises(CassetteError) as wrong:
        Cassette(path, "none")
    assert f"{path}:4: exchanges[0]." in str(wrong.value)
    assert says in str(wrong.value)
    path.write_text(head.replace("wss", "https") + "  dialogue: {messages: []}\n")
    with pytest.raises(CassetteError, match=r"request\.url: a websocket's address was expected"):
        Cassette(path, "none")


MESSAGES = st.one_of(
    st.binary(max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(str.encode),
    st.dictionaries(st.text("abc", max_size=3), st.integers(-9, 9), max_size=3).map(orjson.dumps),
    st.dictionaries(st.text("abc", max_size=3), st.integers(-9, 9), max_size=3).map(
        lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2)
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(MESSAGES, max_size=2),
    st.lists(st.tuples(MESSAGES, st.lists(MESSAGES, max_size=3)), max_size=4),
    st.booleans(),
)
def test_what_is_said_is_said_again_to_the_byte(
    greeting: list[bytes], talk: list[tuple[bytes, list[bytes]]], closes: bool
) -> None:
    class Told:
        def __call__(self, request: Request) -> Response:
            return Response(404)

        def dialogue(self, request: Request) -> Any:
            return Spoken(list(talk))

    class Spoken:
        def __init__(self, left: list[tuple[bytes, list[bytes]]]) -> None:
            self.left = left

        def begun(self) -> Turn | None:
            return Turn("", iter(greeting))

        def heard(self, message: bytes) -> Turn | None:
            _, answers = self.left.pop(0)
            over = closes and not self.left

            def said() -> Any:
                for each in answers:
                    yield Pause(0)
                    yield each
                if over:
                    raise Goodbye

            return Turn("", said())

        def ended(self) -> None:
            return None

    def hold(cassette: Cassette) -> list[list[bytes]]:
        dialogue = cassette.dialogue(Request("GET", "/v1/x", "", Headers(), b"", "https://a.test"))
        assert not isinstance(dialogue, Response)
        conversation = Conversation(dialogue, World())
        told = [drained(conversation)]
        for message, _ in talk:
            conversation.hear(message)
            told.append(drained(conversation))
        conversation.end()
        return told

    def drained(conversation: Conversation) -> list[bytes]:
        found: list[bytes] = []
        try:
            while (message := conversation.next()) is not None:
                found.append(message)
        except Goodbye:
            found.append(b"goodbye")
        return found

    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory, "a.yaml")
        with Cassette(where, "all", upstream=Told()) as cassette:
            recorded = hold(cassette)
        assert recorded[0] == greeting
        with Cassette(where, "strict") as cassette:
            held = hold(cassette)
            if not (talk[-1][1] if talk else greeting) and not (talk and closes):  # who spoke last has left then
                assert held[-1].pop() == b"goodbye"
                if not any(recorded):
                    assert b"no_recording" in held[-1].pop()
            assert held == recorded
            assert not cassette.misses
            cassette.assert_all_played()
