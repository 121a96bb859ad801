"""Conversations that are kept by the router. The upstream's journal says what the model was told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import Chat, FakeOpenAI, OpenAI
from antiphon.kernel.flow import Await
from antiphon.kernel.http import Headers, Request, Response
from antiphon.router import (
    Accounting,
    AgentResource,
    Answer,
    Asked,
    ChatCompletionResource,
    ComposedAnswer,
    Depends,
    Limits,
    Memory,
    MemoryStore,
    OpenAIAPIRouter,
    Refused,
    ResponsesResource,
    SQLiteStore,
    ToolCall,
)

from .conftest import Caller, Upstream, chunk, event, silence


def says(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def body(*texts: str, **rest: Any) -> dict[str, Any]:
    return {"messages": [says(each) for each in texts], **rest}


class Journal:
    """The fake, with what it was asked."""

    def __init__(self, engine: Any = "reverse") -> None:
        self.fake = FakeOpenAI(engine=engine)
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Any:
        self.bodies.append(orjson.loads(request.content()))
        return self.fake(request)

    @property
    def told(self) -> list[tuple[str, Any]]:
        """Who said what, of the last question."""
        return [(each["role"], each.get("content")) for each in self.bodies[-1]["messages"]]


def app_of(upstream: Any, memory: Memory, make: Callable[..., Any] | None = None, **options: Any) -> FastAPI:
    router = OpenAIAPIRouter(client=upstream, layers=[memory], **options)

    def chat(stream: bool = True) -> ChatCompletionResource:
        return ChatCompletionResource(stream=stream, system="Be terse.") if make is None else make(stream)

    kind = ChatCompletionResource if make is None else None
    resource: Any = kind or type(make(True))  # type: ignore[misc]
    router.post("/chat", resource=resource)(chat)
    router.get("/chat", resource=resource)(chat)
    router.websocket("/ws", resource=resource)(chat)
    app = FastAPI()
    app.include_router(router)
    return app


def signed_in(asked: Any) -> str | None:
    user: str | None = asked.connection.headers.get("x-user")
    return user


# Sessions


def test_a_session_goes_on_where_it_was() -> None:
    journal = Journal()
    client = TestClient(app_of(journal, Memory()))
    first = client.post("/chat", json=body("abc"))
    session = first.headers["x-session-id"]
    assert len(session) >= 32
    second = client.post("/chat", json=body("def"), headers={"x-session-id": session})
    assert "x-session-id" not in second.headers
    assert journal.told == [("system", "Be terse."), ("user", "abc"), ("assistant", "cba"), ("user", "def")]
    other = client.post("/chat", json=body("new"))
    assert other.headers["x-session-id"] != session
    assert journal.told == [("system", "Be terse."), ("user", "new")]


@pytest.mark.parametrize("place", ["header:x-chat", "query:chat", "body:chat", "cookie:chat"])
def test_a_session_is_named_where_the_router_says(place: str) -> None:
    journal = Journal()
    client = TestClient(app_of(journal, Memory(session=place)))
    given: dict[str, dict[str, Any]] = {
        "header": {"json": body("two"), "headers": {"x-chat": "s1"}},
        "query": {"json": body("two"), "params": {"chat": "s1"}},
        "body": {"json": body("two", chat="s1")},
        "cookie": {"json": body("two"), "headers": {"cookie": "chat=s1"}},
    }
    named = place.partition(":")[0]
    client.post("/chat", **given[named])
    for kind, request in given.items():
        client.cookies.clear()
        client.post("/chat", **request)
        assert (("assistant", "owt") in journal.told) is (kind == named)


def test_a_cookie_is_set_and_comes_back() -> None:
    journal = Journal()
    client = TestClient(app_of(journal, Memory(session="cookie:chat")), base_url="https://testserver")
    answer = client.post("/chat", json=body("abc"))
    cookie = answer.headers["set-cookie"]
    for word in ("chat=", "HttpOnly", "SameSite=lax", "Secure", "Path=/", "Max-Age=604800"):
        assert word in cookie
    client.post("/chat", json=body("def"))
    assert ("assistant", "cba") in journal.told


async def test_a_function_may_name_the_session() -> None:
    async def named(asked: Any) -> str:
        return f"room-{asked.connection.query_params['room']}"

    memory = Memory(session=named)
    journal = Journal()
    client = TestClient(app_of(journal, memory))
    for room, text in (("1", "abc"), ("2", "def"), ("1", "ghi")):
        client.post(f"/chat?room={room}", json=body(text))
    assert [text for _, text in journal.told] == ["Be terse.", "abc", "cba", "ghi"]
    assert await memory.sessions() == ["room-1", "room-2"]


@pytest.mark.parametrize("given", [{"a": 1}, "x" * 201, "a b", "naïve", True])
def test_what_is_no_id_is_refused(given: Any) -> None:
    answer = TestClient(app_of(Journal(), Memory())).post("/chat", json=body("a", session_id=given))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_session")


@pytest.mark.parametrize("settings", [{"session": "heder:x"}, {"session": "header"}, {"messages": 0}, {"wait": -1}])
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is in one of|at least 1|not negative"):
        Memory(**settings)


async def test_a_session_belongs_to_its_user() -> None:
    memory = Memory(user=signed_in)
    journal = Journal()
    client = TestClient(app_of(journal, memory))
    client.post("/chat", json=body("secret", session_id="s"), headers={"x-user": "ada"})
    for headers in ({"x-user": "mallory"}, {"x-user": "=ada"}, {}):
        client.post("/chat", json=body("tell me", session_id="s"), headers=headers)
        assert "secret" not in str(journal.bodies[-1])
    client.post("/chat", json=body("go on", session_id="s"), headers={"x-user": "ada"})
    assert ("user", "secret") in journal.told
    assert await memory.sessions("ada") == ["s"]
    assert len(await memory.history("s", user="ada")) == 4
    assert len(await memory.history("s")) == 2
    await memory.forget("s", user="ada")
    assert await memory.history("s", user="ada") == []
    assert len(await memory.history("s", user="mallory")) == 2


def test_only_ids_that_were_made_here() -> None:
    client = TestClient(app_of(Journal(), Memory(own_ids=True)))
    answer = client.post("/chat", json=body("a", session_id="guess"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "session_not_found")
    session = client.post("/chat", json=body("a")).headers["x-session-id"]
    assert client.post("/chat", json=body("b", session_id=session)).status_code == 200


def test_a_failed_answer_takes_nothing_from_a_connection_with_ids_made_here() -> None:
    turns = Turns(WORD, [event_error()], WORD)
    with TestClient(app_of(turns, Memory(own_ids=True))).websocket_connect("/ws") as websocket:
        for text in ("one", "two", "three"):
            ask(websocket, text)
    assert turns.told == ["Be terse.", "one", "word", "three"]


def test_a_session_that_nobody_uses_is_forgotten() -> None:
    now = 0.0
    journal = Journal()
    client = TestClient(app_of(journal, Memory(MemoryStore(clock=lambda: now), seconds=60)))
    for at, messages in ((0, 2), (50, 4), (100, 6), (161, 2)):
        now = at
        client.post("/chat", json=body("abc", session_id="s"))
        assert len(journal.told) == messages


async def test_what_a_session_remembers_can_be_replaced() -> None:
    memory = Memory()
    journal = Journal()
    await memory.remember("s", [says("I am Ada."), said("Hello Ada.")])
    TestClient(app_of(journal, memory)).get("/chat", params={"message": "Who am I?", "session_id": "s"})
    assert [text for _, text in journal.told] == ["Be terse.", "I am Ada.", "Hello Ada.", "Who am I?"]


def test_a_completion_in_an_endpoint_has_a_session_too() -> None:
    journal = Journal()
    app = FastAPI()

    def factory() -> ChatCompletionResource:
        return ChatCompletionResource(client=journal)

    def responding() -> ResponsesResource:
        return ResponsesResource(client=FakeOpenAI(engine="reverse"))

    memory = Memory()

    @app.post("/said")
    async def words(completion: Any = Depends(factory, layers=[memory])) -> str:
        assert type(completion).__name__ == "ChatCompletion"
        return str(completion.choices[0].message.content)

    @app.post("/responded")
    async def responded(response: Any = Depends(responding, layers=[memory])) -> str:
        return str(response.output_text)

    client = TestClient(app)
    first = client.post("/said", json=body("abc"))
    session = first.headers["x-session-id"]
    assert client.post("/said", json=body("def"), headers={"x-session-id": session}).json() == "fed"
    assert [text for _, text in journal.told] == ["abc", "cba", "def"]
    assert client.post("/responded", json=body("ghi", session_id=session)).json() == "ihg"
    busy = client.post("/said", json={"messages": [result("z")], "session_id": session})
    assert (busy.status_code, busy.json()["detail"]["code"]) == (422, "nothing_new")


async def test_the_id_is_told_even_where_the_model_thinks_for_long() -> None:
    """A keep-alive comment begins the response before there is an answer."""
    go = asyncio.Event()

    def slow(request: Request) -> Any:
        yield Await(go.wait())
        return Response(200, Headers({"content-type": "text/event-stream"}), b"".join(event(each) for each in WORD))

    caller = Caller(app_of(slow, Memory(), limits=Limits(keepalive=0.02)), "/chat").start()
    await caller.until(2)
    go.set()
    await caller.wait()
    assert ": ping" in caller.text and "word" in caller.text
    assert len(caller.response_headers["x-session-id"]) >= 32


def test_the_threads_of_ag_ui_are_sessions() -> None:
    journal = Journal()
    client = TestClient(app_of(journal, Memory(session="body:threadId"), format="ag-ui"))
    whole: list[dict[str, Any]] = []
    for number, text in enumerate(("abc", "def")):
        whole.append({"id": f"u{number}", **says(text)})
        run = {"threadId": "t", "runId": f"r{number}", "messages": whole, "tools": [], "context": [], "state": {}}
        client.post("/chat", json=run)
        whole.append({"id": f"a{number}", **said("cba")})
    assert [text for _, text in journal.told] == ["Be terse.", "abc", "cba", "def"]


# Websockets


def ask(websocket: Any, text: str, **rest: Any) -> str:
    websocket.send_json(body(text, **rest))
    answer = ""
    while (frame := websocket.receive_json())["event"] != "end":
        answer += str(frame["data"])
    return answer


def test_a_websocket_is_a_session_that_ends_with_it() -> None:
    memory = Memory()
    journal = Journal()
    client = TestClient(app_of(journal, memory))
    with client.websocket_connect("/ws") as one, client.websocket_connect("/ws") as other:
        ask(one, "abc")
        ask(other, "xyz")
        assert len(journal.told) == 2
        ask(one, "def")
        assert [text for _, text in journal.told] == ["Be terse.", "abc", "cba", "def"]
    assert memory.store._values == {}  # type: ignore[attr-defined]


def test_a_websocket_may_name_a_session() -> None:
    journal = Journal()
    client = TestClient(app_of(journal, Memory()))
    with client.websocket_connect("/ws?session_id=s") as websocket:
        ask(websocket, "abc")
        ask(websocket, "other", session_id="body")  # the query comes first
    with client.websocket_connect("/ws", headers={"x-session-id": "s"}) as websocket:
        ask(websocket, "def")
    assert [text for _, text in journal.told][1:] == ["abc", "cba", "other", "rehto", "def"]


async def test_what_was_said_before_a_cancel_is_remembered() -> None:
    memory = Memory()
    upstream = Upstream([chunk({"role": "assistant", "content": ""}), 0, silence])
    with TestClient(app_of(upstream, memory)).websocket_connect("/ws?session_id=s") as websocket:
        websocket.send_json(body("abc"))
        while websocket.receive_json()["data"] != "word0 ":
            pass
        websocket.send_json({"event": "cancel"})
        while websocket.receive_json()["event"] != "end":
            pass
    assert await memory.history("s") == [says("abc"), said("word0 ")]


# What goes wrong


def event_error() -> dict[str, Any]:
    return {"error": {"message": "Too much.", "type": "server_error", "code": "overloaded"}}


async def test_an_answer_that_fails_leaves_the_session_as_it_was() -> None:
    memory = Memory()
    await memory.remember("s", [says("before"), said("yes")])
    upstream = Upstream([chunk({"role": "assistant", "content": ""}), 0, event_error()])
    app = app_of(upstream, memory)
    client = TestClient(app)
    assert "overloaded" in client.post("/chat", json=body("a", session_id="s")).text

    def refused(request: Request) -> Response:
        return Response(500, Headers({"content-type": "application/json", "x-should-retry": "false"}), b"{}")

    failing = TestClient(app_of(refused, memory))
    assert failing.post("/chat", json=body("a", session_id="s")).status_code == 500
    assert await memory.history("s") == [says("before"), said("yes")]
    assert "overloaded" in client.post("/chat", json=body("a", session_id="s")).text, "and the session is free"


async def test_who_leaves_leaves_what_was_said_and_a_free_session() -> None:
    memory = Memory(wait=5)
    upstream = Upstream([chunk({"role": "assistant", "content": ""}), 0, silence])
    app = app_of(upstream, memory)
    caller = Caller(app, "/chat", body("abc", session_id="s")).start()
    await caller.until(3)
    caller.left.set()
    await caller.wait()
    assert await memory.history("s") == [says("abc"), said("word0 ")]
    again = Caller(app, "/chat", body("def", session_id="s")).start()
    await again.until(3)
    assert [each["content"] for each in upstream.bodies[1]["messages"]][1:] == ["abc", "word0 ", "def"]
    again.left.set()
    await again.wait()


class Broken(MemoryStore):
    async def set(self, key: str, value: bytes, seconds: float | None = None) -> None:
        raise OSError("the disk is full")


async def test_a_store_that_fails_at_the_end_takes_nothing_from_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    client = TestClient(app_of(Journal(), Memory(Broken(), wait=0)))
    with caplog.at_level(logging.ERROR, "antiphon.router"):
        for _ in range(2):
            assert (
                client.post("/chat", json=body("abc", session_id="s"), headers={"accept": "text/plain"}).text == "cba"
            )
    assert "the disk is full" in caplog.text


class Slow(MemoryStore):
    """A store that takes its time over what is kept at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.keeping = asyncio.Event()
        self.go = asyncio.Event()

    async def _wait(self) -> None:
        self.keeping.set()
        await self.go.wait()

    async def set(self, key: str, value: bytes, seconds: float | None = None) -> None:
        await self._wait()
        await super().set(key, value, seconds)

    async def add(self, key: str, amounts: Any, seconds: float | None = None) -> dict[str, float]:
        if amounts:
            await self._wait()
        return await super().add(key, amounts, seconds)


