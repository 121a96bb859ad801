"""Keys in places where they can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import parse_qsl, unquote

from ..door import host_of
from ..journal import Exchange
from ..said import mappings

__all__ = ("exposures",)

_KEY: Final = re.compile(r"(?<![A-Za-z0-9])sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}")
"""What keys of OpenAI look like."""

_NAMES: Final = frozenset(("api_key", "api-key", "apikey", "key", "access_token", "authorization", "subscription-key"))
"""Parameters of addresses that keys are put into."""

_LONG: Final = 16
"""Characters from which on a key is no word that a text may have by chance."""


def exposures(exchange: Exchange) -> Iterator[str]:
    """Where a request has a key that others may read. The key itself is not told."""
    _, path, query, headers, body, origin = exchange._sent
    key = _key(headers.get("authorization") or "") or headers.get("api-key") or ""
    host = host_of(origin)
    if key and origin.startswith("http:") and _is_elsewhere(host):
        yield f"over http to {host}: everybody on the way can read it"
    if query and any(
        (name.lower() in _NAMES and value) or _has(value, key)
        for name, value in parse_qsl(query, keep_blank_values=True)
    ):
        yield "in the query of the address, which logs keep"
    if _has(unquote(path), key):
        yield "in the path of the address, which logs keep"
    if body:
        text = body.decode("utf-8", "replace")
        if _has(text, key) and _has(_without_tools(exchange, text), key):
            metadata = str(exchange.asked.metadata)
            yield "in the metadata, which is stored" if _has(metadata, key) else "in the body, as part of what is asked"


def _without_tools(exchange: Exchange, text: str) -> str:
    """A body without what is meant for servers of tools: they have keys of their own, and this is how they get them."""
    import orjson

    tools = mappings(exchange.body.get("tools")) if isinstance(exchange.body, Mapping) else []
    if not tools:
        return text
    bare = [{name: each for name, each in tool.items() if name not in ("authorization", "headers")} for tool in tools]
    return orjson.dumps({**exchange.body, "tools": bare}).decode()


def _key(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""


def _has(text: str, key: str) -> bool:
    return (len(key) >= _LONG and key in text) or _KEY.search(text) is not None


def _is_elsewhere(host: str) -> bool:
    """Whether a host is neither this machine nor a neighbour: of a private address, or a name for such a network."""
    name = host.lower().rstrip(".")
    try:
        return ip_address(name).is_global
    except ValueError:
        return "." in name and not name.endswith((".localhost", ".test", ".local", ".internal"))
