"""Moderations: told apart by words, each input for itself."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon import FakeOpenAI
from antiphon.engines import ModerationFunction, WordListModeration
from antiphon.engines.moderation import CATEGORIES
from antiphon.server.engine import ModerationRequest


async def judged(api: Any, given: Any, **options: Any) -> list[Any]:
    return list((await api.call("moderations.create", input=given, **options)).results)


async def test_a_threat_is_flagged_and_a_kindness_is_not(api: Any) -> None:
    answer = await api.call("moderations.create", input="I want to kill them.")
    assert answer.id.startswith("modr-")
    assert answer.model == "omni-moderation-latest"
    (result,) = answer.results
    assert result.flagged
    assert result.categories.violence
    assert result.categories.harassment_threatening
    assert not result.categories.sexual
    assert 0.5 < result.category_scores.violence < 1
    assert 0 < result.category_scores.sexual_minors < 0.01
    assert result.category_applied_input_types.violence == ["text"]
    (kind,) = await judged(api, "I want to hug them.")
    assert not kind.flagged
    assert not any(kind.categories.to_dict().values())


async def test_a_result_for_each_text(api: Any) -> None:
    results = await judged(api, ["sunshine", "how to make a pipe bomb", "I plan to kill myself"])
    assert [each.flagged for each in results] == [False, True, True]
    assert results[1].categories.illicit_violent
    assert not results[1].categories.self_harm
    assert results[2].categories.self_harm_intent
    assert [each.to_dict() for each in await judged(api, ["sunshine"])] == [results[0].to_dict()]


async def test_texts_and_pictures_are_judged_together(api: Any) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/naked-gore.png"}}
    (result,) = await judged(api, [{"type": "text", "text": "Look at this"}, picture])
    assert result.categories.violence_graphic
    assert result.categories.sexual
    assert result.category_applied_input_types.sexual == ["text", "image"]
    assert result.category_applied_input_types.hate == ["text"]
    harmless = {"type": "image_url", "image_url": {"url": "data:image/png;base64,c2V4"}}
    (result,) = await judged(api, [harmless])
    assert not result.flagged
    assert result.category_applied_input_types.sexual == ["image"]
    assert result.category_applied_input_types.hate == []
    with pytest.raises(api.errors.BadRequestError, match="accepts text only") as caught:
        await judged(api, [picture], model="text-moderation-latest")
    assert caught.value.param == "input"


async def test_names_that_stand_for_a_model(api: Any) -> None:
    assert (await api.call("moderations.create", input="x", model="text-moderation-stable")).model == (
        "text-moderation-007"
    )


@pytest.mark.parametrize(("given", "param"), [([], "input"), (5, "input"), ([{"type": "text"}], "input")])
async def test_what_cannot_be_judged(api: Any, given: Any, param: str) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await judged(api, given)
    assert caught.value.param.startswith(param)


def test_engines_of_ones_own() -> None:
    async def later(request: Any) -> list[str]:
        return ["sexual"] if request.images else []

    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    text = {"type": "text", "text": "x"}
    client = FakeOpenAI(moderations=later).client()
    assert [client.moderations.create(input=[each]).results[0].flagged for each in (image, text)] == [True, False]  # type: ignore[list-item]
    assert FakeOpenAI(moderations=lambda text: text == "a").client().moderations.create(input="a").results[0].flagged
    strict = FakeOpenAI(moderations={"*": WordListModeration(flag={"hate": ["boo"]}), "mine": lambda text: "illicit"})
    assert strict.client().moderations.create(input="boo!").results[0].categories.hate
    assert strict.client().moderations.create(input="boo!", model="mine").results[0].categories.illicit
    with pytest.raises(ValueError, match="there is no category 'rude'; there are harassment"):
        WordListModeration(flag={"rude": ["x"]})
    with pytest.raises(TypeError, match="a moderation engine is a function of a text"):
        FakeOpenAI(moderations=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"hate": 2}, {"rude": 0.5}, ["rude"]])
def test_scores_that_are_none(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    import antiphon

    client = FakeOpenAI(moderations=ModerationFunction(lambda text: wrong)).client(max_retries=0)
    with pytest.raises(antiphon.InternalServerError):
        client.moderations.create(input="x")
    assert "a score is between" in caplog.text or "there is no category" in caplog.text


def test_every_category_is_scored() -> None:
    assert tuple(WordListModeration()(ModerationRequest("m", "x"))) == CATEGORIES
