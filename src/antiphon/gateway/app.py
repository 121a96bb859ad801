"""The gateway: the server of the API over engines that ask models behind the Open Inference Protocol.

gateway = Gateway("gateway.toml")
gateway = Gateway(models={"chatgpt": "http://localhost:8080"})

gateway.client().chat.completions.create(...)     # in process
with gateway.start(port=9000) as server: ...      # on a port, for any client in any language
app.mount("/openai", gateway.asgi())              # within an ASGI application
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..kernel.errors import BadRequestError
from ..server.app import Server
from ..server.engine import Engines
from .addresses import protocol, seldon
from .backends import Backend, backend
from .config import GatewayConfig, ModelConfig
from .discovery import Discovery
from .fallbacks import falling_back
from .forwarding import Forwarding
from .health import pages
from .keys import Keys, LocalBuckets, guarded
from .passing import passing
from .world import NetworkClock, NetworkWorld

if TYPE_CHECKING:
    from ..client import AsyncOpenAI, OpenAI
    from ..hosting.asgi import ASGI
    from ..hosting.run import TLS, Running
    from ..kernel.dialogue import Dialogue
    from ..kernel.flow import Flow, World
    from ..kernel.http import Handler, Request, Response
    from ..transports.httpx2 import HandlerTransport
    from .keys import Buckets
    from .observing import Observer

__all__ = ("PORT", "Gateway", "tls")

PORT = 9000
"""The port a gateway is started on unless told otherwise."""

ORIGIN = "http://gateway.test"
"""Where clients in process address it. Addresses below `.test` lead nowhere."""


class Gateway:
    """The OpenAI API in front of models. It is a handler: calling it answers a request.

    `config` is a `GatewayConfig`, the path of a TOML file, or a mapping of the shape the file has. `models` are further
    ones, or others in place of its own: each is a `ModelConfig`, or the address of its server. `transport` is how its
    servers are reached over HTTP. `buckets` is where the limits of keys are kept.

    Raises `ConfigError` with all that is wrong with a configuration, and `OSError` for a file that cannot be read.
    """

    at_once: ClassVar[bool] = False
    """Hosts call it on the loop that waits for its servers: hardly an answer is there at once."""

    def __init__(
        self,
        config: GatewayConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None,
        *,
        models: Mapping[str, ModelConfig | str] | None = None,
        transport: Any = None,
        buckets: Buckets | None = None,
    ) -> None:
        self.config = _config(config, models)
        """What it was told."""
        self.closed = False
        self._world = NetworkWorld(transport)
        self._buckets: Buckets = LocalBuckets() if buckets is None else buckets
        self._inner: Handler | None = None
        self._door: Handler
        self._changing = threading.Lock()
        self.observer = _observer(self.config)
        """What watches it, for `/metrics` and for traces; `None` where neither is wanted."""
        self.backends: dict[str, Backend] = {}
        """What serves each model, by its name."""
        for name, each in self.config.models.items():
            self.backends[name] = self._backend(each)
        self.server = Server(
            _engines(self.backends, self.observer),
            clock=NetworkClock(self._world),
            # Ids are not those of another process, nor of one that was here before.
            seed=token_hex(8),
            models=list(self.backends),
            organization=self.config.organization,
            max_body=self.config.max_body,
            unknown_fields="allow",
            authentication=self._entered,
            published_limits=False,
            embedder=self.config.embedder,
            around=None if self.observer is None else self.observer.filter,
        )
        """The server of the API behind it, with its store, clock, ids and engines."""
        self._furnish()
        self.pages: dict[str, Handler] = pages(self)
        """What is answered without a key, by its path."""
        if self.observer is not None and self.config.metrics:
            self.pages["/metrics"] = self.observer.page

    def _entered(self, handler: Handler) -> Handler:
        """What the server has its requests pass: whatever the door is now. Websockets need a key, and no more."""
        if self._inner is not None:
            return self.keys(handler)
        self._inner = handler
        return self._through

    def _through(self, request: Request) -> Response | Flow[Response]:
        return self._door(request)

    def _build(self) -> None:
        assert self._inner is not None
        forward = Forwarding(self.backends, self.observer)
        config = self.config
        door = protocol(self.backends, passed=config.protocol)(
            passing(self.backends, config.max_body, forward)(self._inner)
        )
        self._door = self.discovery(seldon(self.backends, config.max_body)(self.keys(door)))

    def _backend(self, config: ModelConfig) -> Backend:
        made = backend(config)
        if made.pool is not None and self.observer is not None:
            made.pool.told_to(self.observer.meters(config))
        return made

    def _furnish(self, before: Discovery | None = None) -> None:
        """Make what follows from the configuration, and let it take the place of what was there."""
        config = self.config
        self.keys = Keys(config, self._buckets)
        self.keys.store = self.server.store
        self.server.embedder = config.embedder
        self.discovery = Discovery(config, self._discovered, self._through, before)
        self._build()

    def _serve(self, models: Mapping[str, ModelConfig]) -> None:
        """Have these models: those that are as they were stay, with their connections and what is known of them."""
        before = self.backends
        kept = {name: each for name, each in before.items() if name in models and each.config == models[name]}
        made = {name: self._backend(each) for name, each in models.items() if name not in kept}
        self.backends = {name: kept.get(name) or made[name] for name in models}
        self.server.engines = _engines(self.backends, self.observer)
        self.server.models = tuple(self.backends)
        for name, each in before.items():
            if name not in kept:
                each.close()

    def _discovered(self, by: Discovery) -> None:
        with self._changing:
            if by is self.discovery:  # else it looked for what is no longer wanted
                self._serve({**self.config.models, **by.models})
                self._build()

    def reload(self, config: GatewayConfig | Mapping[str, Any] | str | os.PathLike[str]) -> None:
        """Be told something else: models, keys and their settings, from the next request on.

        Nothing that is under way is cut: it goes on with the servers it has. What is kept (files, Responses …) stays.
        Where it listens, TLS, workers and the log are not changed so. Raises as the constructor does, with nothing
        changed.
        """
        config = _config(config, None)
        Keys(config)  # raises what is wrong with them before anything is changed
        with self._changing:
            found = self.discovery.models if config.discover == self.config.discover else {}
            others = {name: each for name, each in found.items() if name not in config.models}
            self._serve({**config.models, **others})
            self.config = config
            self._furnish(self.discovery)

    def close(self) -> None:
        """Let go of every connection, once nothing is under way any more. Twice does nothing."""
        if not self.closed:
            self.closed = True
            for each in self.backends.values():
                each.close()
            if self._world.connections is not None:
                self._world.connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = ", ".join(self.backends) or "no models"
        return f"<Gateway to {names}{', closed' if self.closed else ''}>"

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request."""
        page = self.pages.get(request.path)
        return self.server(request) if page is None else page(request)

    def dialogue(self, request: Request) -> Dialogue | Response:
        """Open a websocket, or refuse to."""
        return self.server.dialogue(request)

    @property
    def world(self) -> World:
        """The world to drive its flows in."""
        return self._world

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""
        return self.server.max_body

    # Ways to it

    def warm(self) -> None:
        """Load what the first request would have to wait for, and what later ones may on a thread of its own."""
        from ..kernel.http import Request
        from ..schema import operation
        from ..server import tokens

        tokens.prepare()
        tokens.preload(after=tokens.SETTLED)
        self.server.inner(Request("GET", "/v1/models"))
        for name in ("chat.completions.create", "embeddings.create"):
            operation(name)

    def start(self, port: int | None = None, host: str | None = None) -> Running:
        """Serve on a port from a thread of its own; port 0 takes a free one. Both are the configuration's unless told.

        The handle has the server's `url`, `base_url`, `host` and `port`, and `stop()`; it is a context manager, plain
        and async. Needs `antiphon[gateway]`. Raises `PortInUse` when the port is taken, and `ValueError` where others
        could reach it without a key though the configuration does not say that it is open.
        """
        from ..hosting.run import serve_in_background

        config = self.config
        host = config.host if host is None else host
        guarded(config, host)
        self.warm()
        return serve_in_background(self, host, config.port if port is None else port, tls=tls(config))

    def asgi(self) -> ASGI:
        """The gateway as an ASGI application, to be served or mounted anywhere."""
        from ..hosting.asgi import ASGI

        return ASGI(self)

    def client(self, **options: Any) -> OpenAI:
        """A client of this package that calls the gateway in process. Takes the options of `OpenAI`."""
        from ..client import OpenAI

        return OpenAI(**self._connected(options))

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """An async client of this package that calls the gateway in process. Takes the options of `AsyncOpenAI`."""
        from ..client import AsyncOpenAI

        return AsyncOpenAI(**self._connected(options))

    def _connected(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"api_key": "none", "base_url": f"{ORIGIN}/v1", "transport": self, **options}

    def official_transport(self) -> HandlerTransport:
        """A transport of httpx2 that calls the gateway in process, for clients of the official package.

            openai.OpenAI(api_key="any", http_client=httpx2.Client(transport=gateway.official_transport()))

        It serves blocking and async clients alike. Needs `httpx2`, which comes with the official package.
        """
        from ..transports.httpx2 import HandlerTransport

        return HandlerTransport(self)


