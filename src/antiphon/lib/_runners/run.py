"""One run: which items came, which calls were attempted, which were answered.

A round is `begin`, then `accept` for each item of the response in its order, `add` for the output of each call, and
`finish`. Nothing is executed before the whole response has passed `preflight`, unless the caller has asked for that
(`eager`): then items are accepted as they come, and compared with the completed response afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .budget import Budget
from .history import Pairs, approved_requests, native_ids, use_approval
from .items import (
    SERVER_ITEMS,
    computer_fault,
    describes_function_call,
    function_output,
    is_compaction,
    is_message,
    is_reasoning,
    same_output,
    server_fault,
    wire,
)
from .ledger import LAST_REVISION, VERSION, boundary_of, runs_at_server, without_secrets
from .request import Selection, admit, approval_rule, declared, rotated_idempotency_headers, without_omitted
from .shapes import JSON, owned, text

__all__ = ("Run", "ToolRunnerCancelledError", "ToolRunnerError", "call_id_of", "of_output")

_REPLAYED = {
    "message": (is_message, "Response has a message that cannot be sent back."),
    "reasoning": (is_reasoning, "Response has reasoning that cannot be sent back."),
    "compaction": (
        lambda item: is_compaction(item) and text(item.get("id")),
        "Response has a compaction that cannot be sent back.",
    ),
}
_LIMIT = "The run has made max_steps requests and is not complete."


class ToolRunnerError(RuntimeError):
    """A run stopped before it was complete. It tells of calls by their ids alone, never of what was in them.

    A call that was attempted may have had its effect, or a part of it, even where it is not among the completed. One
    is completed when its output was made, whatever the output says.
    """

    attempted_call_ids: tuple[str, ...]
    completed_call_ids: tuple[str, ...]

    def __init__(self, message: str, attempted_call_ids: list[str], completed_call_ids: list[str]) -> None:
        super().__init__(message)
        self.attempted_call_ids = tuple(attempted_call_ids)
        self.completed_call_ids = tuple(completed_call_ids)


class ToolRunnerCancelledError(asyncio.CancelledError):
    """The task of a run was cancelled; the ids are those of `ToolRunnerError`."""

    attempted_call_ids: tuple[str, ...]
    completed_call_ids: tuple[str, ...]

    def __init__(self, attempted_call_ids: list[str], completed_call_ids: list[str]) -> None:
        super().__init__("The run of tools was cancelled.")
        self.attempted_call_ids = tuple(attempted_call_ids)
        self.completed_call_ids = tuple(completed_call_ids)


class Run:
    """The state of one run. Raises `ValueError` for parameters a runner cannot work with."""

    def __init__(
        self,
        params: Any,
        registered: list[JSON],
        *,
        max_steps: int | None,
        cancelled: Callable[[], bool] | None,
        ledger: Any,
        overrides: frozenset[str],
        budget: Any,
        browser_names: frozenset[str],
        read_arguments: Callable[[JSON], Any],
    ) -> None:
        self.attempted: list[str] = []
        self.completed: list[str] = []
        self.last_error: ToolRunnerError | None = None
        self.cancelled = cancelled
        self.browser_names = browser_names
        self.read_arguments = read_arguments
        self.overrides = sorted(overrides)
        self.ledger = ledger
        self.revision = self.consumed = 0
        self.strict = ledger is not None or budget is not None
        request = admit(params, strict=self.strict, saved=ledger is not None, budgeted=budget is not None)
        self.max_steps = _steps(max_steps, None if ledger is None else ledger.resume_from)
        self.budget = None if budget is None else Budget(budget, browser_names)
        if budget is not None and request.get("truncation") is None:
            request["truncation"] = "disabled"
        if self.strict:
            registered = owned(without_omitted(registered))
        self.tools: list[JSON] = declared(request, registered)
        self.has_computer = any(tool["type"] == "computer" for tool in registered)
        self.at_server = runs_at_server(self.tools)
        self.selection = Selection(request.get("tool_choice"), self.tools)
        self.functions = {tool["name"]: tool for tool in self.tools if tool["type"] == "function"}
        asked = request.get("input") or []
        self.history: list[JSON] = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
        included = dict.fromkeys([*(request.get("include") or ()), "reasoning.encrypted_content"])
        self.request: JSON = {**request, "tools": self.tools, "include": list(included)}
        if not self.strict and not self.tools and "tools" not in request:
            self.request["tools"] = []
        self.seen = _known_ids(self.history)
        self.items: list[JSON] = []
        self.outputs: list[JSON] = []
        self.pending_items: list[JSON] | None = None
        self.supplied: dict[str, JSON] = {}
        self.said: list[str] = []
        self.active_step: int | None = None
        self.browser_failed = self.deferred = self.last_step = False
        if ledger is not None:
            if not text(ledger.run_id) or not ledger.run_id or not callable(ledger.save):
                raise ValueError("a ledger has a nonempty run_id and a function that saves")
            if ledger.resume_from is not None:
                self._resume(ledger.resume_from)
            self.validate()

    # Stopping

    def error(self, message: str) -> ToolRunnerError:
        """The error that ends the run here."""
        self.last_error = ToolRunnerError(message, self.attempted, self.completed)
        return self.last_error

    def check(self) -> None:
        """Raises where the caller wants the run to end."""
        if self.cancelled is not None and self.cancelled():
            raise self.error("The run of tools was cancelled.")

    # Requests

    def next_request(self, client: Any, step: int) -> JSON:
        """The parameters of the next request, under a key of its own where the caller uses such keys."""
        request: JSON = {**self.request, "input": self.history}
        if step > 0:
            headers = rotated_idempotency_headers(client, request.get("extra_headers"))
            if headers is not None:
                request["extra_headers"] = headers
        return request

    def begin(self, *, last: bool) -> None:
        """A round begins."""
        self.items, self.outputs = [], []
        self.pending_items = None
        self.supplied = {}
        self.browser_failed = self.deferred = False
        self.last_step = last
        self.arguments: dict[str, Any] = {}
        self.early: dict[int, JSON] = {}
        self.before, self.before_native = set(self.seen), native_ids(self.history)
        self.early_seen, self.early_native = set(self.before), set(self.before_native)
        self.approved = approved_requests(self.history)

    # Histories and checkpoints

    def validate(self) -> None:
        """Raises `ValueError` where the run is not between two rounds, with every call answered."""
        if not 0 <= self.consumed <= self.max_steps or not 0 <= self.revision < LAST_REVISION:
            raise ValueError("the revision or the number of requests of this run is out of its range")
        self.seen = Pairs(owned(self.history), self.tools, references=self.ledger is None).ids
        if self.attempted != self.completed or not self.seen.issuperset(self.completed):
            raise ValueError("a boundary has no call that was attempted and not answered")
        if any(not text(call_id) for call_id in self.attempted) or len(set(self.attempted)) != len(self.attempted):
            raise ValueError("the ids of the attempted calls are missing, or there twice")

    def _resume(self, checkpoint: Any) -> None:
        from .history import observed

        saved = boundary_of(
            checkpoint,
            run_id=self.ledger.run_id,
            max_steps=self.max_steps,
            tools=self.tools,
            overrides=self.overrides,
        )
        if not observed(self.history):
            raise ValueError("to go on, `input` has a nonempty message of the user: how things are now")
        fresh, self.history = self.history, saved["history"]
        self.revision, self.consumed = saved["revision"], saved["consumed_requests"]
        if type(self.consumed) is not int:
            raise ValueError("consumed_requests is a whole number")
        self.attempted, self.completed = saved["attempted_call_ids"], saved["returned_call_ids"]
        self.validate()
        self.history = [*self.history, *fresh]

    def checkpoint(self, phase: str, response: JSON | None = None) -> JSON:
        """The run as it is written down, a copy. Raises `ValueError` where it cannot be."""
        if phase == "boundary":
            self.validate()
        if self.revision >= LAST_REVISION:
            raise ValueError("a run has no more revisions than JSON has exact numbers")
        self.revision += 1
        pending = phase == "pending"
        arrived = self.items if self.pending_items is None else self.pending_items
        saved: JSON = owned(
            {
                "version": VERSION,
                "run_id": self.ledger.run_id,
                "revision": self.revision,
                "phase": phase,
                "max_steps": self.max_steps,
                "consumed_requests": self.consumed,
                "tools": without_secrets(self.tools),
                "output_override_names": self.overrides,
                "history": self.history,
                "attempted_call_ids": self.attempted,
                "returned_call_ids": self.completed,
                "pending_items": arrived if pending else [],
                "returned_outputs": self.outputs if pending else [],
                "final_response": response,
            }
        )
        final = saved["final_response"]
        if final is not None and isinstance(final.get("tools"), list):
            final["tools"] = without_secrets(final["tools"])
        return saved

    def approvals_to_renew(self) -> Iterator[tuple[JSON, JSON]]:
        """Approvals in the caller's history that no call has used yet, with their requests: they are asked again."""
        if self.consumed >= self.max_steps:
            return
        kinds = ("mcp_approval_request", "mcp_approval_response", "mcp_call")
        listed = [item for item in self.history if type(item) is dict and item.get("type") in kinds]
        if not listed:
            return
        if self.budget is not None and self.ledger is None:
            self.validate()
        elif self.ledger is None:
            Pairs(listed, self.tools)
        unused = approved_requests(listed)
        for item in listed:
            if item["type"] == "mcp_approval_response" and item.get("approve") is True:
                request = unused.get(item["approval_request_id"])
                if request is not None:
                    self._check_mcp(request)
                    yield item, request

    # Items

    def validate_item(self, item: Any, seen: set[str]) -> bool:
        """Whether an item is a call that is to be answered here. Raises where it has no place in this run."""
        kind = item.get("type") if type(item) is dict else None
        try:
            owned(item)
        except ValueError:
            raise self.error("Response has data that is not plain JSON and cannot be sent back.") from None
        if kind in SERVER_ITEMS:
            return self._server_item(kind, item, seen)
        if kind in _REPLAYED:
            whole, fault = _REPLAYED[kind]
            if kind == "message" and item.get("status") != "completed":
                raise self.error("Response has a message that is not completed.")
            if not whole(item):
                raise self.error(fault)
            return False
        if kind == "function_call":
            self._check_function(item)
        elif kind == "computer_call":
            self._check_computer(item)
        else:
            raise self.error("Response has an item that a runner does not know.")
        if item.get("status") not in (None, "completed"):
            raise self.error("Response has a tool call that is not completed.")
        self._claim(item.get("call_id"), seen)
        if kind == "function_call" and item["call_id"] not in self.arguments:
            self.arguments[item["call_id"]] = self.read_arguments(item)
        return True

    def _claim(self, call_id: Any, seen: set[str]) -> None:
        if self.last_step:
            raise self.error(_LIMIT)
        if not text(call_id) or call_id in seen:
            raise self.error(f"Each tool call needs a call_id of its own: {call_id!r:.100} is a duplicate or none.")
        seen.add(call_id)

    def _server_item(self, kind: str, item: JSON, seen: set[str]) -> bool:
        fault = server_fault(item, self.tools)
        if fault is not None:
            raise self.error(f"Response cannot be sent back: {fault}.")
        if kind in ("mcp_call", "mcp_approval_request"):
            self._check_mcp(item)
        elif "mcp" not in SERVER_ITEMS[kind] and not self.selection.takes_server_item(SERVER_ITEMS[kind]):
            raise self.error("Response has a tool that tool_choice left out.")
        if kind != "mcp_approval_request":
            return False
        self._claim(item["id"], seen)
        return True

    def _check_mcp(self, item: JSON) -> None:
        label, name = item["server_label"], item["name"]
        declaration = next(
            (tool for tool in self.tools if tool["type"] == "mcp" and tool["server_label"] == label), None
        )
        rule = None if declaration is None else approval_rule(declaration, name)
        if item["type"] == "mcp_approval_request" and rule == "never":
            raise self.error("Response asks for an approval that require_approval says it never does.")
        if item["type"] == "mcp_call" and rule == "always" and item.get("approval_request_id") is None:
            raise self.error("Response has an MCP call without the approval that require_approval says it needs.")
        allowed = None if declaration is None else declaration.get("allowed_tools")
        if isinstance(allowed, dict):
            allowed = allowed.get("tool_names", ()) if "tool_names" in allowed else None
        if allowed is not None and (not isinstance(allowed, (list, tuple)) or name not in allowed):
            raise self.error("Response has an MCP tool that allowed_tools leaves out.")
        if not self.selection.takes_mcp(label, name):
            raise self.error("Response has a tool that tool_choice left out.")

    def _check_function(self, item: JSON) -> None:
        name = item.get("name")
        declaration = self.functions.get(name) if isinstance(name, str) else None
        if declaration is None or not describes_function_call(item):
            raise self.error("Response calls a function that is not registered, or not in the API's words.")
        # A function that was loaded later is a namespace of its own.
        if item.get("namespace") not in (None, name):
            raise self.error("Response calls a function in a namespace that is not registered.")
        allowed = declaration.get("allowed_callers")
        caller = item.get("caller")
        by = "programmatic" if isinstance(caller, dict) and caller.get("type") == "program" else "direct"
        if allowed is not None and (not isinstance(allowed, (list, tuple)) or by not in allowed):
            raise self.error("Response has a function called by one that allowed_callers leaves out.")
        if name not in self.selection.functions:
            raise self.error("Response has a tool that tool_choice left out.")

    def _check_computer(self, item: JSON) -> None:
        fault = computer_fault(item)
        if not self.has_computer or item.get("status") != "completed" or fault is not None:
            raise self.error(fault or "Response has a call of a computer that is not completed or not registered.")
        if not self.selection.computer:
            raise self.error("Response has a tool that tool_choice left out.")

    def _check_native_id(self, item: Any, seen: set[str]) -> None:
        own: Any = item.get("id") if type(item) is dict else None
        if text(own):
            # An id may be empty where a host gives none.
            if own in seen:
                raise self.error("Response has the item ID of another item of this run.")
            seen.add(own)

    def receive(self, index: Any, item: JSON, early: tuple[frozenset[str], bool] | None) -> bool:
        """An item came in a stream, ahead of its response: whether it may be acted on at once."""
        if type(index) is not int or index < 0 or index in self.early:
            raise self.error("Response was streamed with the place of an item invalid or duplicated.")
        self._check_native_id(item, self.early_native)
        local = self.validate_item(item, self.early_seen)
        if index != len(self.early):
            self.deferred = True
        self.early[index] = item
        if early is not None and local:
            functions, computer = early
            kind = item["type"]
            permitted = {"function_call": item.get("name") in functions, "computer_call": computer}
            if not permitted.get(kind, False):
                self.deferred = True
        return not self.deferred

    def preflight(self, status: Any, output: list[JSON], *, streamed: bool) -> bool:
        """Look at the whole response before anything of it is done; whether it is the last one."""
        if status != "completed":
            raise self.error("Response is not completed.")
        seen, native, calls = set(self.before), set(self.before_native), False
        for item in output:
            self._check_native_id(item, native)
            calls = self.validate_item(item, seen) or calls
            if item["type"] == "mcp_call":
                try:
                    use_approval(item, self.approved)
                except ValueError as error:
                    raise self.error(f"Response cannot be sent back: {error}.") from None
        if streamed:
            if not same_output([self.early[index] for index in sorted(self.early)], output):
                raise self.error("Response differs from what was streamed of it.")
            if len(self.items) == len(output):
                return self.finish(output)
        if calls:
            return False
        for index in range(len(self.items), len(output)):
            self.accept(index, output[index])
        return self.finish(output)

    def accept(self, index: int, item: JSON) -> bool:
        """The next item is dealt with from now on; whether it is a call that is to be answered."""
        self.check()
        if index != len(self.items):
            raise self.error("Response was streamed with its items out of order.")
        local = self.validate_item(item, self.seen)
        self.items.append(item)
        if local:
            self.attempted.append(call_id_of(item))
        return local

    def add(self, item: JSON, output: JSON) -> None:
        """A call has its output."""
        self.outputs.append(output)
        self.completed.append(call_id_of(item))

    def finish(self, output: list[JSON]) -> bool:
        """The round is over: its items and outputs become history. Whether the response was the last one."""
        self.check()
        if not same_output(self.items, output):
            raise self.error("Response differs from what was acted on before it was complete.")
        self.items = output
        if self.outputs:
            self._remember(output)
            return False
        if not any(map(_answers, output)):
            raise self.error("Response has neither a final message nor a tool call.")
        return True

    def _remember(self, output: list[JSON]) -> None:
        last = self.history[-1:]
        if self.budget is not None and self.ledger is None and last and last[0].get("type") == "compaction_trigger":
            del self.history[-1]  # what it asked for is in the response
        self.history += [*owned(output), *self.outputs]

    # Turns

    def supply(self, step: int, eligible: frozenset[str], closed: bool, outputs: Any) -> None:
        """Outputs from the caller, in the place of those of functions."""
        if self.active_step != step or (closed and not eligible):
            raise ValueError("this turn cannot accept outputs any more")
        if type(outputs) is not list:
            raise ValueError("outputs are given as a list")
        supplied: dict[str, JSON] = {}
        for output in outputs:
            if (
                type(output) is not dict
                or any(type(key) is not str for key in output)
                or output.keys() != {"type", "call_id", "output"}
                or output["type"] != "function_call_output"
                or not text(output["call_id"])
            ):
                raise ValueError("an output is a dict of type 'function_call_output', call_id and output")
            call_id = output["call_id"]
            if call_id not in eligible or call_id in supplied:
                raise ValueError(
                    "an output was given twice, or for a call that is unknown or not permitted to have one"
                )
            supplied[call_id] = {
                "type": "function_call_output",
                "call_id": call_id,
                "output": function_output(output["output"]),
            }
        self.supplied = supplied

    def say(self, step: int, final: bool, words: Any) -> None:
        """Text of the user's that follows the outputs of this turn."""
        if self.active_step != step or final or type(words) is not str or not words.strip():
            raise ValueError("user text is not empty, and is added to a turn that is under way and not final")
        self.said.append(words)

    def append_said(self) -> bool:
        """Put what the user said into the history; whether there was something."""
        said, self.said = self.said, []
        self.history.extend({"role": "user", "content": words} for words in said)
        return bool(said)


def call_id_of(item: JSON) -> str:
    """What an output refers to its call by."""
    call_id: str = item["id"] if item["type"] == "mcp_approval_request" else item["call_id"]
    return call_id


def _answers(item: JSON) -> bool:
    kind = item["type"]
    return (kind == "message" and item.get("phase") != "commentary") or kind in SERVER_ITEMS


def _steps(max_steps: Any, saved: Any) -> int:
    if max_steps is None:
        max_steps = saved.get("max_steps") if type(saved) is dict else 20
    if type(max_steps) is not int or not 1 <= max_steps <= LAST_REVISION:
        raise ValueError(f"max_steps is a whole number of at least 1, not {max_steps!r}")
    return max_steps


def _known_ids(history: list[Any]) -> set[str]:
    known: set[str] = set()
    for item in history:
        if not isinstance(item, Mapping):
            continue
        if text(item.get("call_id")):
            known.add(item["call_id"])
        elif item.get("type") == "mcp_approval_request" and text(item.get("id")):
            known.add(item["id"])
    return known


def of_output(output: Any) -> list[JSON]:
    """The items of a response as they are sent back."""
    return [wire(item) for item in output] if type(output) is list else []
