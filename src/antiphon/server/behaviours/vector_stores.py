"""Vector stores: files are read by the server's clock, cut into chunks and searched; stores that are not used expire.

A file takes `job_seconds` to be read; those of a batch are done one after the other within that time. What a store has
for an index is made when it is first searched (`searching.py`).

API reference: https://platform.openai.com/docs/api-reference/vector-stores
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ...api.vector_stores import VectorStores
from ...api.vector_stores.file_batches import FileBatches
from ...api.vector_stores.files import Files
from ...kernel.errors import BadRequestError
from ...kernel.flow import Call as Elsewhere
from ..behaviour import Call, serves
from ..chunks import Text, strategy
from ..facts import deleted, made
from ..faults import first_fault
from ..jobs import Again, Job, job
from ..kept import check_parents, check_reference, family
from ..paging import page
from ..readers import Unreadable
from ..searching import active, forget, prepared, search, text_of
from ..shape import shape
from ..storage import changed, forgotten, made_by
from ..validation import accepts, refuse
from ..words import rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...kernel.flow import Flow
    from ..app import Server
    from ..behaviour import Reply

__all__ = ("detached",)

log = logging.getLogger("antiphon.server")

STORES: Final = "vector_stores"
_READ: Final = "vector_stores.read"
_EXPIRE: Final = "vector_stores.expire"
_CONTENTS: Final = "vector_stores/batch_files"
"""The collection that says which files each batch has."""
_BRIEF: Final = 100_000
"""Bytes of a file that is read on the spot; a larger one is a matter for a thread."""
_MOST_TOKENS: Final = 5_000_000
_NONE: Final = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}

# What the API's rules add to the types of its package

_ATTRIBUTES: Final[dict[str, Any]] = {
    "type": ["object", "null"],
    "maxProperties": 16,
    "propertyNames": {"maxLength": 64},
    "additionalProperties": {
        "anyOf": [{"type": "string", "maxLength": 512}, {"type": "number"}, {"type": "boolean"}],
    },
}
_STRATEGY: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "static": {
            "type": "object",
            "properties": {
                "max_chunk_size_tokens": {"type": "integer", "minimum": 100, "maximum": 4096},
                "chunk_overlap_tokens": {"type": "integer", "minimum": 0},
            },
        }
    },
}
_FILE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"attributes": _ATTRIBUTES, "chunking_strategy": _STRATEGY},
}
_RULES: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        **_FILE["properties"],
        "files": {"type": "array", "minItems": 1, "maxItems": 2000, "items": _FILE},
        "expires_after": {
            "type": ["object", "null"],
            "properties": {"days": {"type": "integer", "minimum": 1, "maximum": 365}},
        },
        "query": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
            ]
        },
    },
}


def _check(call: Call) -> None:
    """See that a body keeps to the rules. Raises `BadRequestError`."""
    body = call.body
    if not accepts(_RULES, unknown="allow")(body):
        fault = first_fault(call.operation.name, _RULES, body, unknown="allow")
        if fault is not None:
            raise refuse(call.operation.name, fault)
    _check_overlap(body, "")
    for at, each in enumerate(body.get("files") or ()):
        _check_overlap(each, f"files[{at}].")


def _check_overlap(given: Mapping[str, Any], path: str) -> None:
    by = strategy(given.get("chunking_strategy"))
    if by.overlap > by.size // 2:
        param = f"{path}chunking_strategy.static.chunk_overlap_tokens"
        raise BadRequestError.because(
            f"Invalid '{param}': {by.overlap} is more than half of 'max_chunk_size_tokens', which is {by.size}.",
            param=param,
            code="invalid_value",
        )


# Stores


@serves(VectorStores.create)
def create(call: Call) -> Reply:
    """Make a store, and have its first files read. Raises `NotFoundError` for unknown files."""
    _check(call)
    check_reference(call, "file_ids", "files")
    server, body = call.server, call.body
    now = int(server.clock.now())
    facts = {
        "id": server.ids.new("vs_"),
        "object": "vector_store",
        "created_at": now,
        "name": body.get("name") or "",
        "metadata": body.get("metadata") or {},
        "status": "completed",
        "file_counts": _NONE,
        "usage_bytes": 0,
        "expires_after": body.get("expires_after"),
        "last_active_at": now,
        "expires_at": None,
    }
    store = active(made(server, family(STORES).schema, facts), now)
    with server.lock:
        server.store.put(STORES, store["id"], store)
        made_by(server, store["id"], call.request.headers.get("openai-project"))
        _await_expiry(server, store)
        _attach(server, store["id"], _named(body))
    return server.store.get(STORES, store["id"]) or store


@serves(VectorStores.update)
def update(call: Call) -> Reply:
    """Change a store's name, metadata, or when it expires."""
    _check(call)
    server, body = call.server, call.body
    with server.lock:
        store = dict(family(STORES).found(call))
        if "name" in body:
            store["name"] = body["name"] or ""
        if "metadata" in body:
            store["metadata"] = body["metadata"] or {}
        if "expires_after" in body:
            store["expires_after"] = body["expires_after"]
            store["expires_at"] = active(store, store["last_active_at"])["expires_at"]
        if server.store.get(STORES, store["id"]) is not None:
            server.store.put(STORES, store["id"], store)
            _await_expiry(server, store)
    return store


