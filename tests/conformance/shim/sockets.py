"""What the suite looks at inside the helpers on top of websockets, said with ours."""

from __future__ import annotations

from typing import Any

import httpx2

from antiphon.api._helpers.sockets import (
    AsyncConnection,
    AsyncConnectionManager,
    SyncConnection,
    SyncConnectionManager,
)
from antiphon.client.websockets import pumps
from antiphon.client.websockets.address import address
from antiphon.lib.live import AsyncTranscriptGrouper

# Cases put something else here.
_WebSocketConnect: Any = pumps._connect()
pumps._connect = lambda: _WebSocketConnect

AsyncTranscriptGrouper._dispatch_run = property(lambda self: self._delivery)  # type: ignore[attr-defined]

for _each in (SyncConnection, AsyncConnection):
    _each._connection = property(lambda self: self._socket._socket)  # type: ignore[attr-defined]
    _each._is_reconnecting = property(lambda self: self._socket._link._held)  # type: ignore[attr-defined]


def _made(connection):  # type: ignore[no-untyped-def]
    socket = connection._socket
    connect = type(socket).connect

    if isinstance(connection, AsyncConnection):

        async def amake(query, headers):  # type: ignore[no-untyped-def]
            await connect(socket, query, headers)
            return socket._socket

        return amake

    def make(query, headers):  # type: ignore[no-untyped-def]
        connect(socket, query, headers)
        return socket._socket

    return make


def _make(connection, make) -> None:  # type: ignore[no-untyped-def]
    connection._socket.connect = make


for _each in (SyncConnection, AsyncConnection):
    _each._make_ws = property(_made, _make)  # type: ignore[attr-defined]


def _prepare_url(connection: Any) -> httpx2.URL:
    """Where a connection that was not made yet would go, without its query."""
    socket = connection._socket
    dial = socket._dial
    made = address(socket._client, dial, dial.extra_query or {}, dial.extra_headers or {}, None)
    return httpx2.URL(made.url.partition("?")[0])


for _each in (SyncConnectionManager, AsyncConnectionManager):
    _each._prepare_url = _prepare_url  # type: ignore[attr-defined]
