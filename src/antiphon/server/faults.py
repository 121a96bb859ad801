"""What is wrong with a request, in the API's own words.

The words and the order in which faults are reported follow what the real API was observed to answer (2026): of an
object first what is missing, then what is unknown, then its members as they stand in the document; `null` counts
as a type, an integral float is not an integer, long names of accepted values are shortened where a type is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..schema import Schema, operation
from .unions import resolved, tag_of

__all__ = ("Fault", "first_fault")


class Fault(NamedTuple):
    """What an error says."""

    message: str
    param: str | None
    code: str | None


MODEL_FIRST = frozenset(("chat.completions.create", "completions.create", "embeddings.create"))
"""Operations that are routed by their model, and say so before they look at anything else."""

NO_MODEL = Fault("you must provide a model parameter", None, None)

LEGACY = frozenset(("completions.create", "embeddings.create"))
"""Operations that refuse unknown parameters in the words of the oldest endpoints."""

_SHORT_NAME = 12
_SHORT_VALUE = 24
_NEAR = 2

_NOUNS = {
    "string": "string",
    "integer": "integer",
    "number": "decimal",
    "boolean": "boolean",
    "object": "object",
    "array": "array",
}
_PLURALS = {
    "string": "strings",
    "integer": "integers",
    "number": "decimals",
    "boolean": "booleans",
    "object": "objects",
}


def first_fault(name: str, schema: Schema, value: Any, *, unknown: str) -> Fault | None:
    """The fault to report of a request for the operation `name`, or `None` if there is none."""
    if value.__class__ is not dict:
        return Fault(
            f"Invalid type for the request body: expected an object, but got {_got(value)} instead.",
            None,
            "invalid_type",
        )
    if name in MODEL_FIRST and value.get("model") in (None, "") and schema is operation(name).body:
        return NO_MODEL
    return _Finder(closed=unknown == "refuse", legacy=name in LEGACY).find(schema, value, "")


class _Finder:
    def __init__(self, *, closed: bool, legacy: bool) -> None:
        self.closed = closed
        self.legacy = legacy

    def find(self, schema: Schema, value: Any, path: str) -> Fault | None:
        schema = resolved(schema)
        if "anyOf" in schema:
            return self.union(_flat(schema["anyOf"]), value, path)
        if "const" in schema or "enum" in schema:
            return _value_fault(_values(schema), value, path)
        kinds = _kinds(schema)
        if kinds and not any(_is(kind, value, schema) for kind in kinds):
            return _type_fault([schema], value, path)
        if value.__class__ is dict:
            return self.object(schema, value, path)
        if value.__class__ is list:
            return self.array(schema, value, path)
        if value.__class__ is str:
            return _string_fault(schema, value, path)
        if value.__class__ is int or value.__class__ is float:
            return _number_fault(schema, value, path)
        return None

    def object(self, schema: Schema, value: dict[str, Any], path: str) -> Fault | None:
        properties: dict[str, Schema] = schema.get("properties", {})
        for key in schema.get("required", ()):
            if key not in value:
                return _missing(_join(path, key))
        extra = schema.get("additionalProperties", True)
        if extra is False and self.closed:
            strangers = [key for key in value if key not in properties]
            if strangers and self.legacy and not path:
                plural = "s" if len(strangers) > 1 else ""
                return Fault(f"Unrecognized request argument{plural} supplied: {', '.join(strangers)}", None, None)
            for key in strangers:
                where = _join(path, key)
                return Fault(
                    f"Unknown parameter: '{where}'.{_suggestion(key, properties, value)}", where, "unknown_parameter"
                )
        most = schema.get("maxProperties")
        if most is not None and len(value) > most:
            return Fault(
                f"Invalid '{path}': too many properties. Expected an object with at most {most} properties, "
                f"but got an object with {len(value)} properties instead.",
                path,
                "object_above_max_properties",
            )
        longest = schema.get("propertyNames", {}).get("maxLength")
        for key, item in value.items():
            if longest is not None and len(key) > longest:
                return Fault(
                    f"Invalid property name in '{path}': '{_shortened(key, _SHORT_VALUE)}' is too long. Expected "
                    f"a string with maximum length {longest}, but got a string with length {len(key)} instead.",
                    _join(path, key),
                    "property_name_above_max_length",
                )
            member = properties.get(key, extra)
            if isinstance(member, dict):
                fault = self.find(member, item, _join(path, key))
                if fault is not None:
                    return fault
        return None

    def array(self, schema: Schema, value: list[Any], path: str) -> Fault | None:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if len(value) < least:
            if not value:
                return Fault(
                    f"Invalid '{path}': empty array. Expected an array with minimum length {least}, "
                    "but got an empty array instead.",
                    path,
                    "empty_array",
                )
            return _length_fault("array", "below_min", "short", "minimum", least, len(value), path)
        if most is not None and len(value) > most:
            return _length_fault("array", "above_max", "long", "maximum", most, len(value), path)
        items: Schema = schema.get("items", {})
        for index, item in enumerate(value if items else ()):
            fault = self.find(items, item, f"{path}[{index}]")
            if fault is not None:
                return fault
        return None

    def union(self, members: list[Schema], value: Any, path: str) -> Fault | None:
        fitting = [m for m in members if _fits_class(m, value)]
        if not fitting:
            return _type_fault(members, value, path)
        if value.__class__ is str:
            enums = [v for m in fitting for v in _values(m)]
            if len(fitting) == 1 or not enums:
                return self.least(fitting, value, path)
            return _value_fault(enums, value, path) if all(_values(m) for m in fitting) else None
        if value.__class__ is dict and len(fitting) > 1:
            return self.tagged(fitting, value, path)
        return self.least(fitting, value, path)

    def tagged(self, members: list[Schema], value: dict[str, Any], path: str) -> Fault | None:
        """The fault of an object that should be one of several: of the one its tag names, or of the tag."""
        tag = tag_of(members)
        if tag is None:
            return self.least(members, value, path)
        given = value.get(tag.name)
        if given.__class__ is str and given in tag.values:
            return self.least([members[i] for i in tag.values[given]], value, path)
        if tag.absent and (tag.name not in value or given.__class__ is not str):
            return self.least([members[i] for i in tag.absent], value, path)
        where = _join(path, tag.name)
        if tag.name not in value:
            return _missing(where)
        open_ended = [i for i in tag.absent if tag.name not in resolved(members[i]).get("properties", {})]
        if open_ended:
            return self.least([members[i] for i in open_ended], value, path)
        return _value_fault(list(tag.values), given, where)

    def least(self, members: list[Schema], value: Any, path: str) -> Fault | None:
        """The fault of the member that comes nearest; `None` as soon as one has none."""
        faults: list[tuple[Any, Fault]] = []
        for index, member in enumerate(members):
            fault = self.find(member, value, path)
            if fault is None:
                return None
            faults.append(((_nearness(member, value), _depth(fault), -index), fault))
        return max(faults, key=lambda pair: pair[0])[1]


def _nearness(member: Schema, value: Any) -> int:
    """How well an object's keys and fixed values fit a member of a union."""
    if value.__class__ is not dict:
        return 0
    schema = resolved(member)
    properties: dict[str, Schema] = schema.get("properties", {})
    fixed = sum(2 if value[k] in v else -2 for k, s in properties.items() if k in value and (v := _values(s)))
    known = sum(1 if key in properties else -1 for key in value)
    return fixed + known - sum(key not in value for key in schema.get("required", ()))