@pytest.mark.parametrize("counted", [False, True])
async def test_who_leaves_while_the_end_is_being_kept_interrupts_nothing(counted: bool) -> None:
    store = Slow()
    memory, accounting = Memory(store, wait=5), Accounting(store=store)
    router = OpenAIAPIRouter(
        client=Upstream([0, chunk({}, "stop"), DONE]), layers=[memory, accounting] if counted else [memory]
    )

    @router.post("/chat")
    def chat() -> ChatCompletionResource:
        return ChatCompletionResource(stream=True)

    app = FastAPI()
    app.include_router(router)
    first = Caller(app, "/chat", body("one", session_id="s")).start()
    await asyncio.wait_for(store.keeping.wait(), 10)
    first.left.set()
    await first.wait()
    store.go.set()
    await Caller(app, "/chat", body("two", session_id="s")).start().wait()
    assert await memory.history("s") == [says("one"), said("word0 "), says("two"), said("word0 ")]
    if counted:
        assert (await accounting.totals(session="s")).requests == 2


# Several at once


async def test_two_questions_of_a_session_wait_for_each_other() -> None:
    memory, go = Memory(), asyncio.Event()
    upstream = Upstream(
        [chunk({"role": "assistant", "content": ""}), go.wait, 0, chunk({}, "stop"), b"data: [DONE]\n\n"]
    )
    app = app_of(upstream, memory)
    first = Caller(app, "/chat", body("one", session_id="s")).start()
    await first.until(1)
    second = Caller(app, "/chat", body("two", session_id="s")).start()
    other = Caller(app, "/chat", body("three", session_id="other")).start()
    await other.until(1)
    await asyncio.sleep(0.05)
    assert len(upstream.requests) == 2, "another session does not wait"
    go.set()
    await asyncio.gather(first.wait(), second.wait(), other.wait())
    assert await memory.history("s") == [says("one"), said("word0 "), says("two"), said("word0 ")]
    assert [each["content"] for each in upstream.bodies[2]["messages"]][1:] == ["one", "word0 ", "two"]
    assert len(memory._locks) == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_who_may_not_wait_is_told(tmp_path: Path, workers: int) -> None:
    stores = [SQLiteStore(tmp_path / "sessions.db") for _ in range(workers)]
    memories = [Memory(store, wait=0) for store in stores]
    upstream = Upstream([chunk({"role": "assistant", "content": ""}), 0, silence])
    first = Caller(app_of(upstream, memories[0]), "/chat", body("one", session_id="s")).start()
    await first.until(3)
    second = await Caller(app_of(upstream, memories[-1]), "/chat", body("two", session_id="s")).start().wait()
    assert second.status == 409
    assert orjson.loads(second.text)["error"]["code"] == "session_busy"
    first.left.set()
    await first.wait()
    third = Caller(app_of(upstream, memories[-1]), "/chat", body("three", session_id="s")).start()
    await third.until(3)
    assert [each["content"] for each in upstream.bodies[-1]["messages"]][1:] == ["one", "word0 ", "three"]
    third.left.set()
    await third.wait()
    for store in stores:
        store.close()


