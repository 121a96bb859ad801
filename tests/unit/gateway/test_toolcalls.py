"""Calls of tools in texts: however a text is split, the same comes of it, and nothing gets lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.gateway.toolcalls import Parser, parser, parsers
from antiphon.server.engine import Tool
from antiphon.server.turns import ToolArguments, ToolCall

TOOLS = [
    Tool("weather", parameters={"type": "object", "properties": {"city": {"type": "string"}, "days": {}}}),
    Tool("now"),
    Tool("shout", custom=True),
]
WEATHER = ("weather", {"city": "Paris"})
NOW = ("now", {})


def read(key: str, *parts: str) -> tuple[str, list[tuple[str, Any]]]:
    """The text that stays, and the calls."""
    made: Parser = parser(key)(TOOLS)
    pieces = [piece for part in parts for piece in made.feed(part)] + made.end()
    text, calls = "", []
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
        elif isinstance(piece, ToolCall):
            calls.append([piece.name, ""])
        else:
            assert isinstance(piece, ToolArguments)
            calls[-1][1] += piece.text
    return text, [(name, json.loads(said) if said[:1] in "{[" else said) for name, said in calls]


CASES = [
    ("hermes", 'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>', WEATHER),
    ("hermes", ('<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}</tool_call>\n'
     '<tool_call>\n{"name": "now"}</tool_call>\n'), WEATHER, NOW),
    ("hermes", '<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}', WEATHER),
    ("hermes", ("<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n"
     "</parameter>\n</function>\n</tool_call>"), ("weather", {"city": "Paris", "days": 3})),
    ("hermes", '<tool_call>{"name": "shout", "arguments": {"input": "a </tool_call> b"}}</tool_call>',
     ("shout", "a </tool_call> b")),
    ("llama3", '{"name": "weather", "parameters": {"city": "Paris"}}', WEATHER),
    ("llama3", '<|python_tag|>{"name": "weather", "parameters": {"city": "Paris"}}; {"name": "now"}', WEATHER, NOW),
    ("llama3", '  {"type": "function", "function": {"name": "weather", "parameters": {"city": "Paris"}}}', WEATHER),
    ("mistral", '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Paris"}, "id": "a1b2c3d4e"}]', WEATHER),
    ("mistral", 'Yes.[TOOL_CALLS]weather[ARGS]{"city": "Paris"}[TOOL_CALLS]now{}', WEATHER, NOW),
    ("mistral", '[TOOL_CALLS]weather[CALL_ID]x1[ARGS]{"city": "Paris"}', WEATHER),
    ("pythonic", '[weather(city="Paris"), now()]', WEATHER, NOW),
    ("pythonic", "<|python_start|>[weather(city='Pa]ris', days=[1, {'a': true}])]<|python_end|>",
     ("weather", {"city": "Pa]ris", "days": [1, {"a": True}]})),
    ("json", '[{"name": "weather", "arguments": "{\\"city\\": \\"Paris\\"}"}, {"name": "now"}]', WEATHER, NOW),
    ("json", '```json\n{"name": "weather", "arguments": {"city": "Paris"}}\n```', WEATHER),
    ("functions", 'So: <function=weather>{"city": "Paris"}</function>', WEATHER),
]  # fmt: skip
TEXTS = [
    ("hermes", "What is <tool_call> for? <tool_call>{nonsense}</tool_call> x"),
    ("hermes", '<tool_call>{"name": "weather", "arguments": {"city": "Par'),
    ("hermes", '<tool_call>["a"]</tool_call>'),
    ("llama3", '{"name": "someone else", "age": 3} is a person'),
    ("llama3", "<|python_tag|>print(1)"),
    ("llama3", '{"name": "weather", '),
    ("mistral", "[TOOL_CALLS] nothing, really"),
    ("mistral", "[TOOL"),
    ("pythonic", "[1, 2, 3] is a list"),
    ("pythonic", "[weather(city=__import__('os'))]"),
    ("json", '{"answer": 42}'),
    ("json", "```python\nprint(1)\n```"),
    ("functions", "<function=weather>no JSON</function>"),
    ("functions", "  just text \n"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[1][:30]}")
def test_calls_are_found(case: Any) -> None:
    key, text, *calls = case
    said, found = read(key, text)
    assert found == calls
    assert said in ("", "Let me see.", "Yes.", "So:")


@pytest.mark.parametrize(("key", "text"), TEXTS)
def test_what_is_no_call_stays_text(key: str, text: str) -> None:
    assert read(key, text) == (text, [])


@given(st.sampled_from([*(case[:2] for case in CASES), *TEXTS]), st.data())
def test_any_split_gives_the_same(case: tuple[str, str], data: st.DataObject) -> None:
    key, text = case
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert read(key, *parts) == read(key, text)


_BITS = st.sampled_from(
    ["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", '{"name": "now"}', "now[ARGS]{}", "[now()]", "<",
     "[", "{", "}", "]", ";", " ", "\n", '"', "a", "<function=now>", "</function>", "<|python_start|>", "```", "json\n"]
)  # fmt: skip


@given(st.sampled_from(sorted(parsers())), st.lists(_BITS, max_size=12), st.data())
def test_any_text_split_anyhow(key: str, bits: list[str], data: st.DataObject) -> None:
    text = "".join(bits)
    whole = read(key, text)
    assert read(key, *text) == whole
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
    assert read(key, *[text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]) == whole
    if not whole[1]:
        assert whole[0] == text


def test_unknown_parsers_are_told() -> None:
    with pytest.raises(ValueError, match="there are functions, hermes, json, llama3, mistral, pythonic"):
        parser("nope")


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("hermes", '<tool_call>{"name": "weather", "arguments": {"a": [', "[]]}}</tool_call>"),
        ("llama3", '{"name": "weather", "parameters": {"a": [', "[]]}}"),
        ("mistral", '[TOOL_CALLS][{"name": "weather", "arguments": {"a": [', "[]]}}]"),
        ("pythonic", "[weather(a=[", "[]])]"),
    ],
)
def test_long_calls_and_many_beginnings_are_not_read_again_and_again(key: str, before: str, after: str) -> None:
    cls = type(parser(key)(TOOLS))
    looked = 0

    class Counting(cls):  # type: ignore[misc, valid-type]
        def read(self, text: str, *, last: bool) -> Any:
            nonlocal looked
            looked += len(text)
            return super().read(text, last=last)

    def told(*texts: str) -> list[Any]:
        made = Counting(TOOLS)
        return [piece for text in texts for piece in made.feed(text)] + made.end()

    call, arguments = told(before, *["[],"] * 3000, after)
    assert (call.name, len(json.loads(arguments.text)["a"])) == ("weather", 3001)
    assert looked < 200 * 3000 * 3
    looked = 0
    mark = (cls.marks or ("",))[0] + "{["
    pieces = told(*[mark] * 1000)
    assert "".join(pieces) == mark * 1000
    assert looked < 100 * 1000 * len(mark)
