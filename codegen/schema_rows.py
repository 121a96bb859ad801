"""What the schemas need to know of every operation, read from its method in the official package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .resources import Operation, parameters, resources
from .source import unparse

__all__ = ("Parameter", "Row", "rows")

_REQUESTS = ("_get", "_post", "_delete", "_put", "_patch", "_get_api_list")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a request: its name, its annotation and whether it must be given."""

    name: str
    annotation: str
    required: bool


@dataclass(frozen=True)
class Row:
    """One operation. Types are written as in the module they come from."""

    name: str
    module: str
    method: str
    path: str
    media: str | None
    """How the body is sent: `json`, `multipart` or `None` for no body."""
    body: tuple[Parameter, ...]
    query: tuple[Parameter, ...]
    body_types: tuple[str, ...]
    query_types: tuple[str, ...]
    response: str | None
    """The type of the answer; of a page, that of an item; `None` for bytes or nothing."""
    page: str | None
    """The class of the page, without `Sync`."""
    event: str | None


def rows() -> list[Row]:
    """Every operation, aliases left out, in the order of their names."""
    found = [_row(operation) for resource in resources().values() for operation in resource.operations]
    return sorted(found, key=lambda row: row.name)


def _row(operation: Operation) -> Row:
    spec, how = operation.spec, operation.how
    call = next(each for each in ast.walk(spec) if isinstance(each, ast.Call) and _requests(each))
    keywords = {each.arg: each.value for each in call.keywords if each.arg}
    path = operation.path.partition("?")[0]
    headers = how.get("headers", {})
    assert isinstance(headers, dict)
    placed = {*re.findall(r"\{(\w+)\}", path), *headers}
    own = [
        Parameter(argument.arg, _annotation(argument), required)
        for argument, _, required in parameters(spec)
        if argument.arg not in placed
    ]
    named = how.get("query", ())
    assert isinstance(named, tuple)
    in_query = operation.method != "POST"
    query = tuple(each for each in own if in_query or each.name in named)
    body = tuple(each for each in own if each not in query)
    options = keywords.get("options")
    apart = set(ast.walk(options)) if options is not None else set[ast.AST]()
    query_types = tuple(_transformed(apart))
    body_types = tuple(_transformed(node for node in ast.walk(spec) if node not in apart))
    media = None if not body else "multipart" if how.get("form") else "json"
    page = keywords.get("page")
    answer = keywords["model" if page is not None else "cast_to"]
    events = how.get("events")
    return Row(
        operation.full_name,
        operation.home.dotted,
        operation.method,
        path,
        media,
        body,
        query,
        body_types if body else (),
        query_types if query else (),
        _answer(answer),
        unparse(page).partition("[")[0].removeprefix("Sync") if page is not None else None,
        str(events) if events and not _helper_only(operation) else None,
    )


def _requests(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and unparse(call.func.value) == "self" and call.func.attr in _REQUESTS


def _annotation(argument: ast.arg) -> str:
    assert argument.annotation is not None, argument.arg
    return re.sub(r"\s*\|\s*(Omit|NotGiven)\b", "", unparse(argument.annotation))


def _transformed(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The types that `maybe_transform` is given, each once."""
    seen: set[str] = set()
    for each in nodes:
        if not (isinstance(each, ast.Call) and unparse(each.func) == "maybe_transform"):
            continue
        kind = each.args[1]
        for choice in (kind.body, kind.orelse) if isinstance(kind, ast.IfExp) else (kind,):
            if (text := unparse(choice)) not in seen:
                seen.add(text)
                yield text


def _answer(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and unparse(node.func) == "cast":
        node = node.args[1]
    text = unparse(node)
    return None if text == "NoneType" or text.endswith("HttpxBinaryResponseContent") else text


def _helper_only(operation: Operation) -> bool:
    """Whether the events are those of another operation, which a helper opens beside this one."""
    return operation.full_name == "beta.agents.sessions.create"
