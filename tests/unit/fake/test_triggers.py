"""Trigger phrases: what somebody who can only write messages gets."""

from __future__ import annotations

from typing import Any

import pytest

import antiphon
from antiphon import FakeOpenAI


def ask(fake: FakeOpenAI, text: str, **options: Any) -> Any:
    create: Any = fake.client(max_retries=0).chat.completions.create
    given = {"model": "gpt-5", "messages": [{"role": "user", "content": text}], **options}
    return create(**given).choices[0].message


@pytest.fixture
def fake() -> FakeOpenAI:
    return FakeOpenAI("echo", triggers=True)


@pytest.mark.parametrize(
    "text", ['call tool get_weather {"city": "Oslo"}', ' Call Tool get_weather\n{"city": "Oslo"}\n', "call tool x"]
)
def test_a_tool_is_called(fake: FakeOpenAI, text: str) -> None:
    (call,) = ask(fake, text).tool_calls
    assert (call.function.name, call.function.arguments) in [("get_weather", '{"city": "Oslo"}'), ("x", "{}")]


@pytest.mark.parametrize(
    ("text", "status", "code", "message"),
    [
        ("raise error 429 rate_limit_exceeded Not so fast.", 429, "rate_limit_exceeded", "Not so fast."),
        ("raise error 404", 404, None, "The request was answered with status 404."),
        ("Hello\nfake: raise error 500 Out of order.\nBye", 500, None, "Out of order."),
        ('raise error {"status": 503, "code": "busy", "message": "Later."}', 503, "busy", "Later."),
    ],
)
def test_an_error_is_raised(fake: FakeOpenAI, text: str, status: int, code: str | None, message: str) -> None:
    with pytest.raises(antiphon.APIStatusError) as raised:
        ask(fake, text, stream=True)
    error = raised.value
    assert (error.status_code, error.code, error.message) == (status, code, f"Error code: {status} - {message}")


def test_an_error_says_when_to_come_again(fake: FakeOpenAI) -> None:
    with pytest.raises(antiphon.RateLimitError) as limited:
        ask(fake, 'raise error {"status": 429, "retry_after": 3}')
    assert limited.value.response.headers["retry-after"] == "3"


def test_lines_among_others(fake: FakeOpenAI) -> None:
    assert ask(fake, "Use this context:\n  FAKE: reply with It is 4.\nfake: reply with Really.\n").content == (
        "It is 4.\nReally."
    )
    assert ask(fake, "fake: refuse").refusal == "I'm sorry, but I can't help with that."
    assert ask(fake, "fake: refuse Not that.").refusal == "Not that."
    assert ask(fake, "fake: wait 0.01 s\nfake: reply with Slowly").content == "Slowly"
    assert [each.function.name for each in ask(fake, "fake: call tool a\nfake: call tool b {}").tool_calls] == [
        "a",
        "b",
    ]


def test_what_comes_after_a_call_is_for_when_it_has_been_answered(fake: FakeOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "fake: call tool a\nfake: call tool b\nfake: reply with Done."}]
    create: Any = fake.client().chat.completions.create
    message = create(model="m", messages=messages).choices[0].message
    messages.append(message.to_dict())
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in message.tool_calls]
    assert create(model="m", messages=messages).choices[0].message.content == "Done."
    messages = [{"role": "user", "content": "call tool a"}]
    message = create(model="m", messages=messages).choices[0].message
    messages += [message.to_dict(), {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "ok"}]
    assert create(model="m", messages=messages).choices[0].message.tool_calls is None, "a loop of tools ends"


@pytest.mark.parametrize(
    "text",
    [
        "How do I call tool support?",
        "call tool support about my order",
        "raise error handling in the code review",
        "raise error 7",
        "reply with a haiku",
        "refuse",
        "fake: news about raise error 500",
        "fake: fly",
        "This is not fake: reply with yes",
    ],
)
def test_what_is_only_alike_is_for_the_engine(fake: FakeOpenAI, text: str) -> None:
    assert ask(fake, text).content == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('call tool a {"x": }', 'write: call tool NAME {"argument": "value"}'),
        ("fake: call tool", "write: call tool NAME"),
        ("fake: raise error soon", "write: raise error STATUS CODE MESSAGE"),
        ("fake: raise error 200", "from 400 to 599, not 200"),
        ('raise error {"state": 500}', "write: raise error STATUS CODE MESSAGE"),
        ("fake: reply with", "write: reply with TEXT"),
        ("fake: wait a while", "write: wait SECONDS"),
        ("fake: wait 2", "write another phrase on the next line"),
    ],
)
def test_phrases_that_lack_something_are_told(fake: FakeOpenAI, text: str, told: str) -> None:
    with pytest.raises(antiphon.BadRequestError) as wrong:
        ask(fake, text)
    assert wrong.value.code == "invalid_trigger"
    assert told in wrong.value.message


def test_errors_of_other_families(fake: FakeOpenAI) -> None:
    client = fake.client(max_retries=0)
    with pytest.raises(antiphon.InternalServerError):
        client.embeddings.create(model="m", input="raise error 500")
    with pytest.raises(antiphon.RateLimitError):
        client.images.generate(prompt="fake: raise error 429")
    assert client.embeddings.create(model="m", input="call tool a").data


def test_phrases_come_before_rules_and_the_journal_tells(fake: FakeOpenAI) -> None:
    fake.when().reply("By rule.")
    assert ask(fake, "fake: reply with By phrase.").content == "By phrase."
    assert fake.journal[-1].answered_by == "trigger 'fake: reply with By phrase.'"
    assert ask(fake, "else").content == "By rule."


def test_they_are_nothing_unless_asked_for() -> None:
    fake = FakeOpenAI("echo")
    assert ask(fake, "raise error 500").content == "raise error 500"


def test_responses_have_them_too(fake: FakeOpenAI) -> None:
    answer = fake.client().responses.create(model="gpt-5", input="fake: reply with Here, too.")
    assert answer.output_text == "Here, too."


def test_parts_of_a_message_are_lines(fake: FakeOpenAI) -> None:
    create: Any = fake.client().chat.completions.create
    parts = [{"type": "text", "text": text} for text in ("The context", "fake: reply with Found.", "The question")]
    answer = create(model="gpt-5", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "Found."
