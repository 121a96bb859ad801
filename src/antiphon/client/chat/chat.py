"""The two colours of a chat, side by side: questions that block until they are answered, and questions awaited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from ...kernel.flow import atell, tell
from ...lib._function_tool import FunctionTool
from .conversation import Content, Conversation, Turn, quiet
from .options import ChatOptions
from .pieces import Piece, Reply, Text, ToolCall

if TYPE_CHECKING:
    import os

    from ...types.chat import ChatCompletionMessageParam
    from ..client import AsyncOpenAI, OpenAI

__all__ = ("AsyncChat", "AsyncChatStream", "Chat", "ChatStream")

F = TypeVar("F", bound=Callable[..., Any])


class Chat(Conversation):
    """A conversation with a model, which remembers what was said and runs the tools it is given.

        chat = Chat(client, model="gpt-5", system="You are terse.", tools=[weather])
        print(chat.ask("Do I need an umbrella in Lisbon?"))

    `system` is the system prompt. `tools` are typed functions the model may call: it is told their docstrings and
    types, they are run (as many as `tools_at_once` at the same time, on threads of their own), and it is given what
    they return, or why they failed; `tool_error` says that in other words, or raises what is to end the question.
    After `max_rounds` rounds of tools the model has to answer in words. `history_messages` and `history_tokens` limit
    what is sent: the system prompt and the question under way always go, the oldest leaves first, the calls of tools
    together with their results. `count_tokens` counts the tokens of a text; without it they are estimated, from what
    the host has counted before. Every other argument goes along with each completion.

    A question that fails leaves no trace in the history. A chat has one question at a time; a client may serve many.
    """

    client: OpenAI

    def __init__(
        self,
        client: OpenAI,
        *,
        model: str,
        system: str | None = None,
        tools: Iterable[Callable[..., Any] | FunctionTool] = (),
        history: Iterable[ChatCompletionMessageParam] = (),
        history_messages: int | None = None,
        history_tokens: int | None = None,
        count_tokens: Callable[[str], int] | None = None,
        max_rounds: int = 10,
        tools_at_once: int = 8,
        tool_error: Callable[[ToolCall, Exception], str] | None = None,
        **options: Unpack[ChatOptions],
    ) -> None:
        super().__init__(
            client,
            model=model,
            system=system,
            tools=tools,
            history=history,
            history_messages=history_messages,
            history_tokens=history_tokens,
            count_tokens=count_tokens,
            max_rounds=max_rounds,
            tools_at_once=tools_at_once,
            tool_error=tool_error,
            options=options,
        )

    def tool(self, function: F) -> F:
        """Register a function, as a decorator."""
        self.register(function)
        return function

    def ask(self, content: Content, **options: Unpack[ChatOptions]) -> Reply:
        """Ask, run the tools the model calls, and give its answer. `options` go along with this question alone.

        Raises `APIError` where the API has no answer; the history is then what it was before.
        """
        reply: Reply = self.client._drive(quiet(self._turn(content, options, streamed=False).flow))
        return reply

    def stream(self, content: Content, **options: Unpack[ChatOptions]) -> ChatStream:
        """Ask, and give the answer as it is said. Nothing is sent before the first piece is asked for."""
        return ChatStream(self._turn(content, options, streamed=True), self.client)

    @classmethod
    def load(cls, client: OpenAI, saved: str | os.PathLike[str] | Mapping[str, Any], **settings: Any) -> Self:
        """A chat that goes on where one was saved: a path, or what `to_dict` gave. `settings` are those of a new one.

        Raises `ValueError` where there is no conversation in it, `OSError` where the file cannot be read.
        """
        named: dict[str, Any] = {"model": "", **settings}
        chat = cls(client, **named)
        chat.restore(_saved(saved))
        return chat

    def __repr__(self) -> str:
        return f"<chat with {self.model}, {len(self._messages)} messages>"


class ChatStream:
    """An answer as it is said. Iterate it once; closing it, or leaving its `with` block, ends the answer early."""

    __slots__ = ("__weakref__", "_pieces", "_turn")

    def __init__(self, turn: Turn, client: Any) -> None:
        self._turn = turn
        self._pieces: Generator[Piece, None, None] = _pieces(turn, client)

    @property
    def reply(self) -> Reply:
        """What has been said: the whole once the stream has ended."""
        return self._turn.reply

    def __iter__(self) -> Iterator[Piece]:
        return self._pieces

    def __next__(self) -> Piece:
        return next(self._pieces)

    def texts(self) -> Iterator[str]:
        """The text of the answer alone."""
        for piece in self._pieces:
            if isinstance(piece, Text):
                yield piece.text

    def until_done(self) -> Reply:
        """Read what is left, and give the reply."""
        for _ in self._pieces:
            pass
        return self.reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the answer here. The chat remembers what was said so far."""
        self._pieces.close()

    def __repr__(self) -> str:
        return "<stream of a chat>"


