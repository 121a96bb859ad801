"""The state: what is stored, snapshots of it, and beginning anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ...kernel.errors import NotFoundError
from .operations import Call, listed, operation, refused

__all__ = ()

_MOST: Final = 100

PARTS: Final[dict[str, Callable[[Any, Any], None]]] = {
    "state": lambda fake, seed: fake.server.reset(seed),
    "journal": lambda fake, seed: fake.journal.clear(),
    "rules": lambda fake, seed: fake.rules.reset(),
    "faults": lambda fake, seed: fake.faults.reset(),
}
"""What can begin anew by itself."""


class Kept(NamedTuple):
    """A snapshot that is kept by the fake, under a name."""

    value: Any
    created: float


def _kept(call: Call) -> dict[str, Kept]:
    found: dict[str, Kept] = call.fake.snapshots
    return found


def _told(name: str, kept: Kept) -> dict[str, Any]:
    return {"object": "snapshot", "id": name, "created": kept.created}


@operation("state.get", "GET", "/state", returns="the collections, and how many documents each has")
def state_get(call: Call) -> Any:
    """What is stored: files, responses, vector stores and all else, by collection."""
    store = call.fake.server.store
    names = store.collections()
    return {"object": "state", "collections": {name: len(store.list(name)) for name in names}}


@operation(
    "state.documents",
    "GET",
    "/state/documents",
    query={"collection": {"type": "string"}, "limit": {"type": "integer", "default": 100}},
    returns="a list of documents, the oldest first",
)
def state_documents(call: Call) -> Any:
    """The documents of a collection, such as `files` or `vector_stores/vs_1/files`."""
    store, wanted = call.fake.server.store, call.query.get("collection")
    if wanted is None:
        raise refused("collection says which documents: GET /_antiphon/state has the names", param="collection")
    if wanted not in store.collections():
        raise NotFoundError.because(f"There is no collection {wanted!r}.", param="collection")
    limit = call.query.get("limit", 100)
    if limit < 1:
        raise refused(f"limit is a number from 1, not {limit}", param="limit")
    documents = store.list(wanted)
    return listed(documents[:limit], has_more=len(documents) > limit)


@operation(
    "state.snapshot",
    "POST",
    "/state/snapshots",
    body={"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": False},
    example={"id": "before"},
    returns="the snapshot",
    status=201,
    needs_body=False,
)
def state_snapshot(call: Call) -> Any:
    """Keep the state as it is, under a name, for going back to it. One of the same name is replaced."""
    kept = _kept(call)
    numbers = (f"snapshot_{number}" for number in range(1, len(kept) + 2))
    name = call.body.get("id") or next(each for each in numbers if each not in kept)
    if name not in kept and len(kept) >= _MOST:
        raise refused(f"{_MOST} snapshots are kept already: delete some")
    kept[name] = Kept(call.fake.snapshot(), call.fake.clock.now())
    return _told(name, kept[name])


@operation("state.snapshots", "GET", "/state/snapshots", returns="a list of snapshots")
def state_snapshots(call: Call) -> Any:
    """The snapshots that are kept."""
    return listed([_told(name, each) for name, each in _kept(call).items()])


def _one(call: Call) -> Kept:
    found = _kept(call).get(call.params["id"])
    if found is None:
        raise NotFoundError.because(f"There is no snapshot {call.params['id']!r}.", param="id")
    return found


@operation("state.restore", "POST", "/state/snapshots/{id}/restore", returns="the snapshot")
def state_restore(call: Call) -> Any:
    """Go back to a snapshot, as often as wanted. The clock, the journal, rules and faults stay."""
    kept = _one(call)
    call.fake.restore(kept.value)
    return _told(call.params["id"], kept)


@operation("state.forget", "DELETE", "/state/snapshots/{id}", returns="the snapshot")
def state_forget(call: Call) -> Any:
    """Let a snapshot go."""
    kept = _one(call)
    del _kept(call)[call.params["id"]]
    return {**_told(call.params["id"], kept), "deleted": True}


@operation(
    "state.reset",
    "POST",
    "/reset",
    body={
        "type": "object",
        "properties": {
            "only": {"type": "array", "items": {"type": "string", "enum": list(PARTS)}, "minItems": 1},
            "seed": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "additionalProperties": False,
    },
    example={"only": ["state", "journal"]},
    returns="what began anew",
    needs_body=False,
)
def state_reset(call: Call) -> Any:
    """Begin anew, all or some: an empty store, an empty journal, the rules and faults of the beginning; with `seed`,
    another seed. Snapshots stay.
    """
    only, seed = call.body.get("only"), call.body.get("seed")
    if only is None:
        call.fake.reset(seed)
    elif seed is not None:
        raise refused("another seed is for everything: leave out only", param="seed")
    else:
        for each in only:
            PARTS[each](call.fake, None)
    return {"object": "reset", "reset": only or list(PARTS), "seed": call.fake.server.seed}
