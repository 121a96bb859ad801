"""Answers that are given again to questions that mean the same."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from antiphon import AsyncOpenAI, FakeOpenAI, OpenAI
from antiphon.router import (
    Accounting,
    AgentResource,
    ChatCompletionResource,
    Limits,
    Memory,
    OpenAIAPIRouter,
    ResponsesResource,
    SemanticCache,
    Spent,
)

from .conftest import Caller, Upstream, chunk, events_of, silence

DONE = b"data: [DONE]\n\n"
WORD = [chunk({"role": "assistant", "content": ""}), 0, 1, chunk({}, "stop"), DONE]
ANGLES = {"Hello": 0, "Hi": 10, "Good day": 20, "Bye": 90}
"""Questions as directions: the cosine of the angle between two is how alike they are."""


class Vectors:
    """Vectors of questions, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, text: str) -> list[float]:
        self.asked.append(text)
        angle = math.radians(ANGLES[text])
        return [3 * math.cos(angle), 3 * math.sin(angle)]


def body(*texts: Any, **rest: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in texts], **rest}


def app_of(upstream: Any, *layers: Any, make: Any = None, **options: Any) -> FastAPI:
    router = OpenAIAPIRouter(client=upstream, layers=layers, **options)

    def chat(system: str = "Be terse.", model: str = "m", stream: bool = True) -> Any:
        return (make or ChatCompletionResource)(system=system, model=model, stream=stream)

    router.post("/chat", resource=ChatCompletionResource)(chat)
    router.post("/responses", resource=ResponsesResource)(chat)
    router.websocket("/ws", resource=ChatCompletionResource)(chat)
    app = FastAPI()
    app.include_router(router)
    return app


