"""Private names of the official package that the suite uses, said with ours."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Union, get_args, get_origin

from antiphon.kernel.omit import NOT_GIVEN, NotGiven, Omit, not_given, omit
from antiphon.kernel.view import View
from shim.matching import fields_of

__all__ = ("NOT_GIVEN", "NotGiven", "Omit", "not_given", "omit")

# _types

NoneType = type(None)

# _models

BaseModel = View

# _compat

PYDANTIC_V1 = False


def get_model_fields(model: type[View]) -> dict[str, Any]:
    return fields_of(model)


def field_outer_type(field: Any) -> Any:
    return field


# _utils


def is_dict(value: object) -> bool:
    return isinstance(value, dict)


def is_list(value: object) -> bool:
    return isinstance(value, list)


def is_list_type(kind: Any) -> bool:
    return (get_origin(kind) or kind) is list


def is_sequence_type(kind: Any) -> bool:
    from collections.abc import Sequence

    return (get_origin(kind) or kind) is Sequence


def is_union_type(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def is_annotated_type(kind: Any) -> bool:
    return get_origin(kind) is Annotated


def is_type_alias_type(kind: Any) -> bool:
    return hasattr(kind, "__value__")


def extract_type_arg(kind: Any, index: int) -> Any:
    return get_args(kind)[index]


def assert_signatures_in_sync(
    source: Callable[..., Any],
    check: Callable[..., Any],
    *,
    exclude_params: Iterable[str] = (),
    description: str = "",
) -> None:
    """Every parameter of one is a parameter of the other, of the same type."""
    theirs, ours = inspect.signature(source).parameters, inspect.signature(check).parameters
    for name, parameter in theirs.items():
        if name in exclude_params:
            continue
        assert name in ours, f"{check} has no {name}{description}"
        assert ours[name].annotation == parameter.annotation, f"{name} has another type{description}"
