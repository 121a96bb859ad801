"""Models behind Triton's backend for TensorRT-LLM's LLM API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ._named import NamedInputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..oip.messages import ModelMetadata
    from . import Question

__all__ = ("TritonLlmApi",)

_PREFIX = "sampling_param_"
_DATATYPES = {
    "max_tokens": "INT32",
    "temperature": "FP32",
    "top_k": "INT32",
    "top_p": "FP32",
    "stop": "BYTES",
    "seed": "UINT64",
    "best_of": "INT32",
    "frequency_penalty": "FP32",
    "presence_penalty": "FP32",
}


class TritonLlmApi(NamedInputs):
    """Parameters of sampling have a prefix; `streaming` asks for a stream."""

    key: ClassVar[str] = "triton-llmapi"
    rank: ClassVar[int] = 25
    stream_name: ClassVar[str] = "streaming"
    names: ClassVar[Mapping[str, str]] = {name: f"{_PREFIX}{name}" for name in _DATATYPES}
    datatypes: ClassVar[Mapping[str, str]] = {
        "streaming": "BOOL",
        "return_finish_reason": "BOOL",
        f"{_PREFIX}exclude_input_from_output": "BOOL",
        **{f"{_PREFIX}{name}": datatype for name, datatype in _DATATYPES.items()},
    }
    flags: ClassVar[Mapping[str, bool]] = {
        "return_finish_reason": True,
        f"{_PREFIX}exclude_input_from_output": True,
    }

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        return {"text_input", f"{_PREFIX}max_tokens"} <= {each.name for each in metadata.inputs}

    def told(self, question: Question) -> dict[str, Any]:
        told = super().told(question)
        # Whatever else of sampling the model declares has the prefix, too.
        return {f"{_PREFIX}{name}" if f"{_PREFIX}{name}" in self.inputs else name: each for name, each in told.items()}
