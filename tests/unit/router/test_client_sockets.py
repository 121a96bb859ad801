"""Clients of websocket routes: questions and answers, stopping, connections that are lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Self

import orjson
import pytest

from antiphon import APIConnectionError, APITimeoutError, BadRequestError, FakeOpenAI, PermissionDeniedError
from antiphon import WebSocketConnectionClosedError as ClosedError
from antiphon.router import (
    AsyncWebSocketClient,
    DataMode,
    Error,
    Finish,
    Limits,
    Start,
    Text,
    WebSocketClient,
)

from .conftest import HELLO, WORDS, Upstream, app_of, chunk, silence
from .test_served import serving

FORMATS = ("lanarky", "openai", "vercel", "ag-ui", "text", "json")


def asking(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


class Script:
    """An ASGI application whose connections do as they are told.

    Of each connection's doings, `?` hears a message, a text is a frame, a number closes with that code, `None` waits
    until the caller leaves, and a 403 before anything else refuses the connection.
    """

    def __init__(self, *connections: list[Any]) -> None:
        self.connections = list(connections)
        self.heard: list[list[str]] = []
        self.left = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        doings = self.connections.pop(0)
        if doings[:1] == [403]:
            await send({"type": "websocket.close", "code": 1000})
            return
        heard: list[str] = []
        self.heard.append(heard)
        await send({"type": "websocket.accept"})
        for doing in doings:
            if isinstance(doing, int):
                await send({"type": "websocket.close", "code": doing, "reason": "so it is"})
                return
            if doing == "?":
                heard.append((await receive()).get("text"))
            elif doing is None:
                while (message := await receive())["type"] != "websocket.disconnect":
                    heard.append(message.get("text"))
                self.left.set()
                return
            else:
                await send({"type": "websocket.send", "text": doing})


def word(text: str) -> str:
    return orjson.dumps({"data": text, "event": "completion"}).decode()


END = '{"data":"","event":"end"}'


class Session:
    """A blocking session, and an async one that is driven step by step, under the same names."""

    def __init__(self, colour: str, app: Any, **settings: Any) -> None:
        self.loop = asyncio.new_event_loop() if colour == "async" else None
        settings = {"initial_delay": 0.001, "timeout": 10, **settings}
        kind: Any = AsyncWebSocketClient if self.loop else WebSocketClient
        self.session: Any = kind("ws://localhost/ws", app=app, **settings).connect()

    def _done(self, made: Any) -> Any:
        return self.loop.run_until_complete(made) if self.loop else made

    def __enter__(self) -> Self:
        try:
            self._done(self.session.__aenter__() if self.loop else self.session.__enter__())
        except BaseException:
            self._end()
            raise
        return self

    def _end(self) -> None:
        if self.loop:
            self.loop.close()

    def __exit__(self, *exc: object) -> None:
        try:
            self._done(self.session.__aexit__(*exc) if self.loop else self.session.__exit__(*exc))
        finally:
            self._end()

    def ask(self, message: Any) -> None:
        self._done(self.session.send(message))

    def receive(self) -> Any:
        return self._done(self.session.receive())

    def cancel(self) -> None:
        self._done(self.session.cancel())

    def some(self, method: str = "stream_response", most: int = 10_000) -> list[Any]:
        """An answer, left after so many items."""

        async def asome() -> list[Any]:
            found: list[Any] = []
            async with aclosing(getattr(self.session, method)()) as items:
                async for item in items:
                    found.append(item)
                    if len(found) == most:
                        break
            return found

        if self.loop:
            return list(self.loop.run_until_complete(asome()))
        found: list[Any] = []
        for item in getattr(self.session, method)():
            found.append(item)
            if len(found) == most:
                break
        return found

    def text(self) -> str:
        return "".join(each.text for each in self.some("stream_events") if isinstance(each, Text))


Opened = Callable[..., Session]


@pytest.fixture(params=["blocking", "async"])
def session(request: pytest.FixtureRequest) -> Opened:
    return lambda app, **settings: Session(request.param, app, **settings)


# Answers


def test_question_after_question_on_one_connection(session: Opened) -> None:
    with session(app_of(FakeOpenAI(engine="echo"))) as talk:
        for said in ("Hello", "Hello there"):
            talk.ask(asking(said))
            frames = talk.some()
            assert {each["event"] for each in frames} == {"completion"}
            assert "".join(each["data"] for each in frames) == said
        talk.ask(asking("frame by frame"))
        frames = [talk.receive()]
        while frames[-1]["event"] != "end":
            frames.append(talk.receive())
        talk.ask(asking("and on"))
        assert talk.text() == "and on"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("told", [True, False])
def test_events_are_the_same_in_every_format(session: Opened, format: str, told: bool) -> None:
    app = app_of(FakeOpenAI(engine="echo"), format="lanarky" if told else format)
    with session(app, format=format if told else None) as talk:
        for said in ("Hello there", "12", "Again"):
            talk.ask(asking(said))
            start, *between, last = talk.some("stream_events")
            assert isinstance(start, Start) and last == Finish("stop")
            assert "".join(each.text for each in between if isinstance(each, Text)) == said


@pytest.mark.parametrize("format", FORMATS[:5])
def test_errors_end_an_answer_and_not_the_session(session: Opened, format: str) -> None:
    rounds = iter([[{"error": {"message": "No more.", "code": "overloaded"}}], WORDS])
    with session(app_of(Upstream(lambda: iter(next(rounds))), format=format)) as talk:
        talk.ask({"messages": "none"})
        assert talk.some("stream_events")[-1].message.startswith("`messages` is a list")
        talk.ask(HELLO)
        last = talk.some("stream_events")[-1]
        assert isinstance(last, Error) and last.message == "No more."
        talk.ask(HELLO)
        assert talk.text() == "word0 word1 word2 "


def test_errors_of_whole_answers_too(session: Opened) -> None:
    rounds = iter(["No more.", ""])

    def engine(request: Any) -> str:
        if why := next(rounds):
            raise BadRequestError.because(why, code="enough")
        return "Hello"

    with session(app_of(FakeOpenAI(engine=engine)), format="json") as talk:
        talk.ask(HELLO)
        last = talk.some("stream_events")[-1]
        assert isinstance(last, Error) and (last.message, last.code) == ("No more.", "enough")
        talk.ask(HELLO)
        assert talk.text() == "Hello"


def test_modes(session: Opened) -> None:
    app = app_of(FakeOpenAI(engine="echo"), format="text")
    question = orjson.dumps(asking("7"))
    with session(app, mode="text") as talk:
        talk.ask(question.decode())
        assert talk.some() == ["7"]
        with pytest.raises(TypeError, match="in this mode messages are str, not dict"):
            talk.ask(HELLO)
    with session(app, mode=DataMode.BYTES) as talk:
        talk.ask(question)
        assert talk.some() == [b"7"]
    with session(app) as talk:  # text that looks like JSON is text
        talk.ask(asking("7"))
        assert talk.some() == ["7"]


# Stopping


def test_cancel_stops_an_answer_and_keeps_the_session(session: Opened) -> None:
    rounds = iter([[0, silence], WORDS])
    upstream = Upstream(lambda: iter(next(rounds)))
    with session(app_of(upstream)) as talk:
        talk.cancel()  # nothing is under way
        talk.ask(HELLO)
        assert talk.receive()["data"] == "word0 "
        talk.cancel()
        assert talk.some() == []
        assert upstream.closed.is_set() and not upstream.finished
        talk.ask(HELLO)
        assert talk.text() == "word0 word1 word2 "


@pytest.mark.parametrize("format", FORMATS)
def test_a_question_may_be_cancelled_at_once(session: Opened, format: str) -> None:
    upstream = Upstream([0, silence])
    with session(app_of(upstream, format=format)) as talk:
        for _ in range(2):
            talk.ask(HELLO)
            talk.cancel()
            assert talk.text() in ("", "word0 ")


@pytest.mark.parametrize("format", FORMATS[:5])
def test_an_answer_that_is_left_is_cancelled(session: Opened, format: str) -> None:
    rounds = iter([[0, 1, silence], WORDS])
    upstream = Upstream(lambda: iter(next(rounds)))
    with session(app_of(upstream, format=format)) as talk:
        talk.ask(HELLO)
        assert len(talk.some(most=2)) == 2
        talk.ask(HELLO)
        assert talk.text() == "word0 word1 word2 "
        assert len(upstream.requests) == 2


def test_closing_stops_the_upstream(session: Opened) -> None:
    upstream = Upstream([0, silence])
    with session(app_of(upstream)) as talk:
        talk.ask(HELLO)
        talk.receive()
    assert upstream.closed.is_set() and not upstream.finished
    with pytest.raises(ClosedError, match="was closed") as caught:
        asyncio.run(sent) if (sent := talk.session.send({"late": 1})) else None
    assert caught.value.unsent_messages == ['{"late":1}']


# Connections that are lost


def test_between_answers_a_connection_is_made_again(session: Opened) -> None:
    app = app_of(FakeOpenAI(engine="echo"), limits=Limits(questions=1))
    with session(app) as talk:
        for said in ("one", "two", "three"):
            talk.ask(asking(said))
            assert talk.text() == said


@pytest.mark.parametrize("code", [1000, 1006, 1012])
def test_a_question_that_has_no_answer_yet_is_asked_again(session: Opened, code: int) -> None:
    script = Script(["?", code], ["?", "?", code], ["?", "?", word("a"), END, word("b"), END, None])
    with session(script, max_retries=2) as talk:
        talk.ask(1)
        talk.ask(2)
        assert [each["data"] for each in talk.some()] == ["a"]
        assert [each["data"] for each in talk.some()] == ["b"]
    assert script.heard[-1] == ["1", "2"]


def test_not_for_ever_and_not_what_would_be_refused_again(session: Opened) -> None:
    script = Script(*[["?", 1012]] * 4)
    with session(script, max_retries=2) as talk:
        talk.ask("q")
        with pytest.raises(ClosedError, match=r"closed \(1012, so it is\)") as caught:
            talk.some()
        assert (caught.value.code, caught.value.reason) == (1012, "so it is")
        assert caught.value.unsent_messages == ['"q"']
        assert len(script.heard) == 3
    script = Script(["?", 1008])
    with session(script) as talk:
        talk.ask("forbidden")
        with pytest.raises(ClosedError, match="1008"):
            talk.some()
    script = Script(["?", 1009], [None])
    with session(script) as talk:
        talk.ask("too much")
        with pytest.raises(ClosedError, match="1009"):
            talk.some()
        talk.ask("less")  # a question of its own: connected anew
    assert script.heard == [['"too much"'], ['"less"']]


def test_an_answer_that_breaks_off_is_an_error(session: Opened) -> None:
    script = Script(["?", "?", word("a"), 1012], ["?", word("b"), END, None])
    with session(script) as talk:
        talk.ask(1)
        talk.ask(2)
        with pytest.raises(ClosedError) as caught:
            talk.some()
        assert caught.value.unsent_messages == ["2"]
        talk.ask(3)
        assert talk.text() == "b"


def test_one_that_breaks_off_when_nobody_wants_it_is_none(session: Opened) -> None:
    script = Script(["?", word("a"), "?", 1012], ["?", word("b"), END, None])
    with session(script) as talk:
        talk.ask(1)
        assert talk.some(most=1)
        talk.ask(2)
        assert talk.text() == "b"
    assert script.heard == [["1", '{"event":"cancel"}'], ["2"]]


def test_connections_that_are_refused(session: Opened) -> None:
    with pytest.raises(PermissionDeniedError), session(Script([403])):
        pass
    with pytest.raises(APIConnectionError), session(None, max_retries=0) as talk:
        talk.receive()


def test_silence_is_a_timeout(session: Opened) -> None:
    with session(Script([None]), timeout=0.05) as talk:
        talk.ask(1)
        with pytest.raises(APITimeoutError):
            talk.some()


def test_what_cannot_be_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="ws://localhost:8000/ws was expected, not 'localhost'"):
        WebSocketClient("localhost")
    with pytest.raises(ValueError, match="no wire format"):
        WebSocketClient(format="xml")
    with pytest.raises(ValueError, match="not a valid DataMode"):
        WebSocketClient(mode="xml")
    assert repr(WebSocketClient("https://host/ws")) == "WebSocketClient('wss://host/ws')"


async def test_a_task_that_is_cancelled_leaves_its_answer() -> None:
    rounds = iter([[0, silence], WORDS])
    upstream = Upstream(lambda: iter(next(rounds)))
    async with AsyncWebSocketClient(app=app_of(upstream)).connect() as talk:
        await talk.send(HELLO)
        begun = asyncio.Event()

        async def listening() -> None:
            async for _ in talk.stream_response():
                begun.set()

        task = asyncio.create_task(listening())
        await asyncio.wait_for(begun.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await talk.send(HELLO)
        assert "".join([each["data"] async for each in talk.stream_response()]) == "word0 word1 word2 "


# Over the network


def test_over_the_network() -> None:
    rounds = iter([WORDS, [chunk({"content": "x"}), silence], [*range(300), *WORDS[-2:]], WORDS])
    upstream = Upstream(lambda: iter(next(rounds)))
    with serving(app_of(upstream)) as (_, port):
        client = WebSocketClient(f"http://127.0.0.1:{port}/ws", headers={"x-user": "ada"}, timeout=20)
        with client.connect() as talk:
            talk.send(HELLO)
            assert "".join(each["data"] for each in talk.stream_response()) == "word0 word1 word2 "
            talk.send(HELLO)
            for each in talk.stream_response():
                assert each["data"] == "x"
                break
            talk.send(HELLO)
            assert len(list(talk.stream_response())) == 300
        with pytest.raises(PermissionDeniedError), WebSocketClient(f"ws://127.0.0.1:{port}/no").connect():
            pass

        async def again() -> str:
            async with AsyncWebSocketClient(f"ws://127.0.0.1:{port}/ws", format="vercel").connect() as talk:
                await talk.send(HELLO)
                events = [each async for each in talk.stream_events()]
            return "".join(each.text for each in events if isinstance(each, Text))

        assert asyncio.run(again()) == "word0 word1 word2 "
