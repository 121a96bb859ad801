"""Models behind Triton's TensorRT-LLM backend: the `ensemble`, and the one that calls its parts from Python (BLS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from ._named import NamedInputs
from ._reading import TextReader
from .triton_vllm import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..oip.messages import ModelMetadata
    from . import Question

__all__ = ("TritonTrtllm",)


class TritonTrtllm(NamedInputs):
    """An input for each parameter; a stream tells of new tokens, or each time of the whole text so far."""

    key: ClassVar[str] = "triton-trtllm"
    rank: ClassVar[int] = 30
    guides: bool = True
    names: ClassVar[Mapping[str, str]] = {"stop": "stop_words"}
    datatypes: ClassVar[Mapping[str, str]] = {
        "max_tokens": "INT32",
        "stop_words": "BYTES",
        "bad_words": "BYTES",
        "top_k": "INT32",
        "top_p": "FP32",
        "temperature": "FP32",
        "presence_penalty": "FP32",
        "frequency_penalty": "FP32",
        "repetition_penalty": "FP32",
        "seed": "UINT64",
        "stream": "BOOL",
    }
    flags: ClassVar[Mapping[str, bool]] = {
        "exclude_input_in_output": True,
        "return_num_input_tokens": True,
        "return_num_output_tokens": True,
    }

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        return {"text_input", "max_tokens"} <= {each.name for each in metadata.inputs}

    def told(self, question: Question) -> dict[str, Any]:
        told = super().told(question)
        if "seed" in told and "seed" not in self.inputs and "random_seed" in self.inputs:
            told["random_seed"] = told.pop("seed")
        if question.schema is not None:
            told["guided_decoding_guide_type"] = "json_schema" if question.schema else "json"
            if question.schema:
                told["guided_decoding_guide"] = orjson.dumps(question.schema).decode()
        return told

    def reader(self, question: Question, place: int) -> TextReader:
        repeats = not question.stream and "exclude_input_in_output" not in self.inputs
        made = TextReader(
            place,
            prompt=question.prompt if repeats else None,
            limit=question.limit or MAX_TOKENS,
            cumulative=None if question.stream else False,
        )
        made.counts_rise = True
        return made
