"""JSON Schemas of plain Python types, and JSON values read back into those types: no package is needed for it.

Dataclasses, TypedDicts and NamedTuples, nested, generic and recursive; lists, sets, tuples and dicts; unions,
literals, enums, dates, UUIDs and decimals; `Annotated[T, "what it is"]` gives a description. Models of pydantic,
structs of msgspec and views inside them are described and read by their own packages.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from inspect import isclass
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from ..kernel.view import View

__all__ = ("Field", "Mismatch", "Shape", "Shapes", "is_msgspec", "is_pydantic", "kind_of")

Schema = dict[str, Any]
Load = Callable[[Any], Any]


class Mismatch(ValueError):
    """A JSON value is not of the type it was to be read into. `path` leads to it: keys and positions."""

    def __init__(self, message: str, of_kind: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.path: list[str | int] = []
        self.of_kind = of_kind
        """Whether the value is at least of the right kind, such as an object."""

    def __str__(self) -> str:
        way = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return f"${way}: {self.message}" if way else self.message


class Shape(NamedTuple):
    """How a type looks in JSON."""

    schema: Schema
    load: Load
    """From a decoded JSON value to a value of the type. Raises `Mismatch`, or what the type itself raises."""


class Field(NamedTuple):
    """A property of an object."""

    name: str
    annotation: Any
    description: str | None = None
    optional: bool = False
    """It may be absent. In strict schemas nothing may: there, `null` stands for it."""


def is_pydantic(cls: Any) -> bool:
    """Whether a type is a model of pydantic."""
    pydantic = sys.modules.get("pydantic")  # who has a model has imported it
    return pydantic is not None and isclass(cls) and issubclass(cls, pydantic.BaseModel)


def is_msgspec(cls: Any) -> bool:
    """Whether a type is a struct of msgspec."""
    return isclass(cls) and hasattr(cls, "__struct_fields__")


def kind_of(value: Any) -> str:
    """What a JSON value is, in the words of JSON."""
    kinds = {
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        list: "an array",
        dict: "an object",
    }
    return "null" if value is None else kinds.get(type(value), type(value).__name__)


def _expected(what: str, value: Any) -> Mismatch:
    shown = repr(value)
    found = kind_of(value) if isinstance(value, (dict, list)) or value is None or len(shown) > 60 else shown
    return Mismatch(f"expected {what}, found {found}", of_kind=False)


# Values without parts


def _any(value: Any) -> Any:
    return value


def _null(value: Any) -> None:
    if value is not None:
        raise _expected("null", value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _expected("a boolean", value)
    return value


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _expected("an integer", value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _expected("a number", value)
    return float(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _expected("a string", value)
    return value


def _from_text(parse: Callable[[str], Any], what: str) -> Load:
    def load(value: Any) -> Any:
        if isinstance(value, str):
            try:
                return parse(value)
            except (ValueError, ArithmeticError):
                pass
        raise _expected(what, value)

    return load


def _decimal(value: Any) -> Decimal:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(str(value))
    decimal: Decimal = _from_text(Decimal, "a decimal number")(value)
    return decimal


_SIMPLE: dict[Any, Shape] = {
    Any: Shape({}, _any),
    object: Shape({}, _any),
    None: Shape({"type": "null"}, _null),
    type(None): Shape({"type": "null"}, _null),
    bool: Shape({"type": "boolean"}, _boolean),
    int: Shape({"type": "integer"}, _integer),
    float: Shape({"type": "number"}, _number),
    str: Shape({"type": "string"}, _string),
    datetime: Shape(
        {"type": "string", "format": "date-time"}, _from_text(datetime.fromisoformat, "a date and a time in ISO 8601")
    ),
    date: Shape({"type": "string", "format": "date"}, _from_text(date.fromisoformat, "a date in ISO 8601")),
    time: Shape({"type": "string", "format": "time"}, _from_text(time.fromisoformat, "a time in ISO 8601")),
    UUID: Shape({"type": "string", "format": "uuid"}, _from_text(UUID, "a UUID")),
    Decimal: Shape({"type": "string"}, _decimal),
}

_LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    Sequence: list,
    MutableSequence: list,
    Iterable: list,
    Collection: list,
    set: set,
    AbstractSet: set,
    frozenset: frozenset,
}


class Shapes:
    """Makes shapes, and keeps the definitions that they refer to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._names: dict[Any, str] = {}
        self._loads: dict[Any, Load] = {}

    def of(self, annotation: Any) -> Shape:
        """The shape of a type. Raises `TypeError` for one that JSON has no shape for."""
        simple = _SIMPLE.get(annotation) if _hashable(annotation) else None
        if simple is not None:
            return simple
        origin = get_origin(annotation)
        members = get_args(annotation)
        if origin is Annotated:
            return self._annotated(members[0], members[1:])
        if origin in (Required, NotRequired) or getattr(origin, "_name", None) == "ReadOnly":
            return self.of(members[0])
        if origin is Literal:
            return _choice(list(members), {value: value for value in members})
        if origin in (Union, UnionType):
            return self._union(members)
        kind = origin or annotation
        if kind in _LISTS:
            return self._list(members[0] if members else Any, _LISTS[kind])
        if kind is tuple:
            return self._tuple(members)
        if kind in (dict, Mapping, MutableMapping):
            return self._dict(members)
        alias = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
        if alias is not None:  # NewType, and the aliases of `type` statements
            return self.of(alias)
        if isinstance(annotation, TypeVar):
            return self.of(annotation.__bound__ or Any)
        if isclass(kind) and issubclass(kind, Enum):
            return _choice([each.value for each in kind], {each.value: each for each in kind})
        if isclass(kind):
            return self._class(annotation, kind, members)
        raise TypeError(f"no JSON Schema is made from {annotation!r}")

    def root(self, annotation: Any) -> Shape:
        """The shape of a type whose schema is a document of its own."""
        shape = self.of(annotation)
        return self.document(shape, annotation)

    def document(self, shape: Shape, annotation: Any = None) -> Shape:
        """A shape with the definitions it refers to."""
        schema = dict(shape.schema)
        name = self._names.get(annotation) if _hashable(annotation) else None
        if schema.keys() == {"$ref"} and name is not None:
            schema = dict(self.definitions[name])
            if not _refers(self.definitions, f"#/$defs/{name}"):
                del self.definitions[name]
        if self.definitions:
            schema["$defs"] = self.definitions
        return Shape(schema, shape.load)

    def object(
        self, fields: list[Field], make: Callable[[dict[str, Any]], Any], description: str | None = None
    ) -> Shape:
        """The shape of an object with certain properties, of which `make` makes a value."""
        schema: Schema = {"type": "object"}
        if description:
            schema["description"] = description
        properties: dict[str, Schema] = {}
        loads: dict[str, tuple[Load, bool]] = {}
        for field in fields:
            shape = self.of(field.annotation)
            nullable = field.optional and not _takes_null(shape.schema)
            properties[field.name] = {"anyOf": [shape.schema, {"type": "null"}]} if nullable else shape.schema
            if field.description:
                properties[field.name] = {**properties[field.name], "description": field.description}
            loads[field.name] = (shape.load, field.optional and nullable)
        required = [field.name for field in fields]
        schema.update(properties=properties, required=required, additionalProperties=False)
        optional = frozenset(field.name for field in fields if field.optional)
        return Shape(schema, _object_load(loads, optional, make))

    # Parts

    def _annotated(self, annotation: Any, metadata: tuple[Any, ...]) -> Shape:
        shape = self.of(annotation)
        texts = (
            each
            if isinstance(each, str)
            else getattr(each, "description", None) or getattr(each, "documentation", None)
            for each in metadata
        )
        description = next((text for text in texts if isinstance(text, str) and text), None)
        return shape if description is None else Shape({**shape.schema, "description": description}, shape.load)

    def _union(self, members: tuple[Any, ...]) -> Shape:
        shapes = [self.of(member) for member in members]
        schemas: list[Schema] = []
        for shape in shapes:
            schemas += shape.schema["anyOf"] if shape.schema.keys() == {"anyOf"} else [shape.schema]
        loads = [shape.load for shape in shapes]

        def load(value: Any) -> Any:
            errors: list[Mismatch] = []
            for each in loads:
                try:
                    return each(value)
                except Mismatch as error:
                    errors.append(error)
            raise max(errors, key=lambda error: (len(error.path), error.of_kind))

        return Shape({"anyOf": schemas}, load)

    def _list(self, annotation: Any, make: Callable[[list[Any]], Any]) -> Shape:
        schema, item = self.of(annotation)

        def load(value: Any) -> Any:
            if not isinstance(value, list):
                raise _expected("an array", value)
            return make(_each(value, item))

        return Shape({"type": "array", "items": schema}, load)

    def _tuple(self, members: tuple[Any, ...]) -> Shape:
        if not members or members[-1] is Ellipsis:
            return self._list(members[0] if members else Any, tuple)
        shapes = [self.of(member) for member in members]
        schemas: list[Schema] = []
        for shape in shapes:
            if shape.schema not in schemas:
                schemas.append(shape.schema)
        count = len(members)

        def load(value: Any) -> Any:
            if not isinstance(value, list) or len(value) != count:
                raise _expected(f"an array of {count}", value)
            return tuple(_at(n, shape.load, each) for n, (shape, each) in enumerate(zip(shapes, value, strict=True)))

        items = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        return Shape({"type": "array", "items": items, "minItems": count, "maxItems": count}, load)

    def _dict(self, members: tuple[Any, ...]) -> Shape:
        schema, item = self.of(members[1] if members else Any)

        def load(value: Any) -> Any:
            if not isinstance(value, dict):
                raise _expected("an object", value)
            return {key: _at(key, item, each) for key, each in value.items()}

        return Shape({"type": "object", "additionalProperties": schema or True}, load)

    def _class(self, annotation: Any, kind: Any, members: tuple[Any, ...]) -> Shape:
        name = self._names.get(annotation)
        if name is None:
            make = next((make for test, make in _CLASSES if test(kind)), None)
            if make is None:
                raise TypeError(f"no JSON Schema is made from {annotation!r}")
            name = self._names[annotation] = self._name(annotation, members)
            self.definitions[name] = {}
            self.definitions[name], self._loads[annotation] = make(self, annotation, kind, members)

        def load(value: Any) -> Any:  # what is being described may hold itself: its own way comes later
            return self._loads[annotation](value)

        return Shape({"$ref": f"#/$defs/{name}"}, load)

    def _name(self, annotation: Any, members: tuple[Any, ...]) -> str:
        own: str = getattr(annotation, "__name__", "Object")
        name = "_".join([own, *(getattr(member, "__name__", "of") for member in members)])
        taken = sum(1 for each in self.definitions if each == name or each.startswith(f"{name}-"))
        return f"{name}-{taken + 1}" if taken else name

    # Classes

    def _dataclass(self, annotation: Any, kind: Any, members: tuple[Any, ...]) -> Shape:
        hints = _hints(kind, members)
        fields = [
            Field(each.name, hints[each.name], each.metadata.get("description"))
            for each in dataclasses.fields(kind)
            if each.init
        ]
        written = None if (kind.__doc__ or "").startswith(f"{kind.__name__}(") else kind.__doc__
        return self.object(fields, lambda values: kind(**values), _text(written))

    def _typed_dict(self, annotation: Any, kind: Any, members: tuple[Any, ...]) -> Shape:
        hints = _hints(kind, members)
        fields = [Field(name, hint, None, _is_optional(kind, name, hint)) for name, hint in hints.items()]
        return self.object(fields, lambda values: values, _text(kind.__doc__))

    def _named_tuple(self, annotation: Any, kind: Any, members: tuple[Any, ...]) -> Shape:
        hints = _hints(kind, members)
        fields = [Field(name, hints.get(name, Any)) for name in kind._fields]
        written = None if (kind.__doc__ or "").startswith(f"{kind.__name__}(") else kind.__doc__
        return self.object(fields, lambda values: kind(**values), _text(written))

    def _pydantic(self, annotation: Any, kind: Any, members: tuple[Any, ...]) -> Shape:
        return Shape(self._foreign(annotation, kind.model_json_schema()), kind.model_validate)

    def _msgspec(self, annotation: Any, kind: Any, members: tuple[Any, ...]) -> Shape:
        import msgspec

        schema = self._foreign(annotation, msgspec.json.schema(annotation))
        return Shape(schema, lambda value: msgspec.convert(value, annotation))

    def _view(self, annotation: Any, kind: Any, members: tuple[Any, ...]) -> Shape:
        return Shape(self._foreign(annotation, kind.model_json_schema()), kind.model_validate)

    def _foreign(self, annotation: Any, schema: Schema) -> Schema:
        """A schema made elsewhere, its definitions among ours."""
        definitions = schema.get("$defs", {})
        names = {name: f"{name}-{len(self.definitions)}" for name in definitions if name in self.definitions}
        own = schema.get("$ref", "").removeprefix("#/$defs/")
        if own in definitions:  # a document that is nothing but one of its definitions
            names[own] = self._names[annotation]
            schema = definitions[own]
        moved: dict[str, Schema] = _renamed(definitions, names)
        self.definitions.update({names.get(name, name): each for name, each in moved.items()})
        made: Schema = _renamed({key: value for key, value in schema.items() if key != "$defs"}, names)
        return made


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_named_tuple(kind: Any) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