def _depth(fault: Fault) -> int:
    return len(re.findall(r"[.\[]", fault.param or ""))


# Types and values


def _kinds(schema: Schema) -> list[str]:
    kind = schema.get("type", ())
    return [kind] if isinstance(kind, str) else list(kind)


def _values(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else schema.get("enum", [])


_IS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: value.__class__ is str,
    "integer": lambda value: value.__class__ is int,
    "number": lambda value: value.__class__ is int or value.__class__ is float,
    "boolean": lambda value: value.__class__ is bool,
    "null": lambda value: value is None,
    "array": lambda value: value.__class__ is list,
    "object": lambda value: value.__class__ is dict,
}


def _is(kind: str, value: Any, schema: Schema) -> bool:
    if kind == "string" and schema.get("format") == "binary":
        return hasattr(value, "content") or isinstance(value, bytes)
    return _IS[kind](value)


def _fits_class(schema: Schema, value: Any) -> bool:
    """Whether a value has a type this member of a union has, whatever is in it."""
    schema = resolved(schema)
    values = _values(schema)
    if values:
        return any(v.__class__ is value.__class__ for v in values)
    kinds = _kinds(schema)
    return not kinds or any(_is(kind, value, schema) for kind in kinds)


def _flat(members: Iterable[Schema]) -> list[Schema]:
    flat: list[Schema] = []
    for member in members:
        schema = resolved(member)
        if "anyOf" in schema:
            flat.extend(_flat(schema["anyOf"]))
        else:
            flat.append(member)
    return flat


