"""Start and stop a server: in the background beside other code, or in the foreground until a signal."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import socket
import threading
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from .rsgi import RSGI

if TYPE_CHECKING:
    from ..kernel.flow import World
    from ..kernel.http import Filter, Handler
    from .host import Host

__all__ = (
    "DEFAULT_PORT",
    "TLS",
    "PortInUse",
    "Running",
    "authority",
    "bind",
    "serve_in_background",
    "serve_until_signalled",
)

DEFAULT_PORT = 45674

PATIENCE = 4.0
"""How long `stop` waits for answers under way, in seconds, before it cuts them off."""


class TLS(NamedTuple):
    """What a server shows of itself: PEM files, of its certificate with those that vouch for it, and of its key."""

    certificate: Path
    private_key: Path


class PortInUse(OSError):
    """The address to serve at is taken by another program, or by another server of this one."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is already in use")
        self.host = host
        self.port = port


def bind(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening socket at an address; port 0 means a free one.

    From here on connections are accepted into its queue, so nobody is refused while the server starts.
    Raises `PortInUse` when the address is taken, `OSError` when it is not one of this machine, and `ValueError`
    for a port outside 0 to 65535.
    """
    import errno

    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise ValueError(f"a port is a number from 0 to 65535, not {port}")

    name = host.encode() if host.isascii() else host  # text would be put through IDNA, which has to be loaded
    family, kind, protocol, _, address = socket.getaddrinfo(
        name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit these. Without the first small writes wait for the client's delayed
        # acknowledgement, without the second a client that vanished is waited for without end.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(host, port) from None
        raise
    listener.setblocking(False)
    return listener


def authority(host: str, port: int) -> str:
    """Host and port as a client on this machine writes them in a URL."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}"


class Running:
    """A server in the background. A context manager, plain and async; leaving it stops the server."""

    def __init__(self, app: RSGI, host: str, port: int, tls: TLS | None = None) -> None:
        listener = bind(host, port)
        self.host = host
        """The host it was bound to."""
        self.port: int = listener.getsockname()[1]
        """The port it listens at."""
        self.url = f"{'http' if tls is None else 'https'}://{authority(host, self.port)}"
        """Scheme, host and port, such as `http://127.0.0.1:45674`."""
        self.base_url = f"{self.url}/v1"
        """What clients of the API take as their `base_url`."""
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Host | None = None
        self._failed: list[BaseException] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(app, listener, tls), name=f"antiphon-{self.port}", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._failed:
            self._thread.join()
            raise RuntimeError(f"the server at {self.url} did not start") from self._failed[0]
        _RUNNING.add(self)

    def _serve(self, app: RSGI, listener: socket.socket, tls: TLS | None) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._server = host_of(app, listener, tls)
            await self._server.run(self._ready.set)

        try:
            from .direct import loop_factory
            from .host import host_of

            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(serve())
        except BaseException as error:
            self._failed.append(error)
        finally:
            listener.close()
            self._ready.set()

    @property
    def running(self) -> bool:
        """Whether it still serves."""
        return os.getpid() == self._process and self._thread.is_alive()

    def stop(self, patience: float = PATIENCE) -> None:
        """Stop, from any thread; again does nothing. Returns when the port is closed.

        No new request is taken. Answers under way may take `patience` more seconds, then they are cut off.
        In a forked child it does nothing: the server lives in the parent.
        """
        if not self.running:
            return
        _RUNNING.discard(self)
        loop, server = self._loop, self._server
        if loop is not None and server is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed already
                loop.call_soon_threadsafe(server.stop, patience)
        if threading.current_thread() is not self._thread:
            self._thread.join(patience + 5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.to_thread(self.stop)

    def __repr__(self) -> str:
        return f"<server at {self.url}{'' if self.running else ', stopped'}>"


_RUNNING: weakref.WeakSet[Running] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """At the interpreter's end nobody reads answers any more."""
    for running in list(_RUNNING):
        running.stop(patience=0.0)


def serve_in_background(
    handler: Handler,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    filters: Iterable[Filter] = (),
    world: World | None = None,
    max_body: int | None = None,
    tls: TLS | None = None,
) -> Running:
    """Serve a handler from a thread of its own and return when it accepts requests.

    Port 0 means a free one. `filters` wrap the handler, the first outermost. `world` is how flows and streamed
    bodies touch the outside: a world with a virtual clock makes their pauses take no time. Bodies above
    `max_body` bytes are refused. Both default to the handler's attributes of these names. With `tls` it is https.
    Raises `PortInUse`, or `OSError` for an address that is not of this machine.
    """
    return Running(RSGI(handler, filters, world=world, max_body=max_body), host, port, tls)


def serve_until_signalled(
    handler: Handler,
    listener: socket.socket,
    *,
    filters: Iterable[Filter] = (),
    world: World | None = None,
    max_body: int | None = None,
    ready: Callable[[], None] = lambda: None,
    patience: float = PATIENCE,
    tls: TLS | None = None,
    reload: Callable[[], None] | None = None,
    beside: Iterable[tuple[Handler, socket.socket]] = (),
) -> None:
    """Serve a handler from this thread, the main one, until SIGINT or SIGTERM; a second signal cuts answers off.

    Answers under way may take `patience` more seconds. `reload` is called on the event loop with each SIGHUP.
    `beside` are handlers with listeners of their own that are served as long as the first is.
    """
    import signal

    from .direct import loop_factory
    from .host import host_of

    async def serve() -> None:
        server = host_of(RSGI(handler, filters, world=world, max_body=max_body), listener, tls)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            server.stop(0.0 if server.stopping.is_set() else patience)

        def install() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                try:
                    loop.add_signal_handler(number, stop)
                except NotImplementedError:  # Windows
                    signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
            if reload is not None and hasattr(signal, "SIGHUP"):
                loop.add_signal_handler(signal.SIGHUP, reload)
            ready()

        # Those beside it first: when its patience is over, the first cuts whatever came after it.
        others = [host_of(RSGI(each, world=world, max_body=max_body), place) for each, place in beside]
        running: list[asyncio.Task[None]] = []
        for each in others:
            begun = asyncio.Event()
            running.append(asyncio.ensure_future(each.run(begun.set)))
            waiting = asyncio.ensure_future(begun.wait())
            await asyncio.wait((running[-1], waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        await server.run(install)
        for each in others:
            each.stop(0.0)
        await asyncio.gather(*running)

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serve())
    finally:
        listener.close()


def _forget(**_: Any) -> None:
    _RUNNING.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
