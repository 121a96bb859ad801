"""Anthropic's own package, as its users write it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import anthropic
import pytest

ASK: Any = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "count"}]}
WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def test_answers(fake_openai: Any) -> None:
    fake_openai.when(system="brief", text="count").reply("one two three")
    found = anthropic.Anthropic().messages.create(**ASK, system="Be brief.")
    assert found.content[0].text == "one two three"
    assert (found.role, found.stop_reason, found.model) == ("assistant", "end_turn", "claude-sonnet-5")
    assert found.usage.output_tokens > 2
    assert found.id.startswith("msg_")
    fake_openai.assert_called(model="claude-sonnet-5", text="count", times=1)

    async def ask() -> Any:
        return await anthropic.AsyncAnthropic().messages.create(**ASK, system=[{"type": "text", "text": "Be brief."}])

    assert asyncio.run(ask()).content[0].text == "one two three"


def test_streams(fake_openai: Any) -> None:
    fake_openai.when(text="count").reply(["one ", "two ", "three"])
    client = anthropic.Anthropic()
    with client.messages.stream(**ASK) as stream:
        assert list(stream.text_stream) == ["one ", "two ", "three"]
        assert stream.get_final_message().usage.output_tokens > 2
    kinds = [event.type for event in client.messages.create(**ASK, stream=True)]
    assert kinds[:1] == ["message_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@pytest.mark.parametrize("stream", [False, True])
def test_tools(fake_openai: Any, stream: bool) -> None:
    fake_openai.when(tools="weather", text="Paris", tool_result=False).call_tools(
        ("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})
    )
    fake_openai.when(tool_result="Rain").reply("Take an umbrella.")
    client = anthropic.Anthropic()
    messages: list[Any] = [{"role": "user", "content": "The weather in Paris and Rome?"}]

    def ask() -> Any:
        asked: Any = {**ASK, "messages": messages, "tools": [WEATHER], "tool_choice": {"type": "auto"}}
        if not stream:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as events:
            return events.get_final_message()

    called = ask()
    assert called.stop_reason == "tool_use"
    calls = [block for block in called.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    messages.append({"role": "assistant", "content": called.content})
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "Rain."} for call in calls]
    messages.append({"role": "user", "content": results})
    assert ask().content[0].text == "Take an umbrella."


def test_pictures_counts_and_models(fake_openai: Any) -> None:
    client = anthropic.Anthropic()
    picture = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"\x89PNG").decode()}
    content: Any = [{"type": "image", "source": picture}, {"type": "text", "text": "What is this?"}]
    assert client.messages.create(**{**ASK, "messages": [{"role": "user", "content": content}]}).content
    assert client.messages.count_tokens(model="claude-sonnet-5", messages=ASK["messages"]).input_tokens > 0
    assert client.messages.create(**{**ASK, "max_tokens": 2}).stop_reason == "max_tokens"


def test_failures(fake_openai: Any) -> None:
    fake_openai.when(text="count").fail(429, code="rate_limit_exceeded", retry_after=3)
    client = anthropic.Anthropic(max_retries=0)
    with pytest.raises(anthropic.RateLimitError) as busy:
        client.messages.create(**ASK)
    assert busy.value.body["error"]["type"] == "rate_limit_error"
    assert busy.value.response.headers["retry-after"] == "3"
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        client.messages.create(**{**ASK, "messages": []})
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("none")
