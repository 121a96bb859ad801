"""Structured output, tools and stream helpers as checkers see them. Checked, not run."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypedDict, assert_type

from antiphon import (
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    AsyncOpenAI,
    OpenAI,
    function_tool,
    pydantic_function_tool,
    responses_function_tool,
)
from antiphon.kernel.raw import LegacyAPIResponse
from antiphon.lib.streaming import UnknownEvent
from antiphon.lib.streaming.chat import (
    AsyncChatCompletionStreamManager,
    ChatCompletionStream,
    ChatCompletionStreamEvent,
    ChatCompletionStreamManager,
)
from antiphon.lib.streaming.responses import ResponseStreamManager
from antiphon.types.beta.threads import Message, Run, Text, TextDelta
from antiphon.types.chat import ParsedChatCompletion
from antiphon.types.responses import ParsedResponse


@dataclass
class Data:
    city: str


class Typed(TypedDict):
    city: str


def weather(city: str) -> str:
    return city


def chat(client: OpenAI) -> None:
    parsed = client.chat.completions.parse(model="m", messages=[], response_format=Data)
    assert_type(parsed, ParsedChatCompletion[Data])
    assert_type(parsed.choices[0].message.parsed, Data | None)
    typed = client.chat.completions.parse(model="m", messages=[], response_format=Typed)
    assert_type(typed.choices[0].message.parsed, Typed | None)
    plain = client.chat.completions.parse(model="m", messages=[], tools=[function_tool(weather)])
    assert_type(plain.choices[0].message.content, str | None)
    for call in plain.choices[0].message.tool_calls or []:
        assert_type(call.function.parsed_arguments, object | None)
    client.chat.completions.parse(model="m")  # E
    client.chat.completions.parse(model="m", messages=[], temprature=1)  # E
    client.chat.completions.parse(model=1, messages=[], response_format=Data)  # E
    manager = client.chat.completions.stream(model="m", messages=[], response_format=Data)
    assert_type(manager, ChatCompletionStreamManager[Data])
    with manager as stream:
        assert_type(stream, ChatCompletionStream[Data])
        for event in stream:
            if event.type == "content.delta":
                assert_type(event.delta, str)
                assert_type(event.snapshot, str)
            elif event.type == "content.done":
                assert_type(event.parsed, Data | None)
            elif event.type == "tool_calls.function.arguments.done":
                assert_type(event.arguments, str)
            elif event.type == "chunk":
                assert_type(event.snapshot, ParsedChatCompletion[object])
        assert_type(stream.get_final_completion(), ParsedChatCompletion[Data])
    assert_type(
        client.beta.chat.completions.stream(model="m", messages=[], response_format=Data),
        ChatCompletionStreamManager[Data],
    )
    raw = client.chat.completions.with_raw_response.parse(model="m", messages=[], response_format=Data)
    assert_type(raw, LegacyAPIResponse[ParsedChatCompletion[Data]])


def handle(event: ChatCompletionStreamEvent[Data]) -> str:
    return event.parsed.city if event.type == "content.done" and event.parsed else ""


async def chat_in_loop(client: AsyncOpenAI) -> None:
    call: Coroutine[Any, Any, ParsedChatCompletion[Data]]
    call = client.chat.completions.parse(model="m", messages=[], response_format=Data)
    assert_type((await call).choices[0].message.parsed, Data | None)
    manager = client.chat.completions.stream(model="m", messages=[], response_format=Data)
    assert_type(manager, AsyncChatCompletionStreamManager[Data])
    async with manager as stream:
        async for event in stream:
            if event.type == "content.done":
                assert_type(event.parsed, Data | None)
        assert_type(await stream.get_final_completion(), ParsedChatCompletion[Data])
    with manager:  # E
        pass


def responses(client: OpenAI) -> None:
    parsed = client.responses.parse(model="m", input="?", text_format=Data)
    assert_type(parsed, ParsedResponse[Data])
    assert_type(parsed.output_parsed, Data | None)
    assert_type(client.responses.parse(model="m", input="?", parse_as=Data).output_parsed, Data | None)
    manager = client.responses.stream(model="m", input="?", text_format=Data, tools=[responses_function_tool(weather)])
    assert_type(manager, ResponseStreamManager[Data])
    with manager as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                assert_type(event.snapshot, str)
            elif event.type == "response.output_text.done":
                assert_type(event.parsed, Data | None)
            elif event.type == "response.completed":
                assert_type(event.response.output_parsed, Data | None)
        assert_type(stream.get_final_response(), ParsedResponse[Data])
    client.responses.stream(response_id="resp_1", starting_after=3)


async def responses_in_loop(client: AsyncOpenAI) -> None:
    assert_type((await client.responses.parse(model="m", input="?", text_format=Data)).output_parsed, Data | None)
    async with client.responses.stream(model="m", input="?", tools=[pydantic_function_tool(Data)]) as stream:
        await stream.until_done()


class Handler(AssistantEventHandler):
    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        assert_type(delta.value, str | None)
        assert_type(snapshot.value, str)

    def on_unknown_event(self, event: UnknownEvent) -> None:
        assert_type(event.event, str)


class HandlerInLoop(AsyncAssistantEventHandler):
    async def on_message_done(self, message: Message) -> None:
        assert_type(message.id, str)


def assistants(client: OpenAI) -> None:
    runs = client.beta.threads.runs
    with runs.stream(thread_id="t", assistant_id="a", event_handler=Handler()) as stream:
        assert_type(stream, Handler)
        assert_type(stream.get_final_run(), Run)
    with client.beta.threads.create_and_run_stream(assistant_id="a") as plain:
        assert_type(plain, AssistantEventHandler)
        for text in plain.text_deltas:
            assert_type(text, str)
    runs.stream(thread_id="t", assistant_id="a", event_handler=HandlerInLoop())  # E


async def assistants_in_loop(client: AsyncOpenAI) -> None:
    manager = client.beta.threads.runs.submit_tool_outputs_stream(
        tool_outputs=[], thread_id="t", run_id="r", event_handler=HandlerInLoop()
    )
    async with manager as stream:
        assert_type(stream, HandlerInLoop)
        assert_type(await stream.get_final_messages(), list[Message])
