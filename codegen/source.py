"""The official package as syntax trees: its modules, and what a name in one of them stands for.

Nothing of the package is imported, only its source is read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

__all__ = ("PACKAGE", "Module", "Ref", "module", "modules", "unparse")

PACKAGE = "openai"


@dataclass(frozen=True)
class Ref:
    """Something a name stands for: `name` of `module`, or the module itself where `name` is empty."""

    module: str
    name: str


@cache
def _root() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None, f"{PACKAGE} is not installed"
    assert spec.origin is not None, f"{PACKAGE} is not installed"
    return Path(spec.origin).parent


def _path(dotted: str) -> Path | None:
    base = _root().joinpath(*dotted.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.exists():
            return path
    return None


@cache
def module(dotted: str) -> Module:
    """The module of a dotted name below `openai`."""
    path = _path(dotted)
    if path is None:
        raise LookupError(dotted)
    return Module(dotted, path)


def modules(under: str) -> Iterator[Module]:
    """Every module below a package, in the order of their names."""
    base = _root().joinpath(*under.split(".")[1:])
    for path in sorted(base.rglob("*.py")):
        parts = path.relative_to(_root()).with_suffix("").parts
        yield module(".".join((PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts))))


class Module:
    """One source file."""

    def __init__(self, dotted: str, path: Path) -> None:
        self.dotted = dotted
        self.path = path
        self.is_package = path.name == "__init__.py"
        self.tree = ast.parse(path.read_text())

    def __repr__(self) -> str:
        return f"<{self.dotted}>"

    @property
    def package(self) -> str:
        return self.dotted if self.is_package else self.dotted.rpartition(".")[0]

    @property
    def in_requests(self) -> bool:
        """Whether the module describes what requests carry, by the naming the package keeps to."""
        return self.dotted.endswith(("_param", "_params")) or ".shared_params" in self.dotted

    @cached_property
    def imports(self) -> dict[str, Ref]:
        """What the module imports from its own package: local name to what it is."""
        found: dict[str, Ref] = {}
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            if node.level:
                parts = self.package.split(".")
                home = ".".join(parts[: len(parts) - node.level + 1] + ([node.module] if node.module else []))
            else:
                home = node.module or ""
            if home.partition(".")[0] != PACKAGE:
                continue
            for alias in node.names:
                is_module = alias.name.islower() and _path(f"{home}.{alias.name}") is not None
                ref = Ref(f"{home}.{alias.name}", "") if is_module else Ref(home, alias.name)
                found[alias.asname or alias.name] = ref
        return found

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        """Classes, functions and assignments of the module, in order."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found[node.name] = node
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node
        return found

    @cached_property
    def exported(self) -> list[str] | None:
        """`__all__`, where the module has one."""
        node = self.definitions.get("__all__")
        return list(ast.literal_eval(node.value)) if isinstance(node, ast.Assign) else None

    def lookup(self, name: str) -> tuple[Module, ast.stmt] | None:
        """The definition a name of this module leads to, through every import, or `None` for names from elsewhere."""
        if name in self.definitions:
            return self, self.definitions[name]
        ref = self.imports.get(name)
        if ref is None or not ref.name or _path(ref.module) is None:
            return None
        return module(ref.module).lookup(ref.name)

    def origin(self, name: str) -> Ref:
        """Where an imported name is defined."""
        ref = self.imports[name]
        found = self.lookup(name) if ref.name else None
        if found is None:
            return ref
        home, definition = found
        return Ref(home.dotted, next(key for key, value in home.definitions.items() if value is definition))

    def resolve(self, node: ast.expr) -> tuple[Module, ast.stmt] | None:
        """`lookup` of an expression: `Name` or `module.Name`."""
        if isinstance(node, ast.Name):
            return self.lookup(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            ref = self.imports.get(node.value.id)
            if ref is not None and not ref.name:
                return module(ref.module).lookup(node.attr)
        if isinstance(node, ast.Subscript):
            return self.resolve(node.value)
        return None

    def kind(self, node: ast.ClassDef) -> str:
        """`view` for a response model, `dict` for a TypedDict, `plain` for any other class."""
        for base in node.bases:
            name = unparse(base).partition("[")[0]
            if name in ("BaseModel", "GenericModel"):
                return "view"
            if name == "TypedDict":
                return "dict"
            found = self.resolve(base)
            if found is None:
                continue
            home, definition = found
            if isinstance(definition, ast.ClassDef):
                return home.kind(definition)
            if isinstance(definition, ast.Assign) and unparse(definition.value).startswith("TypedDict("):
                return "dict"
        return "plain"


def unparse(node: ast.AST) -> str:
    """Source of a node on one line."""
    return " ".join(ast.unparse(node).split())
