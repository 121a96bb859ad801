"""One page of a list, by cursor: `limit`, `order`, `after` and `before` in, `has_more` and the next cursor out.

The API has five styles of page. They differ in what names the next one: nothing, the last item's id,
`last_id`, or `next` (asked for with `after` or with `page`).

API reference: https://platform.openai.com/docs/api-reference/pagination
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..kernel.errors import BadRequestError, NotFoundError

__all__ = ("DEFAULT_LIMIT", "page")

DEFAULT_LIMIT = 20

_ORDERS = {"asc": False, "desc": True, "ascending": False, "descending": True}


def page(
    items: Sequence[dict[str, Any]],
    query: Mapping[str, Any],
    *,
    order: str = "desc",
    limit: int = DEFAULT_LIMIT,
    key: str = "id",
    style: str = "ids",
    lenient: bool = False,
) -> dict[str, Any]:
    """The page of `items` (the oldest first) that `query` asks for.

    `order` and `limit` are what holds when the query does not say. `key` names the field that is the cursor.
    `style` is `ids` (`first_id`, `last_id`, `has_more`), `next` (`next`, `has_more`) or `plain` (neither).
    Raises `BadRequestError` for a limit or order that is none, `NotFoundError` for a cursor that names no item;
    with `lenient` such a cursor is passed over.
    """
    asked = query.get("order")
    descending = _ORDERS.get(order if asked is None else asked)
    if descending is None:
        raise BadRequestError.because(
            f"Invalid value: '{asked}'. Supported values are: 'asc' and 'desc'.", param="order", code="invalid_value"
        )
    size = _size(query.get("limit"), limit)
    found = list(reversed(items)) if descending else list(items)
    after = query.get("after") or query.get("page")
    before = query.get("before")
    if after:
        at = _index(found, after, key, "after", lenient)
        found = found if at is None else found[at + 1 :]
    if before:
        at = _index(found, before, key, "before", lenient)
        found = found if at is None else found[:at]
    has_more = len(found) > size
    # Going backwards, the page is the one that ends next to the cursor.
    data = found[-size:] if before and not after else found[:size]
    if style == "plain":
        return {"object": "list", "data": data}
    last = str(data[-1].get(key)) if data else None
    if style == "next":
        return {"object": "list", "data": data, "has_more": has_more, "next": last if has_more else None}
    first = str(data[0].get(key)) if data else None
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more}


def _size(asked: Any, default: int) -> int:
    if asked is None:
        return default
    try:
        size = int(asked)
    except (TypeError, ValueError):
        raise BadRequestError.because(
            f"Invalid type for 'limit': expected an integer, but got '{asked}' instead.",
            param="limit",
            code="invalid_type",
        ) from None
    if size < 0:
        raise BadRequestError.because(
            f"Invalid 'limit': integer below minimum value. Expected a value >= 0, but got {size} instead.",
            param="limit",
            code="integer_below_min_value",
        )
    return size


def _index(items: list[dict[str, Any]], cursor: Any, key: str, name: str, lenient: bool) -> int | None:
    for at, item in enumerate(items):
        if item.get(key) == cursor:
            return at
    if lenient:
        return None
    raise NotFoundError.because(f"No item found with {key} '{cursor}'.", param=name, code="not_found")
