"""Rules: what a fake answers to what."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake import exactly
from antiphon.server.turns import Reasoning, Usage

TOOLS: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def ask(fake: FakeOpenAI, *messages: Any, **options: Any) -> Any:
    create: Any = fake.client(max_retries=0).chat.completions.create
    given = [user(each) if isinstance(each, str) else each for each in messages]
    return create(**{"model": "gpt-5", "messages": given, **options})


def said(fake: FakeOpenAI, *messages: Any, **options: Any) -> Any:
    return ask(fake, *messages, **options).choices[0].message.content


def test_what_no_rule_is_for_is_the_engines() -> None:
    fake = FakeOpenAI("echo")
    fake.when(text="weather").reply("Sunny")
    assert said(fake, "How is the weather?") == "Sunny"
    assert said(fake, "Hello") == "Hello"
    assert [call.answered_by for call in fake.journal] == [str(next(iter(fake.rules))), "Echo()"]


@pytest.mark.parametrize(
    ("condition", "meant", "other"),
    [
        ({"text": "weather"}, {}, {"messages": [user("Hello")]}),
        ({"text": exactly("the weather")}, {}, {"messages": [user("the weather!")]}),
        ({"text": re.compile("^THE", re.IGNORECASE)}, {}, {"messages": [user("on the weather")]}),
        ({"model": "gpt-5"}, {}, {"model": "gpt-5-mini"}),
        ({"model": "gpt-4*"}, {"model": "gpt-4o"}, {}),
        ({"model": re.compile("mini$")}, {"model": "gpt-5-mini"}, {}),
        ({"system": "brief"}, {"messages": [{"role": "developer", "content": "Be brief"}, user("x")]}, {}),
        ({"tools": "get_weather"}, {"tools": TOOLS}, {}),
        ({"turn": 2}, {"messages": [user("a"), {"role": "assistant", "content": "b"}, user("c")]}, {}),
        ({"headers": {"X-Case": "one"}}, {"extra_headers": {"x-case": "one"}}, {"extra_headers": {"x-case": "onex"}}),
        ({"metadata": {"kind": re.compile("a|b")}}, {"metadata": {"kind": "b"}}, {"metadata": {"kind": "c"}}),
        ({"response_format": "json_object"}, {"response_format": {"type": "json_object"}}, {}),
        ({"predicate": lambda asked: asked.body.get("seed") == 7}, {"seed": 7}, {"seed": 8}),
        ({"operation": "chat.*", "turn": 1, "seed": 3}, {}, {}),
    ],
)
def test_conditions(condition: Any, meant: Any, other: Any) -> None:
    fake = FakeOpenAI("echo")
    if "seed" in condition:
        with pytest.raises(TypeError, match="seed"):
            fake.when(**condition)
        return
    fake.when(**condition).reply('{"the": "rule"}')
    whole = {"messages": [user("the weather")], **meant}
    if meant.get("response_format"):
        whole["messages"] = [user("as JSON")]
    assert said(fake, *whole.pop("messages"), **whole) == '{"the": "rule"}'
    whole = {"messages": [user("the weather")], **other}
    assert said(fake, *whole.pop("messages"), **whole) != '{"the": "rule"}'


def test_the_most_specific_rule_answers_and_of_equals_the_last() -> None:
    fake = FakeOpenAI()
    fake.when(text="hello", model="gpt-5").reply("two conditions")
    fake.when(text=exactly("hello")).reply("exactly")
    fake.when(text=re.compile("h")).reply("a pattern")
    fake.when(text="hello").reply("first")
    fake.when(text="hell").reply("last", times=1)
    assert said(fake, "hello") == "two conditions"
    assert said(fake, "hello", model="other") == "exactly"
    assert said(fake, "hello you", model="other") == "a pattern"
    fake.rules.clear()
    fake.when(text="hello").reply("first")
    fake.when(text="hell", times=1).reply("last")
    assert [said(fake, "hello") for _ in range(2)] == ["last", "first"]


def test_answers_come_in_order_and_the_last_again() -> None:
    fake = FakeOpenAI()
    fake.when().reply("a", "b", times=2).fail(500).reply("end")
    assert [said(fake, "x") for _ in range(4)] == ["a", "a", "b", "b"]
    with pytest.raises(antiphon.InternalServerError):
        said(fake, "x")
    assert [said(fake, "x") for _ in range(2)] == ["end", "end"]


def test_a_tool_is_called_and_its_result_answered() -> None:
    fake = FakeOpenAI()
    fake.when(text="weather").call_tool("get_weather", city="Oslo")
    fake.when(tool_result="7").reply("It is 7 degrees.")
    for _ in range(2):
        message = ask(fake, "How is the weather?", tools=TOOLS).choices[0].message
        (call,) = message.tool_calls
        assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"Oslo"}')
        result = {"role": "tool", "tool_call_id": call.id, "content": "7 C"}
        assert said(fake, "How is the weather?", message.to_dict(), result, tools=TOOLS) == "It is 7 degrees."
    fake.assert_called(tool="get_weather", times=2)


def test_a_call_that_is_the_last_answer_does_not_go_on_for_ever() -> None:
    fake = FakeOpenAI("echo")
    rule = fake.when(text="weather").call_tool("get_weather")
    message = ask(fake, "weather", tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "7 C"}
    assert ask(fake, "weather", message.to_dict(), result, tools=TOOLS).choices[0].message.tool_calls is None
    assert "its tool has been called and has answered" in fake.explain(fake.journal[-1])
    assert rule.calls == 1


async def test_functions_of_every_kind_answer() -> None:
    def plain(request: Any) -> str:
        return f"{request.model}: {request.user_text}"

    def pieces(request: Any) -> Iterator[str]:
        yield "one "
        yield "two"

    async def later(request: Any) -> str:
        return "later"

    async def bit_by_bit(request: Any) -> AsyncIterator[str]:
        yield "bit "
        yield "by bit"

    fake = FakeOpenAI()
    fake.when().reply(plain, pieces, later, bit_by_bit)
    expected = ["gpt-5: x", "one two", "later", "bit by bit"]
    assert [said(fake, "x") for _ in expected] == expected
    fake.rules.clear()
    fake.when().reply(plain, pieces, later, bit_by_bit)
    client = fake.async_client()
    for text in expected:
        completion = await client.chat.completions.create(model="gpt-5", messages=[user("x")])
        assert completion.choices[0].message.content == text


def test_pieces_dicts_and_objects() -> None:
    fake = FakeOpenAI()
    fake.when(text="pieces").reply(["one ", "two ", "three"])
    streamed = [chunk.choices[0].delta.content for chunk in ask(fake, "pieces", stream=True)]
    assert [text for text in streamed if text] == ["one ", "two ", "three"]
    fake.when(text="message").reply({"role": "assistant", "content": "a message"})
    assert said(fake, "message") == "a message"
    fake.when(text="thought").reply([Reasoning("hm"), "so"])
    assert said(fake, "thought") == "so"
    fake.when(text="object").reply(ask(fake, "message"))
    assert said(fake, "object") == "a message"
    fake.when(text="two calls").reply([{"name": "a", "arguments": "{}"}, {"name": "b", "arguments": "{}"}])
    assert [call.function.name for call in ask(fake, "two calls").choices[0].message.tool_calls] == ["a", "b"]
    fake.when(text="generator").reply(part for part in ("x", "y"))
    assert [said(fake, "generator") for _ in range(2)] == ["xy", "xy"]


def test_refusals_and_errors() -> None:
    fake = FakeOpenAI()
    fake.when(text="bad").refuse("No.")
    assert ask(fake, "bad").choices[0].message.refusal == "No."
    fake.when(text="slow down").fail(429, code="rate_limit_exceeded", retry_after=2, message="Slow down.")
    with pytest.raises(antiphon.RateLimitError) as limited:
        ask(fake, "slow down", stream=True)
    assert (limited.value.code, limited.value.response.headers["retry-after"]) == ("rate_limit_exceeded", "2")
    fake.when(text="odd").fail(418)
    with pytest.raises(antiphon.APIStatusError) as odd:
        ask(fake, "odd")
    assert odd.value.status_code == 418
    fake.assert_called(status=429, times=1)


def test_every_choice_of_a_request_has_the_same_answer() -> None:
    fake = FakeOpenAI()
    fake.when().reply("first", "second")
    assert [choice.message.content for choice in ask(fake, "x", n=2).choices] == ["first", "first"]
    assert said(fake, "x") == "second"


def test_strict_shows_the_request_beside_the_nearest_rule() -> None:
    fake = FakeOpenAI(strict=True)
    with pytest.raises(antiphon.NotFoundError, match="there are no rules") as alone:
        said(fake, "hello")
    assert alone.value.code == "no_rule"
    fake.when(text="bye", model="gpt-4").reply("x")
    fake.when(text="bye").reply("x")
    with pytest.raises(antiphon.NotFoundError) as near:
        said(fake, "hello")
    assert "chat.completions.create gpt-5 'hello': the nearest is rule 2, when(text='bye')" in near.value.message
    assert "but text is 'hello', which has no 'bye' in it." in near.value.message
    assert said(fake, "bye") == "x"
    with pytest.raises(antiphon.NotFoundError, match=r"its answer, reply.*, is for conversations, not for embeddings"):
        fake.client().embeddings.create(model="text-embedding-3-small", input="x")
    assert fake.client().models.list().data


def test_explain() -> None:
    fake = FakeOpenAI("echo")
    fake.when(text="hello", times=1).reply("once")
    fake.when(text="hello", model="gpt-4o").reply("4o")
    fake.when(text="nothing")
    said(fake, "hello")
    told = fake.explain(fake.journal[-1])
    assert told.startswith("answered by rule 1, when(text='hello'), of test_rules.py:")
    assert "no: model is 'gpt-5', not 'gpt-4o'" in told
    assert "no: it has answered 1 of 1 times" in told
    assert "it has no answer: add one with reply, call_tool, refuse or fail" in told
    assert told.endswith("no rule answers: the engine does")
    assert "rule 2" in fake.explain({"model": "gpt-4o", "input": "hello"}).splitlines()[1]
    assert fake.explain({"model": "gpt-4o", "prompt": "hello"}).startswith("completions.create gpt-4o 'hello'")
    with pytest.raises(TypeError, match="is explained, not 3"):
        fake.explain(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs the name of its operation, as in explain"):
        fake.explain({"purpose": "assistants"})


def test_an_answer_says_how_many_tokens_came_from_the_cache() -> None:
    fake = FakeOpenAI()
    fake.when(text="hello").reply(["Hello.", Usage(cached_tokens=4)])
    client: Any = fake.client()
    response = client.responses.create(model="gpt-5", input="hello")
    assert response.usage.input_tokens_details.cached_tokens == 4
    messages: Any = [{"role": "user", "content": "hello"}]
    assert (
        client.chat.completions.create(model="gpt-5", messages=messages).usage.prompt_tokens_details.cached_tokens == 4
    )
    assert [call.tokens.cached for call in fake.journal] == [4, 4]


def test_rules_that_answered_nothing_are_told() -> None:
    fake = FakeOpenAI()
    fake.when(text="hello").reply("x")
    fake.when(text="bye").reply("y")
    said(fake, "hello")
    with pytest.raises(AssertionError, match=r"these did not:\n  rule 2, when\(text='bye'\), of test_rules.py:\d+\n"):
        fake.assert_all_rules_used()
    said(fake, "bye")
    fake.assert_all_rules_used()
    fake.reset()
    assert len(fake.rules) == 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda fake: fake.when(text=3), "text is a str, exactly"),
        (lambda fake: fake.when(turn=0), "turn is a number"),
        (lambda fake: fake.when(times=0), "times is a number of requests"),
        (lambda fake: fake.when(operation="embedding.create"), "did you mean 'embeddings.create'"),
        (lambda fake: fake.when(headers="x"), "headers is a mapping"),
        (lambda fake: fake.when(predicate=3), "predicate is a function"),
        (lambda fake: fake.when(response_format={}), "response_format is"),
        (lambda fake: fake.when().reply(), "reply needs an answer"),
        (lambda fake: fake.when().reply(3), "an engine's function answers a str"),
        (lambda fake: fake.when().reply("x", times=0), "times is how often"),
        (lambda fake: fake.when().fail(200), "from 400 to 599"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_when_it_is_made(wrong: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        wrong(FakeOpenAI())


TEXTS = st.sampled_from(["", "a", "ab", "b"])
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS | TEXTS.map(exactly) | TEXTS.map(re.compile),
        "system": TEXTS | TEXTS.map(exactly),
        "model": st.sampled_from(["m", "n", "m*", "?", re.compile("n")]),
        "operation": st.sampled_from(["chat.completions.create", "responses.create", "chat.*"]),
        "headers": st.sampled_from([{"x-a": "a"}, {"x-a": "b"}, {"x-a": re.compile("a|b")}]),
        "metadata": st.sampled_from([{"k": "v"}, {"k": "w"}]),
        "tools": st.sampled_from(["t", "u", ["t", "u"]]),
        "tool_result": st.booleans() | TEXTS,
    },
)


@settings(max_examples=120, deadline=None)
@given(st.lists(CONDITIONS, max_size=12), TEXTS, TEXTS, st.sampled_from("mn"), st.sampled_from("ab"), st.booleans())
def test_the_rule_that_is_found_is_the_first_that_is_met(
    rules: list[Any], text: str, system: str, model: str, header: str, tools: bool
) -> None:
    from antiphon.fake.asked import Asked
    from antiphon.kernel.http import Headers
    from antiphon.server.engine import ChatRequest, Tool

    fake = FakeOpenAI()
    for conditions in rules:
        fake.when(**conditions).reply("x")
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    body = {"metadata": {"k": "v"}}
    request = ChatRequest(model, messages, body, tools=[Tool("t"), Tool("u")] if tools else ())
    asked = Asked("chat.completions.create", model, body, Headers({"x-a": header}), request)
    ranked = sorted(fake.rules, key=lambda rule: (rule.conditions.rank, rule.number), reverse=True)
    expected = next((rule for rule in ranked if rule.conditions.hold(asked)), None)
    found = fake.rules.take(asked)
    assert (None if found is None else found[0]) is expected