async def test_who_waits_and_leaves_takes_no_turn() -> None:
    memory, go = Memory(), asyncio.Event()
    upstream = Upstream([0, go.wait, chunk({}, "stop"), b"data: [DONE]\n\n"])
    app = app_of(upstream, memory)
    first = Caller(app, "/chat", body("one", session_id="s")).start()
    await first.until(2)
    second = Caller(app, "/chat", body("two", session_id="s")).start()
    await asyncio.sleep(0.02)
    second.left.set()
    await second.wait()
    go.set()
    await first.wait()
    await Caller(app, "/chat", body("three", session_id="s")).start().wait()
    assert [each["content"] for each in await memory.history("s")] == ["one", "word0 ", "three", "word0 "]


# Tools


def calls(*names: str) -> dict[str, Any]:
    made = [
        {"index": n, "id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for n, name in enumerate(names)
    ]
    return chunk({"role": "assistant", "content": None, "tool_calls": made}, "tool_calls")


DONE = b"data: [DONE]\n\n"


class Turns:
    """An upstream with another answer every time."""

    def __init__(self, *answers: list[Any]) -> None:
        self.upstream = Upstream([])
        self.answers = iter(answers)

    def __call__(self, request: Request) -> Any:
        self.upstream.pieces = next(self.answers)
        return self.upstream(request)

    @property
    def told(self) -> list[Any]:
        return [
            [each["id"] for each in message["tool_calls"]] if message.get("tool_calls") else message["content"]
            for message in self.upstream.bodies[-1]["messages"]
        ]


WORD = [chunk({"role": "assistant", "content": "word"}), chunk({}, "stop"), DONE]


def result(name: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call_{name}", "content": f"of {name}"}


def test_results_continue_the_calls_that_wait_for_them() -> None:
    turns = Turns([calls("a", "b"), DONE], WORD)
    client = TestClient(app_of(turns, Memory(messages=1)))
    client.post("/chat", json=body("go", session_id="s"))
    some = client.post("/chat", json={"messages": [result("a")], "session_id": "s"})
    assert (some.status_code, some.json()["error"]["code"]) == (422, "missing_tool_result")
    assert "call_b" in some.json()["error"]["message"]
    other = client.post("/chat", json={"messages": [result("z")], "session_id": "s"})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "nothing_new")
    client.post("/chat", json={"messages": [result("a"), result("b")], "session_id": "s"})
    assert turns.told == ["Be terse.", "go", ["call_a", "call_b"], "of a", "of b"], "whole, whatever the limit"


async def test_calls_that_nobody_answers_are_taken_back() -> None:
    turns = Turns([chunk({"content": "I look. "}), calls("a"), DONE], WORD, WORD)
    memory = Memory()
    client = TestClient(app_of(turns, memory))
    client.post("/chat", json=body("go", session_id="s"))
    client.post("/chat", json=body("never mind", session_id="s"))
    assert turns.told == ["Be terse.", "go", "I look. ", "never mind"]
    client.post("/chat", json={"messages": [result("a"), says("so?")], "session_id": "s"})
    assert turns.told[1:] == ["go", "I look. ", "never mind", "word", "so?"]


async def test_the_rounds_of_an_agent_are_remembered() -> None:
    def weather(city: str) -> str:
        return f"Rain in {city}."

    call = chunk({}, "tool_calls")
    call["choices"][0]["delta"]["tool_calls"] = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Lisbon"}'}}
    ]
    turns = Turns([call, DONE], WORD, WORD)
    memory = Memory()
    client = TestClient(app_of(turns, memory, lambda stream: AgentResource(stream=stream, tools=[weather])))
    client.post("/chat", json=body("Umbrella?", session_id="s"))
    history = await memory.history("s")
    assert [each["role"] for each in history] == ["user", "assistant", "tool", "assistant"]
    assert history[1]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Lisbon"}'}
    client.post("/chat", json=body("Sure?", session_id="s"))
    assert turns.told == ["Umbrella?", ["c1"], "Rain in Lisbon.", "word", "Sure?"]


