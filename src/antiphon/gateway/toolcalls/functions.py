"""`<function=name>{…}</function>`, and the same with a `<parameter=name>` for each argument."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from . import MORE, Called, Parser, Read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...server.engine import Tool

__all__ = ("Functions", "function_in")

_OPEN = re.compile(r"<function=([^>\s]+)>")
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>(.*?)</parameter>", re.DOTALL)
_CLOSE = "</function>"


def function_in(text: str, tools: Mapping[str, Tool]) -> Read | None:
    """The call at the beginning of a text that begins with `<function=`."""
    end = text.find(_CLOSE)
    if end < 0:
        return MORE
    opened = _OPEN.match(text)
    if opened is None:
        return None
    name, inner = opened.group(1), text[opened.end() : end].strip()
    used = end + len(_CLOSE)
    found = _PARAMETER.findall(inner)
    if found:
        tool = tools.get(name)
        schema: Any = {} if tool is None or tool.parameters is None else tool.parameters
        properties: Mapping[str, Any] = schema.get("properties") or {}
        arguments = {key: _value(value.strip("\n"), properties.get(key) or {}) for key, value in found}
        return Read((Called(name, arguments),), used)
    try:
        value: Any = orjson.loads(inner or "{}")
    except orjson.JSONDecodeError:
        return None
    return Read((Called(name, value),), used) if isinstance(value, dict) else None


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    """An argument that was written as text: text where the schema wants that, and otherwise JSON, if it is some."""
    if schema.get("type") == "string":
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


class Functions(Parser):
    """A call is an element that has the name of the function."""

    key: ClassVar[str] = "functions"
    marks: ClassVar[tuple[str, ...]] = ("<function=",)

    def read(self, text: str, *, last: bool) -> Read | None:
        return function_in(text, self.tools)
