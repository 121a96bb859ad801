"""The computer tool: what is sent, done, approved and told, beside the official toolset and by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import openai.lib.computer
import pytest

import antiphon
from antiphon import AsyncComputerToolset, AsyncOpenAI, ComputerToolset, OpenAI
from antiphon.kernel.http import Request, Response, json_response
from antiphon.lib import computer
from antiphon.lib.computer import ComputerUseError
from antiphon.transports.httpx2 import HandlerTransport
from antiphon.types.responses import ResponseComputerToolCall

SCREEN = {"type": "computer_screenshot", "image_url": "data:image/png;base64,cG5n"}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Done", "annotations": []}],
}
CLICK = {"type": "click", "x": 1, "y": 2, "button": "left"}
ACTIONS: list[dict[str, Any]] = [
    CLICK,
    {"type": "double_click", "x": 1, "y": 2},
    {"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]},
    {"type": "keypress", "keys": ["CTRL", "A"]},
    {"type": "move", "x": 1, "y": 2},
    {"type": "scroll", "x": 1, "y": 2, "scroll_x": 0, "scroll_y": -5},
    {"type": "type", "text": "héllo"},
    {"type": "wait"},
]


def call(number: int = 1, **fields: Any) -> dict[str, Any]:
    made = {"type": "computer_call", "id": f"cu_{number}", "call_id": f"call_{number}", "status": "completed"}
    return {**made, **({} if "action" in fields else {"actions": [CLICK]}), **fields}


def checked(number: int = 1, **fields: Any) -> dict[str, Any]:
    check = {"id": "check", "code": "malicious", "message": None}
    return call(number, pending_safety_checks=[check], **fields)


def answer(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": "m",
        "output": list(output),
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        **fields,
    }


class Driver:
    """A driver that writes down what it is asked to do."""

    def __init__(self, show: Any = SCREEN, fails: str = "") -> None:
        self.done: list[Any] = []
        self.show, self.fails = show, fails

    def act(self, action: Any) -> None:
        self.done.append(action.to_dict())
        if action.type == self.fails:
            raise OSError("the screen is gone")

    click = double_click = drag = keypress = move = scroll = type = wait = act

    def screenshot(self) -> Any:
        self.done.append("screenshot")
        return self.show


class AsyncDriver:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    async def act(self, action: Any) -> None:
        self.driver.act(action)

    click = double_click = drag = keypress = move = scroll = type = wait = act

    async def screenshot(self) -> Any:
        return self.driver.screenshot()


class Script:
    """A server that gives answers in turn."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[Any] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(json.loads(request.content()))
        self.keys.append(request.headers.get("idempotency-key"))
        return json_response(200, self.answers.pop(0))


class Seen:
    """What came of a run: what was sent, done and told, and how it ended."""

    def __init__(self, answers: list[dict[str, Any]], driver: Driver, options: dict[str, Any]) -> None:
        self.script, self.driver, self.told = Script(answers), driver, []  # type: ignore[var-annotated]
        self.options = {**options, "on_diagnostic": self.tell}
        self.end: Any = None

    def tell(self, diagnostic: Any) -> None:
        self.told.append({name: value for name, value in diagnostic.items() if name != "duration_ms"})

    def ours(self, params: Any) -> Seen:
        toolset = ComputerToolset(self.driver)  # type: ignore[arg-type]
        self.ended(lambda: toolset.run(OpenAI(api_key="k", transport=self.script), params, **self.options))
        return self

    def ours_async(self, params: Any) -> Seen:
        toolset = AsyncComputerToolset(AsyncDriver(self.driver))  # type: ignore[arg-type]
        client = AsyncOpenAI(api_key="k", transport=self.script)
        options = {name: awaited(value) if name in ASKED else value for name, value in self.options.items()}
        self.ended(lambda: asyncio.run(toolset.run(client, params, **options)))
        return self

    def theirs(self, params: Any) -> Seen:
        toolset = openai.lib.computer.ComputerToolset(self.driver)  # type: ignore[arg-type]
        library = httpx2.Client(transport=HandlerTransport(self.script))
        client = openai.OpenAI(api_key="k", http_client=library, max_retries=0)
        self.ended(lambda: toolset.run(client, params, **self.options))
        return self

    def ended(self, run: Callable[[], Any]) -> None:
        try:
            self.end = run().output_text
        except Exception as error:
            self.end = type(error).__name__

    @property
    def all(self) -> tuple[Any, ...]:
        return self.script.asked, self.driver.done, self.told, self.end


ASKED = ("approve_safety_checks", "before_action")


def awaited(function: Any) -> Any:
    async def asked(subject: Any) -> Any:
        return function(subject)

    return asked


def yes(subject: Any) -> bool:
    return True


def unless(kind: str) -> Any:
    return lambda action: action.type != kind


