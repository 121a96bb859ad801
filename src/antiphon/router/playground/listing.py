"""What the page is told of the routes: how each is asked, and what may be filled in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..resources.base import StreamingResource

if TYPE_CHECKING:
    from fastapi import params

    from ..endpoints import Route
    from ..formats import Format
    from ..resources.base import Resource

__all__ = ("Place", "listed")

_SPOKEN: Final = frozenset(("message", "messages", "body"))
"""Through these the page itself speaks."""
_TOLD: Final = ("enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "items")


class Place(NamedTuple):
    """One route of a factory."""

    path: str
    """As the router has it, with the router's own prefix."""
    method: str
    """`WS` for a websocket."""
    endpoint: Callable[..., Any]
    kind: type[Resource]
    route: Route
    dependencies: Sequence[params.Depends] = ()

    def under(self, prefix: str) -> Place:
        """The same route in a router that includes this one."""
        return self._replace(path=prefix + self.path)


def listed(places: Sequence[Place], chosen: Sequence[str] | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The routes as the page reads them, and the paths of `chosen` that no conversation is at."""
    talking = [place for place in places if issubclass(place.kind, StreamingResource)]
    if chosen is None:
        return [_told(place) for place in talking], []
    found = {path: [place for place in talking if place.path == path] for path in chosen}
    # Paths may also be given as they were given to the router, without its prefix.
    for path, at in found.items():
        if not at:
            at += [place for place in talking if place.path.endswith(path)]
    told = [_told(place) for at in found.values() for place in at]
    return told, [path for path, at in found.items() if not at]


def _told(place: Place) -> dict[str, Any]:
    from ..layers.memory import Memory

    route = place.route
    memory = next((each for each in route.layers if isinstance(each, Memory)), None)
    operation, schemas, schemes = _described(place)
    fields = [*_secrets(operation, schemes), *_parameters(operation, schemas)]
    embedded, more = _body(operation, schemas)
    described = inspect.getdoc(place.endpoint)
    return {
        "path": place.path,
        "method": place.method,
        "name": getattr(place.endpoint, "__name__", ""),
        "summary": (described or "").partition("\n\n")[0],
        "kind": place.kind.__name__,
        "format": route.format.key,
        "formats": {each.key: _accept(each) for each in route.formats},
        "system": next((role for role in ("system", "developer") if role in route.roles), None),
        "fields": [*fields, *more],
        "embedded": embedded,
        "options": sorted(route.parameters),
        "memory": None if memory is None else [{"in": each.kind, "name": each.name} for each in memory.places],
    }


def _accept(format: Format) -> str:
    return f"{format.media_type}; format={format.key}"


def _described(place: Place) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """FastAPI's own description of the route's parameters, which it has of websockets, too, if they are called GET."""
    from fastapi.openapi.utils import get_openapi
    from fastapi.routing import APIRoute

    route = APIRoute(
        place.path, place.endpoint, methods=["GET"], dependencies=list(place.dependencies), response_model=None
    )
    whole = get_openapi(title="", version="", routes=[route])
    components: dict[str, Any] = whole.get("components", {})
    operation: dict[str, Any] = whole["paths"][route.path_format]["get"]
    return operation, components.get("schemas", {}), components.get("securitySchemes", {})


def _parameters(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for each in operation.get("parameters", ()):
        if each["in"] == "query" and each["name"] in _SPOKEN:
            continue
        yield _field(each["name"], each["in"], each.get("required", False), each.get("schema", {}), schemas) | {
            "description": each.get("description", "")
        }


def _field(
    name: str, where: str, required: bool, schema: Mapping[str, Any], schemas: Mapping[str, Any]
) -> dict[str, Any]:
    resolved = _resolved(schema, schemas)
    field = {"name": name, "in": where, "required": required, "type": resolved.get("type", "string")}
    field.update({key: resolved[key] for key in _TOLD if key in resolved})
    if schema.get("default") is not None:
        field["default"] = schema["default"]
    return field


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without references at its top, and of alternatives the first that is a value."""
    for _ in range(8):
        if "$ref" in schema:
            schema = schemas.get(schema["$ref"].rpartition("/")[2], {})
        elif "anyOf" in schema:
            schema = next((each for each in schema["anyOf"] if each.get("type") != "null"), {})
        else:
            break
    return schema


def _body(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> tuple[bool, list[dict[str, Any]]]:
    """Whether the conversation is one of several parts of the body, and the fields of the others."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(content.get("schema", {}), schemas)
    parts = schema.get("properties", {})
    if "body" not in parts:
        return False, []
    required = schema.get("required", ())
    others = {name: part for name, part in parts.items() if name != "body"}
    return True, [_field(name, "body", name in required, part, schemas) for name, part in others.items()]


def _secrets(operation: Mapping[str, Any], schemes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Fields for the keys that FastAPI's security asks for."""
    for name in dict.fromkeys(name for each in operation.get("security", ()) for name in each):
        scheme = schemes.get(name, {})
        field = {"required": False, "type": "string", "secret": True, "description": scheme.get("description", "")}
        if scheme.get("type") == "apiKey":
            yield {**field, "name": scheme["name"], "in": scheme["in"]}
        else:
            kind = "Basic" if scheme.get("scheme", "").lower() == "basic" else "Bearer"
            hint = field["description"] or ("name:password" if kind == "Basic" else "The token alone.")
            yield {**field, "name": "Authorization", "in": "header", "scheme": kind, "description": hint}
