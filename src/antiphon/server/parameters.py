"""Queries and multipart forms: from pairs of strings to the values a schema describes.

Only the shape and the type are read here. A string that is not what the schema wants stays as it is, so that the
validation that follows names the fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from ..schema import Schema
from .unions import resolved

__all__ = ("parse_pairs", "parse_query", "read_values")

_MOST_FIELDS = 10_000
_DEEPEST = 32
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_INTEGER = re.compile(r"[+-]?\d{1,18}$")
"""As large as JSON can tell it again, with a digit to spare; a longer one is read as the number it is about."""
_DIGITS = re.compile(r"[+-]?\d{1,300}$")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def parse_query(query: str) -> dict[str, Any]:
    """The parameters of a query string, `a[b]=`, `a[]=` and repeated names nested. Raises `ValueError`."""
    pairs: list[tuple[str, str]] = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return parse_pairs(pairs)


def parse_pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs with bracketed names as nested dicts and lists; repeated names as lists. Raises `ValueError`."""
    tree: dict[str, Any] = {}
    for count, (name, value) in enumerate(pairs):
        if count >= _MOST_FIELDS:
            raise ValueError(f"more than {_MOST_FIELDS} fields")
        match = _KEY.match(name)
        if match is None or not match[2]:
            _put(tree, name, value)
            continue
        steps = match[2][1:-1].split("][")
        if len(steps) > _DEEPEST:
            raise ValueError(f"'{match[1]}' is nested too deeply")
        node = tree
        path = [match[1], *steps]
        while len(path) > 1 and path[-1] == "":
            path.pop()
            value = _Listed(value)
        for step in path[:-1]:
            below = node.setdefault(step, {})
            if not isinstance(below, dict):
                raise ValueError(f"'{match[1]}' is given both as a value and as an object")
            node = below
        _put(node, path[-1], value)
    return {key: _settled(value) for key, value in tree.items()}


class _Listed:
    """A value that stands in a list even if it is the only one."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Several(list[Any]):
    """Values given under one name."""


def _put(node: dict[str, Any], key: str, value: Any) -> None:
    known = node.get(key)
    if isinstance(known, _Several):
        known.append(value)
    else:
        node[key] = _Several((value,)) if known is None else _Several((known, value))


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        settled: dict[str, Any] = {key: _settled(item) for key, item in value.items()}
        if settled and all(key.isdecimal() and len(key) < 6 for key in settled):
            return [settled[key] for key in sorted(settled, key=int)]
        return settled
    if isinstance(value, _Several):
        if len(value) == 1 and not isinstance(value[0], _Listed):
            return _settled(value[0]) if isinstance(value[0], dict) else value[0]
        return [item.value if isinstance(item, _Listed) else item for item in value]
    return value.value if isinstance(value, _Listed) else value


def read_values(properties: Mapping[str, Schema], given: dict[str, Any], *, form: bool) -> dict[str, Any]:
    """Parameters as the types their schemas state, where their strings can be read so."""
    return {key: _read(properties[key], value, form) if key in properties else value for key, value in given.items()}


def _read(schema: Schema, value: Any, form: bool) -> Any:
    schema = resolved(schema)
    if "anyOf" in schema:
        return _read_union(schema["anyOf"], value, form)
    if isinstance(value, str):
        return _read_string(schema, value, form)
    kinds = schema.get("type", ())
    if isinstance(value, dict) and "object" in kinds:
        properties: dict[str, Schema] = schema.get("properties", {})
        extra = schema.get("additionalProperties")
        other: Schema = extra if isinstance(extra, dict) else {}
        return {key: _read(properties.get(key, other), item, form) for key, item in value.items()}
    if isinstance(value, list):
        if "array" in kinds:
            return [_read(schema.get("items", {}), item, form) for item in value]
        if kinds and len(value) == 1:
            return _read(schema, value[0], form)
        return value
    if "array" in kinds:
        return [_read(schema.get("items", {}), value, form)]
    return value


def _read_string(schema: Schema, value: str, form: bool) -> Any:
    values: list[Any] = [schema["const"]] if "const" in schema else schema.get("enum", [])
    if values:
        named = {str(v).lower() if isinstance(v, bool) else str(v): v for v in values if v is not None}
        return named.get(value, value)
    kind = schema.get("type", ())
    kinds: list[str] = [kind] if isinstance(kind, str) else list(kind)
    if "string" in kinds:
        return value
    if "array" in kinds:
        decoded = _decoded(value, list) if form else None
        return decoded if decoded is not None else [_read(schema.get("items", {}), value, form)]
    if "object" in kinds and form:
        decoded = _decoded(value, dict)
        return decoded if decoded is not None else value
    if "boolean" in kinds:
        return _BOOLEANS.get(value.lower(), value)
    if "integer" in kinds and _INTEGER.match(value):
        return int(value)
    if ("number" in kinds or ("integer" in kinds and _DIGITS.match(value))) and _NUMBER.match(value):
        return int(value) if _INTEGER.match(value) else float(value)
    return None if "null" in kinds and value in ("null", "") else value


def _read_union(members: list[Schema], value: Any, form: bool) -> Any:
    """The first reading that changes the value's type or is a structure the union has; strings come last."""
    plain = [resolved(member) for member in members]
    for member in plain:
        if "anyOf" in member:
            return _read_union([*(m for m in plain if "anyOf" not in m), *member["anyOf"]], value, form)
    if not isinstance(value, str):
        kind = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else ""
        fitting = [m for m in plain if kind and kind in m.get("type", ())]
        return _read(fitting[0], value, form) if len(fitting) == 1 else value
    for member in plain:
        if "enum" in member or "const" in member:
            read = _read_string(member, value, form)
            values = [member["const"]] if "const" in member else member["enum"]
            if read in values:
                return read
    strings = any("string" in m.get("type", ()) and m.get("format") != "binary" for m in plain)
    for member in plain:
        kinds = member.get("type", ())
        if "string" in kinds or "enum" in member or "const" in member:
            continue
        if strings and "array" in kinds:
            continue
        read = _read_string(member, value, form)
        if read.__class__ is not str:
            return read
    return value


def _decoded(value: str, kind: type) -> Any:
    """JSON text of an object or array in a form field, or `None` where it is not."""
    if value[:1] not in ("{", "["):
        return None
    import orjson

    try:
        decoded = orjson.loads(value)
    except ValueError:
        return None
    return decoded if isinstance(decoded, kind) else None
