"""Models that have texts for an input and vectors for an output, whatever these are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from ..oip.messages import Tensor
from . import Convention
from ._vectors import FLOATS, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...server.engine import EmbeddingRequest
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata, TensorSpec

__all__ = ("TextEmbeddings",)

_DEFAULT: Final = "input"


class TextEmbeddings(Convention):
    """`BYTES` in and floating-point numbers out, a row a text; vectors of tokens are averaged."""

    key: ClassVar[str] = "embeddings"
    rank: ClassVar[int] = 70
    kinds: frozenset[str] = frozenset({"embeddings"})
    streams: bool = False

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        needed = [each for each in metadata.inputs if not each.optional]
        texts = [each for each in needed if each.datatype == "BYTES"]
        vectors = [each for each in metadata.outputs if each.datatype in FLOATS and _is_row(each, metadata)]
        return len(texts) == 1 == len(needed) and bool(vectors)

    def ask_vectors(self, request: EmbeddingRequest, inputs: Sequence[str]) -> InferRequest:
        spec = self._spec
        name, dimensions = (_DEFAULT, 1) if spec is None else (spec.name, max(1, len(spec.shape)))
        return self.asking([Tensor.of(name, *inputs, shape=(len(inputs), *(1,) * (dimensions - 1)))])

    def vectors(self, response: InferResponse, count: int) -> Sequence[Sequence[float]]:
        return rows(response, count)

    @property
    def batch(self) -> int:
        metadata = self.metadata
        if metadata is not None and metadata.max_batch_size:
            return metadata.max_batch_size
        spec = self._spec
        return 1 if spec is not None and spec.shape and spec.shape[0] == 1 else 0

    @property
    def _spec(self) -> TensorSpec | None:
        texts = [each for each in self.inputs.values() if each.datatype == "BYTES"]
        return next((each for each in texts if not each.optional), texts[0] if texts else None)


def _is_row(spec: TensorSpec, metadata: ModelMetadata) -> bool:
    return len(spec.shape) >= 2 or (not metadata.max_batch_size and len(spec.shape) == 1)
