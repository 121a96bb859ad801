"""What a streamed chat completion tells, event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeAlias

from ....kernel.lazy import lazily
from ..._late import Late
from ..._variables import ResponseFormatT

if TYPE_CHECKING:
    from ....types.chat.chat_completion_chunk import ChatCompletionChunk
    from ....types.chat.chat_completion_token_logprob import ChatCompletionTokenLogprob
    from ....types.chat.parsed_chat_completion import (
        ParsedChatCompletion,
        ParsedChatCompletionMessage,
        ParsedChoice,
    )

__all__ = (
    "ChatCompletionStreamEvent",
    "ChunkEvent",
    "ContentDeltaEvent",
    "ContentDoneEvent",
    "FunctionToolCallArgumentsDeltaEvent",
    "FunctionToolCallArgumentsDoneEvent",
    "LogprobsContentDeltaEvent",
    "LogprobsContentDoneEvent",
    "LogprobsRefusalDeltaEvent",
    "LogprobsRefusalDoneEvent",
    "ParsedChatCompletionMessageSnapshot",
    "ParsedChatCompletionSnapshot",
    "ParsedChoiceSnapshot",
    "RefusalDeltaEvent",
    "RefusalDoneEvent",
)


class ChunkEvent(Late):
    """A chunk as it came; one for each, before the events that follow from it."""

    type: Literal["chunk"]
    chunk: ChatCompletionChunk
    snapshot: ParsedChatCompletionSnapshot
    """The completion so far. It goes on growing: copy what is to stay as it is."""
    _live: ClassVar[frozenset[str]] = frozenset(("snapshot",))


class ContentDeltaEvent(Late):
    """More of the content of a message."""

    type: Literal["content.delta"]
    delta: str
    snapshot: str
    """The content so far."""
    parsed: object | None = None
    """What the content says so far, as JSON, where it is to be parsed; `None` where it is not JSON."""


class ContentDoneEvent(Late, Generic[ResponseFormatT]):
    """The content of a message is complete."""

    type: Literal["content.done"]
    content: str
    parsed: ResponseFormatT | None = None


class RefusalDeltaEvent(Late):
    """More of a refusal."""

    type: Literal["refusal.delta"]
    delta: str
    snapshot: str
    """The refusal so far."""


class RefusalDoneEvent(Late):
    """A refusal is complete."""

    type: Literal["refusal.done"]
    refusal: str


class FunctionToolCallArgumentsDeltaEvent(Late):
    """More of the arguments of a call."""

    type: Literal["tool_calls.function.arguments.delta"]
    name: str
    index: int
    arguments: str
    """The JSON text so far."""
    parsed_arguments: object
    """What the text says so far, where the tool is strict."""
    arguments_delta: str


class FunctionToolCallArgumentsDoneEvent(Late):
    """The arguments of a call are complete."""

    type: Literal["tool_calls.function.arguments.done"]
    name: str
    index: int
    arguments: str
    """The JSON text."""
    parsed_arguments: object


class LogprobsContentDeltaEvent(Late):
    """More log probabilities of the content."""

    type: Literal["logprobs.content.delta"]
    content: list[ChatCompletionTokenLogprob]
    snapshot: list[ChatCompletionTokenLogprob]
    """All so far."""


class LogprobsContentDoneEvent(Late):
    """The log probabilities of the content are complete."""

    type: Literal["logprobs.content.done"]
    content: list[ChatCompletionTokenLogprob]


class LogprobsRefusalDeltaEvent(Late):
    """More log probabilities of a refusal."""

    type: Literal["logprobs.refusal.delta"]
    refusal: list[ChatCompletionTokenLogprob]
    snapshot: list[ChatCompletionTokenLogprob]
    """All so far."""


class LogprobsRefusalDoneEvent(Late):
    """The log probabilities of a refusal are complete."""

    type: Literal["logprobs.refusal.done"]
    refusal: list[ChatCompletionTokenLogprob]


ChatCompletionStreamEvent: TypeAlias = (
    ChunkEvent
    | ContentDeltaEvent
    | ContentDoneEvent[ResponseFormatT]
    | RefusalDeltaEvent
    | RefusalDoneEvent
    | FunctionToolCallArgumentsDeltaEvent
    | FunctionToolCallArgumentsDoneEvent
    | LogprobsContentDeltaEvent
    | LogprobsContentDoneEvent
    | LogprobsRefusalDeltaEvent
    | LogprobsRefusalDoneEvent
)

if TYPE_CHECKING:
    ParsedChatCompletionSnapshot: TypeAlias = ParsedChatCompletion[object]
    ParsedChatCompletionMessageSnapshot: TypeAlias = ParsedChatCompletionMessage[object]
    ParsedChoiceSnapshot: TypeAlias = ParsedChoice[object]
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "ChatCompletionChunk": "antiphon.types.chat.chat_completion_chunk",
            "ChatCompletionTokenLogprob": "antiphon.types.chat.chat_completion_token_logprob",
            "ParsedChatCompletion": "antiphon.types.chat.parsed_chat_completion",
            "ParsedChatCompletionMessage": "antiphon.types.chat.parsed_chat_completion",
            "ParsedChoice": "antiphon.types.chat.parsed_chat_completion",
        },
        {
            "ParsedChatCompletionSnapshot": "ParsedChatCompletion[object]",
            "ParsedChatCompletionMessageSnapshot": "ParsedChatCompletionMessage[object]",
            "ParsedChoiceSnapshot": "ParsedChoice[object]",
        },
    )
