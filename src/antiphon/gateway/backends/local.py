"""A model that runs in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..local import engines

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Request, Response
    from ..config import ModelConfig
    from ..pool import Pool

__all__ = ("LocalBackend", "serve")


class LocalBackend:
    """Runs a model."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.pool: Pool[Any] | None = None
        self.engines = engines(config)

    def passes(self, path: str) -> bool:
        """Never: there is no server to pass anything on to."""
        return False

    def forward(self, path: str, request: Request, body: dict[str, Any] | None) -> Flow[Response]:
        raise NotImplementedError

    def ready(self) -> Flow[bool]:
        yield from ()
        return True

    def close(self) -> None:
        """Models go when nobody holds them."""


def serve(config: ModelConfig) -> LocalBackend:
    """The backend of a model. Raises `ImportError` with how to install it, `ValueError` for a name of none."""
    return LocalBackend(config)
