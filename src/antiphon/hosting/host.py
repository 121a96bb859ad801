"""What serves an application from the running event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .rsgi import RSGI
    from .run import TLS

__all__ = ("BACKLOG", "Host", "host_of")

BACKLOG = 1024
"""How many connections wait to be accepted."""


class Host:
    """Serves an application over a listening socket, from the running event loop, until `stop`."""

    def __init__(self, app: RSGI, listener: socket.socket) -> None:
        self.app = app
        self.listener = listener
        self.stopping = asyncio.Event()
        self.cutting = asyncio.Event()

    def stop(self, patience: float) -> None:
        """Stop, from the loop's own thread: what is being answered may take `patience` more seconds.

        Asked again, the shorter patience counts.
        """
        self.stopping.set()
        if patience > 0:
            asyncio.get_running_loop().call_later(patience, self.cutting.set)
        else:
            self.cutting.set()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve; `ready` is called once requests are accepted. Ends when everything is closed."""
        raise NotImplementedError


def host_of(app: RSGI, listener: socket.socket, tls: TLS | None = None) -> Host:
    """What serves an application best: the loop itself where most answers wait for something on it, and else granian,
    which has threads of its own, and which alone speaks TLS and with it HTTP/2.
    """
    if not app.at_once and tls is None:
        from .onloop import OnLoop

        return OnLoop(app, listener)
    from .embedded import Embedded

    return Embedded(app, listener, tls)
