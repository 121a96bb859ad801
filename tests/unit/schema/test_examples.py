"""Instances of any JSON Schema: valid for another validator, deterministic, and never without an end."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.server.examples import ImpossibleSchema, example
from antiphon.server.fits import fits
from antiphon.server.patterns import InvalidPattern, matching

TALK = (
    "What's the weather in Paris tomorrow? Mail 3 photos to anna@example.org, "
    "see https://example.org/a and 'red shoes'."
)


def checked(schema: Any, value: Any) -> None:
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    assert validator.is_valid(value), (schema, value, [str(error) for error in validator.iter_errors(value)])
    assert fits(value, schema)


FORMATS = (
    "date-time date time duration email hostname ipv4 ipv6 uuid uri uri-reference iri json-pointer regex uri-template"
).split()
TOOLS: dict[str, Any] = {
    "weather": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "City and country"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
        },
        "required": ["location"],
        "additionalProperties": False,
    },
    "no arguments": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    "nothing said": {},
    "true": True,
    "strict with optional": {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "linked list": {
        "type": "object",
        "properties": {"list": {"$ref": "#/$defs/node"}},
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "number"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["value", "next"],
                "additionalProperties": False,
            }
        },
        "required": ["list"],
        "additionalProperties": False,
    },
    "tree": {
        "type": "object",
        "properties": {"label": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["label", "children"],
    },
    "expression": {
        "$defs": {
            "expr": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {
                            "op": {"const": "+"},
                            "l": {"$ref": "#/$defs/expr"},
                            "r": {"$ref": "#/$defs/expr"},
                        },
                        "required": ["op", "l", "r"],
                    },
                    {
                        "type": "object",
                        "properties": {"num": {"type": "number"}},
                        "required": ["num"],
                        "additionalProperties": False,
                    },
                ]
            }
        },
        "$ref": "#/$defs/expr",
    },
    "mutual": {
        "definitions": {
            "a": {"type": "object", "properties": {"b": {"$ref": "#/definitions/b"}}, "required": ["b"]},
            "b": {
                "type": "object",
                "properties": {"as": {"type": "array", "items": {"$ref": "#/definitions/a"}}},
                "required": ["as"],
            },
        },
        "$ref": "#/definitions/a",
    },
    "pydantic": {
        "$defs": {
            "Address": {
                "title": "Address",
                "type": "object",
                "properties": {
                    "street": {"title": "Street", "type": "string"},
                    "zip": {"type": "string", "pattern": r"^\d{5}(-\d{4})?$"},
                },
                "required": ["street", "zip"],
            },
            "Color": {"enum": ["red", "green"], "title": "Color", "type": "string"},
        },
        "properties": {
            "name": {"maxLength": 10, "minLength": 3, "title": "Name", "type": "string"},
            "age": {"exclusiveMinimum": 0, "maximum": 120, "title": "Age", "type": "integer"},
            "address": {"allOf": [{"$ref": "#/$defs/Address"}], "description": "Where"},
            "colors": {"items": {"$ref": "#/$defs/Color"}, "type": "array", "uniqueItems": True, "minItems": 2},
            "born": {"format": "date", "type": "string"},
            "ratio": {"anyOf": [{"type": "number", "multipleOf": 0.25}, {"type": "null"}], "default": None},
            "tags": {"additionalProperties": {"type": "integer"}, "type": "object"},
        },
        "required": ["name", "age", "address", "colors", "born"],
        "title": "Person",
        "type": "object",
    },
    "formats": {
        "type": "object",
        "properties": {kind: {"type": "string", "format": kind} for kind in FORMATS},
        "required": ["date-time", "uuid", "ipv6"],
    },
    "open-api nullable": {
        "type": "object",
        "properties": {"a": {"type": "string", "nullable": True}},
        "required": ["a"],
    },
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2},
    "contains": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 50}, "minItems": 3},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string", "minLength": 5}}, "required": ["a"]},
            {"properties": {"a": {"maxLength": 8}, "b": {"type": "integer"}}, "required": ["b"]},
        ]
    },
    "siblings of a reference": {"$defs": {"s": {"type": "string"}}, "$ref": "#/$defs/s", "minLength": 30},
    "one of numbers": {"oneOf": [{"type": "integer", "multipleOf": 3}, {"type": "integer", "multipleOf": 5}]},
    "if then else": {
        "type": "object",
        "properties": {"kind": {"enum": ["card", "cash"]}, "number": {"type": "string"}, "amount": {"type": "number"}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "card"}}},
        "then": {"required": ["number"]},
        "else": {"required": ["amount"]},
    },
    "not": {"type": "object", "properties": {"a": {"not": {"type": "string"}}}, "required": ["a"]},
    "dependent": {
        "type": "object",
        "properties": {"card": {"type": "string"}, "address": {"type": "string"}},
        "required": ["card"],
        "dependentRequired": {"card": ["address"]},
    },
    "named properties": {
        "type": "object",
        "patternProperties": {"^x-[a-z]{3,}$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "names": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z]{2}$"},
        "minProperties": 3,
        "additionalProperties": {"type": "boolean"},
    },
    "bounds": {
        "type": "object",
        "properties": {
            "tiny": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
            "cents": {"type": "number", "multipleOf": 0.01, "minimum": 19.991, "maximum": 20.009},
            "negative": {"type": "integer", "maximum": -5},
            "sevens": {"type": "integer", "multipleOf": 7, "minimum": 100},
            "mixed": {"type": "integer", "multipleOf": 2.5},
        },
        "required": ["tiny", "cents", "negative", "sevens", "mixed"],
    },
    "long": {"type": "string", "minLength": 5000, "maxLength": 5001},
    "many": {"type": "array", "items": {"type": "boolean"}, "minItems": 500},
    "unique": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 9},
        "uniqueItems": True,
        "minItems": 9,
    },
    "enumeration of anything": {"enum": [{"a": [1]}, None, "x"]},
    "const": {"const": {"deep": [1, {"x": None}]}},
    "several types": {"type": ["integer", "string", "null"], "minimum": 5, "minLength": 5},
    "closed with foreign required": {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a", "b"],
        "additionalProperties": {"type": "integer"},
    },
    "anchors": {
        "$defs": {"x": {"$anchor": "name", "type": "integer"}},
        "type": "array",
        "items": {"$ref": "#name"},
        "minItems": 1,
    },
    "pointer with escapes": {
        "$defs": {"a/b": {"type": "string"}, "c~d": {"$ref": "#/$defs/a~1b"}},
        "$ref": "#/$defs/c~0d",
    },
    "deep": json.loads('{"type":"object","required":["a"],"properties":{"a":' * 30 + '{"type":"string"}' + "}}" * 30),
}


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("talk", ["", TALK])
def test_schemas_as_users_write_them(name: str, talk: str) -> None:
    for seed in range(8):
        value = example(TOOLS[name], random.Random(seed), hints=talk)
        checked(TOOLS[name], value)
        assert value == example(TOOLS[name], random.Random(seed), hints=talk)
        json.dumps(value, allow_nan=False)


def test_words_come_from_the_conversation() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "email": {"type": "string"},
            "link": {"type": "string", "format": "uri"},
            "count": {"type": "integer"},
            "query": {"type": "string"},
            "what": {"enum": ["music", "photos"]},
        },
    }
    assert example(schema, random.Random(1), hints=TALK) == {
        "city": "Paris",
        "email": "anna@example.org",
        "link": "https://example.org/a",
        "count": 3,
        "query": "red shoes",
        "what": "photos",
    }


IMPOSSIBLE: dict[str, Any] = {
    "false": False,
    "lengths": {"type": "string", "minLength": 3, "maxLength": 2},
    "endless": {
        "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}},
        "$ref": "#/$defs/n",
    },
    "endless in two": {
        "$defs": {
            "a": {"type": "array", "items": {"$ref": "#/$defs/b"}, "minItems": 1},
            "b": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"]},
        },
        "$ref": "#/$defs/a",
    },
    "itself": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a", "type": "string", "maxLength": -1}},
    },
    "nowhere": {"$ref": "#/$defs/missing"},
    "elsewhere": {"$ref": "https://example.com/schema.json"},
    "pattern": {"type": "string", "pattern": "("},
    "pattern and length": {"type": "string", "pattern": "^a{5}$", "maxLength": 3},
    "no value": {"enum": []},
    "no number": {"type": "integer", "minimum": 1.1, "maximum": 1.9},
    "no step": {"type": "number", "multipleOf": 10, "exclusiveMinimum": 10, "exclusiveMaximum": 20},
    "no type": {"allOf": [{"type": "string"}, {"type": "integer"}]},
    "unknown type": {"type": "text"},
    "too few values": {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True},
    "too many items": {"type": "array", "minItems": 5, "maxItems": 4},
    "too much": {
        "type": "array",
        "items": {"type": "array", "items": {"type": "string"}, "minItems": 5000},
        "minItems": 5000,
    },
    "required and forbidden": {"type": "object", "properties": {"a": False}, "required": ["a"]},
    "never one": {"oneOf": [{"type": "integer"}, {"type": "number"}], "type": "integer"},
    "nothing is left": {"type": "string", "not": {}},
    "exponential": {
        "$defs": {
            f"d{i}": {"anyOf": [{"allOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]}] * 2}
            for i in range(30)
        }
        | {"d30": False},
        "$ref": "#/$defs/d0",
    },
    "no schema": {"type": "object", "required": 5},
    "properties are a list": {"type": "object", "properties": ["a"], "required": ["a"]},
    "not a schema at all": {"anyOf": 3},
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
@pytest.mark.timeout(30)  # a step takes some microseconds, and the number of steps is bounded
def test_what_cannot_be_says_so_and_soon(name: str) -> None:
    with pytest.raises(ImpossibleSchema) as caught:
        example(IMPOSSIBLE[name], random.Random(0))
    assert str(caught.value)


# Generated schemas

names = st.text("abcdefgh_", min_size=1, max_size=6)
small = st.integers(0, 6)


def strings() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, small, small)
    formats = st.sampled_from(["date", "date-time", "email", "uuid", "ipv4", "uri"]).map(
        lambda f: {"type": "string", "format": f}
    )
    patterns = st.sampled_from(
        [
            r"^[a-z]+$",
            r"\d{3}",
            r"^(foo|bar)-[0-9]{2,4}$",
            r"^\w+@\w+\.com$",
            r"[^abc]x?",
            r"^(?:[A-F0-9]{2}:){5}[A-F0-9]{2}$",
        ]
    ).map(lambda p: {"type": "string", "pattern": p})
    return plain | formats | patterns | st.just({"type": "string"})


def numbers() -> st.SearchStrategy[dict[str, Any]]:
    bounded = st.builds(
        lambda kind, low, more: {"type": kind, "minimum": low, "maximum": low + more},
        st.sampled_from(["integer", "number"]),
        st.integers(-50, 50),
        small,
    )
    exclusive = st.builds(
        lambda low: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 1}, st.integers(-9, 9)
    )
    steps = st.builds(
        lambda kind, step, low: {"type": kind, "multipleOf": step, "minimum": low},
        st.sampled_from(["integer", "number"]),
        st.sampled_from([1, 2, 3, 0.5, 0.25, 10]),
        st.integers(-20, 20),
    )
    return bounded | exclusive | steps


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def objects(draw: Any) -> dict[str, Any]:
        properties = draw(st.dictionaries(names, inner, max_size=4))
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if properties:
            schema["required"] = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
        extra = draw(st.none() | st.booleans() | inner)
        if extra is not None:
            schema["additionalProperties"] = extra
        return schema

    arrays = st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        inner,
        st.integers(0, 3),
        st.integers(0, 3),
    )
    unions = st.lists(inner, min_size=1, max_size=3).map(lambda members: {"anyOf": members})
    merged = objects().map(lambda each: {"allOf": [each, {"type": "object", "minProperties": 0}]})
    return objects() | arrays | unions | merged


leaves = (
    strings()
    | numbers()
    | st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, True, {"type": ["string", "null"]}])
    | st.lists(st.none() | st.booleans() | st.integers() | st.text(max_size=4), min_size=1, max_size=4).map(
        lambda values: {"enum": values}
    )
)
schemas = st.recursive(leaves, composed, max_leaves=12)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schemas, st.integers(0, 1 << 30), st.sampled_from(["", TALK]))
def test_generated_schemas(schema: Any, seed: int, talk: str) -> None:
    checked(schema, example(schema, random.Random(seed), hints=talk))


KEYWORDS = (
    "type properties required items anyOf oneOf allOf not if then else enum const $ref $defs pattern minLength "
    "minItems maxItems minimum multipleOf additionalProperties patternProperties contains"
).split()


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["string", "object", "#", "^a+$", "a"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYWORDS),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_nonsense_is_an_instance_or_an_error(schema: Any) -> None:
    try:
        value = example(schema, random.Random(0))
    except ImpossibleSchema:
        return
    assert fits(value, schema)


# Patterns

PATTERNS = [
    r"^[A-Z]{3}-\d{4}$",
    r"^(?=.*[A-Z])(?=.*\d)(?=.*[!@#])[A-Za-z\d!@#]{8,20}$",
    r"^\+?[1-9]\d{1,14}$",
    r"^([01]\d|2[0-3]):[0-5]\d$",
    r"^#(?:[0-9a-fA-F]{3}){1,2}$",
    r"^(?!admin)[a-z]{5,8}$",
    r"^(\w)\1$",
    r"^(?<year>\d{4})-(?<month>0[1-9]|1[0-2])$",
    r"\bword\b",
    r"^$",
    r"",
    r"^\S+\s\S+$",
    r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    r"^[\w.-]+(\/[\w.-]+)*$",
    r"^\p{Lu}\p{L}+$",
    r"^(a|b|c){2,3}?d*$",
    r"^[\u4e00-\u9fa5]{2}$",
    r"^.{10}$",
    r"colou?r",
    r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
    r"^(([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])\.){3}([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])$",
    r"^sk-[A-Za-z0-9]{20,}$",
    r"^[[&|~]+$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern: str) -> None:
    schema = {"type": "string", "pattern": pattern}
    for seed in range(30):
        checked(schema, example(schema, random.Random(seed)))


@pytest.mark.parametrize(("low", "high"), [(0, 3), (5, 5), (40, 60), (300, 400)])
def test_patterns_with_lengths(low: int, high: int) -> None:
    for pattern in (r"^[a-z]+$", r"[0-9]", r"^a.*$", r"^(ab?)*$"):
        for seed in range(10):
            text = matching(pattern, random.Random(seed), least=low, most=high)
            assert text is not None
            assert low <= len(text) <= high
            assert re.search(pattern, text)


@pytest.mark.timeout(30)  # they would take hours
def test_patterns_that_lead_nowhere_end_soon() -> None:
    assert matching(r"^(?=(a+)+$)b$", random.Random(0)) is None
    assert matching(r"^(?=b)a$", random.Random(0)) is None
    assert matching(r"^((a{1,50}){1,50}){1,50}$", random.Random(0), most=100) is not None


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "a{2,1}", "*", r"(?P<a", "\\"])
def test_patterns_that_cannot_be_read(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        matching(pattern, random.Random(0))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "bogus"}, "'bogus' is not a type of JSON Schema"),
        ({"type": ["text", "string"]}, "'text' is not a type of JSON Schema"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "required": ["a"]}, "'#/$defs/b' refers to"),
        ({"$ref": "#/anyOf/7", "anyOf": [True]}, "'#/anyOf/7' refers to"),
        ({"$ref": "https://example.com/b.json"}, "'https://example.com/b.json' refers to"),
        ({"type": "array", "minItems": 100_000}, "the schema should have at least 100000"),
        ({"type": "integer", "minimum": 1e308}, "no number for the schema"),
        (
            {"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 10**30}}, "required": ["a"]},
            "for 'a'",
        ),
    ],
)
def test_mistakes_are_told_in_words(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(ImpossibleSchema) as caught:
        example(schema, random.Random(0))
    assert said in str(caught.value)
    assert "Error" not in str(caught.value)
