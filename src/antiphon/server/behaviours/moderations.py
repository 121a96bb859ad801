"""Moderations: `POST /moderations`. Inputs are told apart here, the scores come from an engine."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any

from ...api.moderations import Moderations
from ...kernel.errors import BadRequestError
from ...types.moderation import Categories
from ..behaviour import Call, serves
from ..engine import ModerationRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...kernel.flow import Flow
    from ..behaviour import Reply

__all__ = ("create",)

DEFAULT = "omni-moderation-latest"

FLAGGED = 0.5
"""From this score on a category is flagged."""

_CATEGORIES = tuple(Categories._keys.get(name, name) for name in Categories.__annotations__ if not name.startswith("_"))

_OF_PICTURES = frozenset(
    {"self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic"}
)
"""Categories that pictures are judged by; the others know only text."""

_RESOLVED = {"text-moderation-latest": "text-moderation-007", "text-moderation-stable": "text-moderation-007"}
"""Names that stand for a model, and the model that answers."""


@serves(Moderations.create)
def create(call: Call) -> Reply:
    """A result for each text of a list, or one for the parts of an input together.

    Follows https://developers.openai.com/api/reference/resources/moderations/methods/create
    """
    body = call.body
    model: str = body.get("model") or DEFAULT
    engine = call.server.engines.moderations(model)
    requests = _requests(body, model)
    found: list[Any] = [engine(request) for request in requests]
    moderation = call.server.ids.new("modr-")
    if any(isinstance(each, GeneratorType) for each in found):
        return _when_ready(found, requests, moderation)
    return _answer(found, requests, moderation)


def _requests(body: dict[str, Any], model: str) -> list[ModerationRequest]:
    given: Any = body["input"]
    if isinstance(given, str):
        given = [given]
    if not given:
        raise BadRequestError.because(
            "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="input",
            code="empty_array",
        )
    if isinstance(given[0], str):
        return [ModerationRequest(model, text, body=body) for text in given]
    images = [part["image_url"]["url"] for part in given if part["type"] == "image_url"]
    if images and model.startswith("text-moderation"):
        raise BadRequestError.because(
            f"Invalid value for 'input': '{model}' accepts text only. Use '{DEFAULT}' for images.", param="input"
        )
    texts = [part["text"] for part in given if part["type"] == "text"]
    return [ModerationRequest(model, "\n".join(texts), images, body)]


def _when_ready(found: list[Any], requests: list[ModerationRequest], moderation: str) -> Flow[dict[str, Any]]:
    scores: list[Any] = []
    for each in found:
        scores += [(yield from each) if isinstance(each, GeneratorType) else each]
    return _answer(scores, requests, moderation)


def _answer(found: list[Mapping[str, float]], requests: list[ModerationRequest], moderation: str) -> dict[str, Any]:
    model = requests[0].model
    return {
        "id": moderation,
        "model": _RESOLVED.get(model, model),
        "results": [_result(scores, request) for scores, request in zip(found, requests, strict=True)],
    }


def _result(given: Mapping[str, float], request: ModerationRequest) -> dict[str, Any]:
    scores = {category: float(given.get(category, 1e-6)) for category in _CATEGORIES}
    categories = {category: score >= FLAGGED for category, score in scores.items()}
    text = ["text"] if request.text or not request.images else []
    both = [*text, "image"] if request.images else text
    return {
        "flagged": any(categories.values()),
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": {
            category: both if category in _OF_PICTURES else text for category in _CATEGORIES
        },
    }
