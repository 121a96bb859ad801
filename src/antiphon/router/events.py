"""What an answer consists of, whichever upstream it comes from and whichever wire format it leaves in.

    Start           the answer begins: its id and model, as the upstream says them
    Text            more of the text
    Reasoning       more of what the model thinks, where the host shows it
    ToolCall        begins a call of a tool
    ToolArguments   more of the arguments of a call (JSON), or of the input of a custom tool
    ToolResult      a tool has run, here: in the loop of an agent
    Step            another round begins, after tools have run
    Refusal         more of why the model declines
    Citation        where a stretch of the text comes from
    Usage           token counts, of all rounds so far
    Finish          the answer is complete, and why it ends
    Error           there is no more of it, and why

An answer begins with one `Start` and ends with one `Finish` or one `Error`. The pieces of a turn are those of
`antiphon.server.turns`, so that engines and routers speak of the same things.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from ..server.turns import Citation, Finish, Reasoning, Refusal, Text, ToolCall, Usage

__all__ = (
    "Citation",
    "Error",
    "Event",
    "Finish",
    "Reasoning",
    "Refusal",
    "Start",
    "Step",
    "Text",
    "ToolArguments",
    "ToolCall",
    "ToolResult",
    "Usage",
)


class Start(NamedTuple):
    """The answer begins."""

    id: str
    model: str
    created: int = 0
    """Seconds since 1970; 0 where the upstream does not say."""


class ToolArguments(NamedTuple):
    """More of the arguments of the call with this id."""

    id: str
    text: str


class ToolResult(NamedTuple):
    """A tool has run."""

    id: str
    """Of the call."""
    name: str
    text: str
    """What the model is told."""
    failed: bool = False
    """Whether it raised; the text then says what."""


class Step(NamedTuple):
    """Another round begins."""

    number: int
    """1 for the second round: how many went before."""


class Error(NamedTuple):
    """There is no more of the answer."""

    message: str
    """In words for whoever called; without anything secret."""
    status: int = 500
    """The HTTP status: the upstream's, or one of ours."""
    type: str = "server_error"
    code: str | None = None
    param: str | None = None
    request_id: str | None = None
    """The upstream's name for the request."""
    retry_after: str | None = None
    """When it may be tried again, as the upstream's header says it."""

    def to_dict(self) -> dict[str, Any]:
        """The error object of the API's envelope, with the request's id where there is one."""
        told: dict[str, Any] = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        if self.request_id is not None:
            told["request_id"] = self.request_id
        return told


Event: TypeAlias = (
    Start
    | Text
    | Reasoning
    | ToolCall
    | ToolArguments
    | ToolResult
    | Step
    | Refusal
    | Citation
    | Usage
    | Finish
    | Error
)
"""Any of them."""
