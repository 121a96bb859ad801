"""Instances of users' JSON Schemas: what a model would put into structured output or into the arguments of a tool.

    example({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}, Random(0),
            hints="What is the weather in Paris?")              # {"city": "Paris"}

A place in the instance is described by a *conjunction*: all the schemas that apply to it at once. References and
`allOf` add to it, `anyOf`, `oneOf` and `if` are choices that are tried in turn, and what is left is a type and its
bounds. Recursive schemas end as soon as they can: the least depth of every schema is known beforehand. The result
is checked against the schema as a whole; the number of steps is bounded, so a schema that has no instance, or none
that is found, is an `ImpossibleSchema` and never a hang.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import ceil, floor, lcm
from random import Random
from typing import Any

from .fits import JSONSchema, NoSuchReference, applicable, as_fraction, fits, lookup, same
from .hints import Hints
from .patterns import InvalidPattern, compiled, matching

__all__ = ("ImpossibleSchema", "example")

_STEPS = 20_000
_SOFT_DEPTH = 5
"""Beyond this depth only what is required is made."""
_HARD_DEPTH = 100
_ATTEMPTS = 5
_MOST_ITEMS = 10_000
_ENDLESS = 1 << 30
_TYPES: tuple[str, ...] = ("object", "array", "string", "integer", "number", "boolean", "null")
_LINKS = ("$ref", "$dynamicRef", "allOf")
_KEYWORDS: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""What an untyped schema is about, told by its keywords."""


class ImpossibleSchema(ValueError):
    """No valid instance was found: the schema contradicts itself, contains itself without an end, or is not one."""


