"""Decisions of the fake: each question is put to the model's engine."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon import BadRequestError, FakeOpenAI
from antiphon.types import Decision

CHOICE: Any = {
    "type": "choice",
    "name": "next",
    "instructions": "What now?",
    "choices": [{"value": "open"}, {"value": "enter"}, {"value": True}],
}
SCORE: Any = {"type": "score", "instructions": "How good?", "levels": [{"label": "bad"}, {"label": "good"}]}
PREDICATE: Any = {"type": "predicate", "name": "warm", "instructions": "Is it warm?"}


def decide(engine: Any, *questions: Any, input: Any = "The door is shut.") -> Decision:
    return FakeOpenAI(engine=engine).client().decisions.create(model="m", input=input, questions=questions)


def test_an_engine_names_the_choice() -> None:
    asked: list[Any] = []

    def engine(request: Any) -> str:
        asked.append((request.user_text, request.instructions))
        return "enter"

    decision = decide(engine, CHOICE, input=[{"role": "user", "content": "task"}, {"role": "user", "content": "seen"}])
    answer = decision.answers[0]
    assert asked == [("seen", "What now?")]
    assert (answer.type, answer.name) == ("choice", "next")
    assert answer.type == "choice" and answer.choice == "enter" and answer.confidence == 0.9
    assert [each.value for each in answer.probabilities] == ["open", "enter", True]
    assert sum(each.probability for each in answer.probabilities) == pytest.approx(1)
    assert decision.usage.total_tokens == decision.usage.input_tokens + decision.usage.output_tokens > 0


@pytest.mark.parametrize("said", ["true", '{"answer": true}'])
def test_a_boolean_choice_is_no_text(said: str) -> None:
    answer = decide(lambda request: said, CHOICE).answers[0]
    assert answer.type == "choice" and answer.choice is True


def test_every_kind_is_answered_by_the_default_engine_and_always_the_same() -> None:
    decision = decide(None, CHOICE, SCORE, PREDICATE)
    assert [answer.type for answer in decision.answers] == ["choice", "score", "predicate"]
    assert [answer.name for answer in decision.answers] == ["next", None, "warm"]
    assert decision.answers == decide(None, CHOICE, SCORE, PREDICATE).answers


def test_scores_and_predicates_are_numbers() -> None:
    score, warm = decide(lambda request: "good" if "good" in request.instructions else "no", SCORE, PREDICATE).answers
    assert score.type == "score" and score.score == pytest.approx(0.9)
    assert [(each.label, each.value) for each in score.probabilities] == [("bad", 0), ("good", 1)]
    assert warm.type == "predicate" and warm.probability == pytest.approx(0.1)


def test_a_refusal_is_of_one_question() -> None:
    def engine(request: Any) -> Any:
        return {"refusal": "no"} if "warm" in request.instructions else "open"

    assert [answer.type for answer in decide(engine, CHOICE, PREDICATE).answers] == ["choice", "refusal"]


def test_choices_are_two_or_more_and_unique() -> None:
    with pytest.raises(BadRequestError, match="2 to 255"):
        decide(None, {**CHOICE, "choices": [{"value": "a"}]})
    with pytest.raises(BadRequestError, match="unique"):
        decide(None, {**CHOICE, "choices": [{"value": "a"}, {"value": "a"}]})
    with pytest.raises(BadRequestError, match="unique"):
        decide(None, CHOICE, CHOICE)


def test_an_error_of_the_engine_is_the_answer() -> None:
    def engine(request: Any) -> str:
        raise BadRequestError.because("no such thing", code="nothing")

    with pytest.raises(BadRequestError, match="no such thing"):
        decide(engine, CHOICE)
