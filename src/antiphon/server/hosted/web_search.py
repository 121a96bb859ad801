"""Searching the web, opening a page, and looking for something on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import texts

if TYPE_CHECKING:
    from ..turns import WebSearch
    from . import Bench

__all__ = ("items",)


def items(use: WebSearch, bench: Bench) -> list[dict[str, Any]]:
    """The item of a search. Nothing is really looked up: what was found, the engine says."""
    return [{"id": bench.new("ws_"), "type": "web_search_call", "status": "completed", "action": _action(use)}]


def _action(use: WebSearch) -> dict[str, Any]:
    if use.pattern:
        return {"type": "find_in_page", "url": use.url, "pattern": use.pattern}
    if use.url:
        return {"type": "open_page", "url": use.url}
    sources = [{"type": "url", "url": url} for url in texts(use.sources)]
    return {"type": "search", "query": use.query, "queries": [use.query], "sources": sources}
