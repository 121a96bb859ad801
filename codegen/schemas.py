"""JSON Schemas of every operation, made from the types of the installed official package.

`generate(operations)` answers the files of `src/antiphon/schema/`: `operations.json` (a line per operation) and
`definitions.json` (a line per named type). A definition is named after the module and class it stands for, so
`chat.chat_completion.Choice` is the schema of `antiphon.types.chat.chat_completion.Choice`.

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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typing_extensions

from . import schema_limits

ROOT = Path(__file__).resolve().parent.parent
TARGET = "src/antiphon/schema"
PREFIX = "openai.types."
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
            return {**schema, "discriminator": {"propertyName": tag}} if tag and "anyOf" in schema else schema
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
            return {"$ref": f"#/$defs/{self.define(annotation)}"}
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
            member = {"$ref": f"#/$defs/{name}"}
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
        for name, hint in typing_extensions.get_type_hints(cls, include_extras=True).items():
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
            own = type(
                "Own", (), {"__annotations__": base.__dict__.get("__annotations__", {}), "__module__": base.__module__}
            )
            hints.update(typing_extensions.get_type_hints(own, include_extras=True))
    return hints


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

    def row(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        name = f"{operation['resource']}.{operation['method_name']}"
        module = importlib.import_module(_module_of(operation["source"]))
        space = {**vars(typing), **vars(module)}
        row: dict[str, Any] = {"http": operation["http"], "path": operation["path"]}
        if operation["request"] != "none":
            row["media"] = operation["request"]
        for part in ("body", "query"):
            classes = [_evaluate(text, space) for text in operation["params_classes"][part]]
            names = [p["name"] for p in operation[f"{part}_params"]]
            if classes:
                schema = self.parameters(classes, set(names))
                if part == "body" and operation["params_classes"]["body"] == [] and not schema["properties"]:
                    continue
                row[part] = schema
            elif names:
                row[part] = self.listed(operation[f"{part}_params"], space)
        row["response"] = self.response(name, operation, space)
        if operation["stream_event_type"]:
            row["event"] = self.converter.schema(_evaluate(operation["stream_event_type"], space))
        schema_limits.apply(name, row, self.converter.definitions)
        return row

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

    def listed(self, parameters: Iterable[Mapping[str, Any]], space: dict[str, Any]) -> dict[str, Any]:
        """The object of a request whose parameters only its signature names."""
        rows = list(parameters)
        properties = {p["name"]: self.converter.schema(_evaluate(p["type"], space)) for p in rows}
        return _object(properties, [p["name"] for p in rows if p["required"]], closed=True)

    def response(self, name: str, operation: Mapping[str, Any], space: dict[str, Any]) -> dict[str, Any] | None:
        text = operation["response_type"]
        if operation["binary_response"] or text == "NoneType":
            return None
        if name in RESPONSES:
            module, _, attribute = RESPONSES[name].rpartition(".")
            return self.converter.schema(getattr(importlib.import_module(module), attribute))
        if operation["page_class"]:
            item = typing.get_args(_evaluate(text.replace(operation["page_class"], "List", 1), space))[0]
            envelope = PAGES[operation["page_class"].removeprefix("Sync")]
            data = {"type": "array", "items": self.converter.schema(item)}
            properties = {key: data if value is None else value for key, value in envelope.items()}
            return _object(properties, list(properties), closed=False)
        return self.converter.schema(_evaluate(text, space))


def _widest(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = Converter.merge([one, other])
    return _booleans(merged)


def _booleans(schema: dict[str, Any]) -> dict[str, Any]:
    """`True or False` is a boolean."""
    values = schema.get("enum", ())
    if True in values and False in values and set(values) <= {True, False, None}:
        return {"type": ["boolean", "null"] if None in values else "boolean"}
    return schema


def _module_of(source: str) -> str:
    return "openai." + source.partition(":")[0].removesuffix(".py").replace("/", ".")


def _evaluate(text: str, space: dict[str, Any]) -> Any:
    return eval(text, space)  # noqa: S307 - annotations of the installed package


def _reachable(rows: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """The definitions that something refers to, sorted by name."""
    seen: set[str] = set()
    queue: list[Any] = list(rows.values())
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                name = reference.removeprefix("#/$defs/")
                if name not in seen:
                    seen.add(name)
                    queue.append(definitions[name])
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)
    return {name: definitions[name] for name in sorted(seen)}


def _lines(rows: Mapping[str, Any]) -> str:
    """A JSON object with one member a line, for diffs that read well and for loading member by member."""
    lines = [
        f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'), ensure_ascii=False)}" for name, row in rows.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def generate(operations: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The files of the schema package, by path from the root of the repository.

    `operations` are rows with the keys `resource`, `method_name`, `source`, `http`, `path`, `request`,
    `params_classes`, `body_params`, `query_params`, `response_type`, `binary_response`, `page_class`,
    `stream_event_type` and `alias_of`. Raises `TypeError` for an annotation it has no schema for.
    """
    rows = [operation for operation in operations if not operation["alias_of"]]
    for operation in rows:
        importlib.import_module(_module_of(operation["source"]))
    importlib.import_module("openai.types")
    maker = Operations()
    made = {f"{o['resource']}.{o['method_name']}": maker.row(o) for o in rows}
    made = dict(sorted(made.items()))
    definitions = maker.converter.definitions
    schema_limits.apply_definitions(definitions)
    return {
        f"{TARGET}/operations.json": _lines(made),
        f"{TARGET}/definitions.json": _lines(_reachable(made, definitions)),
    }


def main() -> None:
    """Write the files, from rows given as a JSON file."""
    operations = json.loads(Path(sys.argv[1]).read_text())
    for path, text in generate(operations).items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()
