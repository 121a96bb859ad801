"""What a docstring says of a function and of its parameters: Google's, NumPy's and Sphinx's way of writing it."""

from __future__ import annotations

import re
from inspect import cleandoc
from textwrap import dedent

__all__ = ("described",)

_FIELD = re.compile(r":(?:param|parameter|arg|argument)[ \t]+(?:[^:\n]*[ \t])?(\w+):[ \t]*(.*)")
_HEADING = re.compile(
    r"(args|arguments|parameters|params|returns?|yields?|raises?|examples?|notes?|attributes|warnings?):?[ \t]*",
    re.IGNORECASE,
)
_PARAMETERS = ("args", "arguments", "parameters", "params")
_ENTRY = re.compile(r"\*{0,2}(\w+)[ \t]*(?:\([^)]*\))?[ \t]*:[ \t]*(.*)")


def described(docstring: str | None) -> tuple[str, dict[str, str]]:
    """The text before the sections, and the description of each parameter."""
    lines = cleandoc(docstring or "").splitlines()
    summary: list[str] = []
    found: dict[str, str] = {}
    block = summary
    sections: list[tuple[str, bool, list[str]]] = []
    skip = False
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        heading = _HEADING.fullmatch(line)
        underlined = re.fullmatch(r"-{3,}[ \t]*", following) is not None
        if skip:
            skip = False
        elif heading is not None and (underlined or line.rstrip().endswith(":")):
            block = []
            sections.append((heading[1].lower(), underlined, block))
            skip = underlined
        elif line[:1] == ":":
            block = [line]
            sections.append(("", False, block))
        else:
            block.append(line)
    for name, numpy, text in sections:
        if not name:
            field = _FIELD.match(text[0])
            if field is not None:
                found[field[1]] = _joined([field[2], *text[1:]])
        elif name in _PARAMETERS:
            found.update(_entries(text, numpy))
    return "\n".join(summary).strip(), found


def _entries(lines: list[str], numpy: bool) -> dict[str, str]:
    """The entries of a section of parameters: each begins at the margin, what continues it is further in."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in dedent("\n".join(lines)).splitlines():
        entry = _ENTRY.match(line)
        if line[:1].isspace() or not line:
            current.append(line)
        elif numpy:
            current = found.setdefault(line.partition(":")[0].strip().lstrip("*"), [])
        elif entry is not None:
            current = found.setdefault(entry[1], [entry[2]])
    return {name: _joined(text) for name, text in found.items()}


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
