"""One page of a list, by cursor: `limit`, `order`, `after` and `before` in, `has_more` and the next cursor out.

The API has five styles of page. They differ in what names the next one: nothing, the last item's id,
`last_id`, or `next` (asked for with `after` or with `page`).

API reference: https://platform.openai.com/docs/api-reference/pagination
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from ..kernel.errors import BadRequestError, NotFoundError

if TYPE_CHECKING:
    from .store import Store

__all__ = ("DEFAULT_LIMIT", "page", "page_of")

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
    descending = _descending(query.get("order"), order)
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
    data = found[max(0, len(found) - size) :] if before and not after else found[:size]
    return _told(data, has_more, key, style)


def page_of(
    store: Store,
    collection: str,
    query: Mapping[str, Any],
    *,
    keep: Callable[[dict[str, Any]], bool] | None = None,
    order: str = "desc",
    limit: int = DEFAULT_LIMIT,
    key: str = "id",
    style: str = "ids",
    lenient: bool = False,
) -> dict[str, Any]:
    """The page of a collection that `query` asks for, as `page` gives it, without looking at what lies outside of it.

    `keep` says which documents are in the list; their ids in the collection are what they have in `key`.
    """
    descending = _descending(query.get("order"), order)
    size = _size(query.get("limit"), limit)
    after, before = query.get("after") or query.get("page"), query.get("before")
    # Going backwards, the page is the one that ends next to the cursor.
    backwards = bool(before) and not after
    walk = _walk(store, collection, before if backwards else after, descending != backwards, key, backwards, lenient)
    if before and not backwards:
        walk = takewhile(lambda doc: str(doc.get(key)) != before, walk)
    found = list(islice(walk if keep is None else filter(keep, walk), size + 1))
    data = found[:size]
    return _told(data[::-1] if backwards else data, len(found) > size, key, style)


def _walk(
    store: Store, collection: str, cursor: Any, descending: bool, key: str, backwards: bool, lenient: bool
) -> Iterator[dict[str, Any]]:
    try:
        return store.walk(collection, str(cursor) if cursor else None, backwards=descending)
    except KeyError:
        if not lenient:
            raise _no_item(key, cursor, "before" if backwards else "after") from None
        return store.walk(collection, backwards=descending)


def _descending(asked: Any, order: str) -> bool:
    descending = _ORDERS.get(order if asked is None else asked)
    if descending is None:
        raise BadRequestError.because(
            f"Invalid value: '{asked}'. Supported values are: 'asc' and 'desc'.", param="order", code="invalid_value"
        )
    return descending


def _told(data: list[dict[str, Any]], has_more: bool, key: str, style: str) -> dict[str, Any]:
    if style == "plain":
        return {"object": "list", "data": data}
    last = str(data[-1].get(key)) if data else None
    if style == "next":
        return {"object": "list", "data": data, "has_more": has_more, "next": last if has_more else None}
    first = str(data[0].get(key)) if data else None
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more}


_MOST = 1 << 31
"""So many items are on a page at the most, and nowhere."""


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
    return min(size, _MOST)


def _index(items: list[dict[str, Any]], cursor: Any, key: str, name: str, lenient: bool) -> int | None:
    for at, item in enumerate(items):
        if item.get(key) == cursor:
            return at
    if lenient:
        return None
    raise _no_item(key, cursor, name)


def _no_item(key: str, cursor: Any, name: str) -> NotFoundError:
    return NotFoundError.because(f"No item found with {key} '{cursor}'.", param=name, code="not_found")
