"""Telling the members of a union of objects apart by the member of theirs that has a fixed value in each."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ..schema import Schema, definition

__all__ = ("Tag", "resolved", "tag_of")

_REFERENCE = "#/$defs/"


class Tag(NamedTuple):
    """The member by which objects are told apart. Numbers are indices of the union's members."""

    name: str
    values: dict[str, list[int]]
    """Who has which value, in the order of the union."""
    absent: list[int]
    """Who may come without it, or with any value."""


def resolved(schema: Schema) -> Schema:
    """A schema, or the definition it refers to."""
    while "$ref" in schema and "properties" not in schema:
        schema = definition(schema["$ref"].removeprefix(_REFERENCE))
    return schema


def _fixed(schema: Schema) -> list[str] | None:
    values: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    strings = [value for value in values or () if isinstance(value, str)]
    return strings or None


def tag_of(members: list[Schema]) -> Tag | None:
    """The tag of a union of objects, or `None` where no member of theirs tells them apart."""
    if len(members) < 2:
        return None
    names = tuple(schema.get("$ref", "") for schema in members)
    return _tag_of_named(names) if all(names) else _tag(members)


@lru_cache(maxsize=4096)
def _tag_of_named(names: tuple[str, ...]) -> Tag | None:
    return _tag([definition(name.removeprefix(_REFERENCE)) for name in names])


def _tag(members: list[Schema]) -> Tag | None:
    fixed: list[dict[str, list[str]]] = []
    for member in members:
        properties = resolved(member).get("properties", {})
        found = {key: _fixed(value) for key, value in properties.items()}
        fixed.append({key: strings for key, strings in found.items() if strings is not None})
    best: tuple[tuple[int, int, int], str] | None = None
    for key in dict.fromkeys(key for each in fixed for key in each):
        theirs = [each[key] for each in fixed if key in each]
        distinct = {value for strings in theirs for value in strings}
        overlap = sum(map(len, theirs)) - len(distinct)
        rank = (len(theirs) - overlap, -overlap, len(distinct))
        if len(theirs) >= 2 and len(distinct) >= 2 and (best is None or rank > best[0]):
            best = (rank, key)
    if best is None:
        return None
    name = best[1]
    values: dict[str, list[int]] = {}
    absent: list[int] = []
    for index, each in enumerate(fixed):
        if name not in each or name not in resolved(members[index]).get("required", ()):
            absent.append(index)
    for index, each in enumerate(fixed):
        for value in each.get(name, ()):
            values.setdefault(value, []).append(index)
    for holders in values.values():
        holders.extend(index for index in absent if name not in fixed[index] and index not in holders)
    return Tag(name, values, absent)
