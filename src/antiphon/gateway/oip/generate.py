"""Triton's extension for models of language: flat JSON, each key a tensor, one answer or events.

It is the only way to a decoupled model of Triton's over HTTP. A tensor of one element is a scalar there and any other
a flat list; Triton gives it the shape that the model's configuration wants.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import orjson

from .bodies import scalars
from .messages import InferResponse, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .messages import InferRequest, TensorSpec

__all__ = ("generate_body", "generated")

_OWN: Final = frozenset({"id", "model_name", "model_version"})
_DATATYPES: Final[dict[type, str]] = {str: "BYTES", bool: "BOOL", int: "INT64", float: "FP64"}


def generate_body(asked: InferRequest) -> bytes:
    """A request for `generate` or `generate_stream`. Raises `ValueError` for elements that JSON has no form for."""
    body: dict[str, Any] = {}
    for tensor in asked.inputs:
        data = tensor.data
        body[tensor.name] = data[0] if len(data) == 1 else data
    if asked.parameters:
        body["parameters"] = scalars(asked.parameters)
    if asked.id:
        body.setdefault("id", asked.id)
    try:
        return orjson.dumps(body, default=_plain)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"it cannot be said as JSON: {error.__cause__ or error}") from None


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else list(value)


def generated(said: Any, known: Mapping[str, TensorSpec] | None) -> InferResponse:
    """An answer of theirs. `known` are the outputs of the model: what is none of them is a parameter of the answer.

    Where they are not known everything is an output, with a datatype that its elements suit. Raises `ValueError` for
    what is no object.
    """
    if not isinstance(said, dict):
        raise ValueError("an object was expected")
    return _Flat(said, known)


class _Flat(InferResponse):
    """Tensors are made of it when they are asked for: of a stream of texts nobody asks for any."""

    __slots__ = ("_known", "_said")

    def __init__(self, said: dict[str, Any], known: Mapping[str, TensorSpec] | None) -> None:
        self._said = said
        self._known = known

    def __getattr__(self, name: str) -> Any:
        # Reached for what all answers have, before it is there.
        if name not in _PARTS:
            raise AttributeError(name)
        said, known = self._said, self._known
        outputs: list[Tensor] = []
        parameters: dict[str, Any] = {}
        for each, value in said.items():
            if self._has(each):
                data: list[Any] = value if isinstance(value, list) else [value]
                kind = known[each].datatype if known else _DATATYPES.get(type(data[0]) if data else str, "BYTES")
                outputs.append(Tensor(each, kind, (len(data),), data))
            elif each not in _OWN:
                parameters[each] = value
        super().__init__(said.get("model_name") or "", outputs, said.get("model_version"), said.get("id"), parameters)
        return getattr(self, name)

    def _has(self, name: str) -> bool:
        return name in self._said and (name in self._known if self._known else name not in _OWN)

    def output(self, name: str) -> Tensor | None:
        return super().output(name) if self._has(name) else None

    def text(self, name: str, place: int = 0) -> str | None:
        value, known = self._said.get(name), self._known
        if value.__class__ is str and not place and (name in known if known else name not in _OWN):
            return value
        return super().text(name, place)

    def number(self, name: str, place: int = 0) -> int | None:
        value, known = self._said.get(name), self._known
        if value.__class__ is int and (name in known if known else name not in _OWN):
            return value
        return super().number(name, place)


_PARTS: Final = frozenset(each.name for each in fields(InferResponse))
