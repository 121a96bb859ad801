"""Answers that were parsed: read, dumped as JSON again, and sent back as they came."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from typing import Any

import msgspec
import pydantic
import pytest

from antiphon.kernel.errors import ContentFilterFinishReasonError
from antiphon.types.chat import ChatCompletion, ParsedChatCompletionMessage
from antiphon.types.responses import ParsedResponse, ParsedResponseOutputText


class Colour(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    day: datetime.date


class Struct(msgspec.Struct):
    value: int


@dataclasses.dataclass
class Data:
    models: list[Model]
    colours: frozenset[Colour]
    by_name: dict[str, Struct]
    day: datetime.date
    nothing: None = None


DAY = datetime.date(2026, 11, 21)


def test_what_was_parsed_is_dumped_as_json() -> None:
    data = Data([Model(day=DAY)], frozenset((Colour.RED,)), {"a": Struct(1)}, DAY)
    message: ParsedChatCompletionMessage[Data] = ParsedChatCompletionMessage.of({"content": "{}", "parsed": data})
    assert message.parsed is data
    expected: dict[str, Any] = {
        "models": [{"day": "2026-11-21"}],
        "colours": ["red"],
        "by_name": {"a": {"value": 1}},
        "day": "2026-11-21",
        "nothing": None,
    }
    assert message.to_dict()["parsed"] == expected
    assert json.loads(message.to_json())["parsed"] == expected
    assert json.loads(message.model_dump_json())["parsed"] == expected


def test_what_was_parsed_is_not_sent_back() -> None:
    part: ParsedResponseOutputText[Any]
    part = ParsedResponseOutputText.of({"text": "{}", "parsed": Struct(1), "annotations": [{"parsed_arguments": 1}]})
    assert part._sent() == {"text": "{}", "annotations": [{}]}
    assert part.parsed == Struct(1)
    assert ChatCompletion.of({"id": "c", "parsed": 1})._sent() == {"id": "c", "parsed": 1}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, None),
        ([None, {"type": "reasoning"}, {"type": "message"}, {"type": "message", "content": [None]}], None),
        ([{"type": "message", "content": [{"type": "output_text", "parsed": None}, {"type": "refusal"}]}], None),
        ([{"type": "message", "content": [{"type": "output_text", "parsed": {}}]}], {}),
    ],
)
def test_the_first_parsed_text_is_that_of_the_response(output: Any, expected: Any) -> None:
    assert ParsedResponse.of({"output": output}).output_parsed == expected


def test_what_was_filtered_is_kept() -> None:
    assert ContentFilterFinishReasonError(completion=1).completion == 1
    assert ContentFilterFinishReasonError().completion is None
