"""Names that are imported when they are first asked for (PEP 562), and annotations evaluated when first read.

A module of types or operations imports what it mentions under `TYPE_CHECKING` only, so loading one costs no
other. `lazily` gives it the module-level `__getattr__` that finds those names at run time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ("Stated", "evaluate", "lazily")


def lazily(
    module: str, where: Mapping[str, str], aliases: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A module's `__getattr__` and `__dir__` for names that live elsewhere.

    `where` maps a name to the module it comes from (relative to `module`'s package; a trailing `:name` imports
    it under another name, a trailing `:` imports the module itself). `aliases` maps the name of a type alias to
    the expression it stands for.
    """
    names = aliases or {}

    def __getattr__(name: str) -> Any:
        home = where.get(name)
        if home is not None:
            path, colon, original = home.partition(":")
            found = import_module(path, sys.modules[module].__package__)
            value = found if colon and not original else getattr(found, original or name)
        elif name in names:
            value = evaluate(names[name], module)
        else:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        setattr(sys.modules[module], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[module]), *where, *names})

    return __getattr__, __dir__


class _Scope(dict[str, Any]):
    """Names as the module sees them, then those of `typing`."""

    def __init__(self, module: str) -> None:
        super().__init__()
        self.module = sys.modules[module]

    def __missing__(self, name: str) -> Any:
        try:
            return getattr(self.module, name)
        except AttributeError:
            pass
        import builtins
        import typing

        for home in (builtins, typing):
            if hasattr(home, name):
                return getattr(home, name)
        raise NameError(f"{name!r} is not defined in {self.module.__name__}")


class Stated(str):
    """The text of an annotation that was a type already."""

    __slots__ = ("type",)
    type: Any

    @classmethod
    def of(cls, annotation: Any) -> str:
        """An annotation as text, whatever it is."""
        if isinstance(annotation, str):
            return annotation
        text = annotation.__name__ if type(annotation) is type else repr(annotation).replace("typing.", "")
        if type(None) in getattr(annotation, "__args__", ()) and not text.endswith("| None"):
            text += " | None"
        stated = cls(text)
        stated.type = annotation
        return stated


def evaluate(annotation: str, module: str) -> Any:
    """The type an annotation of `module` stands for, importing what it mentions."""
    if isinstance(annotation, Stated):
        return annotation.type
    return eval(annotation, {}, _Scope(module))  # noqa: S307 (annotations of our own classes and of subclasses)