def test_callers_who_send_everything_are_understood() -> None:
    """As `useChat` of the AI SDK does."""
    journal = Journal()
    client = TestClient(app_of(journal, Memory(session="body:id"), format="vercel"))

    def part(role: str, text: str) -> dict[str, Any]:
        return {"role": role, "parts": [{"type": "text", "text": text}]}

    whole = [part("user", "abc")]
    client.post("/chat", json={"id": "s", "messages": whole})
    whole += [part("assistant", "cba"), part("user", "def")]
    client.post("/chat", json={"id": "s", "messages": whole})
    assert [text for _, text in journal.told] == ["Be terse.", "abc", "cba", "def"]
    client.post("/chat", json={"id": "fresh", "messages": whole})
    assert [text for _, text in journal.told] == ["Be terse.", "abc", "cba", "def"], "a session may begin with a past"
    nothing = client.post("/chat", json={"id": "s", "messages": whole[:2]})
    assert nothing.json()["error"]["code"] == "nothing_new"


def test_a_question_that_is_asked_again_has_another_answer_in_place_of_the_one_it_had() -> None:
    journal = Journal()
    client = TestClient(app_of(journal, Memory(session="body:id")))
    client.post("/chat", json=body("abc", id="s"))
    client.post("/chat", json=body("def", id="s"))
    for _ in range(2):
        client.post("/chat", json=body("def", id="s", trigger="regenerate-message"))
        assert [text for _, text in journal.told] == ["Be terse.", "abc", "cba", "def"]
    client.post("/chat", json=body("ghi", id="s", trigger="submit-message"))
    assert [text for _, text in journal.told] == ["Be terse.", "abc", "cba", "def", "fed", "ghi"]
    client.post("/chat", json=body("abc", id="fresh", trigger="regenerate-message"))
    assert [text for _, text in journal.told] == ["Be terse.", "abc"]


