"""Where in the text of a TOML or JSON file a key stands, so that an error can say it."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ("line_in_json", "line_in_toml")

Path = Sequence[str]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')
_TABLE = re.compile(r"\s*\[+\s*(.+?)\s*\]+\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_NAME = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)")


def line_in_toml(text: str, path: Path) -> int | None:
    """The line of the key, else that of the nearest table around it; `None` where there is neither."""
    table: list[str] = []
    found: dict[int, int] = {}
    wanted = list(path)
    for number, line in enumerate(text.splitlines(), 1):
        header = _TABLE.match(line)
        key = None if header else _KEY.match(line)
        if header:
            here = table = _names(header[1])
        elif key:
            here = [*table, *_names(key[1])]
        else:
            continue
        common = len(here) if here == wanted[: len(here)] else 0
        if not common and key and wanted[: len(here)] == here[: len(wanted)]:
            common = len(wanted)
        if common:
            found.setdefault(common, number)
        if key and len(here) < len(wanted) and here == wanted[: len(here)] and wanted[len(here)] in line:
            found.setdefault(len(here) + 1, number)  # inside an inline table
    return found[max(found)] if found else None


def _names(dotted: str) -> list[str]:
    return [a or b or c for a, b, c in _NAME.findall(dotted)]


def line_in_json(text: str, path: Path) -> int | None:
    """The line of the key, else that of the nearest object around it; `None` where there is neither."""
    from json import loads

    wanted = list(path)
    way: list[str | None] = []  # the key of each object and list we are in
    key: str | None = None
    last: tuple[str, int] | None = None
    found: dict[int, int] = {}
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "{[":
            way.append(key)
            key = None
        elif sign in "}]":
            if way:
                way.pop()
            key = None
        elif sign == ":" and last is not None:
            key = last[0]
            here = [*(each for each in way[1:] if each is not None), key]
            if here == wanted[: len(here)]:
                found.setdefault(len(here), last[1])
        elif sign == ",":
            key = None
        elif sign[0] == '"':
            try:
                last = (loads(sign), text.count("\n", 0, token.start()) + 1)
            except ValueError:
                last = None
    return found[max(found)] if found else None
