"""Queries and form fields: nested values as flat pairs and back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._qs import Querystring

from antiphon.kernel import query
from antiphon.kernel.omit import not_given, omit


class Colour(Enum):
    RED = "red"
    ON = True


@pytest.mark.parametrize(
    ("params", "encoded"),
    [
        ({}, ""),
        ({"limit": 2}, "limit=2"),
        ({"a": "x y&z=ü"}, "a=x+y%26z%3D%C3%BC"),
        ({"a": True, "b": False}, "a=true&b=false"),
        ({"a": None, "b": omit, "c": not_given, "d": ""}, "d="),
        ({"include": ["a", "b"]}, "include%5B%5D=a&include%5B%5D=b"),
        ({"t": ("a",), "g": (each for each in "b")}, "t%5B%5D=a&g%5B%5D=b"),
        ({"metadata": {"k": "v", "n": None}}, "metadata%5Bk%5D=v"),
        ({"a": {"b": {"c": 1}}}, "a%5Bb%5D%5Bc%5D=1"),
        ({"ranks": [{"n": 1}, {"n": 2}]}, "ranks%5B%5D%5Bn%5D=1&ranks%5B%5D%5Bn%5D=2"),
        ({"f": 1.5, "i": 10**20}, "f=1.5&i=100000000000000000000"),
        ({"c": Colour.RED, "o": Colour.ON}, "c=red&o=true"),
        (
            {"d": date(2026, 1, 2), "t": datetime(2026, 1, 2, tzinfo=UTC)},
            "d=2026-01-02&t=2026-01-02T00%3A00%3A00%2B00%3A00",
        ),
        ({"a": [], "b": {}}, ""),
    ],
)
def test_encode(params: dict[str, Any], encoded: str) -> None:
    assert query.encode(params) == encoded


@pytest.mark.parametrize(
    ("encoded", "params"),
    [
        ("", {}),
        ("limit=2&limit=3&limit=4", {"limit": ["2", "3", "4"]}),
        ("limit=", {"limit": ""}),
        ("include[]=a&include[]=b", {"include": ["a", "b"]}),
        ("include%5B%5D=a+b", {"include": ["a b"]}),
        ("a[b][c]=1&a[b][d]=2&a[e]=3", {"a": {"b": {"c": "1", "d": "2"}, "e": "3"}}),
        ("a[][x]=1&a[][y]=2&a[][x]=3", {"a": [{"x": "1", "y": "2"}, {"x": "3"}]}),
        ("a[][x][]=1&a[][x][]=2", {"a": [{"x": ["1", "2"]}]}),
        ("a[][]=1&a[][]=2", {"a": [["1"], ["2"]]}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a[b]=1&a[]=2", {"a": ["2"]}),
        ("a[b]=1&a[b][c]=2", {"a": {"b": {"c": "2"}}}),
        ("a[b=1&[x]=2&a]=3", {"a[b": "1", "[x]": "2", "a]": "3"}),
    ],
)
def test_decode(encoded: str, params: dict[str, Any]) -> None:
    assert query.decode(encoded) == params


def test_keys_nest_no_deeper_than_64() -> None:
    value: Any = query.decode("a" + "[b]" * 1000 + "=1")
    depth = 0
    while isinstance(value, dict):
        [value] = value.values()
        depth += 1
    assert (value, depth) == ("1", 66)


names = st.text("abcdefgh_0123456789 é", min_size=1, max_size=6)
leaves = st.text(max_size=8).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))
values: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(leaves, min_size=1, max_size=4) | st.dictionaries(names, inner, min_size=1, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(names, values, max_size=5))
def test_what_is_encoded_is_decoded(params: dict[str, Any]) -> None:
    assert query.decode(query.encode(params)) == params
    assert query.nest(query.pairs(params)) == params


rows = st.lists(st.dictionaries(names, leaves, min_size=1, max_size=3), min_size=1, max_size=4)


@given(rows)
def test_lists_of_objects_of_the_same_keys_come_back(items: list[dict[str, str]]) -> None:
    items = [{**dict.fromkeys(items[0], ""), **{k: v for k, v in item.items() if k in items[0]}} for item in items]
    assert query.decode(query.encode({"rows": items})) == {"rows": items}


@given(st.dictionaries(names, values | st.booleans() | st.integers() | st.none(), max_size=5))
def test_the_official_package_writes_the_same(params: dict[str, Any]) -> None:
    assert query.encode(params) == Querystring(array_format="brackets").stringify(params)


@given(st.text("ab[]=&%5 ", max_size=30))
def test_nothing_that_stands_in_a_query_raises(encoded: str) -> None:
    assert isinstance(query.decode(encoded), dict)