def tls(config: GatewayConfig) -> TLS | None:
    """The certificate and the key of a configuration, where it has them."""
    from ..hosting.run import TLS

    if config.certificate is None or config.private_key is None:
        return None
    return TLS(Path(config.certificate), Path(config.private_key))


def _config(given: Any, models: Mapping[str, ModelConfig | str] | None) -> GatewayConfig:
    if isinstance(given, (str, os.PathLike)):
        from .loading import load

        given = load(given)
    elif isinstance(given, Mapping):
        from .loading import of

        given = of(given)
    config: GatewayConfig = GatewayConfig() if given is None else given
    if models is None:
        return config
    named = {name: _model(name, each) for name, each in models.items()}
    return replace(config, models={**config.models, **named})


def _model(name: str, given: ModelConfig | str) -> ModelConfig:
    return ModelConfig(name, (given,)) if isinstance(given, str) else given


def _observer(config: GatewayConfig) -> Observer | None:
    if not config.metrics and not config.traces:
        return None
    from .observing import Observer

    return Observer(config)


class _Unable:
    """An engine that says that the model does nothing of the kind."""

    def __init__(self, backend: Backend, kind: str) -> None:
        config = backend.config
        # What a model behind the protocol does is its convention's to say, and may not be known yet.
        does = config.kinds or (frozenset() if config.backend == "oip" else frozenset(backend.engines))
        told = f": it does {' and '.join(sorted(does))}" if does else ""
        self._words = f"The model `{config.name}` does not do {kind}{told}."

    def __call__(self, request: Any) -> Any:
        self.check()

    def check(self) -> None:
        """Refuse before anything is asked, which is when videos are queued."""
        raise BadRequestError.because(self._words, param="model", code="model_not_supported")


def _engines(backends: Mapping[str, Backend], observer: Observer | None) -> Engines:
    """The engines of all models, by what they do and by name, with those that stand in for them."""
    kinds = ("chat", "embeddings", "images", "moderations", "speech", "transcriptions", "videos")
    made: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, each in backends.items():
        for kind, engine in each.engines.items():
            made[kind][name] = engine if observer is None else observer.engine(each.config, kind, engine)
    for kind, engines in made.items():
        alone = dict(engines)
        for name, engine in alone.items():
            others = [(other, alone[other]) for other in backends[name].config.fallbacks if other in alone]
            if others:
                told = None if observer is None else observer.meters(backends[name].config).fell_back
                engines[name] = falling_back(engine, others, told, speaks=kind == "chat")
        for name, each in backends.items():
            if name not in engines:
                engines[name] = _Unable(each, kind)
    return Engines(*made.values(), bounded=True)
