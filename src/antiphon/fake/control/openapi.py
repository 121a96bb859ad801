"""The document that describes the control API: OpenAPI 3.1, made from the operations."""

from __future__ import annotations

from typing import Any, Final

from ...version import __version__
from ..door import PREFIX
from ..schema import as_component, schema
from ..sessions import HEADER
from .operations import OPERATIONS, Operation

__all__ = ("document",)

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}

_SESSION: Final = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "the key of the session that is meant; the API key of a request says it, too",
}


def document(origin: str) -> dict[str, Any]:
    """The document, for a server at an origin."""
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        if each.path:
            paths.setdefault(each.path, {})[each.method.lower()] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Control of a fake OpenAI",
            "version": __version__,
            "description": "What tests in any language do with Antiphon's fake OpenAI. No key is needed.",
        },
        "servers": [{"url": origin + PREFIX}],
        "security": [],
        "tags": [{"name": name} for name in dict.fromkeys(each.group for each in OPERATIONS)],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **_rule_schemas()},
            "parameters": {"Session": _SESSION},
            "responses": {
                "Error": {
                    "description": "it could not be done: the API's envelope says why",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
            },
        },
    }


def _described(each: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": each.name,
        "tags": [each.group],
        "summary": each.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in each.parameters),
            *(
                {"name": name, "in": "query", "required": False, "schema": dict(schema)}
                for name, schema in each.query.items()
            ),
            {"$ref": "#/components/parameters/Session"},
        ],
        "responses": {
            str(each.status): {
                "description": each.returns,
                "content": {each.media: {"schema": {"type": "object"} if each.media == "application/json" else {}}},
            },
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if each.body is not None:
        content: dict[str, Any] = {"schema": each.body}
        if each.example is not None:
            content["example"] = each.example
        told["requestBody"] = {"required": each.needs_body, "content": {"application/json": content}}
    return told


def _rule_schemas() -> dict[str, Any]:
    """The schemas of rule files, at home in this document."""
    rules = schema()
    whole = {name: value for name, value in rules.items() if name not in ("$defs", "$schema")}
    return {name: as_component(each) for name, each in {**rules["$defs"], "document": whole}.items()}
