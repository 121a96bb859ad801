"""A browser as functions: what is told, done, approved and refused, beside the official toolset."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import jsonschema_rs
import openai.lib.browser
import openai.types.responses
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.lib import browser
from antiphon.lib.browser import BrowserError, BrowserToolset, members, reports
from antiphon.types.responses import ResponseFunctionToolCall

official: Any = openai.lib.browser

TAB = {"id": "one", "title": "Page", "url": "https://user:pw@allowed.test:443/private?q=1", "active": True}
OBSERVED = {"version": 1, "sequence": 0, "dropped_changes": 0, "title_truncated": False, "changes": []}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,cG5n"}
ELEMENT = {"ref": "e1", "role": "listbox", "label": "Size", "value": "m", "hidden": "secret"}
OPTION = {"label": "M", "value": "m", "selected": True, "hidden": "secret"}
REPORT = {"version": 1, "text": "text", "elements": [{**ELEMENT, "options": [OPTION]}], "omitted": ["private"]}
DONE = {"version": 1, "status": "completed", "effect": "completed", "cleanup": "pending"}
POINT = {"x": 1, "y": 2}

ARGUMENTS: dict[str, dict[str, Any]] = {
    "navigate": {"url": "https://allowed.test", "tab_id": None},
    "read_page": {"tab_id": "one", "filter": "all"},
    "get_page_text": {"tab_id": None},
    "find": {"query": "q", "tab_id": None},
    "click": {"target": "e1", "tab_id": None},
    "type": {"text": "héllo", "target": None, "tab_id": None},
    "key": {"keys": ["Enter"], "tab_id": None},
    "scroll": {"direction": "down", "amount": 3, "tab_id": None},
    "select_option": {"target": "e1", "values": ["m"], "tab_id": None},
    "hover": {"target": "e1", "tab_id": None},
    "screenshot": {"tab_id": None},
    "zoom": {"tab_id": None, "region": [0, 0, 10, 10]},
    "new_tab": {"url": None},
    "list_tabs": {},
    "switch_tab": {"tab_id": "one"},
    "close_tab": {"tab_id": "one"},
    "scroll_to": {"target": "e1", "tab_id": None},
    "wait_for": {"text": " a  b ", "timeout_ms": 10, "tab_id": None},
    "hover_at": {"tab_id": None, "x": 1, "y": 2},
    "set_checked": {"tab_id": None, "target": "e1", "checked": True},
    "click_at": {"tab_id": None, "x": 1, "y": 2, "button": "left", "click_count": 2, "keys": ["Shift"]},
    "drag_path": {"tab_id": None, "path": [POINT, POINT], "keys": []},
    "hold_keys": {"tab_id": None, "keys": ["A"], "duration_ms": 5},
    "read_page_scoped": {"tab_id": None, "root": None, "depth": 1, "filter": "all"},
    "read_diagnostics": {"tab_id": None, "source": "console", "limit": 3},
    "run_script": {"tab_id": None, "source": "1", "timeout_ms": 10},
    "upload_file": {"grant_id": "g"},
    "download_file": {"grant_id": "g"},
}
GIVEN: dict[str, Any] = {
    "read_page": REPORT,
    "find": "found",
    "get_page_text": None,
    "screenshot": IMAGE,
    "zoom": {**IMAGE, "detail": "high", "file_id": "f"},
    "read_page_scoped": {**REPORT, "scopes": [{"ref": "s1", "label": "Main", "hidden": 1}]},
    "read_diagnostics": {"version": 1, "text": "log", "elements": [], "omitted": []},
    "run_script": "text",
    "upload_file": DONE,
    "download_file": {**DONE, "status": "refused", "effect": "none"},
}


class Driver:
    """A driver that can do everything, and writes it down."""

    def __init__(self, states: list[Any] | None = None, gives: Any = None, fails: Exception | None = None) -> None:
        self.states = list(states or [{"tabs": [TAB]}])
        self.gives, self.fails = gives, fails
        self.done: list[Any] = []

    def state(self) -> Any:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def __getattr__(self, name: str) -> Any:
        if name not in ARGUMENTS:
            raise AttributeError(name)

        def method(action: Any) -> Any:
            self.done.append((name, action))
            if self.fails is not None:
                raise self.fails
            return self.gives

        return method


class AsyncDriver:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    async def state(self) -> Any:
        return self.driver.state()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.driver, name)

        async def asked(action: Any) -> Any:
            return method(action)

        return asked


def awaited(function: Any) -> Any:
    async def asked(*args: Any) -> Any:
        return function(*args)

    return None if function is None else asked


def outcome(package: Any, colour: str, call: dict[str, Any], driver: Driver, skip: bool = False, **given: Any) -> Any:
    """What a call comes to: the output as JSON, what was done and told, or the kind of its error."""
    options = {"members": list(ARGUMENTS), "confirm": lambda *a: True, "url_policy": lambda *a: True, **given}
    cancelled = options.pop("cancelled", None)
    told: list[Any] = []

    def tell(diagnostic: Any) -> None:
        told.append({name: value for name, value in diagnostic.items() if name != "duration_ms"})

    types = (
        openai.types.responses
        if package is official
        else SimpleNamespace(ResponseFunctionToolCall=ResponseFunctionToolCall)
    )
    view = types.ResponseFunctionToolCall.model_construct(**call)
    try:
        if colour == "async":
            for name in ("confirm", "url_policy"):
                options[name] = awaited(options[name])
            toolset = package.AsyncBrowserToolset(AsyncDriver(driver), **options)
            output, done = asyncio.run(toolset._execute(view, skip=skip, cancelled=cancelled, on_diagnostic=tell))
        else:
            toolset = package.BrowserToolset(driver, **options)
            output, done = toolset._execute(view, skip=skip, cancelled=cancelled, on_diagnostic=tell)
    except Exception as error:
        return type(error).__name__, driver.done, told
    content = [json.loads(output["output"][0]["text"]), *output["output"][1:]]
    if content[0].get("error", "").startswith(("The argument", "Browser argument")):
        content[0]["error"] = "…"
    if content[0].get("error", "").startswith("Not executed"):
        content[0]["error"] = "…"
    return {**output, "output": content}, done, driver.done, told


def call_of(member: str, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    given = ARGUMENTS.get(member, {}) if arguments is None else arguments
    return {
        "type": "function_call",
        "id": "fc",
        "call_id": "call",
        "name": f"browser_{member}",
        "status": "completed",
        "arguments": given if isinstance(given, str) else json.dumps(given),
        **fields,
    }


def alike(call: dict[str, Any], driver: Callable[[], Driver] = Driver, **given: Any) -> Any:
    """Ours, in both colours, and theirs come to the same."""
    theirs = outcome(official, "sync", call, driver(), **given)
    for colour in ("sync", "async"):
        assert outcome(browser, colour, call, driver(), **given) == theirs
    return theirs


@pytest.mark.parametrize("member", ARGUMENTS)
def test_every_member(member: str) -> None:
    alike(call_of(member), lambda: Driver(gives=GIVEN.get(member)))
    # Not carried out, not approved, not what it should be.
    alike(call_of(member), skip=True)
    alike(call_of(member), confirm=lambda context: False)
    # What gave nothing that can be told did not complete; the official one says so, and raises then.
    wrong = [outcome(package, "sync", call_of(member), Driver(gives=3))[:2] for package in (browser, official)]
    assert wrong[0] == wrong[1]
    alike(call_of(member), lambda: Driver(gives=GIVEN.get(member)), cancelled=lambda: True)


@pytest.mark.parametrize("member", ["click", "find", "screenshot", "run_script"])
def test_what_goes_wrong_is_told_without_what_is_private(member: str) -> None:
    told = outcome(browser, "sync", call_of(member), Driver(fails=BrowserError("Gone.")))
    assert told[0]["output"][0]["error"] == "Gone."
    alike(call_of(member), lambda: Driver(fails=ValueError("/home/private")))


CALLS: dict[str, dict[str, Any]] = {
    "another name": call_of("click", name="other"),
    "a member there is not": call_of("dance"),
    "under way": call_of("click", status="in_progress"),
    "no status": call_of("click", status=None),
    "no JSON": call_of("click", "{"),
    "no object": call_of("click", "[]"),
    "a field too few": call_of("click", {"target": "e1"}),
    "a field too many": call_of("click", {**ARGUMENTS["click"], "more": 1}),
    "another type": call_of("click", type="custom_tool_call"),
    "an id that is none": call_of("click", call_id=3),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_are_not_as_they_should_be(name: str) -> None:
    alike(CALLS[name])


def test_members_that_are_not_offered() -> None:
    for options in ({"members": ["click"]}, {"members": None}):
        for member in ("click_at", "find"):
            alike(call_of(member), **options)


POLICIES: dict[str, dict[str, Any]] = {
    "led elsewhere": {"url_policy": lambda context, url: False},
    "something like an approval": {"confirm": lambda context: 1},
    "a policy that fails": {"confirm": lambda context: 1 / 0},
    "a read confirmed": {"confirm_reads": ["find"]},
    "a read refused": {"confirm_reads": ["find"], "confirm": lambda context: context["member"] != "find"},
    "a read whose confirmation fails": {"confirm_reads": ["find"], "confirm": lambda context: 1 / 0},
}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("member", ["navigate", "new_tab", "click", "find"])
def test_who_is_asked(name: str, member: str) -> None:
    alike(call_of(member), **POLICIES[name])
    alike(call_of(member), skip=True, **POLICIES[name])
    if member == "new_tab":
        alike(call_of(member, {"url": "https://allowed.test"}), **POLICIES[name])


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("member", ["navigate", "find"])
def test_a_call_may_be_cancelled_anywhere(member: str, after: int) -> None:
    def stopping() -> Callable[[], bool]:
        looks = iter(range(1000))
        return lambda: next(looks) >= after

    runs = [
        outcome(browser, colour, call_of(member), Driver(), cancelled=stopping(), confirm_reads=["find"])
        for colour in ("sync", "async")
    ]
    assert runs[0] == runs[1]
    if runs[0][0] != "BrowserCancelledError":
        assert after > 4


# States


def observed(*changes: Any, **fields: Any) -> dict[str, Any]:
    return {"tabs": [TAB], "observation": {**OBSERVED, "sequence": len(changes), "changes": list(changes), **fields}}


def change(number: int, name: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": name, "sequence": number, "tab_id": "one", "hidden": "secret", **fields}


STATES: list[list[Any]] = [
    [{"tabs": []}],
    [{"tabs": [TAB, {**TAB, "id": "two", "active": False, "url": "about:blank", "hidden": "secret"}]}],
    [{"tabs": [TAB, {**TAB, "id": "two"}]}],
    [{"tabs": [TAB, TAB]}],
    [{"tabs": [{**TAB, "active": 1}]}],
    [{"tabs": [{"id": "one"}]}],
    [{"tabs": "none"}],
    ["none"],
    [observed(change(1, "navigation"), change(2, "download", status="started"))],
    [observed(change(1, "navigation_refused", tab_id=None, reason="policy"))],
    [observed(change(1, "dialog_dismissed", kind="alert"))],
    [observed(change(1, "navigation", tab_id=None))],
    [observed(change(2, "navigation"))],
    [observed(change(1, "dance"))],
    [observed(change(1, "download", status="later"))],
    [observed(sequence=5)],
    [observed(version=2)],
    [observed(title_truncated=1)],
    [{**observed(), "tabs": [{**TAB, "title": "ü" * 600}]}],
    [{**observed(), "tabs": [{**TAB, "title": "\ud800"}]}],
    [observed(), observed(change(1, "navigation"))],
    [observed(change(1, "navigation")), observed()],
    [observed(change(1, "navigation")), {"tabs": [TAB]}],
    [observed(change(1, "navigation")), observed(change(1, "tab_opened"))],
    [observed(change(1, "navigation")), observed(change(2, "tab_closed"), sequence=2, dropped_changes=1)],
]


@pytest.mark.parametrize("states", STATES, ids=range(len(STATES)))
def test_states(states: list[Any]) -> None:
    for member in ("list_tabs", "click"):
        alike(call_of(member), lambda: Driver(states))


REPORTS: list[Any] = [
    {**REPORT, "version": 2},
    {**REPORT, "text": None},
    {**REPORT, "elements": [ELEMENT, ELEMENT]},
    {**REPORT, "elements": [{**ELEMENT, "role": "dance"}]},
    {**REPORT, "elements": [{**ELEMENT, "label": ""}]},
    {**REPORT, "elements": [{**ELEMENT, "label": "x" * 257}]},
    {**REPORT, "elements": [{**ELEMENT, "value": "x" * 513}]},
    {**REPORT, "elements": [{**ELEMENT, "role": "checkbox", "checked": True}]},
    {**REPORT, "elements": [{**ELEMENT, "role": "checkbox", "checked": 1}]},
    {**REPORT, "elements": [{**ELEMENT, "options": [{**OPTION, "selected": 1}]}]},
    {**REPORT, "elements": [{**ELEMENT, "role": "combobox", "options": [{**OPTION, "selected": 1}]}]},
    {**REPORT, "elements": "none"},
    {**REPORT, "omitted": ["private", "private"]},
    {**REPORT, "omitted": ["dance"]},
    {"version": 1},
    {**IMAGE, "more": 1},
    {**IMAGE, "image_url": " "},
    {**IMAGE, "detail": "much"},
    {**IMAGE, "prompt_cache_breakpoint": {"mode": "explicit"}},
    {**IMAGE, "prompt_cache_breakpoint": {"mode": "implicit"}},
    {"type": "input_image"},
    {**DONE, "effect": "none"},
    {**DONE, "more": 1},
    {**DONE, "status": "interrupted", "effect": "unknown"},
    "\ud800",
]


@pytest.mark.parametrize("given", REPORTS, ids=range(len(REPORTS)))
def test_what_a_driver_gives(given: Any) -> None:
    for member in ("read_page", "get_page_text", "read_page_scoped", "read_diagnostics", "screenshot", "upload_file"):
        alike(call_of(member), lambda: Driver(gives=given))
    alike(call_of("run_script"), lambda: Driver(gives=given))


# Laws


def either(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except Exception:
        return None


HOSTS = st.one_of(
    st.sampled_from(
        ["Allowed.TEST", "127.0.0.1", "0x7f.1", "1.2.3", "[::1]", "[2001:DB8:0::1]", "a_b.test", "-a.test"]
    ),
    st.text("abzAZ019.-", min_size=1, max_size=12),
)
PORTS = st.sampled_from(["", ":80", ":443", ":8080", ":", ":99999", ":x"])
URLS = st.one_of(
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(["http", "https", "HTTPS"]),
        st.sampled_from(["", "user@", "user:p%20w@", "a@b@"]),
        HOSTS,
        PORTS,
        st.sampled_from(["", "/", "/path?q=1#f", "?q", "#f", "\\x"]),
    ),
    st.sampled_from(
        ["about:blank", "file:///etc/passwd", "data:text/html,x", "chrome://settings", "x", "", "https://"]
    ),
    st.text(max_size=20),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(URLS)
def test_a_page_is_told_by_its_origin_alone(url: str) -> None:
    expected = either(official._state_origin, url)
    assert either(reports.origin_of, url) == expected


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 40_000),
    st.sampled_from([2**53, 2**53 - 1, 1.5]),
    st.text(max_size=4),
    st.sampled_from(["x" * 257, "\ud800", "all", "left", "up", "console", "Shift"]),
    st.lists(st.one_of(st.integers(-1, 20), st.sampled_from(["Shift", "A", ""])), max_size=5),
    st.lists(st.fixed_dictionaries({"x": st.integers(-1, 3), "y": st.integers(0, 3)}), max_size=3),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(ARGUMENTS)), st.data())
def test_arguments_are_taken_as_the_official_ones(member: str, data: st.DataObject) -> None:
    fields = ARGUMENTS[member]
    changed = data.draw(st.sampled_from(sorted(fields))) if fields else None
    values = {name: data.draw(VALUES) if name == changed else value for name, value in fields.items()}
    raw = json.dumps(values)
    assert either(members.arguments_of, member, raw) == either(official._arguments, member, raw)


def test_a_schema_says_what_is_taken() -> None:
    toolset = BrowserToolset(
        cast("Any", Driver()), members=list(ARGUMENTS), confirm=lambda *a: True, url_policy=lambda *a: True
    )
    theirs = official.BrowserToolset(
        Driver(), members=list(ARGUMENTS), confirm=lambda *a: True, url_policy=lambda *a: True
    )
    for ours, other in zip(toolset.tools, theirs.tools, strict=True):
        assert shape(ours) == shape(other)
        assert ours["description"] != other["description"]
        assert jsonschema_rs.is_valid(cast("Any", ours["parameters"]), ARGUMENTS[ours["name"].removeprefix("browser_")])


def shape(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: shape(value) for name, value in schema.items() if name != "description"}
    return schema


# What is offered

OFFERS: list[tuple[dict[str, Any], str]] = [
    ({"members": ["click"], "additional_members": ["click_at"]}, "either"),
    ({"members": "click"}, "unique fixed"),
    ({"members": ["dance"]}, "unique fixed"),
    ({"members": ["click", "click"]}, "unique fixed"),
    ({"members": ["click"], "confirm": None}, "require confirm"),
    ({"members": ["find"], "confirm_reads": ["find"], "confirm": None}, "require confirm"),
    ({"members": ["navigate"], "url_policy": None}, "url_policy"),
    ({"members": ["find"], "confirm_reads": ["click"]}, "confirm_reads"),
    ({"members": ["find"], "confirm_reads": "find"}, "confirm_reads"),
]


@pytest.mark.parametrize(("given", "message"), OFFERS)
def test_what_cannot_be_offered(given: dict[str, Any], message: str) -> None:
    options = {"confirm": lambda *a: True, "url_policy": lambda *a: True, **given}
    for package in (browser, official):
        with pytest.raises(ValueError, match=message if package is browser else None):
            package.BrowserToolset(Driver(), **options)


def test_a_driver_may_do_little() -> None:
    driver: Any = SimpleNamespace(state=lambda: {"tabs": [TAB]}, find=lambda action: "found")
    toolset = BrowserToolset(driver)
    assert [tool["name"] for tool in toolset.tools] == ["browser_find", "browser_list_tabs"]
    with pytest.raises(ValueError, match="not implemented"):
        BrowserToolset(driver, members=["click"], confirm=lambda context: True)

    class Later:
        async def state(self) -> Any: ...

    with pytest.raises(ValueError, match="use AsyncBrowserToolset"):
        BrowserToolset(Later())  # type: ignore[arg-type]


def test_one_call_at_a_time_until_it_is_closed() -> None:
    view = ResponseFunctionToolCall.of(call_of("click"))
    toolset: Any = None

    def again(context: Any) -> bool:
        with pytest.raises(RuntimeError, match="busy"):
            toolset.execute(view)
        return True

    toolset = BrowserToolset(cast("Any", Driver()), confirm=again, url_policy=lambda *a: True)
    assert toolset.execute(view)["call_id"] == "call"
    assert toolset.close() == {"status": "closed"}
    with pytest.raises(RuntimeError, match="closed"):
        toolset.execute(view)


def test_the_public_names_are_the_official_ones() -> None:
    assert set(browser.__all__) == set(official.__all__)
    assert browser.BROWSER_MEMBERS == official.BROWSER_MEMBERS
    assert browser.DEFAULT_BROWSER_MEMBERS == official.DEFAULT_BROWSER_MEMBERS
