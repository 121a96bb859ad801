"""Searching the caller's vector stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..searching import completed, search
from . import texts

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ..turns import FileSearch
    from . import Bench

__all__ = ("items",)


def items(use: FileSearch, bench: Bench) -> Flow[list[dict[str, Any]]]:
    """The item of a search, with what was found."""
    queries = texts(use.queries)
    found: list[Any]
    if use.results is None:
        tool = bench.tool("file_search")
        stores = tool.get("vector_store_ids") or ()
        yield from completed(bench.server, stores)
        searched = yield from search(
            bench.server,
            stores,
            queries,
            limit=tool.get("max_num_results") or 20,
            filters=tool.get("filters"),
            ranking=tool.get("ranking_options"),
        )
        found = [each._asdict() for each in searched]
    else:
        found = [dict(each) for each in use.results]
    return [
        {
            "id": bench.new("fs_"),
            "type": "file_search_call",
            "status": "completed",
            "queries": queries,
            "results": found,
        }
    ]
