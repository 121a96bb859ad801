"""A loop of responses and tools that ends: functions, a browser and a computer, approvals, checkpoints and budgets.

    def weather(city: str) -> str: ...

    runner = ResponsesToolRunner(functions=[weather])
    response = runner.run(client, {"model": "gpt-5", "input": "Do I need an umbrella in Lisbon?"})

The guide is docs/tools.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing, closing
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Required, Self, TypeAlias, TypedDict, TypeVar

from ..kernel.flow import Step, World, atell, tell
from ._function_tool import FunctionTool
from ._runners.functions import Registered, early_of, registry
from ._runners.loop import Options, Rounds, Tools
from ._runners.run import ToolRunnerCancelledError, ToolRunnerError
from ._tools import ResponsesPydanticFunctionTool
from ._toolset import CloseStatus, Gate
from .tool_diagnostics import ToolDiagnosticObserver

if TYPE_CHECKING:
    from ..client.client import AsyncOpenAI, OpenAI
    from ..types.responses import Response, ResponseComputerToolCall, ResponseFunctionToolCall
    from ..types.responses.function_tool_param import FunctionToolParam
    from ..types.responses.response_create_params import ResponseCreateParamsNonStreaming
    from ..types.responses.response_function_call_output_item_list_param import (
        ResponseFunctionCallOutputItemListParam,
    )
    from ..types.responses.response_input_item_param import McpApprovalResponse
    from ..types.responses.response_input_param import ComputerCallOutput, FunctionCallOutput, ResponseInputParam
    from ..types.responses.response_output_item import McpApprovalRequest
    from ..types.responses.tool_param import ToolParam
    from .browser import AsyncBrowserToolset, BrowserToolset
    from .computer import AsyncComputerToolset, ComputerActionInput, ComputerToolset
    from .streaming.responses._events import ResponseStreamEvent

    FunctionResult: TypeAlias = str | ResponseFunctionCallOutputItemListParam
    """What a registered function gives: text, or a list of texts, images and files."""
    ToolOutput: TypeAlias = FunctionCallOutput | ComputerCallOutput | McpApprovalResponse
    BeforeEarlyCall: TypeAlias = Callable[
        [ResponseFunctionToolCall | ResponseComputerToolCall], Literal["execute", "defer"]
    ]
    AsyncBeforeEarlyCall: TypeAlias = Callable[
        [ResponseFunctionToolCall | ResponseComputerToolCall], Awaitable[Literal["execute", "defer"]]
    ]
else:
    FunctionResult = ToolOutput = object

__all__ = (
    "AsyncContextBudget",
    "AsyncRegisteredFunction",
    "AsyncResponsesToolLedger",
    "AsyncResponsesToolRunner",
    "ContextBudget",
    "ContextBudgetDecision",
    "ContextBudgetSnapshot",
    "EarlyExecution",
    "FunctionResult",
    "RegisteredFunction",
    "ResponsesRunnerTurn",
    "ResponsesToolCheckpoint",
    "ResponsesToolLedger",
    "ResponsesToolRunner",
    "ToolOutput",
    "ToolRunnerCancelledError",
    "ToolRunnerError",
)

ArgumentsT = TypeVar("ArgumentsT")


class EarlyExecution(TypedDict, total=False):
    """Tools that may run while their response is still being streamed, with `stream=True` and `eager=True`.

    The first call of a tool that is not named here, and everything behind it, waits for the whole response.
    """

    functions: list[str]
    computer: bool


class ContextBudgetSnapshot(TypedDict):
    """A history that is larger than its budget: a copy, and the calls that may be left out of the next request."""

    history: ResponseInputParam
    eligible_call_ids: list[str]
    input_bytes: int
    input_images: int


class ContextBudgetDecision(TypedDict, total=False):
    """Which calls go, with their outputs, and what is to be said of them."""

    drop_call_ids: Required[list[str]]
    summary: str


class _Limits(TypedDict, total=False):
    max_input_bytes: Required[int]
    max_input_images: Required[int]
    keep_recent_screenshots: int


class ContextBudget(_Limits, total=False):
    """How large the input of a request may be: in bytes of JSON, and in images.

    A larger history goes to `compact`, which says what the request is to do without. The last screenshots, one unless
    `keep_recent_screenshots` says more, stay; so do the last calls of a browser and of a computer, and every call that
    was checked for safety. The run itself keeps its whole history. Without `compact` the run ends there.
    """

    compact: Callable[[ContextBudgetSnapshot], ContextBudgetDecision]


class AsyncContextBudget(_Limits, total=False):
    """`ContextBudget` whose `compact` may be a coroutine function."""

    compact: Callable[[ContextBudgetSnapshot], ContextBudgetDecision | Awaitable[ContextBudgetDecision]]


class ResponsesToolCheckpoint(TypedDict):
    """A run as it is written down. It has the whole conversation in it: keep it as private as that.

    A run can go on from a `boundary`, where every call has its output. `pending` is written before and after
    whatever could have an effect: after a crash it tells what may have been done, and a person has to find out. The
    declarations of MCP servers are without credentials, and their addresses are fingerprints.
    """

    version: Literal[1]
    run_id: str
    revision: int
    phase: Literal["boundary", "pending", "final"]
    max_steps: int
    consumed_requests: int
    tools: list[ToolParam]
    output_override_names: list[str]
    history: ResponseInputParam
    attempted_call_ids: list[str]
    returned_call_ids: list[str]
    pending_items: list[dict[str, object]]
    returned_outputs: list[ToolOutput]
    final_response: dict[str, object] | None


@dataclass(frozen=True)
class ResponsesToolLedger:
    """Where a run is written down: `save` is given each checkpoint, whole, and returns when it is kept for good.

    `resume_from` is the boundary a run of the same `run_id`, tools and `max_steps` goes on from. What `save` raises
    ends the run before anything more is done.
    """

    run_id: str
    save: Callable[[ResponsesToolCheckpoint], None]
    resume_from: ResponsesToolCheckpoint | None = None


@dataclass(frozen=True)
class AsyncResponsesToolLedger:
    """`ResponsesToolLedger` whose `save` is a coroutine function."""

    run_id: str
    save: Callable[[ResponsesToolCheckpoint], Awaitable[None]]
    resume_from: ResponsesToolCheckpoint | None = None


@dataclass(frozen=True)
class RegisteredFunction:
    """A function the model may call: its declaration, and what is called with the arguments, a dict.

    It gives text, or a list of blocks (`input_text`, `input_image`, `input_file`). With a parameter `cancelled` it is
    given what tells whether the run is to end. With `allow_output_override` its output may come from the caller
    instead, through `ResponsesRunnerTurn.supply_outputs`. One that is `independent` may run at the same time as
    others, in eager runs. In an async runner it is called on a worker thread, because it may block.
    """

    tool: FunctionToolParam
    execute: Callable[[dict[str, object]], FunctionResult]
    allow_output_override: bool = False
    independent: bool = False
    _typed: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def from_tool(
        cls,
        tool: FunctionToolParam,
        *,
        execute: Callable[[ArgumentsT], FunctionResult],
        allow_output_override: bool = False,
        independent: bool = False,
    ) -> Self:
        """A tool of `pydantic_responses_function_tool`, with a function that takes the model of its arguments.

        Raises `ValueError` for a tool that was made otherwise.
        """
        return cls(tool, execute, allow_output_override, independent, _typed(tool, execute))  # type: ignore[arg-type]

    @classmethod
    def from_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool = False,
        allow_output_override: bool = False,
        independent: bool = False,
    ) -> Self:
        """A typed function, its declaration read from its name, docstring and annotations.

        What it returns is given to the model as text: text as it is, everything else as JSON. Raises `TypeError` where
        a parameter has no type.
        """
        made = FunctionTool(function, name=name, description=description, strict=strict)
        return cls(made.to_responses_param(), made, allow_output_override, independent, made)


@dataclass(frozen=True)
class AsyncRegisteredFunction:
    """`RegisteredFunction` whose `execute` is a coroutine function.

    In a runner that is not async, it runs on an event loop in the background.
    """

    tool: FunctionToolParam
    execute: Callable[[dict[str, object]], Awaitable[FunctionResult]]
    allow_output_override: bool = False
    independent: bool = False
    _typed: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def from_tool(
        cls,
        tool: FunctionToolParam,
        *,
        execute: Callable[[ArgumentsT], Awaitable[FunctionResult]],
        allow_output_override: bool = False,
        independent: bool = False,
    ) -> Self:
        """See `RegisteredFunction.from_tool`."""
        return cls(tool, execute, allow_output_override, independent, _typed(tool, execute))  # type: ignore[arg-type]

    @classmethod
    def from_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool = False,
        allow_output_override: bool = False,
        independent: bool = False,
    ) -> Self:
        """See `RegisteredFunction.from_function`. The function may be of either colour."""
        made = FunctionTool(function, name=name, description=description, strict=strict)
        return cls(made.to_responses_param(), made, allow_output_override, independent, made)


def _typed(tool: Any, execute: Any) -> ResponsesPydanticFunctionTool:
    if not isinstance(tool, ResponsesPydanticFunctionTool) or not callable(execute):
        raise ValueError(
            "from_tool takes a tool as pydantic_responses_function_tool makes it of a model of pydantic or another, "
            "and an executor"
        )
    return deepcopy(tool)


@dataclass(frozen=True)
class ResponsesRunnerTurn:
    """A response before its tools run. Asking for the next turn runs them; closing the iterator leaves them.

    `response` may be looked at and changed: what is run was fixed before. In eager runs `tools_executed` and the ids
    tell what has been done already.
    """

    response: Response
    step: int
    """The number of the request, from 1."""
    final: bool
    tools_executed: bool
    attempted_call_ids: tuple[str, ...]
    completed_call_ids: tuple[str, ...]
    _supply: Callable[[Any], None] = field(repr=False, compare=False)
    _append: Callable[[Any], None] = field(repr=False, compare=False)

    def supply_outputs(self, outputs: list[FunctionCallOutput]) -> None:
        """Give the outputs of calls yourself, for functions that allow it; those functions are not called then.

        They replace those that were given before. Raises `ValueError` for a call that is not of this turn or has run
        already, and once the next turn was asked for.
        """
        self._supply(outputs)

    def append_user_text(self, text: str) -> None:
        """Say something to the model, after the outputs of this turn. Raises `ValueError` on a final turn."""
        self._append(text)


class _Runner:
    """What both runners are."""

    browser: Any
    computer: Any

    def __init__(self, browser: Any, computer: Any, functions: Sequence[Any], early: Any) -> None:
        self._gate = Gate("Responses runner")
        registered = [Registered.of(each, _COLOURS.get(type(each))) for each in functions]
        self._tools = registry(browser, computer, registered)
        self._early = early_of(early, self._tools)
        self._functions = {each.tool["name"]: each for each in registered}
        self._browser_names = frozenset[str](tool["name"] for tool in (browser.tools if browser is not None else ()))
        self._overrides = frozenset(each.tool["name"] for each in registered if each.allow_output_override)
        self.browser = browser
        self.computer = computer

    def close(self) -> CloseStatus:
        """Let no more runs begin. One that is under way goes on; the drivers of tools are the caller's to close."""
        return self._gate.close()

    def _turns(self, client: Any, params: Any, options: Options) -> Generator[Step[Any] | Any, Any, None]:
        with self._gate.entered():
            if options.ledger is not None and not isinstance(options.ledger, self._ledger):
                raise ValueError(f"this runner takes an {self._ledger.__name__}: {self._colour} ledger")
            tools = Tools(
                deepcopy(self._tools),
                self._functions,
                self.browser,
                self._browser_names,
                self.computer,
                self._overrides,
                self._early,
            )
            yield from Rounds(client, params, tools, options, ResponsesRunnerTurn).turns()

    _ledger: type[Any]
    _colour: str


