"""The JSON Schema of faults, made from the faults themselves."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Final

from .described import BEHAVIOURS
from .parts import Part
from .triggers import TRIGGERS

__all__ = ("schema",)

_TYPES: Final = {
    "int": "integer",
    "float": "number",
    "str": "string",
    "bytes": "string",
    "datetime": "string",
    "time": "string",
    "None": "null",
    "bool": "boolean",
}


def schema() -> dict[str, Any]:
    """What `fault_of` reads, as JSON Schema: `fault`, `behaviour` and `trigger` among its definitions."""
    trigger = {"$ref": "#/$defs/trigger"}
    triggers = {"anyOf": [trigger, {"type": "array", "items": trigger}]}
    behaviours = [_object(each) for each in BEHAVIOURS.values()]
    stages = {"type": "array", "items": {"$ref": "#/$defs/fault"}, "minItems": 1}
    return {
        "$ref": "#/$defs/fault",
        "$defs": {
            "behaviour": {
                "oneOf": [
                    *behaviours,
                    _form("several", behaviours={"type": "array", "items": {"$ref": "#/$defs/behaviour"}}),
                ]
            },
            "trigger": {
                "anyOf": [
                    {"type": "string"},
                    *(_object(each) for each in TRIGGERS.values()),
                    _form("all", triggers={"type": "array", "items": trigger}),
                    _form("any", triggers={"type": "array", "items": trigger}),
                    _form("not", trigger=trigger),
                    {
                        "type": "object",
                        "properties": {"type": {"const": "matching"}},
                        "description": "conditions as those of rules, and `stream`",
                    },
                ]
            },
            "fault": {
                "anyOf": [
                    {"type": "string", "description": "a line such as 'status=503; once'"},
                    {
                        "allOf": [{"$ref": "#/$defs/behaviour"}],
                        "properties": {"when": triggers, "until": triggers},
                    },
                    _form("stages", stages=stages),
                    _form("repeat", stages=stages),
                    {
                        **_form("trigger", behaviour={"$ref": "#/$defs/behaviour"}, trigger=trigger),
                        "description": "http4k's",
                    },
                    {**_form("wait", until=trigger), "description": "http4k's"},
                    {**stages, "description": "one fault after the other"},
                ]
            },
        },
    }


def _form(kind: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, **properties},
        "required": ["type", *properties],
    }


def _object(kind: type[Part]) -> dict[str, Any]:
    properties: dict[str, Any] = {"type": {"const": kind.name}}
    needed = ["type"]
    for each in fields(kind):  # type: ignore[arg-type]
        properties[each.name] = _property(str(each.type))
        if each.default is MISSING:
            needed.append(each.name)
        elif each.default is not None:
            properties[each.name]["default"] = each.default
    told = " ".join((kind.__doc__ or "").split())
    return {"type": "object", "properties": properties, "required": needed, "description": told}


def _property(kind: str) -> dict[str, Any]:
    if kind.startswith("tuple"):
        return {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}
    if kind.startswith("Mapping"):
        return {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    kinds = list(dict.fromkeys(_TYPES[each.strip()] for each in kind.split("|")))
    return {"type": kinds[0] if len(kinds) == 1 else kinds}
