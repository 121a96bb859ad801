"""Objects the API would answer, made from what is known about them and from the schema of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..schema import Schema
from .endpoint import endpoint
from .instance import instance
from .unions import resolved
from .validation import accepts

if TYPE_CHECKING:
    from .app import Server
    from .behaviour import Call
    from .ids import Ids

__all__ = ("deleted", "fitted", "made", "properties")


def made(server: Server, schema: Schema | str, known: Mapping[str, Any], ids: Ids | None = None) -> dict[str, Any]:
    """An object that fits `schema`, or the answer of the operation of that name, and says what is known.

    Known fields that the schema does not have are left out; those it cannot take as they are come as near as
    they can. `ids` gives the ids that are not known; without it the server does.
    """
    if isinstance(schema, str):
        described = endpoint(schema).schema.response
        assert described is not None, f"{schema} answers no JSON"
        schema = described
    fields = properties(schema)
    known = {name: value for name, value in known.items() if name in fields}
    doc: dict[str, Any] = instance(schema, reflect=known, now=int(server.clock.now()), ids=ids or server.ids)
    return doc


def deleted(call: Call, doc: Mapping[str, Any], key: str = "id") -> dict[str, Any]:
    """What the API answers when it has deleted `doc`."""
    kind = f"{doc.get('object') or call.operation.name.split('.')[-2].removesuffix('s')}.deleted"
    facts = {**doc, **call.params, "deleted": True, "object": kind}
    if key in doc:
        facts["id"] = doc[key]
    schema = endpoint(call.operation.name).schema.response
    if schema is None:
        return {"id": facts.get("id"), "object": kind, "deleted": True}
    if "deleted" not in properties(schema):
        facts["object"] = doc.get("object") or kind
    return made(call.server, schema, facts)


def fitted(schema: Schema, value: Any) -> Any:
    """`value` where it fits the schema; otherwise the instance of the schema that says most of what it says."""
    if accepts(schema, unknown="allow")(value):
        return value
    return instance(schema, reflect=value)


def properties(schema: Schema) -> dict[str, Schema]:
    """The fields of the objects a schema describes, those of every member where it is a union."""
    shape = resolved(schema)
    if "anyOf" not in shape:
        found: dict[str, Schema] = shape.get("properties", {})
        return found
    merged: dict[str, Schema] = {}
    for member in shape["anyOf"]:
        for name, field in properties(member).items():
            merged.setdefault(name, field)
    return merged
