"""Templates: texts with holes, such as `{{item.answer}}` or `{{sample.output_json.parts[0].total}}`.

What is no text is written into a hole as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

__all__ = ("NothingThere", "filled", "holes", "reached", "root", "steps", "texts", "written")

_HOLE: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}")


class NothingThere(LookupError):
    """A path leads nowhere."""


def holes(text: str) -> list[str]:
    """The paths that a template names."""
    return _HOLE.findall(text)


def root(path: str) -> str:
    """What a path begins with: `item` of `item.answer`."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def steps(path: str) -> list[str]:
    """The names and places along a path: `item`, `list` and `0` of `item.list[0]`."""
    return re.findall(r"[^.\[\]]+", path) or [""]


def reached(value: Any, names: Sequence[str]) -> Any:
    """What lies in a value at the end of a path. Raises `NothingThere`."""
    for name in names:
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            raise NothingThere(name)
    return value


def written(text: str, find: Callable[[str], Any]) -> str:
    """A template with what `find` gives for its paths."""
    return _HOLE.sub(lambda found: _shown(find(found.group(1))), text)


def filled(value: Any, find: Callable[[str], Any]) -> Any:
    """A JSON value whose every text is a template, filled."""
    if isinstance(value, str):
        return written(value, find)
    if isinstance(value, list):
        return [filled(each, find) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, find) for name, each in value.items()}
    return value


def texts(value: Any) -> list[str]:
    """Every text in a JSON value that may be a template."""
    if isinstance(value, str):
        return [value]
    children = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else ()
    return [text for each in children for text in texts(each)]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
