"""`[get_weather(city="Paris"), now()]`: Llama 3.2 and 4, and others that call tools as Python does."""

from __future__ import annotations

import ast
from typing import Any, ClassVar

from . import MORE, Called, Parser, Read

__all__ = ("Pythonic",)

_START, _END = "<|python_start|>", "<|python_end|>"
_QUOTES = "'\""


class Pythonic(Parser):
    """A list of calls at the beginning of an answer, with literal arguments and known tools."""

    key: ClassVar[str] = "pythonic"
    marks: ClassVar[tuple[str, ...]] = (_START,)
    leads: ClassVar[str] = "["
    special: ClassVar[bool] = True

    def read(self, text: str, *, last: bool) -> Read | None:
        at = len(_START) if text.startswith(_START) else 0
        if at >= len(text):
            return MORE
        if text[at] != "[":
            return None
        end = _end_of(text, at)
        if end is None:
            return MORE
        calls = self._calls(text[at:end])
        if calls is None:
            return None
        if at:
            if text.startswith(_END, end):
                end += len(_END)
            elif not last and _END.startswith(text[end:]):
                return MORE
        return Read(calls, end)

    def _calls(self, text: str) -> list[Called] | None:
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        if not isinstance(tree, ast.List) or not tree.elts:
            return None
        calls: list[Called] = []
        for node in tree.elts:
            if not isinstance(node, ast.Call) or node.args:
                return None
            name = ast.unparse(node.func)
            if name not in self.tools or any(each.arg is None for each in node.keywords):
                return None
            try:
                arguments = {str(each.arg): _value(each.value) for each in node.keywords}
            except ValueError:
                return None
            calls.append(Called(name, arguments))
        return calls


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):  # JSON's own words for them
        words: dict[str, Any] = {"true": True, "false": False, "null": None}
        if node.id in words:
            return words[node.id]
    if isinstance(node, ast.Dict):
        return {str(ast.literal_eval(key)): _value(value) for key, value in zip(node.keys, node.values) if key}  # noqa: B905
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(each) for each in node.elts]
    value = ast.literal_eval(node)
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    raise ValueError(node)


def _end_of(text: str, start: int) -> int | None:
    """Where the brackets that open at `start` close."""
    depth, at, size = 0, start, len(text)
    while at < size:
        letter = text[at]
        if letter in _QUOTES:
            at += 1
            while at < size and text[at] != letter:
                at += 2 if text[at] == "\\" else 1
        elif letter in "[({":
            depth += 1
        elif letter in "])}":
            depth -= 1
            if depth <= 0:
                return at + 1
        at += 1
    return None