# Responses


async def test_responses_remember_in_items() -> None:
    seen: list[Any] = []
    outputs = iter(
        [
            [{"type": "custom_tool_call", "id": "i1", "call_id": "c1", "name": "sh", "input": "ls"}],
            [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Two files."}]}],
            [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}],
        ]
    )

    def upstream(request: Request) -> Response:
        seen.append(orjson.loads(request.content())["input"])
        whole = {"id": "resp_1", "object": "response", "status": "completed", "output": next(outputs)}
        return Response(200, Headers({"content-type": "application/json"}), orjson.dumps(whole))

    memory = Memory()
    client = TestClient(app_of(upstream, memory, lambda stream: ResponsesResource(), format="openai"))
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}
    asked = [{"role": "user", "content": [{"type": "input_text", "text": "List."}, picture]}]
    client.post("/chat", json={"input": asked, "session_id": "s"})
    client.post(
        "/chat",
        json={"input": [{"type": "custom_tool_call_output", "call_id": "c1", "output": "a b"}], "session_id": "s"},
    )
    client.post("/chat", json={"input": "Sure?", "session_id": "s"})
    assert seen[-1] == [
        *asked,
        {"type": "custom_tool_call", "call_id": "c1", "name": "sh", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "a b"},
        {"role": "assistant", "content": "Two files."},
        {"role": "user", "content": "Sure?"},
    ]
    assert [each["role"] for each in await memory.history("s")] == [
        "user", "assistant", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip


# Anything at all

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "type", "text"]), inner, max_size=2)
    ),
    max_leaves=4,
)
CALL = st.fixed_dictionaries(
    {}, optional={"id": st.just("c1") | ANY, "type": st.just("function") | ANY, "function": ANY}
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "tool", "system", "function"]) | ANY,
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning", "custom_tool_call"]),
        "content": ANY,
        "tool_calls": st.lists(CALL, max_size=2) | ANY,
        "tool_call_id": st.just("c1") | ANY,
        "call_id": st.just("c1") | ANY,
        "output": ANY,
        "name": ANY,
    },
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(MESSAGE, min_size=1, max_size=3), min_size=1, max_size=3), st.none() | st.just(20))
def test_no_message_breaks_a_session(questions: list[list[dict[str, Any]]], tokens: int | None) -> None:
    """What is no message is refused, here or by the model's host; the session goes on."""
    memory = Memory(messages=3, tokens=tokens)

    async def answered(asked: Asked) -> Answer:
        async def words() -> Any:
            yield ToolCall("c1", "look") if len(asked.messages) % 2 else "word"

        return ComposedAnswer(words())

    async def run() -> None:
        statuses: list[int] = []
        for messages in [*questions, [says("still there?")]]:
            asked = Asked(messages, body={"session_id": "s"})
            try:
                answer = await memory(asked, answered)
            except Refused as refused:
                statuses.append(refused.error.status)
            else:
                async for _ in answer:
                    pass
        assert set(statuses) <= {422}
        assert [each["role"] for each in (await memory.history("s"))[-2:]] == ["user", "assistant"]

    asyncio.run(run())


