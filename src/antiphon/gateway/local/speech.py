"""A voice: eSpeak NG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...engines.speech import Synthesizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config import ModelConfig

__all__ = ("engines",)


def engines(config: ModelConfig) -> Mapping[str, Any]:
    """The engine. `parameters` may say the `language`, `en-us` unless told."""
    return {"speech": Synthesizer(config.parameters.get("language", "en-us"))}
