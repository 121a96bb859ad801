"""How many bytes vector stores take up, minute by minute: what the usage of vector stores is told from.

What a store has while it is open counts, for the project that made it (`OpenAI-Project`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from .usage import DEFAULT_PROJECT, Used

if TYPE_CHECKING:
    from .app import Server

__all__ = ("changed", "forgotten", "made_by", "used")

_ACCOUNT: Final = "usage/vector_stores"
"""For each minute in which something changed, what there was at its end, by project."""
_PROJECTS: Final = "vector_stores/projects"
"""The projects of stores that were not made for the default one."""
_MINUTE: Final = 60


def made_by(server: Server, store: str, project: str | None) -> None:
    """Remember whose a store is."""
    if project and project != DEFAULT_PROJECT:
        server.store.put(_PROJECTS, store, {"id": store, "project": project})


def changed(server: Server, store: str, by: int, at: float) -> None:
    """A store has so many bytes more, or less, since a Unix time. Asked for with the server's lock held."""
    if not by:
        return
    project = (server.store.get(_PROJECTS, store) or {}).get("project", DEFAULT_PROJECT)
    last: dict[str, Any] = next(server.store.walk(_ACCOUNT, backwards=True), {"at": 0, "bytes": {}})
    minute = max(int(at) // _MINUTE * _MINUTE, last["at"])
    kept: int = last["bytes"].get(project, 0) + by
    totals = {**last["bytes"], project: kept}
    if not kept:
        del totals[project]
    server.store.put(_ACCOUNT, str(minute), {"id": str(minute), "at": minute, "bytes": totals})


def forgotten(server: Server, store: str, size: int, at: float) -> None:
    """A store of so many bytes is gone."""
    changed(server, store, -size, at)
    server.store.delete(_PROJECTS, store)


def used(server: Server, starts: Sequence[int], width: int) -> Iterator[Used]:
    """The bytes there were at the end of each span of so many seconds, or are now."""
    account = server.store.list(_ACCOUNT)
    minutes = [each["at"] for each in account]
    now = server.clock.now()
    for start in starts:
        at = bisect_left(minutes, start + width)
        if at and start <= now:
            for project, size in account[at - 1]["bytes"].items():
                yield Used(start, "vector_stores", {"usage_bytes": size}, {"project_id": project})
