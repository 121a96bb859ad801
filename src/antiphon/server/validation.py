"""Request validation: is this body, query or form what the operation takes, and if not, in which words to say so.

    check = compile_body("chat.completions.create")
    check(body)                        # returns None, or raises BadRequestError with OpenAI's message, param and code
    read = compile_query("files.list")
    read("limit=20&order=asc")         # {"limit": 20, "order": "asc"}, or raises BadRequestError
    fill = compile_form("images.edit")
    fill([("prompt", "…"), ("image[]", UploadedFile(…)), ("n", "2")])   # {"prompt": …, "image": […], "n": 2}

A schema is compiled once into closures that only answer yes or no. For every place they know the Python classes
that need no look inside (`str` where any string will do), so a plain value costs one dict lookup and no call.
After a "no" the schema is walked again, slowly, to find the first fault and its words: see `faults`.

Measured with `benchmarks/validation.py`, chat completion requests on 2 shared cores, per call: one message 0.7 µs, one
message with five options 1.2 µs, ten messages 4.5 µs (jsonschema-rs 0.2, 0.4 and 0.9; fastjsonschema 9, 9 and 75).
Why these closures are here all the same: `docs/decisions/0005-requests-are-checked-by-closures.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..kernel.errors import BadRequestError
from ..schema import Schema, definition, operation
from .behaviour import UploadedFile
from .unions import tag_of

if TYPE_CHECKING:
    from .faults import Fault

__all__ = ("Accepts", "Unknown", "accepts", "compile_body", "compile_form", "compile_query", "refuse")

Accepts: TypeAlias = Callable[[Any], bool]
"""Whether a value fits a schema."""

Unknown: TypeAlias = Literal["refuse", "allow"]
"""What happens to members that no schema names."""

_Kinds: TypeAlias = "dict[type, Accepts | None]"
"""For every class a value may have: the check of such a value, or `None` where any will do."""

_REFERENCE = "#/$defs/"
_CLASSES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (NoneType,),
    "array": (list,),
    "object": (dict,),
}
_ALL = (str, int, float, bool, NoneType, list, dict)
_FILES = (UploadedFile, bytes)
_MOST_COMPILED = 20_000


def _never(value: Any) -> bool:
    return False


class _Compiler:
    """Compiles schemas; knows what was compiled before, so that definitions are shared and may be recursive."""

    def __init__(self, unknown: Unknown) -> None:
        self.open = unknown == "allow"
        self.known: dict[str, _Kinds] = {}
        self.objects_known: dict[str, Accepts | None] = {}
        self.compiled: dict[int, tuple[Schema, Accepts]] = {}

    def accepts(self, schema: Schema) -> Accepts:
        known = self.compiled.get(id(schema))
        if known is not None:
            return known[1]
        if len(self.compiled) >= _MOST_COMPILED:
            self.compiled.clear()
        check = _one(self.kinds(schema))
        self.compiled[id(schema)] = schema, check
        return check

    def kinds(self, schema: Schema) -> _Kinds:
        reference = schema.get("$ref")
        if reference is not None:
            return self.named(reference.removeprefix(_REFERENCE))
        if "anyOf" in schema:
            return self.union(schema["anyOf"])
        if "const" in schema:
            return self.values([schema["const"]])
        if "enum" in schema:
            return self.values(schema["enum"])
        kind = schema.get("type")
        if kind is None:
            return dict.fromkeys(_ALL)
        kinds: _Kinds = {}
        for name in [kind] if isinstance(kind, str) else kind:
            if schema.get("format") == "binary" and name == "string":
                kinds.update(dict.fromkeys(_FILES))
                continue
            check = _CHECKS[name](self, schema)
            kinds.update(dict.fromkeys(_CLASSES[name], check))
        return kinds

    def named(self, name: str) -> _Kinds:
        """The check of a definition, which is compiled when a value first reaches it."""
        if name in self.known:
            return self.known[name]
        schema = definition(name)
        if schema.get("type") != "object":
            return self.known.setdefault(name, self.kinds(schema))
        built: list[Accepts] = []

        def later(value: Any) -> bool:
            if not built:
                built.append(self.whole({"$ref": name}) or _always)
            return built[0](value)

        self.known[name] = {dict: later}
        return self.known[name]

    def values(self, values: list[Any]) -> _Kinds:
        kinds: _Kinds = {}
        for cls in {type(value) for value in values}:
            allowed = frozenset(value for value in values if type(value) is cls)
            kinds[cls] = None if cls is NoneType else _member(allowed, cls)
        return kinds

    def string(self, schema: Schema) -> Accepts | None:
        least, most, pattern = schema.get("minLength", 0), schema.get("maxLength"), schema.get("pattern")
        if not least and most is None and pattern is None:
            return None
        limit = 1 << 62 if most is None else most
        search = re.compile(pattern).search if pattern is not None else None

        def check(value: Any) -> bool:
            return (
                value.__class__ is str
                and least <= len(value) <= limit
                and (search is None or search(value) is not None)
            )

        return check

    def number(self, schema: Schema) -> Accepts | None:
        least, most = schema.get("minimum"), schema.get("maximum")
        if least is None and most is None:
            return None
        low, high = -float("inf") if least is None else least, float("inf") if most is None else most

        def check(value: Any) -> bool:
            return (value.__class__ is int or value.__class__ is float) and low <= value <= high

        def check_integer(value: Any) -> bool:
            return value.__class__ is int and low <= value <= high

        kinds = schema.get("type", ())
        return check if kinds == "number" or "number" in kinds else check_integer

    def anything(self, schema: Schema) -> Accepts | None:
        return None

    def array(self, schema: Schema) -> Accepts | None:
        items = schema.get("items")
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        limit = 1 << 62 if most is None else most
        if items is None and not least and most is None:
            return None
        plain, check_item = _split(self.kinds(items or {}))

        def check(value: Any) -> bool:
            if value.__class__ is not list or not least <= len(value) <= limit:
                return False
            for item in value:  # noqa: SIM110 - a generator costs more than the loop
                if item.__class__ not in plain and not check_item(item):
                    return False
            return True

        return check

    def object(self, schema: Schema, *, nulls: bool = False) -> Accepts | None:
        """The check of an object. With `nulls`, null is as good as nothing, in the fields that may be left out."""
        extra = schema.get("additionalProperties", True)
        properties: dict[str, Schema] = schema.get("properties", {})
        most = schema.get("maxProperties")
        length = schema.get("propertyNames", {}).get("maxLength")
        if not properties and extra is True and most is None and length is None and "required" not in schema:
            return None
        closed = extra is False and not self.open
        required = tuple(schema.get("required", ()))
        members = {
            key: _split({**self.kinds(value), NoneType: None} if nulls and key not in required else self.kinds(value))
            for key, value in properties.items()
        }
        other = None if closed else _split(self.kinds(extra if isinstance(extra, dict) else {}))
        check = _object(members, other, required)
        if most is None and length is None:
            return check
        limit, longest = most or 1 << 62, length or 1 << 62

        def check_size(value: Any) -> bool:
            return check(value) and len(value) <= limit and all(len(key) <= longest for key in value)

        return check_size

    def union(self, members: list[Schema]) -> _Kinds:
        kinds: dict[type, list[Accepts | None]] = {}
        objects: list[Schema] = []
        for member in self.flat(members):
            if member.get("type") == "object":
                objects.append(member)
                continue
            for cls, check in self.kinds(member).items():
                kinds.setdefault(cls, []).append(check)
        merged: _Kinds = {cls: _any(checks) for cls, checks in kinds.items()}
        if objects:
            checks = [*kinds.get(dict, ()), self.objects(objects)]
            merged[dict] = _any(checks)
        return merged

    def flat(self, members: list[Schema]) -> list[Schema]:
        flat: list[Schema] = []
        for member in members:
            reference = member.get("$ref")
            schema = definition(reference.removeprefix(_REFERENCE)) if reference is not None else member
            if "anyOf" in schema:
                flat.extend(self.flat(schema["anyOf"]))
            else:
                flat.append({**schema, "$ref": reference} if reference is not None else schema)
        return flat

    def objects(self, members: list[Schema]) -> Accepts | None:
        """The check of a union of objects: by the member that tells them apart, if there is one."""
        tag = tag_of(members)
        if tag is None:
            return _any([self.whole(member) for member in members])
        table: dict[Any, Accepts] = {}
        absent: list[Accepts] = []
        key, choices = tag.name, tag.values

        def check(value: Any) -> bool:
            if value.__class__ is not dict:
                return False
            name = value.get(key)
            if name.__class__ is str:
                known = table.get(name)
                if known is not None:
                    return known(value)
                if name in choices:
                    table[name] = found = _any([self.whole(members[i]) for i in choices[name]]) or _always
                    return found(value)
            if not absent:
                absent.append(_any([self.whole(members[i]) for i in tag.absent]) or _always if tag.absent else _never)
            return absent[0](value)

        return check

    def whole(self, schema: Schema) -> Accepts | None:
        """The check of an object of a union, compiled now.

        Such are messages and items. Clients give back those they were given, nulls and all, so who takes unknown fields
        takes these as well.
        """
        name = schema.get("$ref", "").removeprefix(_REFERENCE)
        if not name:
            return self.object(schema, nulls=self.open)
        if name not in self.objects_known:
            self.objects_known[name] = self.object(definition(name), nulls=self.open)
        return self.objects_known[name]


def _always(value: Any) -> bool:
    return True


_CHECKS: dict[str, Callable[[_Compiler, Schema], Accepts | None]] = {
    "string": _Compiler.string,
    "integer": _Compiler.number,
    "number": _Compiler.number,
    "boolean": _Compiler.anything,
    "null": _Compiler.anything,
    "array": _Compiler.array,
    "object": _Compiler.object,
}


def _member(allowed: frozenset[Any], cls: type) -> Accepts:
    def check(value: Any) -> bool:
        return value.__class__ is cls and value in allowed

    return check


def _object(
    members: Mapping[str, tuple[frozenset[type], Accepts]],
    other: tuple[frozenset[type], Accepts] | None,
    required: tuple[str, ...],
) -> Accepts:
    """The check of an object. Members are pairs of the classes that will do and the check of the others."""
    get = members.get

    def check(value: Any) -> bool:
        if value.__class__ is not dict:
            return False
        for key in required:
            if key not in value:
                return False
        for key, item in value.items():
            pair = get(key, other)
            if pair is None or (item.__class__ not in pair[0] and not pair[1](item)):
                return False
        return True

    return check


def _any(checks: list[Accepts | None]) -> Accepts | None:
    some = [check for check in checks if check is not None]
    if len(some) < len(checks) or not checks:
        return None
    if len(some) == 1:
        return some[0]
    alternatives = tuple(some)

    def check(value: Any) -> bool:
        for alternative in alternatives:  # noqa: SIM110 - a generator costs more than the loop
            if alternative(value):
                return True
        return False

    return check


def _split(kinds: _Kinds) -> tuple[frozenset[type], Accepts]:
    """The classes that need no look inside, and the check of a value of any other class."""
    plain = frozenset(cls for cls, check in kinds.items() if check is None)
    rest = {cls: check for cls, check in kinds.items() if check is not None}
    different = set(rest.values())
    if not rest:
        return plain, _never
    if len(different) == 1:
        return plain, different.pop()

    def check(value: Any) -> bool:
        found = rest.get(value.__class__)
        return found is not None and found(value)

    return plain, check


def _one(kinds: _Kinds) -> Accepts:
    plain, rest = _split(kinds)
    if not plain:
        return rest

    def check(value: Any) -> bool:
        return value.__class__ in plain or rest(value)

    return check


@cache
def _compiler(unknown: Unknown) -> _Compiler:
    return _Compiler(unknown)


def accepts(schema: Schema, *, unknown: Unknown = "refuse") -> Accepts:
    """A function that says whether a value fits a schema of the API's tables (their keywords only)."""
    return _compiler(unknown).accepts(schema)


