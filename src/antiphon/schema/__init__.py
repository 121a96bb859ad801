"""JSON Schemas of every operation of the API, read from the generated tables beside this file.

    operation("chat.completions.create").body      the schema of the request's body, or None
    definition("chat.chat_completion.Choice")      the schema of one named type
    resolve("#/$defs/chat.chat_completion.Choice") the same, by reference
    standalone(schema)                             a schema with every definition it needs, for any validator
    events("realtime")["session.update"]           the schema of an event that a client says over a websocket

A definition is named after the module and class under `antiphon.types` it describes. Requests are closed objects
(`additionalProperties: false`), responses are open. Files of multipart requests are `format: binary`.

What the API once had, and hosts still serve, is in `legacy.json`, written by hand: `operation` knows it by name.

The tables are a JSON object each, with one member a line, in the order of their names: loading only reads the file, a
line is found by halving and decoded when it is asked for. The decoded schemas are shared: they must not be changed.
Servers read this package; clients never do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ("OperationSchema", "Schema", "definition", "events", "operation", "operations", "resolve", "standalone")

Schema = dict[str, Any]
"""A decoded JSON Schema."""

_REFERENCE = "#/$defs/"


class OperationSchema(NamedTuple):
    """What goes in and out of one operation."""

    name: str
    http: str
    """The HTTP method, in upper case."""
    path: str
    """The path template under `/v1`, such as `/files/{file_id}`."""
    media: str | None
    """How the body is sent: `json`, `multipart` or `None` for no body."""
    body: Schema | None
    query: Schema | None
    response: Schema | None
    """The JSON answered; `None` where the answer is empty or bytes."""
    event: Schema | None
    """One event of the answer where it is streamed."""


class _Table:
    """A file with a member a line, sorted by name."""

    def __init__(self, file: str) -> None:
        self._data = (Path(__file__).parent / file).read_bytes()

    def get(self, name: str) -> bytes | None:
        """The value of a member, as JSON."""
        data, wanted = self._data, name.encode()
        low, high = len(b"{\n"), len(data) - len(b"}\n")
        while low < high:
            middle = (low + high) // 2
            begin, end = data.rfind(b"\n", low - 1, middle) + 1, data.index(b"\n", middle)
            colon = data.index(b'":', begin)
            found = data[begin + 1 : colon]
            if found == wanted:
                return data[colon + 2 : end].rstrip(b",")
            low, high = (end + 1, high) if found < wanted else (low, begin)
        return None

    def __getitem__(self, name: str) -> bytes:
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def names(self) -> list[str]:
        """The names of all members."""
        return [line[1 : line.index(b'":')].decode() for line in self._data.split(b"\n")[1:-2]]


_table = cache(_Table)


@cache
def operation(name: str) -> OperationSchema:
    """The schemas of one operation, such as `chat.completions.create`. Raises `KeyError` for an unknown name."""
    import orjson

    line = _table("operations.json").get(name) or _table("legacy.json")[name]
    row: dict[str, Any] = orjson.loads(line)
    return OperationSchema(
        name,
        row["http"],
        row["path"],
        row.get("media"),
        row.get("body"),
        row.get("query"),
        row.get("response"),
        row.get("event"),
    )


class _Operations(Mapping[str, OperationSchema]):
    def __getitem__(self, name: str) -> OperationSchema:
        return operation(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_table("operations.json").names())

    def __len__(self) -> int:
        return len(_table("operations.json").names())


def operations() -> Mapping[str, OperationSchema]:
    """Every operation by name, each decoded when it is read."""
    return _Operations()


@cache
def events(connection: str) -> dict[str, Schema]:
    """What a websocket can be sent, by the type of the event. Raises `KeyError` for an unknown connection."""
    import orjson

    table: dict[str, Schema] = orjson.loads(_table("events.json")[connection])
    return table


@cache
def definition(name: str) -> Schema:
    """One named schema. Raises `KeyError` for an unknown name."""
    import orjson

    schema: Schema = orjson.loads(_table("definitions.json")[name])
    return schema


def resolve(reference: str) -> Schema:
    """The schema a `$ref` of these tables points to. Raises `KeyError` for a reference to nothing."""
    return definition(reference.removeprefix(_REFERENCE))


def standalone(schema: Schema) -> Schema:
    """A copy of a schema together with the definitions it reaches, under `$defs`."""
    needed: dict[str, Schema] = {}
    queue: list[Any] = [schema]
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str):
                name = reference.removeprefix(_REFERENCE)
                if name not in needed:
                    needed[name] = definition(name)
                    queue.append(needed[name])
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)
    return {**schema, "$defs": dict(sorted(needed.items()))}
