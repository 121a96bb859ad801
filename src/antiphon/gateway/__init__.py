"""The OpenAI API in front of models that are served over the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from .app import Gateway as Gateway
    from .config import GatewayConfig as GatewayConfig
    from .config import KeyConfig as KeyConfig
    from .config import ModelConfig as ModelConfig
    from .config import Patience as Patience
    from .config import TensorConfig as TensorConfig
    from .loading import ConfigError as ConfigError
    from .loading import load as load
    from .loading import loads as loads

_WHERE = {
    "ConfigError": ".loading",
    "Gateway": ".app",
    "GatewayConfig": ".config",
    "KeyConfig": ".config",
    "ModelConfig": ".config",
    "Patience": ".config",
    "TensorConfig": ".config",
    "load": ".loading",
    "loads": ".loading",
}

__all__ = tuple(sorted(_WHERE))  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazily(__name__, _WHERE)
