"""Queries and forms: strings to the types of the schema."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import schema
from antiphon.kernel.errors import BadRequestError
from antiphon.server.behaviour import UploadedFile
from antiphon.server.parameters import parse_query
from antiphon.server.validation import compile_form, compile_query

FILE = UploadedFile("a.png", "image/png", b"x")


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("files.list", "", {}),
        ("files.list", "limit=20&order=asc&purpose=batch", {"limit": 20, "order": "asc", "purpose": "batch"}),
        ("files.list", "after=file%2Dx&api-version=2026-01-01", {"after": "file-x"}),
        ("chat.completions.list", "metadata[k]=v&metadata%5Bj%5D=1", {"metadata": {"k": "v", "j": "1"}}),
        ("responses.retrieve", "stream=true&starting_after=3", {"stream": True, "starting_after": 3}),
        ("responses.retrieve", "include_obfuscation=False", {"include_obfuscation": False}),
        (
            "responses.retrieve",
            "include[]=reasoning.encrypted_content&include[]=file_search_call.results",
            {"include": ["reasoning.encrypted_content", "file_search_call.results"]},
        ),
        ("responses.retrieve", "include=reasoning.encrypted_content", {"include": ["reasoning.encrypted_content"]}),
        ("responses.retrieve", "include[0]=reasoning.encrypted_content", {"include": ["reasoning.encrypted_content"]}),
        (
            "admin.organization.audit_logs.list",
            "effective_at[gte]=1700000000&actor_ids[]=a&actor_ids[]=b",
            {"effective_at": {"gte": 1_700_000_000}, "actor_ids": ["a", "b"]},
        ),
        (
            "admin.organization.usage.completions",
            "start_time=1&batch=true&models=a&models=b",
            {"start_time": 1, "batch": True, "models": ["a", "b"]},
        ),
    ],
)
def test_queries(name: str, query: str, expected: dict[str, Any]) -> None:
    assert compile_query(name)(query) == expected


@pytest.mark.parametrize(
    ("name", "query", "param", "code", "message"),
    [
        (
            "files.list",
            "limit=x",
            "limit",
            "invalid_type",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
        ),
        (
            "beta.assistants.list",
            "limit=101",
            "limit",
            "integer_above_max_value",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.",
        ),
        (
            "files.list",
            "order=up",
            "order",
            "invalid_value",
            "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.",
        ),
        (
            "responses.retrieve",
            "stream=maybe",
            "stream",
            "invalid_type",
            "Invalid type for 'stream': expected a boolean, but got a string instead.",
        ),
        (
            "admin.organization.usage.completions",
            "",
            "start_time",
            "missing_required_parameter",
            "Missing required parameter: 'start_time'.",
        ),
        (
            "admin.organization.audit_logs.list",
            "effective_at[gte]=soon",
            "effective_at.gte",
            "invalid_type",
            "Invalid type for 'effective_at.gte': expected an integer, but got a string instead.",
        ),
    ],
)
def test_bad_queries(name: str, query: str, param: str, code: str, message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        compile_query(name)(query)
    assert (caught.value.param, caught.value.code, caught.value.message) == (param, code, message)


def test_unknown_parameters_of_a_query_can_be_refused() -> None:
    with pytest.raises(BadRequestError) as caught:
        compile_query("files.list", unknown="refuse")("foo=1")
    assert caught.value.message == "Unknown parameter: 'foo'."


def test_a_reader_hands_out_a_new_dict_each_time() -> None:
    read = compile_query("files.list")
    read("")["changed"] = True
    assert read("") == {}


@pytest.mark.parametrize("query", ["&".join(["x=1"] * 10_001), "a" + "[b]" * 40 + "=1", "a=1&a[b]=2"])
def test_queries_that_make_no_sense(query: str) -> None:
    with pytest.raises(BadRequestError, match=r"^Invalid query string: "):
        compile_query("files.list")(query)


json_like = st.recursive(
    st.text(min_size=1, max_size=5),
    lambda inner: (
        st.lists(st.text(max_size=4), min_size=1, max_size=3)
        | st.dictionaries(st.text("abcd", min_size=1, max_size=3), inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in flat(item, f"{name}[{key}]")]
    if isinstance(value, list):
        return [(f"{name}[]", item) for item in value]
    return [(name, value)]


@given(st.dictionaries(st.text("xyz", min_size=1, max_size=4), json_like, max_size=4))
def test_what_is_written_with_brackets_is_read_again(value: dict[str, Any]) -> None:
    pairs = [pair for key, item in value.items() for pair in flat(item, key)]
    assert parse_query(urlencode(pairs)) == value


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(schema.operations())), st.text(max_size=40))
def test_any_query_at_all_is_taken_or_refused(name: str, query: str) -> None:
    for written in (query, quote(query), f"limit={quote(query)}&{quote(query)}[]=1"):
        with suppress(BadRequestError):
            assert isinstance(compile_query(name)(written), dict)


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("files.create", [("file", FILE), ("purpose", "batch")], {"file": FILE, "purpose": "batch"}),
        (
            "files.create",
            [
                ("file", FILE),
                ("purpose", "batch"),
                ("expires_after[anchor]", "created_at"),
                ("expires_after[seconds]", "3600"),
            ],
            {"file": FILE, "purpose": "batch", "expires_after": {"anchor": "created_at", "seconds": 3600}},
        ),
        (
            "images.edit",
            [("image[]", FILE), ("image[]", FILE), ("prompt", "12"), ("n", "2"), ("stream", "true")],
            {"image": [FILE, FILE], "prompt": "12", "n": 2, "stream": True},
        ),
        ("images.edit", [("image", FILE), ("prompt", "x")], {"image": FILE, "prompt": "x"}),
        (
            "audio.transcriptions.create",
            [
                ("file", FILE),
                ("model", "whisper-1"),
                ("temperature", "0.5"),
                ("timestamp_granularities[]", "word"),
                ("chunking_strategy", "auto"),
            ],
            {
                "file": FILE,
                "model": "whisper-1",
                "temperature": 0.5,
                "timestamp_granularities": ["word"],
                "chunking_strategy": "auto",
            },
        ),
        (
            "audio.transcriptions.create",
            [
                ("file", FILE),
                ("model", "m"),
                ("chunking_strategy[type]", "server_vad"),
                ("chunking_strategy[silence_duration_ms]", "200"),
            ],
            {"file": FILE, "model": "m", "chunking_strategy": {"type": "server_vad", "silence_duration_ms": 200}},
        ),
        (
            "audio.transcriptions.create",
            [("file", FILE), ("model", "m"), ("chunking_strategy", '{"type":"server_vad"}')],
            {"file": FILE, "model": "m", "chunking_strategy": {"type": "server_vad"}},
        ),
    ],
)
def test_forms(name: str, fields: list[tuple[str, Any]], expected: dict[str, Any]) -> None:
    assert compile_form(name)(fields) == expected


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("files.create", [("purpose", "batch")], "Missing required parameter: 'file'."),
        (
            "files.create",
            [("file", "text"), ("purpose", "batch")],
            "Invalid type for 'file': expected a file, but got a string instead.",
        ),
        (
            "images.edit",
            [("image[]", FILE), ("image[]", "text"), ("prompt", "x")],
            "Invalid type for 'image[1]': expected a file, but got a string instead.",
        ),
        (
            "images.edit",
            [("image", FILE), ("prompt", "x"), ("n", "11")],
            "Invalid 'n': integer above maximum value. Expected a value <= 10, but got 11 instead.",
        ),
        ("images.edit", [("image", FILE), ("prompt", "x"), ("foo", "1")], "Unknown parameter: 'foo'."),
        (
            "images.edit",
            [("image", FILE), ("prompt", FILE)],
            "Invalid type for 'prompt': expected a string, but got a file instead.",
        ),
    ],
)
def test_bad_forms(name: str, fields: list[tuple[str, Any]], message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        compile_form(name)(fields)
    assert caught.value.message == message
