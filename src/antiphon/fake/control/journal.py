"""The journal: what was asked and answered."""

from __future__ import annotations

import re
from typing import Any, Final

from ...kernel.errors import NotFoundError
from ..asked import Conditions
from ..journal import differences
from .exchanges import QUERY, exchange_json, query_of
from .operations import Call, listed, operation, refused

__all__ = ()

_MOST: Final = 1000
_PLACE: Final = re.compile("-?[0-9]{1,9}")

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}


def _page(call: Call, query: dict[str, Any], limit: int, after: int | None, *, whole: bool) -> dict[str, Any]:
    if not 1 <= limit <= _MOST:
        raise refused(f"limit is a number from 1 to {_MOST}, not {limit}", param="limit")
    tool, status = query.pop("tool", None), query.pop("status", None)
    asked = Conditions(query)
    places = [
        (place, each)
        for place, each in enumerate(call.fake.journal)
        if (after is None or place > after) and not differences(each, asked, tool, status)
    ]
    shown = places[:limit]
    return listed(
        [exchange_json(each, place, whole=whole) for place, each in shown],
        total=len(places),
        has_more=len(places) > len(shown),
    )


@operation(
    "journal.list",
    "GET",
    "/journal",
    query={
        **dict.fromkeys(
            ("operation", "model", "text", "system", "tool_result", "response_format", "tools", "tool"), _TEXT
        ),
        "turn": _NUMBER,
        "status": _NUMBER,
        "limit": {**_NUMBER, "default": 100},
        "after": {**_NUMBER, "description": "the place of the last one seen"},
        "whole": {"type": "boolean", "description": "with headers, events and pieces"},
    },
    returns="a list of exchanges, the oldest first",
)
def journal_list(call: Call) -> Any:
    """The exchanges, all or those for which the conditions hold. A text is one that is in what was asked."""
    query = {name: value for name, value in call.query.items() if name not in ("limit", "after", "whole")}
    limit, after = call.query.get("limit", 100), call.query.get("after")
    return _page(call, query_of(query), limit, after, whole=call.query.get("whole", False))


@operation(
    "journal.search",
    "POST",
    "/journal/search",
    body={
        "type": "object",
        "properties": {
            "query": QUERY,
            "limit": {"type": "integer"},
            "after": {"type": "integer"},
            "whole": {"type": "boolean"},
        },
        "additionalProperties": False,
    },
    example={"query": {"model": "gpt-5*", "text": {"matches": "weather|rain"}}, "limit": 10},
    returns="a list of exchanges, the oldest first",
)
def journal_search(call: Call) -> Any:
    """The exchanges for which conditions hold, in all the forms that rules have them."""
    body = call.body
    return _page(
        call, query_of(body.get("query")), body.get("limit", 100), body.get("after"), whole=body.get("whole", False)
    )


@operation("journal.get", "GET", "/journal/{place}", returns="an exchange, with headers, events and pieces")
def journal_get(call: Call) -> Any:
    """One exchange, by its place (-1 is the last) or by the `x-request-id` of its answer."""
    wanted = call.params["place"]
    every = list(call.fake.journal)
    if _PLACE.fullmatch(wanted):
        place = int(wanted) + (len(every) if wanted.startswith("-") else 0)
        if 0 <= place < len(every):
            return exchange_json(every[place], place, whole=True)
    for place, each in enumerate(every):
        if each.request_id == wanted:
            return exchange_json(each, place, whole=True)
    raise NotFoundError.because(f"The journal has {len(every)} exchanges, and none at {wanted!r}.", param="place")


@operation("journal.clear", "DELETE", "/journal", returns="how many exchanges there were")
def journal_clear(call: Call) -> Any:
    """Forget all exchanges."""
    count = len(call.fake.journal)
    call.fake.journal.clear()
    return {"deleted": count}