PARAMS: dict[str, Any] = {"model": "m", "input": "go"}
RUNS: dict[str, tuple[list[dict[str, Any]], Callable[[], Driver], dict[str, Any], dict[str, Any]]] = {
    "one round": ([answer(call(actions=ACTIONS)), answer(MESSAGE)], Driver, {}, {}),
    "a legacy call": ([answer(call(action=CLICK, pending_safety_checks=[])), answer(MESSAGE)], Driver, {}, {}),
    "a screenshot asked for": (
        [answer(call(actions=[CLICK, {"type": "screenshot"}])), answer(MESSAGE)],
        Driver,
        {},
        {},
    ),
    "two calls and reasoning": (
        [
            answer({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}, call(1), call(2)),
            answer(call(3)),
            answer(MESSAGE),
        ],
        Driver,
        {},
        {},
    ),
    "a history and a tool that has to be used": (
        [answer(call()), answer(MESSAGE)],
        Driver,
        {
            "input": [{"role": "user", "content": "go"}],
            "tools": [{"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "mac"}],
            "tool_choice": "required",
            "include": ["message.output_text.logprobs"],
        },
        {},
    ),
    "allowed tools": (
        [answer(call()), answer(MESSAGE)],
        Driver,
        {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "computer"}]}},
        {},
    ),
    "checks approved": ([answer(checked()), answer(MESSAGE)], Driver, {}, {"approve_safety_checks": yes}),
    "checks nobody approves": ([answer(checked())], Driver, {}, {}),
    "checks refused": ([answer(checked())], Driver, {}, {"approve_safety_checks": lambda call: False}),
    "something like an approval": ([answer(checked())], Driver, {}, {"approve_safety_checks": lambda call: 1}),
    "actions approved": ([answer(call(actions=ACTIONS)), answer(MESSAGE)], Driver, {}, {"before_action": yes}),
    "an action refused": ([answer(call(actions=ACTIONS))], Driver, {}, {"before_action": unless("move")}),
    "the screen not to be shown": ([answer(call())], Driver, {}, {"before_action": unless("screenshot")}),
    "a driver that fails": ([answer(call(actions=ACTIONS))], lambda: Driver(fails="scroll"), {}, {}),
    "no picture": ([answer(call())], lambda: Driver(show={"type": "computer_screenshot"}), {}, {}),
    "a picture by its id": (
        [answer(call()), answer(MESSAGE)],
        lambda: Driver(show={"type": "computer_screenshot", "file_id": "file", "more": 1}),
        {},
        {},
    ),
    "too many steps": ([answer(call(1)), answer(call(2))], Driver, {}, {"max_steps": 2}),
    "a response that failed": ([answer(call(), status="incomplete")], Driver, {}, {}),
    "a call that is under way": ([answer(call(status="in_progress"))], Driver, {}, {}),
    "an action there is not": ([answer(call(actions=[{"type": "dance"}]))], Driver, {}, {}),
    "no actions": ([answer(call(actions=[]))], Driver, {}, {}),
    "both kinds of actions": ([answer(call(action=CLICK, actions=[CLICK], pending_safety_checks=[]))], Driver, {}, {}),
    "a place that is none": ([answer(call(actions=[{**CLICK, "x": 1.5}]))], Driver, {}, {}),
    "a call that comes again": ([answer(call()), answer(call(2, call_id="call_1"))], Driver, {}, {}),
    "an item that comes again": ([answer(call()), answer(call(1, call_id="call_2"))], Driver, {}, {}),
    "another tool": (
        [answer({"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": "{}"})],
        Driver,
        {},
        {},
    ),
    "nothing but a comment": ([answer({**MESSAGE, "phase": "commentary"})], Driver, {}, {}),
    "nothing": ([answer()], Driver, {}, {}),
    "cancelled": ([answer(call())], Driver, {}, {"cancelled": lambda: True}),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_the_official_one(name: str) -> None:
    answers, driver, params, options = RUNS[name]
    theirs = Seen(answers, driver(), options).theirs({**PARAMS, **params})
    for seen in (
        Seen(answers, driver(), options).ours({**PARAMS, **params}),
        Seen(answers, driver(), options).ours_async({**PARAMS, **params}),
    ):
        assert seen.all == theirs.all


@pytest.mark.parametrize("after", range(1, 12))
def test_a_run_may_be_cancelled_anywhere(after: int) -> None:
    def stopping() -> Callable[[], bool]:
        looks = iter(range(1, 1000))
        return lambda: next(looks) > after

    answers = [answer(checked(actions=ACTIONS[:2])), answer(MESSAGE)]
    runs: list[Seen] = []
    for colour in ("ours", "ours_async"):
        options = {"approve_safety_checks": yes, "before_action": yes, "cancelled": stopping()}
        runs.append(getattr(Seen(answers, Driver(), options), colour)(PARAMS))
    assert runs[0].all == runs[1].all
    assert runs[0].end == "ComputerUseError"
    assert len(runs[0].script.asked) == 1


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"max_steps": 0}, "max_steps"),
    ({}, {"max_steps": True}, "max_steps"),
    ({"input": None}, {}, "input"),
    ({"stream": True}, {}, "streamed"),
    ({"background": True}, {}, "streamed"),
    ({"previous_response_id": "r"}, {}, "previous_response_id"),
    ({"conversation": "c"}, {}, "conversation"),
    ({"tools": []}, {}, "exactly one"),
    ({"tools": None}, {}, "exactly one"),
    ({"tools": [{"type": "web_search"}]}, {}, "exactly one"),
    ({"extra_body": {"tools": []}}, {}, "extra_body"),
]


