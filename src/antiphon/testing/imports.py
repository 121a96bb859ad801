"""Modules seen to when they are imported: a finder that lets the others find, and tells when a module is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ("Imports",)


class Imports(MetaPathFinder):
    """Calls `told(name, module)` when a module with one of these names has been executed, between begin and end."""

    def __init__(self, names: Container[str], told: Callable[[str, ModuleType], None]) -> None:
        self._names = names
        self._told: Callable[[str, ModuleType], None] | None = told

    def begin(self) -> None:
        sys.meta_path.insert(0, self)

    def end(self) -> None:
        self._told = None
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._names:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, Imports) and finder is self:
                continue
            find: Any = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Telling(spec.loader, self)
                return spec
        return None

    def tell(self, name: str, module: ModuleType) -> None:
        if self._told is not None:
            self._told(name, module)


class _Telling(Loader):
    """A loader that executes a module as another does, puts that one back in its place, and tells."""

    def __init__(self, loader: Any, imports: Imports) -> None:
        self._loader = loader
        self._imports = imports

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._imports.tell(module.__name__, module)
