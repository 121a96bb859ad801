"""The computer tool of the Responses API, carried out by a driver of the caller's: a browser, a desktop.

    toolset = ComputerToolset(driver)
    response = toolset.run(client, {"model": "computer-use-preview", "input": "Book the flight"}, max_steps=30)

`run` asks, carries out, shows the screen, and asks again until the model is done; `execute` carries out one call, for
a loop of one's own. Nothing is done before the whole call has been looked at. Checks of safety stop a run unless
`approve_safety_checks` approves them, and `before_action` has the last word on each action.

https://platform.openai.com/docs/guides/tools-computer-use
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from copy import deepcopy
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..kernel.flow import Flow, World, arun, run
from ..kernel.view import View, plain
from ._runners.items import computer_fault, is_compaction, is_message, is_reasoning, wire
from ._runners.request import rotated_idempotency_headers
from ._runners.shapes import JSON, filled, text
from ._toolset import Cancelled, CloseStatus, Gate, Invoke, Watch, is_async, is_awaitable

if TYPE_CHECKING:
    from ..client.client import AsyncOpenAI, OpenAI
    from ..types.responses import Response, ResponseComputerToolCall
    from ..types.responses import computer_action as modern
    from ..types.responses import response_computer_tool_call as legacy
    from ..types.responses.response_computer_tool_call_output_screenshot_param import (
        ResponseComputerToolCallOutputScreenshotParam,
    )
    from ..types.responses.response_create_params import ResponseCreateParamsNonStreaming
    from ..types.responses.response_input_param import ComputerCallOutput
    from .tool_diagnostics import ToolDiagnosticObserver

    ComputerActionInput: TypeAlias = legacy.Action | modern.ComputerAction
    Screenshot: TypeAlias = ResponseComputerToolCallOutputScreenshotParam
else:
    ComputerActionInput = Screenshot = object

__all__ = (
    "AsyncComputerDriver",
    "AsyncComputerToolset",
    "ComputerActionInput",
    "ComputerDriver",
    "ComputerToolset",
    "ComputerUseError",
    "Screenshot",
)

ACTIONS = ("click", "double_click", "drag", "keypress", "move", "screenshot", "scroll", "type", "wait")
_TOOLS = ("computer", "computer_use_preview")
_OWN = frozenset("stream background conversation previous_response_id tools input include tool_choice".split())
"""Parameters a run sets itself, which `extra_body` therefore cannot."""
_OPTIONS = ("extra_headers", "extra_query", "extra_body", "timeout")
_FORCED = frozenset(("computer", "computer_use_preview", "computer_use"))


class ComputerDriver(Protocol):
    """What carries actions out, in pixels of the screen. A method raises where it cannot do what it is asked to.

    Permissions, bounds, waits and cleaning up are the driver's. An approval is of an action, not of a screen that
    stands still: where it is to hold for one target alone, the driver looks whether that is still there.
    """

    @abstractmethod
    def click(self, action: modern.Click | legacy.ActionClick) -> None: ...
    @abstractmethod
    def double_click(self, action: modern.DoubleClick | legacy.ActionDoubleClick) -> None: ...
    @abstractmethod
    def drag(self, action: modern.Drag | legacy.ActionDrag) -> None: ...
    @abstractmethod
    def keypress(self, action: modern.Keypress | legacy.ActionKeypress) -> None: ...
    @abstractmethod
    def move(self, action: modern.Move | legacy.ActionMove) -> None: ...
    @abstractmethod
    def scroll(self, action: modern.Scroll | legacy.ActionScroll) -> None: ...
    @abstractmethod
    def type(self, action: modern.Type | legacy.ActionType) -> None: ...
    @abstractmethod
    def wait(self, action: modern.Wait | legacy.ActionWait) -> None: ...
    @abstractmethod
    def screenshot(self) -> Screenshot:
        """The screen: `{"type": "computer_screenshot"}` with an `image_url` (it may hold data) or a `file_id`."""
        ...


class AsyncComputerDriver(Protocol):
    """`ComputerDriver` whose methods are coroutine functions."""

    @abstractmethod
    async def click(self, action: modern.Click | legacy.ActionClick) -> None: ...
    @abstractmethod
    async def double_click(self, action: modern.DoubleClick | legacy.ActionDoubleClick) -> None: ...
    @abstractmethod
    async def drag(self, action: modern.Drag | legacy.ActionDrag) -> None: ...
    @abstractmethod
    async def keypress(self, action: modern.Keypress | legacy.ActionKeypress) -> None: ...
    @abstractmethod
    async def move(self, action: modern.Move | legacy.ActionMove) -> None: ...
    @abstractmethod
    async def scroll(self, action: modern.Scroll | legacy.ActionScroll) -> None: ...
    @abstractmethod
    async def type(self, action: modern.Type | legacy.ActionType) -> None: ...
    @abstractmethod
    async def wait(self, action: modern.Wait | legacy.ActionWait) -> None: ...
    @abstractmethod
    async def screenshot(self) -> Screenshot: ...


class ComputerUseError(RuntimeError):
    """A run, or a call, that ended before it was done. `response` is the last response, where there is one."""

    def __init__(self, message: str, response: Response | None = None) -> None:
        super().__init__(message)
        self.response = response


# One call

_UNFINISHED = "a call that the model has not completed cannot be carried out"


class _Policy:
    """Who is asked, and told, along the way."""

    __slots__ = ("approve", "before", "cancelled", "observer")

    def __init__(self, approve: Any, before: Any, cancelled: Cancelled | None, observer: Any) -> None:
        self.approve, self.before, self.cancelled, self.observer = approve, before, cancelled, observer


def _cancelled(response: Response | None = None) -> ComputerUseError:
    return ComputerUseError("this was cancelled before it was done", response)


def _owned(call: Any) -> JSON:
    """The JSON of a call, which nobody else can change."""
    if isinstance(call, View):
        call = call._data
    if not isinstance(call, dict):
        raise ComputerUseError("Invalid computer call: it is a ResponseComputerToolCall, or its JSON")
    return deepcopy(call)


def _sendable(items: list[JSON]) -> list[JSON]:
    """Items as they are sent back. Raises `TypeError` for what an application has put there and JSON has not."""
    from orjson import dumps, loads

    sent: list[JSON] = loads(dumps([wire(item) for item in items]))
    return sent


def _carried_out(handlers: dict[str, Any], call: JSON, policy: _Policy) -> Flow[ComputerCallOutput]:
    from ..types.responses import ResponseComputerToolCall

    if call.get("type") != "computer_call" or call.get("status") != "completed":
        raise ComputerUseError(_UNFINISHED)
    fault = computer_fault(call)
    if fault is not None:
        raise ComputerUseError(fault)
    _sendable([call])
    watch = Watch("computer", call["call_id"], policy.cancelled, policy.observer, _cancelled)
    watch.check()
    view = ResponseComputerToolCall.of(call)
    if call.get("pending_safety_checks"):
        yield from _approved(watch, policy.approve, view, None, "the call's safety checks were not approved")
    actions: list[Any] = list(view.actions if view.actions is not None else [view.action])
    for action in actions:
        yield from _done(watch, handlers, action, policy)
    if actions[-1].type != "screenshot":
        from ..types.responses.computer_action import Screenshot as ToScreenshot

        yield from _done(watch, handlers, ToScreenshot(type="screenshot"), policy)
    shown = yield from _acted(watch, "screenshot", handlers["screenshot"], read=_screen)
    watch.check()
    checks = call.get("pending_safety_checks") or ()
    return {
        "type": "computer_call_output",
        "call_id": call["call_id"],
        "output": shown,
        "acknowledged_safety_checks": [
            {"id": check["id"], "code": check.get("code"), "message": check.get("message")} for check in checks
        ],
    }


def _done(watch: Watch, handlers: dict[str, Any], action: Any, policy: _Policy) -> Flow[None]:
    """One action. The screen is shown once, when all are done."""
    watch.check()
    if policy.before is not None:
        yield from _approved(watch, policy.before, action, action.type, f"the action {action.type!r} was not approved")
    watch.check()
    if action.type != "screenshot":
        yield from _acted(watch, action.type, handlers[action.type], deepcopy(action))


def _approved(watch: Watch, ask: Any, subject: Any, member: str | None, refusal: str) -> Flow[None]:
    """Raises unless the caller's function gives `True` and nothing else."""
    since = monotonic()
    approved: Any = None
    try:
        if ask is not None:
            approved = yield from watch.ask(ask, deepcopy(subject))
        watch.check()
    except Exception:
        if not watch.stopped():
            raise
        watch.tell("approval", "cancelled", since, member)
        raise watch.stop() from None
    if approved is not True:
        is_awaitable(approved)
        watch.tell("approval", "refused", since, member)
        raise ComputerUseError(refusal)
    watch.tell("approval", "completed", since, member)


