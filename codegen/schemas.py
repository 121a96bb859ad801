"""JSON Schemas of every operation, made from the types of the installed official package.

`generate()` answers the files of `src/antiphon/schema/`: `operations.json` (a line per operation), `events.json` (a
line per websocket) and `definitions.json` (a line per named type). A definition is named after the module and class it
stands for, so `chat.chat_completion.Choice` is the schema of `antiphon.types.chat.chat_completion.Choice`.

The schemas say what the wire carries, which is less than the types say in one place: a union of `str` and known
names (models, voices) is any string. They say more in another: `schema_limits` adds the bounds that the types
cannot state. Titles, descriptions and the defaults pydantic writes for absent fields are left out.
"""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import json
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import typing_extensions

from . import schema_events, schema_limits
from .schema_rows import Row, rows

FOLDER = "schema"
PREFIX = "openai.types."
REFERENCE = "#/$defs/"
NAMED_UNION = 3
"""A union of at least so many members, if the package has a name for it, becomes a definition of its own."""

PAGES: dict[str, dict[str, Any]] = {
    "Page": {"object": {"const": "list"}, "data": None},
    "CursorPage": {
        "object": {"const": "list"},
        "data": None,
        "first_id": {"type": ["string", "null"]},
        "last_id": {"type": ["string", "null"]},
        "has_more": {"type": "boolean"},
    },
    "ConversationCursorPage": {
        "object": {"const": "list"},
        "data": None,
        "first_id": {"type": ["string", "null"]},
        "last_id": {"type": ["string", "null"]},
        "has_more": {"type": "boolean"},
    },
    "NextCursorPage": {
        "object": {"const": "list"},
        "data": None,
        "has_more": {"type": "boolean"},
        "next": {"type": ["string", "null"]},
    },
    "TokenPage": {
        "object": {"const": "list"},
        "data": None,
        "has_more": {"type": "boolean"},
        "next": {"type": ["string", "null"]},
    },
}
"""The envelope of each kind of page; `data` is the place of the items."""

RESPONSES = {
    "audio.transcriptions.create": "openai.types.audio.TranscriptionCreateResponse",
    "audio.translations.create": "openai.types.audio.TranslationCreateResponse",
}
"""Operations whose answer depends on the asked format; the package computes their type at run time."""

ORDER = ("string", "integer", "number", "boolean", "null")
"""The order of plain types in a union: `typing` does not keep the one they are written in."""
SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
BINARY = {"type": "string", "format": "binary"}


