"""A turn is what a model says once, as neutral pieces. Engines yield them, renderings put them on the wire.

    str            text, the commonest piece: the same as Text(str)
    Text           text with log probabilities the engine knows
    Reasoning      what the model thought before it spoke
    ToolCall       begins a call of a tool; ToolArguments that follow belong to it
    ToolArguments  a piece of the arguments (JSON), or of the input of a custom tool
    Refusal        a piece of the words of a refusal
    Citation       where a stretch of the text comes from; FileCitation, ContainerCitation likewise
    Audio          speech, with its transcript
    Usage          token counts, where the engine knows better than the server's own count
    Finish         why the turn ends; without one it is "tool_calls" after a call and "stop" otherwise
    Origin         what another server calls the answer that is told here
    Whole          the finished body in the dialect of the request, passed through as it is

Uses of the tools that the server runs, or that the caller runs without a schema for their arguments:

    WebSearch, FileSearch, CodeInterpreter, ImageGeneration, Shell, McpListTools, McpCall, Computer, LocalShell,
    ApplyPatch     Responses have an item for each (a call and its output are two), assistants' runs a step
    Item           an item of a Response's output as it is

What an engine leaves open in one of these, such as the results of a file search, the server fills in. A generator is
sent the list of the finished items: `items = yield FileSearch(["opening hours"])`. Endpoints without such items pass
them over; the list is empty there (to an engine that is no function of `antiphon.engines`, `None` is sent).

A turn is a `str`, or an iterable of pieces with steps (`Pause`, `Await`, `Call`, `Send`) between them.
A turn that is a `str`, a `list` or a `tuple` without steps is known in full and is rendered in one go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ..kernel.flow import Step

__all__ = (
    "PIECES",
    "TOOL_USES",
    "ApplyPatch",
    "Audio",
    "Citation",
    "CodeInterpreter",
    "Computer",
    "ContainerCitation",
    "FileCitation",
    "FileSearch",
    "Finish",
    "FinishReason",
    "ImageGeneration",
    "Item",
    "LocalShell",
    "McpCall",
    "McpListTools",
    "Origin",
    "Piece",
    "Reasoning",
    "Refusal",
    "Shell",
    "Text",
    "ToolArguments",
    "ToolCall",
    "ToolUse",
    "Turn",
    "Usage",
    "WebSearch",
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


class FileCitation(NamedTuple):
    """The text up to the character `at` comes from a file."""

    file_id: str
    filename: str
    at: int


class ContainerCitation(NamedTuple):
    """Characters `start` to `end` of the text name a file that code wrote in a container."""

    container_id: str
    file_id: str
    filename: str
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
    cache_write_tokens: int | None = None


class Finish(NamedTuple):
    """The turn ends here, for this reason."""

    reason: FinishReason


class Origin(NamedTuple):
    """What another server calls the answer that is told here: before any other piece, and for chat completions only."""

    id: str | None = None
    model: str | None = None
    fingerprint: str | None = None


class Whole(NamedTuple):
    """A finished body in the dialect of the request: a chat completion, a completion or a Response."""

    body: dict[str, Any]


# Uses of tools


class WebSearch(NamedTuple):
    """The web is searched for `query`; or the page `url` is opened, or looked through for `pattern`."""

    query: str = ""
    sources: Sequence[str] = ()
    """Addresses that were found."""
    url: str = ""
    pattern: str = ""


class FileSearch(NamedTuple):
    """The vector stores of the tool are searched."""

    queries: Sequence[str]
    results: Sequence[Mapping[str, Any]] | None = None
    """What was found: `file_id`, `filename`, `score`, `text` and `attributes` of each; `None`: the server searches."""


class CodeInterpreter(NamedTuple):
    """Code is run in a container. The server runs nothing: what comes out of it, the engine says."""

    code: str
    logs: str | None = None
    """What the code printed."""
    images: Sequence[str] = ()
    """Addresses of the pictures it drew."""


class ImageGeneration(NamedTuple):
    """A picture is made."""

    prompt: str
    image: bytes | None = None
    """The file, in the format the tool asks for; `None`: the image engine draws it."""


class Shell(NamedTuple):
    """Commands for a shell: the caller's, or one in a container."""

    commands: Sequence[str]
    outputs: Sequence[tuple[str, str, int]] | None = None
    """Of a container's shell: what each command printed, what it complained, and its exit code."""


class McpListTools(NamedTuple):
    """An MCP server is asked for its tools. The server does it before the first call where an engine does not."""

    server_label: str
    tools: Sequence[Mapping[str, Any]] | None = None
    """`name`, `description`, `input_schema` and `annotations` of each; `None`: those that the request allows."""
    error: str | None = None


class McpCall(NamedTuple):
    """A tool of an MCP server is called. Where that needs an approval that was not given, it is asked for instead.

    That ends the turn.
    """

    server_label: str
    name: str
    arguments: str = "{}"
    """JSON."""
    output: str | None = None
    error: str | None = None


class Computer(NamedTuple):
    """What the caller is to do on its computer, each as the API has it: `{"type": "click", "x": 3, "y": 4, …}`."""

    actions: Sequence[Mapping[str, Any]]
    safety_checks: Sequence[Mapping[str, Any]] = ()


class LocalShell(NamedTuple):
    """A command for the caller's shell, by its words."""

    command: Sequence[str]


class ApplyPatch(NamedTuple):
    """A file the caller is to change: `create_file`, `update_file` or `delete_file`."""

    type: Literal["create_file", "update_file", "delete_file"]
    path: str
    diff: str = ""


class Item(NamedTuple):
    """An item of the output of a Response, as the API has it. Its `id` may be missing."""

    body: dict[str, Any]


TOOL_USES = (
    WebSearch,
    FileSearch,
    CodeInterpreter,
    ImageGeneration,
    Shell,
    McpListTools,
    McpCall,
    Computer,
    LocalShell,
    ApplyPatch,
)
"""The pieces that are uses of tools."""

PIECES = (
    Text,
    Reasoning,
    ToolCall,
    ToolArguments,
    Refusal,
    Citation,
    FileCitation,
    ContainerCitation,
    Audio,
    Usage,
    Finish,
    Origin,
    Whole,
    Item,
    *TOOL_USES,
)
"""The pieces that are no `str`."""

if TYPE_CHECKING:
    ToolUse: TypeAlias = (
        WebSearch
        | FileSearch
        | CodeInterpreter
        | ImageGeneration
        | Shell
        | McpListTools
        | McpCall
        | Computer
        | LocalShell
        | ApplyPatch
    )
    Piece: TypeAlias = (
        str
        | Text
        | Reasoning
        | ToolCall
        | ToolArguments
        | Refusal
        | Citation
        | FileCitation
        | ContainerCitation
        | Audio
        | Usage
        | Finish
        | Origin
        | Whole
        | Item
        | ToolUse
    )
    Turn: TypeAlias = str | Iterable[Piece | Step[Any]]
else:
    ToolUse = Piece = Turn = object
