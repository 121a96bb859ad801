from __future__ import annotations

from typing import Any

import pytest


def untimed(made: Any) -> dict[str, Any]:
    """What does not tell the time of the asking."""
    return {key: value for key, value in made.to_dict().items() if not key.endswith("_at")}


pytestmark = pytest.mark.fake(unknown_ids="conjure")


@pytest.mark.parametrize(
    ("operation", "id"),
    [
        ("files.retrieve", "file-placeholder"),
        ("vector_stores.retrieve", "vs_placeholder"),
        ("beta.assistants.retrieve", "assistant_id"),
        ("batches.retrieve", "batch_id"),
        ("responses.retrieve", "resp_677efb5139a88190b512bc3fef8e535d"),
    ],
)
async def test_any_id_resolves_and_stays_the_same(api: Any, operation: str, id: str) -> None:
    first = await api.call(operation, id)
    assert first.id == id
    again = await api.call(operation, id)
    assert untimed(again) == untimed(first)


async def test_a_conjured_object_can_be_deleted_and_conjured_again(api: Any) -> None:
    assert (await api.call("vector_stores.delete", "vs_x")).deleted is True
    assert (await api.call("vector_stores.retrieve", "vs_x")).id == "vs_x"


async def test_what_is_created_is_kept_all_the_same(api: Any) -> None:
    made = await api.call("vector_stores.create", name="mine")
    assert (await api.call("vector_stores.retrieve", made.id)).name == "mine"


async def test_a_conjured_completion_has_a_choice(api: Any) -> None:
    completion = await api.call("chat.completions.retrieve", "chatcmpl-x")
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].message.role == "assistant"


async def test_a_check_has_a_result(api: Any) -> None:
    assert (await api.call("moderations.create", input="something")).results[0].flagged is False
