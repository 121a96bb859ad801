from __future__ import annotations

from typing import Any

import pytest


async def test_models_are_listed_and_retrieved(api: Any) -> None:
    models = await api.items(await api.call("models.list"))
    assert len(models) > 20
    first = models[0]
    assert (first.object, type(first.created)) == ("model", int)
    again = await api.call("models.retrieve", first.id)
    assert again.to_dict() == first.to_dict()


async def test_a_model_that_does_not_exist_is_not_found(api: Any) -> None:
    with pytest.raises(api.errors.NotFoundError) as caught:
        await api.call("models.retrieve", "gpt-0")
    assert caught.value.code == "model_not_found"
    assert caught.value.status_code == 404
    assert "gpt-0" in str(caught.value)


@pytest.mark.fake(models=["mine", "yours"])
async def test_models_can_be_limited(api: Any) -> None:
    assert [model.id for model in await api.items(await api.call("models.list"))] == ["mine", "yours"]
    messages = [{"role": "user", "content": "hi"}]
    assert (await api.call("chat.completions.create", model="mine", messages=messages)).model == "mine"
    with pytest.raises(api.errors.NotFoundError) as caught:
        await api.call("chat.completions.create", model="gpt-4o", messages=messages)
    assert caught.value.code == "model_not_found"


async def test_models_of_openai_are_not_deleted(api: Any) -> None:
    with pytest.raises(api.errors.APIStatusError) as caught:
        await api.call("models.delete", "gpt-4o")
    assert caught.value.status_code in (403, 404)
