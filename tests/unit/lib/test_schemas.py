"""Schemas of types and of functions, strictness, and values read back."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, TypeVar

import jsonschema_rs
import msgspec
import openai
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jiter import from_json
from openai.lib._pydantic import to_strict_json_schema as official_strict

import antiphon
from antiphon.lib import Mismatch, type_to_response_format_param
from antiphon.lib._docstrings import described
from antiphon.lib._formats import format_of
from antiphon.lib._late import Late, late
from antiphon.lib._partial import partial_json
from antiphon.lib._pydantic import to_strict_json_schema
from antiphon.lib._strict import strict
from antiphon.lib.streaming._deltas import Accumulated, accumulate_delta
from antiphon.types.chat import ChatCompletionMessage

T = TypeVar("T")
Name = NewType("Name", str)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Box(Generic[T]):
    item: T
    items: list[T]


class Point(NamedTuple):
    x: int
    y: int


class Note(TypedDict):
    text: str
    tags: NotRequired[list[str]]


class Inner(pydantic.BaseModel):
    value: int


class Struct(msgspec.Struct):
    value: int
    next: Optional[Struct] = None


@dataclasses.dataclass
class Tree:
    """A tree."""

    name: Annotated[Name, "what it is called"]
    children: list[Tree]
    colour: Colour = Colour.RED
    weight: float = dataclasses.field(default=1, metadata={"description": "in kilograms"})
    secret: int = dataclasses.field(default=3, init=False)


@dataclasses.dataclass
class Everything:
    text: str
    count: int
    ratio: float
    yes: bool
    nothing: None
    anything: Any
    kind: Literal["a", "b"]
    mixed: Literal["a", 1]
    level: Level
    maybe: int | None
    either: int | list[str] | Point
    words: Sequence[str]
    unique: frozenset[int]
    pair: tuple[int, str]
    many: tuple[int, ...]
    by_name: Mapping[str, int]
    when: datetime.datetime
    day: datetime.date
    hour: datetime.time
    key: uuid.UUID
    price: decimal.Decimal
    box: Box[int]
    point: Point
    note: Note
    inner: Inner
    struct: Struct
    message: ChatCompletionMessage


VALUES: dict[str, Any] = {
    "text": "t",
    "count": 3,
    "ratio": 1,
    "yes": True,
    "nothing": None,
    "anything": {"a": [1]},
    "kind": "b",
    "mixed": 1,
    "level": 2,
    "maybe": None,
    "either": ["x"],
    "words": ["a", "b"],
    "unique": [1, 1, 2],
    "pair": [1, "a"],
    "many": [1, 2, 3],
    "by_name": {"a": 1},
    "when": "2026-11-21T12:00:00+00:00",
    "day": "2026-11-21",
    "hour": "12:30:00",
    "key": "12345678-1234-5678-1234-567812345678",
    "price": "1.50",
    "box": {"item": 1, "items": [2]},
    "point": {"x": 1, "y": 2},
    "note": {"text": "n", "tags": None},
    "inner": {"value": 1},
    "struct": {"value": 1, "next": {"value": 2, "next": None}},
    "message": {"role": "assistant", "content": "hi", "refusal": None},
}


def _objects(schema: Any) -> list[dict[str, Any]]:
    found = [schema] if isinstance(schema, dict) and "properties" in schema else []
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        found += _objects(each)
    return found


def test_every_kind_of_type_is_read_back() -> None:
    value = format_of(Everything).load(json.dumps(VALUES))
    assert value.ratio == 1.0 and isinstance(value.ratio, float)
    assert value.level is Level.HIGH
    assert value.either == ["x"]
    assert value.unique == frozenset((1, 2))
    assert (value.pair, value.many) == ((1, "a"), (1, 2, 3))
    assert value.when == datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)
    assert value.day == datetime.date(2026, 11, 21)
    assert value.hour == datetime.time(12, 30)
    assert value.key == uuid.UUID(VALUES["key"])
    assert value.price == decimal.Decimal("1.50")
    assert value.box == Box(1, [2])
    assert value.point == Point(1, 2)
    assert value.note == {"text": "n"}
    assert value.inner == Inner(value=1)
    assert value.struct == Struct(1, Struct(2))
    assert value.message.content == "hi"


def test_schemas_take_what_they_describe_and_are_strict() -> None:
    schema = format_of(Everything).schema
    message = ChatCompletionMessage.of(VALUES["message"]).model_dump()
    jsonschema_rs.validate(schema, {**VALUES, "message": message})
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {**VALUES, "count": "3"})
    for each in _objects({**schema, "$defs": {k: v for k, v in schema["$defs"].items() if "Message" not in k}}):
        assert each["required"] == list(each["properties"])
        assert each["additionalProperties"] is False
    assert schema["$defs"]["Box_int"]["properties"]["item"] == {"type": "integer"}
    assert schema["properties"]["pair"] == {
        "type": "array",
        "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "minItems": 2,
        "maxItems": 2,
    }


def test_descriptions_come_from_where_they_are_written() -> None:
    schema = format_of(Tree).schema
    assert schema["description"] == "A tree."
    assert schema["properties"]["name"] == {"type": "string", "description": "what it is called"}
    assert schema["properties"]["weight"]["description"] == "in kilograms"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert "secret" not in schema["properties"]
    assert "description" not in format_of(Everything).schema
    tree = format_of(Tree).load(
        '{"name":"a","children":[{"name":"b","children":[],"colour":"blue","weight":2}],"colour":"red","weight":1}'
    )
    assert tree.children[0] == Tree(Name("b"), [], Colour.BLUE, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "3"}, r"\$\.count: expected an integer, found '3'"),
        ({"count": True}, "expected an integer, found True"),
        ({"ratio": "x"}, "expected a number"),
        ({"yes": 1}, "expected a boolean"),
        ({"nothing": 1}, "expected null"),
        ({"text": None}, "expected a string, found null"),
        ({"kind": "c"}, "expected one of 'a', 'b', found 'c'"),
        ({"kind": []}, "found an array"),
        ({"level": 3}, "expected one of 1, 2"),
        ({"words": "ab"}, "expected an array"),
        ({"words": ["a", 1]}, r"\$\.words\[1\]: expected a string"),
        ({"pair": [1]}, "expected an array of 2"),
        ({"pair": [1, 2]}, r"\$\.pair\[1\]"),
        ({"by_name": {"a": "x"}}, r"\$\.by_name\.a: expected an integer"),
        ({"by_name": []}, "expected an object"),
        ({"when": "soon"}, "ISO 8601"),
        ({"price": "cheap"}, "decimal"),
        ({"price": True}, "decimal"),
        ({"either": {"x": 1}}, r"\$\.either: 'y' is missing"),
        ({"box": {"item": 1, "items": ["a"]}}, r"\$\.box\.items\[0\]"),
        ({"point": [1]}, "expected an object"),
        ({"text": ["x" * 100]}, "found an array"),
    ],
)
def test_what_does_not_fit_is_told_where(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Mismatch, match=message):
        format_of(Everything).load(json.dumps({**VALUES, **change}))


def test_errors_of_the_types_themselves_come_through() -> None:
    with pytest.raises(pydantic.ValidationError):
        format_of(Everything).load(json.dumps({**VALUES, "inner": {"value": "x"}}))
    with pytest.raises(msgspec.ValidationError):
        format_of(Everything).load(json.dumps({**VALUES, "struct": {"value": "x"}}))

    @dataclasses.dataclass
    class Picky:
        a: int

        def __post_init__(self) -> None:
            raise LookupError("no")

    with pytest.raises(LookupError):
        format_of(Picky).load('{"a": 1}')
    with pytest.raises(json.JSONDecodeError):
        format_of(Picky).load("{")
    with pytest.raises(Mismatch, match=r"^expected an object"):
        format_of(Picky).load("1")


def test_types_of_one_name_are_kept_apart() -> None:
    def make(kind: Any) -> Any:
        return dataclasses.make_dataclass("Same", [("value", kind)])

    @dataclasses.dataclass
    class Both:
        one: Any
        other: Any

    Both.__annotations__.update(one=make(int), other=make(str))
    format = format_of(Both)
    assert set(format.schema["$defs"]) == {"Same", "Same-2"}
    loaded = format.load('{"one": {"value": 1}, "other": {"value": "a"}}')
    assert (loaded.one.value, loaded.other.value) == (1, "a")


def test_types_without_a_shape_are_refused() -> None:
    @dataclasses.dataclass
    class Odd:
        value: complex

    with pytest.raises(TypeError, match="complex"):
        format_of(Odd)
    Odd.__annotations__["value"] = "list[3]"
    with pytest.raises(TypeError):
        format_of(Odd)


def test_names_are_what_the_api_takes() -> None:
    class Generic_(pydantic.BaseModel, Generic[T]):
        value: T

    assert format_of(Generic_[int]).name == "Generic__int"
    assert format_of(Box[int]).name == "Box_int"


def test_formats_are_made_once_and_given_out_as_copies() -> None:
    assert format_of(Tree) is format_of(Tree)
    tool: Any = antiphon.pydantic_function_tool(Tree)
    tool["function"]["parameters"].clear()
    to_strict_json_schema(Tree).clear()
    assert format_of(Tree).schema["type"] == "object"


# Strictness


class Kind(enum.StrEnum):
    A = "a"
    B = "b"


class Deep(pydantic.BaseModel):
    """Deep."""

    kind: Kind = pydantic.Field(description="which")
    other: Kind
    maybe: Optional[int] = None
    fallback: int = 3
    inner: Inner = pydantic.Field(description="an inner one")
    either: Inner | str
    listed: list[Inner]
    nested: dict[str, Inner]


class Linked(pydantic.BaseModel):
    value: int
    next: Optional[Linked] = None


@pytest.mark.parametrize("model", [Deep, Linked, Inner])
def test_strict_schemas_are_the_official_ones(model: Any) -> None:
    assert to_strict_json_schema(model) == official_strict(model)
    assert type_to_response_format_param(model) == openai.lib._parsing.type_to_response_format_param(model)
    adapter: Any = pydantic.TypeAdapter(list[Deep])
    assert to_strict_json_schema(adapter) == official_strict(adapter)


def test_strictness_leaves_the_schema_as_it_was() -> None:
    schema = Deep.model_json_schema()
    before = json.loads(json.dumps(schema))
    strict(schema)
    assert schema == before


def test_tagged_unions_are_unions() -> None:
    class Cat(pydantic.BaseModel):
        kind: Literal["cat"]

    class Dog(pydantic.BaseModel):
        kind: Literal["dog"]

    class Pet(pydantic.BaseModel):
        pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]

    schema = to_strict_json_schema(Pet)
    assert schema["properties"]["pet"]["anyOf"] == [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]
    assert "discriminator" not in schema["properties"]["pet"]


def test_references_that_lead_back_stay() -> None:
    class Chain(pydantic.BaseModel):
        next: Optional[Chain] = pydantic.Field(description="the next one")

    Chain.model_rebuild(_types_namespace={"Chain": Chain})
    schema = strict(
        {"$ref": "#/$defs/A", "title": "x", "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A", "title": "y"}}}}}
    )
    assert schema["properties"]["a"] == {"$ref": "#/$defs/A"}
    assert to_strict_json_schema(Chain)["properties"]["next"]["description"] == "the next one"


@pytest.mark.parametrize("reference", ["https://a/b", "#/$defs/Missing", "#/title"])
def test_references_that_lead_nowhere_are_refused(reference: str) -> None:
    with pytest.raises(ValueError, match="reference"):
        strict({"title": "t", "properties": {"a": {"$ref": reference, "description": "d"}}})


def test_one_of_all_is_that_one() -> None:
    assert strict({"allOf": [{"type": "string"}], "default": None}) == {"type": "string"}
    assert strict({"allOf": [{"type": "object", "properties": {"a": True}}, {}]})["allOf"][0]["required"] == ["a"]


# Tools


def weather(
    city: str, days: int = 1, unit: Literal["c", "f"] | None = None, *, near: Annotated[bool, "or close by"] = False
) -> str:
    """Tell the weather.

    For a few days.

    Args:
        city: where it is,
            in English
        days (int): how many
        unknown: nothing
    Returns:
        days: not a parameter
    """
    return f"{city} {days} {unit} {near}"


def test_functions_become_tools() -> None:
    tool: Any = antiphon.function_tool(weather)
    function = tool["function"]
    assert (function["name"], function["strict"]) == ("weather", True)
    assert function["description"] == "Tell the weather.\n\nFor a few days."
    assert function["parameters"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "where it is, in English"},
            "days": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "how many"},
            "unit": {"anyOf": [{"type": "string", "enum": ["c", "f"]}, {"type": "null"}]},
            "near": {"anyOf": [{"type": "boolean", "description": "or close by"}, {"type": "null"}]},
        },
        "required": ["city", "days", "unit", "near"],
        "additionalProperties": False,
    }
    arguments = function.parse_arguments('{"city": "Rome", "days": null, "unit": null, "near": true}')
    assert weather(**arguments) == "Rome 1 None True"
    assert json.loads(json.dumps(tool)) == tool


def test_tools_of_the_responses_api() -> None:
    flat: Any = antiphon.responses_function_tool(weather, name="w", description="d", defer_loading=True)
    assert (flat["type"], flat["name"], flat["description"], flat["defer_loading"]) == ("function", "w", "d", True)
    assert "defer_loading" not in antiphon.responses_function_tool(weather)


@pytest.mark.parametrize("model", [Deep, Inner, Linked])
def test_tools_of_models_are_the_official_ones(model: Any) -> None:
    for options in ({}, {"name": "n", "description": "d"}):
        assert antiphon.pydantic_function_tool(model, **options) == openai.pydantic_function_tool(model, **options)
        assert antiphon.pydantic_responses_function_tool(
            model, **options, defer_loading=True
        ) == openai.pydantic_responses_function_tool(model, **options, defer_loading=True)


def test_functions_that_cannot_be_tools_are_refused() -> None:
    def untyped(a):  # type: ignore[no-untyped-def]
        pass

    def many(*a: int) -> None:
        pass

    def positional(a: int, /) -> None:
        pass

    for function, message in ((untyped, "has no type"), (many, "by name"), (positional, "by name")):
        with pytest.raises(TypeError, match=message):
            antiphon.function_tool(function)


class Service:
    def find(self, what: str) -> str:
        """Find something."""
        return what


def test_methods_are_functions() -> None:
    tool: Any = antiphon.function_tool(Service().find)
    assert list(tool["function"]["parameters"]["properties"]) == ["what"]


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (None, ("", {})),
        ("Do.", ("Do.", {})),
        (
            "Do.\n\nParameters\n----------\na : int\n    the first\n    one\nb\n    the second\n\nReturns\n---\nint",
            ("Do.", {"a": "the first one", "b": "the second"}),
        ),
        (
            "Do.\n\n:param a: the first\n    one\n:param int b: the second\n:returns: c",
            ("Do.", {"a": "the first one", "b": "the second"}),
        ),
        ("Do.\n\nArgs:\n  a: x: y\n  *rest: others\n\nRaises:\n  E: no", ("Do.", {"a": "x: y", "rest": "others"})),
        ("Notes: of a kind\nare text", ("Notes: of a kind\nare text", {})),
    ],
)
def test_docstrings_are_read_in_every_style(docstring: str | None, expected: Any) -> None:
    assert described(docstring) == expected


# Parts


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.booleans(), st.sampled_from([None, 2]), st.data())
def test_partial_json_is_what_jiter_makes_of_it(
    value: Any, ascii: bool, indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent).encode().decode("utf-8")
    cut = text[: data.draw(st.integers(0, len(text)))]
    try:
        expected = from_json(cut.encode(), partial_mode=True)
    except ValueError:
        with pytest.raises(ValueError):
            partial_json(cut)
    else:
        assert partial_json(cut) == expected


@pytest.mark.parametrize("text", ["", "x", "]", "{]"])
def test_what_does_not_begin_json_is_refused_or_stops(text: str) -> None:
    if text == "{]":
        assert partial_json(text) == {}
        return
    with pytest.raises(ValueError):
        partial_json(text)


@given(st.lists(st.text(max_size=5), min_size=1), st.data())
def test_strings_grow_and_can_be_read_as_they_were(pieces: list[str], data: st.DataObject) -> None:
    told = Accumulated({})
    for piece in pieces:
        told.merge({"a": {"text": piece}})
        if data.draw(st.booleans()):
            told.settle()
    assert told.settle() == {"a": {"text": "".join(pieces)}}
    growing = told.growing(told.root["a"], "text")
    counts = data.draw(st.lists(st.integers(0, len(growing.pieces))))
    for count in counts:
        assert growing.at(count) == "".join(growing.pieces[:count])


def test_deltas_are_merged_as_the_official_client_does() -> None:
    from openai.lib.streaming._deltas import accumulate_delta as official

    cases: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
        ({"a": "x"}, {"a": "y"}),
        ({"a": None}, {"a": "y"}),
        ({"a": "x"}, {"a": None}),
        ({"a": 1, "index": 1, "type": "t"}, {"a": 2.5, "index": 2, "type": "u"}),
        ({"a": {"b": "x"}}, {"a": {"b": "y", "c": 1}}),
        ({"a": [1]}, {"a": [2]}),
        ({"a": [{"index": 0, "t": "x"}]}, {"a": [{"index": 0, "t": "y"}, {"index": 1, "t": "z"}]}),
        ({}, {"a": [{"index": 0, "t": "x"}, {"index": 0, "t": "y"}]}),
        ({"a": []}, {"a": [{"index": 0, "t": "x"}]}),
    ]
    for before, delta in cases:
        expected = official(json.loads(json.dumps(before)), json.loads(json.dumps(delta)))
        assert accumulate_delta(json.loads(json.dumps(before)), delta) == expected


def test_deltas_that_hosts_get_wrong() -> None:
    told = Accumulated({"role": "assistant", "ok": True, "list": [{"index": 1, "a": "x"}], "notes": []})
    told.merge({"role": "assistant", "ok": False, "list": [{"index": 0, "a": "y"}, {"index": 1, "a": "z"}]})
    told.merge({"notes": [{"text": "a"}]})
    told.merge({"notes": [{"text": "b"}], "role": "", "list": "x", "ok": 1})
    assert told.settle() == {
        "role": "assistant",
        "ok": 1,
        "list": [{"index": 0, "a": "y"}, {"index": 1, "a": "xz"}],
        "notes": [{"text": "a"}, {"text": "b"}],
    }


class Slow(Late):
    type: Literal["slow"]
    cheap: str
    dear: str | None = None
    other: str | None = None


def test_late_fields_are_worked_out_when_read() -> None:
    made: list[str] = []

    def make(name: str) -> Any:
        return lambda: made.append(name) or name

    event = late(Slow, {"type": "slow", "cheap": "c"}, {"dear": make("dear"), "other": make("other")})
    assert (event.type, event.cheap, made) == ("slow", "c", [])
    assert (event.dear, event.dear, made) == ("dear", "dear", ["dear"])
    assert event == Slow(type="slow", cheap="c", dear="dear", other="other")
    assert made == ["dear", "other"]
    event.cheap = "d"
    assert event.model_dump() == {"type": "slow", "cheap": "d", "dear": "dear", "other": "other"}
    assert "cheap='d'" in repr(event)
