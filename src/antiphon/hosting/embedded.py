"""One granian server on one event loop, over a socket that is bound before it starts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.server.embed import Server

from .direct import spawner
from .host import BACKLOG, Host

if TYPE_CHECKING:
    from .rsgi import RSGI
    from .run import TLS

__all__ = ("Embedded",)

# Granian configures its loggers when a server is made. Done incrementally, that leaves the handlers of the
# program alone; `log_enabled=False` then silences its own logger.
_QUIET = {"incremental": True, "formatters": {}, "handlers": {}, "loggers": {}}


class _Granian(Server):
    """Granian's embedded server over a listening socket of ours instead of an address."""

    listener: socket.socket

    def _init_shared_socket(self) -> None:
        self._ssp = None
        # The holder owns the descriptor and closes it when the server is done.
        holder: Any = SocketHolder
        self._shd = holder(self.listener.detach(), False, BACKLOG)


class Embedded(Host):
    """Serves an application by granian."""

    app: RSGI

    def __init__(self, app: RSGI, listener: socket.socket, tls: TLS | None = None) -> None:
        super().__init__(app, listener)
        self.tls = tls

    async def run(self, ready: Callable[[], None]) -> None:
        housekeeping: set[asyncio.Task[Any]] = set()

        def begun(loop: asyncio.AbstractEventLoop) -> None:
            housekeeping.update(asyncio.all_tasks(loop))
            ready()

        server: Any = _Granian(
            _Target(self.app.__rsgi__, begun),
            interface=Interfaces.RSGI,
            http=HTTPModes.auto,
            websockets=True,
            backlog=BACKLOG,
            log_enabled=False,
            log_dictconfig=_QUIET,
            ssl_cert=None if self.tls is None else self.tls.certificate,
            ssl_key=None if self.tls is None else self.tls.private_key,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        server.listener = self.listener
        serving = asyncio.ensure_future(server.serve(spawner(self.app)))
        asked = asyncio.ensure_future(self.stopping.wait())
        await asyncio.wait((serving, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if serving.done():
            serving.result()  # it did not start: say why
            return
        server.stop()
        cut = asyncio.ensure_future(self.cutting.wait())
        await asyncio.wait((serving, cut), return_when=asyncio.FIRST_COMPLETED)
        cut.cancel()
        if not serving.done():
            mine = asyncio.current_task()
            for task in asyncio.all_tasks():
                if task is not mine and task is not serving and task not in housekeeping:
                    task.cancel()
            await asyncio.wait((serving,), timeout=1.0)
        if not serving.done():
            serving.cancel()


class _Target:
    """What granian calls: the application, and once before it the news that the loop serves."""

    def __init__(self, application: Callable[..., Any], begun: Callable[[asyncio.AbstractEventLoop], None]) -> None:
        self.__rsgi__ = application
        self.__rsgi_init__ = begun
