"""Pages: walking over lists that a server hands out a piece at a time."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel import pages
from antiphon.kernel.omit import omit
from antiphon.kernel.operation import Resource, V, get_page
from antiphon.kernel.pages import AsyncPaginator, Fetch, PageInfo, page_type
from antiphon.kernel.view import View


class Item(View):
    id: str


class Lists(Resource[V]):
    @get_page("/cursor")
    def cursor(self, *, after: str | Any = omit, limit: int | Any = omit) -> pages.SyncCursorPage[Item]:
        raise NotImplementedError

    @get_page("/conversation")
    def conversation(
        self, *, after: str | Any = omit, limit: int | Any = omit
    ) -> pages.SyncConversationCursorPage[Item]:
        raise NotImplementedError

    @get_page("/next")
    def next(self, *, after: str | Any = omit, limit: int | Any = omit) -> pages.SyncNextCursorPage[Item]:
        raise NotImplementedError

    @get_page("/token")
    def token(self, *, limit: int | Any = omit, extra_query: Any = None) -> pages.SyncTokenPage[Item]:
        raise NotImplementedError

    @get_page("/plain")
    def plain(self) -> pages.SyncPage[Item]:
        raise NotImplementedError


KINDS = ["cursor", "conversation", "next", "token"]


class Server:
    """Stands behind the calls: hands out `items` by `limit`, in the way of each kind of page."""

    def __init__(self, items: list[str], *, is_async: bool = False) -> None:
        self.items = items
        self.is_async = is_async
        self.calls: list[dict[str, Any]] = []

    def _call(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.calls.append(dict(kwargs))
        page = self.page(operation, args, kwargs)
        return self.later(page) if self.is_async else page

    async def later(self, page: Any) -> Any:
        return page

    def page(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        kind, item = page_type(operation.result, is_async=self.is_async)
        cursor = kwargs.get("after") or (kwargs.get("extra_query") or {}).get("page")
        start = self.items.index(cursor) + 1 if cursor else 0
        items = self.items[start : start + kwargs.get("limit", 2)]
        more = start + len(items) < len(self.items)
        last = items[-1] if items else None
        page = kind.of(
            {"data": [{"id": id} for id in items], "has_more": more, "last_id": last, "next": last if more else None}
        )
        page._fetch = Fetch(self, operation, args, kwargs)
        page._item = item
        return page


def first(kind: str, server: Server, **kwargs: Any) -> Any:
    return server.page(vars(Lists)[kind], (), kwargs)


ids = st.lists(st.text("abcdef", min_size=1, max_size=4), unique=True, max_size=12)


@given(st.sampled_from(KINDS), ids, st.integers(1, 5))
def test_iterating_gives_each_item_once_in_order(kind: str, items: list[str], limit: int) -> None:
    server = Server(items)
    page = first(kind, server, limit=limit)
    assert [item.id for item in page] == items
    assert len(server.calls) == max(0, -(-len(items) // limit) - 1)
    assert all(call["limit"] == limit for call in server.calls)
    assert [item.id for each in page.iter_pages() for item in each.data] == items


@given(st.sampled_from(KINDS), ids, st.integers(1, 5))
async def test_iterating_in_a_loop_gives_each_item_once_in_order(kind: str, items: list[str], limit: int) -> None:
    server = Server(items, is_async=True)
    page = first(kind, server, limit=limit)
    assert [item.id async for item in page] == items
    assert [item.id async for each in page.iter_pages() for item in each.data] == items


def test_items_are_typed() -> None:
    page = first("cursor", Server(["a", "b", "c"]))
    assert all(isinstance(item, Item) for item in page)
    assert page._get_page_items() == page.data
    assert page["data"] == [{"id": "a"}, {"id": "b"}]
    assert pages.SyncCursorPage.of({"data": [{"id": "a"}]}).data == [{"id": "a"}]
    assert pages.SyncCursorPage.of({}).data == []


@pytest.mark.parametrize(
    ("kind", "data", "info"),
    [
        (pages.SyncPage, {"data": [{"id": "a"}], "has_more": True}, None),
        (pages.SyncCursorPage, {"data": [{"id": "a"}], "has_more": True}, {"after": "a"}),
        (pages.SyncCursorPage, {"data": [{"id": "a"}]}, {"after": "a"}),
        (pages.SyncCursorPage, {"data": [{"name": "a"}]}, None),
        (pages.SyncCursorPage, {"data": ["a"]}, None),
        (pages.SyncCursorPage, {"data": []}, None),
        (pages.SyncConversationCursorPage, {"data": [{}], "last_id": "z"}, {"after": "z"}),
        (pages.SyncConversationCursorPage, {"data": [{}], "last_id": ""}, None),
        (pages.SyncNextCursorPage, {"data": [{}], "next": "n"}, {"after": "n"}),
        (pages.SyncNextCursorPage, {"data": [{}], "next": None}, None),
        (pages.SyncTokenPage, {"data": [{}], "next": "n"}, {"page": "n"}),
    ],
)
def test_where_the_next_page_begins(kind: Any, data: dict[str, Any], info: dict[str, Any] | None) -> None:
    page = kind.of(data)
    assert page.next_page_info() == (None if info is None else PageInfo(info))
    assert page.has_next_page() is (info is not None)


def test_has_more_false_and_empty_pages_end_the_list() -> None:
    assert not pages.SyncCursorPage.of({"data": [{"id": "a"}], "has_more": False}).has_next_page()
    assert not pages.SyncNextCursorPage.of({"data": [], "has_more": True, "next": "n"}).has_next_page()
    plain = first("plain", Server(["a", "b", "c"]))
    assert [item.id for item in plain] == ["a", "b"]


def test_the_cursor_takes_the_place_of_where_the_first_call_began() -> None:
    server = Server(["a", "b", "c", "d", "e"])
    page = first("cursor", server, after="a", limit=2)
    assert [item.id for item in page.get_next_page().data] == ["d", "e"]
    assert server.calls == [{"after": "c", "limit": 2}]
    page = first("token", server, extra_query={"x": 1})
    page.get_next_page()
    assert server.calls[-1] == {"extra_query": {"x": 1, "page": "b"}}


def test_there_is_no_page_after_the_last() -> None:
    page = first("cursor", Server([]))
    with pytest.raises(RuntimeError, match="no next page expected"):
        page.get_next_page()
    with pytest.raises(RuntimeError, match="not made by a client's call"):
        pages.SyncCursorPage.of({"data": [{"id": "a"}]}).get_next_page()


async def test_in_a_loop_there_is_no_page_after_the_last_either() -> None:
    with pytest.raises(RuntimeError, match="no next page expected"):
        await first("cursor", Server([], is_async=True)).get_next_page()


def test_a_copy_of_a_page_is_a_page() -> None:
    page = first("cursor", Server(["a", "b", "c"]))
    for again in (copy.copy(page), copy.deepcopy(page.model_copy())):
        assert again == page
        assert isinstance(again.data[0], Item)
        assert [item.id for item in again] == ["a", "b", "c"]
    page.extra = 1
    assert page["extra"] == 1


async def test_a_paginator_is_awaited_or_iterated() -> None:
    server = Server(["a", "b", "c"], is_async=True)

    def fetch() -> Generator[Any, Any, Any]:
        return server.later(first("cursor", server)).__await__()

    paginator: AsyncPaginator[Item, Any] = AsyncPaginator(fetch)
    page = await paginator
    assert [item.id for item in page.data] == ["a", "b"]
    items: AsyncIterator[Item] = paginator.__aiter__()
    assert [item.id async for item in items] == ["a", "b", "c"]


def test_page_types_in_both_colours() -> None:
    kind, item = page_type(pages.SyncCursorPage[Item], is_async=True)
    assert kind is pages.AsyncCursorPage
    assert item is not None
    assert isinstance(item({"id": "a"}), Item)
    assert page_type(pages.SyncPage[str], is_async=False) == (pages.SyncPage, None)
