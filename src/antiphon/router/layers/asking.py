"""Who asks, and in which session."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..errors import Refused

if TYPE_CHECKING:
    from ..answers import Asked

__all__ = ("SOURCES", "Named", "Place", "named", "place_of")

if TYPE_CHECKING:
    Named: TypeAlias = Callable[[Asked], str | Awaitable[str | None] | None]
else:
    Named = object
"""A function that names who asks, or the session, from the question and its connection."""

_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")


def _header(asked: Asked, name: str) -> Any:
    return None if asked.connection is None else asked.connection.headers.get(name)


def _cookie(asked: Asked, name: str) -> Any:
    return None if asked.connection is None else asked.connection.cookies.get(name)


def _query(asked: Asked, name: str) -> Any:
    return None if asked.connection is None else asked.connection.query_params.get(name)


def _body(asked: Asked, name: str) -> Any:
    return asked.body.get(name)


SOURCES: Final[Mapping[str, Callable[[Asked, str], Any]]] = {
    "header": _header,
    "cookie": _cookie,
    "query": _query,
    "body": _body,
}


class Place:
    """Where a question names its session: `header:x-session-id`, or another of the `SOURCES` with a name."""

    __slots__ = ("_find", "kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        self._find = SOURCES[kind]

    def find(self, asked: Asked) -> str | None:
        """The id that is there. Raises `Refused` for what is none."""
        given: Any = self._find(asked, self.name)
        if given is None or given == "":
            return None
        if isinstance(given, int) and not isinstance(given, bool):
            given = str(given)
        if not isinstance(given, str) or not _ID.fullmatch(given):
            raise Refused(
                f"The session in {self.kind} `{self.name}` is no id: one has 1 to 200 printable ASCII characters.",
                status=422,
                code="invalid_session",
                param=self.name,
            )
        return given


def place_of(given: str) -> Place:
    """A place as it is written. Raises `ValueError` for one there is not."""
    kind, colon, name = given.partition(":")
    if kind not in SOURCES or not colon or not name:
        raise ValueError(f"a session is in one of {', '.join(SOURCES)}, such as 'header:x-session-id'; not {given!r}")
    return Place(kind, name)


async def named(function: Named | None, asked: Asked, left: str) -> str | None:
    """Whom a function names, which is left in the question's state; what another layer left there, without one."""
    if function is None:
        found: Any = asked.state.get(left)
        return found if found is None else str(found)
    given = function(asked)
    if isawaitable(given):
        given = await given
    name = None if given is None else str(given)
    if name is not None:
        asked.state[left] = name
    return name
