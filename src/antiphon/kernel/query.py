"""Queries and form fields, both ways: nested values as pairs of strings with bracketed names.

    {"limit": 2}               limit=2
    {"include": ["a", "b"]}    include[]=a&include[]=b
    {"metadata": {"k": "v"}}   metadata[k]=v
    {"ranks": [{"n": 1}]}      ranks[][n]=1

`True` and `False` are written in lower case; `None` and omitted values are left out. `decode` gives the same
shapes back with strings at the leaves: what type a leaf has, only a schema knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .omit import NotGiven, Omit

__all__ = ("decode", "encode", "nest", "pairs", "text")


def text(value: object) -> str:
    """One leaf as it stands in a query or a form field."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return str.__str__(value)
    from datetime import date, time
    from enum import Enum

    if isinstance(value, Enum):
        return text(value.value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)


def pairs(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested parameters as flat pairs, in order. Nothing is percent-encoded yet."""
    found: list[tuple[str, str]] = []
    for name, value in params.items():
        _flatten(name, value, found)
    return found


def _flatten(name: str, value: Any, found: list[tuple[str, str]]) -> None:
    if value is None or isinstance(value, (Omit, NotGiven)):
        return
    if isinstance(value, str):
        found.append((name, text(value)))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(f"{name}[{key}]", item, found)
    elif isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        for item in value:
            _flatten(f"{name}[]", item, found)
    else:
        found.append((name, text(value)))


def encode(params: Mapping[str, Any]) -> str:
    """Nested parameters as a query string, percent-encoded; spaces become `+`."""
    if not params:
        return ""
    from urllib.parse import urlencode

    return urlencode(pairs(params))


def decode(query: str) -> dict[str, Any]:
    """The parameters of a query string, nested. A name that is given twice without brackets becomes a list."""
    if not query:
        return {}
    from urllib.parse import parse_qsl

    return nest(parse_qsl(query, keep_blank_values=True))


def nest(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs with bracketed names as nested dicts and lists.

    Of `a[][x]=1&a[][y]=2&a[][x]=3` an object of the list ends where one of its names comes again. Where a name is
    given both as a value and as an object or list, what came later wins. Keys nest 64 deep at most; the rest of a
    deeper one is taken as it stands.
    """
    root: dict[str, Any] = {}
    plain: set[str] = set()
    for name, value in fields:
        path = _path(name)
        if len(path) > 1:
            plain.discard(path[0])
            _put(root, path, value)
        elif name in plain:
            known = root[name]
            if isinstance(known, _Repeated):
                known.append(value)
            else:
                root[name] = _Repeated((known, value))
        else:
            plain.add(name)
            root[name] = value
    for name in plain:
        if root[name].__class__ is _Repeated:
            root[name] = list(root[name])
    return root


class _Repeated(list[Any]):
    """Values of a name that was given more than once."""


_DEEPEST = 64


def _path(name: str) -> list[str]:
    """`a[b][]` as `["a", "b", ""]`; a name whose brackets do not match is a name without brackets."""
    head, bracket, rest = name.partition("[")
    if not bracket or not head or rest[-1:] != "]":
        return [name]
    steps = rest[:-1].split("][", _DEEPEST)
    return [head, *steps]


def _put(root: dict[str, Any], path: list[str], value: Any) -> None:
    node: Any = root
    for index, step in enumerate(path):
        last = index == len(path) - 1
        below: Any = value if last else ([] if path[index + 1] == "" else {})
        if isinstance(node, list):
            node = _append(node, below, path[index + 1 :], last)
            continue
        known = node.get(step)
        if last or known.__class__ is not below.__class__:
            node[step] = below
            node = below
        else:
            node = known


def _append(items: list[Any], below: Any, rest: list[str], last: bool) -> Any:
    """Add to a list, or find its last object when that has no value at the rest of the path yet."""
    known = items[-1] if items else None
    if not last and below.__class__ is dict and known.__class__ is dict and not _taken(known, rest):
        return known
    items.append(below)
    return below


def _taken(node: Any, path: list[str]) -> bool:
    for index, step in enumerate(path):
        if node.__class__ is not dict or step not in node:
            return False
        node = node[step]
        if node.__class__ is list:
            return index + 2 < len(path) and bool(node) and _taken(node[-1], path[index + 2 :])
    return True
