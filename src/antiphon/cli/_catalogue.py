"""The operations of the API by name, and what there is to say about each."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..api._index import OPERATIONS
from ._errors import USAGE, Problem
from ._fields import described, nearest, shape_of

if TYPE_CHECKING:
    from ..kernel.operation import AnyOperation
    from ..schema import Schema

__all__ = ("Named", "completed", "find", "listed")

OPTIONS: dict[str, Schema] = {
    "extra_headers": {"type": "object", "additionalProperties": {"type": "string"}},
    "extra_query": {"type": "object"},
    "extra_body": {"type": "object"},
}
"""Fields every operation takes beside its own."""
_LIST: Schema = {"type": "array", "items": {"type": "string"}}
_STRING: Schema = {"type": "string"}
_ALIASES = {"beta.chat.": "chat."}


class Named:
    """One operation, with the schema of each of its fields."""

    def __init__(self, name: str, operation: AnyOperation) -> None:
        from ..schema import operation as schema_of

        self.name = name
        self.operation = operation
        schema = schema_of(name)
        known: dict[str, Schema] = {}
        for table in (schema.query, schema.body):
            known.update((table or {}).get("properties", {}))
        annotations = operation.spec.__annotations__
        # A class or a function of Python's has no place on a command line.
        parameters = [each for each in annotations if each in operation.parameters and each not in operation.local]
        self.fields: dict[str, Schema] = {}
        for each in parameters:
            fallback = _LIST if annotations[each].startswith("list[") else _STRING
            self.fields[each] = known.get(operation.rename.get(each, each), fallback)
        self.media = schema.media
        self.binary = "HttpxBinaryResponseContent" in annotations["return"]

    @property
    def required(self) -> list[str]:
        """What cannot be left out, in order."""
        return [name for name in self.fields if name in self.operation.required]

    def has(self, name: str) -> bool:
        """Whether there is a field of this name, or one that it is within."""
        first = name.partition(".")[0]
        return self._own(first) is not None

    def _own(self, name: str) -> str | None:
        tried = (name, name.replace("-", "_"))
        return next((each for each in tried if each in self.fields or each in OPTIONS), None)

    def locate(self, name: str, others: list[str] | None = None) -> tuple[tuple[str, ...], Schema]:
        """The way to a field, and its schema; `a.b` is a field of an object. `others` are further names.

        Raises `Problem` for one that is not there.
        """
        first, *way = name.split(".")
        own = self._own(first)
        if own is None:
            hint = nearest(first.replace("-", "_"), [*self.fields, *OPTIONS, *(others or ())])
            raise Problem(f"{self.name} has no field {first}{hint or f'; see antiphon api {self.name} --help'}", USAGE)
        found = self.fields.get(own, OPTIONS.get(own, _STRING))
        keys = [own]
        for key in way:
            shape = shape_of(found)
            known = next((each for each in (key, key.replace("-", "_")) if each in shape.properties), key)
            inner = shape.properties.get(known, shape.more)
            if inner is None:
                raise Problem(f"{'.'.join(keys)} has no field {key}{nearest(key, [*shape.properties])}", USAGE)
            keys.append(known)
            found = inner
        return tuple(keys), found

    def help(self, width: int) -> str:
        """The page of an operation."""
        operation = self.operation
        summary, *more = (operation.__doc__ or "").strip().split("\n\n")
        positional = " ".join(each.upper() for each in operation.positional)
        fields = " ".join(f"--{each} ..." for each in self.required if each not in operation.positional)
        usage = " ".join(
            part for part in (f"antiphon api {self.name}", positional, fields, "[--field value ...]") if part
        )
        lines = [f"usage: {usage}", "", summary.strip()]
        if operation.deprecated:
            lines.append(f"Deprecated: {' '.join(operation.deprecated.split())}")
        lines += ["", f"{operation.method} {operation.path}"]
        lines += [part.strip() for part in more if part.strip().startswith("http")]
        if self.fields:
            lines += ["", "fields:", *self._fields(width)]
        lines += ["", "options:", *_table(list(self._options()), width)]
        return "\n".join(lines)

    def _fields(self, width: int) -> Iterator[str]:
        positional = self.operation.positional
        rows = []
        for name, schema in self.fields.items():
            label = name.upper() if name in positional else f"--{name}"
            needed = " (required)" if name in self.operation.required and name not in positional else ""
            rows.append((label, described(schema) + needed))
        return iter(_table(rows, width))

    def _options(self) -> Iterator[tuple[str, str]]:
        if self.operation.paged:
            yield "--page-all", "every item of every page, as lines of JSON"
        if self.binary:
            yield "-o, --output FILE", "where to write what is answered; - for stdout"
        if self.operation.method == "POST":
            yield "--body @FILE", "an object with fields, which the fields above add to"
        yield "--extra_headers, --extra_query, --extra_body", "objects that are sent as they are"


def _table(rows: list[tuple[str, str]], width: int) -> list[str]:
    from textwrap import wrap

    column = min(max(len(label) for label, _ in rows), 26) + 4
    lines: list[str] = []
    for label, words in rows:
        first, *rest = wrap(words, max(width - column, 20), break_on_hyphens=False) or [""]
        if len(label) + 4 > column:
            lines += [f"  {label}", " " * column + first]
        else:
            lines.append(f"  {label}".ljust(column) + first)
        lines += [" " * column + line for line in rest]
    return lines


def completed(name: str) -> str:
    """A name as the index has it: dashes for underscores, `beta.chat` for `chat`."""
    name = name.strip().strip(".").replace("-", "_")
    for alias, meant in _ALIASES.items():
        if f"{name}.".startswith(alias):
            name = (meant + f"{name}."[len(alias) :]).strip(".")
    return name


def find(name: str) -> Named | None:
    """The operation of a name, `None` where it is that of a resource. Raises `Problem` for one that is nothing's."""
    for each, module, owner, _, _ in OPERATIONS:
        if each == name:
            operation: Any = getattr(getattr(import_module(f"antiphon.api.{module}"), owner), name.rpartition(".")[2])
            return Named(name, operation)
    names = [each[0] for each in OPERATIONS]
    if any(each.startswith(f"{name}.") for each in names):
        return None
    groups = {each.rpartition(".")[0] for each in names}
    near = nearest(name, names) or nearest(name, sorted(groups))
    if not near:
        ends = [each for each in (*names, *sorted(groups)) if each.endswith(f".{name}")]
        near = f"; did you mean {' or '.join(ends[:3])}?" if ends else "; `antiphon api` lists what there is"
    raise Problem(f"there is no {name} in the API{near}", USAGE)


def listed(resource: str) -> list[tuple[str, str]]:
    """What is in a resource: its operations with their addresses, the resources below it with how many theirs are."""
    prefix = f"{resource}." if resource else ""
    rows: list[tuple[str, str]] = []
    below: dict[str, int] = {}
    for name, _, _, method, path in OPERATIONS:
        if not name.startswith(prefix):
            continue
        group = name.rpartition(".")[0]
        if group == resource:
            rows.append((name, f"{method} {path}"))
        else:
            # One level at a time, but all of it at the top: that is the list people search.
            key = group if not resource else prefix + group.removeprefix(prefix).partition(".")[0]
            below[key] = below.get(key, 0) + 1
    counted = [(name, f"{number} operation{'s' if number > 1 else ''}") for name, number in below.items()]
    return [*rows, *(sorted(counted) if not resource else counted)]
