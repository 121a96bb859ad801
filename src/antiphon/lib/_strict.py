"""JSON Schemas in the strict form that the API asks of structured outputs and of strict tools.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

from typing import Any

__all__ = ("strict",)

Schema = dict[str, Any]

_PARTS = ("$defs", "definitions", "properties")
"""Keys that hold schemas by name."""


def strict(schema: Schema) -> Schema:
    """The schema in strict form; the one given is not changed.

    Objects are closed and all their properties required, `oneOf` is said as `anyOf`, an `allOf` of one is that one,
    a `null` default is left out, and a `$ref` with anything beside it is replaced by what it refers to. Raises
    `ValueError` for a `$ref` that leads nowhere.
    """
    made: Schema = _strict(schema, schema, ())
    return made


def _strict(schema: Any, root: Schema, within: tuple[str, ...]) -> Any:
    """`within` are the references that are being replaced: one that leads back to itself has to stay."""
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and len(schema) > 1:
        if reference in within:
            return {"$ref": reference}
        resolved = _resolved(reference, root)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _strict({**resolved, **beside}, root, (*within, reference))
    made: Schema = {}
    for key, value in schema.items():
        if key in _PARTS and isinstance(value, dict):
            made[key] = {name: _strict(each, root, within) for name, each in value.items()}
        elif key == "items":
            made[key] = _strict(value, root, within)
        elif key == "allOf" and isinstance(value, list) and len(value) == 1:
            made.update(_strict(value[0], root, within))
        elif key in ("allOf", "anyOf", "oneOf") and isinstance(value, list):
            made["anyOf" if key == "oneOf" else key] = [_strict(each, root, within) for each in value]
        elif not (key == "default" and value is None) and not (key == "discriminator" and "oneOf" in schema):
            made[key] = value
    if made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    if isinstance(made.get("properties"), dict):
        made["required"] = list(made["properties"])
    return made


def _resolved(reference: str, root: Schema) -> Schema:
    value: Any = root
    if not reference.startswith("#"):
        raise ValueError(f"the reference {reference!r} leads out of the schema")
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"the reference {reference!r} leads nowhere")
        value = value[key]
    if not isinstance(value, dict):
        raise ValueError(f"the reference {reference!r} does not lead to a schema")
    return value