_COLOURS: dict[type, bool] = {RegisteredFunction: False, AsyncRegisteredFunction: True}


class ResponsesToolRunner(_Runner):
    """Asks for responses and runs the tools they call, until one is final.

    `functions` are typed functions, or `RegisteredFunction`s where there is more to say. `browser` and `computer` are
    toolsets over drivers of your own. A runner has one run at a time; it keeps nothing between them.
    """

    browser: BrowserToolset | None
    computer: ComputerToolset | None
    _ledger = ResponsesToolLedger
    _colour = "a sync"

    def __init__(
        self,
        *,
        browser: BrowserToolset | None = None,
        computer: ComputerToolset | None = None,
        functions: Sequence[RegisteredFunction | AsyncRegisteredFunction | FunctionTool | Callable[..., Any]]
        | None = None,
        early_execution: EarlyExecution | None = None,
    ) -> None:
        super().__init__(browser, computer, functions or (), early_execution)

    def run(
        self,
        client: OpenAI,
        params: ResponseCreateParamsNonStreaming,
        *,
        max_steps: int | None = None,
        stream: bool = False,
        eager: bool = False,
        max_concurrent_calls: int = 2,
        on_event: Callable[[ResponseStreamEvent[None]], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        approve_safety_checks: Callable[[ResponseComputerToolCall], bool] | None = None,
        before_action: Callable[[ComputerActionInput], bool] | None = None,
        ledger: ResponsesToolLedger | None = None,
        context_budget: ContextBudget | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
        approve_mcp: Callable[[McpApprovalRequest], bool] | None = None,
        before_early_call: BeforeEarlyCall | None = None,
    ) -> Response:
        """Run to the final response.

        `params` are those of `responses.create()`; the runner keeps the history itself, so that
        `previous_response_id` and `conversation` have no place in them. `max_steps` is how many requests are made at
        most, 20 unless a checkpoint says otherwise. With `stream` the events go to `on_event` as they come, and with
        `eager` tools run before their response is complete, as `early_execution` and `before_early_call` allow.
        `cancelled` is asked between all steps. `approve_mcp`, `approve_safety_checks` and `before_action` decide about
        what the model wants to have done; without them nothing that needs approval happens.

        Raises `ValueError` for parameters that a runner cannot work with, before anything is sent;
        `ToolRunnerError` where the run stops before it is complete, with the ids of the calls so far.
        """
        turns = self.iterate(
            client,
            params,
            max_steps=max_steps,
            stream=stream,
            eager=eager,
            max_concurrent_calls=max_concurrent_calls,
            on_event=on_event,
            cancelled=cancelled,
            approve_safety_checks=approve_safety_checks,
            before_action=before_action,
            ledger=ledger,
            context_budget=context_budget,
            on_diagnostic=on_diagnostic,
            approve_mcp=approve_mcp,
            before_early_call=before_early_call,
        )
        with closing(turns):
            return next(turn.response for turn in turns if turn.final)

    def iterate(
        self,
        client: OpenAI,
        params: ResponseCreateParamsNonStreaming,
        *,
        max_steps: int | None = None,
        stream: bool = False,
        eager: bool = False,
        max_concurrent_calls: int = 2,
        on_event: Callable[[ResponseStreamEvent[None]], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        approve_safety_checks: Callable[[ResponseComputerToolCall], bool] | None = None,
        before_action: Callable[[ComputerActionInput], bool] | None = None,
        ledger: ResponsesToolLedger | None = None,
        context_budget: ContextBudget | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
        approve_mcp: Callable[[McpApprovalRequest], bool] | None = None,
        before_early_call: BeforeEarlyCall | None = None,
    ) -> Generator[ResponsesRunnerTurn, None, None]:
        """`run`, a turn at a time: each response is shown before its tools run, which the next turn asks for.

        A `break` does not end the run of an iterator that somebody still holds: close it, or use
        `contextlib.closing`.
        """
        options = Options(
            max_steps,
            stream,
            eager,
            max_concurrent_calls,
            on_event,
            cancelled,
            approve_safety_checks,
            before_action,
            ledger,
            context_budget,
            on_diagnostic,
            approve_mcp,
            before_early_call,
        )
        return tell(self._turns(client, params, options), World())


class AsyncResponsesToolRunner(_Runner):
    """`ResponsesToolRunner` for an event loop. Functions that are not async run on worker threads."""

    browser: AsyncBrowserToolset | None
    computer: AsyncComputerToolset | None
    _ledger = AsyncResponsesToolLedger
    _colour = "an async"

    def __init__(
        self,
        *,
        browser: AsyncBrowserToolset | None = None,
        computer: AsyncComputerToolset | None = None,
        functions: Sequence[AsyncRegisteredFunction | RegisteredFunction | FunctionTool | Callable[..., Any]]
        | None = None,
        early_execution: EarlyExecution | None = None,
    ) -> None:
        super().__init__(browser, computer, functions or (), early_execution)

    async def run(
        self,
        client: AsyncOpenAI,
        params: ResponseCreateParamsNonStreaming,
        *,
        max_steps: int | None = None,
        stream: bool = False,
        eager: bool = False,
        max_concurrent_calls: int = 2,
        on_event: Callable[[ResponseStreamEvent[None]], Awaitable[None]] | None = None,
        cancelled: Callable[[], bool] | None = None,
        approve_safety_checks: Callable[[ResponseComputerToolCall], Awaitable[bool]] | None = None,
        before_action: Callable[[ComputerActionInput], Awaitable[bool]] | None = None,
        ledger: AsyncResponsesToolLedger | None = None,
        context_budget: AsyncContextBudget | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
        approve_mcp: Callable[[McpApprovalRequest], Awaitable[bool]] | None = None,
        before_early_call: AsyncBeforeEarlyCall | None = None,
    ) -> Response:
        """Run to the final response. See `ResponsesToolRunner.run`.

        Raises `ToolRunnerCancelledError`, an `asyncio.CancelledError`, where the task was cancelled: after the calls
        under way have ended, with the ids of all of them.
        """
        turns = self.iterate(
            client,
            params,
            max_steps=max_steps,
            stream=stream,
            eager=eager,
            max_concurrent_calls=max_concurrent_calls,
            on_event=on_event,
            cancelled=cancelled,
            approve_safety_checks=approve_safety_checks,
            before_action=before_action,
            ledger=ledger,
            context_budget=context_budget,
            on_diagnostic=on_diagnostic,
            approve_mcp=approve_mcp,
            before_early_call=before_early_call,
        )
        async with aclosing(turns):
            async for turn in turns:
                if turn.final:
                    return turn.response
        raise AssertionError("a run ends with its final turn, or with an error")

    def iterate(
        self,
        client: AsyncOpenAI,
        params: ResponseCreateParamsNonStreaming,
        *,
        max_steps: int | None = None,
        stream: bool = False,
        eager: bool = False,
        max_concurrent_calls: int = 2,
        on_event: Callable[[ResponseStreamEvent[None]], Awaitable[None]] | None = None,
        cancelled: Callable[[], bool] | None = None,
        approve_safety_checks: Callable[[ResponseComputerToolCall], Awaitable[bool]] | None = None,
        before_action: Callable[[ComputerActionInput], Awaitable[bool]] | None = None,
        ledger: AsyncResponsesToolLedger | None = None,
        context_budget: AsyncContextBudget | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
        approve_mcp: Callable[[McpApprovalRequest], Awaitable[bool]] | None = None,
        before_early_call: AsyncBeforeEarlyCall | None = None,
    ) -> AsyncGenerator[ResponsesRunnerTurn, None]:
        """`run`, a turn at a time. See `ResponsesToolRunner.iterate`; here it is `aclose` and `contextlib.aclosing`."""
        options = Options(
            max_steps,
            stream,
            eager,
            max_concurrent_calls,
            on_event,
            cancelled,
            approve_safety_checks,
            before_action,
            ledger,
            context_budget,
            on_diagnostic,
            approve_mcp,
            before_early_call,
        )
        return atell(self._turns(client, params, options), World())
