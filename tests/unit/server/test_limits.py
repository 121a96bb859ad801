"""Rate limits that are kept, by a clock that stands still."""

from __future__ import annotations

import math
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.server.clock import VirtualClock
from antiphon.server.limits import RateLimit, rate_limits
from antiphon.server.sounds import Sound, encoded

HELLO: Any = [{"role": "user", "content": "Hello"}]


def limited(limits: Any, **options: Any) -> tuple[FakeOpenAI, VirtualClock, antiphon.OpenAI]:
    clock = VirtualClock()
    fake = FakeOpenAI("echo", rate_limits=limits, clock=clock, **options)
    return fake, clock, fake.client(max_retries=0)


def ask(client: antiphon.OpenAI, model: str = "gpt-5", **options: Any) -> Any:
    return client.chat.completions.with_raw_response.create(model=model, messages=HELLO, **options)


def test_a_bucket_is_emptied_and_fills_up_evenly() -> None:
    _, clock, client = limited(RateLimit(requests=2))
    headers = ask(client).headers
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-remaining-requests"] == "1"
    assert headers["x-ratelimit-reset-requests"] == "30s"
    assert ask(client).headers["x-ratelimit-reset-requests"] == "1m0s"
    with pytest.raises(antiphon.RateLimitError) as caught:
        ask(client)
    error = caught.value
    assert (error.code, error.type) == ("rate_limit_exceeded", "requests")
    assert "gpt-5 in organization org-antiphon on requests per min (RPM): Limit 2, Used 2, Requested 1" in error.message
    assert error.response.headers["retry-after"] == "30"
    assert error.response.headers["retry-after-ms"] == "30000"
    clock.advance(29.9)
    with pytest.raises(antiphon.RateLimitError, match=r"try again in 100ms"):
        ask(client)
    clock.advance(0.1)
    ask(client)
    clock.advance(3600)
    assert ask(client).headers["x-ratelimit-remaining-requests"] == "1"


def test_the_client_waits_as_long_as_it_is_told_and_then_passes() -> None:
    fake, clock, _ = limited(RateLimit(requests=1))
    client = fake.client()
    began = clock.now()
    ask(client)
    assert ask(client).retries_taken == 1
    assert clock.now() - began == 60


def test_tokens_are_what_is_asked_and_what_may_be_answered() -> None:
    _, clock, client = limited({"gpt-5": {"tokens": 100}})
    headers = ask(client, max_completion_tokens=38, n=2).headers  # Hello: 2 tokens
    assert headers["x-ratelimit-remaining-tokens"] == "22"
    assert headers["x-ratelimit-limit-requests"] == "10000"
    with pytest.raises(antiphon.RateLimitError, match=r"tokens per min \(TPM\): Limit 100, Used 78, Requested 32"):
        ask(client, max_completion_tokens=30)
    ask(client, max_completion_tokens=20)
    clock.advance(60)
    with pytest.raises(antiphon.RateLimitError, match="Request too large for gpt-5") as caught:
        ask(client, max_completion_tokens=99)
    assert "retry-after" not in caught.value.response.headers
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_keys_and_models_have_buckets_of_their_own() -> None:
    fake, _, client = limited({"gpt-5": RateLimit(requests=1), "gpt-*": RateLimit(requests=2)})
    ask(client)
    for model in ("gpt-4o", "gpt-4o", "o3", "o3", "o3"):
        ask(client, model)
    for model in ("gpt-5", "gpt-4o"):
        with pytest.raises(antiphon.RateLimitError):
            ask(client, model)
    ask(fake.client(api_key="another"))


def test_every_way_to_a_model_counts_and_nothing_else_does() -> None:
    _, clock, client = limited({"m": RateLimit(requests=1)})
    audio = ("a.wav", encoded(Sound(array("h", bytes(2000))), "wav"))
    calls: list[Any] = [
        lambda: client.responses.create(model="m", input="x"),
        lambda: list(client.responses.create(model="m", input="x", stream=True)),
        lambda: client.embeddings.create(model="m", input="x"),
        lambda: client.audio.transcriptions.create(model="m", file=audio),
        lambda: client.completions.create(model="m", prompt="x"),
    ]
    for call in calls:
        call()
        with pytest.raises(antiphon.RateLimitError):
            call()
        clock.advance(60)
    for _ in range(3):
        client.models.list()
        client.files.list()


def test_a_refusal_tells_too_and_state_goes_with_snapshots() -> None:
    fake, _, client = limited(RateLimit(requests=3))
    before = fake.snapshot()
    with pytest.raises(antiphon.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-5", messages=[])
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "2"
    fake.restore(before)
    assert ask(client).headers["x-ratelimit-remaining-requests"] == "2"
    fake.reset()
    assert ask(client).headers["x-ratelimit-remaining-requests"] == "2"


@given(
    st.integers(1, 120),
    st.lists(st.tuples(st.floats(0, 90, allow_nan=False), st.integers(1, 5)), min_size=1, max_size=20),
)
def test_no_minute_lets_more_through_than_a_full_bucket_and_what_fills_it(
    most: int, bursts: list[tuple[float, int]]
) -> None:
    _, clock, client = limited(RateLimit(requests=most))
    passed: list[float] = []
    for wait, times in bursts:
        clock.advance(wait)
        for _ in range(times):
            try:
                ask(client)
            except antiphon.RateLimitError as error:
                after = float(error.response.headers["retry-after-ms"]) / 1000
                assert 0 < after <= 60 / most + 0.001
                clock.advance(after)
                ask(client)
            passed.append(clock.now())
    for at, begin in enumerate(passed):
        for end in passed[at:]:
            inside = sum(begin <= each <= end for each in passed)
            assert inside <= most + math.ceil((end - begin) * most / 60 + 1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (60, "rate_limits is a RateLimit or a mapping"),
        ({"gpt-5": 60}, r"the rate limit of 'gpt-5' is a RateLimit\(requests=…, tokens=…\), not 60"),
        ({"gpt-5": {"rpm": 60}}, "the rate limit of 'gpt-5' has rpm; there are"),
        (RateLimit(requests=0), r"the requests a minute of '\*' are a whole number from 1 on, not 0"),
        (RateLimit(tokens=1.5), "the tokens a minute"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_limit(wrong: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        rate_limits(wrong)
