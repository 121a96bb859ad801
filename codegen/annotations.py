"""Annotations in the form our modules use: `str | None`, `list[X]`, tags closed, vocabularies of answers open."""

from __future__ import annotations

import ast

from .source import Module, unparse

__all__ = ("Annotations", "closed_literal")

_CONTAINERS = {"List": "list", "Dict": "dict", "Tuple": "tuple", "Type": "type", "SequenceNotStr": "Sequence"}
_NAMES = {"StrictStr": "str", "StrictInt": "int", "StrictFloat": "float", "StrictBool": "bool", "NoneType": "None"}
_LAST = {"None": 1, "Omit": 2, "NotGiven": 3}
_BUILTINS = frozenset(("str", "int", "float", "bool", "bytes", "object", "list", "dict", "tuple", "type"))


def _arguments(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _strip(node: ast.expr) -> ast.expr:
    """The type inside `Annotated` and `Optional`."""
    while (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("Annotated", "Optional")
    ):
        node = _arguments(node)[0]
    return node


def closed_literal(home: Module, node: ast.expr) -> bool:
    """Whether an expression is, possibly by way of an alias, a `Literal` of several values."""
    node = _strip(node)
    if isinstance(node, ast.Subscript) and unparse(node.value) == "Literal":
        return len(_arguments(node)) > 1
    if isinstance(node, (ast.Name, ast.Attribute)):
        found = home.resolve(node)
        if found is not None and isinstance(found[1], (ast.Assign, ast.AnnAssign)) and found[1].value is not None:
            return closed_literal(found[0], found[1].value)
    return False


class Annotations:
    """Renders the annotations of one module and remembers which names they mention."""

    def __init__(self, home: Module) -> None:
        self.home = home
        self.used: set[str] = set()

    def text(self, node: ast.expr, *, open_: bool = False, shadowed: frozenset[str] = frozenset()) -> str:
        """The annotation as text. `open_` adds `str` to closed vocabularies; a class body takes `shadowed`."""
        return " | ".join(self.members(node, open_=open_, shadowed=shadowed))

    def members(self, node: ast.expr, *, open_: bool = False, shadowed: frozenset[str] = frozenset()) -> list[str]:
        """The annotation as the members of a union, those that say nothing last."""
        members = dict.fromkeys(self._flat(node, open_, shadowed))
        return sorted(members, key=lambda member: _LAST.get(member, 0))

    def _flat(self, node: ast.expr, open_: bool, shadowed: frozenset[str]) -> list[str]:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                return self._flat(ast.parse(node.value, mode="eval").body, open_, shadowed)
            return [unparse(node)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._flat(node.left, open_, shadowed) + self._flat(node.right, open_, shadowed)
        if isinstance(node, (ast.Name, ast.Attribute)):
            text = self._name(node, shadowed)
            return [text, "str"] if open_ and closed_literal(self.home, node) else [text]
        if isinstance(node, ast.Subscript):
            return self._subscript(node, open_, shadowed)
        raise TypeError(f"an annotation of {self.home} that codegen does not know: {unparse(node)}")

    def _name(self, node: ast.expr, shadowed: frozenset[str]) -> str:
        text = (
            unparse(node)
            .removeprefix("builtins.")
            .removeprefix("_legacy_response.")
            .replace("httpx2.Timeout", "Timeout")
        )
        text = _NAMES.get(text, text)
        if text in _BUILTINS and text in shadowed:
            self.used.add("builtins")
            return f"builtins.{text}"
        if text not in _BUILTINS and text != "None":
            self.used.add(text.partition(".")[0])
        return text

    def _subscript(self, node: ast.Subscript, open_: bool, shadowed: frozenset[str]) -> list[str]:
        name = unparse(node.value)
        arguments = _arguments(node)
        if name in ("Annotated", "Required", "NotRequired"):
            return self._flat(arguments[0], open_, shadowed)
        if name == "Optional":
            return [*self._flat(arguments[0], open_, shadowed), "None"]
        if name == "Union":
            return [member for each in arguments for member in self._flat(each, open_, shadowed)]
        if name == "Literal":
            self.used.add("Literal")
            values = [ast.literal_eval(each) for each in arguments]
            literal = f"Literal[{', '.join(_quoted(value) for value in values)}]"
            wider = sorted({type(value).__name__ for value in values})
            return [literal, *wider] if open_ and len(values) > 1 else [literal]
        container = self._name(ast.Name(_CONTAINERS.get(name, name)), shadowed)
        inside = ", ".join(
            "..." if unparse(each) == "..." else self.text(each, open_=open_, shadowed=shadowed) for each in arguments
        )
        return [f"{container}[{inside}]"]


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
