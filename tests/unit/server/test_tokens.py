"""Tokens: known counts, exact round trips, and the rule for conversations."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.server import tokens

COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates "
        "corporate jargon into plain English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on "
        "opportunities for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
"""The example of the cookbook's page on counting tokens, for which it prints what the API answered."""


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo-0125:acme::id", "cl100k_base"),
        ("ft:gpt-4:acme::id", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("text-embedding-ada-002", "cl100k_base"),
        ("gpt-4o", "o200k_base"),
        ("gpt-4.1-mini", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("o3", "o200k_base"),
        ("my-own-model", "o200k_base"),
        ("", "o200k_base"),
    ],
)
def test_each_family_has_its_vocabulary(model: str, encoding: str) -> None:
    assert tokens.encoding_name(model) == encoding


def test_ids_are_the_published_ones() -> None:
    assert tokens.encode("hello world", "gpt-4") == [15339, 1917]
    assert tokens.encode("hello world", "gpt-4o") == [24912, 2375]
    assert tokens.encode("tiktoken is great!", "gpt-4") == [83, 1609, 5963, 374, 2294, 0]
    assert tokens.decode([15339, 1917], "gpt-4") == "hello world"


def test_conversations_cost_what_the_cookbook_says() -> None:
    assert tokens.message_tokens(COOKBOOK, "gpt-4") == 129
    assert tokens.message_tokens(COOKBOOK, "gpt-4o") == 124


def test_conversations_with_parts_calls_and_tools() -> None:
    one = tokens.message_tokens([{"role": "user", "content": "What is this?"}], "gpt-4o")
    part = {"type": "text", "text": "What is this?"}
    assert tokens.message_tokens([{"role": "user", "content": [part]}], "gpt-4o") == one
    assert tokens.message_tokens([{"role": "user", "content": ["What is this?"]}], "gpt-4o") == one
    low = {"type": "image_url", "image_url": {"url": "data:", "detail": "low"}}
    high = {"type": "image_url", "image_url": {"url": "data:"}}
    flat = {"type": "input_image", "image_url": "data:", "detail": "low"}
    assert tokens.message_tokens([{"role": "user", "content": [part, low]}], "gpt-4o") == one + 85
    assert tokens.message_tokens([{"role": "user", "content": [part, flat]}], "gpt-4o") == one + 85
    assert tokens.message_tokens([{"role": "user", "content": [part, high]}], "gpt-4o") == one + 765
    second = {"type": "input_audio", "input_audio": {"data": "A" * 64_000, "format": "wav"}}
    assert tokens.message_tokens([{"role": "user", "content": [part, second]}], "gpt-4o") == one + 11
    file = {"type": "file", "file": {"file_data": "A" * 50}}
    assert tokens.message_tokens([{"role": "user", "content": [part, file]}], "gpt-4o") == one + 11
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    empty = {"role": "assistant", "content": None}
    assert tokens.message_tokens([{**empty, "tool_calls": [call]}]) > tokens.message_tokens([empty]) + 10
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    assert tokens.message_tokens([empty], tools=[tool, tool]) > tokens.message_tokens([empty], tools=[tool]) + 10
    strange = {"role": "user", "content": [{"type": "new_kind", "x": 1}, 5]}
    assert tokens.message_tokens([strange]) > tokens.message_tokens([{"role": "user"}])
    assert tokens.message_tokens([{"role": "user", "content": {"x": 1}}]) > tokens.message_tokens([{"role": "user"}])


def test_special_tokens_are_counted_as_the_text_they_are() -> None:
    assert tokens.count("<|endoftext|>") > 1
    assert tokens.decode(tokens.encode("<|endoftext|>")) == "<|endoftext|>"


def test_ids_that_no_token_has_are_refused() -> None:
    assert tokens.decode([]) == ""
    with pytest.raises(ValueError, match="99999999 is not a token of cl100k_base"):
        tokens.decode([15339, 99999999], "gpt-4")
    with pytest.raises(ValueError, match="-1 is not a token"):
        tokens.decode([-1])


def test_half_of_a_surrogate_pair_is_counted_and_does_not_raise() -> None:
    text = "a\ud800b"
    assert tokens.count(text) == tokens.count("a?b") == len(tokens.encode(text))
    assert "".join(piece.text for piece in tokens.pieces(text)) == "a?b"


def test_a_character_of_several_tokens_stands_in_the_last_of_them() -> None:
    pieces = tokens.pieces("hi 🧠", "gpt-4o")
    assert [piece.text for piece in pieces] == ["hi", " ", "", "🧠"]
    assert pieces[1].bytes == b" \xf0\x9f"


def test_long_texts_are_counted_and_not_remembered() -> None:
    text = "word " * 5000
    assert tokens.count(text) == len(tokens.encode(text)) == 5001


@given(st.text(max_size=80), st.sampled_from(["gpt-4", "gpt-4o"]))
@settings(max_examples=150, deadline=None)
def test_pieces_join_to_the_text(text: str, model: str) -> None:
    pieces = tokens.pieces(text, model)
    assert "".join(piece.text for piece in pieces) == text
    assert b"".join(piece.bytes for piece in pieces) == text.encode()
    assert [piece.id for piece in pieces] == tokens.encode(text, model)
    assert tokens.count(text, model) == len(pieces) == tokens.counter(model)(text)
    assert tokens.decode(tokens.encode(text, model), model) == text


def test_preload_brings_the_vocabulary_without_being_waited_for() -> None:
    program = """
import sys, time
from antiphon.server import tokens
assert "toktok" not in sys.modules
tokens.preload("gpt-4")
for _ in range(2000):
    if "cl100k_base" in tokens._loaded: break
    time.sleep(0.01)
tokens.preload("gpt-4")
assert list(tokens._loaded) == ["cl100k_base"]
assert tokens.count("hello world", "gpt-4") == 2
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
