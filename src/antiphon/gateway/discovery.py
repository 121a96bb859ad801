"""Models that nobody has written down: those in the repositories of servers that a configuration names."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..kernel.flow import Flow
    from ..kernel.http import Handler, Request, Response
    from .config import GatewayConfig, ModelConfig

__all__ = ("Discovery",)

EVERY: Final = 30.0
"""After how many seconds servers are asked again what they have."""

_READY: Final = ("", "READY")

log = logging.getLogger("antiphon.gateway")


class Discovery:
    """Knows the models of some servers, and tells `found` when they are others. `ask` is how a gateway is asked then.

    It goes on with what the one `before` it knew of the same servers.

    A server is asked with the first request that comes, and again with one that comes when that is a while ago; where
    it does not answer, its models stay those they were.
    """

    def __init__(
        self,
        config: GatewayConfig,
        found: Callable[[Discovery], object],
        ask: Handler,
        before: Discovery | None = None,
    ) -> None:
        self.config = config
        self.found = found
        self.ask = ask
        self.models: dict[str, ModelConfig] = {}
        self._names: dict[str, list[str]] = {}
        if before is not None and before.config.discover == config.discover:
            self.models, self._names = before.models, before._names
        self._due = 0.0
        self._lock = threading.Lock()

    def __call__(self, handler: Handler) -> Handler:
        if not self.config.discover:
            return handler

        def look_first(request: Request) -> Response | Flow[Response]:
            return handler(request) if monotonic() < self._due else self._then(request)

        return look_first

    def _then(self, request: Request) -> Flow[Response]:
        yield from self.refreshed()
        answer: Any = self.ask(request)  # by what is known now
        whole: Response = answer if hasattr(answer, "status") else (yield from answer)
        return whole

    def refreshed(self, *, now: bool = False) -> Flow[None]:
        """Ask the servers where that is due, or `now`. Raises nothing."""
        with self._lock:
            if not self.config.discover or (monotonic() < self._due and not now):
                return
            self._due = monotonic() + EVERY  # others go on with what is known
        for url in self.config.discover:
            yield from self._ask(url)
        models: dict[str, ModelConfig] = {}
        for url, names in self._names.items():
            for name in names:
                if name not in self.config.models:
                    before = models.get(name)
                    urls = (url,) if before is None else (*before.urls, url)
                    models[name] = replace(self.config.discovered, name=name, urls=urls)
        if models != self.models:
            self.models = models
            self.found(self)

    def _ask(self, url: str) -> Flow[None]:
        from .oip.connect import connect

        server = connect(url, self.config.discovered)
        try:
            entries = yield from server.index()
        except APIError as error:
            if url not in self._names:
                with self._lock:
                    self._due = min(self._due, monotonic() + 1.0)  # nothing is known of it: soon again
            log.warning("%s does not say which models it has: %s", url, error.message)
            return
        finally:
            server.close()
        ready = [entry.name for entry in entries if entry.state.upper() in _READY]
        self._names[url] = list(dict.fromkeys(ready))
