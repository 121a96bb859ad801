"""What a chat says while it answers, and what it has said when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from ...types.chat import ChatCompletion, ChatCompletionMessageParam

__all__ = ("Piece", "Reasoning", "Refusal", "Reply", "Text", "ToolCall", "ToolResult", "Usage")


@dataclass(frozen=True, slots=True)
class Text:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of what the model thinks before it answers, where the host shows it."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """More of why the model declines."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model calls a tool. Comes once the call is complete, before the tool runs."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool has run."""

    call: ToolCall
    text: str
    """What the model is told."""
    value: Any = None
    """What the function returned; `None` where it failed."""
    error: Exception | None = None
    """Why it failed, where it did."""


Piece: TypeAlias = Text | Reasoning | Refusal | ToolCall | ToolResult
"""What the stream of a chat gives."""


@dataclass(slots=True)
class Usage:
    """What was spent, in tokens, over one request or many. What a host does not say counts as nothing."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    """Of `prompt_tokens`: read from a cache."""
    reasoning_tokens: int = 0
    """Of `completion_tokens`: spent on thinking."""

    @classmethod
    def of(cls, usage: Any) -> Usage:
        """The usage of one request, as the API says it."""
        said: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
        prompt, completion = _count(said, "prompt_tokens"), _count(said, "completion_tokens")
        return cls(
            1,
            prompt,
            completion,
            _count(said, "total_tokens") or prompt + completion,
            _count(said.get("prompt_tokens_details"), "cached_tokens"),
            _count(said.get("completion_tokens_details"), "reasoning_tokens"),
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


def _count(said: Any, name: str) -> int:
    value = said.get(name) if isinstance(said, Mapping) else None
    return int(value) if isinstance(value, (int, float)) and value == value and abs(value) < 1e15 else 0


@dataclass(slots=True)
class Reply:
    """What came of one question."""

    text: str = ""
    """The answer; empty where there is none."""
    reasoning: str = ""
    """What the model thought, where the host shows it."""
    refusal: str = ""
    """Why the model declined, where it did."""
    finish_reason: str | None = None
    """Why the last completion ended, as the host says it."""
    completion: ChatCompletion | None = None
    """The last completion, with every field the host sent; of a stream, put together from its chunks."""
    messages: list[ChatCompletionMessageParam] = field(default_factory=list)
    """What was added to the history: the question, calls and results of tools, the answer."""
    tools: list[ToolResult] = field(default_factory=list)
    """The tools that ran, in the order of their calls."""
    rounds: int = 0
    """How many times the model asked for tools."""
    usage: Usage = field(default_factory=Usage)
    """What all the requests of this question cost."""

    def __str__(self) -> str:
        return self.text
