"""A gateway in the foreground, in one process or in several, told anew by SIGHUP."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket

    from ..kernel.http import Headers
    from .config import GatewayConfig
    from .keys import Buckets

__all__ = ("serve",)

_RESTART: Final = (
    "host",
    "port",
    "workers",
    "certificate",
    "private_key",
    "log",
    "metrics",
    "traces",
    "max_body",
    "organization",
    "drain_seconds",
)
"""Settings that count from the start on only."""

Load = Callable[[], "GatewayConfig"]


def serve(config: GatewayConfig, listener: socket.socket, load: Load | None, ready: Callable[[], None]) -> int:
    """Serve until a signal, and give the exit code. `load` reads the configuration again, where it can be."""
    from .workers import cores

    count = cores() if config.workers == "auto" else config.workers
    if count == 1 or not hasattr(os, "fork"):
        return _one(config, listener, load, ready)
    return _several(count, config, listener, load, ready)


def _one(
    config: GatewayConfig,
    listener: socket.socket,
    load: Load | None,
    ready: Callable[[], None],
    *,
    buckets: Buckets | None = None,
    place: int = 0,
    home: socket.socket | None = None,
    quiet: bool = False,
) -> int:
    """Serve from this process. `home` is where the first of several answers the others."""
    from ..hosting.run import serve_until_signalled
    from .app import Gateway, tls
    from .log import access_log
    from .sharing import OfOthers, Others

    gateway = Gateway(config, buckets=buckets)
    gateway.warm()
    handler: Any = gateway
    beside: list[Any] = []
    if home is not None and place:
        handler = Others(gateway, f"http://127.0.0.1:{home.getsockname()[1]}")
    elif home is not None:
        beside = [(OfOthers(gateway), home)]

    def name_of(headers: Headers) -> str | None:
        return gateway.keys.name_of(headers)  # the keys it has now

    def reload() -> None:
        assert load is not None
        said = _reloaded(gateway.config, load)
        if isinstance(said, str):
            if not quiet:
                _say(said)
            return
        try:
            gateway.reload(said)
        except Exception as error:  # what does not work is not begun with
            _say(f"the configuration stays as it was: {error}")
            return
        if not quiet:
            _say(_news(config, said))

    try:
        serve_until_signalled(
            handler,
            listener,
            filters=access_log(config.log, name_of),
            world=gateway.world,
            max_body=gateway.max_body,
            ready=ready,
            patience=config.drain_seconds,
            tls=tls(config),
            reload=None if load is None else reload,
            beside=beside,
        )
    finally:
        gateway.close()
    return 0


def _several(
    count: int, config: GatewayConfig, listener: socket.socket, load: Load | None, ready: Callable[[], None]
) -> int:
    import shutil
    import tempfile

    from ..hosting.run import bind
    from .metrics import DIRECTORY
    from .sharing import SharedBuckets
    from .workers import Workers

    made = None
    if config.metrics and not os.environ.get(DIRECTORY):
        made = os.environ[DIRECTORY] = tempfile.mkdtemp(prefix="antiphon-gateway-")
    buckets = SharedBuckets() if config.keys or load is not None else None
    current = config

    def child(place: int, begun: Callable[[], None]) -> int:
        return _one(current, listener, load, begun, buckets=buckets, place=place, home=home, quiet=True)

    def reload() -> bool:
        nonlocal current
        if load is None:
            return False
        said = _reloaded(current, load)
        if isinstance(said, str):
            _say(said)
            return False
        _say(_news(config, said))
        current = _with(config, said)
        return True

    try:
        with bind("127.0.0.1", 0) as home:
            return Workers(count, child, _say).run(ready, reload)
    finally:
        listener.close()
        if made is not None:
            with suppress(OSError):
                shutil.rmtree(made)


def _with(config: GatewayConfig, said: GatewayConfig) -> GatewayConfig:
    """What is said now, with what counts from the start on."""
    return replace(said, **{name: getattr(config, name) for name in _RESTART})


def _reloaded(config: GatewayConfig, load: Load) -> GatewayConfig | str:
    """The configuration read again, or why it stays as it was."""
    from .loading import ConfigError

    try:
        return load()
    except ConfigError as error:
        return "the configuration stays as it was:\n" + "\n".join(f"  {each}" for each in error.problems)
    except (OSError, ValueError) as error:
        return f"the configuration stays as it was: {error}"


def _news(config: GatewayConfig, said: GatewayConfig) -> str:
    names = ", ".join(said.models) or "none"
    late = [each.name for each in fields(said) if each.name in _RESTART and _differs(config, said, each.name)]
    restart = f"; {', '.join(late)} will be as said after a restart" if late else ""
    return f"the configuration has been read again; models: {names}{restart}"


def _differs(config: GatewayConfig, said: GatewayConfig, name: str) -> bool:
    before, now = getattr(config, name), getattr(said, name)
    return bool(before != now)


def _say(words: str) -> None:
    print(f"antiphon: {words}", file=sys.stderr, flush=True)  # noqa: T201 (for whoever started it)
