"""Plain functions as tools: what a model is told of them, and what becomes of what it writes."""

from __future__ import annotations

import asyncio
import datetime
import enum
import functools
import json
import threading
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Optional, Required, TypedDict

import jsonschema_rs
import pydantic
import pytest

from antiphon import FunctionTool
from antiphon.kernel.flow import World, arun, run
from antiphon.lib._function_tool import as_text


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclass
class Place:
    """A place on Earth."""

    latitude: float
    longitude: float = 0.0


class Filter(TypedDict, total=False):
    name: Required[str]
    limit: int


class Span(NamedTuple):
    start: int
    end: int


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=0)


def weather(
    city: str,
    days: int = 1,
    unit: Literal["c", "f"] = "c",
    scale: Unit = Unit.CELSIUS,
    tags: Optional[list[str]] = None,
    place: Place | None = None,
    filter: Filter | None = None,
    span: Span | None = None,
    person: Person | None = None,
    on: datetime.date | None = None,
    exact: Annotated[bool, "To the degree."] = False,
) -> str:
    """How the weather will be.

    Asks the nearest station.

    Args:
        city: Its name, in English,
            without the country.
        days: How many days ahead.

    Returns:
        Words.
    """
    return f"{city}: {days}"


def test_the_model_is_told_what_the_function_says_of_itself() -> None:
    tool = FunctionTool(weather)
    param: Any = tool.to_param()
    function = param["function"]
    assert (param["type"], function["name"]) == ("function", "weather")
    assert function["description"] == "How the weather will be.\n\nAsks the nearest station."
    assert "strict" not in function
    schema = function["parameters"]
    jsonschema_rs.Draft202012Validator(schema)
    assert schema["required"] == ["city"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert properties["city"] == {"type": "string", "description": "Its name, in English, without the country."}
    assert properties["days"] == {"type": "integer", "description": "How many days ahead.", "default": 1}
    assert properties["unit"] == {"type": "string", "enum": ["c", "f"], "default": "c"}
    assert properties["exact"]["description"] == "To the degree."
    assert schema["$defs"]["Place"]["description"] == "A place on Earth."


def test_a_strict_tool_has_a_strict_schema() -> None:
    function: Any = FunctionTool(weather, strict=True).to_param()["function"]
    assert function["strict"] is True
    assert set(function["parameters"]["required"]) == set(function["parameters"]["properties"])


def test_arguments_become_what_the_function_declares() -> None:
    tool = FunctionTool(weather)
    written = {
        "city": "Lisbon",
        "days": 3.0,
        "scale": "f",
        "tags": ["a"],
        "place": {"latitude": 1, "longitude": 2},
        "filter": {"name": "n", "limit": None},
        "span": {"start": 1, "end": 2},
        "person": {"name": "P", "age": 3},
        "on": "2026-01-02",
    }
    read = tool.arguments(json.dumps(written))
    assert jsonschema_rs.Draft202012Validator(tool.parameters).is_valid(written)
    assert read == {
        "city": "Lisbon",
        "days": 3,
        "scale": Unit.FAHRENHEIT,
        "tags": ["a"],
        "place": Place(1.0, 2.0),
        "filter": {"name": "n"},
        "span": Span(1, 2),
        "person": Person(name="P", age=3),
        "on": datetime.date(2026, 1, 2),
    }


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "'city' is missing"),
        ('{"city": 3}', "city: expected a string"),
        ('{"city": "x", "unit": "k"}', "expected one of 'c', 'f'"),
        ('{"city": "x", "place": {"longitude": 1}}', "place"),
        ('{"city": "x", "person": {"name": "P", "age": -1}}', "age"),
        ('{"city": "x", "town": "y"}', "unknown arguments: 'town'; known are city"),
    ],
)
def test_what_does_not_fit_is_said_in_words_for_the_model(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FunctionTool(weather).arguments(written)


def nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize("written", ["", "  ", None, "null", "{}", {}])
def test_no_arguments_are_written_in_many_ways(written: Any) -> None:
    assert FunctionTool(nothing).arguments(written) == {}


def test_arguments_may_come_as_an_object() -> None:
    assert FunctionTool(weather).arguments({"city": "x"}) == {"city": "x"}


class Station:
    """Knows the weather."""

    def at(self, city: str) -> str:
        """Look up a city."""
        return f"rain in {city}"

    def __call__(self, hour: int) -> int:
        """Look up an hour."""
        return hour


def test_methods_partials_and_objects_are_tools() -> None:
    method = FunctionTool(Station().at)
    assert (method.name, method.description) == ("at", "Look up a city.")
    assert run(method.call('{"city": "x"}'), World()) == "rain in x"
    partial = FunctionTool(functools.partial(weather, days=5))
    assert partial.name == "weather"
    assert run(partial.call('{"city": "x"}'), World()) == "x: 5"
    called = FunctionTool(Station(), name="station")
    assert (called.description, list(called.parameters["properties"])) == ("Look up an hour.", ["hour"])
    assert run(called.call('{"hour": 3}'), World()) == 3
    assert called(4) == 4


def test_a_schema_of_ones_own_takes_the_place_of_the_types() -> None:
    def anything(**arguments: Any) -> dict[str, Any]:
        return arguments

    tool = FunctionTool(anything, name="any-thing", description="Takes it.", parameters={"type": "object"})
    assert tool.to_param() == {
        "type": "function",
        "function": {"name": "any-thing", "description": "Takes it.", "parameters": {"type": "object"}},
    }
    assert run(tool.call('{"a": 1}'), World()) == {"a": 1}
    assert FunctionTool.of(tool) is tool


def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
def many(*cities: str) -> None: ...
def open_ended(**cities: str) -> None: ...
def by_place(city: str, /) -> None: ...
def odd(city: complex) -> None: ...
def unknown(city: NoSuchThing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("function", [untyped, many, open_ended, by_place, odd, unknown, int, "weather"])
def test_what_no_model_can_call_is_refused(function: Any) -> None:
    with pytest.raises(TypeError):
        FunctionTool(function)


def test_names_are_those_the_api_takes() -> None:
    with pytest.raises(ValueError, match="<lambda>"):
        FunctionTool(lambda: 1)
    assert FunctionTool(lambda: 1, name="one").name == "one"


async def awaited(city: str) -> str:
    await asyncio.sleep(0)
    return city


async def test_coroutine_functions_are_awaited_and_others_leave_the_loop_alone() -> None:
    assert await arun(FunctionTool(awaited).call('{"city": "x"}'), World()) == "x"
    here = threading.get_ident()

    def where() -> int:
        return threading.get_ident()

    assert await arun(FunctionTool(where).call(""), World()) != here


def test_coroutine_functions_run_for_blocking_callers() -> None:
    assert run(FunctionTool(awaited).call('{"city": "x"}'), World()) == "x"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Place(1.0, 2.0), '{"latitude":1.0,"longitude":2.0}'),
        (Person(name="P", age=1), '{"name":"P","age":1}'),
        ([Person(name="P", age=1)], '[{"name":"P","age":1}]'),
        (None, "null"),
        (True, "true"),
        ((1, 2), "[1,2]"),
        ({3}, "[3]"),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (Unit.CELSIUS, '"c"'),
        ({1: Unit.CELSIUS}, '{"1":"c"}'),
        (b"raw", "b'raw'"),
    ],
)
def test_what_a_tool_returns_is_told_as_text(value: Any, text: str) -> None:
    assert as_text(value) == text
