"""Strict schemas of models, under the name other packages know them by."""

from __future__ import annotations

from inspect import isclass
from typing import Any

from ._formats import format_of
from ._strict import strict

__all__ = ("to_strict_json_schema",)


def to_strict_json_schema(model: Any) -> dict[str, Any]:
    """The strict schema of a model, of any other type an answer can be parsed into, or of a pydantic `TypeAdapter`.

    Raises `TypeError` for anything else.
    """
    if not isclass(model) and hasattr(model, "json_schema"):
        return strict(model.json_schema())
    from copy import deepcopy

    return deepcopy(format_of(model).schema)
