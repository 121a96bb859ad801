"""Laws of lists, on whatever is listed by cursor."""

from __future__ import annotations

from typing import Any

import pytest

COUNT = 7


@pytest.mark.parametrize("family", ["vector_stores", "beta.assistants"])
@pytest.mark.parametrize("limit", [1, 3, COUNT, 100])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_join_to_the_whole(api: Any, family: str, limit: int, order: str) -> None:
    options = {"model": "gpt-4o"} if "assistants" in family else {}
    made = [(await api.call(f"{family}.create", name=str(n), **options)).id for n in range(COUNT)]
    expected = made if order == "asc" else made[::-1]
    page = await api.call(f"{family}.list", limit=limit, order=order)
    seen: list[str] = []
    while True:
        ids = [each.id for each in page.data]
        assert 0 < len(ids) <= limit
        assert (page.first_id, page.last_id) == (ids[0], ids[-1])
        seen += ids
        assert page.has_more is (len(seen) < COUNT)
        if not page.has_more:
            break
        page = await api.call(f"{family}.list", limit=limit, order=order, after=ids[-1])
    assert seen == expected
    before = await api.call(f"{family}.list", order=order, before=expected[3])
    assert {each.id for each in before.data} == set(expected[:3])


async def test_an_empty_list(api: Any) -> None:
    page = await api.call("vector_stores.list")
    assert (page.data, page.has_more) == ([], False)
    assert await api.items(page) == []


async def test_the_newest_comes_first_and_twenty_at_a_time(api: Any) -> None:
    made = [(await api.call("vector_stores.create", name=str(n))).id for n in range(25)]
    page = await api.call("vector_stores.list")
    assert [each.id for each in page.data] == made[::-1][:20]
    assert page.has_more
    assert [each.id for each in await api.items(page)] == made[::-1]


async def test_a_limit_that_is_too_large(api: Any) -> None:
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("vector_stores.list", limit=101)
    assert caught.value.param == "limit"
