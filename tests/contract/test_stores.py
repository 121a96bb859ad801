"""Families of objects: created, retrieved, listed, changed, deleted."""

from __future__ import annotations

from typing import Any

import pytest

FAMILIES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("vector_stores", {"name": "one"}, {"name": "two"}, "vs_"),
    ("beta.assistants", {"model": "gpt-4o", "name": "one"}, {"name": "two"}, "asst_"),
    ("conversations", {"metadata": {"n": "1"}}, {"metadata": {"n": "2"}}, "conv_"),
    ("beta.threads", {"metadata": {"n": "1"}}, {"metadata": {"n": "2"}}, "thread_"),
]


@pytest.mark.parametrize(("family", "first", "second", "prefix"), FAMILIES, ids=[each[0] for each in FAMILIES])
async def test_a_family(api: Any, family: str, first: Any, second: Any, prefix: str) -> None:
    made = await api.call(f"{family}.create", **first)
    assert made.id.startswith(prefix)
    assert all(made.to_dict()[key] == value for key, value in first.items())
    assert (await api.call(f"{family}.retrieve", made.id)).to_dict() == made.to_dict()
    changed = await api.call(f"{family}.update", made.id, **second)
    assert all(changed.to_dict()[key] == value for key, value in second.items())
    assert (await api.call(f"{family}.retrieve", made.id)).to_dict() == changed.to_dict()
    gone = await api.call(f"{family}.delete", made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    with pytest.raises(api.errors.NotFoundError):
        await api.call(f"{family}.retrieve", made.id)


async def test_files_of_a_vector_store(api: Any) -> None:
    store = await api.call("vector_stores.create", name="papers")
    file = await api.call("files.create", file=("a.txt", b"about cats"), purpose="assistants")
    await api.call("vector_stores.files.create", store.id, file_id=file.id)
    listed = await api.items(await api.call("vector_stores.files.list", store.id))
    assert [each.id for each in listed] == [file.id]
    await api.call("vector_stores.files.delete", file.id, vector_store_id=store.id)
    assert await api.items(await api.call("vector_stores.files.list", store.id)) == []


async def test_messages_of_a_thread(api: Any) -> None:
    thread = await api.call("beta.threads.create")
    made = [
        await api.call("beta.threads.messages.create", thread.id, role="user", content=f"number {n}") for n in range(3)
    ]
    listed = await api.items(await api.call("beta.threads.messages.list", thread.id, order="asc"))
    assert [each.id for each in listed] == [each.id for each in made]
    assert listed[1].content[0].text.value == "number 1"
    with pytest.raises(api.errors.NotFoundError):
        await api.call("beta.threads.messages.retrieve", made[0].id, thread_id="thread_none")


async def test_an_api_that_is_only_a_shape_answers_in_shape(api: Any) -> None:
    answer = await api.call("moderations.create", input="hello", model="omni-moderation-latest")
    assert answer.id
    assert answer.model == "omni-moderation-latest"
    assert isinstance(answer.results, list)