def near(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_a_question_that_is_near_enough_is_answered_again() -> None:
    upstream, vectors = Upstream(WORD), Vectors()
    client = TestClient(app_of(upstream, SemanticCache(embed=vectors, threshold=near(15))))
    answers = [client.post("/chat", json=body(text)) for text in ("Hello", "Hi", "Hello", "Good day", "Bye")]
    assert [answer.headers["x-semantic-cache"] for answer in answers] == ["miss", "hit", "hit", "miss", "miss"]
    assert [answer.headers.get("x-semantic-cache-similarity") for answer in answers[1:3]] == ["0.9848", "1.0000"]
    assert answers[1].text.replace("event: completion\r\ndata: \r\n\r\n", "").endswith("data: word0 word1 \r\n\r\n")
    assert len(upstream.requests) == 3
    assert vectors.asked == ["Hello", "Hi", "Good day", "Bye"], "the same words need no vector"


def test_the_nearest_of_those_near_enough_is_given() -> None:
    words = iter(["one", "two"])
    upstream = Upstream(lambda: iter([chunk({"content": next(words)}), chunk({}, "stop"), DONE]))
    cache = SemanticCache(embed=Vectors(), threshold=near(12))
    client = TestClient(app_of(upstream, cache, format="text"))
    for text in ("Hello", "Good day"):
        client.post("/chat", json=body(text))
    cache.threshold = near(30)
    angle = ANGLES["Hi"]
    try:
        ANGLES["Hi"] = 13
        assert client.post("/chat", json=body("Hi")).text == "two"
    finally:
        ANGLES["Hi"] = angle


def test_many_questions_are_looked_through() -> None:
    upstream = Upstream(WORD)

    async def embed(text: str) -> list[float]:
        angle = math.radians(float(text))
        return [math.cos(angle), math.sin(angle)]

    cache = SemanticCache(embed=embed, threshold=near(1.5), limit=100)
    client = TestClient(app_of(upstream, cache))
    for number in range(60):
        client.post("/chat", json=body(str(number * 3)))
    assert len(upstream.requests) == len(cache) == 60
    found = client.post("/chat", json=body("91"))
    assert found.headers["x-semantic-cache-similarity"] == f"{near(1):.4f}"
    for number in range(60, 110):
        client.post("/chat", json=body(str(number * 3)))
    assert len(cache) == 100, "those not used for longest have left"
    assert client.post("/chat", json=body("0")).headers["x-semantic-cache"] == "miss"
    cache.clear()
    assert len(cache) == 0 and client.post("/chat", json=body("91")).headers["x-semantic-cache"] == "miss"


# In every format


@pytest.mark.parametrize("format", ["openai", "vercel", "ag-ui"])
def test_it_streams_in_the_format_of_its_caller_and_costs_nothing(format: str) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    upstream = Upstream([*WORD[:-1], chunk({}, usage=usage) | {"choices": []}, DONE])
    client = TestClient(app_of(upstream, SemanticCache(embed=Vectors()), format=format))
    question: dict[str, Any] = body("Hello")
    first, again = (events_of(client.post("/chat", json=question).text) for _ in range(2))
    told = str(again)
    assert "word0 word1 " in told and ("'total_tokens': 0" in told or "'inputTokens': 0" in told or format == "ag-ui")
    assert (again[-1] == "[DONE]") is (first[-1] == "[DONE]")
    if format == "openai":
        ids = [{each["id"] for each in events if isinstance(each, dict)} for events in (first, again)]
        assert len(ids[0]) == len(ids[1]) == 1 and ids[0] != ids[1], "an answer of its own"
        assert again[0]["object"] == "chat.completion.chunk" and again[0]["model"] == "m"
    assert len(upstream.requests) == 1


def test_streams_whole_answers_and_websockets_share_it() -> None:
    upstream = Upstream(WORD)
    client = TestClient(app_of(upstream, SemanticCache(embed=Vectors()), format="openai"))
    client.post("/chat", json=body("Hello"))
    answer = client.post("/chat", json=body("Hello", stream=False)).json()
    assert answer["choices"][0]["message"]["content"] == "word0 word1 "
    assert answer["usage"]["total_tokens"] == 0
    with client.websocket_connect("/ws") as websocket:
        websocket.send_json(body("Hello"))
        frames = []
        while (frame := websocket.receive_text()) != "[DONE]":
            frames.append(orjson.loads(frame))
    assert frames[0]["choices"][0]["delta"]["content"] == "word0 word1 "
    assert len(upstream.requests) == 1


def test_responses_are_given_again_as_responses() -> None:
    fake = FakeOpenAI(engine="reverse")
    app = app_of(fake, SemanticCache(embed=Vectors()), make=ResponsesResource, format="openai")
    client = TestClient(app)
    first = client.post("/responses", json={"input": "Hello", "stream": False}).json()
    again = client.post("/responses", json={"input": "Hello", "stream": False})
    assert again.headers["x-semantic-cache"] == "hit"
    given = again.json()
    assert given["object"] == "response" and given["status"] == "completed" and given["id"] != first["id"]
    assert given["output"][0]["content"][0]["text"] == "olleH"
    assert given["usage"]["total_tokens"] == 0
    events = events_of(client.post("/responses", json={"input": "Hello", "stream": True}).text)
    assert [each["type"] for each in events][-1] == "response.completed"
    assert "olleH" in str(events)


# Who shares an answer


def test_what_has_to_be_the_same() -> None:
    def signed_in(asked: Any) -> str | None:
        user: str | None = asked.connection.headers.get("x-user")
        return user

    def missed(client: TestClient, path: str = "/chat", who: str = "ada", **rest: Any) -> bool:
        answer = client.post(path, json={**body("Hello"), **rest}, headers={"x-user": who})
        return answer.headers["x-semantic-cache"] == "miss"

    def client_of(**settings: Any) -> TestClient:
        cache = SemanticCache(embed=Vectors(), user=signed_in, **settings)
        client = TestClient(app_of(Upstream(WORD), cache, parameters=("temperature", "user")))
        assert missed(client)
        return client

    client = client_of()
    assert not missed(client)
    assert missed(client, who="bob")
    assert missed(client, "/chat?model=other")
    assert missed(client, "/chat?system=Other")
    assert missed(client, temperature=1.5)
    assert missed(client, messages=body("Bye", "Hello")["messages"])
    assert missed(client, messages=[{"role": "user", "content": [{"type": "text", "text": "Hello"}, PICTURE]}])
    assert not missed(client, messages=[{"role": "user", "content": [{"type": "text", "text": "Hello"}]}])
    assert not missed(client, user="a name for the host alone")
    shared = client_of(scope=())
    assert not missed(shared, "/chat?model=other&system=Other", who="bob")
    assert missed(shared, temperature=1.5)


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def test_a_conversation_is_looked_at_as_a_whole() -> None:
    upstream = Upstream(WORD)
    client = TestClient(app_of(upstream, Memory(), SemanticCache(embed=Vectors())))
    for session in ("1", "2"):
        for text in ("Hello", "Bye"):
            client.post("/chat", json=body(text, session_id=session))
    assert len(upstream.requests) == 2, "the second session had the answers of the first"
    client.post("/chat", json=body("Bye", session_id="3"))
    assert len(upstream.requests) == 3


def test_an_answer_from_the_cache_costs_nothing() -> None:
    for outside in (True, False):
        spent: list[Spent] = []
        layers = [Accounting(spent=spent.append), SemanticCache(embed=Vectors())]
        client = TestClient(app_of(Upstream(WORD), *(layers if outside else reversed(layers))))
        for _ in range(2):
            client.post("/chat", json=body("Hello"))
        assert [each.usage.input_tokens for each in spent[1:]] == ([0] if outside else [])


# What is not kept


@pytest.mark.parametrize(
    "answer",
    [
        [chunk({"content": "cut"}), chunk({}, "length"), DONE],
        [chunk({"content": "cut"}), chunk({}, "content_filter"), DONE],
        [chunk({"content": "cut"}), {"error": {"message": "No more."}}],
        [chunk({"content": "cut"})],
    ],
)
def test_only_complete_answers_are_kept(answer: list[Any]) -> None:
    cache = SemanticCache(embed=Vectors())
    TestClient(app_of(Upstream(answer), cache)).post("/chat", json=body("Hello"))
    assert len(cache) == 0


async def test_an_answer_that_was_left_is_not_kept() -> None:
    cache = SemanticCache(embed=Vectors())
    caller = Caller(app_of(Upstream([0, silence]), cache), "/chat", body("Hello")).start()
    await caller.until(2)
    caller.left.set()
    await caller.wait()
    assert len(cache) == 0


@pytest.mark.parametrize("tools", [False, True])
def test_calls_of_tools_are_kept_only_where_asked(tools: bool) -> None:
    made = [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}]
    call = [chunk({"role": "assistant", "tool_calls": made}), chunk({}, "tool_calls"), DONE]
    upstream = Upstream(call)
    client = TestClient(app_of(upstream, SemanticCache(embed=Vectors(), tools=tools), format="openai"))
    client.post("/chat", json=body("Hello"))
    again = client.post("/chat", json=body("Hello", stream=False)).json()
    assert len(upstream.requests) == (1 if tools else 2)
    if tools:
        assert again["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"at": 1}'}

    def look(at: int) -> str:
        return "seen"

    rounds = iter([call, WORD, call, WORD])
    agent = Upstream(lambda: iter(next(rounds)))
    client = TestClient(
        app_of(
            agent,
            SemanticCache(embed=Vectors(), tools=tools),
            make=lambda **settings: AgentResource(tools=[look], **settings),
        )
    )
    for _ in range(2):
        assert "word1" in client.post("/chat", json=body("Hello")).text
    assert len(agent.requests) == (2 if tools else 4)


def test_an_answer_gets_old() -> None:
    now = 0.0
    upstream = Upstream(WORD)
    cache = SemanticCache(embed=Vectors(), seconds=60, clock=lambda: now)
    client = TestClient(app_of(upstream, cache))
    for at, requests in ((0, 1), (59, 1), (61, 2), (119, 2)):
        now = at
        client.post("/chat", json=body("Hello"))
        assert len(upstream.requests) == requests


def test_a_caller_may_want_a_new_answer() -> None:
    upstream = Upstream(WORD)
    client = TestClient(app_of(upstream, SemanticCache(embed=Vectors())))
    client.post("/chat", json=body("Hello"))
    assert client.post("/chat", json=body("Hello"), headers={"cache-control": "no-cache"}).status_code == 200
    assert (
        "x-semantic-cache" not in client.post("/chat", json=body("Bye"), headers={"cache-control": "no-store"}).headers
    )
    assert len(upstream.requests) == 3
    assert client.post("/chat", json=body("Bye")).headers["x-semantic-cache"] == "miss"
    assert client.post("/chat", json=body("Bye", trigger="regenerate-message")).headers["x-semantic-cache"] == "miss"


def test_without_a_vector_the_model_is_asked() -> None:
    upstream = Upstream(WORD)

    async def broken(text: str) -> list[float]:
        raise RuntimeError("no vectors today")

    client = TestClient(app_of(upstream, SemanticCache(embed=broken)))
    for text in ("Hello", "Hi", "Hello"):
        assert "word1" in client.post("/chat", json=body(text)).text
    assert len(upstream.requests) == 2, "the same words are known without one"


# Whose vectors


@pytest.mark.parametrize(
    "client_of",
    [
        lambda fake: fake,
        lambda fake: AsyncOpenAI(api_key="x", transport=fake),
        lambda fake: OpenAI(api_key="x", transport=fake),
    ],
)
def test_vectors_of_any_client(client_of: Any) -> None:
    asked: list[Any] = []
    fake = FakeOpenAI()

    def journal(request: Any) -> Any:
        asked.append(orjson.loads(request.content()))
        return fake(request)

    upstream = Upstream(WORD)
    cache = SemanticCache(client_of(journal), model="text-embedding-3-small", dimensions=64, threshold=0.999)
    client = TestClient(app_of(upstream, cache, limits=Limits()))
    for text in ("One question", "Quite another, of other words"):
        client.post("/chat", json=body(text))
    assert len(upstream.requests) == 2
    assert (asked[0]["input"], asked[0]["dimensions"]) == ("One question", 64)
    assert {len(each.vector or ()) for each in cache._kept.values()} == {64}


@pytest.mark.parametrize(
    "settings", [{"threshold": 0}, {"threshold": 1.5}, {"limit": 0}, {"seconds": -1}, {"scope": ["team"]}]
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"threshold|limit|scope"):
        SemanticCache(embed=Vectors(), **settings)
    with pytest.raises(TypeError, match="has a client, or embed="):
        SemanticCache()
