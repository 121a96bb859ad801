"""JSON that has not all arrived yet, read as far as it goes."""

from __future__ import annotations

import re
from typing import Any

__all__ = ("partial_json",)

_TOKEN = re.compile(r'\s*("(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++)', re.DOTALL)
_CLOSERS = {"{": "}", "[": "]"}


def partial_json(text: str) -> Any:
    """What the beginning of a JSON text says for certain: the values that have ended, in objects that may not have.

    A string, a word or a key without its value is left out until it is whole; a number counts as far as it goes.
    Raises `ValueError` where nothing is certain yet, and where the text is not the beginning of JSON.
    """
    from orjson import loads

    try:
        return loads(text)
    except ValueError:
        pass
    open_: list[str] = []
    before = ""
    certain = position = 0  # what comes after `certain` opens and closes nothing
    while (found := _TOKEN.match(text, position)) is not None:
        token, position = found.group(1), found.end()
        if token in _CLOSERS:
            open_.append(_CLOSERS[token])
            certain = position
        elif token in ("}", "]"):
            if not open_ or open_[-1] != token:
                break
            open_.pop()
            certain = position
            if not open_:
                break
        elif token in (",", ":") or (open_ and open_[-1] == "}" and before in ("{", ",")):
            pass  # a key says nothing by itself
        elif token[0] == '"' or position < len(text) or _is_json(token):
            certain = position
        before = token
    return loads(text[:certain] + "".join(reversed(open_)))


def _is_json(token: str) -> bool:
    from orjson import loads

    try:
        loads(token)
    except ValueError:
        return False
    return True
