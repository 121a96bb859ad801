"""Rules and the journal are the same for every client, wherever the fake is."""

from __future__ import annotations

from typing import Any

import pytest

MODEL = "gpt-4o-mini"


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_rules_answer_chat_completions_completions_and_responses(api: Any) -> None:
    api.fake.when(text="weather").reply("Sunny")
    api.fake.when(text="weather", headers={"x-mood": "bad"}).reply("Rain")
    chat = await api.call("chat.completions.create", model=MODEL, messages=user("The weather?"))
    assert chat.choices[0].message.content == "Sunny"
    headers = {"x-mood": "bad"}
    response = await api.call("responses.create", model=MODEL, input="The weather?", extra_headers=headers)
    assert response.output_text == "Rain"
    legacy = await api.call("completions.create", model="gpt-3.5-turbo-instruct", prompt="The weather is")
    assert legacy.choices[0].text == "Sunny"
    stream = await api.call("chat.completions.create", model=MODEL, messages=user("weather"), stream=True)
    chunks = await api.items(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Sunny"
    assert [call.output_text for call in api.fake.journal] == ["Sunny", "Rain", "Sunny", "Sunny"]
    assert [call.rule.number for call in api.fake.journal] == [1, 2, 1, 1]
    assert not api.fake.journal[-1].left_early
    api.fake.assert_called(operation="responses.create", text="weather", times=1)


async def test_an_error_by_rule(api: Any) -> None:
    api.fake.when().fail(429, code="rate_limit_exceeded", retry_after=0.5).reply("now")
    with pytest.raises(api.errors.RateLimitError) as limited:
        await api.call("responses.create", model=MODEL, input="x", stream=True)
    assert limited.value.response.headers["retry-after"] == "0.5"
    assert (await api.call("responses.create", model=MODEL, input="x")).output_text == "now"


async def test_runs_of_assistants_are_answered_by_rules(api: Any) -> None:
    api.fake.when(text="weather", operation="beta.threads.*").reply("Sunny")
    assistant = await api.call("beta.assistants.create", model=MODEL)
    thread = await api.call("beta.threads.create", messages=user("The weather?"))
    await api.call("beta.threads.runs.create_and_poll", thread_id=thread.id, assistant_id=assistant.id)
    messages = await api.items(await api.call("beta.threads.messages.list", thread_id=thread.id))
    assert messages[0].content[0].text.value == "Sunny"
    api.fake.assert_all_rules_used()


@pytest.mark.fake(strict=True)
async def test_strict(api: Any) -> None:
    api.fake.when(text="bye").reply("Bye")
    with pytest.raises(api.errors.NotFoundError, match="the nearest is rule 1") as unknown:
        await api.call("responses.create", model=MODEL, input="hello")
    assert unknown.value.code == "no_rule"
