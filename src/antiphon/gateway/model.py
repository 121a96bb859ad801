"""A model behind the gateway: its configuration, its servers, and the convention it follows.

What it follows may have to be asked for, so it is found with the first request and remembered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conventions import convention, recognised
from .errors import misconfigured

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from .config import ModelConfig
    from .conventions import Convention
    from .oip.messages import InferRequest, InferResponse
    from .oip.protocol import Answers, Oip

__all__ = ("Model",)


class Model:
    """One model. `servers` is what its requests are sent through: one server, or replicas of it."""

    def __init__(self, config: ModelConfig, servers: Oip) -> None:
        self.config = config
        self.servers = servers
        self._convention: Convention | None = None
        if config.convention != "auto":
            cls = convention(config.convention)  # a wrong key is told before anybody asks
            if config.convention == "custom":
                self._convention = cls(config)

    @property
    def known(self) -> Convention | None:
        """Its convention, where it is known already."""
        return self._convention

    def follows(self) -> Flow[Convention]:
        """Its convention. Raises an error where none was configured, and its tensors speak of none."""
        if self._convention is None:
            config = self.config
            metadata = yield from self.servers.metadata(config.upstream_name, config.version)
            cls = recognised(metadata) if config.convention == "auto" else convention(config.convention)
            if cls is None:
                raise misconfigured(config, metadata)
            self._convention = cls(config, metadata)
        return self._convention

    def forget(self) -> None:
        """Look at the model anew with the next request: it was loaded again, or is another version."""
        if self.config.convention != "custom":
            self._convention = None

    def infer(self, request: InferRequest) -> Flow[InferResponse]:
        return self.servers.infer(request)

    def open(self, request: InferRequest) -> Flow[Answers]:
        return self.servers.open(request)
