"""What can stand behind a model of the gateway: a file each, found by the name that configurations have for it.

A module here has `serve(config)`, which gives the `Backend` of a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ...kernel.flow import Flow
    from ...kernel.http import Request, Response
    from ..config import ModelConfig
    from ..pool import Pool

__all__ = ("Backend", "backend", "backends")


class Backend(Protocol):
    """What serves one model."""

    config: ModelConfig

    @property
    def pool(self) -> Pool[Any] | None:
        """Its servers, where it has any."""
        ...

    @property
    def engines(self) -> Mapping[str, Any]:
        """The engines of the model, by what it does: `chat`, `embeddings`, `images`, `moderations`, `speech`,
        `transcriptions`.
        """
        ...

    def passes(self, path: str) -> bool:
        """Whether requests to an address of the API, such as `/chat/completions`, go to its server as they are."""
        ...

    def forward(self, path: str, request: Request, body: dict[str, Any] | None) -> Flow[Response]:
        """Pass a request on. `body` is the decoded one where it is JSON."""
        ...

    def ready(self) -> Flow[bool]:
        """Whether it can be asked now."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@cache
def backends() -> tuple[str, ...]:
    """The names of all there are."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_")))


def backend(config: ModelConfig) -> Backend:
    """The backend of a model. Raises `ValueError`, which lists those there are, for a name of none."""
    if config.backend not in backends():
        raise ValueError(f"there is no backend {config.backend!r}; there are {', '.join(backends())}")
    made: Backend = import_module(f".{config.backend}", __name__).serve(config)
    return made
