"""A turn is what a model says once, as neutral pieces. Engines yield them, renderings put them on the wire.

    str            text, the commonest piece: the same as Text(str)
    Text           text with log probabilities the engine knows
    Reasoning      what the model thought before it spoke
    ToolCall       begins a call of a tool; ToolArguments that follow belong to it
    ToolArguments  a piece of the arguments (JSON), or of the input of a custom tool
    Refusal        a piece of the words of a refusal
    Citation       where a stretch of the text comes from
    Audio          speech, with its transcript
    Usage          token counts, where the engine knows better than the server's own count
    Finish         why the turn ends; without one it is "tool_calls" after a call and "stop" otherwise
    Whole          the finished body in the dialect of the request, passed through as it is

A turn is a `str`, or an iterable of pieces with steps (`Pause`, `Await`, `Call`, `Send`) between them.
A turn that is a `str`, a `list` or a `tuple` without steps is known in full and is rendered in one go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..kernel.flow import Step

__all__ = (
    "Audio",
    "Citation",
    "Finish",
    "FinishReason",
    "Piece",
    "Reasoning",
    "Refusal",
    "Text",
    "ToolArguments",
    "ToolCall",
    "Turn",
    "Usage",
    "Whole",
)

if TYPE_CHECKING:
    FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
else:
    FinishReason = str


class Text(NamedTuple):
    """Text. `logprobs` has an item a token, as in `choices[].logprobs.content` of a chat completion."""

    text: str
    logprobs: list[dict[str, Any]] | None = None


class Reasoning(NamedTuple):
    """A piece of the reasoning. Chat completions only count its tokens; Responses show it as a summary."""

    text: str


class ToolCall(NamedTuple):
    """A call of a tool begins. An `id` of `None` lets the server make one."""

    id: str | None
    name: str
    custom: bool = False
    """Whether the tool is a custom one, whose input is text, and not a function, whose arguments are JSON."""


class ToolArguments(NamedTuple):
    """A piece of the arguments of the call that was begun last."""

    text: str


class Refusal(NamedTuple):
    """A piece of the words with which the model declines."""

    text: str


class Citation(NamedTuple):
    """Characters `start` to `end` of the text come from `url`."""

    url: str
    title: str
    start: int
    end: int


class Audio(NamedTuple):
    """Speech in the format that was asked for, or raw 16-bit samples where the answer is streamed."""

    data: bytes
    transcript: str


class Usage(NamedTuple):
    """Token counts. What is `None` is counted by the server."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


class Finish(NamedTuple):
    """The turn ends here, for this reason."""

    reason: FinishReason


class Whole(NamedTuple):
    """A finished body in the dialect of the request: a chat completion, a completion or a Response."""

    body: dict[str, Any]


if TYPE_CHECKING:
    Piece: TypeAlias = (
        str | Text | Reasoning | ToolCall | ToolArguments | Refusal | Citation | Audio | Usage | Finish | Whole
    )
    Turn: TypeAlias = str | Iterable[Piece | Step[Any]]
else:
    Piece = Turn = object
