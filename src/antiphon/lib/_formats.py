"""A type as the format of an answer: the strict JSON Schema that is sent, and the answer read back into the type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import lru_cache
from inspect import Parameter, isclass, signature
from typing import Any, Generic, TypeVar, get_origin, get_type_hints, is_typeddict

from ..kernel.view import View
from ._docstrings import described
from ._schemas import Field, Shapes, is_msgspec, is_pydantic
from ._strict import strict

__all__ = ("Format", "format_of")

T = TypeVar("T")


class Format(Generic[T]):
    """How a type is asked for and how an answer becomes one."""

    __slots__ = ("description", "load", "name", "schema")

    def __init__(
        self, name: str, schema: dict[str, Any], load: Callable[[str], T], description: str | None = None
    ) -> None:
        self.name = re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:64]
        self.schema = schema
        """The strict schema. Shared between all who ask: it is not to be changed."""
        self.load = load
        """From JSON text to a value. Raises what the type raises for text it does not take."""
        self.description = description


def format_of(kind: Any) -> Format[Any]:
    """The format of a type: a model of pydantic, a struct of msgspec, a dataclass, a TypedDict, a NamedTuple or a view,
    or a function, whose arguments are what is asked for. Raises `TypeError` for anything else.
    """
    try:
        return _cached(kind)
    except TypeError:
        return _made(kind)  # either it cannot be kept by, or the error comes again


def _made(kind: Any) -> Format[Any]:
    for fits, make in _MAKERS:
        if fits(kind):
            return make(kind)
    raise TypeError(
        f"{kind!r} cannot be the format of an answer: give a model of pydantic, a dataclass, a struct of msgspec, "
        "a TypedDict or a function"
    )


_cached = lru_cache(maxsize=512)(_made)


def _is_adapted(kind: Any) -> bool:
    """Dataclasses and TypedDicts that say they are pydantic's."""
    return isclass(kind) and (hasattr(kind, "__pydantic_config__") or hasattr(kind, "__pydantic_validator__"))


def _is_plain(kind: Any) -> bool:
    kind = get_origin(kind) or kind
    return isclass(kind) and (is_dataclass(kind) or is_typeddict(kind) or hasattr(kind, "_fields"))


def _is_function(kind: Any) -> bool:
    return callable(kind) and not isclass(kind) and get_origin(kind) is None


def _pydantic(kind: Any) -> Format[Any]:
    # Not `getdoc`: pydantic's own docstring is not the model's.
    return Format(kind.__name__, strict(kind.model_json_schema()), kind.model_validate_json, kind.__doc__)


def _adapted(kind: Any) -> Format[Any]:
    from pydantic import TypeAdapter

    adapter: Any = TypeAdapter(kind)
    return Format(kind.__name__, strict(adapter.json_schema()), adapter.validate_json, kind.__doc__)


def _msgspec(kind: Any) -> Format[Any]:
    import msgspec

    return Format(kind.__name__, strict(msgspec.json.schema(kind)), msgspec.json.Decoder(kind).decode, kind.__doc__)


def _view(kind: Any) -> Format[Any]:
    return Format(kind.__name__, strict(kind.model_json_schema()), kind.model_validate_json, kind.__doc__)


def _plain(kind: Any) -> Format[Any]:
    schema, load = Shapes().root(kind)
    name = "_".join([kind.__name__, *(getattr(each, "__name__", "of") for each in getattr(kind, "__args__", ()))])
    return Format(name, strict(schema), _decoding(load), schema.get("description"))


def _function(function: Any) -> Format[Any]:
    """The arguments of a function. A default may be had by saying `null` where the type itself has no null."""
    hints = get_type_hints(function, include_extras=True)
    text, of_parameters = described(function.__doc__)
    fields: list[Field] = []
    for parameter in signature(function).parameters.values():
        name = parameter.name
        if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD, Parameter.POSITIONAL_ONLY):
            raise TypeError(f"{function.__name__}() cannot be a tool: its parameter {name!r} is not given by name")
        if name not in hints:
            raise TypeError(f"{function.__name__}() cannot be a tool: its parameter {name!r} has no type")
        optional = parameter.default is not Parameter.empty
        fields.append(Field(name, hints[name], of_parameters.get(name), optional))
    shapes = Shapes()
    schema, load = shapes.document(shapes.object(fields, lambda values: values))
    return Format(function.__name__, strict(schema), _decoding(load), text or None)


def _decoding(load: Callable[[Any], Any]) -> Callable[[str], Any]:
    def loads(text: str) -> Any:
        from orjson import loads

        return load(loads(text))

    return loads


_MAKERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Format[Any]]], ...] = (
    (is_pydantic, _pydantic),
    (_is_adapted, _adapted),
    (is_msgspec, _msgspec),
    (lambda kind: isclass(kind) and issubclass(kind, View), _view),
    (_is_plain, _plain),
    (_is_function, _function),
)
"""What can be a format, and how it becomes one: the first that fits."""