def refuse(name: str, fault: Fault) -> BadRequestError:
    """The error that reports a fault."""
    return BadRequestError.because(fault.message, param=fault.param, code=fault.code)


@cache
def _checker(name: str, part: Literal["body", "query"], unknown: Unknown) -> Callable[[Any], None]:
    """The check of a body or a query, raising; the first call for an operation compiles its schema."""
    described = operation(name)
    schema: Schema = getattr(described, part) or {"type": "object", "properties": {}, "additionalProperties": False}
    fits = accepts(schema, unknown=unknown)

    def check(value: Any) -> None:
        try:
            if fits(value):
                return
            from .faults import first_fault

            fault = first_fault(name, schema, value, unknown=unknown)
        except RecursionError:
            raise BadRequestError.because("The request is nested too deeply.") from None
        if fault is not None:
            raise refuse(name, fault)

    return check


def compile_body(name: str, *, unknown: Unknown = "refuse") -> Callable[[Any], None]:
    """The check of the decoded JSON body of an operation. An absent body is `{}`.

    The check returns `None` or raises `BadRequestError`. Raises `KeyError` for an unknown operation.
    """
    return _checker(name, "body", unknown)


@cache
def compile_query(name: str, *, unknown: Unknown = "allow") -> Callable[[str], dict[str, Any]]:
    """The reader of the query of an operation: a raw query string to values of the types the schema states.

    Arrays may be written `a[]=1&a[]=2`, `a=1&a=2` or `a[0]=1`, objects `a[b]=1`. Parameters that no schema names
    are dropped, or refused with `unknown="refuse"`. The reader raises `BadRequestError`.
    """
    schema = operation(name).query
    properties: dict[str, Schema] = schema["properties"] if schema else {}
    check = _checker(name, "query", unknown)
    nothing: dict[str, Any] = {}
    may_be_empty = not (schema or {}).get("required")

    def read(query: str) -> dict[str, Any]:
        if not query and may_be_empty:
            return dict(nothing)
        from .parameters import parse_query, read_values

        try:
            given = parse_query(query)
            values = read_values(properties, given, form=False)
        except (ValueError, RecursionError) as error:
            raise BadRequestError.because(f"Invalid query string: {error}") from None
        if unknown == "allow":
            values = {key: value for key, value in values.items() if key in properties}
        check(values)
        return values

    return read


@cache
def compile_form(name: str, *, unknown: Unknown = "refuse") -> Callable[[Iterable[tuple[str, Any]]], dict[str, Any]]:
    """The reader of the multipart body of an operation: its fields in order to values of the schema's types.

    Fields are pairs of a name and a `str` or an `UploadedFile`. The reader raises `BadRequestError`.
    """
    from .parameters import parse_pairs, read_values

    schema = operation(name).body
    properties: dict[str, Schema] = schema["properties"] if schema else {}
    check = _checker(name, "body", unknown)

    def read(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        try:
            values = read_values(properties, parse_pairs(fields), form=True)
        except (ValueError, RecursionError) as error:
            raise BadRequestError.because(f"Invalid form data: {error}") from None
        check(values)
        return values

    return read
