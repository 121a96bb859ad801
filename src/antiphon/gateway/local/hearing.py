"""An ear: PocketSphinx, for English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...engines.transcription import Recognizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config import ModelConfig

__all__ = ("engines",)


def engines(config: ModelConfig) -> Mapping[str, Any]:
    """The engine."""
    return {"transcriptions": Recognizer()}
