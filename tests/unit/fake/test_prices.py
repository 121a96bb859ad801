"""What exchanges cost, and what tests say of it."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.fake import Price
from antiphon.fake.journal import Tokens
from antiphon.fake.prices import Prices, table
from antiphon.fake.said import said
from antiphon.server.vocabulary import known_models


def test_a_price_is_for_a_million_tokens_and_less_for_those_from_the_cache() -> None:
    price = Price(input=2.0, output=8.0, cached=0.5)
    assert price.of(Tokens(1_000_000, 0)) == 2.0
    assert price.of(Tokens(1_000_000, 500_000, 400_000)) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 4)
    assert Price(2.0, 8.0).of(Tokens(1_000_000, 0, 1_000_000)) == 2.0


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("mine", 1.0),
        ("mine-2026-01-01", 1.0),
        ("mine-0613", 1.0),
        ("ft:mine-2026-01-01:org::id", 1.0),
        ("my-large", 2.0),
        ("my-other", 3.0),
        ("ft:my-other:org::id", 3.0),
        ("gpt-4o-2024-05-13", table().models["gpt-4o-2024-05-13"].input),
        ("gpt-4o-2024-08-06", table().models["gpt-4o"].input),
        ("unheard-of", None),
    ],
)
def test_the_price_of_a_model_is_the_most_particular_there_is(model: str, price: float | None) -> None:
    prices = Prices({"my-*": (3.0, 0.0), "mine": {"input": 1.0, "output": 0}, "my-l*": Price(2.0, 0.0)})
    found = prices.of(model)
    assert (None if found is None else found.input) == price


def test_a_pattern_may_be_for_all() -> None:
    assert Prices({"*": (7.0, 7.0)}).of("gpt-5") == Price(7.0, 7.0)


def test_the_table_has_the_models_that_are_talked_to() -> None:
    told = table()
    assert told.as_of == "2026-11-28"
    assert told.assumed < set(told.models)
    prices = Prices()
    talking = [
        name for name in known_models() if name.startswith(("gpt-4", "gpt-5", "o1", "o3", "o4", "text-embedding"))
    ]
    assert len(talking) > 20
    assert [name for name in talking if prices.of(name) is None] == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "prices is a mapping"),
        ({"m": 3}, "the price of 'm' is a Price"),
        ({"m": {"input": 1}}, "input and output are needed"),
        ({"m": {"input": 1, "output": 1, "per": 2}}, "there is no 'per'"),
        ({"m": (1, -1)}, "for output tokens is a number from 0 on, not -1"),
        ({"m": (True, 1)}, "for input tokens is a number"),
    ],
)
def test_what_is_no_price_is_refused(given: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        FakeOpenAI(prices=given)


def test_what_exchanges_cost() -> None:
    fake = FakeOpenAI("echo", prices={"gpt-5": (1.0, 10.0)})
    client = fake.client(max_retries=0)
    response = client.responses.create(model="gpt-5", input="Hello there")
    assert response.usage is not None
    assert fake.journal[-1].cost == pytest.approx(
        (response.usage.input_tokens + 10 * response.usage.output_tokens) / 1_000_000
    )
    # A stream that tells no usage costs what its texts do.
    for _ in client.chat.completions.create(
        model="gpt-5",
        messages=[{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello there"}],
        stream=True,
    ):
        pass
    whole = client.chat.completions.create(
        model="gpt-5", messages=[{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello there"}]
    )
    assert whole.usage is not None
    assert fake.journal[-2].tokens == fake.journal[-1].tokens
    fake.when().fail(429)
    with pytest.raises(Exception, match="429"):
        client.responses.create(model="gpt-5", input="Hello there")
    assert fake.journal[-1].cost == 0.0
    assert fake.journal.prices.of("gpt-5") == Price(1.0, 10.0)


def test_tokens_from_the_cache_are_read_of_both_dialects() -> None:
    chat = {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}}
    response = {"usage": {"input_tokens": 9, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 4}}}
    for body in (chat, response):
        told = said(body, [])
        assert (told.input_tokens, told.output_tokens, told.cached_tokens) == (9, 1, 4)


def test_cost_at_most() -> None:
    fake = FakeOpenAI("echo", prices={"gpt-5": (1.0, 10.0)})
    client = fake.client()
    for text in ("Hello", "Hello there"):
        client.responses.create(model="gpt-5", input=text)
    fake.assert_cost_at_most(0.0001)
    fake.assert_cost_at_most(0.00003, text="Hello there", model="gpt-5")
    with pytest.raises(AssertionError) as failed:
        fake.assert_cost_at_most(0.00001)
    assert str(failed.value).startswith("expected a cost of $0.00001 at most with anything, and it was $0.0000")
    assert "<responses.create gpt-5 'Hello there' -> 200 'Hello there'>" in str(failed.value)
    client.responses.create(model="unheard-of", input="Hello")
    with pytest.raises(AssertionError, match=r"no price for unheard-of: say it with FakeOpenAI\(prices="):
        fake.assert_cost_at_most(1)


def test_nothing_unexpected() -> None:
    fake = FakeOpenAI("echo")
    client = fake.client(max_retries=0)
    fake.when(text="weather").reply("Sunny")
    client.responses.create(model="gpt-5", input="The weather?")
    client.files.create(file=b"x", purpose="assistants")  # what the server keeps is no engine's
    fake.assert_nothing_unexpected()
    client.responses.create(model="gpt-5", input="Something else")
    client.embeddings.create(model="text-embedding-3-small", input="x")
    with pytest.raises(AssertionError) as failed:
        fake.assert_nothing_unexpected({"operation": "embeddings.*"})
    assert str(failed.value) == (
        "expected every request to be answered by a rule, or one of (operation='embeddings.*'), and 1 was not:\n"
        "  [2] <responses.create gpt-5 'Something else' -> 200 'Something else'>\n"
        "        the nearest is rule 1, when(text='weather'), of test_prices.py:"
        f"{_line()}, but text is 'Something else', which has no 'weather' in it"
    )
    with pytest.raises(Exception, match="404"):
        client.get("/nowhere", cast_to=object)
    with pytest.raises(AssertionError, match="there is no operation at this address"):
        fake.assert_nothing_unexpected({"operation": "embeddings.*"}, {"text": "Something"})


def _line() -> int:
    return test_nothing_unexpected.__code__.co_firstlineno + 3


def test_a_strict_fake_s_refusals_are_unexpected() -> None:
    fake = FakeOpenAI(strict=True)
    with pytest.raises(Exception, match="No rule answers"):
        fake.client(max_retries=0).responses.create(model="gpt-5", input="Hello")
    with pytest.raises(AssertionError, match="no rule is for it: there are none"):
        fake.assert_nothing_unexpected()
