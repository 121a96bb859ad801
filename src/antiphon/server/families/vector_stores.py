"""Files as the generic engine knows them, vector stores and what is in them.

API reference: https://platform.openai.com/docs/api-reference/vector-stores
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kept import Kept, family, now

if TYPE_CHECKING:
    from ..behaviour import Call

_CHUNKING = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}


def _size(call: Call) -> int:
    """Bytes of the file that is put into a store."""
    file = call.server.store.get("files", call.body.get("file_id", ""))
    return 0 if file is None else int(file["bytes"])


def _named(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The files a store or a batch is created with."""
    shared = {name: body[name] for name in ("attributes", "chunking_strategy") if name in body}
    return [{**shared, "file_id": each} for each in body.get("file_ids") or ()] + list(body.get("files") or ())


def _counts(number: int) -> dict[str, int]:
    return {"in_progress": 0, "completed": number, "failed": 0, "cancelled": 0, "total": number}


def _batch_counts(call: Call) -> dict[str, int]:
    return _counts(len(_named(call.body)))


def _add_files(call: Call, store: dict[str, Any], files: list[dict[str, Any]]) -> None:
    keeper = family("vector_stores.files")
    for file in files:
        stored = call.server.store.get("files", file["file_id"])
        facts = {**file, "id": file["file_id"], "usage_bytes": 0 if stored is None else stored["bytes"]}
        keeper.add(call, {"vector_store_id": store["id"]}, facts)


def _count(call: Call, store_id: str) -> None:
    """Tell a store how many files it has."""
    server = call.server
    with server.lock:
        store = server.store.get("vector_stores", store_id)
        if store is not None:
            files = server.store.list(f"vector_stores/{store_id}/files")
            size = sum(file["usage_bytes"] for file in files)
            counted = {**store, "file_counts": _counts(len(files)), "usage_bytes": size, "last_active_at": now(call)}
            server.store.put("vector_stores", store_id, counted)


def _fill_store(call: Call, store: dict[str, Any]) -> None:
    _add_files(call, store, _named({"file_ids": call.body.get("file_ids")}))
    _count(call, store["id"])


def _fill_batch(call: Call, batch: dict[str, Any]) -> None:
    store_id = call.params["vector_store_id"]
    _add_files(call, {"id": store_id}, _named(call.body))
    for file in _named(call.body):
        kept = call.server.store.get(f"vector_stores/{store_id}/files", file["file_id"])
        if kept is not None:
            call.server.store.put(f"vector_stores/{store_id}/file_batches/{batch['id']}/files", kept["id"], kept)
    _count(call, store_id)


def _recount(call: Call, file: dict[str, Any]) -> None:
    _count(call, call.params["vector_store_id"])


FAMILIES = (
    Kept("files", "file-", missing="No such File object: {id}"),
    Kept(
        "vector_stores",
        "vs_",
        new={
            "status": "completed",
            "name": "",
            "metadata": {},
            "file_counts": _counts(0),
            "usage_bytes": 0,
            "last_active_at": now,
        },
        refers={"file_ids": "files"},
        created=_fill_store,
    ),
    Kept(
        "vector_stores.files",
        given="file_id",
        new={"status": "completed", "usage_bytes": _size, "chunking_strategy": _CHUNKING, "attributes": {}},
        filters={"filter": "status"},
        refers={"file_id": "files"},
        created=_recount,
        removed=_recount,
    ),
    Kept(
        "vector_stores.file_batches",
        "vsfb_",
        noun="vector store file batch",
        new={"status": "completed", "file_counts": _batch_counts},
        actions={"cancel": {"status": "cancelled"}},
        refers={"file_ids": "files"},
        created=_fill_batch,
    ),
    Kept(
        "vector_stores.file_batches.files",
        ops={"list": "vector_stores.file_batches.list_files"},
        filters={"filter": "status"},
    ),
)
