"""The options of a call, as the helpers hand them on to each of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ....kernel.omit import NotGiven
    from ....kernel.options import Body, Headers, Query, Timeout

__all__ = ("request_options",)


def request_options(
    extra_headers: Headers | None,
    extra_query: Query | None,
    extra_body: Body | None,
    timeout: float | Timeout | None | NotGiven,
) -> dict[str, Any]:
    """The options every call takes, by their names."""
    return {
        "extra_headers": extra_headers,
        "extra_query": extra_query,
        "extra_body": extra_body,
        "timeout": timeout,
    }
