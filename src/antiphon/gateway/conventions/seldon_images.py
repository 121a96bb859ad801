"""Image models of Seldon's LLM module: the text in `prompt`, the provider's answer in `output_all`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..oip.messages import Tensor
from . import Convention
from ._options import VERSION
from ._pictures import files_in, picture_files
from ._reading import json_object

if TYPE_CHECKING:
    from ...server.engine import ImageRequest
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata

__all__ = ("SeldonImages",)

_ASKED = frozenset(("model", "prompt", VERSION))


class SeldonImages(Convention):
    """All other parameters are `llm_parameters`."""

    key: ClassVar[str] = "seldon-images"
    rank: ClassVar[int] = 50
    kinds: frozenset[str] = frozenset({"images"})
    streams: bool = False
    several: bool = True

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        if not any(each.name == "prompt" for each in metadata.inputs):
            return False
        return any(each.name == "output_all" for each in metadata.outputs)

    def ask_images(self, request: ImageRequest) -> InferRequest:
        options = {name: value for name, value in request.body.items() if name not in _ASKED and value is not None}
        if request.n != (request.body.get("n") or 1):
            options["n"] = request.n
        return self.asking([Tensor.of("prompt", request.prompt)], {"llm_parameters": options})

    def images(self, response: InferResponse, request: ImageRequest) -> list[bytes] | dict[str, Any]:
        told = response.output("output_all")
        if told is not None and told.data:
            body = json_object(told.texts[0])
            if body is not None and isinstance(body.get("data"), list):
                return body if request.whole else files_in(body, request)
        return picture_files(response, request)
