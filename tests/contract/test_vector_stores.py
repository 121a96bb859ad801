"""Vector stores: files are read and counted, batches run and are cancelled, and a search finds what was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

TEXTS = {
    "hours.md": b"# Opening hours\n\nThe cafe closes at five, on Sundays at three.",
    "cats.txt": b"Cats sleep all day and hunt mice at night.",
    "prices.csv": b"drink,price\nespresso,2.10\nhot chocolate,3.40\n",
    "menu.html": b"<html><style>p{color:red}</style><body><h1>Menu</h1><p>Soup of pumpkins &amp; ginger</p></body></html>",
    "settings.json": b'{"oven": {"temperature": 230, "note": "preheat the oven for cr\\u00eapes"}}',
    "rota.py": b"def next_barista(week: int) -> str:\n    return BARISTAS[week % len(BARISTAS)]\n",
}


async def uploaded(api: Any, name: str, data: bytes) -> str:
    found: str = (await api.call("files.create", file=(name, data), purpose="assistants")).id
    return found


async def ready(api: Any, store: str) -> Any:
    for _ in range(500):
        found = await api.call("vector_stores.retrieve", store)
        if found.status == "completed":
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


async def filled(api: Any, texts: dict[str, bytes] = TEXTS, **attributes: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """A store with some files, and their ids by name."""
    store = await api.call("vector_stores.create", name="knowledge")
    ids = {name: await uploaded(api, name, data) for name, data in texts.items()}
    files = [{"file_id": id, "attributes": attributes.get(name.partition(".")[0], {})} for name, id in ids.items()]
    await api.call("vector_stores.file_batches.create", store.id, files=files)
    await ready(api, store.id)
    return store.id, ids


async def names(api: Any, store: str, query: Any, **options: Any) -> list[str]:
    page = await api.call("vector_stores.search", store, query=query, **options)
    return [each.filename for each in page.data]


async def test_a_store_from_its_files_to_its_end(api: Any) -> None:
    ids = [await uploaded(api, name, data) for name, data in TEXTS.items()]
    store = await api.call(
        "vector_stores.create",
        name="cafe",
        file_ids=[*ids, ids[0]],
        metadata={"team": "one"},
        expires_after={"anchor": "last_active_at", "days": 7},
    )
    assert store.id.startswith("vs_")
    assert (store.object, store.name, store.status, store.metadata) == (
        "vector_store",
        "cafe",
        "in_progress",
        {"team": "one"},
    )
    assert (store.file_counts.in_progress, store.file_counts.total, store.usage_bytes) == (6, 6, 0)
    assert store.expires_at == store.last_active_at + 7 * 86_400
    done = await ready(api, store.id)
    assert (done.file_counts.completed, done.file_counts.total) == (6, 6)
    assert done.usage_bytes > sum(map(len, TEXTS.values()))
    listed = await api.items(await api.call("vector_stores.files.list", store.id, order="asc", limit=4))
    assert [each.id for each in listed] == ids
    assert {each.status for each in listed} == {"completed"}
    assert sum(each.usage_bytes for each in listed) == done.usage_bytes
    changed = await api.call("vector_stores.update", store.id, name="bar", metadata={"a": "b"}, expires_after=None)
    assert (changed.name, changed.metadata, changed.expires_after, changed.expires_at) == (
        "bar",
        {"a": "b"},
        None,
        None,
    )
    assert (await api.call("vector_stores.delete", store.id)).deleted
    with pytest.raises(api.errors.NotFoundError):
        await api.call("vector_stores.search", store.id, query="cats")
    assert (await api.call("files.retrieve", ids[0])).id == ids[0]


async def test_a_file_in_a_store(api: Any) -> None:
    store = await api.call("vector_stores.create")
    id = await uploaded(api, "a.txt", b"about cats")
    sizes = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}
    file = await api.call(
        "vector_stores.files.create",
        store.id,
        file_id=id,
        attributes={"year": 2026, "draft": True, "by": "me"},
        chunking_strategy={"type": "static", "static": sizes},
    )
    assert (file.id, file.object, file.status, file.usage_bytes) == (id, "vector_store.file", "in_progress", 0)
    assert (file.vector_store_id, file.last_error) == (store.id, None)
    assert file.attributes == {"year": 2026, "draft": True, "by": "me"}
    assert file.chunking_strategy.to_dict() == {"type": "static", "static": sizes}
    await ready(api, store.id)
    file = await api.call("vector_stores.files.retrieve", id, vector_store_id=store.id)
    assert (file.status, file.usage_bytes) == ("completed", len(b"about cats") + 1024)
    told = await api.call("vector_stores.files.update", id, vector_store_id=store.id, attributes={"year": 2027})
    assert told.attributes == {"year": 2027}
    content = await api.call("vector_stores.files.content", id, vector_store_id=store.id)
    assert [(part.type, part.text) for part in content.data] == [("text", "about cats")]
    gone = await api.call("vector_stores.files.delete", id, vector_store_id=store.id)
    assert (gone.id, gone.object, gone.deleted) == (id, "vector_store.file.deleted", True)
    assert (await api.call("vector_stores.retrieve", store.id)).file_counts.total == 0
    with pytest.raises(api.errors.NotFoundError):
        await api.call("vector_stores.files.retrieve", id, vector_store_id=store.id)
    assert (await api.call("files.retrieve", id)).id == id


async def test_a_deleted_file_leaves_every_store(api: Any) -> None:
    store, ids = await filled(api)
    await api.call("files.delete", ids["cats.txt"])
    assert (await api.call("vector_stores.retrieve", store)).file_counts.total == 5
    assert "cats.txt" not in await names(api, store, "cats")


@pytest.mark.parametrize(
    ("name", "data", "code", "message"),
    [
        ("a.exe", b"MZ", "unsupported_file", "extension '.exe'"),
        ("notes", b"text", "unsupported_file", "without an extension"),
        ("a.txt", b"\xff\xfe\xff", "invalid_file", "not text in UTF-8"),
        ("a.pdf", b"%PDF-1.7 and then nothing", "invalid_file", "PDF file cannot be read"),
        ("a.docx", b"PK no archive", "invalid_file", "document cannot be read"),
        ("a.html", b"<script>nothing to be seen</script>", "invalid_file", "no text"),
    ],
)
async def test_files_that_cannot_be_read(api: Any, name: str, data: bytes, code: str, message: str) -> None:
    id = await uploaded(api, name, data)
    store = await api.call("vector_stores.create", file_ids=[id])
    counts = (await ready(api, store.id)).file_counts
    assert (counts.failed, counts.completed, counts.total) == (1, 0, 1)
    file = await api.call("vector_stores.files.retrieve", id, vector_store_id=store.id)
    assert (file.status, file.last_error.code) == ("failed", code)
    assert message in file.last_error.message
    failed = await api.items(await api.call("vector_stores.files.list", store.id, filter="failed"))
    assert [each.id for each in failed] == [id]
    assert await names(api, store.id, "text") == []
    assert (await api.call("vector_stores.files.content", id, vector_store_id=store.id)).data == []


async def test_a_batch_of_files(api: Any) -> None:
    store = await api.call("vector_stores.create")
    good = [await uploaded(api, f"{n}.txt", b"text %d" % n) for n in range(3)]
    bad = await uploaded(api, "a.bin", b"text")
    batch = await api.call(
        "vector_stores.file_batches.create", store.id, file_ids=[*good, bad], attributes={"lot": "a"}
    )
    assert batch.id.startswith("vsfb_")
    assert (batch.object, batch.status, batch.vector_store_id) == ("vector_store.files_batch", "in_progress", store.id)
    assert (batch.file_counts.in_progress, batch.file_counts.total) == (4, 4)
    await ready(api, store.id)
    done = await api.call("vector_stores.file_batches.retrieve", batch.id, vector_store_id=store.id)
    assert done.status == "completed"
    assert done.file_counts.to_dict() == {"in_progress": 0, "completed": 3, "failed": 1, "cancelled": 0, "total": 4}
    listed = await api.call(
        "vector_stores.file_batches.list_files", batch.id, vector_store_id=store.id, order="asc", limit=2
    )
    assert [each.id for each in listed.data] == good[:2]
    assert [each.id for each in await api.items(listed)] == [*good, bad]
    assert listed.data[0].attributes == {"lot": "a"}
    failed = await api.call(
        "vector_stores.file_batches.list_files", batch.id, vector_store_id=store.id, filter="failed"
    )
    assert [each.id for each in failed.data] == [bad]
    with pytest.raises(api.errors.BadRequestError, match="status 'completed'"):
        await api.call("vector_stores.file_batches.cancel", batch.id, vector_store_id=store.id)


@pytest.mark.fake(job_seconds=60)
async def test_a_batch_is_cancelled(api: Any) -> None:
    store = await api.call("vector_stores.create")
    ids = [await uploaded(api, f"{n}.txt", b"text %d" % n) for n in range(3)]
    batch = await api.call("vector_stores.file_batches.create", store.id, file_ids=ids)
    gone = await api.call("vector_stores.file_batches.cancel", batch.id, vector_store_id=store.id)
    assert (gone.status, gone.file_counts.cancelled, gone.file_counts.in_progress) == ("cancelled", 3, 0)
    assert (await api.call("vector_stores.retrieve", store.id)).status == "completed"
    file = await api.call("vector_stores.files.retrieve", ids[0], vector_store_id=store.id)
    assert file.status == "cancelled"


async def test_helpers_wait_for_what_is_read(api: Any) -> None:
    store = await api.call("vector_stores.create")
    file = await api.call(
        "vector_stores.files.upload_and_poll",
        vector_store_id=store.id,
        file=("a.md", b"# One"),
        poll_interval_ms=10,
    )
    assert file.status == "completed"
    batch = await api.call(
        "vector_stores.file_batches.create_and_poll", store.id, file_ids=[file.id], poll_interval_ms=10
    )
    assert (batch.status, batch.file_counts.completed) == ("completed", 1)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("When does the cafe close?", "hours.md"),
        ("a cat that sleeps", "cats.txt"),
        ("price of chocolate", "prices.csv"),
        ("pumpkin soup", "menu.html"),
        ("crêpes", "settings.json"),
        ("next_barista", "rota.py"),
    ],
)
async def test_what_was_asked_for_comes_first(api: Any, query: str, first: str) -> None:
    store, ids = await filled(api)
    page = await api.call("vector_stores.search", store, query=query)
    assert (page.data[0].filename, page.data[0].file_id) == (first, ids[first])
    scores = [each.score for each in page.data]
    assert scores == sorted(scores, reverse=True)
    assert 1 >= scores[0] > 0.4
    assert scores[0] > 1.5 * scores[1]
    assert scores[-1] >= 0
    assert page.data[0].content[0].type == "text"


async def test_how_results_are_chosen(api: Any) -> None:
    store, _ = await filled(api)
    page = await api.call("vector_stores.search", store, query="What is the price of the espresso?", rewrite_query=True)
    assert page.to_dict()["search_query"] == ["price espresso"]
    assert page.data[0].content[0].text == "drink: espresso, price: 2.10\ndrink: hot chocolate, price: 3.40"
    assert len(await names(api, store, "cats", max_num_results=2)) == 2
    assert await names(api, store, "cats", ranking_options={"score_threshold": 0.4}) == ["cats.txt"]
    assert set((await names(api, store, ["cats", "pumpkin soup"]))[:2]) == {"cats.txt", "menu.html"}
    for ranker in ("auto", "default-2024-11-15", "none"):
        assert (await names(api, store, "cats", ranking_options={"ranker": ranker}))[0] == "cats.txt"


async def test_filters(api: Any) -> None:
    about = {"hours": {"year": 2025, "public": True}, "cats": {"year": 2026, "by": "ann"}, "menu": {"by": "bob"}}
    store, _ = await filled(api, **about)

    async def found(**given: Any) -> set[str]:
        return {name.partition(".")[0] for name in await names(api, store, "cats", filters=given)}

    assert await found(type="eq", key="year", value=2026) == {"cats"}
    assert await found(type="ne", key="year", value=2026) == {"hours", "menu", "prices", "settings", "rota"}
    assert await found(type="gte", key="year", value=2025) == {"hours", "cats"}
    assert await found(type="lt", key="year", value=2025.5) == {"hours"}
    assert await found(type="in", key="by", value=["ann", "bob"]) == {"cats", "menu"}
    assert await found(type="nin", key="by", value=["ann"]) == {"hours", "menu", "prices", "settings", "rota"}
    assert await found(type="eq", key="public", value=True) == {"hours"}
    assert await found(type="eq", key="public", value=1) == set()
    inner = [{"type": "eq", "key": "by", "value": "bob"}, {"type": "gt", "key": "year", "value": 2025}]
    assert await found(type="or", filters=inner) == {"menu", "cats"}
    assert await found(type="and", filters=inner) == set()


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"query": ""}, "query", "empty string"),
        ({"query": []}, "query", "empty array"),
        ({"query": "x", "max_num_results": 0}, "max_num_results", ">= 1"),
        ({"query": "x", "max_num_results": 51}, "max_num_results", "<= 50"),
        ({"query": "x", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker", "Supported values"),
        (
            {"query": "x", "ranking_options": {"score_threshold": 1.5}},
            "ranking_options.score_threshold",
            "from 0 to 1",
        ),
        ({"query": "x", "filters": {"type": "eq", "key": "a"}}, "filters.value", "Missing required"),
        ({"query": "x", "filters": {"type": "in", "key": "a", "value": 1}}, "filters.value", "array"),
        ({"query": "x", "filters": {"type": "gt", "key": "a", "value": True}}, "filters.value", "number"),
        (
            {"query": "x", "filters": {"type": "and", "filters": [{"type": "near", "key": "a", "value": 1}]}},
            "filters.filters[0].type",
            "near",
        ),
        ({"query": "x", "filters": {"type": "or", "filters": []}}, "filters.filters", "filters"),
    ],
)
async def test_searches_that_cannot_be_made(api: Any, options: Any, param: str, message: str) -> None:
    store = await api.call("vector_stores.create")
    with pytest.raises(api.errors.BadRequestError, match=message) as caught:
        await api.call("vector_stores.search", store.id, **options)
    assert caught.value.param == param


def static(size: int, overlap: int) -> dict[str, Any]:
    return {"type": "static", "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"attributes": {f"k{n}": n for n in range(17)}}, "attributes"),
        ({"attributes": {"k" * 65: 1}}, f"attributes.{'k' * 65}"),
        ({"attributes": {"k": "v" * 513}}, "attributes.k"),
        ({"chunking_strategy": static(99, 0)}, "chunking_strategy.static.max_chunk_size_tokens"),
        ({"chunking_strategy": static(4097, 0)}, "chunking_strategy.static.max_chunk_size_tokens"),
        ({"chunking_strategy": static(200, 101)}, "chunking_strategy.static.chunk_overlap_tokens"),
        ({"chunking_strategy": static(200, -1)}, "chunking_strategy.static.chunk_overlap_tokens"),
    ],
)
async def test_files_that_cannot_be_added(api: Any, options: Any, param: str) -> None:
    store = await api.call("vector_stores.create")
    id = await uploaded(api, "a.txt", b"text")
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("vector_stores.files.create", store.id, file_id=id, **options)
    assert caught.value.param == param
    with pytest.raises(api.errors.BadRequestError) as caught:
        await api.call("vector_stores.file_batches.create", store.id, files=[{"file_id": id, **options}])
    assert caught.value.param == f"files[0].{param}"
    assert (await api.call("vector_stores.retrieve", store.id)).file_counts.total == 0


async def test_what_is_not_there_or_not_allowed(api: Any) -> None:
    store = await api.call("vector_stores.create")
    for name, args, options in (
        ("vector_stores.create", (), {"file_ids": ["file-no"]}),
        ("vector_stores.files.create", (store.id,), {"file_id": "file-no"}),
        ("vector_stores.file_batches.create", (store.id,), {"file_ids": ["file-no"]}),
        ("vector_stores.files.create", ("vs_no",), {"file_id": "file-no"}),
        ("vector_stores.search", ("vs_no",), {"query": "x"}),
        ("vector_stores.files.content", ("file-no",), {"vector_store_id": store.id}),
        ("vector_stores.file_batches.cancel", ("vsfb_no",), {"vector_store_id": store.id}),
    ):
        with pytest.raises(api.errors.NotFoundError):
            await api.call(name, *args, **options)
    id = await uploaded(api, "a.txt", b"text")
    for options in ({}, {"file_ids": [id], "files": [{"file_id": id}]}, {"file_ids": []}, {"files": []}):
        with pytest.raises(api.errors.BadRequestError):
            await api.call("vector_stores.file_batches.create", store.id, **options)
    for days in (0, 366):
        with pytest.raises(api.errors.BadRequestError) as caught:
            await api.call("vector_stores.create", expires_after={"anchor": "last_active_at", "days": days})
        assert caught.value.param == "expires_after.days"
    assert len(await api.items(await api.call("vector_stores.list"))) == 1


async def test_responses_search_with_weights(api: Any) -> None:
    store, ids = await filled(api)
    tool = {
        "type": "file_search",
        "vector_store_ids": [store],
        "ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}, "score_threshold": 0.1},
    }
    ask = {"model": "gpt-4o-mini", "input": "file_search cats", "include": ["file_search_call.results"]}
    answer = await api.call("responses.create", **ask, tools=[tool])
    assert [each.file_id for each in answer.output[0].results] == [ids["cats.txt"]]
    cited = answer.output[1].content[0].annotations[0]
    assert (cited.type, cited.file_id, cited.filename) == ("file_citation", ids["cats.txt"], "cats.txt")
    for wrong, param in (
        ({"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}}, "hybrid_search"),
        ({"filters": {"type": "in", "key": "a", "value": "b"}}, "filters.value"),
    ):
        with pytest.raises(api.errors.BadRequestError) as caught:
            await api.call("responses.create", **ask, tools=[{**tool, **wrong}])
        assert caught.value.param.startswith("tools[0].")
        assert caught.value.param.endswith(param)
