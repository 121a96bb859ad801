"""Where in a TOML file each key stands, so that whatever is wrong with it can be told with its line."""

from __future__ import annotations

import re
from typing import TypeAlias

__all__ = ("Way", "toml_lines")

Way: TypeAlias = "tuple[str | int, ...]"
"""The way to a value: keys of tables, and places in arrays."""

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_NAME = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'|([A-Za-z0-9_-]+)")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_TEXT = re.compile(
    r"""
    \"{3} (?: [^\\] | \\. )*? \"{3,5}       # several lines
    | '{3} .*? '{3,5}
    | \" (?: [^\"\\\n] | \\. )* \"           # one
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
_PLAIN = re.compile(r"[^,\]}\n#]+")


def toml_lines(text: str) -> dict[Way, int]:
    """The line of every key, table and item, counted from 1. The text is valid TOML."""
    return _Scanner(text).found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.line = 1
        self.found: dict[Way, int] = {}
        self.arrays: dict[Way, int] = {}
        """How many tables an array of tables has so far."""
        table: Way = ()
        while self.blank() < len(self.text):
            table = self.header() if self.text[self.at] == "[" else self.pair(table)

    def go(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def blank(self) -> int:
        skipped = _BLANK.match(self.text, self.at)
        assert skipped is not None
        self.go(skipped.end())
        return self.at

    def note(self, way: Way) -> None:
        self.found.setdefault(way, self.line)

    def names(self) -> list[str]:
        self.blank()
        names: list[str] = []
        while (name := _NAME.match(self.text, self.at)) is not None:
            quoted, literal, bare = name.groups()
            names.append(_unescaped(quoted) if quoted is not None else literal if literal is not None else bare)
            self.at = name.end()
            dot = _DOT.match(self.text, self.at)
            if dot is None:
                break
            self.at = dot.end()
        return names

    def header(self) -> Way:
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        way: Way = ()
        names = self.names()
        for place, name in enumerate(names, 1):
            way = (*way, name)
            if double and place == len(names):
                self.arrays[way] = self.arrays.get(way, 0) + 1
            self.note(way)
            if way in self.arrays:
                way = (*way, self.arrays[way] - 1)
                self.note(way)
        self.go(self.text.index("]" * (2 if double else 1), self.at) + (2 if double else 1))
        return way

    def pair(self, table: Way) -> Way:
        way = table
        for name in self.names():
            way = (*way, name)
            self.note(way)
        self.go(self.text.index("=", self.at) + 1)
        self.value(way)
        return table

    def value(self, way: Way) -> None:
        self.blank()
        opening = self.text[self.at]
        if opening == "[":
            self.at += 1
            place = 0
            while self.text[self.blank()] != "]":
                self.note((*way, place))
                self.value((*way, place))
                place += 1
                self.comma()
            self.at += 1
        elif opening == "{":
            self.at += 1
            while self.text[self.blank()] != "}":
                self.pair(way)
                self.comma()
            self.at += 1
        else:
            simple = _TEXT.match(self.text, self.at) or _PLAIN.match(self.text, self.at)
            assert simple is not None
            self.go(simple.end())

    def comma(self) -> None:
        if self.text[self.blank()] == ",":
            self.at += 1


def _unescaped(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted
    import tomllib

    value: str = tomllib.loads(f'k = "{quoted}"')["k"]
    return value
