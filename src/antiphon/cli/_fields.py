"""From the words of a command line to the values an operation takes, by its JSON Schema.

text           as it is, where a string is taken
12, 0.5        a number, where one is taken
true, false    where a boolean is taken; a boolean without a word is true
null           where nothing is taken
{...}, [...]   JSON, where an object or a list is taken; a field given twice is a list
@FILE, @-      a file to be uploaded, or the content of a file; @@ is an @ that means nothing
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..schema import Schema, resolve
from ._errors import USAGE, Problem
from ._output import read_stdin
from ._progress import Status

__all__ = ("ANY", "Shape", "described", "nearest", "read", "shape_of")

ANY: Schema = {}
"""The schema of anything."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_KINDS = frozenset(("string", "integer", "number", "boolean", "array", "object", "null"))


class Shape(NamedTuple):
    """What a schema takes, all its alternatives together."""

    kinds: frozenset[str]
    """Of JSON: `string`, `integer`, …"""
    binary: bool
    """A file goes here."""
    choices: tuple[str, ...]
    """The strings that are known to be taken."""
    free: bool
    """Whether others are taken."""
    items: Schema | None
    properties: Mapping[str, Schema]
    more: Schema | None
    """The schema of properties that have no name of their own."""


def shape_of(schema: Schema) -> Shape:
    """What a schema takes."""
    kinds: set[str] = set()
    choices: dict[str, None] = {}
    properties: dict[str, Schema] = {}
    items: Schema | None = None
    more: Schema | None = None
    binary = free = False
    seen: set[str] = set()
    queue: list[Any] = [schema]
    while queue:
        each = queue.pop(0)
        reference = each.get("$ref")
        if reference is not None:
            if reference not in seen:
                seen.add(reference)
                queue.append(resolve(reference))
            continue
        for key in ("anyOf", "oneOf", "allOf"):
            queue += each.get(key, ())
        values = each["enum"] if "enum" in each else [each["const"]] if "const" in each else None
        if values is not None:
            choices.update({value: None for value in values if isinstance(value, str)})
            kinds.update(_kind(value) for value in values)
            continue
        said = each.get("type")
        types = [said] if isinstance(said, str) else said or []
        kinds.update(types)
        binary = binary or each.get("format") == "binary"
        free = free or "string" in types
        if "array" in types:
            items = items or each.get("items", ANY)
        properties.update(each.get("properties", {}))
        rest = each.get("additionalProperties", ANY if "object" in types and "properties" not in each else None)
        more = rest if isinstance(rest, dict) else more
        if not any(key in each for key in ("anyOf", "oneOf", "allOf", "type")):
            kinds |= _KINDS
            free, more, items = True, more or ANY, items or ANY
    return Shape(frozenset(kinds), binary, tuple(choices), free, items, properties, more)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return {str: "string", int: "integer", float: "number"}.get(type(value), "object")


def described(schema: Schema, *, longest: int = 8, outer: bool = True) -> str:
    """What a schema takes, in a few words."""
    shape = shape_of(schema)
    words: list[str] = []
    if shape.binary:
        words.append("@FILE")
    elif shape.kinds >= _KINDS:
        return "anything"
    if shape.choices:
        more = ["…"] if len(shape.choices) > longest else []
        words.append(", ".join([*shape.choices[:longest], *more]))
    if shape.free and not shape.binary:
        words.append("string")
    words += [kind for kind in ("integer", "number", "boolean") if kind in shape.kinds]
    if "object" in shape.kinds:
        known = [*list(shape.properties)[:longest], *(["…"] if len(shape.properties) > longest else [])]
        words.append(f"object of {', '.join(known)}" if known and outer else "object")
    if "array" in shape.kinds:
        inner = described(shape.items or ANY, longest=longest, outer=False) if shape.items else "anything"
        words.append(f"list of {inner}" if " or " not in inner else f"list of ({inner})")
    return " or ".join(words) or "anything"


class Files:
    """Files that are read for one call: stdin once, and uploads shown by a status."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self._stdin = False

    def stdin(self) -> bytes:
        if self._stdin:
            raise Problem("stdin can be read once", USAGE)
        self._stdin = True
        return read_stdin()

    def upload(self, name: str) -> Any:
        if name == "-":
            return ("stdin", self.stdin())
        return self.status.file(Path(name).expanduser())

    def text(self, name: str) -> str:
        data = self.stdin() if name == "-" else Path(name).expanduser().read_bytes()
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Problem(f"{name} is not UTF-8 text", USAGE) from None


def read(name: str, texts: Sequence[str], schema: Schema, files: Files) -> Any:
    """The value of a field from the words it was given. Raises `Problem` for words that make no such value."""
    shape = shape_of(schema)
    if len(texts) == 1:
        return _one(name, texts[0], shape, files)
    if "array" not in shape.kinds:
        raise Problem(f"--{name} was given {len(texts)} times, and takes one value", USAGE)
    values: list[Any] = []
    inner = shape_of(shape.items or ANY)
    for text in texts:
        value = _one(name, text, inner, files)
        values.extend(value) if isinstance(value, list) and "array" not in inner.kinds else values.append(value)
    return values


def _one(name: str, text: str, shape: Shape, files: Files, *, listed: bool = False) -> Any:
    """A value of a shape; `listed` where it is one item, and the whole list might have stood there."""
    inner = shape_of(shape.items) if shape.items is not None else None
    if shape.binary:
        return files.upload(text.removeprefix("@"))
    if inner is not None and inner.binary:
        return [files.upload(text.removeprefix("@"))]
    if text[:2] == "@@":
        text = text[1:]
    elif text[:1] == "@":
        text = _content(name, text[1:], files)
    kinds = shape.kinds
    word = text.strip()
    if word == "null" and "null" in kinds:
        return None
    if word in ("true", "false") and "boolean" in kinds and word not in shape.choices:
        return word == "true"
    if word not in shape.choices and _NUMBER.fullmatch(word) and not (shape.free and kinds < _KINDS):
        number = _number(word, kinds)
        if number is not None:
            return number
    if word[:1] in "{[" and word and kinds & {"object", "array"}:
        try:
            value = json.loads(word)
        except ValueError as error:
            if not shape.free:
                raise Problem(f"--{name} is not JSON: {error}", USAGE) from None
        else:
            # One item of a list may stand for the list.
            return [value] if isinstance(value, dict) and "object" not in kinds else value
    if "string" in kinds:
        return _sendable(name, text)
    if inner is not None:
        return [_one(name, text, inner, files, listed=True)]
    many = "a list in JSON, or for each item of it " if listed else ""
    raise Problem(f"--{name} takes {many}{_takes(shape)}, not {text!r}", USAGE)


def _content(name: str, file: str, files: Files) -> str:
    try:
        return files.text(file)
    except OSError as error:
        hint = f"; for a text that begins with @ write @@{file}"
        raise Problem(f"--{name}: {file}: {error.strerror}{hint}", USAGE) from None


def _number(word: str, kinds: frozenset[str]) -> int | float | None:
    whole = word.lstrip("-").isdigit()
    if whole and kinds & {"integer", "number"}:
        if len(word) > sys.int_info.default_max_str_digits:
            return None
        return int(word)
    return float(word) if "number" in kinds else None


def _sendable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeError:
        raise Problem(f"--{name} is not UTF-8", USAGE) from None
    return text


def _takes(shape: Shape) -> str:
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "object": "an object in JSON",
        "array": "a list in JSON",
    }
    return " or ".join(word for kind, word in words.items() if kind in shape.kinds) or "nothing but null"


def nearest(name: str, known: Sequence[str]) -> str:
    """A question whether another name was meant; nothing where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