# Words


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _missing(path: str) -> Fault:
    return Fault(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


def _got(value: Any) -> str:
    cls = value.__class__
    if cls is float:
        return "a decimal number"
    names = {str: "a string", bool: "a boolean", int: "an integer", list: "an array", dict: "an object"}
    return names.get(cls, "null" if value is None else "a file")


def _type_fault(members: list[Schema], value: Any, path: str) -> Fault:
    return Fault(
        f"Invalid type for '{path}': expected {_expected(members)}, but got {_got(value)} instead.",
        path,
        "invalid_type",
    )


def _value_fault(values: list[Any], value: Any, path: str) -> Fault | None:
    shown = [v for v in dict.fromkeys(values) if v is not None]
    if any(v.__class__ is value.__class__ and v == value for v in values):
        return None
    if not any(v.__class__ is value.__class__ for v in shown):
        return _type_fault([{"enum": values}], value, path)
    quoted = [_literal(v) for v in shown]
    text = repr(_shortened(value, _SHORT_VALUE)) if isinstance(value, str) else _literal(value)
    supported = f"Supported values are: {_listed(quoted, 'and')}." if len(quoted) > 1 else f"Value must be {quoted[0]}."
    return Fault(f"Invalid value: {text}. {supported}", path, "invalid_value")


def _string_fault(schema: Schema, value: str, path: str) -> Fault | None:
    least, most, pattern = schema.get("minLength", 0), schema.get("maxLength"), schema.get("pattern")
    if len(value) < least:
        if not value:
            return Fault(
                f"Invalid '{path}': empty string. Expected a string with minimum length {least}, "
                "but got an empty string instead.",
                path,
                "empty_string",
            )
        return _length_fault("string", "below_min", "short", "minimum", least, len(value), path)
    if most is not None and len(value) > most:
        return _length_fault("string", "above_max", "long", "maximum", most, len(value), path)
    if pattern is not None and re.search(pattern, value) is None:
        return Fault(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{pattern}'.",
            path,
            "invalid_value",
        )
    return None


def _length_fault(noun: str, code: str, adjective: str, bound: str, limit: int, length: int, path: str) -> Fault:
    article = "an" if noun == "array" else "a"
    return Fault(
        f"Invalid '{path}': {noun} too {adjective}. Expected {article} {noun} with {bound} length {limit}, "
        f"but got {article} {noun} with length {length} instead.",
        path,
        f"{noun}_{code}_length",
    )


def _number_fault(schema: Schema, value: float, path: str) -> Fault | None:
    least, most = schema.get("minimum"), schema.get("maximum")
    noun = "integer" if "integer" in _kinds(schema) else "decimal"
    if least is not None and not value >= least:
        return Fault(
            f"Invalid '{path}': {noun} below minimum value. Expected a value >= {least}, but got {value} instead.",
            path,
            f"{noun}_below_min_value",
        )
    if most is not None and not value <= most:
        return Fault(
            f"Invalid '{path}': {noun} above maximum value. Expected a value <= {most}, but got {value} instead.",
            path,
            f"{noun}_above_max_value",
        )
    return None


def _expected(members: list[Schema]) -> str:
    """What was expected, such as "a string" or "one of a string or array of objects"."""
    nouns = list(dict.fromkeys(_nouns(members)))
    if not nouns:
        return "null"
    if len(nouns) == 1:
        return nouns[0] if nouns[0].startswith(("one of ", "'")) else _with_article(nouns[0])
    first = nouns[0] if nouns[0].startswith(("one of ", "'")) else _with_article(nouns[0])
    return f"one of {_listed([first, *nouns[1:]], 'or')}"


def _nouns(members: list[Schema]) -> list[str]:
    nouns: list[str] = []
    elements: list[str] = []
    place = -1
    for member in map(resolved, _flat(members)):
        values = [v for v in _values(member) if v is not None]
        if values:
            nouns.append(_one_of(values))
            continue
        for kind in _kinds(member):
            if kind == "null":
                continue
            if kind == "array":
                place = len(nouns) if place < 0 else place
                elements.append(member.get("x-noun") or _elements(member))
            elif kind == "string" and member.get("format") == "binary":
                nouns.append("file")
            else:
                nouns.append(member.get("x-noun") or _NOUNS[kind])
    elements = list(dict.fromkeys(e for e in elements if e))
    if place >= 0:
        nouns.insert(place, f"array of {_listed(elements, 'or')}" if elements else "array")
    return nouns


def _elements(schema: Schema) -> str:
    items = schema.get("items")
    if items is None:
        return ""
    flat = [resolved(member) for member in _flat([items])]
    values = [v for member in flat for v in _values(member)]
    if values:
        return _one_of(values)
    kinds = list(dict.fromkeys(kind for member in flat for kind in _kinds(member)))
    if kinds == ["array"]:
        inner = [_kinds(resolved(member.get("items", {}))) for member in flat]
        return f"{inner[0][0]} arrays" if inner and inner[0] else "arrays"
    if flat and flat[0].get("format") == "binary":
        return "files"
    return _listed([_PLURALS[kind] for kind in kinds if kind in _PLURALS], "or")


def _one_of(values: list[Any]) -> str:
    quoted = [f"'{_shortened(v, _SHORT_NAME)}'" if isinstance(v, str) else _literal(v) for v in values]
    return f"one of {_listed(quoted, 'or')}" if len(quoted) > 1 else quoted[0]


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _listed(words: list[str], last: str) -> str:
    if len(words) < 3:
        return f" {last} ".join(words)
    return f"{', '.join(words[:-1])}, {last} {words[-1]}"


def _shortened(text: str, longest: int) -> str:
    return f"{text[:3]}...{text[-3:]}" if len(text) > longest else text


def _suggestion(key: str, properties: Iterable[str], given: dict[str, Any]) -> str:
    """A hint at known parameters that are spelt like an unknown one and are not in the request."""
    distances = [(d, name) for name in properties if name not in given and (d := _distance(key, name)) <= _NEAR]
    near = [f"'{name}'" for _, name in sorted(distances, key=lambda pair: pair[0])[:2]]
    return f" Did you mean {_listed(near, 'or')}?" if near else ""


def _distance(one: str, other: str) -> int:
    """The edit distance of two names, or more than `_NEAR` where it is not small."""
    if abs(len(one) - len(other)) > _NEAR:
        return _NEAR + 1
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
