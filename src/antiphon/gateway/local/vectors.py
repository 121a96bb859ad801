"""Embeddings by WordLlama: a table of vectors for tokens, averaged; small, fast, and real."""

from __future__ import annotations

import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ...kernel.errors import BadRequestError
from ...kernel.flow import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...kernel.flow import Flow
    from ...server.engine import EmbeddingRequest
    from ..config import ModelConfig

__all__ = ("WordVectors", "engines")

LENGTH: Final = 256


class WordVectors:
    """Embeds. The first n numbers of a vector, brought to length 1, are the vector for `dimensions=n`."""

    never_blocks: ClassVar[bool] = True

    def __init__(self) -> None:
        self._model: Any = None
        self._lock = threading.Lock()

    def __call__(self, request: EmbeddingRequest) -> Flow[list[list[float]]]:
        length = request.dimensions or LENGTH
        if length > LENGTH:
            raise BadRequestError.because(
                f"Invalid value for 'dimensions' = {length}. Must be less than or equal to {LENGTH}.",
                param="dimensions",
            )
        return self._embedded(list(request.inputs), length)

    def _embedded(self, texts: list[str], length: int) -> Flow[list[list[float]]]:
        found: list[list[float]] = yield Call(self._embed, texts, length)
        return found

    def _embed(self, texts: list[str], length: int) -> list[list[float]]:
        vectors: Any = self._loaded().embed(texts, norm=False)[:, :length]
        norms: Any = (vectors * vectors).sum(axis=1, keepdims=True) ** 0.5
        norms[norms == 0] = 1
        rows: list[list[float]] = (vectors / norms).tolist()
        return rows

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                wordllama = import_module("wordllama")
                home = Path(str(wordllama.__file__)).parent
                self._model = wordllama.WordLlama.load(cache_dir=home, disable_download=True)
            return self._model


def engines(config: ModelConfig) -> Mapping[str, Any]:
    """The engine."""
    return {"embeddings": WordVectors()}
