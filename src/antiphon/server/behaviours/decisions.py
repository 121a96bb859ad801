"""Decisions: `POST /decisions`. Each question is put to the model's engine, which answers with the value itself or with
JSON of the question's schema.

API reference: https://platform.openai.com/docs/api-reference/decisions
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import orjson

from ...api.decisions import Decisions
from ...kernel.errors import BadRequestError
from ..asking import asked
from ..behaviour import Call, serves

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Response
    from ..behaviour import Reply

__all__ = ("create",)

SURE: Final = 0.9
"""How sure a decision is that an engine has named; the others share the rest."""

_YES: Final = frozenset(("yes", "true", "1"))
_NO: Final = frozenset(("no", "false", "0"))


@serves(Decisions.create)
def create(call: Call) -> Reply:
    """An answer to each question, in their order. A model that refuses one may answer the others.

    Raises `BadRequestError` for choices that are not 2 to 255 different values, and for questions of one name.
    """
    questions: list[dict[str, Any]] = call.body["questions"]
    if not call.server.conjures:
        for place, question in enumerate(questions):
            _check(question, f"questions[{place}]")
        names = [question["name"] for question in questions if "name" in question]
        if len(set(names)) != len(names):
            raise BadRequestError.because("The names of questions must be unique.", param="questions")
    return _decided(call, questions)


def _check(question: Mapping[str, Any], param: str) -> None:
    if question["type"] != "choice":
        return
    values = [(type(each["value"]), each["value"]) for each in question["choices"]]
    if not 2 <= len(values) <= 255:
        raise BadRequestError.because(
            f"Invalid '{param}.choices': expected 2 to 255 choices, but got {len(values)}.", param=f"{param}.choices"
        )
    if len(set(values)) != len(values):
        raise BadRequestError.because(f"Invalid '{param}.choices': each choice must be unique.", param=param)


def _decided(call: Call, questions: Sequence[Mapping[str, Any]]) -> Flow[dict[str, Any] | Response]:
    answers: list[dict[str, Any]] = []
    spent: list[Mapping[str, Any]] = []
    for question in questions:
        answer = yield from asked(call.server, "/v1/responses", _question(call, question))
        response: dict[str, Any] = orjson.loads(answer.content)
        if answer.status >= 400:
            return answer
        spent.append(response.get("usage") or {})
        answers.append({**_answer(question, response), **({"name": question["name"]} if "name" in question else {})})
    return {"model": call.body["model"], "answers": answers, "usage": _usage(spent)}


def _question(call: Call, question: Mapping[str, Any]) -> dict[str, Any]:
    """A question as a request of responses, after the input it is about."""
    asked = call.body["input"]
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
    instructions = question["instructions"]
    words = instructions if isinstance(instructions, str) else "\n".join(part.get("text", "") for part in instructions)
    schema = {
        "type": "object",
        "properties": {"answer": _SCHEMAS[question["type"]](question)},
        "required": ["answer"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "name": "answer", "strict": True, "schema": schema}
    body = {"model": call.body["model"], "input": items, "instructions": words, "store": False}
    return {**body, "text": {"format": wanted}}


def _choices(question: Mapping[str, Any]) -> dict[str, Any]:
    return {"enum": [each["value"] for each in question["choices"]]}


def _levels(question: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "string", "enum": [each["label"] for each in question["levels"]]}


def _truth(question: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "boolean"}


_SCHEMAS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "predicate": _truth,
    "choice": _choices,
    "score": _levels,
}


def _answer(question: Mapping[str, Any], response: Mapping[str, Any]) -> dict[str, Any]:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    if any(part["type"] == "refusal" for part in parts):
        return {"type": "refusal"}
    said = "".join(part.get("text", "") for part in parts).strip()
    try:
        found = orjson.loads(said)
    except orjson.JSONDecodeError:
        found = said
    if isinstance(found, dict):
        found = found.get("answer")
    return {"type": question["type"], **_ANSWERS[question["type"]](question, found, said)}


def _predicate(question: Mapping[str, Any], found: Any, said: str) -> dict[str, Any]:
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return {"probability": min(max(float(found), 0.0), 1.0)}
    word = str(found).lower()
    known = {**dict.fromkeys(_YES, SURE), **dict.fromkeys(_NO, 1 - SURE)}
    return {"probability": round(known.get(word, _dice(said, 101) / 100), 6)}


def _choice(question: Mapping[str, Any], found: Any, said: str) -> dict[str, Any]:
    values = [each["value"] for each in question["choices"]]
    place = _place(values, found, said)
    chances = _chances(len(values), place)
    probabilities = [{"value": value, "probability": chance} for value, chance in zip(values, chances, strict=True)]
    return {"choice": values[place], "confidence": chances[place], "probabilities": probabilities}


def _score(question: Mapping[str, Any], found: Any, said: str) -> dict[str, Any]:
    labels = [each["label"] for each in question["levels"]]
    place = _place(labels, found, said)
    chances = _chances(len(labels), place)
    probabilities = [
        {"label": label, "value": value, "probability": chance}
        for value, (label, chance) in enumerate(zip(labels, chances, strict=True))
    ]
    score = sum(each["value"] * each["probability"] for each in probabilities)
    return {"score": round(score, 6), "confidence": chances[place], "probabilities": probabilities}


_ANSWERS: Final[dict[str, Callable[[Mapping[str, Any], Any, str], dict[str, Any]]]] = {
    "predicate": _predicate,
    "choice": _choice,
    "score": _score,
}


def _place(values: Sequence[Any], found: Any, said: str) -> int:
    """Which of the values was named; one that follows from what was said, where none was."""
    for place, value in enumerate(values):
        if type(value) is type(found) and value == found:
            return place
    words = [str(value) if isinstance(value, str) else str(value).lower() for value in values]
    return words.index(said) if said in words else _dice(said, len(values))


def _chances(count: int, place: int) -> list[float]:
    if count == 1:
        return [1.0]
    rest = round((1 - SURE) / (count - 1), 6)
    return [SURE if each == place else rest for each in range(count)]


def _dice(said: str, sides: int) -> int:
    return crc32(said.encode()) % sides


def _usage(spent: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    totals = {name: sum(each.get(name, 0) for each in spent) for name in ("input_tokens", "output_tokens")}
    return {
        **totals,
        "total_tokens": sum(totals.values()),
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
