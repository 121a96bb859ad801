"""What checkers see of chats, media, vectors and providers. Checked, not run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_type

from antiphon import (
    AsyncChat,
    AsyncOpenAI,
    Chat,
    FunctionTool,
    OpenAI,
    Providers,
    cosine_similarity,
    media,
    providers,
)
from antiphon.client.chat import Piece, Reasoning, Refusal, Reply, Text, ToolCall, ToolResult, Usage
from antiphon.types import CreateEmbeddingResponse, ImagesResponse
from antiphon.types.chat import ChatCompletion, ChatCompletionMessageParam


def add(a: int, b: int = 0, mode: Literal["fast", "slow"] = "fast") -> int:
    return a + b


def chats(client: OpenAI, path: Path) -> None:
    chat = Chat(client, model="gpt-5", system="s", tools=[add, FunctionTool(add)], history_messages=4, temperature=0.5)
    reply = chat.ask("hello", reasoning_effort="low")
    assert_type(reply, Reply)
    assert_type(reply.text, str)
    assert_type(reply.usage, Usage)
    assert_type(reply.completion, ChatCompletion | None)
    assert_type(chat.history, list[ChatCompletionMessageParam])
    chat.ask(["look", media.image(path), media.audio(b"x"), media.file(id="f"), {"type": "text", "text": "so"}])
    chat.ask({"role": "user", "content": "hello"})
    with chat.stream("hello") as stream:
        for piece in stream:
            assert_type(piece, Piece)
            match piece:
                case Text(text) | Reasoning(text) | Refusal(text):
                    assert_type(text, str)
                case ToolCall():
                    assert_type(piece.arguments, str)
                case ToolResult():
                    assert_type(piece.error, Exception | None)
        assert_type(stream.reply, Reply)
    assert_type(chat.tool(add)(1, b=2), int)
    assert_type(Chat.load(client, path), Chat)
    chat.ask(5)  # E
    chat.ask("hello", temperature="hot")  # E
    Chat(client, model="m", tools=[1])  # E
    Chat(client)  # E
    Chat(client, model="m", history_messages="4")  # E


async def awaited(client: AsyncOpenAI) -> None:
    chat = AsyncChat(client, model="gpt-5")
    assert_type(await chat.ask("hello"), Reply)
    async with chat.stream("hello") as stream:
        async for piece in stream:
            assert_type(piece, Piece)
        async for text in stream.texts():
            assert_type(text, str)
    AsyncChat(OpenAI(), model="m")  # E


def others(client: OpenAI, images: ImagesResponse, embeddings: CreateEmbeddingResponse) -> None:
    assert_type(media.save_images(images, "here", client=client), list[Path])
    one, other = embeddings.data
    assert_type(one.similarity(other), float)
    assert_type(cosine_similarity(one, [1.0, 2.0]), float)
    cosine_similarity("one", 5)  # E
    media.image(5)  # E


def hosts(known: Providers) -> None:
    assert_type(known.client("groq"), OpenAI)
    assert_type(known.async_client(), AsyncOpenAI)
    assert_type(providers.client("groq:x"), OpenAI)
    model = known.resolve("groq:x").model
    assert_type(model, str)
    Providers({"x": 5})  # E