def _acted(watch: Watch, member: str, method: Any, *args: Any, read: Callable[[Any], Any] | None = None) -> Flow[Any]:
    """What a method of the driver gives."""
    since = monotonic()
    try:
        given = yield from watch.ask(method, *args)
        if is_awaitable(given):
            raise ComputerUseError("The driver gave something to await; use AsyncComputerToolset")
        result = given if read is None else read(given)
        watch.check()
    except Exception:
        stopped = watch.stopped()
        watch.tell("action", "cancelled" if stopped else "driver_failed", since, member)
        if stopped:
            raise watch.stop() from None
        raise
    watch.tell("action", "completed", since, member)
    return result


def _screen(given: Any) -> Screenshot:
    """A copy of what the driver shows, as the API takes it."""
    shown: Any = given if isinstance(given, dict) else {}
    places = {name: shown.get(name) for name in ("image_url", "file_id") if shown.get(name) is not None}
    if shown.get("type") != "computer_screenshot" or not places or not all(filled(place) for place in places.values()):
        raise ComputerUseError("The driver has to show {'type': 'computer_screenshot'} with an image_url or a file_id")
    return {"type": "computer_screenshot", **places}  # type: ignore[typeddict-item]


# A run


def _listed(value: Any) -> Any:
    """A copy of JSON in which whatever can be iterated once is a list."""
    value = plain(value)
    if isinstance(value, Mapping):
        return {name: _listed(member) for name, member in value.items()}
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return deepcopy(value)
    return [_listed(member) for member in value]


