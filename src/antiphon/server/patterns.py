"""Strings that match a regular expression, of a wanted length where the expression leaves the choice."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from importlib import import_module
from random import Random
from typing import Any

codes: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

__all__ = ("InvalidPattern", "compiled", "matching")

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_PRINTABLE = _LETTERS + _LETTERS.upper() + _DIGITS + " !#$%&()*+,-./:;<=>?@[]^_{|}~'\"\\`"
_UNBOUNDED = int(parser.MAXREPEAT)
_TRIES = 200
_LONGEST_CHECKED = 40
"""The longest string that an expression with lookaround is tried on, unless it has to be longer."""

_TRANSLATED = (
    (re.compile(r"\(\?<([A-Za-z_])"), r"(?P<\1"),
    (re.compile(r"\\p\{(?:L|Letter|Alphabetic)\}"), "[A-Za-z]"),
    (re.compile(r"\\p\{(?:Lu|Uppercase_Letter|Uppercase)\}"), "[A-Z]"),
    (re.compile(r"\\p\{(?:Ll|Lowercase_Letter|Lowercase)\}"), "[a-z]"),
    (re.compile(r"\\p\{(?:N|Nd|Number)\}"), "[0-9]"),
    (re.compile(r"\\p\{(?:P|Punctuation)\}"), "[!,.:;?-]"),
    (re.compile(r"\\p\{(?:Z|Zs)\}"), "[ ]"),
    (re.compile(r"\\u\{([0-9A-Fa-f]{1,4})\}"), r"\\u\1"),
    (re.compile(r"\\d"), "[0-9]"),
)
"""What JSON Schema's dialect (ECMA 262) writes in another way than Python, at least for the texts made here."""


class InvalidPattern(ValueError):
    """An expression that cannot be read."""


@lru_cache(maxsize=512)
def _translated(pattern: str) -> str:
    for expression, replacement in _TRANSLATED:
        if expression.pattern == r"\\d":
            pattern = _digits(pattern)
        else:
            pattern = expression.sub(replacement, pattern)
    return pattern


