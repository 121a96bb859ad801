"""Models behind Triton's vLLM backend: a prompt, and the parameters of sampling as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

from ...server.engine import Vectors
from ..oip.messages import Tensor
from . import Convention
from ._reading import TextReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...server.engine import EmbeddingRequest
    from ..config import ModelConfig
    from ..oip.messages import InferRequest, InferResponse, ModelMetadata, ServerMetadata
    from . import Question

__all__ = ("MAX_TOKENS", "TritonVllm")

MAX_TOKENS: Final = 1024
"""Longest answer where neither the caller nor the configuration says: the backend's own default is sixteen tokens."""

_SAMPLING: Final = frozenset(
    (
        "allowed_token_ids",
        "bad_words",
        "detokenize",
        "extra_args",
        "frequency_penalty",
        "ignore_eos",
        "include_stop_str_in_output",
        "logit_bias",
        "lora_name",
        "min_p",
        "min_tokens",
        "presence_penalty",
        "repetition_penalty",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "stop_token_ids",
        "temperature",
        "top_k",
        "top_p",
        "truncate_prompt_tokens",
    )
)
"""What vLLM calls parameters of sampling, and the API or its clients do so too. It fails for any other."""

_FLAGS: Final = (
    "exclude_input_in_output",
    "return_finish_reason",
    "return_num_input_tokens",
    "return_num_output_tokens",
)
"""What is asked for in any case."""


class TritonVllm(Convention):
    """`text_input` and `sampling_parameters`; vectors by `embedding_request` where the backend has it."""

    key: ClassVar[str] = "triton-vllm"
    rank: ClassVar[int] = 20
    takes_prompt: bool = True
    generates: ClassVar[bool] = True
    several: bool = True
    guides: bool = True
    shortens: bool = True

    def __init__(
        self, model: ModelConfig, metadata: ModelMetadata | None = None, server: ServerMetadata | None = None
    ) -> None:
        super().__init__(model, metadata, server)
        self.reads_images = self.declares("image")
        self._streaming = {flag: self._flags(("stream",), flag) for flag in (True, False)}
        self._always = self._flags(_FLAGS, True)
        self.kinds = frozenset({"chat", "embeddings"} if self.declares("embedding_request") else {"chat"})

    @classmethod
    def fits(cls, metadata: ModelMetadata) -> bool:
        return {"text_input", "sampling_parameters"} <= {each.name for each in metadata.inputs}

    def _flags(self, names: Sequence[str], flag: bool) -> list[Tensor]:
        return [self.tensor(name, "BOOL", flag) for name in names if self.takes(name)]

    def ask(self, question: Question) -> InferRequest:
        inputs = [self.tensor("text_input", "BYTES", question.prompt)]
        if question.images:
            inputs.append(Tensor.of("image", *question.images))
        inputs += self._streaming[question.stream]
        inputs += self._always
        if question.options.get("logprobs"):
            inputs += self._flags(("return_logprobs",), True)
        sampling = orjson.dumps(_sampling(question)).decode()
        inputs.append(self.tensor("sampling_parameters", "BYTES", sampling))
        return self.asking(inputs)

    def reader(self, question: Question, place: int) -> TextReader:
        repeats = not question.stream and not self.takes("exclude_input_in_output")
        return TextReader(
            place,
            prompt=question.prompt if repeats else None,
            limit=question.limit or MAX_TOKENS,
            candidates=question.options.get("top_logprobs") or 0,
        )

    # Vectors

    @property
    def batch(self) -> int:
        return 1

    def ask_vectors(self, request: EmbeddingRequest, inputs: Sequence[str]) -> InferRequest:
        asked: dict[str, Any] = {"input": inputs[0]}
        if request.dimensions is not None:
            asked["pooling_params"] = {"dimensions": [request.dimensions]}
        tensors = [self.tensor("embedding_request", "BYTES", orjson.dumps(asked).decode())]
        if self.takes("return_num_input_tokens"):
            tensors.append(self.tensor("return_num_input_tokens", "BOOL", True))
        return self.asking(tensors)

    def vectors(self, response: InferResponse, count: int) -> Sequence[Sequence[float]]:
        told = response.output("text_output")
        if told is None or not told.data:
            raise ValueError("there is no output 'text_output' in it")
        try:
            vector: Any = orjson.loads(told.texts[0])
        except orjson.JSONDecodeError:
            vector = None
        if not isinstance(vector, list) or not vector:
            raise ValueError("its output 'text_output' is no list of numbers")
        read = response.number("num_input_tokens")
        return [vector] if read is None else Vectors([vector], read)


def _sampling(question: Question) -> dict[str, Any]:
    options = question.options
    told = {name: value for name, value in options.items() if name in _SAMPLING}
    told["max_tokens"] = question.limit or MAX_TOKENS
    if question.n > 1:
        told["n"] = question.n
    if stop := question.stop:
        told["stop"] = stop
    if question.seed is not None:
        told["seed"] = question.seed
    if options.get("logprobs"):
        told["logprobs"] = options.get("top_logprobs") or 1
    if question.special:
        told["skip_special_tokens"] = False
    if question.schema is not None:
        guide = {"json": question.schema} if question.schema else {"json_object": True}
        # The backend reads these as JSON within the JSON.
        told["structured_outputs"] = orjson.dumps(guide).decode()
    for name in ("structured_outputs", "guided_decoding"):
        if name in options:
            value = options[name]
            told[name] = value if isinstance(value, str) else orjson.dumps(value).decode()
    return told
