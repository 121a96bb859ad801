"""One call of a browser's function, as a flow: what is asked, approved, done, looked at and told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ...kernel.view import View
from .._runners.items import wire
from .._toolset import Cancelled, Watch, is_async, is_awaitable
from .errors import BrowserCancelledError, BrowserError
from .members import MEMBERS, PREFIX, arguments_of, declaration
from .reports import is_done, result_of, state_of

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from .._runners.shapes import JSON
    from ..tool_diagnostics import Reason, ToolDiagnosticObserver
    from .types import BrowserObservationV1, BrowserState

    Told = tuple[JSON, bool]
    """An output, and whether it says that all went well."""

__all__ = ("Dispatch", "Offer", "offer_of")

NAVIGATES = ("navigate", "new_tab")
_PICTURES = ("screenshot", "zoom")
_UNAVAILABLE = "Browser tool is unavailable or incomplete."
_FAILED = "Browser action failed."


class Offer(NamedTuple):
    """What of a driver a model may use."""

    names: frozenset[str]
    """Functions, by the names the model has for them."""
    handlers: dict[str, Callable[..., Any]]
    confirmed: frozenset[str]
    """Reads that are to be confirmed."""
    chosen: bool
    """Whether the caller has said which members there are."""

    def tools(self) -> list[Any]:
        return [declaration(name) for name in MEMBERS if PREFIX + name in self.names]


def offer_of(
    driver: object,
    members: object,
    additional: object,
    reads: Sequence[str] | None,
    *,
    asynchronous: bool,
    confirms: bool,
    steers: bool,
) -> Offer:
    """What a toolset offers. Raises `ValueError` for what the driver or the caller has not provided."""
    if members is not None and additional is not None:
        raise ValueError("give either members or additional_members, not both: one replaces what the other adds to")
    selected, added = _selection(members), _selection(additional)
    required = added if selected is None else selected
    offered = required or frozenset()
    wanted = [name for name in MEMBERS if name in offered or (selected is None and not MEMBERS[name].asked_for)]
    _check_colour(inspect.getattr_static(driver, "state", None), "state", asynchronous)
    handlers: dict[str, Callable[..., Any]] = {}
    for name in wanted:
        if name == "list_tabs":
            continue
        method = getattr(driver, name, None)
        if callable(method):
            _check_colour(method, name, asynchronous)
            handlers[PREFIX + name] = method
        elif name in offered:
            raise ValueError(f"the member {name!r} was chosen, and is not implemented by the driver")
    lists = [PREFIX + "list_tabs"] if "list_tabs" in wanted else []
    names = frozenset[str]([*handlers, *lists])
    confirmed = _confirmed_reads(reads, names)
    if not confirms and (confirmed or any(not MEMBERS[name.removeprefix(PREFIX)].reads for name in handlers)):
        raise ValueError("members that change something, and reads to be confirmed, require confirm")
    if not steers and any(PREFIX + name in names for name in NAVIGATES):
        raise ValueError("members that lead elsewhere require url_policy")
    return Offer(names, handlers, confirmed, selected is not None)


def _selection(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    chosen = list(value) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else [None]
    if not all(isinstance(name, str) and name in MEMBERS for name in chosen) or len(set(chosen)) != len(chosen):
        raise ValueError("members are a sequence of unique fixed names: see BROWSER_MEMBERS")
    return frozenset(name for name in chosen if isinstance(name, str))


def _confirmed_reads(reads: Sequence[str] | None, names: frozenset[str]) -> frozenset[str]:
    chosen = tuple(reads or ())
    if (
        isinstance(reads, (str, bytes))
        or len(set(chosen)) != len(chosen)
        or not all(name in MEMBERS and MEMBERS[name].reads and PREFIX + name in names for name in chosen)
    ):
        raise ValueError("confirm_reads are members that read and that are offered, each once")
    return frozenset(chosen)


def _check_colour(method: Any, name: str, asynchronous: bool) -> None:
    if isinstance(method, (classmethod, staticmethod)):
        method = method.__func__
    # Whether a property gives one or the other cannot be known without asking it.
    found = is_async(method) if callable(method) else None
    if found is not None and found is not asynchronous:
        correct = "AsyncBrowserToolset" if found else "BrowserToolset"
        raise ValueError(f"{name!r} of the driver is {'a' if found else 'no'} coroutine function: use {correct}")


class Dispatch:
    """One call under way."""

    def __init__(
        self,
        toolset: Any,
        offer: Offer,
        call: Any,
        cancelled: Cancelled | None,
        observer: ToolDiagnosticObserver | None,
    ) -> None:
        self.toolset = toolset
        self.offer = offer
        data: Any = call._data if isinstance(call, View) else call
        self.call: JSON = deepcopy(data)
        self.call_id: Any = self.call.get("call_id")
        self.name: Any = self.call.get("name")
        self.member = str(self.name).removeprefix(PREFIX)
        self.watch = Watch("browser", self.call_id, cancelled, observer, BrowserCancelledError)

    def flow(self, *, skip: bool) -> Flow[Told]:
        """The output of the call; with `skip`, one that says it was not carried out."""
        self.watch.check()
        self._admit()
        if self.name not in self.offer.names or self.call.get("status") not in (None, "completed"):
            self.watch.tell("arguments", "invalid_input", monotonic())
            return self._output(None, error=_UNAVAILABLE)
        if self.member in self.offer.confirmed and (skip or not (yield from self._may_read())):
            return self._not_read()
        confirm, steer, read_state = self._policy(skip)
        state = yield from self._state(read_state)
        if skip:
            return self._output(state, error="Not executed: an action before this one failed.")
        result, error = yield from self._acted(state, confirm, steer)
        self.watch.check()
        state = yield from self._state(read_state, state.get("observation"))
        return self._output(state, result, error)

    def _admit(self) -> None:
        from orjson import dumps

        known = str(self.name).startswith(PREFIX) and self.member in MEMBERS
        if known and self.name not in self.offer.names and (self.offer.chosen or MEMBERS[self.member].asked_for):
            raise BrowserError(f"The browser's function {self.name} is disabled.")
        if not isinstance(self.call_id, str):
            raise RuntimeError("a call of a browser needs a call_id")
        dumps(wire(self.call))  # it is sent back, so it has to be JSON
        if self.call.get("type") != "function_call":
            self.name = None

    def _policy(self, skip: bool) -> tuple[Any, Any, Any]:
        """Whom to ask, found before anything is done."""
        try:
            changes = not skip and not MEMBERS[self.member].reads
            confirm = self.toolset.confirm if changes else None
            steer = self.toolset.url_policy if not skip and self.member in NAVIGATES else None
        except Exception:
            raise RuntimeError("Browser policy lookup failed: confirm or url_policy cannot be had") from None
        try:
            return confirm, steer, self.toolset.driver.state
        except Exception:
            raise RuntimeError("Browser state report failed: there is none") from None

    def _state(self, read: Any, before: BrowserObservationV1 | None = None) -> Flow[BrowserState]:
        try:
            reported = yield from self.watch.ask(read)
            self._done(reported, "state")
            self.watch.check()
            state = state_of(reported, before)
        except Exception:
            self.watch.check()
            # What went wrong may quote what is private.
            raise RuntimeError("Browser state report failed: it is not as it should be") from None
        self.watch.check()
        return state

    def _done(self, result: Any, member: str) -> None:
        if is_awaitable(result):
            raise RuntimeError(f"Browser member {member!r} gave something to await; use AsyncBrowserToolset")

    def _may_read(self) -> Flow[bool]:
        """Whether the caller lets this be read, before the state is."""
        watch, since = self.watch, monotonic()
        try:
            context = {
                "member": self.member,
                "arguments": arguments_of(self.member, self.call.get("arguments")),
                "state": None,
                "call_id": self.call_id,
                "phase": "before_read",
            }
            confirm = self.toolset.confirm
            approved: Any = False
            if confirm is not None:
                approved = yield from watch.ask(confirm, context)
                is_awaitable(approved)
        except Exception:
            stopped = watch.stopped()
            watch.tell("approval", "cancelled" if stopped else "policy_failed", since, self.member)
            if stopped:
                raise watch.stop() from None
            return False
        if watch.stopped():
            watch.tell("approval", "cancelled", since, self.member)
            raise watch.stop()
        watch.tell("approval", "completed" if approved is True else "refused", since, self.member)
        return approved is True

    def _acted(self, state: BrowserState, confirm: Any, steer: Any) -> Flow[tuple[Any, str | None]]:
        """What the action gives, or what the model is told of its failure."""
        watch, member, since = self.watch, self.member, monotonic()
        stage: Literal["arguments", "approval", "action"] = "arguments"
        result: Any = None
        try:
            arguments = arguments_of(member, self.call.get("arguments"))
            stage, since = "approval", monotonic()
            yield from self._approved(state, arguments, confirm, steer)
            if not MEMBERS[member].reads:
                watch.tell("approval", "completed", since, member)
            stage, since = "action", monotonic()
            if member != "list_tabs":
                result = yield from watch.ask(self.offer.handlers[self.name], arguments)
                self._done(result, member)
        except BrowserCancelledError:
            watch.tell(stage, "cancelled", since, member)
            raise
        except Exception as error:
            told = isinstance(error, BrowserError)
            failures: dict[str, Reason] = {
                "arguments": "invalid_input",
                "approval": "refused" if told else "policy_failed",
                "action": "driver_failed",
            }
            watch.tell(stage, failures[stage], since, member)
            return None, str(error) if told else _FAILED
        return self._looked_at(result, since), None

    def _looked_at(self, result: Any, since: float) -> Any:
        watch = self.watch
        try:
            looked_at = result_of(self.member, result)
        finally:
            if watch.stopped():
                watch.tell("action", "cancelled", since, self.member)
                raise watch.stop()
        watch.tell("action", "completed", since, self.member)
        return looked_at

    def _approved(self, state: BrowserState, arguments: JSON, confirm: Any, steer: Any) -> Flow[None]:
        """Raises `BrowserError` unless everybody who is to be asked gives `True` and nothing else."""
        context = {"member": self.member, "arguments": arguments, "state": state, "call_id": self.call_id}
        url = arguments.get("url")
        if self.member in NAVIGATES and isinstance(url, str):
            yield from self._agreed(steer, "Browser navigation was not approved.", context, url)
        if not MEMBERS[self.member].reads:
            refusal = "Browser action was not approved. Do not retry it unless the user asks."
            yield from self._agreed(confirm, refusal, context)
        self.watch.check()

    def _agreed(self, function: Any, refusal: str, context: JSON, *args: Any) -> Flow[None]:
        approved: Any = None
        if function is not None:
            approved = yield from self.watch.ask(function, deepcopy(context), *args)
            is_awaitable(approved)
        if approved is not True:
            raise BrowserError(refusal)
        self.watch.check()

    # Outputs

    def _output(self, state: BrowserState | None, result: Any = None, error: str | None = None) -> Told:
        from json import dumps

        done = error is None and is_done(self.member, result)
        told: JSON = {"ok": done}
        pictures: list[Any] = []
        if state is not None:
            told["state"] = state
        if error is not None:
            told["error"] = error
        elif self.member in _PICTURES:
            pictures.append(result)
        else:
            told["result"] = result
        content = [{"type": "input_text", "text": dumps(told)}, *pictures]
        return {"type": "function_call_output", "call_id": self.call_id, "output": content}, done

    def _not_read(self) -> Told:
        return self._output(None, error="Browser read was not approved.")
