"""What checkers see of calls in the further voices. Checked, not run."""

from __future__ import annotations

from typing import assert_never, assert_type

from antiphon import APIResponse, AsyncAPIResponse, AsyncOpenAI, Err, Failure, Ok, OpenAI, Result
from antiphon.api import API
from antiphon.api.chat.completions import Completions
from antiphon.kernel.binary import HttpxBinaryResponseContent
from antiphon.kernel.operation import (
    Async,
    AsyncRaw,
    AsyncResult,
    AsyncStreaming,
    Sync,
    SyncRaw,
    SyncResult,
    SyncStreaming,
)
from antiphon.kernel.pages import AsyncCursorPage, AsyncPage, SyncCursorPage, SyncPage
from antiphon.kernel.raw import (
    AsyncResponseContextManager,
    AsyncStreamedBinaryAPIResponse,
    LegacyAPIResponse,
    ResponseContextManager,
    StreamedBinaryAPIResponse,
)
from antiphon.kernel.stream import AsyncStream, Stream
from antiphon.types import FileObject, Model
from antiphon.types.chat import ChatCompletion, ChatCompletionChunk


def raw(client: OpenAI, stream: bool) -> None:
    chat = client.chat.completions.with_raw_response
    assert_type(chat, Completions[SyncRaw])
    assert_type(client.with_raw_response, API[SyncRaw])
    assert_type(client.with_raw_response.chat.completions, Completions[SyncRaw])
    answer = chat.create(model="m", messages=[])
    assert_type(answer, LegacyAPIResponse[ChatCompletion])
    assert_type(answer.parse(), ChatCompletion)
    assert_type(answer.parse(to=str), str)
    assert_type(answer.parse(to=Model), Model)
    assert_type(answer.request_id, str | None)
    assert_type(answer.retries_taken, int)
    streamed = chat.create(model="m", messages=[], stream=True)
    assert_type(streamed, LegacyAPIResponse[Stream[ChatCompletionChunk]])
    either = chat.create(model="m", messages=[], stream=stream)
    assert_type(either, LegacyAPIResponse[ChatCompletion] | LegacyAPIResponse[Stream[ChatCompletionChunk]])
    assert_type(client.models.with_raw_response.list(), LegacyAPIResponse[SyncPage[Model]])
    assert_type(client.models.with_raw_response.retrieve("m").parse(), Model)
    speech = client.audio.speech.with_raw_response.create(model="m", voice="alloy", input="x")
    assert_type(speech.parse(), HttpxBinaryResponseContent)
    chat.create(model="m")  # E
    chat.create(model="m", messages=[], temprature=1.0)  # E
    answer.choices  # E
    client.models.with_raw_response.list().data  # E
    chat.with_result  # E


async def awaited_raw(client: AsyncOpenAI) -> None:
    chat = client.chat.completions.with_raw_response
    assert_type(chat, Completions[AsyncRaw])
    assert_type(client.with_raw_response.chat.completions, Completions[AsyncRaw])
    answer = await chat.create(model="m", messages=[])
    assert_type(answer, LegacyAPIResponse[ChatCompletion])
    streamed = await chat.create(model="m", messages=[], stream=True)
    assert_type(streamed.parse(), AsyncStream[ChatCompletionChunk])
    assert_type(await client.models.with_raw_response.list(), LegacyAPIResponse[AsyncPage[Model]])
    chat.create(model="m", messages=[]).parse()  # E


def streaming(client: API[Sync]) -> None:
    chat = client.chat.completions.with_streaming_response
    assert_type(chat, Completions[SyncStreaming])
    manager = chat.create(model="m", messages=[])
    assert_type(manager, ResponseContextManager[APIResponse[ChatCompletion]])
    with manager as answer:
        assert_type(answer, APIResponse[ChatCompletion])
        assert_type(answer.parse(), ChatCompletion)
        assert_type(answer.read(), bytes)
        for line in answer.iter_lines():
            assert_type(line, str)
    with chat.create(model="m", messages=[], stream=True) as streamed:
        assert_type(streamed.parse(), Stream[ChatCompletionChunk])
    with client.files.with_streaming_response.list() as page:
        assert_type(page.parse(), SyncCursorPage[FileObject])
    with client.audio.speech.with_streaming_response.create(model="m", voice="alloy", input="x") as speech:
        assert_type(speech, StreamedBinaryAPIResponse)
        speech.stream_to_file("a.mp3", chunk_size=1024)
    manager.parse()  # E


