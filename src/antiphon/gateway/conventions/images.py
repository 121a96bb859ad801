"""Models that have a text for an input and pictures for an output: encoded files, base64, or samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from . import Convention
from ._pictures import picture_files, sized

if TYPE_CHECKING:
    from ...server.engine import ImageRequest
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata, Tensor, TensorSpec

__all__ = ("TextImages",)

_PROMPTS: Final = ("prompt", "text", "text_input", "input", "caption")
_NAMES: Final = {
    "n": ("n", "num_images", "num_images_per_prompt", "samples", "batch_size"),
    "width": ("width",),
    "height": ("height",),
    "seed": ("seed", "generator_seed"),
    "format": ("format", "output_format"),
    "size": ("size",),
}
"""What inputs may be called that have what every request says. Others have the field of the body of their name."""
_SIZES: Final = frozenset(("width", "height", "size"))


class TextImages(Convention):
    """A `BYTES` input for the prompt; others that the model declares get what the request says by their names."""

    key: ClassVar[str] = "images"
    rank: ClassVar[int] = 65
    kinds: frozenset[str] = frozenset({"images"})
    streams: bool = False

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        named = any(each.name.lower() in _PROMPTS and each.datatype == "BYTES" for each in metadata.inputs)
        return named and any(_is_picture(each) for each in metadata.outputs)

    def ask_images(self, request: ImageRequest) -> InferRequest:
        name = self._prompt
        inputs = [self.tensor(name, "BYTES", request.prompt)]
        inputs += [made for spec in self.inputs.values() if spec.name != name and (made := self._other(spec, request))]
        return self.asking(inputs)

    def _other(self, spec: TensorSpec, request: ImageRequest) -> Tensor | None:
        value: Any = request.body.get(spec.name)
        known: dict[str, Any] = {
            "n": request.n,
            "width": request.width,
            "height": request.height,
            "seed": request.body.get("seed"),
            "format": request.format,
            "size": f"{request.width}x{request.height}",
        }
        for field, names in _NAMES.items():
            if spec.name.lower() in names:
                value = known[field]
                if field in _SIZES and not sized(request):
                    value = None if spec.optional else self.model.defaults.get(spec.name, value)
        if value is None:
            value = self.model.defaults.get(spec.name)
        if value is None:
            return None
        return self.tensor(spec.name, spec.datatype, *(value if isinstance(value, list) else [value]))

    def images(self, response: InferResponse, request: ImageRequest) -> list[bytes]:
        return picture_files(response, request)

    @property
    def _prompt(self) -> str:
        texts = [each.name for each in self.inputs.values() if each.datatype == "BYTES"]
        return next((name for name in texts if name.lower() in _PROMPTS), texts[0] if texts else "prompt")


def _is_picture(spec: TensorSpec) -> bool:
    if spec.datatype == "UINT8":
        return len(spec.shape) >= 3
    return spec.datatype == "BYTES" and any(word in spec.name.lower() for word in ("image", "picture", "b64", "png"))
