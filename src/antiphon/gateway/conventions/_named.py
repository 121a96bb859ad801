"""Conventions that have an input for each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from . import Convention
from ._reading import TextReader
from .triton_vllm import MAX_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..oip.messages import InferRequest, Tensor
    from . import Question

__all__ = ("NamedInputs",)

_EMPTY: Final = ("bad_words", "stop_words")
"""Inputs that older models want even where there is nothing to say."""


class NamedInputs(Convention):
    """A prompt in `text_input`, and for each parameter an input of its own, of those that the model declares."""

    names: ClassVar[Mapping[str, str]] = {}
    """What parameters are called that are not called as in the API."""
    datatypes: ClassVar[Mapping[str, str]] = {}
    """Datatypes of inputs, for models that declare none."""
    stream_name: ClassVar[str] = "stream"
    flags: ClassVar[Mapping[str, bool]] = {}
    """Inputs that are always the same."""
    takes_prompt: bool = True
    generates: ClassVar[bool] = True
    kinds: frozenset[str] = frozenset({"chat"})

    def ask(self, question: Question) -> InferRequest:
        inputs = [self.tensor("text_input", "BYTES", question.prompt)]
        told = self.told(question)
        for name, value in told.items():
            made = self._input(name, value)
            if made is not None:
                inputs.append(made)
        inputs += [
            self.tensor(spec.name, "BYTES", "")
            for spec in self.inputs.values()
            if spec.name in _EMPTY and spec.name not in told and not spec.optional and self._knows_optional
        ]
        return self.asking(inputs)

    def told(self, question: Question) -> dict[str, Any]:
        """Values of inputs by name. A list has an element for each of its values."""
        options = dict(question.options)
        options.pop("max_completion_tokens", None)
        options |= {"max_tokens": question.limit or MAX_TOKENS, "seed": question.seed, "stop": question.stop or None}
        told = {self.names.get(name, name): value for name, value in options.items() if value is not None}
        told[self.stream_name] = question.stream
        return {**told, **self.flags}

    def _input(self, name: str, value: Any) -> Tensor | None:
        if name not in self.inputs:
            if self.inputs or name not in self.datatypes:
                return None
        elif isinstance(value, dict):
            return None
        datatype = self.datatypes.get(name, "BYTES")
        return self.tensor(name, datatype, *(value if isinstance(value, list) else [value]))

    @property
    def _knows_optional(self) -> bool:
        return self.metadata is not None and self.metadata.decoupled is not None

    def reader(self, question: Question, place: int) -> TextReader:
        return TextReader(place, limit=question.limit or MAX_TOKENS)
