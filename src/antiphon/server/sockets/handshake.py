"""What the opening handshake of a websocket says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from ...kernel.http import Request

__all__ = ("query_of", "with_headers")

_PREFIXES: Final = {
    "openai-insecure-api-key.": ("authorization", "Bearer "),
    "openai-organization.": ("openai-organization", ""),
    "openai-project.": ("openai-project", ""),
    "openai-beta.realtime-": ("openai-beta", "realtime="),
}
"""How subprotocols begin that stand for headers: the names of these, and what comes before the rest."""


def query_of(request: Request) -> dict[str, str]:
    """The query of a handshake, the last value of each name."""
    return dict(parse_qsl(request.query, keep_blank_values=True))


def with_headers(request: Request) -> Request:
    """A handshake with the headers that a browser cannot set and tells as subprotocols, a key among them."""
    offered = request.headers.get("sec-websocket-protocol")
    if offered is None:
        return request
    told = {name: value for name, value in _told(offered) if request.headers.get(name) is None}
    return request._replace(headers=request.headers.replaced(told)) if told else request


def _told(offered: str) -> Iterator[tuple[str, str]]:
    for each in offered.split(","):
        for prefix, (header, before) in _PREFIXES.items():
            name, found, rest = each.strip().partition(prefix)
            if found and not name and rest:
                yield header, before + rest