def _digits(pattern: str) -> str:
    r"""`\d` as the ten ASCII digits, inside and outside of brackets."""
    made: list[str] = []
    bracketed, index = False, 0
    while index < len(pattern):
        char = pattern[index]
        if char == "\\" and index + 1 < len(pattern):
            pair = pattern[index : index + 2]
            made.append(("0-9" if bracketed else "[0-9]") if pair == "\\d" else pair)
            index += 2
            continue
        if char == "[" and not bracketed:
            bracketed = True
            made.append(char)
            index += 1
            if pattern[index : index + 1] == "^":
                made.append("^")
                index += 1
            continue
        if char == "[" or (bracketed and char in "&~|"):
            char = "\\" + char
        elif char == "]":
            bracketed = False
        made.append(char)
        index += 1
    return "".join(made)


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The expression as Python reads it. Raises `InvalidPattern`."""
    try:
        return re.compile(_translated(pattern))
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise InvalidPattern(f"the pattern {pattern!r} cannot be read: {error}") from None


@lru_cache(maxsize=512)
def _parsed(pattern: str) -> tuple[Any, bool, bool, bool]:
    """The parsed expression; whether it is bound to the begin and the end; whether a made string needs a check."""
    compiled(pattern)
    tree = parser.parse(_translated(pattern))
    items = list(tree)
    starts = bool(items) and items[0][0] is codes.AT and items[0][1] in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING)
    ends = bool(items) and items[-1][0] is codes.AT and items[-1][1] in (codes.AT_END, codes.AT_END_STRING)
    inner = items[int(starts) : len(items) - int(ends)]
    return tree, starts, ends, bool(tree.state.groupdict) or _delicate(inner)


def _delicate(items: Any) -> bool:
    for code, value in items:
        if code in (
            codes.AT,
            codes.ASSERT,
            codes.ASSERT_NOT,
            codes.GROUPREF,
            codes.GROUPREF_EXISTS,
            codes.ATOMIC_GROUP,
        ):
            return True
        if code is codes.POSSESSIVE_REPEAT:
            return True
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and _delicate(value[2]):
            return True
        if code is codes.SUBPATTERN and _delicate(value[3]):
            return True
        if code is codes.BRANCH and any(_delicate(branch) for branch in value[1]):
            return True
    return False


def matching(pattern: str, rng: Random, *, least: int = 0, most: int | None = None) -> str | None:
    """A string that the expression is found in, `least` to `most` characters long, or `None` if none was found.

    Raises `InvalidPattern` for an expression that cannot be read.
    """
    tree, starts, ends, delicate = _parsed(pattern)
    expression = compiled(pattern)
    limit = most if most is not None else max(least, 4096)
    spread = 0 if least == 0 else 3
    for attempt in range(_TRIES):
        writer = _Writer(rng, spread, limit)
        try:
            text = writer.sequence(tree)
        except _TooLong:
            spread = 0 if attempt < _TRIES // 2 else spread // 2
            continue
        if len(text) < least and not ends:
            text += "".join(rng.choice(_LETTERS) for _ in range(least - len(text)))
        elif len(text) < least and not starts:
            text = "".join(rng.choice(_LETTERS) for _ in range(least - len(text))) + text
        if len(text) < least:
            spread = spread + least - len(text) if attempt < 8 else rng.randint(0, least + 2)
            continue
        if len(text) > limit:
            spread = max(0, spread - (len(text) - limit)) if attempt < 8 else rng.randint(0, min(limit, 2 * least + 8))
            continue
        if not delicate:
            return text
        if len(text) <= max(_LONGEST_CHECKED, least) and expression.search(text) is not None:
            return text
        spread = rng.choice((0, 1, 2, 4, 8, 12))
    return None


class _TooLong(Exception):
    pass


class _Writer:
    """Writes one string. `spread` is how often a repetition may go beyond what it has to."""

    def __init__(self, rng: Random, spread: int, limit: int) -> None:
        self.rng = rng
        self.left = spread
        self.limit = limit
        self.length = 0
        self.groups: dict[int, str] = {}
        self.wanted: list[str] = []
        """Characters that a lookahead asks for and that something later has to supply."""

    def sequence(self, items: Any) -> str:
        return "".join(self.item(code, value) for code, value in items)

    def item(self, code: Any, value: Any) -> str:
        write = _WRITERS.get(code)
        return write(self, value) if write is not None else ""

    def emit(self, char: str) -> str:
        self.length += 1
        if self.length > self.limit:
            raise _TooLong
        return char

    def one_of(self, allowed: str) -> str:
        for wish in self.wanted:
            if wish in allowed:
                self.wanted.remove(wish)
                return self.emit(wish)
        return self.emit(self.rng.choice(allowed))

    def literal(self, value: int) -> str:
        char = chr(value)
        if char in self.wanted:
            self.wanted.remove(char)
        return self.emit(char)

    def not_literal(self, value: int) -> str:
        return self.one_of(_PRINTABLE.replace(chr(value), ""))

    def any(self, value: Any) -> str:
        return self.one_of(_PRINTABLE if self.wanted else _LETTERS)

    def any_of(self, value: Any) -> str:
        return self.one_of(_class(value))

    def branch(self, value: Any) -> str:
        return self.sequence(self.rng.choice(value[1]))

    def group(self, value: Any) -> str:
        number, _, _, items = value
        text = self.sequence(items)
        if number is not None:
            self.groups[number] = text
        return text

    def repeat(self, value: Any) -> str:
        low, high, items = int(value[0]), int(value[1]), value[2]
        more = min(high - low, self.left) if high < _UNBOUNDED else self.left
        extra = max(self.rng.randint(0, more) if more < 8 else more, min(len(self.wanted), high - low))
        if low == 0 and extra == 0 and self.rng.random() < 0.5:
            extra = min(1, high)
        self.left -= min(self.left, extra)
        if low > self.limit:
            raise _TooLong
        return "".join(self.sequence(items) for _ in range(low + extra))

    def reference(self, value: int) -> str:
        return "".join(map(self.emit, self.groups.get(value, "")))

    def conditional(self, value: Any) -> str:
        number, yes, no = value
        return self.sequence(yes) if number in self.groups else self.sequence(no or ())

    def ahead(self, value: Any) -> str:
        direction, items = value
        if direction > 0:
            probe = _Writer(self.rng, 0, 64)
            for char in probe.asked(items):
                self.wanted.append(char)
        return ""

    def asked(self, items: Any) -> str:
        """What a lookahead asks for, without the parts that anything matches."""
        fixed = [(code, value) for code, value in items if not _is_filler(code, value)]
        return self.sequence(fixed)

    def atomic(self, value: Any) -> str:
        return self.sequence(value)


def _is_filler(code: Any, value: Any) -> bool:
    """Whether an item is like `.*`."""
    return code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and int(value[0]) == 0


_WRITERS: dict[Any, Any] = {
    codes.LITERAL: _Writer.literal,
    codes.NOT_LITERAL: _Writer.not_literal,
    codes.ANY: _Writer.any,
    codes.IN: _Writer.any_of,
    codes.BRANCH: _Writer.branch,
    codes.SUBPATTERN: _Writer.group,
    codes.MAX_REPEAT: _Writer.repeat,
    codes.MIN_REPEAT: _Writer.repeat,
    codes.POSSESSIVE_REPEAT: _Writer.repeat,
    codes.GROUPREF: _Writer.reference,
    codes.GROUPREF_EXISTS: _Writer.conditional,
    codes.ASSERT: _Writer.ahead,
    codes.ATOMIC_GROUP: _Writer.atomic,
}

_CATEGORIES = {
    codes.CATEGORY_DIGIT: _DIGITS,
    codes.CATEGORY_WORD: _LETTERS + _LETTERS.upper() + _DIGITS + "_",
    codes.CATEGORY_SPACE: " \t",
    codes.CATEGORY_NOT_DIGIT: "".join(c for c in _PRINTABLE if c not in _DIGITS),
    codes.CATEGORY_NOT_WORD: "".join(c for c in _PRINTABLE if not (c.isalnum() or c == "_")),
    codes.CATEGORY_NOT_SPACE: _PRINTABLE.replace(" ", ""),
}


def _class(items: Any) -> str:
    """The characters of a bracket expression, ASCII ones first. Raises `InvalidPattern` for an empty one."""
    chars: list[str] = []
    negated = False
    for code, value in items:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            chars.append(chr(value))
        elif code is codes.RANGE:
            low, high = value
            chars.extend(
                chr(c) for c in range(low, min(high, low + 2000, sys.maxunicode) + 1) if not 0xD800 <= c < 0xE000
            )
        else:
            chars.append(_CATEGORIES[value])
    members = "".join(chars)
    if negated:
        members = "".join(c for c in _PRINTABLE if c not in members) or "".join(
            c for c in map(chr, range(0xA1, 0x2FF)) if c not in members
        )
    readable = "".join(c for c in members if c in _PRINTABLE)
    if not members:
        raise InvalidPattern("a class of characters has no members")
    return readable or members
