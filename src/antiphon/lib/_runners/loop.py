"""The rounds of a run of tools on the Responses API, as one flow.

The flow yields steps for whoever drives it, and turns for whoever looks at them. It is of no colour: the client it
asks, the functions and the toolsets may be of either.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

from ...kernel.flow import Flow, Next, Step
from ...kernel.view import View
from .._late import Late
from ..tool_diagnostics import tell
from .items import SERVER_ITEMS, function_output, wire
from .run import Run, ToolRunnerCancelledError, ToolRunnerError, of_output
from .shapes import JSON
from .steps import Ask, Job, Settle, Start, Threads, WrongColour, begun

if TYPE_CHECKING:
    from .functions import Registered

__all__ = ("Options", "Rounds", "Tools")

Turns: TypeAlias = "Generator[Step[Any] | Any, Any, None]"
_STOPPED = "The run of tools was stopped by an error before it was complete."


@dataclass(frozen=True)
class Options:
    """How one run is to go."""

    max_steps: int | None
    stream: Any
    eager: Any
    max_concurrent_calls: int
    on_event: Any
    cancelled: Callable[[], bool] | None
    approve_safety_checks: Any
    before_action: Any
    ledger: Any
    context_budget: Any
    on_diagnostic: Any
    approve_mcp: Any
    before_early_call: Any


@dataclass(frozen=True)
class Tools:
    """What a runner has registered."""

    declared: list[JSON]
    functions: dict[str, Registered]
    browser: Any
    browser_names: frozenset[str]
    computer: Any
    overrides: frozenset[str]
    early: tuple[frozenset[str], bool] | None


class Rounds:
    """One run on its way to its last response."""

    def __init__(self, client: Any, params: Any, tools: Tools, options: Options, make_turn: Callable[..., Any]) -> None:
        if type(options.max_concurrent_calls) is not int or options.max_concurrent_calls < 1:
            raise ValueError("max_concurrent_calls is a whole number of at least 1")
        self.options = options
        self.tools = tools
        self.make_turn = make_turn
        self.stream, eager = bool(options.stream), bool(options.eager)
        if eager and not self.stream:
            raise ValueError("eager execution requires streaming: without `stream=True` nothing comes ahead")
        self.ledger = options.ledger
        self.run = Run(
            params,
            tools.declared,
            max_steps=options.max_steps,
            cancelled=options.cancelled,
            ledger=options.ledger,
            overrides=tools.overrides,
            budget=options.context_budget,
            browser_names=tools.browser_names,
            read_arguments=self._arguments,
        )
        self.collects = eager and self.ledger is not None
        # What the server did is looked at as a whole before anything is done here.
        self.eager = eager and not self.run.at_server
        self.early = tools.early if self.eager else None
        if self.eager and self.early is None and options.before_early_call is not None:
            names = frozenset(tool["name"] for tool in tools.declared if tool["type"] == "function")
            self.early = (names, tools.computer is not None)
        self.selective = self.early is not None
        # A request that is sent again could have effects at a server, or be one the ledger does not know of.
        once = self.ledger is not None or any(tool["type"] == "mcp" for tool in self.run.tools)
        self.client = client.with_options(max_retries=0) if once else client
        self.threads = Threads(options.max_concurrent_calls)
        self.jobs: list[tuple[JSON, Job]] = []

    # The flow

    def turns(self) -> Turns:
        """The whole run."""
        run = self.run
        try:
            yield from self._rounds()
        except ToolRunnerError as error:
            yield from self._settle_quietly()
            raise run.error(str(error) if error is run.last_error else _STOPPED) from None
        except CancelledError:
            yield from self._settle_quietly()
            raise ToolRunnerCancelledError(run.attempted, run.completed) from None
        except Exception:
            yield from self._settle_quietly()
            raise run.error(_STOPPED) from None
        finally:
            self.threads.close()

    def _rounds(self) -> Turns:
        run = self.run
        for answer, request in run.approvals_to_renew():
            answer["approve"] = yield from self._approval(request)
        for step in range(run.consumed, run.max_steps):
            run.begin(last=step == run.max_steps - 1)
            run.check()
            request = run.next_request(self.client, step)
            yield from self._fit(request)
            if self.ledger is not None:
                run.consumed = step + 1
                yield from self._save("pending" if run.at_server else "boundary")
            response = yield from self._requested(request)
            data = _copy(response._data)
            run.check()
            output = of_output(data.get("output"))
            if self.ledger is not None and any(_failed(item) for item in output):
                run.pending_items = output
                yield from self._save("pending", check=False)
            final = run.preflight(data.get("status"), output, streamed=self.eager)
            pending = not final and (not self.eager or len(run.items) < len(output))
            if self.ledger is not None:
                if pending:
                    run.pending_items = output
                    yield from self._save("pending")
                else:
                    yield from self._save("final" if final else "boundary", data if final else None)
            try:
                yield self._turn(response, output, step + 1, final)
            finally:
                run.active_step = None
            if final:
                return
            if pending:
                for index in range(len(run.items), len(output)):
                    yield from self._dispatch(index, output[index])
                run.finish(output)
            if (run.append_said() or pending) and self.ledger is not None:
                yield from self._save("boundary")
        raise run.error("The run has made max_steps requests and is not complete.")

    def _turn(self, response: Any, output: list[JSON], step: int, final: bool) -> Any:
        run = self.run
        run.active_step = step
        waiting = frozenset(
            item["call_id"]
            for item in output[len(run.items) :]
            if item["type"] == "function_call" and item["name"] in self.tools.overrides
        )
        return self.make_turn(
            response=response,
            step=step,
            final=final,
            tools_executed=bool(run.outputs),
            attempted_call_ids=tuple(run.attempted),
            completed_call_ids=tuple(run.completed),
            _supply=partial(run.supply, step, waiting, self.eager and not self.selective),
            _append=partial(run.say, step, final),
        )

    def _save(self, phase: str, response: JSON | None = None, *, check: bool = True) -> Flow[None]:
        checkpoint = self.run.checkpoint(phase, response)
        yield Ask(partial(self.ledger.save, checkpoint))
        if check:
            self.run.check()

    def _fit(self, request: JSON) -> Flow[None]:
        """Have the history shortened where it is too large."""
        run, budget = self.run, self.run.budget
        if budget is None:
            return
        run.validate()
        told = budget.exceeded(run.history)
        if told is None:
            return
        if budget.compact is None:
            raise run.error("The history exceeds context_budget.")
        eligible = list(told["eligible_call_ids"])
        try:
            decision = yield Ask(partial(budget.compact, told))
        except WrongColour:
            raise run.error("The compact of a context_budget is async, and the runner is not.") from None
        run.check()
        try:
            shortened = budget.shortened(run.history, eligible, decision)
            fits = budget.check(shortened, run.tools, references=self.ledger is None)
        except ValueError as error:
            raise run.error(f"The compact of a context_budget gave no use: {_first_words(error)}.") from None
        if not fits:
            raise run.error("The history exceeds context_budget, also without what was dropped.")
        request["input"] = shortened

    # Requests

    def _requested(self, request: JSON) -> Flow[Any]:
        observer, started = self.options.on_diagnostic, monotonic()
        try:
            if self.stream:
                response = yield from self._streamed(request)
            else:
                response = yield Ask(partial(self.client.responses.create, **request))
        except (Exception, CancelledError) as error:
            reason: Any = "cancelled" if isinstance(error, CancelledError) else "api_failed"
            tell(observer, "responses", "request", reason, started)
            raise
        tell(observer, "responses", "request", "completed", started, usage=response.usage)
        return response

    def _streamed(self, request: JSON) -> Flow[Any]:
        from ..streaming.responses import AsyncResponseStream, ResponseStream

        raw = yield Ask(partial(self.client.responses.create, **{**request, "stream": True}))
        kind: Any = AsyncResponseStream if hasattr(raw, "__aiter__") else ResponseStream
        events = kind(raw_stream=raw)
        asks = True
        try:
            step = Next(begun(events))
            while (event := (yield step)) is not None:
                self.run.check()
                yield from self._event(event)
            yield from self._settle()
            return (yield Ask(events.get_final_response))
        except GeneratorExit:
            asks = False  # nobody performs steps any more
            raise
        finally:
            if asks:
                yield Ask(events.close)

    def _event(self, event: View) -> Flow[None]:
        done = (self.eager or self.collects) and event._data.get("type") == "response.output_item.done"
        # What is acted on is this copy: the event is the caller's.
        item = _copy(wire(event._data.get("item"))) if done else None
        if self.options.on_event is not None:
            told = event if isinstance(event, Late) else event.model_copy(deep=True)
            yield Ask(partial(self.options.on_event, told))
        self.run.check()
        if done:
            yield from self._arrived(event._data.get("output_index"), item)

    def _arrived(self, index: Any, item: Any) -> Flow[None]:
        """An item is complete before its response is."""
        run = self.run
        if self.ledger is not None:
            run.pending_items = [*(run.pending_items or ()), item]
            if len(run.pending_items) == 1 or (type(item) is dict and item.get("type") in SERVER_ITEMS):
                yield from self._save("pending", check=False)
            run.check()
        if not self.eager:
            return
        permitted = run.receive(index, item, self.early)
        if permitted and self.options.before_early_call is not None and item["type"] in _CALL_VIEWS:
            decision = yield Ask(partial(self.options.before_early_call, _viewed(item)))
            run.check()
            if decision not in ("execute", "defer"):
                raise run.error("before_early_call gives 'execute' or 'defer', and gave something else.")
            if decision == "defer":
                run.deferred, permitted = True, False
        if not permitted:
            yield from self._settle()
        elif self.ledger is None and self._independent(item):
            run.accept(index, item)
            job = yield Start(self._executed(item), self.threads)
            self.jobs.append((item, job))
            if len(self.jobs) == self.options.max_concurrent_calls:
                yield from self._settle()
        else:
            yield from self._settle()
            yield from self._dispatch(index, item)

    def _independent(self, item: JSON) -> bool:
        registered = self.tools.functions.get(item["name"]) if item["type"] == "function_call" else None
        return registered is not None and registered.independent

    # Jobs

    def _settle(self) -> Flow[None]:
        """Wait for the calls under way: their outputs, in the order of the calls. Raises the first error of them."""
        jobs, self.jobs = self.jobs, []
        if not jobs:
            return
        first: BaseException | None = yield Settle([job for _, job in jobs])
        for item, job in jobs:
            if job.error is None:
                self.run.add(item, job.value)
            else:
                first = first or job.error
        if first is not None:
            raise first

    def _settle_quietly(self) -> Flow[None]:
        try:
            yield from self._settle()
        except (Exception, CancelledError):
            return

    # Calls

    def _dispatch(self, index: int, item: JSON) -> Flow[None]:
        """Deal with the next item: answer it where it is a call."""
        run = self.run
        if not run.accept(index, item):
            return
        if self.ledger is not None:
            yield from self._save("pending")
        run.add(item, (yield from _ANSWERS[item["type"]](self, item)))
        if self.ledger is not None:
            yield from self._save("pending", check=False)
            if run.browser_failed:
                raise run.error("What the browser did has to be looked at before the run goes on.")
        run.check()

    def _approved(self, item: JSON) -> Flow[JSON]:
        approved = yield from self._approval(item)
        return {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": approved}

    def _computed(self, item: JSON) -> Flow[JSON]:
        from ...types.responses.response_computer_tool_call import ResponseComputerToolCall

        options = self.options
        output: JSON = yield Ask(
            partial(
                self.tools.computer.execute,
                ResponseComputerToolCall.of(_copy(item)),
                approve_safety_checks=options.approve_safety_checks,
                before_action=options.before_action,
                cancelled=options.cancelled,
                on_diagnostic=options.on_diagnostic,
            )
        )
        return output

    def _called(self, item: JSON) -> Flow[JSON]:
        run = self.run
        if item["name"] in run.browser_names:
            output, done = yield from self._browsed(item)
            run.browser_failed = run.browser_failed or not done
            return output
        if item["call_id"] in run.supplied:
            return run.supplied[item["call_id"]]
        return (yield from self._executed(item))

    def _browsed(self, item: JSON) -> Flow[tuple[JSON, bool]]:
        from ...types.responses.response_function_tool_call import ResponseFunctionToolCall

        told: tuple[JSON, bool] = yield Ask(
            partial(
                self.tools.browser._execute,
                ResponseFunctionToolCall.of(_copy(item)),
                skip=self.run.browser_failed,
                cancelled=self.options.cancelled,
                on_diagnostic=self.options.on_diagnostic,
            )
        )
        return told

    def _approval(self, request: JSON) -> Flow[bool]:
        from ...types.responses.response_output_item import McpApprovalRequest

        run = self.run
        run.check()
        if self.options.approve_mcp is None:
            raise run.error("An MCP server asks for an approval, and the run has no approve_mcp.")
        started = monotonic()
        approved = yield Ask(partial(self.options.approve_mcp, McpApprovalRequest.of(_copy(request))))
        if type(approved) is not bool:
            raise run.error("approve_mcp gives True or False, and gave something else.")
        run.check()
        self._diagnose("approval", "completed" if approved else "refused", started, request["id"], request["name"])
        run.check()
        return approved

    def _arguments(self, item: JSON) -> Any:
        registered = self.tools.functions.get(item["name"])
        if registered is None:
            return None
        started = monotonic()
        try:
            return registered.arguments(item)
        except Exception:
            self._diagnose("arguments", "invalid_input", started, item["call_id"], item["name"])
            raise

    def _executed(self, item: JSON) -> Flow[JSON]:
        """A function was called; its output."""
        registered = self.tools.functions[item["name"]]
        call_id, name, started = item["call_id"], item["name"], monotonic()
        try:
            result = yield from registered.made(self.run.arguments[call_id], self.options.cancelled)
        except WrongColour:
            self._diagnose("action", "driver_failed", started, call_id, name)
            raise self.run.error(
                "A function gave something to await: register it as an AsyncRegisteredFunction."
            ) from None
        except (Exception, CancelledError):
            self._diagnose("action", "driver_failed", started, call_id, name)
            raise
        finished = monotonic()
        try:
            output = function_output(result)
        except ValueError:
            self._diagnose("action", "completed", started, call_id, name)
            self._diagnose("output", "invalid_output", finished, call_id, name)
            raise
        self._diagnose("action", "completed", started, call_id, name)
        return {"type": "function_call_output", "call_id": call_id, "output": output}

    def _diagnose(self, stage: Any, reason: Any, started: float, call_id: str, member: str) -> None:
        tell(self.options.on_diagnostic, "responses", stage, reason, started, call_id=call_id, member=member)


_ANSWERS: dict[str, Callable[[Rounds, JSON], Flow[JSON]]] = {
    "mcp_approval_request": Rounds._approved,
    "computer_call": Rounds._computed,
    "function_call": Rounds._called,
}
_CALL_VIEWS = ("function_call", "computer_call")


def _viewed(item: JSON) -> View:
    from ...types.responses.response_computer_tool_call import ResponseComputerToolCall
    from ...types.responses.response_function_tool_call import ResponseFunctionToolCall

    kind: type[View] = ResponseComputerToolCall if item["type"] == "computer_call" else ResponseFunctionToolCall
    return kind.of(_copy(item))


def _failed(item: Any) -> bool:
    return (
        type(item) is dict
        and item.get("type") in SERVER_ITEMS
        and (item.get("status") not in (None, "completed") or item.get("error") is not None)
    )


def _copy(value: Any) -> Any:
    from copy import deepcopy

    return deepcopy(value)


def _first_words(error: ValueError) -> str:
    """What is wrong, without what a caller had put there."""
    return "a summary is not text" if isinstance(error, UnicodeError) else str(error)
