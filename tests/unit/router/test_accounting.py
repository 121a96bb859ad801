"""What is spent, by whom, and what happens when there is nothing left."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI
from antiphon.kernel.http import Headers, Request, Response
from antiphon.router import (
    Accounting,
    Budget,
    ChatCompletionResource,
    EmbeddingsResource,
    Memory,
    OpenAIAPIRouter,
    Price,
    Spent,
    SQLiteStore,
    Totals,
    Usage,
)

from .conftest import HELLO, Caller, Upstream, chunk, events_of, silence

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 60},
}
ANSWER = [
    chunk({"role": "assistant", "content": "word"}, model="m-2026-11-01"),
    chunk({}, "stop"),
    chunk({}, usage=USAGE) | {"choices": []},
    b"data: [DONE]\n\n",
]
PRICES = {"m": Price(input=2.0, cached=0.5, output=10.0)}
COST = (600 * 2.0 + 400 * 0.5 + 100 * 10.0) / 1e6


def signed_in(asked: Any) -> str | None:
    user: str | None = asked.connection.headers.get("x-user")
    return user


def app_of(upstream: Any, *layers: Any, model: str = "m", **options: Any) -> FastAPI:
    router = OpenAIAPIRouter(client=upstream, layers=layers, **options)

    @router.post("/chat")
    def chat(stream: bool = True) -> ChatCompletionResource:
        return ChatCompletionResource(model=model, stream=stream)

    @router.websocket("/ws")
    def talk() -> ChatCompletionResource:
        return ChatCompletionResource(model=model, stream=True)

    @router.post("/vectors")
    def vectors() -> EmbeddingsResource:
        return EmbeddingsResource(model="vectors")

    app = FastAPI()
    app.include_router(router)
    return app


def whole(request: Request) -> Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": "word"}, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": USAGE}
    return Response(200, Headers({"content-type": "application/json", "x-request-id": "req_1"}), orjson.dumps(answer))


@pytest.mark.parametrize("format", ["lanarky", "openai", "vercel", "json"])
async def test_every_answer_is_counted_whatever_its_format(format: str) -> None:
    spent: list[Spent] = []
    accounting = Accounting(prices=PRICES, user=signed_in, session="header:x-session", spent=spent.append)
    upstream = whole if format == "json" else Upstream(ANSWER)
    client = TestClient(app_of(upstream, accounting, format=format))
    for user, session in (("ada", "1"), ("ada", "2"), ("bob", "1")):
        client.post("/chat", json=HELLO, headers={"x-user": user, "x-session": session})
    name = "m" if format == "json" else "m-2026-11-01"
    usage = Usage(1000, 100, 60, 400)
    request_id = "req_1" if format == "json" else "req_up"
    assert spent[0] == Spent("ada", "1", name, usage, pytest.approx(COST), False, request_id)
    one = Totals(1, 1000, 400, 100, 60, pytest.approx(COST))
    assert await accounting.totals(user="bob") == one
    assert await accounting.totals(user="ada", session="2") == one
    assert (await accounting.totals(user="ada")).requests == 2
    assert await accounting.totals() == Totals(3, 3000, 1200, 300, 180, pytest.approx(3 * COST))
    assert await accounting.totals(user="eve") == Totals()
    await accounting.forget(user="ada")
    assert (await accounting.totals(user="ada")).requests == 0


def test_without_a_price_there_is_no_cost() -> None:
    spent: list[Spent] = []

    async def hook(each: Spent) -> None:
        await asyncio.sleep(0)
        spent.append(each)

    for prices in ({}, {"other": Price(input=1, output=1)}, lambda model: None):
        TestClient(app_of(Upstream(ANSWER), Accounting(prices=prices, spent=hook))).post("/chat", json=HELLO)
    assert [each.cost for each in spent] == [None] * 3
    TestClient(app_of(Upstream(ANSWER), Accounting(prices={"*": PRICES["m"]}, spent=hook))).post("/chat", json=HELLO)
    assert spent[-1].cost == pytest.approx(COST)


async def test_vectors_are_counted_too() -> None:
    accounting = Accounting(prices={"vectors": Price(input=1.0, output=0.0)})
    TestClient(app_of(FakeOpenAI(), accounting)).post("/vectors", json={"input": "some words to embed"})
    totals = await accounting.totals()
    assert totals.requests == 1 and totals.input_tokens > 2 and totals.cost == pytest.approx(totals.input_tokens / 1e6)


async def test_what_a_memory_found_is_counted() -> None:
    accounting = Accounting()
    client = TestClient(app_of(Upstream(ANSWER), Memory(user=signed_in), accounting))
    session = client.post("/chat", json=HELLO, headers={"x-user": "ada"}).headers["x-session-id"]
    assert (await accounting.totals(user="ada", session=session)).requests == 1


async def test_who_leaves_is_charged_an_estimate() -> None:
    spent: list[Spent] = []
    upstream = Upstream([chunk({"role": "assistant", "content": "some words of an answer "}), silence])
    caller = Caller(app_of(upstream, Accounting(prices={"*": PRICES["m"]}, spent=spent.append)), "/chat").start()
    await caller.until(2)
    caller.left.set()
    await caller.wait()
    assert spent[0].estimated and spent[0].cost is not None
    assert 4 < (spent[0].usage.output_tokens or 0) < 30 and 1 < (spent[0].usage.input_tokens or 0) < 20


async def test_an_answer_that_never_began_costs_nothing() -> None:
    accounting = Accounting()

    def refusing(request: Request) -> Response:
        return Response(400, Headers({"content-type": "application/json"}), b'{"error":{"message":"No."}}')

    assert TestClient(app_of(refusing, accounting)).post("/chat", json=HELLO).status_code == 400
    assert await accounting.totals() == Totals()


async def test_a_hook_that_fails_takes_nothing_from_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    def broken(spent: Spent) -> None:
        raise RuntimeError("no invoice")

    accounting = Accounting(spent=broken)
    with caplog.at_level(logging.ERROR, "antiphon.router"):
        assert "word" in TestClient(app_of(Upstream(ANSWER), accounting)).post("/chat", json=HELLO).text
    assert "no invoice" in caplog.text
    assert (await accounting.totals()).requests == 1


# Budgets


@pytest.mark.parametrize("budget", [Budget(cost=2 * COST), Budget(tokens=2200), Budget(requests=2)])
def test_a_budget_that_is_used_up_refuses(budget: Budget) -> None:
    upstream = Upstream(ANSWER)
    client = TestClient(app_of(upstream, Accounting(prices=PRICES, user=signed_in, budgets=[budget])))
    for _ in range(2):
        assert client.post("/chat", json=HELLO, headers={"x-user": "ada"}).status_code == 200
    refused = client.post("/chat", json=HELLO, headers={"x-user": "ada"})
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == refused.json()["error"]["code"] == "insufficient_quota"
    assert "used up" in refused.json()["error"]["message"]
    assert len(upstream.requests) == 2
    assert client.post("/chat", json=HELLO, headers={"x-user": "bob"}).status_code == 200, "a budget for each"


def test_a_budget_begins_anew_and_may_answer_402() -> None:
    now = 86_400.0 * 20_000 + 100
    budget = Budget(requests=1, seconds=86_400, status=402, per="all")
    accounting = Accounting(budgets=[budget], clock=lambda: now)
    client = TestClient(app_of(Upstream(ANSWER), accounting))
    assert client.post("/chat", json=HELLO).status_code == 200
    refused = client.post("/chat", json=HELLO)
    assert (refused.status_code, refused.headers["retry-after"]) == (402, str(86_400 - 100 + 1))
    now += 86_400 - 100
    assert client.post("/chat", json=HELLO).status_code == 200


def test_a_budget_over_a_websocket_is_an_error_of_the_format() -> None:
    accounting = Accounting(budgets=[Budget(requests=1, per="session")])
    app = app_of(Upstream(ANSWER), Memory(), accounting)
    client = TestClient(app)
    for _ in range(2):
        with client.websocket_connect("/ws") as websocket:
            events = []
            for _ in range(2):
                websocket.send_json(HELLO)
                while (frame := websocket.receive_json())["event"] != "end":
                    events.append(frame)
            assert events[-1]["event"] == "error" and events[-1]["data"]["status_code"] == 429
            assert events[0]["data"] == "word"


async def test_many_at_once_are_not_more_than_the_budget_has() -> None:
    go = asyncio.Event()
    upstream = Upstream([go.wait, *ANSWER])
    app = app_of(upstream, Accounting(budgets=[Budget(requests=3)]))
    callers = [Caller(app, "/chat").start() for _ in range(8)]
    await asyncio.sleep(0.05)
    go.set()
    for caller in callers:
        await caller.wait()
    assert sorted(caller.status for caller in callers) == [200] * 3 + [429] * 5
    assert len(upstream.requests) == 3


def test_two_budgets_of_the_same_span_count_once() -> None:
    budgets = [Budget(requests=3, seconds=60), Budget(tokens=10_000, seconds=60)]
    client = TestClient(app_of(Upstream(ANSWER), Accounting(budgets=budgets, clock=lambda: 30.0)))
    assert [client.post("/chat", json=HELLO).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_budgets_may_depend_on_who_asks() -> None:
    def budgets(asked: Any) -> list[Budget]:
        return [] if signed_in(asked) == "ada" else [Budget(requests=0)]

    client = TestClient(app_of(Upstream(ANSWER), Accounting(user=signed_in, budgets=budgets)))
    assert client.post("/chat", json=HELLO, headers={"x-user": "ada"}).status_code == 200
    assert client.post("/chat", json=HELLO).status_code == 429


def test_a_model_without_a_price_is_not_asked_where_cost_is_limited() -> None:
    upstream = Upstream(ANSWER)
    accounting = Accounting(prices=PRICES, budgets=[Budget(cost=1.0)])
    client = TestClient(app_of(upstream, accounting, parameters=("model",)))
    refused = client.post("/chat", json={**HELLO, "model": "dear"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_without_price")
    assert upstream.requests == []
    assert client.post("/chat", json=HELLO).status_code == 200


async def test_workers_share_what_is_counted(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "spent.db") as one, SQLiteStore(tmp_path / "spent.db") as other:
        clients = [
            TestClient(app_of(Upstream(ANSWER), Accounting(prices=PRICES, budgets=[Budget(requests=3)], store=store)))
            for store in (one, other)
        ]
        statuses = [clients[n % 2].post("/chat", json=HELLO).status_code for n in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert (await Accounting(store=other).totals()).cost == pytest.approx(3 * COST)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Budget(),
        lambda: Budget(tokens=-1),
        lambda: Budget(tokens=1, per="team"),  # type: ignore[arg-type]
        lambda: Budget(tokens=1, seconds=0),
        lambda: Budget(tokens=1, status=500),
        lambda: Price(input=-1, output=0),
        lambda: Price(input=float("nan"), output=0),
    ],
)
def test_budgets_and_prices_that_cannot_be(make: Any) -> None:
    with pytest.raises(ValueError, match=r"budget|price"):
        make()


COUNT = st.integers(0, 10**7)
PRICE = st.floats(0, 1000)


@given(COUNT, COUNT, COUNT, PRICE, PRICE, PRICE)
def test_a_price_is_between_all_cached_and_nothing_cached(
    read: int, cached: int, written: int, input: float, cheap: float, output: float
) -> None:
    price = Price(input=input, cached=cheap, output=output)
    cost = price.of(Usage(read, written, cached_tokens=cached))
    ends = sorted([(read * each + written * output) / 1e6 for each in (input, cheap)])
    assert ends[0] * (1 - 1e-9) <= cost <= ends[1] * (1 + 1e-9) + 1e-9
    assert Price(input=input, output=output).of(Usage(read, written, cached_tokens=cached)) == pytest.approx(
        (read * input + written * output) / 1e6
    )


def test_the_usage_of_an_answer_is_not_changed_by_counting() -> None:
    text = TestClient(app_of(Upstream(ANSWER), Accounting(), format="openai")).post("/chat", json=HELLO).text
    assert next(each for each in events_of(text) if isinstance(each, dict) and each.get("usage"))["usage"] == USAGE