async def awaited_streaming(client: API[Async]) -> None:
    chat = client.chat.completions.with_streaming_response
    assert_type(chat, Completions[AsyncStreaming])
    manager = chat.create(model="m", messages=[])
    assert_type(manager, AsyncResponseContextManager[AsyncAPIResponse[ChatCompletion]])
    async with manager as answer:
        assert_type(await answer.parse(), ChatCompletion)
        assert_type(await answer.parse(to=dict), dict)  # type: ignore[type-arg]
        async for piece in answer.iter_bytes(10):
            assert_type(piece, bytes)
    async with chat.create(model="m", messages=[], stream=True) as streamed:
        assert_type(await streamed.parse(), AsyncStream[ChatCompletionChunk])
    async with client.files.with_streaming_response.list() as page:
        assert_type(await page.parse(), AsyncCursorPage[FileObject])
    async with client.audio.speech.with_streaming_response.create(model="m", voice="alloy", input="x") as speech:
        assert_type(speech, AsyncStreamedBinaryAPIResponse)
    await manager  # E


def results(client: OpenAI) -> str:
    chat = client.chat.completions.with_result
    assert_type(chat, Completions[SyncResult])
    assert_type(client.with_result.chat.completions, Completions[SyncResult])
    outcome = chat.create(model="m", messages=[])
    assert_type(outcome, Ok[ChatCompletion] | Err)
    assert_type(client.models.with_result.list(), Ok[SyncPage[Model]] | Err)
    assert_type(chat.create(model="m", messages=[], stream=True), Ok[Stream[ChatCompletionChunk]] | Err)
    assert_type(outcome.rate_limit.requests.remaining, int | None)
    outcome.value  # E
    chat.create(model="m")  # E
    if outcome:
        assert_type(outcome.value, ChatCompletion)
    else:
        assert_type(outcome.failure, Failure)
    match outcome:
        case Ok(value):
            assert_type(value, ChatCompletion)
            return value.id
        case Err(Failure(status=404, message=message)):
            return message
        case Err(failure):
            assert_type(failure, Failure)
            return failure.message
        case _:
            assert_never(outcome)


async def helpers(client: OpenAI, asynchronous: AsyncOpenAI) -> None:
    assert_type(client.files.with_result.wait_for_processing("f"), Ok[FileObject] | Err)
    assert_type(await asynchronous.files.with_result.wait_for_processing("f"), Ok[FileObject] | Err)
    assert_type(client.files.with_raw_response.wait_for_processing("f"), LegacyAPIResponse[FileObject])
    assert_type(await asynchronous.files.with_raw_response.wait_for_processing("f"), LegacyAPIResponse[FileObject])
    with client.files.with_streaming_response.wait_for_processing("f") as answer:
        assert_type(answer.parse(), FileObject)
    async with asynchronous.files.with_streaming_response.wait_for_processing("f") as async_answer:
        assert_type(await async_answer.parse(), FileObject)


async def awaited_results(client: AsyncOpenAI) -> Result[Model]:
    chat = client.chat.completions.with_result
    assert_type(chat, Completions[AsyncResult])
    outcome = await chat.create(model="m", messages=[])
    assert_type(outcome, Ok[ChatCompletion] | Err)
    assert_type(await client.models.with_result.list(), Ok[AsyncPage[Model]] | Err)
    assert_type(outcome.unwrap_or(None), ChatCompletion | None)
    chat.create(model="m", messages=[]).success  # E
    return await client.models.with_result.retrieve("m")
