"""The arguments of a tool: their JSON Schema, and a call's arguments read into what the tool takes.

pydantic does both where it is installed and knows the types; else our own reading of them does. Both raise a
`ValueError` for arguments that do not fit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from copy import deepcopy
from inspect import Parameter, Signature, isclass, ismethod, signature, unwrap
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from ..._formats import format_of
from ..._schemas import is_pydantic

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ("Arguments", "of_function", "of_model")


class Arguments(NamedTuple):
    """How a tool's arguments are told to the model, and read."""

    schema: dict[str, Any]
    load: Callable[[dict[str, Any]], Any]


def of_model(model: Any) -> Arguments:
    """The arguments that make a model. Raises `TypeError` where they are no object."""
    if is_pydantic(model):
        made = Arguments(model.model_json_schema(), model.model_validate)
    else:
        made = _of_format(model)
    if _root(made.schema).get("type") != "object":
        raise TypeError(
            f"the arguments of a tool are an object: {model.__name__} is none, or several that could be; "
            "give a model that has it in a field"
        )
    return made


def _root(schema: dict[str, Any]) -> Mapping[str, Any]:
    """A schema, or the definition of its own that it stands for."""
    seen: set[str] = set()
    found: Any = schema
    while isinstance(found, Mapping):
        reference = found.get("$ref")
        if not isinstance(reference, str) or reference in seen:
            return found
        seen.add(reference)
        found = schema
        for part in reference.split("/")[1:]:
            found = found.get(part) if isinstance(found, Mapping) else None
    return {}


def _of_format(kind: Any) -> Arguments:
    made = format_of(kind)

    def load(arguments: dict[str, Any]) -> Any:
        from orjson import dumps

        return made.load(dumps(arguments).decode())

    return Arguments(deepcopy(made.schema), load)


def of_function(function: Callable[..., Any]) -> Arguments:
    """The arguments of a function, read into a dict by name. Raises `TypeError` for a parameter without a type, for
    one that is not given by name, and for one whose name begins with an underscore.
    """
    parameters = signature(function)
    for parameter in parameters.parameters.values():
        if parameter.kind not in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
            raise TypeError(f"a tool is called by name: its parameter {parameter.name!r} cannot be given so")
        if parameter.name.startswith("_") or parameter.annotation is Parameter.empty:
            raise TypeError(f"the parameter {parameter.name!r} of a tool needs a type, and a name without underscore")
    return _adapted(function, parameters) or _of_format(function)


def _adapted(function: Callable[..., Any], parameters: Signature) -> Arguments | None:
    """The arguments as pydantic has them; `None` where it is not installed or does not know a type."""
    try:
        from pydantic import ConfigDict, TypeAdapter
        from pydantic.errors import PydanticSchemaGenerationError
    except ImportError:
        return None
    hints = _hints(function, parameters)
    fields = [(each.name, hints[each.name], _default(each.default)) for each in parameters.parameters.values()]
    namespace = {"__pydantic_config__": ConfigDict(extra="forbid"), "__doc__": None}
    made: Any = dataclasses.make_dataclass("ToolArguments", fields, namespace=namespace, kw_only=True)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(made)
        schema = adapter.json_schema()
    except PydanticSchemaGenerationError:
        return None
    names = tuple(parameters.parameters)

    def load(arguments: dict[str, Any]) -> dict[str, Any]:
        values = adapter.validate_python(arguments)
        # Models inside stay models.
        return {name: getattr(values, name) for name in names}

    return Arguments(schema, load)


def _default(value: Any) -> Any:
    if value is Parameter.empty:
        return dataclasses.field()
    if getattr(type(value), "__hash__", None) is None:  # dataclasses take no default that could be changed
        return dataclasses.field(default_factory=lambda: deepcopy(value))
    return dataclasses.field(default=value)


# Types of parameters, found where the function was written


def _hints(function: Callable[..., Any], parameters: Signature) -> dict[str, Any]:
    """The types of the parameters. Those of results may not be there at run time, and are not looked at."""
    written: Any = unwrap(function)
    source: Any = getattr(written, "__func__", written)
    owner = _owner(function, source)

    def carrier() -> None: ...

    carrier.__annotations__ = {each.name: each.annotation for each in parameters.parameters.values()}
    names: dict[str, Any] = {}
    for cls in reversed(owner.__mro__ if owner is not None else ()):
        names.update(vars(cls))
    vars_of_types = (*getattr(owner, "__type_params__", ()), *getattr(source, "__type_params__", ()))
    if vars_of_types:
        carrier.__type_params__ = vars_of_types  # type: ignore[attr-defined]
    return get_type_hints(carrier, getattr(source, "__globals__", {}), names, include_extras=True)


def _owner(function: Any, source: Any) -> type[Any] | None:
    """The class in whose body a function was written: its names are those the annotations mention."""
    home, _, _ = getattr(source, "__qualname__", "").rpartition(".")
    if ismethod(function):
        bound = function.__self__ if isclass(function.__self__) else type(function.__self__)
        for cls in bound.__mro__:
            if (cls.__module__, cls.__qualname__) == (source.__module__, home):
                return cls
    # Static methods, and methods that were put elsewhere: by way of the module.
    found: Any = None
    names: Any = getattr(source, "__globals__", {})
    for part in home.split("."):
        found = names.get(part)
        if not isclass(found):
            return None
        names = vars(found)
    return found if isclass(found) else None