_CLASSES: tuple[tuple[Callable[[Any], bool], Callable[..., Shape]], ...] = (
    (is_pydantic, Shapes._pydantic),
    (is_msgspec, Shapes._msgspec),
    (lambda kind: issubclass(kind, View), Shapes._view),
    (dataclasses.is_dataclass, Shapes._dataclass),
    (is_typeddict, Shapes._typed_dict),
    (_is_named_tuple, Shapes._named_tuple),
)
"""What kinds of classes there are shapes for."""


def _hints(kind: Any, members: tuple[Any, ...]) -> dict[str, Any]:
    """The annotations of a class, with the arguments of a generic one in their places."""
    hints = get_type_hints(kind, include_extras=True)
    bound = dict(zip(getattr(kind, "__parameters__", ()), members, strict=False))
    return {name: _bound(hint, bound) for name, hint in hints.items()} if bound else hints


def _is_optional(kind: Any, name: str, hint: Any) -> bool:
    """Whether a key of a TypedDict may be absent. Where annotations are text, the class itself does not know."""
    origin = get_origin(hint)
    return origin is NotRequired or (name in kind.__optional_keys__ and origin is not Required)


def _bound(annotation: Any, arguments: dict[Any, Any]) -> Any:
    if isinstance(annotation, TypeVar):
        return arguments.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if not parameters or isclass(annotation):
        return annotation
    return annotation[tuple(arguments.get(each, each) for each in parameters)]


