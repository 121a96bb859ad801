"""Where a websocket connects to, and what its opening handshake says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ...kernel.errors import OpenAIError
from ...kernel.omit import NotGiven, Omit
from ...kernel.query import pairs
from ..base import _merged

if TYPE_CHECKING:
    from ...kernel.operation import AnyOperation
    from ...kernel.websocket import Dial
    from ..base import BaseClient
    from ..credentials import Credential

__all__ = ("MISSING", "Address", "address", "credential")

MISSING = "WebSocket connections need the `websockets` package: install `antiphon[realtime]`."
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_AUTH = ("authorization", "api-key")


class Address(NamedTuple):
    """What the library is to connect to."""

    url: str
    headers: dict[str, str]
    options: dict[str, Any]


class _Asked(NamedTuple):
    """As much of an operation as finding its key takes."""

    name: str
    admin: bool = False


def _operation(dial: Dial) -> AnyOperation:
    return cast("AnyOperation", _Asked(dial.path))


def credential(client: BaseClient, dial: Dial, extra_headers: Mapping[str, Any]) -> Credential | None:
    """What gives the key for this connection, where that is not a header already."""
    found = client._token(_operation(dial))
    if found is None:
        return None
    said = {name.lower() for name in extra_headers}
    header = found.header or _AUTH[0]
    return None if header in said or header in client._custom_headers else found


def address(
    client: BaseClient,
    dial: Dial,
    extra_query: Mapping[str, Any],
    extra_headers: Mapping[str, Any],
    auth: tuple[str, str | None] | None,
) -> Address:
    """The URL, the headers and the arguments of a connection. `auth` is the header a credential gave."""
    base, dial = client._dialed(dial)
    scheme, _, rest = base.partition("://")
    if scheme.lower() not in _SCHEMES or not rest:
        raise OpenAIError(f"websocket_base_url needs a scheme and a host, such as wss://host/v1; it was {base!r}")
    place, _, base_query = rest.partition("?")
    query = _query(client, base_query, {**dial.query, **_lists(extra_query), **dial.fixed_query})
    url = f"{_SCHEMES[scheme.lower()]}://{place.rstrip('/')}{dial.path}" + (f"?{query}" if query else "")
    known = client._auth(_operation(dial))
    if auth is not None and auth[1] is not None:
        known = {auth[0]: auth[1]}
    headers = _merged(known, client.default_headers, dial.headers, extra_headers)
    if not any(name in headers for name in _AUTH):
        raise TypeError(
            "Could not resolve authentication method: a WebSocket connection needs an API key. Give `api_key` to the "
            'client, or leave the header out with `extra_headers={"Authorization": omit}`.'
        )
    options = {"max_size": None, **dial.options}
    if options["max_size"] is None:
        # Messages of any size are not unpacked from a few bytes unless the caller says so.
        options.setdefault("compression", None)
    kept = {name: value for name, value in headers.items() if not isinstance(value, Omit)}
    return Address(url, kept, options)


def _query(client: BaseClient, base: str, own: Mapping[str, Any]) -> str:
    """The client's defaults, under what the base URL says, under the connection's own."""
    from urllib.parse import parse_qsl, urlencode

    defaults = pairs({name: value for name, value in client.default_query.items() if name not in own})
    merged: dict[str, list[str]] = {}
    for layer in (
        defaults,
        [pair for pair in parse_qsl(base, keep_blank_values=True) if pair[0] not in own],
        _own(own),
    ):
        found: dict[str, list[str]] = {}
        for name, value in layer:
            found.setdefault(name, []).append(value)
        merged.update(found)
    return urlencode(merged, doseq=True)


def _lists(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """A query that says a name more than once, as those of httpx do, as one of lists."""
    items: Any = getattr(query, "multi_items", None)
    if items is None:
        return query
    found: dict[str, Any] = {}
    for name, value in items():
        found.setdefault(name, []).append(value)
    return found


def _own(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Here lists are repeated names and `None` is blank, other than in the query of a call."""
    for name, value in params.items():
        if isinstance(value, (Omit, NotGiven)):
            continue
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if each is None:
                yield name, ""
            else:
                yield from ((key.replace("[]", ""), text) for key, text in pairs({name: each}))
