"""The answer of an operation without rules of its own: a valid instance of its schema that reflects the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .endpoint import endpoint
from .facts import made, properties
from .kept import check_parents, page_style
from .paging import page
from .samples import sample, stream

if TYPE_CHECKING:
    from .behaviour import Call

__all__ = ("shape",)


def shape(call: Call) -> Any:
    """Answer a call by the schema of its response. Raises `NotFoundError` where it is about an unknown object."""
    check_parents(call)
    schema = endpoint(call.operation.name).schema
    asked = call.body.get("stream") or call.query.get("stream")
    if schema.event is not None and (asked or schema.event == schema.response):
        return stream(call)
    if schema.response is None:
        return sample(call)
    fields = properties(schema.response)
    if "data" in fields and "has_more" in fields and "next_page" not in fields and call.operation.method == "GET":
        return page([], call.query, style=page_style(call), lenient=True)
    return made(call.server, schema.response, {**call.params, **call.body})
