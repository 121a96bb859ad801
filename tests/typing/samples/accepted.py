"""What checkers accept of the generated API, and which types they see. Checked, not run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, assert_type

from antiphon.api import API
from antiphon.api.chat.completions import Completions
from antiphon.kernel.binary import HttpxBinaryResponseContent
from antiphon.kernel.operation import Async, Sync
from antiphon.kernel.options import Timeout
from antiphon.kernel.pages import AsyncCursorPage, SyncCursorPage, SyncPage
from antiphon.kernel.stream import AsyncStream, Stream
from antiphon.types import CompletionUsage, CreateEmbeddingResponse, FileObject, ImagesResponse, Model
from antiphon.types.audio import Transcription, TranscriptionVerbose
from antiphon.types.beta.threads import Run
from antiphon.types.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessageParam,
    ChatCompletionMessageToolCallUnion,
    ParsedChatCompletion,
    completion_create_params,
)
from antiphon.types.chat.chat_completion import Choice
from antiphon.types.chat_model import ChatModel
from antiphon.types.responses import Response, ResponseOutputItem, ResponseStreamEvent
from antiphon.types.vector_stores import VectorStoreFile


def blocking(client: API[Sync], stream: bool) -> None:
    chat = client.chat.completions
    assert_type(chat, Completions[Sync])
    assert_type(chat.create(model="m", messages=[]), ChatCompletion)
    assert_type(chat.create(model="m", messages=[], stream=False), ChatCompletion)
    assert_type(chat.create(model="m", messages=[], stream=True), Stream[ChatCompletionChunk])
    assert_type(chat.create(model="m", messages=[], stream=stream), ChatCompletion | Stream[ChatCompletionChunk])
    for chunk in chat.create(model="m", messages=[], stream=True):
        assert_type(chunk, ChatCompletionChunk)
        assert_type(chunk.choices[0].delta.content, str | None)
    with client.responses.create(model="m", input="hello", stream=True) as events:
        for event in events:
            assert_type(event, ResponseStreamEvent)
            if event.type == "response.output_text.delta":
                assert_type(event.delta, str)
    answer = client.responses.create(model="m", input="hello", timeout=Timeout(600, connect=5.0))
    assert_type(answer, Response)
    assert_type(answer.output_text, str)
    assert_type(answer.output, list[ResponseOutputItem])
    assert_type(client.beta.threads.runs.create("thread_1", assistant_id="asst_1"), Run)
    assert_type(client.models.retrieve("m"), Model)
    assert_type(client.models.list(), SyncPage[Model])
    for file in client.files.list(limit=2, order="asc"):
        assert_type(file, FileObject)
    page = client.vector_stores.files.list("vs_1")
    assert_type(page, SyncCursorPage[VectorStoreFile])
    assert_type(page.data, list[VectorStoreFile])
    assert_type(page.get_next_page().data[0].id, str)
    assert_type(client.embeddings.create(model="m", input=["a", "b"]), CreateEmbeddingResponse)
    assert_type(client.audio.speech.create(model="m", voice="alloy", input="hello"), HttpxBinaryResponseContent)
    assert_type(client.audio.transcriptions.create(file=b"", model="whisper-1"), Transcription)
    assert_type(
        client.audio.transcriptions.create(file=b"", model="whisper-1", response_format="verbose_json"),
        TranscriptionVerbose,
    )
    assert_type(client.audio.transcriptions.create(file=b"", model="whisper-1", response_format="srt"), str)
    assert_type(client.images.edit(image=[("a.png", b"")], prompt="p"), ImagesResponse)
    assert_type(client.containers.delete("cntr_1"), None)


async def awaited(client: API[Async], stream: bool) -> None:
    chat = client.chat.completions
    assert_type(chat, Completions[Async])
    assert_type(await chat.create(model="m", messages=[]), ChatCompletion)
    assert_type(await chat.create(model="m", messages=[], stream=True), AsyncStream[ChatCompletionChunk])
    assert_type(
        await chat.create(model="m", messages=[], stream=stream), ChatCompletion | AsyncStream[ChatCompletionChunk]
    )
    async for chunk in await chat.create(model="m", messages=[], stream=True):
        assert_type(chunk, ChatCompletionChunk)
    async with await client.responses.create(model="m", input="hello", stream=True) as events:
        async for event in events:
            assert_type(event, ResponseStreamEvent)
    assert_type(await client.models.retrieve("m"), Model)
    async for file in client.files.list():
        assert_type(file, FileObject)
    assert_type(await client.files.list(), AsyncCursorPage[FileObject])
    assert_type(await client.containers.delete("cntr_1"), None)


def requests(client: API[Sync]) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "42"},
    ]
    model: ChatModel = "gpt-4o"
    settings: completion_create_params.CompletionCreateParamsNonStreaming = {"model": model, "messages": messages}
    client.chat.completions.create(**settings)
    client.chat.completions.create(
        model=model,
        messages=messages,
        reasoning_effort="low",
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        tool_choice={"type": "function", "function": {"name": "f"}},
        extra_headers={"X-Mine": "1"},
        extra_query={"a": 1},
        extra_body={"new": True},
    )
    client.chat.completions.create(model="m", messages=(message for message in messages))


def answers(completion: ChatCompletion, parsed: ParsedChatCompletion[dict[str, int]]) -> Iterable[str]:
    choice = completion.choices[0]
    assert_type(choice, Choice)
    assert_type(completion.usage, CompletionUsage | None)
    assert_type(completion.object, Literal["chat.completion"])
    assert_type(choice.message.tool_calls, list[ChatCompletionMessageToolCallUnion] | None)
    for call in choice.message.tool_calls or []:
        if call.type == "function":
            yield call.function.name
    if choice.finish_reason == "brand_new_reason":
        yield choice.finish_reason
    assert_type(parsed.choices[0].message.parsed, dict[str, int] | None)
    yield CompletionUsage(completion_tokens=1, prompt_tokens=2, total_tokens=3).to_json()