@serves(VectorStores.delete)
def delete(call: Call) -> Reply:
    """Forget a store and what was read for it. The files themselves stay."""
    server = call.server
    with server.lock:
        store = family(STORES).found(call)
        place = _place(store["id"])
        for file in server.store.list(place):
            server.jobs.cancel(_READ, f"{store['id']}/{file['id']}")
            server.store.delete(place, file["id"])
            server.store.delete(_holders(file["id"]), store["id"])
        batches = f"{STORES}/{store['id']}/file_batches"
        for batch in server.store.list(batches):
            server.store.delete(batches, batch["id"])
            server.store.delete(_CONTENTS, batch["id"])
        server.jobs.cancel(_EXPIRE, store["id"])
        if server.store.delete(STORES, store["id"]):
            size = 0 if store["status"] == "expired" else store["usage_bytes"]
            forgotten(server, store["id"], size, server.clock.now())
        forget(server, store["id"])
    return deleted(call, store)


def _await_expiry(server: Server, store: Mapping[str, Any]) -> None:
    if store["expires_at"] is None or store["status"] == "expired":
        server.jobs.cancel(_EXPIRE, store["id"])
    else:
        server.jobs.schedule(_EXPIRE, store["id"], at=store["expires_at"])


@job("vector_stores.expire")
def expire(server: Server, due: Job) -> Again | None:
    """Close a store that nobody used for so many days."""
    with server.lock:
        store = server.store.get(STORES, due.subject)
        if store is None or store["expires_at"] is None or store["status"] == "expired":
            return None
        if store["expires_at"] > due.at:
            return Again(store["expires_at"] - due.at)
        server.store.put(STORES, store["id"], {**store, "status": "expired"})
        changed(server, store["id"], -store["usage_bytes"], due.at)
    return None


def _open_store(call: Call) -> str:
    """The id of the store that the address names. Raises `BadRequestError` where it has expired."""
    check_parents(call)
    key: str = call.params["vector_store_id"]
    store = call.server.store.get(STORES, key)
    if store is not None and store["status"] == "expired" and not call.server.conjures:
        raise BadRequestError.because(f"Vector store {key} is expired.", param="vector_store_id")
    return key


# Files of a store


@serves(Files.create)
def add_file(call: Call) -> Reply:
    """Have a file read for a store. Raises `NotFoundError` for an unknown one."""
    store = _open_store(call)
    _check(call)
    check_reference(call, "file_id", "files")
    _attach(call.server, store, [call.body])
    return family("vector_stores.files").get(call, call.params, call.body["file_id"])


@serves(Files.update)
def update_file(call: Call) -> Reply:
    """Give a file other attributes."""
    _check(call)
    return family("vector_stores.files").changed(call, {"attributes": call.body["attributes"] or {}})


@serves(Files.delete)
def delete_file(call: Call) -> Reply:
    """Take a file out of a store. The file itself stays."""
    with call.server.lock:
        doc = family("vector_stores.files").found(call)
        _detach(call.server, call.params["vector_store_id"], doc["id"])
    return deleted(call, doc)


@serves(Files.content)
def content(call: Call) -> Reply:
    """The text that was read from a file; nothing where it could not be read, or was not yet."""
    doc = family("vector_stores.files").found(call)
    text = ""
    if doc["status"] == "completed" and call.server.store.get("files", doc["id"]) is not None:
        try:
            text = text_of(call.server, doc).text
        except Unreadable:
            text = ""
    return {"object": "vector_store.file_content.page", "data": [{"type": "text", "text": text}] if text else []}


def detached(server: Server, file: str) -> None:
    """Take a file that is deleted out of every store."""
    with server.lock:
        for store in server.store.list(_holders(file)):
            _detach(server, store["id"], file)


def _place(store: str) -> str:
    return f"{STORES}/{store}/files"


def _holders(file: str) -> str:
    """The collection that says which stores a file is in."""
    return f"{STORES}/holding/{file}"


