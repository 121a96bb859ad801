"""Models behind MLServer's runtime for Hugging Face: each input is an argument of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

from ...server.turns import Finish
from ..oip.messages import Tensor
from . import Convention
from ._vectors import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...server.engine import EmbeddingRequest
    from ...server.turns import Piece
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata
    from . import Question

__all__ = ("MlserverHf",)

_NAMES: Final = {
    "max_tokens": ("max_new_tokens", "INT64"),
    "max_completion_tokens": ("max_new_tokens", "INT64"),
    "temperature": ("temperature", "FP64"),
    "top_p": ("top_p", "FP64"),
    "top_k": ("top_k", "INT64"),
    "repetition_penalty": ("repetition_penalty", "FP64"),
    "num_beams": ("num_beams", "INT64"),
}
_TEXT: Final = {"content_type": "str"}
_RAW: Final = {"content_type": "raw"}


class MlserverHf(Convention):
    """`args` for the text, further inputs for parameters of generation; JSON for an output."""

    key: ClassVar[str] = "mlserver-hf"
    rank: ClassVar[int] = 40
    kinds: frozenset[str] = frozenset({"chat", "embeddings"})
    takes_prompt: bool = True
    streams: bool = False

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        return any(each.name == "args" for each in metadata.inputs)

    def ask(self, question: Question) -> InferRequest:
        inputs = [Tensor("args", "BYTES", (1,), (question.prompt,), parameters=_TEXT)]
        options = question.options
        for name, (told, datatype) in _NAMES.items():
            value = options.get(name)
            if value is None or (name == "temperature" and value <= 0):
                continue
            if name == "max_tokens" and "max_completion_tokens" in options:
                continue
            inputs.append(Tensor(told, datatype, (1,), (value,), parameters=_RAW))
        if options.get("temperature") is not None:
            inputs.append(Tensor("do_sample", "BOOL", (1,), (options["temperature"] > 0,), parameters=_RAW))
        return self.asking(inputs)

    def reader(self, question: Question, place: int) -> _Reader:
        return _Reader(question)

    def ask_vectors(self, request: EmbeddingRequest, inputs: Sequence[str]) -> InferRequest:
        return self.asking([Tensor("args", "BYTES", (len(inputs),), tuple(inputs), parameters=_TEXT)])

    def vectors(self, response: InferResponse, count: int) -> Sequence[Sequence[float]]:
        output = response.output("output")
        if output is None or output.datatype != "BYTES":
            return rows(response, count, "output")
        found = [_pooled(orjson.loads(text)) for text in output.texts]
        if len(found) != count:
            raise ValueError(f"there are {len(found)} vectors in it where {count} were asked for")
        return found


class _Reader:
    silent = False

    def __init__(self, question: Question) -> None:
        self._question = question

    def feed(self, response: InferResponse) -> Iterator[Piece]:
        output = response.output("output")
        if output is None:
            output = next((each for each in response.outputs if each.datatype == "BYTES"), None)
        if output is None or not output.data:
            raise ValueError("there is no output 'output' in it")
        text = _generated(output.texts[0])
        yield text.removeprefix(self._question.prompt or "")

    def end(self) -> Iterator[Piece]:
        yield Finish("stop")


def _generated(told: str) -> str:
    """The text in what a pipeline gave: an object, a list of them, or the text itself."""
    try:
        value: Any = orjson.loads(told)
    except orjson.JSONDecodeError:
        return told
    while isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        for name in ("generated_text", "summary_text", "translation_text", "answer"):
            if isinstance(value.get(name), str):
                return str(value[name])
    raise ValueError(f"its output 'output' has no generated text in it: {told[:80]!r}")


def _pooled(value: Any) -> list[float]:
    """One vector of lists of lists of numbers: the mean of those of the tokens."""
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, list) and value and isinstance(value[0], list):
        tokens = len(value)
        return [sum(column) / tokens for column in zip(*value, strict=True)]
    if not isinstance(value, list):
        raise ValueError("its output 'output' has no vectors in it")
    return value
