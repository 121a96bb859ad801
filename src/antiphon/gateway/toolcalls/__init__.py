"""Calls of tools, read out of the text of a model as it comes.

How a call is written depends on what a model was taught: a file each, found by its key. However the text is split, the
same pieces come of it; what only looks like a call stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import orjson

from ...server.turns import ToolArguments, ToolCall

if TYPE_CHECKING:
    from ...server.engine import Tool
    from ...server.turns import Piece

__all__ = ("MORE", "Called", "Parser", "Read", "parser", "parsers")


class Called(NamedTuple):
    """A call as it was written."""

    name: str
    arguments: Any
    """The object of the arguments, or its JSON."""
    id: str | None = None


class Read(NamedTuple):
    """What was read at the beginning of a text: calls, and how many characters they took."""

    calls: Sequence[Called]
    used: int


MORE: Final = Read((), -1)
"""What comes next is needed to tell."""
_SELDOM: Final = 64
"""A call is looked at again when it has grown by one part in so many."""
_MISTAKES: Final = 16
"""So often is something in an answer taken for a call that is none; what else looks like one is text."""


class Parser:
    """Reads one answer. A subclass has its `key`, the `marks` that begin calls, and `read`."""

    key: ClassVar[str]
    marks: ClassVar[tuple[str, ...]] = ()
    leads: ClassVar[str] = ""
    """Characters that begin calls where they are the first of the answer: text that has no mark."""
    special: ClassVar[bool] = False
    """Whether marks are tokens of their own, which servers leave out of texts unless they are told otherwise."""

    def __init__(self, tools: Sequence[Tool] = ()) -> None:
        self.tools: Mapping[str, Tool] = {tool.name: tool for tool in tools}
        self._text = ""
        self._calling = False
        self._leading = True
        """Whether nothing has been said yet, or nothing since the last call."""
        self._called = False
        self._before = ""
        """What stands before the mark that is being looked at, and goes with a call."""
        self._due = 0
        """How long the text has to be before it is looked at again."""
        self._mistaken = 0
        """How often what began like a call was none."""

    def read(self, text: str, *, last: bool) -> Read | None:
        """The calls at the beginning of a text, which begins with a mark; `MORE`, or `None` where there are none.

        With `last` nothing more will come, and `MORE` is no answer.
        """
        raise NotImplementedError

    def feed(self, text: str) -> list[Piece]:
        """What a piece of the text adds."""
        self._text += text
        if self._calling and (len(self._text) < self._due or not any(each in text for each in "}])>")):
            return []  # nothing that ends a call
        return self._pieces(last=False)

    def end(self) -> list[Piece]:
        """What is left when the text has ended."""
        pieces = self._pieces(last=True)
        rest, self._text = self._text, ""
        if rest and not (self._called and rest.isspace()):
            pieces.append(rest)
        return pieces

    def _pieces(self, *, last: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while self._text and (self._read(pieces, last=last) if self._calling else self._said(pieces)):
            pass
        return pieces

    def _read(self, pieces: list[Piece], *, last: bool) -> bool:
        """Read calls. Whether there is something left to be done."""
        found = self.read(self._text, last=last)
        if found is MORE and not last:
            # A call is read from its beginning each time: of a long one not with every bracket that comes.
            self._due = len(self._text) + len(self._text) // _SELDOM
            return False
        self._calling = False
        self._due = 0
        if found is None or found is MORE:  # it was none: its first character is text, and what follows is looked at
            self._leading = False
            self._mistaken += 1
            pieces.append(self._before + self._text[0])
            self._text = self._text[1:]
            return True
        self._called = self._leading = True
        for call in found.calls:
            pieces += self._told(call)
        self._text = self._text[found.used :]
        return True

    def _said(self, pieces: list[Piece]) -> bool:
        """Say what is no call. Whether there is something left to be done."""
        text = self._text
        if self._leading:
            rest = text.lstrip("; ,\n\r\t" if self._called and self.leads else None)
            if not rest:
                return False  # what follows decides
            before = text[: len(text) - len(rest)]
            if self._called:
                before = before.lstrip()
            if rest[0] in self.leads:
                self._before, self._text, self._calling = before, rest, True
                return True
            text = self._text = before + rest
        marks = self.marks if self._mistaken < _MISTAKES else ()
        at = min((place for mark in marks if (place := text.find(mark)) >= 0), default=-1)
        if at >= 0:
            said = text[:at].rstrip()
            if said:
                self._leading = False
                pieces.append(said)
            self._before, self._text, self._calling = text[len(said) : at], text[at:], True
            return True
        held = self._held(text)
        if held < len(text):
            self._leading = False
            pieces.append(text[: len(text) - held])
            self._text = text[len(text) - held :]
        return False

    def _held(self, text: str) -> int:
        """How many characters of the end may belong to a call: the beginning of a mark, and white space before it."""
        held = 0
        for mark in self.marks:
            for size in range(min(len(mark) - 1, len(text)), held, -1):
                if mark.startswith(text[-size:]):
                    held = size
                    break
        before = text[: len(text) - held]
        return held + len(before) - len(before.rstrip())

    def _told(self, call: Called) -> list[Piece]:
        tool = self.tools.get(call.name)
        custom = tool is not None and tool.custom
        arguments = call.arguments
        if custom and isinstance(arguments, dict):
            arguments = next((value for value in arguments.values() if isinstance(value, str)), arguments)
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, str):
            arguments = orjson.dumps(arguments).decode()
        return [ToolCall(call.id, call.name, custom), ToolArguments(arguments)]


@cache
def parsers() -> dict[str, type[Parser]]:
    """Every parser by its key."""
    found: dict[str, type[Parser]] = {}
    for module in iter_modules(__path__):
        if not module.name.startswith("_"):
            for value in vars(import_module(f".{module.name}", __name__)).values():
                if isinstance(value, type) and issubclass(value, Parser) and "key" in vars(value):
                    found[value.key] = value
    return found


def parser(key: str) -> Callable[[Sequence[Tool]], Parser]:
    """The parser of a key. Raises `ValueError`, which lists those there are."""
    known = parsers()
    if key not in known:
        raise ValueError(f"there is no parser of tool calls {key!r}; there are {', '.join(sorted(known))}")
    return known[key]
