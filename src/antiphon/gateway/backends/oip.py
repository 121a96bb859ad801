"""A model behind the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engines import ChatModel, EmbeddingModel, ImageModel
from ..model import Model
from ..oip.connect import connect
from ..servers import Servers

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Request, Response
    from ..config import ModelConfig

__all__ = ("OipBackend", "serve")


class OipBackend:
    """Asks a model the way its convention says."""

    def __init__(self, config: ModelConfig, servers: Servers) -> None:
        self.config = config
        self.pool = servers.pool
        self.model = Model(config, servers)
        made = {
            "chat": ChatModel(self.model),
            "embeddings": EmbeddingModel(self.model),
            "images": ImageModel(self.model),
        }
        self.engines = {kind: each for kind, each in made.items() if not config.kinds or kind in config.kinds}

    def passes(self, path: str) -> bool:
        """Never: its servers speak another language."""
        return False

    def forward(self, path: str, request: Request, body: dict[str, Any] | None) -> Flow[Response]:
        raise NotImplementedError

    def ready(self) -> Flow[bool]:
        return self.model.servers.ready(self.config.upstream_name, self.config.version)

    def close(self) -> None:
        self.model.servers.close()


def serve(config: ModelConfig) -> OipBackend:
    """The backend of a model."""
    return OipBackend(config, Servers(config, [(url, connect(url, config)) for url in config.urls]))
