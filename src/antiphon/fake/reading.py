"""Reading a YAML or JSON file so that everything in it knows its line and its column.

JSON is read by the standard library, YAML by PyYAML, which is loaded when a YAML file is. Of YAML version 1.2
counts: `no` and `on` are texts, and so is a date.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from .schema import Path

__all__ = ("Document", "Fault", "read")


class Fault(NamedTuple):
    """Something that is wrong in a file: line and column, both from 1, and what it is."""

    line: int
    column: int
    message: str


class Document(NamedTuple):
    """What a file says."""

    data: Any
    keys: Mapping[Path, tuple[int, int]]
    """Line and column of the names of fields, and of what is in lists."""
    values: Mapping[Path, tuple[int, int]]
    """Line and column of values."""
    faults: Sequence[Fault]

    def place(self, path: Path, *, at_key: bool = False) -> tuple[int, int]:
        """Where something stands, or the nearest thing around it that does."""
        for marks in (self.keys, self.values) if at_key else (self.values, self.keys):
            if path in marks:
                return marks[path]
        return self.place(path[:-1]) if path else (1, 1)


def read(text: str, *, yaml: bool) -> Document:
    """The document that a text is. What cannot be read is among the faults; nothing is raised.

    Raises `ImportError` where YAML is to be read and PyYAML is not there.
    """
    try:
        return _Yaml(text).document() if yaml else _Json(text).document()
    except RecursionError:
        return Document(None, {}, {}, [Fault(1, 1, "this is nested too deeply")])


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.keys: dict[Path, tuple[int, int]] = {}
        self.values: dict[Path, tuple[int, int]] = {}
        self.faults: list[Fault] = []

    def found(self, data: Any) -> Document:
        return Document(data, self.keys, self.values, self.faults)


class _Json(_Reader):
    def document(self) -> Document:
        try:
            data = json.loads(self.text)
        except json.JSONDecodeError as error:
            self.faults.append(Fault(error.lineno, error.colno, f"this is not JSON: {error.msg}"))
            return self.found(None)
        except ValueError as error:  # a number of very many digits
            self.faults.append(Fault(1, 1, f"this is not JSON: {error}"))
            return self.found(None)
        self._lines = [0, *(at.end() for at in re.finditer("\n", self.text))]
        self._scalar = json.JSONDecoder().raw_decode
        self._walk(0, ())
        return self.found(data)

    def _mark(self, at: int) -> tuple[int, int]:
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def _skip(self, at: int) -> int:
        while self.text[at] in " \t\r\n,:":
            at += 1
        return at

    def _walk(self, at: int, path: Path) -> int:
        """Write down where things are, the text being JSON; gives the place behind the value."""
        at = self._skip(at)
        self.values[path] = self._mark(at)
        opened = self.text[at]
        if opened not in "{[":
            return int(self._scalar(self.text, at)[1])
        at, count = self._skip(at + 1), 0
        while self.text[at] not in "}]":
            name: str | int = count
            mark = self._mark(at)
            if opened == "{":
                name, at = self._scalar(self.text, at)
                if (*path, name) in self.keys:
                    self.faults.append(Fault(*mark, f"there is another {name!r} above"))
            self.keys[(*path, name)] = mark
            at, count = self._skip(self._walk(at, (*path, name))), count + 1
        return at + 1


class _Yaml(_Reader):
    def document(self) -> Document:
        yaml = _pyyaml()
        try:
            node = yaml.compose(self.text, Loader=_loader())
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            told = getattr(error, "problem", None) or str(error).splitlines()[0]
            line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
            self.faults.append(Fault(line, column, f"this is not YAML: {told}"))
            return self.found(None)
        self._above: list[Any] = []
        if _size(node, {}) > max(_MOST, len(self.text)):
            self.faults.append(Fault(1, 1, f"with all its aliases this is more than {_MOST} values"))
            return self.found(None)
        return self.found(None if node is None else self._value(node, ()))

    def _value(self, node: Any, path: Path) -> Any:
        at = node.start_mark.line + 1, node.start_mark.column + 1
        self.values.setdefault(path, at)
        if any(each is node for each in self._above):
            self.faults.append(Fault(*at, "this contains itself"))
            return None
        self._above.append(node)
        try:
            if isinstance(node.value, str):
                return self._scalar(node, at)
            if node.id == "sequence":
                return [self._item(each, (*path, place)) for place, each in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._above.pop()

    def _item(self, node: Any, path: Path) -> Any:
        self.keys.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        return self._value(node, path)

    def _mapping(self, node: Any, path: Path) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key, value in node.value:
            at = key.start_mark.line + 1, key.start_mark.column + 1
            if not isinstance(key.value, str):
                self.faults.append(Fault(*at, "the name of a field is a text"))
                continue
            name = self._scalar(key, at)
            if name == "<<" and not key.style:
                for each in _parts(value):
                    found = self._value(each, path)
                    merged = {**(found if isinstance(found, dict) else {}), **merged}
                continue
            if name in own:
                self.faults.append(Fault(*at, f"there is another {name!r} above"))
            # What stands here counts, wherever something of that name was merged from.
            self.keys[(*path, name)] = at
            self.values.pop((*path, name), None)
            own[name] = self._value(value, (*path, name))
        return {**merged, **own}

    def _scalar(self, node: Any, at: tuple[int, int]) -> Any:
        make = _SCALARS.get(node.tag.rpartition(":")[2])
        if make is None:
            self.faults.append(Fault(*at, f"there is no tag {node.tag!r} here"))
            return None
        try:
            return make(node.value)
        except ValueError:
            self.faults.append(Fault(*at, f"{node.value!r} is not what its tag {node.tag!r} says"))
            return None


_MOST: Final = 100_000
"""Values that aliases may come to. Without them a file has fewer values than letters."""


def _size(node: Any, known: dict[int, int]) -> int:
    """How many values a node has in it, those behind aliases counted again and again."""
    if node is None or isinstance(node.value, str):
        return 1
    size = known.get(id(node))
    if size is None:
        known[id(node)] = 1  # where it contains itself
        inner = node.value if node.id == "sequence" else [part for pair in node.value for part in pair]
        size = known[id(node)] = 1 + sum(_size(each, known) for each in inner)
    return size


def _parts(node: Any) -> Iterator[Any]:
    if node.id == "sequence":
        yield from node.value
    else:
        yield node


_SCALARS: Final[dict[str, Any]] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": lambda text: int(text, 0) if text[:2] in ("0x", "0o") else int(text),
    "float": lambda text: float(text.replace(".inf", "inf").replace(".nan", "nan")),
}

_RESOLVED: Final = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
)
"""What plain words of YAML 1.2 are, and how they begin."""


def _pyyaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise ImportError(
            "YAML is read by PyYAML, which is missing; install it with: pip install 'antiphon[server]'"
        ) from None
    return yaml


@cache
def _loader() -> Any:
    yaml = _pyyaml()
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # PyYAML's own way

    for tag, pattern, first in _RESOLVED:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), first)
    return Loader
