"""Embedding models of Seldon's LLM module: texts in `input`, vectors in `embedding`, the provider's answer in
`output_all`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..oip.messages import Tensor
from . import Convention
from ._options import VERSION
from ._reading import json_object
from ._vectors import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...server.engine import EmbeddingRequest
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata

__all__ = ("SeldonEmbeddings",)

_OURS = frozenset(("model", "input", "encoding_format", VERSION))
"""What the runtime is not told: it gives numbers, which the gateway writes as the caller wants them."""


class SeldonEmbeddings(Convention):
    """All other parameters are `llm_parameters` for one runtime and `embedding_parameters` for the other."""

    key: ClassVar[str] = "seldon-embeddings"
    rank: ClassVar[int] = 60
    kinds: frozenset[str] = frozenset({"embeddings"})
    streams: bool = False
    shortens: bool = True

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        names = {each.name for each in metadata.inputs}
        return names == {"input"} and any(each.name in ("embedding", "output_all") for each in metadata.outputs)

    def ask_vectors(self, request: EmbeddingRequest, inputs: Sequence[str]) -> InferRequest:
        options = {name: value for name, value in request.body.items() if name not in _OURS and value is not None}
        if request.dimensions is not None:
            options["dimensions"] = request.dimensions
        parameters = {"llm_parameters": options, "embedding_parameters": options}
        return self.asking([Tensor.of("input", *inputs)], parameters)

    def vectors(self, response: InferResponse, count: int) -> Sequence[Sequence[float]] | dict[str, Any]:
        told = response.output("output_all")
        if told is not None and told.data:
            body = json_object(told.texts[0])
            if body is not None and isinstance(body.get("data"), list):
                if len(body["data"]) != count:
                    raise ValueError(f"there are {len(body['data'])} vectors in it where {count} were asked for")
                return body
        return rows(response, count, "embedding")