def _text(docstring: str | None) -> str | None:
    if not docstring:
        return None
    from inspect import cleandoc

    return cleandoc(docstring)


def _choice(values: list[Any], by_value: dict[Any, Any]) -> Shape:
    """One of certain values."""
    types = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    kinds = {types.get(type(value)) for value in values}
    schema: Schema = {"enum": values}
    kind = kinds.pop()
    if kind is not None and not kinds:
        schema = {"type": kind, "enum": values}

    def load(value: Any) -> Any:
        if _hashable(value) and value in by_value:
            return by_value[value]
        raise _expected("one of " + ", ".join(map(repr, values)), value)

    return Shape(schema, load)


def _takes_null(schema: Schema) -> bool:
    return not schema or schema.get("type") == "null" or any(_takes_null(each) for each in schema.get("anyOf", ()))


def _refers(value: Any, reference: str) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == reference or any(_refers(each, reference) for each in value.values())
    return isinstance(value, list) and any(_refers(each, reference) for each in value)


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    made = {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(reference, str):
        name = reference.removeprefix("#/$defs/")
        made["$ref"] = f"#/$defs/{names.get(name, name)}"
    return made


# Loading


def _at(step: str | int, load: Load, value: Any) -> Any:
    try:
        return load(value)
    except Mismatch as error:
        error.path.insert(0, step)
        raise


def _each(values: list[Any], load: Load) -> list[Any]:
    return [_at(n, load, value) for n, value in enumerate(values)]


def _object_load(
    loads: dict[str, tuple[Load, bool]], optional: frozenset[str], make: Callable[[dict[str, Any]], Any]
) -> Load:
    def load(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _expected("an object", value)
        made: dict[str, Any] = {}
        for name, (each, null_is_absent) in loads.items():
            if name in value:
                if not (null_is_absent and value[name] is None):
                    made[name] = _at(name, each, value[name])
            elif name not in optional:
                raise Mismatch(f"{name!r} is missing")
        return make(made)

    return load