def _begun(params: Mapping[str, Any], max_steps: Any) -> JSON:
    """A copy of the parameters, as a run asks with them."""
    if type(max_steps) is not int or max_steps < 1:
        raise ValueError(f"max_steps must be a positive integer; it was {max_steps!r}")
    request: JSON = {name: value if name in _OPTIONS else _listed(value) for name, value in params.items()}
    extra = request.get("extra_body")
    if isinstance(extra, Mapping) and _OWN.intersection(extra):
        raise ValueError(f"extra_body cannot set {sorted(_OWN.intersection(extra))}, which the run does")
    if request.get("stream") or request.get("background"):
        raise ValueError("a ComputerToolset asks for responses that are not streamed, and waits for them")
    if request.get("previous_response_id") or request.get("conversation"):
        raise ValueError(
            "a ComputerToolset sends the whole history as `input`; previous_response_id and conversation cannot be used"
        )
    tools = request.get("tools", [{"type": "computer"}])
    if not isinstance(tools, list) or len(tools) != 1 or tools[0].get("type") not in _TOOLS:
        raise ValueError("a ComputerToolset works with exactly one computer tool")
    asked = request.get("input", [])
    if not isinstance(asked, (str, list)):
        raise TypeError(f"the input of a run is text or a list of items, not {type(asked).__name__}")
    included = dict.fromkeys([*(request.get("include") or ()), "reasoning.encrypted_content"])
    return {
        **request,
        "tools": tools,
        "stream": False,
        "input": [{"role": "user", "content": asked}] if isinstance(asked, str) else asked,
        # With it the history can be sent again where responses are not stored.
        "include": list(included),
    }