# Limits


def scripted(plans: list[list[int]]) -> Callable[[Request], Response]:
    """A host that, for each question, calls so many tools, round after round, and then speaks; with its journal."""
    rounds: Iterator[int] = iter([count for plan in plans for count in [*plan, 0]])
    numbers = iter(range(10_000))
    journal: list[Any] = []

    def upstream(request: Request) -> Response:
        journal.append(orjson.loads(request.content())["messages"])
        message: dict[str, Any] = {"role": "assistant", "content": f"word {next(numbers)}"}
        made = [
            {"id": f"c{next(numbers)}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
            for _ in range(next(rounds))
        ]
        if made:
            message["tool_calls"] = made
        reason = "tool_calls" if made else "stop"
        whole = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": {"prompt_tokens": len(orjson.dumps(journal[-1])) // 3, "completion_tokens": 5},
        }
        return Response(200, Headers({"content-type": "application/json"}), orjson.dumps(whole))

    upstream.journal = journal  # type: ignore[attr-defined]
    return upstream


def look() -> str:
    """Look."""
    return "seen " * 5


PLANS = st.lists(st.lists(st.integers(1, 3), max_size=3), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(PLANS, st.none() | st.integers(1, 12), st.none() | st.integers(1, 150), st.booleans())
def test_what_is_sent_is_what_a_chat_sends(
    plans: list[list[int]], messages: int | None, tokens: int | None, counted: bool
) -> None:
    """The limits are those of `Chat`: whole questions and whole runs of tools leave, the oldest first."""
    count = (lambda text: len(text.split())) if counted else None
    one, other = scripted(plans), scripted(plans)
    chat = Chat(
        OpenAI(api_key="x", transport=one),
        model="m",
        system="Be terse.",
        tools=[look],
        history_messages=messages,
        history_tokens=tokens,
        count_tokens=count,
    )
    memory = Memory(messages=messages, tokens=tokens, count_tokens=count)

    def make(stream: bool) -> Any:
        return AgentResource(model="m", system="Be terse.", tools=[look])

    client = TestClient(app_of(other, memory, make, format="json"))
    for number in range(len(plans)):
        question = f"question {number} of some words"
        chat.ask(question)
        assert client.post("/chat", json=body(question, session_id="s")).status_code == 200
    if counted or tokens is None:  # estimates learn from every round of a chat, and from some of a router's
        firsts = [sum(len(plan) + 1 for plan in plans[:n]) for n in range(len(plans))]
        for first in firsts:
            assert other.journal[first] == one.journal[first]  # type: ignore[attr-defined]
        assert asyncio.run(memory.history("s")) == chat.history
    for sent in other.journal:  # type: ignore[attr-defined]
        assert sent[0] == {"role": "system", "content": "Be terse."}
        waiting: list[str] = []
        for message in sent:
            if message["role"] == "tool":
                waiting.remove(message["tool_call_id"])
            else:
                assert not waiting, "a call is sent with its result"
                waiting = [each["id"] for each in message.get("tool_calls") or ()]
        assert not waiting
