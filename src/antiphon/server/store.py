"""Where a server keeps its state: JSON documents by collection and id, in the order they were made, and blobs.

Collections are named after the list address of what they hold: `files`, `vector_stores/vs_1/files`.
A document that was put or got belongs to the store: to change one, put a changed copy under the same id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import Any, NamedTuple, Protocol

from ..kernel.spool import Spooled, size_of

__all__ = ("Blob", "MemoryStore", "Store", "bytes_of")


class Blob(NamedTuple):
    """Bytes that are kept."""

    data: bytes | Spooled
    """The bytes, or where they are many, the temporary file they are in (`pieces()`, `read()`)."""
    content_type: str

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return size_of(self.data)


class Store(Protocol):
    """Documents by id in order of creation, and blobs. Each method is atomic."""

    def put(self, collection: str, id: str, doc: dict[str, Any]) -> None:
        """Keep a document. One with the same id is replaced and keeps its place in the order."""
        ...

    def get(self, collection: str, id: str) -> dict[str, Any] | None: ...

    def delete(self, collection: str, id: str) -> bool:
        """Forget a document; whether it was there."""
        ...

    def list(self, collection: str) -> list[dict[str, Any]]:
        """The documents of a collection, the oldest first."""
        ...

    def collections(self) -> Sequence[str]:
        """The names of the collections that have documents."""
        ...

    def walk(self, collection: str, after: str | None = None, *, backwards: bool = False) -> Iterator[dict[str, Any]]:
        """The documents one by one, the oldest first or last, all or those that come behind `after`.

        Raises `KeyError` for an `after` that is not there. What is put or deleted meanwhile may be seen or not.
        """
        ...

    def put_blob(self, id: str, data: bytes | Spooled, content_type: str = "application/octet-stream") -> None: ...

    def get_blob(self, id: str) -> tuple[bytes, str] | None:
        """The bytes kept under an id, all of them, and their content type."""
        ...

    def open_blob(self, id: str) -> Blob | None:
        """What is kept under an id, to be read in pieces where it is large."""
        ...

    def delete_blob(self, id: str) -> bool: ...

    def snapshot(self) -> Any:
        """All that is kept, as a value that later changes do not touch."""
        ...

    def restore(self, state: Any) -> None:
        """Go back to a snapshot. What was put since is gone."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...


class _State(NamedTuple):
    documents: bytes
    blobs: dict[str, Blob]


class _Order:
    """The ids of a collection in their order, so that a walk can begin anywhere. Deleted ones leave a gap."""

    __slots__ = ("gaps", "ids", "place")

    def __init__(self, ids: list[str]) -> None:
        self.ids: list[str | None] = [*ids]
        self.place = {name: at for at, name in enumerate(ids)}
        self.gaps = 0

    def add(self, id: str) -> None:
        if id not in self.place:
            self.place[id] = len(self.ids)
            self.ids.append(id)

    def remove(self, id: str) -> bool:
        """Leave a gap; whether there are too many by now."""
        at = self.place.pop(id, None)
        if at is not None:
            self.ids[at] = None
            self.gaps += 1
        return self.gaps > len(self.place) + 16


def bytes_of(store: Store, id: str) -> bytes:
    """The bytes kept under an id; none where nothing is."""
    found = store.get_blob(id)
    return b"" if found is None else found[0]


class MemoryStore:
    """A store in this process's memory. Blobs that come in temporary files stay there; snapshots share the files."""

    __slots__ = ("_blobs", "_collections", "_lock", "_orders")

    def __init__(self) -> None:
        self._lock = Lock()
        self._collections: dict[str, dict[str, dict[str, Any]]] = {}
        self._orders: dict[str, _Order] = {}
        """Of collections that were walked from the middle, or from their end."""
        self._blobs: dict[str, Blob] = {}

    def put(self, collection: str, id: str, doc: dict[str, Any]) -> None:
        with self._lock:
            self._collections.setdefault(collection, {})[id] = doc
            order = self._orders.get(collection)
            if order is not None:
                order.add(id)

    def get(self, collection: str, id: str) -> dict[str, Any] | None:
        documents = self._collections.get(collection)
        return None if documents is None else documents.get(id)

    def delete(self, collection: str, id: str) -> bool:
        with self._lock:
            documents = self._collections.get(collection)
            if documents is None or documents.pop(id, None) is None:
                return False
            order = self._orders.get(collection)
            if order is not None and order.remove(id):
                del self._orders[collection]  # it is made anew when it is needed
            return True

    def list(self, collection: str) -> list[dict[str, Any]]:
        documents = self._collections.get(collection)
        return [] if documents is None else list(documents.values())

    def collections(self) -> Sequence[str]:
        return [name for name, documents in list(self._collections.items()) if documents]

    def walk(self, collection: str, after: str | None = None, *, backwards: bool = False) -> Iterator[dict[str, Any]]:
        with self._lock:
            documents = self._collections.get(collection, {})
            order = self._orders.get(collection)
            if order is None:
                order = self._orders[collection] = _Order([*documents])
        ids = order.ids
        if after is None:
            places = range(len(ids) - 1, -1, -1) if backwards else range(len(ids))
        else:
            at = order.place[after]
            places = range(at - 1, -1, -1) if backwards else range(at + 1, len(ids))
        return _found(documents, ids, places)

    def put_blob(self, id: str, data: bytes | Spooled, content_type: str = "application/octet-stream") -> None:
        self._blobs[id] = Blob(data, content_type)

    def get_blob(self, id: str) -> tuple[bytes, str] | None:
        blob = self._blobs.get(id)
        if blob is None:
            return None
        data, content_type = blob
        return data if isinstance(data, bytes) else data.read(), content_type

    def open_blob(self, id: str) -> Blob | None:
        return self._blobs.get(id)

    def delete_blob(self, id: str) -> bool:
        return self._blobs.pop(id, None) is not None

    def snapshot(self) -> Any:
        import orjson

        return _State(orjson.dumps(self._collections), dict(self._blobs))

    def restore(self, state: Any) -> None:
        import orjson

        self._collections = orjson.loads(state.documents)
        self._orders = {}
        self._blobs = dict(state.blobs)

    def clear(self) -> None:
        self._collections = {}
        self._orders = {}
        self._blobs = {}


def _found(
    documents: dict[str, dict[str, Any]], ids: list[str | None], places: Iterable[int]
) -> Iterator[dict[str, Any]]:
    for at in places:
        name = ids[at]
        doc = documents.get(name) if name is not None else None
        if doc is not None:
            yield doc