def _named(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The files a store or a batch is made with, each once."""
    shared = {name: body[name] for name in ("attributes", "chunking_strategy") if name in body}
    named = [{**shared, "file_id": each} for each in body.get("file_ids") or ()] + list(body.get("files") or ())
    return list({each["file_id"]: each for each in named}.values())


def _attach(server: Server, store: str, files: Sequence[Mapping[str, Any]], batch: str | None = None) -> None:
    """Put files into a store and have them read. One that was there is read again."""
    keeper = family("vector_stores.files")
    now = int(server.clock.now())
    with server.lock:
        for at, file in enumerate(files, 1):
            key: str = file["file_id"]
            subject = f"{store}/{key}"
            facts = {
                "id": key,
                "object": "vector_store.file",
                "created_at": now,
                "status": "in_progress",
                "usage_bytes": 0,
                "last_error": None,
                "vector_store_id": store,
                "attributes": file.get("attributes") or {},
                "chunking_strategy": strategy(file.get("chunking_strategy")).told,
            }
            before = server.store.get(_place(store), key)
            waiting = server.jobs.waiting(_READ, subject)
            batches = [*(waiting.data["batches"] if waiting else ()), *([batch] if batch else ())]
            server.store.put(_place(store), key, made(server, keeper.schema, facts))
            server.store.put(_holders(key), store, {"id": store})
            _count(server, store, before, facts, now, used=True)
            after = server.job_seconds * at / len(files)
            server.jobs.schedule(_READ, subject, after=after, data={"batches": batches})


def _detach(server: Server, store: str, file: str) -> None:
    """Take a file out of a store, if it is in it."""
    doc = server.store.get(_place(store), file)
    if doc is None:
        return
    now = int(server.clock.now())
    if doc["status"] == "in_progress":
        doc = _ended(server, store, doc, now, {"status": "cancelled"})
    server.store.delete(_place(store), file)
    server.store.delete(_holders(file), store)
    _count(server, store, doc, None, now)


def _count(
    server: Server,
    store: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    now: int,
    *,
    used: bool = False,
) -> None:
    """Tell a store what has become of one of its files."""
    doc = server.store.get(STORES, store)
    if doc is None:
        return
    counts = _shifted(doc["file_counts"], before["status"] if before else None, after["status"] if after else None)
    more = (after["usage_bytes"] if after else 0) - (before["usage_bytes"] if before else 0)
    status = doc["status"]
    if status != "expired":
        changed(server, store, more, now)
        status = "in_progress" if counts["in_progress"] else "completed"
    doc = {**doc, "file_counts": counts, "usage_bytes": doc["usage_bytes"] + more, "status": status}
    server.store.put(STORES, store, active(doc, now) if used else doc)


def _shifted(counts: Mapping[str, int], before: str | None, after: str | None) -> dict[str, int]:
    """The counts when a file is no longer of one status but of another; none: it is not there."""
    found = dict(counts)
    for status, change in ((before, -1), (after, 1)):
        if status is not None:
            found[status] += change
            found["total"] += change
    return found


def _ended(server: Server, store: str, doc: Mapping[str, Any], now: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Let the reading of a file come to an end, and tell its store and its batches."""
    subject = f"{store}/{doc['id']}"
    waiting = server.jobs.waiting(_READ, subject)
    server.jobs.cancel(_READ, subject)
    after = {**doc, **fields}
    server.store.put(_place(store), doc["id"], after)
    _count(server, store, doc, after, now)
    batches = f"{STORES}/{store}/file_batches"
    for key in dict.fromkeys(waiting.data["batches"] if waiting else ()):
        batch = server.store.get(batches, key)
        if batch is not None:
            counts = _shifted(batch["file_counts"], "in_progress", after["status"])
            over = batch["status"] == "in_progress" and not counts["in_progress"]
            status = "completed" if over else batch["status"]
            server.store.put(batches, key, {**batch, "file_counts": counts, "status": status})
    return after


@job("vector_stores.read")
def read(server: Server, due: Job) -> Flow[None]:
    """Read a file. One that has no text to be had has failed."""
    store, _, file = due.subject.partition("/")
    doc = server.store.get(_place(store), file)
    if doc is None:
        return
    kept = server.store.get("files", file)
    fields: dict[str, Any] = {"status": "completed"}
    if kept is not None or not server.conjures:  # conjured: nobody will ask what is in it
        if kept is not None and kept["bytes"] > _BRIEF:
            fields = yield Elsewhere(_read, server, store, doc)
        else:
            fields = _read(server, store, doc)
    with server.lock:
        now = server.store.get(_place(store), file)
        if now is not None and now["status"] == "in_progress" and server.jobs.waiting(_READ, due.subject) is not None:
            _ended(server, store, now, int(due.at), fields)


def _read(server: Server, store: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """What there is to be said of a file once it was read."""
    try:
        text: Text = text_of(server, doc)
        by = strategy(doc["chunking_strategy"])
        if len(text.spans) * (by.size - by.overlap) > _MOST_TOKENS:
            raise Unreadable("invalid_file", f"The file has more than {_MOST_TOKENS} tokens.")
    except Unreadable as error:
        return {"status": "failed", "last_error": {"code": error.code, "message": error.message}}
    except Exception:
        log.exception("The file %s could not be read", doc["id"])
        return {"status": "failed", "last_error": {"code": "server_error", "message": "The file could not be read."}}
    prepared(server, store, doc["id"], text)
    return {"status": "completed", "usage_bytes": text.usage_bytes}


# Batches of files


@serves(FileBatches.create)
def create_batch(call: Call) -> Reply:
    """Have several files read for a store. Raises `NotFoundError` for unknown ones."""
    store = _open_store(call)
    server, body = call.server, call.body
    if not server.conjures:
        if ("file_ids" in body) == ("files" in body):
            what = "not both" if "files" in body else "but neither was given"
            raise BadRequestError.because(
                f"A file batch takes either 'file_ids' or 'files', {what}.",
                param="file_ids",
                code="mutually_exclusive_parameters" if "files" in body else "missing_required_parameter",
            )
        _check(call)
        files = family("files")
        for each in _named(body):
            files.get(call, call.params, each["file_id"])
    named = _named(body)
    keeper = family("vector_stores.file_batches")
    facts = {
        "id": server.ids.new("vsfb_"),
        "object": "vector_store.files_batch",
        "created_at": int(server.clock.now()),
        "vector_store_id": store,
        "status": "in_progress" if named else "completed",
        "file_counts": {**_NONE, "in_progress": len(named), "total": len(named)},
    }
    batch = made(server, keeper.schema, facts)
    with server.lock:
        server.store.put(keeper.place(call.params), batch["id"], batch)
        contents = {"id": batch["id"], "files": [each["file_id"] for each in named]}
        server.store.put(_CONTENTS, batch["id"], contents)
        _attach(server, store, named, batch["id"])
    return batch


@serves(FileBatches.cancel)
def cancel_batch(call: Call) -> Reply:
    """Read no more of a batch's files. Raises `BadRequestError` for a batch that is over."""
    server, store = call.server, call.params["vector_store_id"]
    keeper = family("vector_stores.file_batches")
    with server.lock:
        batch = keeper.found(call)
        place = keeper.place(call.params)
        if server.store.get(place, batch["id"]) is None:
            return {**batch, "status": "cancelled"}
        if batch["status"] != "in_progress" and not server.conjures:
            raise BadRequestError.because(f"Cannot cancel a file batch with status '{batch['status']}'.")
        server.store.put(place, batch["id"], {**batch, "status": "cancelled"})
        now = int(server.clock.now())
        for doc in _files_of(server, store, batch["id"]):
            if doc["status"] == "in_progress":
                _ended(server, store, doc, now, {"status": "cancelled"})
        return server.store.get(place, batch["id"])


@serves(FileBatches.list_files)
def list_batch_files(call: Call) -> Reply:
    """The files of a batch that are in the store, as they are now."""
    server = call.server
    check_parents(call)
    docs = _files_of(server, call.params["vector_store_id"], call.params["batch_id"])
    status = call.query.get("filter")
    return page([doc for doc in docs if status in (None, doc["status"])], call.query, lenient=server.conjures)


def _files_of(server: Server, store: str, batch: str) -> list[dict[str, Any]]:
    contents = server.store.get(_CONTENTS, batch) or {"files": ()}
    docs = (server.store.get(_place(store), file) for file in contents["files"])
    return [doc for doc in docs if doc is not None]


# Search


@serves(VectorStores.search)
def search_store(call: Call) -> Reply:
    """The chunks that say most to a query. Raises `BadRequestError` for filters that are none."""
    store = _open_store(call)
    if call.server.store.get(STORES, store) is None:
        return shape(call)  # type: ignore[no-any-return]
    _check(call)
    return _searched(call, store)


def _searched(call: Call, store: str) -> Flow[dict[str, Any]]:
    body = call.body
    given: Any = body["query"]
    queries = [given] if isinstance(given, str) else list(given)
    if body.get("rewrite_query"):
        queries = [rewritten(query) for query in queries]
    found = yield from search(
        call.server,
        [store],
        queries,
        limit=body.get("max_num_results") or 10,
        filters=body.get("filters"),
        ranking=body.get("ranking_options"),
    )
    data = [
        {
            "file_id": each.file_id,
            "filename": each.filename,
            "score": each.score,
            "attributes": each.attributes,
            "content": [{"type": "text", "text": each.text}],
        }
        for each in found
    ]
    kind = "list" if call.server.conjures else "vector_store.search_results.page"
    return {"object": kind, "search_query": queries, "data": data, "has_more": False, "next_page": None}
