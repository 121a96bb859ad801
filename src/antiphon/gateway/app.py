"""The gateway: the server of the API over engines that ask models behind the Open Inference Protocol.

gateway = Gateway(models={"chatgpt": "http://localhost:8080"})
client = OpenAI(transport=gateway)          # in process
gateway.start(port=9000)                    # or on a port
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..server.app import Server
from ..server.engine import Engines
from .backends import Backend, backend
from .config import GatewayConfig, ModelConfig
from .passing import passing
from .world import NetworkClock, NetworkWorld

if TYPE_CHECKING:
    from ..client import AsyncOpenAI, OpenAI
    from ..hosting.run import Running
    from ..kernel.flow import Flow, World
    from ..kernel.http import Handler, Request, Response

__all__ = ("Gateway",)


class Gateway:
    """The OpenAI API in front of models.

    `models` names them: each is a `ModelConfig`, or the address of its server. `config` has everything else; what is
    given in both is taken from `models`. `transport` is how its servers are reached.
    """

    def __init__(
        self,
        config: GatewayConfig | None = None,
        *,
        models: Mapping[str, ModelConfig | str] | None = None,
        transport: Any = None,
    ) -> None:
        config = GatewayConfig() if config is None else config
        if models is not None:
            given = {name: _model(name, each) for name, each in models.items()}
            config = replace(config, models={**config.models, **given})
        self.config = config
        self._world = NetworkWorld(transport)
        self.backends = {name: backend(each) for name, each in config.models.items()}
        self.server = Server(
            _engines(self.backends),
            clock=NetworkClock(self._world),
            models=list(self.backends),
            organization=config.organization,
            max_body=config.max_body,
            unknown_fields="allow",
            authentication=lambda handler: _open(passing(self.backends, config.max_body)(handler)),
        )

    def __call__(self, request: Request) -> Response | Flow[Response]:
        """Answer a request."""
        return self.server(request)

    @property
    def world(self) -> World:
        """The world to drive its flows in."""
        return self._world

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""
        return self.server.max_body

    def start(self, port: int = 9000, host: str = "127.0.0.1") -> Running:
        """Serve on a port from a thread of its own; port 0 takes a free one."""
        from ..hosting.run import serve_in_background

        return serve_in_background(self, host, port)

    def client(self, **options: Any) -> OpenAI:
        """A client of this package that calls the gateway in process. Takes the options of `OpenAI`."""
        from ..client import OpenAI

        return OpenAI(**self._connected(options))

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """An async client of this package that calls the gateway in process. Takes the options of `AsyncOpenAI`."""
        from ..client import AsyncOpenAI

        return AsyncOpenAI(**self._connected(options))

    def _connected(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"api_key": "none", "base_url": "http://gateway/v1", "transport": self, **options}


def _model(name: str, given: ModelConfig | str) -> ModelConfig:
    return ModelConfig(name, (given,)) if isinstance(given, str) else given


def _engines(backends: Mapping[str, Backend]) -> Engines:
    """The engines of all models, by what they do and by name."""
    kinds = ("chat", "embeddings", "images", "moderations", "speech", "transcriptions")
    made: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for name, each in backends.items():
        for kind, engine in each.engines.items():
            made[kind][name] = engine
    return Engines(*made.values())


def _open(handler: Handler) -> Handler:
    return handler