class _Known:
    """The ids of a history, none of which comes twice."""

    def __init__(self, history: list[Any]) -> None:
        items = [item for item in history if isinstance(item, dict)]
        self.items = {item["id"] for item in items if text(item.get("id")) and item["id"]}
        self.calls = {item["call_id"] for item in items if text(item.get("call_id"))}

    def add(self, item: JSON) -> str | None:
        """Take an item in; what is wrong where it was there before."""
        if item["type"] == "computer_call":
            if item["call_id"] in self.calls:
                return f"the call {item['call_id']!r} of the computer comes twice"
            self.calls.add(item["call_id"])
        if item["id"] in self.items:
            return f"the item {item['id']!r} comes twice"
        self.items.add(item["id"])
        return None


def _fault(item: JSON) -> str | None:
    """What keeps an item from being replayed, or a call from being carried out."""
    kind = item.get("type")
    if kind == "computer_call":
        return computer_fault(item) if item.get("status") == "completed" else _UNFINISHED
    if kind not in _REPLAYED:
        return f"the response has an item of type {kind!r}, which no ComputerToolset can answer"
    return None if _REPLAYED[kind](item) else f"the response has a {kind} unlike the API's: it cannot be sent again"


_REPLAYED: dict[Any, Callable[[Any], bool]] = {
    "message": is_message,
    "reasoning": is_reasoning,
    "compaction": lambda item: text(item.get("id")) and is_compaction(item),
}


def _calls(response: Response, known: _Known, *, last: bool) -> list[JSON]:
    """The calls of a response, all of which can be carried out. Raises for whatever else it asks for."""
    if response.status != "completed":
        raise ComputerUseError(f"the response is {response.status}, not completed", response)
    items: list[JSON] = response["output"]
    for item in items:
        fault = _fault(item) or known.add(item)
        if fault is not None:
            raise ComputerUseError(fault, response)
    # No id at all is no id twice, in one response after another.
    known.items.discard("")
    calls = [item for item in items if item["type"] == "computer_call"]
    if calls and last:
        raise ComputerUseError("the model wants to go on, but max_steps is used up", response)
    if not calls and not any(_is_final(item) for item in items):
        raise ComputerUseError("the response neither calls the computer nor ends with a message", response)
    return calls


def _is_final(item: JSON) -> bool:
    return item["type"] == "message" and item.get("status") == "completed" and item.get("phase") != "commentary"


def _relax(request: JSON) -> None:
    """A tool that had to be used has been: from now on the model may end."""
    choice: Any = request.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else None
    if choice == "required" or kind in _FORCED:
        request["tool_choice"] = "auto"
    elif kind == "allowed_tools" and choice.get("mode") == "required":
        request["tool_choice"] = {**choice, "mode": "auto"}


def _rounds(handlers: dict[str, Any], client: Any, request: JSON, max_steps: int, policy: _Policy) -> Flow[Response]:
    known = _Known(request["input"])
    response: Any = None
    for step in range(max_steps):
        _check(policy, response)
        if step:
            headers = rotated_idempotency_headers(client, request.get("extra_headers"))
            if headers is not None:
                request["extra_headers"] = headers
        response = deepcopy((yield Invoke(partial(client.responses.create, **request))))
        _check(policy, response)
        calls = _calls(response, known, last=step == max_steps - 1)
        if not calls:
            break
        replayed = _sendable(response["output"])
        _relax(request)
        outputs: list[Any] = []
        for call in calls:
            try:
                outputs.append((yield from _carried_out(handlers, deepcopy(call), policy)))
            except ComputerUseError as error:
                error.response = response
                raise
        request["input"] = [*request["input"], *replayed, *outputs]
    last: Response = response
    return last


def _check(policy: _Policy, response: Response | None) -> None:
    if policy.cancelled is not None and policy.cancelled():
        raise _cancelled(response)


def _handlers(driver: object, *, asynchronous: bool) -> dict[str, Callable[..., Any]]:
    """The driver's methods by action, found once. Raises `ValueError` where one is missing, or of the other colour."""
    handlers: dict[str, Callable[..., Any]] = {}
    for member in ACTIONS:
        method = getattr(driver, member, None)
        if not callable(method):
            raise ValueError(f"a ComputerToolset needs a driver with callable methods; {member!r} is none")
        found = is_async(method)
        if found is not None and found is not asynchronous:
            correct = "AsyncComputerToolset" if found else "ComputerToolset"
            raise ValueError(f"{member!r} of the driver is {'a' if found else 'no'} coroutine function: use {correct}")
        handlers[member] = method
    return handlers


