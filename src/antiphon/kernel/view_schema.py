"""JSON Schemas of views, read from their annotations: for pydantic, and through it for FastAPI's OpenAPI pages.

    json_schema(ChatCompletion)     a document of its own, the views inside it under `$defs`

A view declares what the API sends and refuses nothing, so its schema is open: further properties are allowed, and
`required` names the fields that are never absent or null.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias, get_args, get_origin

from .lazy import evaluate
from .view import View

__all__ = ("core_schema_of", "json_schema", "pydantic_json_schema")

Schema: TypeAlias = dict[str, Any]
Nested: TypeAlias = Callable[[type[View]], Schema]

_PRIMITIVES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    None: "null",
    dict: "object",
    list: "array",
}


def json_schema(cls: type[View]) -> Schema:
    """The schema of a view as a document of its own, in JSON Schema's draft 2020-12."""
    names: dict[type[View], str] = {}
    definitions: dict[str, Schema] = {}

    def nested(each: type[View]) -> Schema:
        name = names.get(each)
        if name is None:
            taken = sum(1 for known in names if known.__name__ == each.__name__)
            name = names[each] = each.__name__ if not taken else f"{each.__name__}_{taken + 1}"
            definitions[name] = {}  # so that the order is that of first mention
            definitions[name] = _object(each, nested)
        return {"$ref": f"#/$defs/{name}"}

    schema = _object(cls, nested)
    return {**schema, "$defs": definitions} if definitions else schema


def _object(cls: type[View], nested: Nested) -> Schema:
    keys = cls._keys
    required = [keys.get(name, name) for name, text in cls.__view_fields__.items() if not text.endswith("None")]
    schema: Schema = {
        "type": "object",
        "title": cls.__name__,
        "properties": {
            keys.get(name, name): _schema(evaluate(text, _home(cls, name)), nested)
            for name, text in cls.__view_fields__.items()
        },
    }
    if "__doc__" in cls.__dict__ and cls.__doc__:
        schema["description"] = cls.__doc__
    if required:
        schema["required"] = required
    return schema


def _home(cls: type[View], name: str) -> str:
    """The module that a field was declared in, whose names its annotation uses."""
    return next(each.__module__ for each in cls.__mro__ if name in getattr(each, "__annotations__", ()))


def _schema(annotation: Any, nested: Nested) -> Schema:
    """The schema of an annotation; `{}` for one that JSON Schema has no words for."""
    if isinstance(annotation, type) and issubclass(annotation, View):
        return nested(annotation)
    origin = get_origin(annotation)
    if origin is None:
        primitive = _PRIMITIVES.get(annotation)
        return {} if primitive is None else {"type": primitive}
    members = get_args(annotation)
    if origin is Literal:
        return {"const": members[0]} if len(members) == 1 else {"enum": list(members)}
    if origin is list:
        return {"type": "array", "items": _schema(members[0], nested)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(members[1], nested)}
    if isinstance(origin, type) and issubclass(origin, View):
        return nested(origin)
    schemas: list[Schema] = []
    for member in members:
        schema = _schema(member, nested)
        schemas += schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return {} if {} in schemas else {"anyOf": schemas}


# pydantic

_open: ContextVar[frozenset[type[View]]] = ContextVar("antiphon_view_schemas", default=frozenset())
"""Views whose schemas are being made: where one of them comes again inside itself, it is referred to."""


def core_schema_of(cls: type[View]) -> Any:
    """How pydantic checks and writes a view: anything a view can lie over goes in, the JSON object comes out."""
    from pydantic_core import core_schema

    return core_schema.no_info_plain_validator_function(
        cls.model_validate,
        ref=_reference(cls),
        serialization=core_schema.plain_serializer_function_ser_schema(_written),
    )


def _written(view: Any) -> Any:
    return view.to_dict() if isinstance(view, View) else view


def _reference(cls: type[View]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"


def pydantic_json_schema(cls: type[View], handler: Any) -> Schema:
    """The schema of a view inside a document of pydantic's, with the views inside it among the `$defs` there."""
    from pydantic import TypeAdapter
    from pydantic_core import core_schema

    def nested(each: type[View]) -> Schema:
        if each in _open.get():
            return dict(handler(core_schema.definition_reference_schema(_reference(each))))
        # In a list, because what is handed over bare is not asked for a schema of its own.
        return dict(handler(core_schema.list_schema(TypeAdapter(each).core_schema))["items"])

    token = _open.set(_open.get() | {cls})
    try:
        return _object(cls, nested)
    finally:
        _open.reset(token)
