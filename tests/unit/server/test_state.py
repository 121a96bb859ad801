"""Store, clock, ids and pages on their own."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.kernel.errors import BadRequestError, NotFoundError
from antiphon.server.clock import RealClock, VirtualClock
from antiphon.server.ids import Ids
from antiphon.server.paging import page, page_of
from antiphon.server.store import MemoryStore

# Ids


@pytest.mark.parametrize(
    ("prefix", "shape"),
    [
        ("chatcmpl-", r"chatcmpl-[0-9A-Za-z]{29}"),
        ("resp_", r"resp_[0-9a-f]{48}"),
        ("vs_", r"vs_[0-9a-f]{32}"),
        ("file-", r"file-[0-9A-Za-z]{22}"),
        ("asst_", r"asst_[0-9A-Za-z]{24}"),
        ("anything-", r"anything-[0-9A-Za-z]{24}"),
        ("", r"[0-9A-Za-z]{24}"),
    ],
)
def test_ids_have_the_shape_of_the_api(prefix: str, shape: str) -> None:
    ids = Ids()
    made = {ids.new(prefix) for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(shape, each) for each in made)
    assert re.fullmatch(re.escape(prefix) + "[0-9A-Za-z]{7}", ids.new(prefix, 7))


def test_a_seed_decides_the_sequence() -> None:
    one, same, other = Ids(1), Ids(1), Ids("2")
    first = [one.new("a") for _ in range(3)]
    assert first == [same.new("a") for _ in range(3)] != [other.new("a") for _ in range(3)]
    place = one.snapshot()
    after = one.new("a")
    one.restore(place)
    assert one.new("a") == after
    one.reset()
    assert [one.new("a") for _ in range(3)] == first


# Clocks


def test_a_virtual_clock_moves_when_told() -> None:
    clock = VirtualClock(100)
    assert clock.now() == 100
    clock.advance(1.5)
    clock.world().sleep(2)
    asyncio.run(clock.world().asleep(3))
    assert clock.now() == 106.5
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


def test_a_real_clock_is_the_machine_s() -> None:
    import time

    clock = RealClock()
    assert abs(clock.now() - time.time()) < 5
    assert clock.world() is clock.world()


# Store


def test_documents_keep_their_order() -> None:
    store = MemoryStore()
    for id in "abc":
        store.put("letters", id, {"id": id})
    store.put("letters", "a", {"id": "a", "new": True})
    assert store.list("letters") == [{"id": "a", "new": True}, {"id": "b"}, {"id": "c"}]
    assert store.get("letters", "b") == {"id": "b"}
    assert store.get("letters", "z") is None
    assert store.get("numbers", "b") is None
    assert store.list("numbers") == []
    assert store.delete("letters", "b") is True
    assert store.delete("letters", "b") is False
    assert store.delete("numbers", "b") is False


def test_blobs() -> None:
    store = MemoryStore()
    store.put_blob("a", b"1", "text/plain")
    store.put_blob("b", b"2")
    assert store.get_blob("a") == (b"1", "text/plain")
    assert store.get_blob("b") == (b"2", "application/octet-stream")
    assert store.delete_blob("a") is True
    assert store.delete_blob("a") is False
    assert store.get_blob("a") is None


def test_a_snapshot_is_a_value() -> None:
    store = MemoryStore()
    doc = {"id": "a", "inner": {"n": 1}}
    store.put("c", "a", doc)
    store.put_blob("x", b"1")
    state = store.snapshot()
    doc["inner"]["n"] = 2  # type: ignore[index]
    store.put("c", "b", {"id": "b"})
    store.delete_blob("x")
    for _ in range(2):
        store.restore(state)
        assert store.list("c") == [{"id": "a", "inner": {"n": 1}}]
        assert store.get_blob("x") == (b"1", "application/octet-stream")
        store.clear()
        assert (store.list("c"), store.get_blob("x")) == ([], None)


# Pages

ITEMS = [{"id": str(number)} for number in range(10)]


def ids(found: dict[str, Any]) -> list[str]:
    return [item["id"] for item in found["data"]]


def test_a_page() -> None:
    first = page(ITEMS, {"limit": 3})
    assert first == {
        "object": "list",
        "data": [{"id": "9"}, {"id": "8"}, {"id": "7"}],
        "first_id": "9",
        "last_id": "7",
        "has_more": True,
    }
    assert ids(page(ITEMS, {"limit": 3, "order": "asc"})) == ["0", "1", "2"]
    assert ids(page(ITEMS, {"limit": 3, "after": "7"})) == ["6", "5", "4"]
    assert ids(page(ITEMS, {"limit": 3, "before": "6"})) == ["9", "8", "7"]
    assert ids(page(ITEMS, {"limit": 2, "before": "4", "order": "asc"})) == ["2", "3"]
    assert page(ITEMS, {"limit": 2, "before": "4", "order": "asc"})["has_more"] is True
    assert ids(page(ITEMS, {"after": "2", "before": "6", "order": "asc"})) == ["3", "4", "5"]
    assert ids(page(ITEMS, {"order": "ascending", "limit": 1})) == ["0"]
    assert page(ITEMS, {"limit": 0})["data"] == []
    assert page([], {}) == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_styles() -> None:
    assert page(ITEMS, {"limit": 1}, style="next") == {
        "object": "list",
        "data": [{"id": "9"}],
        "has_more": True,
        "next": "9",
    }
    assert ids(page(ITEMS, {"limit": 1, "page": "9"}, style="next")) == ["8"]
    assert page(ITEMS, {}, style="next")["next"] is None
    assert page(ITEMS[:1], {}, style="plain") == {"object": "list", "data": [{"id": "0"}]}


def test_bad_questions() -> None:
    for query in ({"limit": "x"}, {"limit": -1}, {"order": "up"}):
        with pytest.raises(BadRequestError) as refused:
            page(ITEMS, query)
        assert refused.value.param in query
    for query in ({"after": "x"}, {"before": "x"}):
        with pytest.raises(NotFoundError):
            page(ITEMS, query)
        assert len(page(ITEMS, query, lenient=True)["data"]) == 10


@given(st.integers(0, 40), st.integers(1, 12), st.sampled_from(["asc", "desc"]), st.sampled_from(["ids", "next"]))
def test_following_the_cursor_gives_every_item_once(count: int, limit: int, order: str, style: str) -> None:
    items = [{"id": f"i{number}"} for number in range(count)]
    query: dict[str, Any] = {"limit": limit, "order": order}
    seen: list[str] = []
    while True:
        found = page(items, query, style=style)
        seen += ids(found)
        if not found["has_more"]:
            break
        query["after"] = found["last_id"] if style == "ids" else found["next"]
    assert seen == [item["id"] for item in (items if order == "asc" else items[::-1])]


@given(
    st.lists(st.tuples(st.sampled_from(["put", "put", "put", "delete", "walk"]), st.integers(0, 30)), max_size=60),
    st.fixed_dictionaries(
        {},
        optional={
            "limit": st.integers(0, 8),
            "order": st.sampled_from(["asc", "desc"]),
            "after": st.integers(0, 30).map(str),
            "before": st.integers(0, 30).map(str),
        },
    ),
    st.booleans(),
)
def test_a_page_of_a_collection_is_the_page_of_its_list(
    changes: list[tuple[str, int]], query: dict[str, Any], odd: bool
) -> None:
    store = MemoryStore()
    for what, number in changes:
        if what == "put":
            store.put("c", str(number), {"id": str(number), "odd": number % 2})
        elif what == "delete":
            store.delete("c", str(number))
        else:
            list(store.walk("c", backwards=bool(number % 2)))
    assert list(store.walk("c")) == store.list("c")
    assert list(store.walk("c", backwards=True)) == store.list("c")[::-1]
    query = {name: value for name, value in query.items() if name not in ("after", "before") or store.get("c", value)}
    if "after" in query:
        query.pop(
            "before", None
        )  # a list from one to the other is not cut the same way where they are the wrong way round
    if odd:
        query = {name: value for name, value in query.items() if name not in ("after", "before")}
    keep = (lambda doc: bool(doc["odd"])) if odd else None
    kept = [doc for doc in store.list("c") if keep is None or keep(doc)]
    assert page_of(store, "c", query, keep=keep) == page(kept, query)


def test_a_cursor_that_names_nothing() -> None:
    store = MemoryStore()
    for number in range(3):
        store.put("c", str(number), {"id": str(number)})
    for name in ("after", "before"):
        with pytest.raises(NotFoundError) as caught:
            page_of(store, "c", {name: "9"})
        assert caught.value.param == name
        assert len(page_of(store, "c", {name: "9"}, lenient=True)["data"]) == 3
    with pytest.raises(BadRequestError):
        page_of(store, "c", {"order": "sideways"})
    assert page_of(store, "nothing", {})["data"] == []