class _Toolset:
    driver: Any

    def __init__(self, driver: Any, *, asynchronous: bool) -> None:
        self.driver = driver
        self._handlers = _handlers(driver, asynchronous=asynchronous)
        self._gate = Gate("Computer toolset")

    def close(self) -> CloseStatus:
        """Let no more calls in. The driver stays open: it is the caller's, to be closed when this says `closed`."""
        return self._gate.close()


class ComputerToolset(_Toolset):
    """Carries out what the model does with a computer, one call at a time. Nothing is opened or closed here.

    Raises `ValueError` where the driver lacks a method, or has one that is a coroutine function.
    """

    driver: ComputerDriver

    def __init__(self, driver: ComputerDriver) -> None:
        super().__init__(driver, asynchronous=False)

    def run(
        self,
        client: OpenAI,
        params: ResponseCreateParamsNonStreaming,
        *,
        max_steps: int = 20,
        approve_safety_checks: Callable[[ResponseComputerToolCall], bool] | None = None,
        before_action: Callable[[ComputerActionInput], bool] | None = None,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> Response:
        """Ask, carry out, show the screen, until the model is done; its last response.

        `max_steps` is how many responses may be asked for. `approve_safety_checks` is asked where the API has
        doubts about a call, `before_action` before every action and before the screen is shown; both approve with
        `True` alone. `cancelled` is looked at between all of these: a driver bounds its own waits.

        Raises `ValueError` for parameters a run cannot work with, `ComputerUseError` where it ends before it is
        done, and whatever the driver or the client raises.
        """
        with self._gate.entered():
            policy = _Policy(approve_safety_checks, before_action, cancelled, on_diagnostic)
            flow = _rounds(self._handlers, client, _begun(params, max_steps), max_steps, policy)
            return run(flow, World())

    def execute(
        self,
        call: ResponseComputerToolCall,
        *,
        approve_safety_checks: Callable[[ResponseComputerToolCall], bool] | None = None,
        before_action: Callable[[ComputerActionInput], bool] | None = None,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> ComputerCallOutput:
        """Carry out one call, and show the screen after it: the item to send back.

        Raises `ComputerUseError` for a call that is not as it should be or is not approved.
        """
        with self._gate.entered():
            policy = _Policy(approve_safety_checks, before_action, cancelled, on_diagnostic)
            return run(_carried_out(self._handlers, _owned(call), policy), World())


class AsyncComputerToolset(_Toolset):
    """`ComputerToolset` over a driver of coroutine functions; whoever approves is one, too."""

    driver: AsyncComputerDriver

    def __init__(self, driver: AsyncComputerDriver) -> None:
        super().__init__(driver, asynchronous=True)

    async def run(
        self,
        client: AsyncOpenAI,
        params: ResponseCreateParamsNonStreaming,
        *,
        max_steps: int = 20,
        approve_safety_checks: Callable[[ResponseComputerToolCall], Awaitable[bool]] | None = None,
        before_action: Callable[[ComputerActionInput], Awaitable[bool]] | None = None,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> Response:
        """See `ComputerToolset.run`."""
        with self._gate.entered():
            policy = _Policy(approve_safety_checks, before_action, cancelled, on_diagnostic)
            flow = _rounds(self._handlers, client, _begun(params, max_steps), max_steps, policy)
            return await arun(flow, World())

    async def execute(
        self,
        call: ResponseComputerToolCall,
        *,
        approve_safety_checks: Callable[[ResponseComputerToolCall], Awaitable[bool]] | None = None,
        before_action: Callable[[ComputerActionInput], Awaitable[bool]] | None = None,
        cancelled: Cancelled | None = None,
        on_diagnostic: ToolDiagnosticObserver | None = None,
    ) -> ComputerCallOutput:
        """See `ComputerToolset.execute`."""
        with self._gate.entered():
            policy = _Policy(approve_safety_checks, before_action, cancelled, on_diagnostic)
            return await arun(_carried_out(self._handlers, _owned(call), policy), World())
