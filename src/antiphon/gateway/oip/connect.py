"""A server of the protocol by its address."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..patience import transport_timeout
from .rest import Rest

if TYPE_CHECKING:
    from ..config import ModelConfig
    from .protocol import Oip

__all__ = ("SCHEMES", "connect")


def connect(url: str, config: ModelConfig) -> Oip:
    """What asks the server at `url` for a model: `http://`, `https://`, `grpc://`, or `grpcs://` for gRPC with TLS.

    Nothing is sent before the first question. Raises `ValueError` for an address of another kind, `ImportError` for
    gRPC where grpcio is not installed, `OSError` for certificates that cannot be read.
    """
    opened = SCHEMES.get(urlsplit(url).scheme)
    if opened is None:
        raise ValueError(f"{url!r} is no address of a server; one begins with {', '.join(f'{s}://' for s in SCHEMES)}")
    return opened(url, config)


def _rest(url: str, config: ModelConfig) -> Oip:
    headers = dict(config.headers)
    if config.pipeline and "seldon-model" not in {name.lower() for name in headers}:
        headers["seldon-model"] = f"{config.upstream_name}.pipeline"
    return Rest(
        url,
        headers=headers,
        name=config.name,
        timeout=transport_timeout(config.patience),
        stream=config.stream,
        pipeline=config.pipeline,
        roots=config.roots,
    )


def _grpc(url: str, config: ModelConfig) -> Oip:
    from .grpc import Grpc

    return Grpc(
        url,
        headers=config.headers,
        name=config.name,
        connect=config.patience.connect,
        pipeline=config.pipeline,
        roots=config.roots,
    )


SCHEMES: Final[dict[str, Callable[[str, ModelConfig], Oip]]] = {
    "http": _rest,
    "https": _rest,
    "grpc": _grpc,
    "grpcs": _grpc,
}
