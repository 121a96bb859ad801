"""What the suite looks at inside the helpers on top of websockets, said with ours."""

from __future__ import annotations

from typing import Any

from antiphon.api._helpers.sockets import AsyncConnection, SyncConnection
from antiphon.client.websockets import pumps
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
