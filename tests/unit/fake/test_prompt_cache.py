"""The cache of prompts: what begins as an earlier prompt did is read faster, and usage, costs and metrics say so."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import FakeOpenAI, RateLimitError
from antiphon.cli import serve
from antiphon.engines.latency import PROFILES, latency_of
from antiphon.engines.prefixes import Cache
from antiphon.fake import Latency
from antiphon.kernel.http import Headers, Request
from antiphon.server.clock import VirtualClock
from antiphon.server.engine import ChatRequest
from antiphon.server.turns import McpListTools, Usage

SYSTEM = {"role": "system", "content": " ".join(f"Rule {number} is a rule." for number in range(300))}
"""More than 1,024 tokens."""


def fake_of(latency: Any = Latency(prefill=0.001, cache=1000), **options: Any) -> FakeOpenAI:
    return FakeOpenAI("echo", latency=latency, clock=VirtualClock(0), **options)


def ask(fake: FakeOpenAI, text: str, *before: Any, **options: Any) -> Any:
    """The usage of an answer."""
    messages = [SYSTEM, *before, {"role": "user", "content": text}]
    client: Any = fake.client()
    return client.chat.completions.create(**{"model": "gpt-5", "messages": messages, **options}).usage


def said(fake: FakeOpenAI, *messages: Any) -> Any:
    """The usage of an answer to just these messages."""
    client: Any = fake.client()
    return client.chat.completions.create(model="gpt-5", messages=messages).usage


def cached(usage: Any) -> int:
    found: int = usage.prompt_tokens_details.cached_tokens
    return found


def metrics(fake: FakeOpenAI) -> dict[str, float]:
    answer: Any = fake(Request("GET", "/_antiphon/metrics", "", Headers(), b"", "http://127.0.0.1:1"))
    lines = [line.rpartition(" ") for line in answer.body.decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


def test_what_begins_alike_is_read_faster_and_the_usage_says_so() -> None:
    fake = fake_of(prices={"gpt-5": {"input": 10.0, "output": 0.0, "cached": 1.0}})
    first = ask(fake, "one")
    assert cached(first) == 0
    assert fake.clock.now() == pytest.approx(first.prompt_tokens * 0.001)
    began = fake.clock.now()
    second = ask(fake, "two")
    assert cached(second) >= 1024
    assert cached(second) % 128 == 0
    assert second.prompt_tokens - cached(second) < 128 + 16
    assert fake.clock.now() - began == pytest.approx((second.prompt_tokens - cached(second)) * 0.001)
    assert first.prompt_tokens_details.cache_write_tokens == cached(second)
    assert second.prompt_tokens_details.cache_write_tokens == 0
    one, two = (exchange.cost for exchange in fake.journal)
    assert one == pytest.approx(first.prompt_tokens * 10 / 1e6)
    assert two == pytest.approx(((second.prompt_tokens - cached(second)) * 10 + cached(second)) / 1e6)


def test_a_conversation_that_goes_on_is_cached_as_far_as_it_was() -> None:
    fake = fake_of("prefill=0.001, cache=1000, block=16, least=0")
    first = ask(fake, "Hello there, how are you?")
    longer = ask(fake, "Fine", {"role": "user", "content": "Hello there, how are you?"})
    assert first.prompt_tokens - 16 - 3 <= cached(longer) <= first.prompt_tokens
    changed = [{"role": "system", "content": "Other" + SYSTEM["content"]}, {"role": "user", "content": "x"}]
    assert cached(said(fake, *changed)) == 0


def test_responses_and_streams_tell_it_too() -> None:
    fake, ask_for = fake_of(), {"model": "gpt-5", "instructions": SYSTEM["content"]}
    client: Any = fake.client()
    one = client.responses.create(**ask_for, input="one").usage
    assert one.input_tokens_details.cached_tokens == 0
    assert one.input_tokens_details.cache_write_tokens >= 1024
    two = list(client.responses.create(**ask_for, input="two", stream=True))[-1].response.usage
    assert two.input_tokens_details.cached_tokens == one.input_tokens_details.cache_write_tokens
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    messages = [{**SYSTEM, "role": "developer"}, {"role": "user", "content": "three"}]
    chunks = list(client.chat.completions.create(model="gpt-5", messages=messages, **asked))
    assert cached(chunks[-1].usage) == two.input_tokens_details.cached_tokens, "the same prompt, whichever the endpoint"
    assert fake.journal[-1].tokens.cached == cached(chunks[-1].usage)
    beyond = client.responses.create(model="gpt-5", input="More " * 300, store=True, instructions=SYSTEM["content"])
    further = client.responses.create(
        model="gpt-5", input="and?", previous_response_id=beyond.id, instructions=SYSTEM["content"]
    )
    assert further.usage.input_tokens_details.cached_tokens > two.input_tokens_details.cached_tokens


def test_short_prompts_are_not_cached_as_by_the_api() -> None:
    fake = fake_of()
    for _ in range(2):
        usage = fake.client().responses.create(model="gpt-5", input="word " * 900).usage
        assert usage is not None
        assert usage.input_tokens_details.cached_tokens == usage.input_tokens_details.cache_write_tokens == 0
    assert not any(value for name, value in metrics(fake).items() if "kv_cache" in name)


def test_models_keys_tools_and_formats_have_prefixes_of_their_own() -> None:
    fake = fake_of()
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for options in (
        {},
        {"model": "gpt-5-mini"},
        {"prompt_cache_key": "a"},
        {"prompt_cache_key": "b"},
        {"tools": [tool]},
        {"response_format": {"type": "json_object"}, "messages": [SYSTEM, {"role": "user", "content": "JSON"}]},
    ):
        assert cached(ask(fake, "one", **options)) == 0, options
        assert cached(ask(fake, "two", **options)) >= 1024, options


def test_what_was_used_last_is_kept() -> None:
    fake = fake_of("cache=40, block=64, least=64")
    blocks = cached_blocks = 0
    for text in ("a", "b", "c"):  # each takes more than half of it
        other = {"role": "system", "content": f"{text} {SYSTEM['content']}"}
        usage = said(fake, other)
        blocks = usage.prompt_tokens // 64
        cached_blocks = cached(usage) // 64
        assert cached_blocks == 0
    assert blocks < 40 < 2 * blocks
    assert metrics(fake)['vllm:kv_cache_usage_perc{model_name="gpt-5"}'] == 1
    other = {"role": "system", "content": f"c {SYSTEM['content']}"}
    assert cached(said(fake, other)) == blocks * 64
    before = {"role": "system", "content": f"b {SYSTEM['content']}"}
    usage = said(fake, before)
    assert 0 < cached(usage) == (40 - blocks) * 64, "its beginning is kept longest"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, "23h"),
        ({"prompt_cache_retention": "24h"}, "23h"),
        ({"prompt_cache_retention": "in_memory"}, "9m"),
        ({"prompt_cache_options": {"ttl": "30m"}}, "29m"),
    ],
)
def test_prefixes_are_kept_as_long_as_requests_say(options: Any, kept: str) -> None:
    fake = fake_of()
    ask(fake, "one", **options)
    for _ in range(2):
        fake.clock.advance(kept)
        assert cached(ask(fake, "two", **options)) >= 1024, "used, and so kept"
    fake.clock.advance(kept)
    fake.clock.advance("61m")
    assert cached(ask(fake, "three", **options)) == 0
    assert metrics(fake)['vllm:kv_cache_usage_perc{model_name="gpt-5"}'] > 0
    fake.clock.advance("25h")
    assert metrics(fake)['vllm:kv_cache_usage_perc{model_name="gpt-5"}'] == 0


def test_who_says_where_prefixes_end_and_says_nowhere_has_no_cache() -> None:
    fake, explicit = fake_of(), {"prompt_cache_options": {"mode": "explicit"}}
    for _ in range(2):
        usage = ask(fake, "one", **explicit)
        assert cached(usage) == usage.prompt_tokens_details.cache_write_tokens == 0


def rules_until(*, ttl: str | None = None) -> dict[str, Any]:
    """The text of the rules as a part, where a prefix ends."""
    end = {"mode": "explicit"} | ({} if ttl is None else {"ttl": ttl})
    return {"type": "text", "text": SYSTEM["content"], "prompt_cache_breakpoint": end}


@pytest.mark.parametrize("mode", ["implicit", "explicit"])
def test_where_a_prefix_is_said_to_end_it_does_to_the_token(mode: str) -> None:
    fake = fake_of(Latency(cache=1000, block=4096, least=1024))  # no block is whole
    options = {"prompt_cache_options": {"mode": mode}}
    system = {"role": "system", "content": [rules_until()]}
    first = ask(fake, "x", messages=[system, {"role": "user", "content": "one"}], **options)
    written = first.prompt_tokens_details.cache_write_tokens
    assert first.prompt_tokens - 12 < written < first.prompt_tokens
    again = ask(fake, "x", messages=[system, {"role": "user", "content": "another thing"}], **options)
    assert (cached(again), again.prompt_tokens_details.cache_write_tokens) == (written, 0)
    unsaid = ask(fake, "x", messages=[SYSTEM, {"role": "user", "content": "one"}], **options)
    assert cached(unsaid) == 0, "what is looked for is what the request says"
    client: Any = fake.client()
    part = {**rules_until(), "type": "input_text"}
    items = [{"role": "system", "content": [part]}, {"role": "user", "content": "a third"}]
    told = client.responses.create(model="gpt-5", input=items, **options).usage.input_tokens_details
    assert told.cached_tokens == written, "in Responses, too"


def test_a_prefix_may_be_kept_for_longer_than_the_others() -> None:
    fake, options = fake_of(), {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}
    for ttl, later in ((None, 0), ("12h", 1)):
        messages = [{"role": "system", "content": [rules_until(ttl=ttl)]}, {"role": "user", "content": "x"}]
        key = {"prompt_cache_key": str(ttl)}
        assert cached(ask(fake, "x", messages=messages, **options, **key)) == 0
        fake.clock.advance("11h")
        assert (cached(ask(fake, "x", messages=messages, **options, **key)) > 1024) is bool(later)


def test_metrics_have_it_by_the_names_of_vllm() -> None:
    fake = fake_of("cache=100, block=16, least=0")
    usages = [ask(fake, text) for text in ("one", "two", "three")]
    fake.client().completions.create(model="gpt-5", prompt="word " * 64)
    told = metrics(fake)
    labels = '{model_name="gpt-5"}'
    queries = sum(usage.prompt_tokens for usage in usages) + fake.journal[-1].tokens.input
    assert told[f"vllm:prefix_cache_queries_total{labels}"] == queries
    assert told[f"vllm:prefix_cache_hits_total{labels}"] == sum(map(cached, usages)) > 0
    assert 0 < told[f"vllm:kv_cache_usage_perc{labels}"] < 1.01
    fake.meters.set("gpt-5", {"vllm:kv_cache_usage_perc": 0.25})
    assert metrics(fake)[f"vllm:kv_cache_usage_perc{labels}"] == 0.25


def test_several_choices_read_their_prompt_once() -> None:
    fake = fake_of("prefill=0.001, cache=100, block=16, least=0")
    usage = ask(fake, "one", n=3)
    assert cached(usage) == 0
    assert metrics(fake)['vllm:prefix_cache_queries_total{model_name="gpt-5"}'] == usage.prompt_tokens


def test_a_reset_another_state_and_another_size_forget_it() -> None:
    fake = fake_of()
    state = fake.snapshot()
    usages = [[cached(ask(fake, text)) for text in ("one", "two")]]
    fake.reset()
    usages.append([cached(ask(fake, text)) for text in ("one", "two")])
    fake.restore(state)
    usages.append([cached(ask(fake, text)) for text in ("one", "two")])
    fake.latency = Latency(cache=500)
    usages.append([cached(ask(fake, text)) for text in ("one", "two")])
    assert usages == [usages[0]] * 4
    assert usages[0][0] == 0 < usages[0][1]


def test_what_an_answer_says_of_itself_counts_for_more() -> None:
    fake = fake_of()
    fake.when(text="mine").reply(lambda request: [Usage(cached_tokens=7), "x"])
    ask(fake, "one")
    assert cached(ask(fake, "mine")) == 7


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_refused_was_read_by_no_model(stream: bool) -> None:
    fake = fake_of()
    fake.when(text="refuse").fail(429)
    client: Any = fake.client(max_retries=0)
    for _ in range(2):
        with pytest.raises(RateLimitError):
            client.responses.create(model="gpt-5", instructions=SYSTEM["content"], input="refuse", stream=stream)
    assert cached(ask(fake, "one")) == 0
    assert fake.journal[0].status == fake.journal[1].status == 429


def test_an_engine_lists_the_tools_of_servers_itself_all_the_same() -> None:
    def engine(request: Any) -> Any:
        yield McpListTools("wiki", [{"name": "ask", "input_schema": {"type": "object"}, "description": "Asks"}])
        yield "done"

    fake = FakeOpenAI(engine, latency="cache=9")
    client: Any = fake.client()
    tool = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.test", "require_approval": "never"}
    output = client.responses.create(model="gpt-5", input="x", tools=[tool]).output
    assert [item.type for item in output] == ["mcp_list_tools", "message"]


def test_without_a_cache_nothing_of_it_is_told() -> None:
    fake = fake_of("prefill=0.001")
    ask(fake, "one")
    usage = ask(fake, "one")
    assert cached(usage) == 0
    assert usage.prompt_tokens_details.cache_write_tokens is None
    assert not any("prefix_cache" in name for name in metrics(fake))
    assert not fake.server.derived


def test_other_dialects_have_it_in_their_words() -> None:
    fake = fake_of()
    told: list[int] = []
    system = {"parts": [{"text": SYSTEM["content"]}]}
    ways: list[tuple[str, dict[str, Any]]] = [
        ("messages", {"model": "gpt-5", "max_tokens": 9, "system": SYSTEM["content"]}),
        ("messages", {"model": "gpt-5", "max_tokens": 9, "system": SYSTEM["content"], "stream": True}),
    ]
    with fake.start(port=0) as server, httpx2.Client(base_url=server.url, headers={"x-api-key": "any"}) as http:
        for path, body in ways:
            answer = http.post(f"/v1/{path}", json={**body, "messages": [{"role": "user", "content": "x"}]})
            told.append(int(re.findall(r'"cache_read_input_tokens":(\d+)', answer.text)[-1]))
            assert int(re.findall(r'"input_tokens":(\d+)', answer.text)[-1]) + told[-1] > 1024
        asked = {"systemInstruction": system, "contents": [{"role": "user", "parts": [{"text": "x"}]}]}
        answer = http.post("/v1beta/models/gpt-5:generateContent", json=asked, params={"key": "any"})
        told.append(answer.json()["usageMetadata"]["cachedContentTokenCount"])
    assert told[0] == 0 < told[1] == told[2]


# How it is said


def test_it_is_said_in_all_the_forms_of_a_latency() -> None:
    assert latency_of("typical, cache=1000") == Latency(
        **{**PROFILES["typical"].to_dict(), "cache": 1000}  # type: ignore[arg-type]
    )
    assert latency_of("0.5/0.02, cache=10, block=16, least=0") == Latency(0.5, 0.02, cache=10, block=16, least=0)
    assert latency_of({"first": 1, "cache": 5}) == Latency(1, cache=5)
    assert serve._latency("typical, cache=9") == ("*", latency_of("typical, cache=9"))
    assert serve._latency("cache=9") == ("*", Latency(cache=9))
    assert serve._latency("gpt-5=typical, cache=9") == ("gpt-5", latency_of("typical, cache=9"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cache=1.5", "not 'cache=1.5'"),
        ("typical, cach=1", "a latency has no 'cach'; it has .* cache, block, least"),
        ("slowish, cache=1", "not 'slowish"),
        ({"cache": -1}, "cache of a latency is a whole number from 0 on, not -1"),
        ({"cache": True}, "not True"),
        ({"block": 0}, "block of a latency is a whole number from 1 on, not 0"),
        ({"least": 0.5}, "least of a latency is a whole number from 0 on, not 0.5"),
    ],
)
def test_what_is_no_cache_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FakeOpenAI(latency=given)


# Laws

words = st.lists(st.sampled_from(("one", "two", "three")), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=6), st.integers(1, 12), st.integers(1, 8))
def test_a_cache_never_has_more_than_was_asked_before_and_than_fits(
    asked: list[list[str]], blocks: int, block: int
) -> None:
    cache, twin = Cache(blocks, block, 0), Cache(blocks, block, 0)
    seen: list[list[str]] = []
    for said in asked:
        request = ChatRequest("gpt-5", [{"role": "user", "content": " ".join(said)}])
        found = cache.find(request, 0.0)
        assert found == twin.find(request, 0.0)
        assert found.cached % block == found.written % block == 0
        assert found.cached + found.written < found.prompt
        assert found.cached <= blocks * block
        common = max((_common(said, other) for other in seen), default=-1)
        assert found.cached <= common + 6, "a word is a token here, and a message has six besides"
        again = cache.find(request, 0.0)
        assert again.cached == twin.find(request, 0.0).cached == found.cached + found.written
        assert 0 <= cache.used(0.0) <= 1
        seen.append(said)
    assert cache.hits <= cache.queries


def _common(one: list[str], two: list[str]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
