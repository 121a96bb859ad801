"""Whether a value is valid for a JSON Schema of a user's: the parts of drafts 4 to 2020-12 that data is described in.

The validator of requests knows the API's own tables; this one knows what users write. It is used to check made-up
instances, so it prefers a plain reading to a fast one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from .patterns import compiled

__all__ = ("JSONSchema", "NoSuchReference", "applicable", "as_fraction", "fits", "lookup", "same")

JSONSchema: TypeAlias = "Mapping[str, Any] | bool"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and Fraction(value).denominator == 1,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def as_fraction(number: Any) -> Fraction:
    """The number a schema means: `0.1` is a tenth."""
    return Fraction(str(number)) if isinstance(number, float) else Fraction(number)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: `1` is `1.0`, `true` is neither."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


class NoSuchReference(LookupError):
    """A reference points to nothing in its schema."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"the reference '{reference}' refers to nothing in the schema")


def lookup(reference: str, root: JSONSchema) -> JSONSchema:
    """What a reference inside a schema points to. Raises `NoSuchReference` where it points to nothing in it."""
    if reference in ("", "#"):
        return root
    if reference.startswith("#/"):
        node: Any = root
        for step in reference[2:].split("/"):
            step = _unquoted(step).replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(step)] if isinstance(node, list) else node[step]
            except (LookupError, ValueError, TypeError):
                raise NoSuchReference(reference) from None
        return node  # type: ignore[no-any-return]
    found = _anchored(root, reference)
    if found is None:
        raise NoSuchReference(reference)
    return found


def _unquoted(step: str) -> str:
    from urllib.parse import unquote

    return unquote(step)


def _anchored(node: Any, name: str) -> JSONSchema | None:
    if isinstance(node, Mapping):
        if name.startswith("#") and name[1:] in (node.get("$anchor"), node.get("$dynamicAnchor")):
            return node
        if name in (node.get("$id"), node.get("id")) and not name.startswith("#"):
            return node
    children: Iterable[Any] = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for child in children:
        found = _anchored(child, name)
        if found is not None:
            return found
    return None


def applicable(schema: Mapping[str, Any], key: str) -> list[JSONSchema]:
    """The schemas that one object schema has for the value of a key."""
    found: list[JSONSchema] = []
    properties = schema.get("properties", {})
    if key in properties:
        found.append(properties[key])
    patterned = [sub for pattern, sub in schema.get("patternProperties", {}).items() if compiled(pattern).search(key)]
    found.extend(patterned)
    if not found and "additionalProperties" in schema:
        found.append(schema["additionalProperties"])
    return found


def fits(value: Any, schema: JSONSchema, root: JSONSchema | None = None) -> bool:
    """Whether a value is valid. `root` is where references start from, if not from the schema itself."""
    return _fits(value, schema, schema if root is None else root, frozenset())


def _fits(value: Any, schema: JSONSchema, root: JSONSchema, seen: frozenset[tuple[int, str]]) -> bool:
    if isinstance(schema, bool):
        return schema
    reference = schema.get("$ref") or schema.get("$dynamicRef")
    if isinstance(reference, str):
        step = (id(value), reference)
        if step in seen:
            return True
        if not _fits(value, lookup(reference, root), root, seen | {step}):
            return False
    if value is None and schema.get("nullable") is True:
        return True
    if not _typed(value, schema) or not _valued(value, schema) or not _combined(value, schema, root, seen):
        return False
    if isinstance(value, str):
        return _string(value, schema)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number(value, schema)
    if isinstance(value, list):
        return _array(value, schema, root)
    if isinstance(value, dict):
        return _object(value, schema, root, seen)
    return True


def _typed(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    if kinds is None:
        return True
    return any(kind in _TYPES and _TYPES[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _valued(value: Any, schema: Mapping[str, Any]) -> bool:
    if "const" in schema and not same(value, schema["const"]):
        return False
    return "enum" not in schema or any(same(value, each) for each in schema["enum"])


def _combined(value: Any, schema: Mapping[str, Any], root: JSONSchema, seen: frozenset[tuple[int, str]]) -> bool:
    if not all(_fits(value, each, root, seen) for each in schema.get("allOf", ())):
        return False
    if "anyOf" in schema and not any(_fits(value, each, root, seen) for each in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(_fits(value, each, root, seen) for each in schema["oneOf"]) != 1:
        return False
    if "not" in schema and _fits(value, schema["not"], root, seen):
        return False
    if "if" in schema:
        branch = "then" if _fits(value, schema["if"], root, seen) else "else"
        return branch not in schema or _fits(value, schema[branch], root, seen)
    return True


def _string(value: str, schema: Mapping[str, Any]) -> bool:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return False
    return "pattern" not in schema or compiled(schema["pattern"]).search(value) is not None


def _number(value: float, schema: Mapping[str, Any]) -> bool:
    number = as_fraction(value)
    least, most = schema.get("minimum"), schema.get("maximum")
    below, above = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and (number <= as_fraction(least) if below is True else number < as_fraction(least)):
        return False
    if most is not None and (number >= as_fraction(most) if above is True else number > as_fraction(most)):
        return False
    if _is_number(below) and number <= as_fraction(below):
        return False
    if _is_number(above) and number >= as_fraction(above):
        return False
    step = schema.get("multipleOf")
    return step is None or (number / as_fraction(step)).denominator == 1


def _array(value: list[Any], schema: Mapping[str, Any], root: JSONSchema) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return False
    items = schema.get("items")
    first: list[JSONSchema] = schema.get("prefixItems") or (items if isinstance(items, list) else [])
    rest: JSONSchema = (
        schema.get("additionalItems", True) if isinstance(items, list) else True if items is None else items
    )
    for index, item in enumerate(value):
        if not fits(item, first[index] if index < len(first) else rest, root):
            return False
    if schema.get("uniqueItems") and any(same(a, b) for i, a in enumerate(value) for b in value[:i]):
        return False
    if "contains" in schema:
        count = sum(fits(item, schema["contains"], root) for item in value)
        return bool(schema.get("minContains", 1) <= count <= schema.get("maxContains", count))
    return True


def _object(
    value: dict[str, Any], schema: Mapping[str, Any], root: JSONSchema, seen: frozenset[tuple[int, str]]
) -> bool:
    if not all(key in value for key in schema.get("required", ()) if isinstance(key, str)):
        return False
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
        return False
    for key, item in value.items():
        if not all(fits(item, each, root) for each in applicable(schema, key)):
            return False
        if "propertyNames" in schema and not fits(key, schema["propertyNames"], root):
            return False
    for key, needed in _dependencies(schema):
        if key not in value:
            continue
        if isinstance(needed, list):
            if not all(other in value for other in needed):
                return False
        elif not _fits(value, needed, root, seen):
            return False
    return True


def _dependencies(schema: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for keyword in ("dependentRequired", "dependentSchemas", "dependencies"):
        pairs.extend(schema.get(keyword, {}).items())
    return pairs
