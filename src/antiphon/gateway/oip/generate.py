"""Triton's extension for models of language: flat JSON, each key a tensor, one answer or events.

It is the only way to a decoupled model of Triton's over HTTP. A tensor of one element is a scalar there and any other
a flat list; Triton gives it the shape that the model's configuration wants.
"""

from __future__ import annotations

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


def generated(said: Mapping[str, Any], known: Mapping[str, TensorSpec] | None) -> InferResponse:
    """An answer of theirs. `known` are the outputs of the model: what is none of them is a parameter of the answer.

    Where they are not known everything is an output, with a datatype that its elements suit.
    """
    outputs: list[Tensor] = []
    parameters: dict[str, Any] = {}
    for name, value in said.items():
        spec = known.get(name) if known else None
        if spec is None:
            if name in _OWN:
                continue
            if known:
                parameters[name] = value
                continue
        data: list[Any] = value if isinstance(value, list) else [value]
        datatype = spec.datatype if spec is not None else _DATATYPES.get(type(data[0]) if data else str, "BYTES")
        outputs.append(Tensor(name, datatype, (len(data),), data))
    return InferResponse(said.get("model_name") or "", outputs, said.get("model_version"), said.get("id"), parameters)
