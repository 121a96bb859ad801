"""Models that have a text for an input and a text for an output: of a Python backend, for example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from ._named import NamedInputs
from ._reading import TextReader
from .triton_vllm import MAX_TOKENS

if TYPE_CHECKING:
    from ..oip.messages import InferRequest, ModelMetadata
    from . import Question

__all__ = ("TritonText",)

_SCALARS: Final = (bool, int, float, str)


class TritonText(NamedInputs):
    """`text_input`; parameters in inputs of their names where there are such, and else as parameters of the request."""

    key: ClassVar[str] = "triton-text"
    rank: ClassVar[int] = 80
    limits: bool = False

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        return any(each.name == "text_input" for each in metadata.inputs)

    def ask(self, question: Question) -> InferRequest:
        asked = super().ask(question)
        told = self.told(question)
        rest: dict[str, Any] = {
            name: value
            for name, value in told.items()
            if name not in self.inputs and isinstance(value, _SCALARS) and name not in _OURS
        }
        asked.parameters = {**rest, **asked.parameters}
        return asked

    def reader(self, question: Question, place: int) -> TextReader:
        made = TextReader(place, prompt=question.prompt, limit=question.limit or MAX_TOKENS)
        made.text = self._text
        return made

    @property
    def _text(self) -> str:
        texts = [each.name for each in self.outputs.values() if each.datatype == "BYTES"]
        return "text_output" if "text_output" in texts or not texts else texts[0]


_OURS: Final = frozenset(("stream", "stream_options", "user", "store", "service_tier", "logprobs", "top_logprobs", "n"))
"""Parameters that a model has no use for. Triton reserves some names and takes no lists."""