def _pieces(turn: Turn, client: Any) -> Generator[Piece, None, None]:
    pieces: Generator[Piece, None, None] = tell(turn.flow, client._world)
    try:
        yield from pieces
    finally:
        if turn.open is not None:
            turn.open.close()


class AsyncChat(Conversation):
    """A conversation with a model, its questions coroutines. The arguments are those of `Chat`.

    Tools may be coroutine functions; those that are not run on worker threads.
    """

    client: AsyncOpenAI

    def __init__(
        self,
        client: AsyncOpenAI,
        *,
        model: str,
        system: str | None = None,
        tools: Iterable[Callable[..., Any] | FunctionTool] = (),
        history: Iterable[ChatCompletionMessageParam] = (),
        history_messages: int | None = None,
        history_tokens: int | None = None,
        count_tokens: Callable[[str], int] | None = None,
        max_rounds: int = 10,
        tools_at_once: int = 8,
        tool_error: Callable[[ToolCall, Exception], str] | None = None,
        **options: Unpack[ChatOptions],
    ) -> None:
        super().__init__(
            client,
            model=model,
            system=system,
            tools=tools,
            history=history,
            history_messages=history_messages,
            history_tokens=history_tokens,
            count_tokens=count_tokens,
            max_rounds=max_rounds,
            tools_at_once=tools_at_once,
            tool_error=tool_error,
            options=options,
        )

    def tool(self, function: F) -> F:
        """Register a function, as a decorator."""
        self.register(function)
        return function

    async def ask(self, content: Content, **options: Unpack[ChatOptions]) -> Reply:
        """Ask, run the tools the model calls, and give its answer. See `Chat.ask`."""
        reply: Reply = await self.client._drive(quiet(self._turn(content, options, streamed=False).flow))
        return reply

    def stream(self, content: Content, **options: Unpack[ChatOptions]) -> AsyncChatStream:
        """Ask, and give the answer as it is said. Nothing is sent before the first piece is asked for."""
        return AsyncChatStream(self._turn(content, options, streamed=True), self.client)

    @classmethod
    def load(cls, client: AsyncOpenAI, saved: str | os.PathLike[str] | Mapping[str, Any], **settings: Any) -> Self:
        """A chat that goes on where one was saved. See `Chat.load`."""
        named: dict[str, Any] = {"model": "", **settings}
        chat = cls(client, **named)
        chat.restore(_saved(saved))
        return chat

    def __repr__(self) -> str:
        return f"<chat with {self.model}, {len(self._messages)} messages>"


class AsyncChatStream:
    """An answer as it is said. Iterate it once; closing it, or leaving its `async with`, ends the answer early."""

    __slots__ = ("__weakref__", "_pieces", "_turn")

    def __init__(self, turn: Turn, client: Any) -> None:
        self._turn = turn
        self._pieces: AsyncGenerator[Piece, None] = _apieces(turn, client)

    @property
    def reply(self) -> Reply:
        """What has been said: the whole once the stream has ended."""
        return self._turn.reply

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self._pieces

    async def __anext__(self) -> Piece:
        return await anext(self._pieces)

    async def texts(self) -> AsyncIterator[str]:
        """The text of the answer alone."""
        async for piece in self._pieces:
            if isinstance(piece, Text):
                yield piece.text

    async def until_done(self) -> Reply:
        """Read what is left, and give the reply."""
        async for _ in self._pieces:
            pass
        return self.reply

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the answer here. The chat remembers what was said so far."""
        await self._pieces.aclose()

    async def aclose(self) -> None:
        """The same as `close`."""
        await self.close()

    def __repr__(self) -> str:
        return "<stream of a chat>"


async def _apieces(turn: Turn, client: Any) -> AsyncGenerator[Piece, None]:
    pieces: AsyncGenerator[Piece, None] = atell(turn.flow, client._world)
    try:
        async for piece in pieces:
            yield piece
    finally:
        await pieces.aclose()
        if turn.open is not None:
            await turn.open.close()


def _saved(saved: Any) -> Any:
    if isinstance(saved, Mapping):
        return saved
    from pathlib import Path

    return Path(saved).read_text(encoding="utf-8")
