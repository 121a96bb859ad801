"""Ending a connection where it should not end, beneath a server that frames HTTP by itself.

Granian lends nobody its sockets. But they are this process's, so the one that leads to a client is found among its
descriptors by the client's address, and a duplicate of it is enough: what is done to the connection is done to both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..kernel.severed import Severed

__all__ = ("cut", "sever")

_SETTLES: Final = 0.03
"""Seconds in which nothing more goes out of what was written before."""

_MOST: Final = 2.0


async def sever(client: str, severed: Severed, *, settled: bool) -> bool:
    """End the connection to a client, which is told as `host:port`. What was written before goes out first, where it
    has not `settled` yet. `False`: there is no such connection in this process.
    """
    found = await asyncio.to_thread(_connection, client)
    if found is None:
        return False
    with found:
        await cut(found, severed, settled=settled)
    return True


async def cut(found: socket.socket, severed: Severed, *, settled: bool) -> None:
    """End a connection, of which this is its socket or a duplicate."""
    with contextlib.suppress(OSError):
        if severed.sent:
            found.send(severed.sent)
            settled = False
        if not settled:
            await _settle(found)
        if severed.how == "closed":
            found.shutdown(socket.SHUT_RDWR)
        else:
            _reset(found)


def _connection(client: str) -> socket.socket | None:
    """A duplicate of the socket that leads to a client."""
    host, _, port = client.rpartition(":")
    wanted = (host.strip("[]"), int(port)) if port.isdigit() else (client, 0)
    for name in os.listdir("/dev/fd" if os.path.isdir("/dev/fd") else "/proc/self/fd"):
        try:
            copy = os.dup(int(name))
        except OSError:
            continue
        try:
            candidate = socket.socket(fileno=copy)
        except OSError:  # a file
            os.close(copy)
            continue
        try:
            if candidate.type == socket.SOCK_STREAM and candidate.getpeername()[:2] == wanted:
                return candidate
        except (OSError, IndexError, TypeError):
            pass
        candidate.close()
    return None


async def _settle(found: socket.socket) -> None:
    """Wait until what was written has been taken by the other side."""
    last, quiet, waited = -1, 0.0, 0.0
    while quiet < _SETTLES and waited < _MOST:
        await asyncio.sleep(0.01)
        waited += 0.01
        taken = _taken(found)
        quiet = quiet + 0.01 if taken == last else 0.0
        last = taken


def _taken(found: socket.socket) -> int:
    """How many bytes the other side has taken, where the system tells."""
    if sys.platform != "linux":
        return 0
    info = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128)
    number: int = struct.unpack_from("Q", info, 120)[0] if len(info) >= 128 else 0
    return number


def _reset(found: socket.socket) -> None:
    """Break a connection off, without its other end being told of anything but that."""
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if sys.platform == "linux":
        import ctypes

        # To connect a socket to nowhere is to disconnect it, and that resets the connection at once, though another
        # descriptor of it is open.
        libc: Any = ctypes.CDLL(None, use_errno=True)
        nowhere = struct.pack("H14x", socket.AF_UNSPEC)
        if libc.connect(found.fileno(), nowhere, len(nowhere)) == 0:
            return
    found.shutdown(socket.SHUT_RD)  # the server sees that the client is gone and closes, which resets