@pytest.mark.parametrize(("params", "options", "message"), REFUSED)
def test_parameters_it_cannot_work_with(params: dict[str, Any], options: dict[str, Any], message: str) -> None:
    script = Script([])
    with pytest.raises((TypeError, ValueError), match=message):
        ComputerToolset(Driver()).run(OpenAI(api_key="k", transport=script), {**PARAMS, **params}, **options)  # type: ignore[arg-type]
    assert not script.asked


def test_drivers_are_looked_at_when_they_are_given() -> None:
    for wrong, message in ((SimpleNamespace(), "click"), (AsyncDriver(Driver()), "use AsyncComputerToolset")):
        with pytest.raises(ValueError, match=message):
            ComputerToolset(wrong)  # type: ignore[arg-type]

    class Typed(Driver):
        def wait(self, action: Any) -> None: ...  # type: ignore[override]

    with pytest.raises(ValueError, match="use ComputerToolset"):
        AsyncComputerToolset(Typed())  # type: ignore[arg-type]


def test_a_driver_that_turns_out_to_be_async() -> None:
    class Later(Driver):
        def screenshot(self):  # type: ignore[no-untyped-def]
            return AsyncDriver(self).screenshot()

    for driver in (Later(),):
        with pytest.raises(ComputerUseError, match="AsyncComputerToolset"):
            ComputerToolset(driver).execute(ResponseComputerToolCall.of(call()))  # type: ignore[arg-type]


def test_nobody_changes_what_is_done() -> None:
    """An approval sees a copy; what is done and acknowledged is what came."""

    def meddles(subject: Any) -> bool:
        subject["type"] = "type"
        subject["pending_safety_checks"] = []
        return True

    for given in (ResponseComputerToolCall.of(checked()), checked()):
        driver = Driver()
        output = ComputerToolset(driver).execute(given, approve_safety_checks=meddles, before_action=meddles)  # type: ignore[arg-type]
        assert driver.done == [CLICK, "screenshot"]
        assert output["acknowledged_safety_checks"] == [{"id": "check", "code": "malicious", "message": None}]
        assert output == {
            "type": "computer_call_output",
            "call_id": "call_1",
            "output": SCREEN,
            "acknowledged_safety_checks": output["acknowledged_safety_checks"],
        }


def test_the_error_has_the_last_response() -> None:
    script = Script([answer(call(), id="first"), answer(call(2, status="in_progress"), id="second")])
    with pytest.raises(ComputerUseError) as caught:
        ComputerToolset(Driver()).run(OpenAI(api_key="k", transport=script), PARAMS)  # type: ignore[arg-type]
    assert caught.value.response is not None
    assert caught.value.response.id == "second"


def test_each_request_has_a_key_of_its_own() -> None:
    script = Script([answer(call()), answer(MESSAGE)])
    client = OpenAI(api_key="k", transport=script, default_headers={"Idempotency-Key": "mine"})
    ComputerToolset(Driver()).run(client, PARAMS)  # type: ignore[arg-type]
    first, second = script.keys
    assert first == "mine"
    assert second not in (None, "mine")


def test_one_call_at_a_time_until_it_is_closed() -> None:
    driver = Driver()
    toolset = ComputerToolset(driver)  # type: ignore[arg-type]
    view = ResponseComputerToolCall.of(call())

    def again(action: Any) -> bool:
        assert toolset.close() == {"status": "draining"}
        with pytest.raises(RuntimeError, match="closed"):
            toolset.execute(view)
        return True

    toolset.execute(view, before_action=again)
    assert toolset.close() == {"status": "closed"}
    other = ComputerToolset(driver)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="busy"):
        other.execute(view, before_action=lambda action: bool(other.execute(view)))
    assert other.execute(view)["call_id"] == "call_1"  # and it is free again


def test_a_function_may_ask_whether_it_is_still_wanted() -> None:
    seen: list[Any] = []

    def approve(action: Any, *, cancelled: Callable[[], bool] | None) -> bool:
        seen.append(cancelled)
        return True

    ComputerToolset(Driver()).execute(  # type: ignore[arg-type]
        ResponseComputerToolCall.of(call()),
        before_action=approve,  # type: ignore[arg-type]
        cancelled=bool,
    )
    assert seen == [bool, bool]


def test_what_is_no_json_is_not_done() -> None:
    driver = Driver()
    view = ResponseComputerToolCall.of(call(extra=object()))
    with pytest.raises(TypeError):
        ComputerToolset(driver).execute(view)  # type: ignore[arg-type]
    assert not driver.done
    with pytest.raises(ComputerUseError, match="Invalid computer call"):
        ComputerToolset(driver).execute(["call"])  # type: ignore[arg-type]


def test_the_public_names_are_the_official_ones() -> None:
    assert set(computer.__all__) == set(openai.lib.computer.__all__)
    for name in ("ComputerToolset", "AsyncComputerToolset", "ComputerDriver", "AsyncComputerDriver"):
        assert getattr(antiphon, name) is getattr(computer, name)