class Converter:
    """Turns type annotations into JSON Schemas and collects the definitions they refer to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}
        self.unions = _named_unions()

    def schema(self, annotation: Any) -> dict[str, Any]:
        """The schema of one annotation."""
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            schema = self.schema(arguments[0])
            tag = next((m.discriminator for m in arguments[1:] if getattr(m, "discriminator", None)), None)
            union = self.definitions[schema["$ref"].removeprefix(REFERENCE)] if "$ref" in schema else schema
            if tag and "anyOf" in union:
                union["discriminator"] = {"propertyName": tag}
            return schema
        if origin in (typing.Required, typing_extensions.Required, typing.NotRequired, typing_extensions.NotRequired):
            return self.schema(arguments[0])
        if origin is typing.Literal:
            return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        if origin in (typing.Union, types.UnionType):
            return self.union(annotation, arguments)
        if annotation in SCALARS:
            return {"type": SCALARS[annotation]}
        if annotation is None or annotation is type(None):
            return {"type": "null"}
        if annotation in (object, Any):
            return {}
        if _is_binary(annotation):
            return dict(BINARY)
        if origin in (dict, collections.abc.Mapping):
            values = self.schema(arguments[1])
            return {"type": "object", **({"additionalProperties": values} if values else {})}
        if origin in (list, collections.abc.Iterable, collections.abc.Sequence) or _is_sequence(origin):
            items = self.schema(arguments[0])
            return {"type": "array", **({"items": items} if items else {})}
        if inspect.isclass(annotation) and (
            typing_extensions.is_typeddict(annotation) or hasattr(annotation, "model_fields")
        ):
            return {"$ref": REFERENCE + self.define(annotation)}
        raise TypeError(f"no schema for {annotation!r}")

    def union(self, annotation: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        plain = tuple(a for a in arguments if a is not type(None))
        if any(_is_binary(a) for a in plain):
            return self.merge([dict(BINARY), *(self.schema(a) for a in arguments if not _is_binary(a))])
        name = self.unions.get(_key(plain)) if len(plain) >= NAMED_UNION else None
        if name is not None:
            if name not in self.definitions:
                self.definitions[name] = {}
                self.definitions[name] = self.merge([self.schema(a) for a in plain])
            member = {"$ref": REFERENCE + name}
            return member if len(plain) == len(arguments) else {"anyOf": [member, {"type": "null"}]}
        return self.merge([self.schema(a) for a in arguments])

    @staticmethod
    def merge(members: list[dict[str, Any]]) -> dict[str, Any]:
        """One schema for a union: members flattened, equal ones once, names that any string covers dropped."""
        flat: list[dict[str, Any]] = []
        for member in members:
            for one in member["anyOf"] if set(member) == {"anyOf"} else [member]:
                if one not in flat:
                    flat.append(one)
        if {} in flat:
            return {}
        if {"type": "string"} in flat:
            flat = [
                m for m in flat if not ("enum" in m or "const" in m) or any(not isinstance(v, str) for v in _values(m))
            ]
        if all(set(m) == {"type"} and m["type"] in ORDER for m in flat):
            flat.sort(key=lambda m: ORDER.index(m["type"]))
        nullable = {"type": "null"} in flat
        flat = [m for m in flat if m != {"type": "null"}]
        values = [v for m in flat if set(m) <= {"const", "enum"} for v in _values(m)]
        if values:
            place = next(i for i, m in enumerate(flat) if set(m) <= {"const", "enum"})
            rest = [m for m in flat[place:] if not set(m) <= {"const", "enum"}]
            flat = [*flat[:place], {"const": values[0]} if len(values) == 1 else {"enum": values}, *rest]
        if not nullable:
            return flat[0] if len(flat) == 1 else {"anyOf": flat}
        if len(flat) == 1 and "type" in flat[0]:
            return {**flat[0], "type": [flat[0]["type"], "null"]}
        if len(flat) == 1 and set(flat[0]) <= {"const", "enum"}:
            return {"enum": [*_values(flat[0]), None]}
        return {"anyOf": [*flat, {"type": "null"}]}

    def define(self, cls: Any) -> str:
        """Add the definition of a class, if it is not there, and answer its name."""
        name = f"{cls.__module__.removeprefix(PREFIX)}.{cls.__qualname__}"
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self.typed_dict(cls) if typing_extensions.is_typeddict(cls) else self.model(cls)
        return name

    def typed_dict(self, cls: Any) -> dict[str, Any]:
        """The closed object a request's type describes."""
        properties: dict[str, Any] = {}
        required: list[str] = []
        for name, hint in _hints(cls).items():
            key, needed = _aliased(name, hint), name in cls.__required_keys__
            if typing.get_origin(hint) in (typing.Required, typing_extensions.Required):
                needed = True
            properties[key] = self.schema(hint)
            if needed:
                required.append(key)
        return _object(properties, required, closed=True)

    def model(self, cls: Any) -> dict[str, Any]:
        """The open object a response's model describes."""
        hints = _model_hints(cls)
        properties: dict[str, Any] = {}
        required: list[str] = []
        for name, field in cls.model_fields.items():
            key = field.alias or name
            properties[key] = self.schema(hints[name])
            if field.is_required():
                required.append(key)
        return _object(properties, required, closed=False)


def _model_hints(cls: Any) -> dict[str, Any]:
    """The annotations of the fields of a model, without those of the package's base class."""
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith(PREFIX):
            annotations = inspect.get_annotations(base)
            own = type("Own", (), {"__annotations__": annotations, "__module__": base.__module__})
            hints.update(_hints(own))
    return hints


def _hints(cls: Any) -> dict[str, Any]:
    """The annotations of a class. `typing` takes unions of the same members for one, in the order it met first:
    with its memory cleared, every union keeps the order of its own module."""
    cleanups: list[Callable[[], None]] = vars(typing)["_cleanups"]
    for forget in cleanups:
        forget()
    return typing_extensions.get_type_hints(cls, include_extras=True)


