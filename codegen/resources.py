"""The resources of the official client and the operations in them, read from its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from .overlay import DEPRECATIONS, LOCAL_PARAMETERS
from .source import Module, module, unparse

__all__ = ("Operation", "Resource", "resources")

_VERBS = {"_get": "GET", "_post": "POST", "_delete": "DELETE", "_put": "PUT", "_patch": "PATCH", "_get_api_list": "GET"}
OPTIONS = ("extra_headers", "extra_query", "extra_body", "timeout")


@dataclass
class Operation:
    """One method that makes one request."""

    resource: str
    name: str
    home: Module
    spec: ast.FunctionDef
    overloads: list[ast.FunctionDef]
    method: str
    path: str
    how: dict[str, object] = field(default_factory=dict[str, object])
    """What the decorator says beside the path."""
    paged: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.resource}.{self.name}"


@dataclass
class Resource:
    """One resource: its class, the resources in it and its operations."""

    path: str
    class_name: str
    home: Module
    children: dict[str, str] = field(default_factory=dict[str, str])
    """Property name to the path of the resource it gives; an alias gives that of the original."""
    operations: list[Operation] = field(default_factory=list["Operation"])
    helpers: list[str] = field(default_factory=list[str])
    """Methods that make no request of their own."""


@cache
def resources() -> dict[str, Resource]:
    """Every resource by its path; the empty path is the client itself."""
    client = module("openai._client")
    node = client.definitions["OpenAI"]
    assert isinstance(node, ast.ClassDef)
    found: dict[str, Resource] = {"": Resource("", "API", client)}
    seen: dict[tuple[str, str], str] = {}
    _children(found[""], client, node, found, seen)
    return found


def _children(
    parent: Resource, home: Module, node: ast.ClassDef, found: dict[str, Resource], seen: dict[tuple[str, str], str]
) -> None:
    for each in node.body:
        if (
            not isinstance(each, ast.FunctionDef)
            or each.name.startswith("with_")
            or "cached_property" not in _decorators(each)
        ):
            continue
        last = each.body[-1]
        assert isinstance(last, ast.Return)
        assert isinstance(last.value, ast.Call)
        target = home.resolve(last.value.func)
        assert target is not None, unparse(each)
        assert isinstance(target[1], ast.ClassDef), unparse(each)
        where = (target[0].dotted, target[1].name)
        path = f"{parent.path}.{each.name}".lstrip(".")
        parent.children[each.name] = seen.setdefault(where, path)
        if seen[where] == path:
            _resource(path, target[0], target[1], found, seen)


def _resource(
    path: str, home: Module, node: ast.ClassDef, found: dict[str, Resource], seen: dict[tuple[str, str], str]
) -> None:
    resource = found[path] = Resource(path, node.name, home)
    for owner, definition in _lineage(home, node):
        _children(resource, owner, definition, found, seen)
        methods: dict[str, list[ast.FunctionDef]] = {}
        for each in definition.body:
            if isinstance(each, ast.FunctionDef) and not {"cached_property", "property"} & set(_decorators(each)):
                methods.setdefault(each.name, []).append(each)
        for name, functions in methods.items():
            known = [operation.name for operation in resource.operations] + resource.helpers
            if name.startswith("_") or name in known:
                continue
            operation = _operation(path, name, owner, functions)
            if operation is None:
                resource.helpers.append(name)
            else:
                resource.operations.append(operation)


def _lineage(home: Module, node: ast.ClassDef) -> Iterator[tuple[Module, ast.ClassDef]]:
    """A class and the bases that are not the root of all resources."""
    yield home, node
    for base in node.bases:
        target = home.resolve(base)
        if target is not None and isinstance(target[1], ast.ClassDef) and not target[1].name.endswith("APIResource"):
            yield from _lineage(target[0], target[1])


def _decorators(node: ast.FunctionDef) -> list[str]:
    return [
        unparse(each.func if isinstance(each, ast.Call) else each).rpartition(".")[2] for each in node.decorator_list
    ]


def _operation(path: str, name: str, home: Module, functions: list[ast.FunctionDef]) -> Operation | None:
    overloads = [each for each in functions if "overload" in _decorators(each)]
    spec = next(each for each in reversed(functions) if each not in overloads)
    call = next((each for each in ast.walk(spec) if isinstance(each, ast.Call) and _verb(each)), None)
    if call is None:
        return None
    keywords = {each.arg: each.value for each in call.keywords if each.arg}
    method = _VERBS[_verb(call)]
    if isinstance(keywords.get("method"), ast.Constant):
        method = ast.literal_eval(keywords["method"]).upper()
    operation = Operation(path, name, home, spec, overloads, method, _address(call.args[0]), paged="page" in keywords)
    assert method in ("GET", "POST", "DELETE"), operation
    _describe(operation, keywords)
    return operation


def _verb(call: ast.Call) -> str:
    function = call.func
    is_self = isinstance(function, ast.Attribute) and unparse(function.value) == "self" and function.attr in _VERBS
    return function.attr if is_self and isinstance(function, ast.Attribute) else ""


def _address(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    assert isinstance(node, ast.Call), unparse(node)
    assert unparse(node.func) == "path_template", unparse(node)
    assert all(each.arg == unparse(each.value) for each in node.keywords), unparse(node)
    return str(ast.literal_eval(node.args[0]))


def _describe(operation: Operation, keywords: dict[str, ast.expr]) -> None:
    """Fill in `how`."""
    how = operation.how
    spec = operation.spec
    options = keywords.get("options")
    chosen = {each.arg: each.value for each in options.keywords} if isinstance(options, ast.Call) else {}
    stream = keywords.get("stream_cls")
    if stream is not None:
        match = re.search(r"\[([\w.]+)\]", unparse(stream))
        how["events"] = match.group(1) if match else "AgentSessionEvent"
    if isinstance(keywords.get("stream"), ast.Constant) and ast.literal_eval(keywords["stream"]) is True:
        how["streams"] = True
    names = {argument.arg for argument in spec.args.args + spec.args.kwonlyargs}
    headers, fixed = _headers(spec, names)
    if operation.method == "POST" and "query" in chosen:
        how["query"] = tuple(sorted(name for name in _keys(chosen["query"]) if name in names))
    if headers:
        how["headers"] = headers
    content_type = fixed.pop("Content-Type", "")
    if fixed:
        how["fixed_headers"] = fixed
    if files := _files(spec):
        how["files"] = files
    if content_type.startswith("multipart") or "files" in keywords:
        how["form"] = True
    if any(isinstance(each, ast.If) and unparse(each.test) in ("files", "extracted_files") for each in ast.walk(spec)):
        how["json_without_files"] = True
    for each in ast.walk(spec):
        if isinstance(each, ast.Call) and unparse(each.func) == "encode_multipart":
            parts = ast.literal_eval(each.args[2])
            how["form"] = True
            how["parts"] = {name: content for name, (content, _) in parts.items()}
            how["alone"] = ast.literal_eval(each.args[3])
    security = chosen.get("security")
    if security is not None and "admin_api_key_auth" in unparse(security):
        how["admin"] = True
    if local := tuple(each.arg for each, _, _ in parameters(spec) if each.arg in LOCAL_PARAMETERS):
        how["local"] = local
    if renames := dict(_renames(operation)):
        how["rename"] = renames
    if "deprecated" in _decorators(spec) or any("deprecated" in _decorators(each) for each in operation.overloads):
        name = operation.full_name
        why = [reason for start, reason in DEPRECATIONS.items() if name == start or name.startswith(f"{start}.")]
        assert why, f"{name} is deprecated and codegen/overlay.py does not say why"
        how["deprecated"] = why[0]


def _renames(operation: Operation) -> Iterator[tuple[str, str]]:
    """Keys inside a body that Python cannot spell as the API does: the way to each, and its name in the API."""
    for argument, _, _ in parameters(operation.spec):
        if argument.annotation is not None and argument.arg not in LOCAL_PARAMETERS:
            yield from _aliases(operation.home, argument.annotation, argument.arg, frozenset())


def _aliases(home: Module, node: ast.expr, way: str, above: frozenset[str]) -> Iterator[tuple[str, str]]:
    for each in ast.walk(node):
        found = home.resolve(each) if isinstance(each, (ast.Name, ast.Attribute)) else None
        if found is None:
            continue
        owner, definition = found
        if isinstance(definition, (ast.Assign, ast.AnnAssign)) and definition.value is not None:
            yield from _aliases(owner, definition.value, way, above)
        if not isinstance(definition, ast.ClassDef) or definition.name in above:
            continue
        for key in definition.body:
            if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name):
                inner = f"{way}.{key.target.id}"
                if alias := re.search(r"PropertyInfo\(alias='([^']+)'\)", unparse(key.annotation)):
                    yield inner, alias.group(1)
                yield from _aliases(owner, key.annotation, inner, above | {definition.name})


def _headers(spec: ast.FunctionDef, names: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Headers that a parameter fills, by parameter, and those that are always the same."""
    filled: dict[str, str] = {}
    fixed: dict[str, str] = {}
    for each in ast.walk(spec):
        if not isinstance(each, ast.Assign) or unparse(each.targets[0]) != "extra_headers":
            continue
        for part in ast.walk(each.value):
            if not isinstance(part, ast.Dict):
                continue
            for key, value in zip(part.keys, part.values, strict=True):
                if not isinstance(key, ast.Constant):
                    continue
                if isinstance(value, ast.Constant):
                    fixed[str(key.value)] = str(value.value)
                    continue
                mentioned = {inner.id for inner in ast.walk(value) if isinstance(inner, ast.Name)} & names
                for name in mentioned - set(OPTIONS):
                    filled[name] = str(key.value)
                if not mentioned and str(key.value) == "Content-Type":
                    fixed["Content-Type"] = "multipart/form-data"
    return filled, fixed


def _keys(node: ast.expr) -> list[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Dict):
            return [str(key.value) for key in each.keys if isinstance(key, ast.Constant)]
    return []


def _files(spec: ast.FunctionDef) -> tuple[str, ...]:
    for each in ast.walk(spec):
        if isinstance(each, ast.Call) and unparse(each.func) == "extract_files":
            paths = next(ast.literal_eval(keyword.value) for keyword in each.keywords if keyword.arg == "paths")
            return tuple(dict.fromkeys(path[0] for path in paths))
    return ()


def parameters(spec: ast.FunctionDef) -> Iterator[tuple[ast.arg, bool, bool]]:
    """A method's own parameters: the argument, whether it is positional, whether it must be given."""
    arguments = spec.args
    first_default = len(arguments.args) - len(arguments.defaults)
    for index, argument in enumerate(arguments.args[1:], 1):
        yield argument, True, index < first_default
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if argument.arg not in OPTIONS:
            yield argument, False, default is None