def example(schema: JSONSchema, rng: Random, *, hints: str = "", optional: float = 1.0) -> Any:
    """A valid instance of a JSON Schema, the same for the same schema, state of `rng` and hints.

    Strings draw their words, numbers their values and enumerations their choice from `hints` where it has some that
    fit. Optional properties are filled near the top and left out deep down; `optional` is how likely one is that could
    be filled, from 0 to 1. Raises `ImpossibleSchema`.
    """
    try:
        plan = _plan(json.dumps(schema, sort_keys=False, separators=(",", ":")))
        return _attempted(plan, rng, Hints(hints), optional)
    except ImpossibleSchema:
        raise
    except (NoSuchReference, InvalidPattern) as error:
        raise ImpossibleSchema(str(error)) from None
    except (LookupError, RecursionError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        raise ImpossibleSchema(f"this is not a usable JSON Schema: {error!r}") from None


def _attempted(plan: _Plan, rng: Random, hints: Hints, optional: float) -> Any:
    try:
        for _ in range(_ATTEMPTS):
            value = _Maker(plan, rng, hints, optional).make((plan.root,), "", 0)
            if fits(value, plan.root):
                return value
    except _Exhausted:
        if plan.height(plan.root) >= _ENDLESS:
            raise ImpossibleSchema("this schema contains itself without an end") from None
    raise ImpossibleSchema("no valid instance of this schema was found in a bounded number of steps")


class _Plan:
    """What is known about one schema before any instance of it is made."""

    def __init__(self, root: JSONSchema) -> None:
        self.root = root
        self.heights: dict[int, int] = {}
        nodes = {id(node): node for node in _nodes(root)}
        changed = True
        while changed:
            changed = False
            for key, node in nodes.items():
                height = self._height(node)
                if height < self.heights.get(key, _ENDLESS):
                    self.heights[key] = height
                    changed = True

    def height(self, schema: JSONSchema) -> int:
        """How deep the least instance is; endless where there is none."""
        if isinstance(schema, bool):
            return 0 if schema else _ENDLESS
        return self.heights.get(id(schema), _ENDLESS)

    def _height(self, schema: Mapping[str, Any]) -> int:
        least = 0
        reference = schema.get("$ref") or schema.get("$dynamicRef")
        if isinstance(reference, str):
            least = self.height(lookup(reference, self.root))
        for each in schema.get("allOf", ()):
            least = max(least, self.height(each))
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                least = max(least, min(map(self.height, schema[keyword]), default=_ENDLESS))
        if "enum" in schema or "const" in schema:
            return least
        kinds = schema.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not kinds:
            kinds = [kind for kind in ("object", "array") if any(k in schema for k in _KEYWORDS[kind])] or ["string"]
        return max(least, min((self._typed(kind, schema) for kind in kinds), default=_ENDLESS))

    def _typed(self, kind: str, schema: Mapping[str, Any]) -> int:
        if kind == "object":
            below = [max(map(self.height, applicable(schema, key)), default=0) for key in schema.get("required", ())]
            return 1 + max(below, default=0) if max(below, default=0) < _ENDLESS else _ENDLESS
        if kind == "array" and schema.get("minItems", 0) > 0:
            first = schema.get("prefixItems") or (schema["items"] if isinstance(schema.get("items"), list) else [])
            rest = schema.get("items", True) if not isinstance(schema.get("items"), list) else True
            below = [self.height(each) for each in first[: schema["minItems"]]]
            if schema["minItems"] > len(first):
                below.append(self.height(rest))
            return 1 + max(below, default=0) if max(below, default=0) < _ENDLESS else _ENDLESS
        return 1


@lru_cache(maxsize=256)
def _plan(text: str) -> _Plan:
    return _Plan(json.loads(text))


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    """Everything in a schema that could be a schema."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)


class _Maker:
    """Makes one instance."""

    def __init__(self, plan: _Plan, rng: Random, hints: Hints, optional: float) -> None:
        self.plan = plan
        self.root = plan.root
        self.rng = rng
        self.hints = hints
        self.optional = optional
        self.steps = 0

    def make(self, schemas: tuple[JSONSchema, ...], name: str, depth: int) -> Any:
        """A value that is valid for all the schemas. `name` is the property it is for."""
        self.steps += 1
        if self.steps > _STEPS or depth > _HARD_DEPTH:
            raise _Exhausted
        parts = self.parts(schemas)
        choice = self.choice(parts)
        if choice is not None:
            return self.chosen(parts, *choice, name, depth)
        return self.plain(parts, name, depth)

    def parts(self, schemas: tuple[JSONSchema, ...]) -> list[Mapping[str, Any]]:
        """The schemas and those they refer to, directly and in `allOf`, each once and without these keywords."""
        parts: list[Mapping[str, Any]] = []
        seen: dict[int, Mapping[str, Any]] = {}
        queue = deque(schemas)
        while queue:
            schema = queue.popleft()
            if isinstance(schema, bool):
                if not schema:
                    raise ImpossibleSchema("nothing is valid for `false`")
                continue
            if id(schema) in seen:
                continue
            seen[id(schema)] = schema
            reference = schema.get("$ref") or schema.get("$dynamicRef")
            if isinstance(reference, str):
                queue.append(lookup(reference, self.root))
            queue.extend(schema.get("allOf", ()))
            linked = isinstance(reference, str) or "allOf" in schema
            parts.append({k: v for k, v in schema.items() if k not in _LINKS} if linked else schema)
        return parts

    def choice(self, parts: list[Mapping[str, Any]]) -> tuple[int, str] | None:
        """The first choice that is left: the index of its part and its keyword."""
        for index, part in enumerate(parts):
            for keyword in ("oneOf", "anyOf", "if"):
                if keyword in part:
                    return index, keyword
        return None

    def chosen(self, parts: list[Mapping[str, Any]], index: int, keyword: str, name: str, depth: int) -> Any:
        """A value for one branch of a choice: the first that has one."""
        part = parts[index]
        rest: dict[str, Any] = {k: v for k, v in part.items() if k != keyword}
        if keyword == "if":
            then, otherwise = rest.pop("then", True), rest.pop("else", True)
            branches: list[JSONSchema] = [{"allOf": [part["if"], then]}, {"allOf": [{"not": part["if"]}, otherwise]}]
            whole: dict[str, Any] = {k: part[k] for k in ("if", "then", "else") if k in part}
        else:
            branches = self.ordered(part[keyword], depth)
            whole = {keyword: part[keyword]}
        others = tuple(parts[:index]) + tuple(parts[index + 1 :])
        failure: ImpossibleSchema | None = None
        for branch in branches:
            for _ in range(1 if keyword == "anyOf" else 4):
                try:
                    value = self.make((rest, *others, branch), name, depth)
                except _Exhausted:
                    raise
                except ImpossibleSchema as error:
                    failure = error
                    break
                if keyword == "anyOf" or fits(value, whole, self.root):
                    return value
        raise failure or ImpossibleSchema(f"no branch of `{keyword}` of {_of(name)} has a value of its own")

    def ordered(self, branches: list[JSONSchema], depth: int) -> list[JSONSchema]:
        """Branches in the order to try them: near the top as they come, null last; deep down the shallow first."""
        if depth > _SOFT_DEPTH:
            return sorted(branches, key=self.plan.height)
        heights = [(self.plan.height(branch) >= _ENDLESS, _is_null(branch)) for branch in branches]
        return [branches[i] for i in sorted(range(len(branches)), key=lambda i: heights[i])]

    def plain(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> Any:
        """A value for schemas without choices."""
        values = next((part["enum"] for part in parts if "enum" in part), None)
        for part in parts:
            if "const" in part:
                values = [part["const"]]
        if values is not None:
            fitting = [value for value in values if all(fits(value, part, self.root) for part in parts)]
            if not fitting:
                raise ImpossibleSchema(f"none of the values that {_of(name)} may have fits its schema")
            said = [value for value in fitting if self.hints.mentions(value)]
            solid = [value for value in fitting if value is not None] or fitting
            return _copied(said[0] if said else self.rng.choice(solid))
        failure: ImpossibleSchema | None = None
        excluded = [part["not"] for part in parts if "not" in part]
        for kind in self.kinds(parts):
            try:
                for _ in range(6 if excluded else 1):
                    value = _MAKERS[kind](self, parts, name, depth)
                    if not any(fits(value, each, self.root) for each in excluded):
                        return value
            except _Exhausted:
                raise
            except ImpossibleSchema as error:
                failure = error
        raise failure or ImpossibleSchema(f"{_of(name)} has no type that all its schemas allow")

    def kinds(self, parts: list[Mapping[str, Any]]) -> list[str]:
        """The types a value may have, the likeliest first."""
        allowed = list(_TYPES)
        stated = False
        for part in parts:
            kinds = part.get("type")
            if kinds is None:
                continue
            stated = True
            named = {kinds} if isinstance(kinds, str) else set(kinds)
            unknown = next((kind for kind in named if kind not in _TYPES), None)
            if unknown is not None:
                raise ImpossibleSchema(f"{unknown!r} is not a type of JSON Schema")
            if part.get("nullable") is True:
                named.add("null")
            if "number" in named:
                named.add("integer")
            allowed = [kind for kind in allowed if kind in named]
        first = next((p["type"] for p in parts if "type" in p), None)
        if isinstance(first, list):
            allowed.sort(key=lambda kind: (kind == "null", first.index(kind) if kind in first else len(first)))
        if "number" in allowed and "integer" in allowed:
            allowed.remove("integer" if any(p.get("type") == "number" for p in parts) else "number")
        if stated:
            return allowed
        told = [kind for kind, words in _KEYWORDS.items() if any(word in part for part in parts for word in words)]
        return [
            *told,
            *(kind for kind in ("string", "integer", "object", "array", "boolean", "null") if kind not in told),
        ]

    # Types

    def string(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> str:
        least = max((part.get("minLength", 0) for part in parts), default=0)
        most = min((part["maxLength"] for part in parts if "maxLength" in part), default=None)
        if most is not None and most < least:
            raise ImpossibleSchema(f"{_of(name)} should have at least {least} and at most {most} characters")
        if least > 1_000_000:
            raise ImpossibleSchema(f"{_of(name)} should have {least} characters")
        patterns = [part["pattern"] for part in parts if "pattern" in part]
        if patterns:
            return self.patterned(patterns, least, most, name)
        kind = next((part["format"] for part in parts if "format" in part), None)
        if isinstance(kind, str) and self.hints.has_format(kind):
            return self.formatted(kind, least, most, name)
        text = self.hints.string(name, self.rng)
        while len(text) < least:
            text = f"{text} {self.hints.phrase(self.rng, 3)}"
        if most is not None and len(text) > most:
            cut = text[:most]
            shorter = cut.rpartition(" ")[0]
            text = shorter if len(shorter) >= max(least, 1) else cut
        return text

    def patterned(self, patterns: list[str], least: int, most: int | None, name: str) -> str:
        for word in (*self.hints.words, *self.hints.quoted):
            fitting = len(word) >= least and (most is None or len(word) <= most) and len(word) <= 40
            if fitting and len(word) > 2 and all(_simple(p) and compiled(p).search(word) for p in patterns):
                return word
        for _ in range(1 if len(patterns) == 1 else 50):
            for first in patterns:
                text = matching(first, self.rng, least=least, most=most)
                if text is not None and all(compiled(p).search(text) is not None for p in patterns if p is not first):
                    return text
        raise ImpossibleSchema(f"no string was found for {_of(name)} that matches {' and '.join(map(repr, patterns))}")

    def formatted(self, kind: str, least: int, most: int | None, name: str) -> str:
        for _ in range(20):
            text = self.hints.formatted(kind, self.rng)
            if least <= len(text) and (most is None or len(text) <= most):
                return text
        raise ImpossibleSchema(f"no {kind} of {least} to {most} characters was found for {_of(name)}")

    def integer(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> int:
        return int(self.quantity(parts, name, whole=True))

    def number(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> float:
        return self.quantity(parts, name, whole=False)

    def quantity(self, parts: list[Mapping[str, Any]], name: str, *, whole: bool) -> float:
        low, high = _bounds(parts)
        steps = [as_fraction(part["multipleOf"]) for part in parts if "multipleOf" in part]
        if whole:
            steps.append(as_fraction(1))
        given = [n for n in self.hints.numbers if not whole or n == int(n)]
        wished = [as_fraction(int(n) if n == int(n) else n) for n in given]
        if steps:
            step = steps[0]
            for other in steps[1:]:
                numerator = lcm(step.numerator * other.denominator, other.numerator * step.denominator)
                step = as_fraction(numerator) / (step.denominator * other.denominator)
            least = (
                None if low is None else ceil(low[0] / step) + (1 if low[1] and (low[0] / step).denominator == 1 else 0)
            )
            most = (
                None
                if high is None
                else floor(high[0] / step) - (1 if high[1] and (high[0] / step).denominator == 1 else 0)
            )
            if least is not None and most is not None and least > most:
                raise ImpossibleSchema(f"no number for {_of(name)} is within its bounds and steps")
            for wish in wished:
                count = wish / step
                if count.denominator == 1 and (least is None or count >= least) and (most is None or count <= most):
                    return _as_number(wish)
            first = least if least is not None else 1 if most is None or most >= 1 else most
            last = min(first + 99, most) if most is not None else first + 9
            chosen = step * self.rng.randint(int(min(first, last)), int(last))
            if whole and not _writable(chosen):
                raise ImpossibleSchema(f"no number for {_of(name)} has 64 bits or fewer")
            return _as_number(chosen)
        for wish in wished:
            if (low is None or wish > low[0] or (wish == low[0] and not low[1])) and (
                high is None or wish < high[0] or (wish == high[0] and not high[1])
            ):
                return _as_number(wish)
        return self.between(low, high, name)

    def between(self, low: _Bound | None, high: _Bound | None, name: str) -> float:
        """A number within bounds, with few digits where there is room."""
        if low is None and high is None:
            return self.rng.randint(1, 1000) / 10
        start = low[0] if low is not None else (high[0] if high is not None else as_fraction(0)) - 100
        end = high[0] if high is not None else start + 100
        if start > end or (start == end and ((low and low[1]) or (high and high[1]))):
            raise ImpossibleSchema(f"no number for {_of(name)} is within its bounds")
        for digits in (1, 3, 6):
            value = as_fraction(round(float(start) + float(end - start) * self.rng.random(), digits))
            if start < value < end:
                return _as_number(value)
        if not (low and low[1]):
            return _as_number(start)
        return _as_number(end) if not (high and high[1]) else float((start + end) / 2)

    def boolean(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> bool:
        return self.rng.random() < 0.5

    def null(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> None:
        return None

    def array(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> list[Any]:
        least = max((part.get("minItems", 0) for part in parts), default=0)
        most = min((part["maxItems"] for part in parts if "maxItems" in part), default=_MOST_ITEMS)
        contained = [(part["contains"], part.get("minContains", 1)) for part in parts if "contains" in part]
        wanted = max(least, sum(count for _, count in contained))
        if wanted > min(most, _MOST_ITEMS):
            raise ImpossibleSchema(f"{_of(name)} should have at least {wanted} and at most {most} items")
        tuples = [len(_first_items(part)) for part in parts]
        optional = 0 if depth > _SOFT_DEPTH else max(1, *tuples) if tuples else 1
        unique = any(part.get("uniqueItems") for part in parts)
        count = min(max(wanted, optional), most)
        made: list[Any] = []
        singular = name.removesuffix("s")
        for index in range(count):
            schemas = tuple(_item_schema(part, index) for part in parts)
            if contained and index >= count - sum(n for _, n in contained):
                schemas = (*schemas, contained[0][0])
                contained = [(s, n - 1 if i == 0 else n) for i, (s, n) in enumerate(contained)]
                contained = [(s, n) for s, n in contained if n > 0]
            try:
                made.append(
                    self.distinct(schemas, made, singular, depth + 1)
                    if unique
                    else self.make(schemas, singular, depth + 1)
                )
            except _Exhausted:
                raise
            except ImpossibleSchema:
                if index < wanted:
                    raise
                break
        return made

    def distinct(self, schemas: tuple[JSONSchema, ...], others: list[Any], name: str, depth: int) -> Any:
        """A value that none of the others is equal to."""
        finite = self.finite(schemas)
        if finite is not None:
            for value in finite:
                if not any(same(value, other) for other in others):
                    return _copied(value)
            raise ImpossibleSchema(f"there are not enough different values for {_of(name)}")
        for attempt in range(40):
            value = self.make(schemas, name, depth)
            if not any(same(value, other) for other in others):
                return value
            if isinstance(value, int) and not isinstance(value, bool) and attempt > 5:
                for near in range(value - 200, value + 200):
                    whole = {"allOf": list(schemas)}
                    if fits(near, whole, self.root) and not any(same(near, other) for other in others):
                        return near
        raise ImpossibleSchema(f"there are not enough different values for {_of(name)}")

    def finite(self, schemas: tuple[JSONSchema, ...]) -> list[Any] | None:
        """All the values there are, where the schemas list them."""
        parts = self.parts(schemas)
        if any(keyword in part for part in parts for keyword in ("anyOf", "oneOf", "if")):
            return None
        values = next((part["enum"] for part in parts if "enum" in part), None)
        if values is None and self.kinds(parts) == ["boolean"]:
            values = [True, False]
        return None if values is None else [v for v in values if all(fits(v, part, self.root) for part in parts)]

    def object(self, parts: list[Mapping[str, Any]], name: str, depth: int) -> dict[str, Any]:
        most = min((part["maxProperties"] for part in parts if "maxProperties" in part), default=_MOST_ITEMS)
        least = max((part.get("minProperties", 0) for part in parts), default=0)
        required = list(
            dict.fromkeys(key for part in parts for key in part.get("required", ()) if isinstance(key, str))
        )
        listed = list(dict.fromkeys(key for part in parts for key in part.get("properties", {})))
        made: dict[str, Any] = {}
        extra: list[JSONSchema] = []
        pending = [key for key in listed if key in required] + [key for key in required if key not in listed]
        while pending:
            key = pending.pop(0)
            if key in made:
                continue
            made[key] = self.make(self.member(parts, extra, key), key, depth + 1)
            for needed in _needs(parts, key):
                if isinstance(needed, list):
                    pending.extend(needed)
                else:
                    found = self.parts((needed,))
                    extra.extend(found)
                    pending.extend(other for part in found for other in part.get("required", ()))
        if len(made) > most:
            raise ImpossibleSchema(f"{_of(name)} requires more than {most} properties")
        for key in listed:
            enough = len(made) >= least
            if key in made or len(made) >= most or (enough and depth > _SOFT_DEPTH) or _needs(parts, key):
                continue
            if enough and self.optional < 1 and self.rng.random() >= self.optional:
                continue
            schemas = self.member(parts, extra, key)
            if enough and depth + max(map(self.plan.height, schemas), default=0) > _SOFT_DEPTH + 1:
                continue
            try:
                self.named(key, parts)
                made[key] = self.make(schemas, key, depth + 1)
            except _Exhausted:
                raise
            except ImpossibleSchema:
                continue
        self.filled(made, parts, extra, least, name, depth)
        order = {key: place for place, key in enumerate(listed)}
        return dict(sorted(made.items(), key=lambda item: order.get(item[0], len(order))))

    def member(self, parts: list[Mapping[str, Any]], extra: list[JSONSchema], key: str) -> tuple[JSONSchema, ...]:
        found = [each for part in parts for each in applicable(part, key)]
        return (*found, *(each for part in extra if isinstance(part, Mapping) for each in applicable(part, key)))

    def named(self, key: str, parts: list[Mapping[str, Any]]) -> None:
        """Raise unless a property may have this name."""
        for part in parts:
            if "propertyNames" in part and not fits(key, part["propertyNames"], self.root):
                raise ImpossibleSchema(f"no property may be named '{key}'")

    def filled(
        self,
        made: dict[str, Any],
        parts: list[Mapping[str, Any]],
        extra: list[JSONSchema],
        least: int,
        name: str,
        depth: int,
    ) -> None:
        """Add properties of other names until there are enough."""
        if least > _MOST_ITEMS:
            raise ImpossibleSchema(f"{_of(name)} should have {least} properties")
        patterns = [pattern for part in parts for pattern in part.get("patternProperties", {})]
        free = not any(part.get("additionalProperties") is False for part in parts)
        names = tuple(part["propertyNames"] for part in parts if "propertyNames" in part)
        dictionary = any(isinstance(part.get("additionalProperties"), Mapping) for part in parts) or patterns
        wanted = max(least, 1 if dictionary and not made and depth <= _SOFT_DEPTH else 0)
        for attempt in range(20 * wanted):
            if len(made) >= wanted:
                return
            if names:
                key = str(self.make(({"type": "string"}, *names), "key", depth + 1))
            elif patterns and (not free or attempt % 2 == 0):
                key = matching(self.rng.choice(patterns), self.rng, least=attempt % 12) or ""
            else:
                key = self.hints.phrase(self.rng, 1).lower() if attempt < 10 else f"key{attempt}"
            schemas = self.member(parts, extra, key)
            closed = any(_closed_to(part, key) for part in parts)
            if key in made or closed:
                continue
            try:
                self.named(key, parts)
                made[key] = self.make(schemas, key, depth + 1)
            except _Exhausted:
                raise
            except ImpossibleSchema:
                continue
        if len(made) < least:
            raise ImpossibleSchema(f"no {least} properties were found for {_of(name)}")


class _Exhausted(ImpossibleSchema):
    """The steps are used up: trying other branches would not help."""


_Bound = tuple[Any, bool]
"""A bound, and whether it is excluded itself."""

_MAKERS: dict[str, Callable[[_Maker, list[Mapping[str, Any]], str, int], Any]] = {
    "object": _Maker.object,
    "array": _Maker.array,
    "string": _Maker.string,
    "integer": _Maker.integer,
    "number": _Maker.number,
    "boolean": _Maker.boolean,
    "null": _Maker.null,
}


def _bounds(parts: list[Mapping[str, Any]]) -> tuple[_Bound | None, _Bound | None]:
    lows: list[_Bound] = []
    highs: list[_Bound] = []
    for part in parts:
        below, above = part.get("exclusiveMinimum"), part.get("exclusiveMaximum")
        if "minimum" in part:
            lows.append((as_fraction(part["minimum"]), below is True))
        if "maximum" in part:
            highs.append((as_fraction(part["maximum"]), above is True))
        if below is not None and not isinstance(below, bool):
            lows.append((as_fraction(below), True))
        if above is not None and not isinstance(above, bool):
            highs.append((as_fraction(above), True))
    low = max(lows, key=lambda bound: (bound[0], bound[1]), default=None)
    high = min(highs, key=lambda bound: (bound[0], not bound[1]), default=None)
    return low, high


def _of(name: str) -> str:
    """What an error calls the property it is about; the value as a whole has no name."""
    return f"'{name}'" if name else "the schema"


def _writable(value: Any) -> bool:
    """Whether a whole number is one that JSON writers and readers commonly take."""
    return bool(-(1 << 63) <= value < 1 << 64)


def _as_number(value: Any) -> float:
    return int(value) if value.denominator == 1 and _writable(value) else float(value)


def _first_items(part: Mapping[str, Any]) -> list[JSONSchema]:
    return part.get("prefixItems") or (part["items"] if isinstance(part.get("items"), list) else [])


def _item_schema(part: Mapping[str, Any], index: int) -> JSONSchema:
    first = _first_items(part)
    if index < len(first):
        return first[index]
    items: Any = part.get("additionalItems", True) if isinstance(part.get("items"), list) else part.get("items", True)
    return items  # type: ignore[no-any-return]


def _needs(parts: list[Mapping[str, Any]], key: str) -> list[Any]:
    """What the presence of a property asks for: lists of others, or schemas."""
    keywords = ("dependentRequired", "dependentSchemas", "dependencies")
    return [part[keyword][key] for part in parts for keyword in keywords if key in part.get(keyword, {})]


def _closed_to(part: Mapping[str, Any], key: str) -> bool:
    return part.get("additionalProperties") is False and applicable(part, key) == [False]


def _is_null(schema: JSONSchema) -> bool:
    return isinstance(schema, Mapping) and (
        schema.get("type") == "null" or ("const" in schema and schema["const"] is None)
    )


def _simple(pattern: str) -> bool:
    """Whether an expression is about a whole word and harmless to try: nothing in it repeats a repetition."""
    return (
        pattern.startswith("^")
        and pattern.endswith("$")
        and pattern.count("*") + pattern.count("+") + pattern.count("{") <= 1
    )


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
