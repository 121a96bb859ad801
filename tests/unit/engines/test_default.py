"""The default engine by itself: which tools it calls, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from antiphon.engines.default import Default
from antiphon.engines.text import Echo
from antiphon.server.engine import ChatRequest, Tool, ToolChoice
from antiphon.server.turns import Citation, Reasoning, Refusal, ToolArguments, ToolCall

TOOLS = [
    Tool("search_flights", "Find flights between cities"),
    Tool("bookHotel", "Reserve a room"),
    Tool("weather", "Forecast"),
]


def calls(text: str, **options: Any) -> list[str]:
    maker = Default(Echo(), calls=options.pop("calls", 1))
    turn = maker(ChatRequest("m", [{"role": "user", "content": text}], tools=TOOLS, **options))
    return [] if isinstance(turn, str) else [piece.name for piece in turn if isinstance(piece, ToolCall)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("anything at all", ["search_flights"]),
        ("I need a room tonight", ["bookHotel"]),
        ("will it rain, what is the forecast?", ["weather"]),
        ("book hotel", ["bookHotel"]),
        ("use weather, then search flights", ["weather", "search_flights"]),
        ("call Search-Flights", ["search_flights"]),
        ("the weatherman", ["search_flights"]),
    ],
)
def test_tools_are_chosen_by_what_the_user_says(text: str, names: list[str]) -> None:
    assert calls(text) == names


def test_the_number_of_calls_can_be_raised() -> None:
    assert calls("weather", calls=2) == ["weather", "search_flights"]
    assert calls("weather", calls=5) == ["weather", "search_flights", "bookHotel", "weather", "search_flights"]
    assert calls("weather", calls=2, parallel_tool_calls=False) == ["weather"]
    assert calls("x", calls=2, tool_choice=ToolChoice("required", ("bookHotel",))) == ["bookHotel"]
    assert calls("x", calls=2, tool_choice=ToolChoice("none")) == []


def test_a_tool_without_parameters_gets_an_empty_object() -> None:
    turn = Default()(ChatRequest("m", [{"role": "user", "content": "x"}], tools=TOOLS))
    assert [piece.text for piece in turn if isinstance(piece, ToolArguments)] == ["{}"]


def test_optional_arguments_are_as_likely_as_told() -> None:
    properties = {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}}
    tool = Tool("weather", "", {"properties": properties, "required": ["city"]})

    def made(optional: float) -> list[tuple[str, ...]]:
        maker = Default(optional=optional)
        turns = [maker(ChatRequest("m", [{"role": "user", "content": f"{n}"}], tools=[tool])) for n in range(60)]
        texts = ["".join(each.text for each in turn if isinstance(each, ToolArguments)) for turn in turns]
        return [tuple(json.loads(text)) for text in texts]

    assert set(made(0)) == {("city",)}
    assert set(made(1)) == {("city", "unit", "days")}
    half = made(0.5)
    assert set(half) == {("city",), ("city", "unit"), ("city", "days"), ("city", "unit", "days")}
    assert 30 < sum(len(names) - 1 for names in half) < 90
    assert half == made(0.5)
    for wrong in (-0.1, 1.1, True, "0.5"):
        with pytest.raises(ValueError, match="optional is how likely optional arguments are"):
            Default(optional=wrong)  # type: ignore[arg-type]


def test_after_a_result_it_speaks_until_the_user_asks_again() -> None:
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "weather"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]
    assert Default(Echo())(ChatRequest("m", history, tools=TOOLS)) == "weather"
    again = Default(Echo())(ChatRequest("m", [*history, {"role": "user", "content": "bookHotel"}], tools=TOOLS))
    assert any(isinstance(piece, ToolCall) for piece in again)


def test_refusals_have_their_own_phrase_and_words() -> None:
    maker = Default(Echo(), refuse_when="No way", refusal="Nope.")
    assert maker(ChatRequest("m", [{"role": "user", "content": "no WAY"}])) == [Refusal("Nope.")]
    assert maker(ChatRequest("m", [{"role": "user", "content": "please refuse"}])) == "please refuse"
    assert (
        Default(Echo(), refuse_when="")(ChatRequest("m", [{"role": "user", "content": "please refuse"}]))
        == "please refuse"
    )


def test_reasoning_goes_before_whatever_the_text_engine_says() -> None:
    def pieces(request: Any) -> Any:
        yield "a"
        yield Citation("https://example.com", "t", 0, 1)

    turn = list(Default(pieces)(ChatRequest("m", [{"role": "user", "content": "x"}], reasoning_effort="low")))
    assert isinstance(turn[0], Reasoning)
    assert turn[1] == "a"
    assert Default(Echo())(ChatRequest("m", [{"role": "user", "content": "x"}], reasoning_effort="none")) == "x"


def test_json_follows_a_schema_that_is_written_in_the_messages() -> None:
    """As instructor and others ask for objects of models that know no schemas."""
    import json

    from antiphon import FakeOpenAI

    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
        "additionalProperties": False,
    }
    told = f"Understand the content, with this schema: {{curly}} {json.dumps(schema)} and nothing else."
    for text, keys in ((told, ["age"]), ("JSON, please. " + "{" * 500 + '"properties"', ["answer"])):
        said = (
            FakeOpenAI()
            .client()
            .chat.completions.create(
                model="gpt-5",
                messages=[{"role": "system", "content": text + " json"}, {"role": "user", "content": "Hello"}],
                response_format={"type": "json_object"},
            )
        )
        assert list(json.loads(said.choices[0].message.content or "")) == keys
