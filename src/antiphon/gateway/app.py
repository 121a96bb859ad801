"""The gateway: the server of the API over engines that ask models behind the Open Inference Protocol.

gateway = Gateway(models={"chatgpt": "http://localhost:8080"})
client = OpenAI(transport=gateway)          # in process
gateway.start(port=9000)                    # or on a port
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..kernel.options import Timeout
from ..server.app import Server
from ..server.engine import Engines
from .config import GatewayConfig, ModelConfig
from .engines import ChatModel, EmbeddingModel, ImageModel
from .model import Model
from .oip.rest import Rest
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
        self.models = {name: Model(each, _servers(each)) for name, each in config.models.items()}
        self.server = Server(
            _engines(self.models),
            clock=NetworkClock(self._world),
            models=list(self.models),
            organization=config.organization,
            max_body=config.max_body,
            unknown_fields="allow",
            authentication=_open,
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

        return OpenAI(**{"api_key": "none", "base_url": "http://gateway/v1", "transport": self, **options})

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """An async client of this package that calls the gateway in process. Takes the options of `AsyncOpenAI`."""
        from ..client import AsyncOpenAI

        return AsyncOpenAI(**{"api_key": "none", "base_url": "http://gateway/v1", "transport": self, **options})


def _model(name: str, given: ModelConfig | str) -> ModelConfig:
    return ModelConfig(name, (given,)) if isinstance(given, str) else given


def _servers(config: ModelConfig) -> Any:
    patience = config.patience
    timeout = Timeout(patience.first, connect=patience.connect)
    return Rest(config.urls[0], headers=config.headers, timeout=timeout)


def _engines(models: Mapping[str, Model]) -> Engines:
    chat: Any = {name: ChatModel(model) for name, model in models.items()}
    embeddings: Any = {name: EmbeddingModel(model) for name, model in models.items()}
    images: Any = {name: ImageModel(model) for name, model in models.items()}
    return Engines(chat, embeddings, images)


def _open(handler: Handler) -> Handler:
    return handler