def _object(properties: dict[str, Any], required: list[str], *, closed: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if closed:
        schema["additionalProperties"] = False
    return schema


def _values(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema["enum"])


def _aliased(name: str, hint: Any) -> str:
    while typing.get_origin(hint) in (typing.Required, typing_extensions.Required):
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is typing.Annotated:
        return next((m.alias for m in typing.get_args(hint)[1:] if getattr(m, "alias", None)), name)
    return name


def _is_binary(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) or annotation
    return origin in (bytes, typing.IO, os.PathLike) or (origin is tuple)


def _is_sequence(origin: Any) -> bool:
    return getattr(origin, "__name__", "") == "SequenceNotStr"


def _key(members: Iterable[Any]) -> frozenset[str]:
    return frozenset(map(repr, members))


def _named_unions() -> dict[frozenset[str], str]:
    """The package's own names of its unions, the shortest where there are several."""
    names: dict[frozenset[str], str] = {}
    for module_name, module in sorted(sys.modules.items()):
        if not module_name.startswith(PREFIX) or hasattr(module, "__path__"):
            continue
        for name, value in sorted(vars(module).items()):
            annotation = typing.get_args(value)[0] if typing.get_origin(value) is typing.Annotated else value
            if typing.get_origin(annotation) is not typing.Union or name.startswith("_"):
                continue
            members = [a for a in typing.get_args(annotation) if a is not type(None)]
            if not all(inspect.isclass(a) for a in members) or len(members) < NAMED_UNION or str in members:
                continue
            full = f"{module_name.removeprefix(PREFIX)}.{name}"
            key = _key(members)
            if key not in names or (len(full), full) < (len(names[key]), names[key]):
                names[key] = full
    return names


class Operations:
    """The schemas of the operations."""

    def __init__(self) -> None:
        self.converter = Converter()

    def table(self, row: Row) -> dict[str, Any]:
        """What the tables say about one operation."""
        space = {**vars(typing), **vars(importlib.import_module(row.module))}
        table: dict[str, Any] = {"http": row.method, "path": row.path}
        if row.media:
            table["media"] = row.media
        for part, given, names in (("body", row.body, row.body_types), ("query", row.query, row.query_types)):
            if given:
                classes = [_evaluate(name, space) for name in names]
                table[part] = self.parameters(classes, {each.name for each in given})
        table["response"] = self.response(row, space)
        if row.event:
            table["event"] = self.converter.schema(_evaluate(row.event, space))
        schema_limits.apply(row.name, table)
        return table

    def parameters(self, classes: list[Any], names: set[str]) -> dict[str, Any]:
        """One object for the variants of a request; what only one variant requires is optional."""
        variants: list[dict[str, Any]] = []
        for cls in classes:
            options = typing.get_args(cls) if typing.get_origin(cls) is typing.Union else (cls,)
            variants.extend(self.converter.typed_dict(option) for option in options)
        properties: dict[str, Any] = {}
        for variant in variants:
            for key, value in variant["properties"].items():
                known = properties.get(key)
                properties[key] = value if known in (None, value) else _widest(known, value)
        required = [
            key for key in variants[0].get("required", ()) if all(key in v.get("required", ()) for v in variants)
        ]
        if names:
            properties = {key: value for key, value in properties.items() if key in names or key.rstrip("_") in names}
        return _object(properties, [key for key in required if key in properties], closed=True)

    def response(self, row: Row, space: dict[str, Any]) -> dict[str, Any] | None:
        """The schema of the answer; `None` for bytes or nothing."""
        if row.name in RESPONSES:
            module, _, attribute = RESPONSES[row.name].rpartition(".")
            return self.converter.schema(getattr(importlib.import_module(module), attribute))
        if row.response is None:
            return None
        answer = self.converter.schema(_evaluate(row.response, space))
        if row.page is None:
            return answer
        data = {"type": "array", "items": answer}
        properties = {key: data if value is None else value for key, value in PAGES[row.page].items()}
        return _object(properties, list(properties), closed=False)


def _widest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = Converter.merge([one, other])
    return _booleans(merged)


def _booleans(schema: dict[str, Any]) -> dict[str, Any]:
    """`True or False` is a boolean."""
    values = schema.get("enum", ())
    if True in values and False in values and set(values) <= {True, False, None}:
        return {"type": ["boolean", "null"] if None in values else "boolean"}
    return schema


def _evaluate(text: str, space: dict[str, Any]) -> Any:
    return eval(text, space)


def _reachable(rows: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions that something refers to, sorted by name."""
    seen: set[str] = set()
    queue: list[Any] = list(rows.values())
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                name = reference.removeprefix(REFERENCE)
                if name not in seen:
                    seen.add(name)
                    queue.append(definitions[name])
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)
    return {name: definitions[name] for name in sorted(seen)}


def _lines(rows: Mapping[str, Any]) -> str:
    """A JSON object with one member a line, sorted, for diffs that read well and for loading member by member."""
    lines = [
        f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'), ensure_ascii=False)}"
        for name, row in sorted(rows.items())
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def generate() -> Iterator[tuple[str, str]]:
    """The schema tables with their paths below `src/antiphon`. Raises `TypeError` for an unknown annotation."""
    found = rows()
    for row in found:
        importlib.import_module(row.module)
    importlib.import_module("openai.types")
    maker = Operations()
    tables = {row.name: maker.table(row) for row in found}
    events = schema_events.tables(maker.converter)
    definitions = maker.converter.definitions
    schema_limits.apply_definitions(definitions)
    yield f"{FOLDER}/definitions.json", _lines(_reachable({"operations": tables, "events": events}, definitions))
    yield f"{FOLDER}/events.json", _lines(events)
    yield f"{FOLDER}/operations.json", _lines(tables)
