"""Vectors in tensors."""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING, Any

from ...server.engine import Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..oip.messages import InferResponse, Tensor

__all__ = ("rows", "shortened", "vectors_in")

FLOATS = ("FP32", "FP64", "FP16", "BF16")


def rows(response: InferResponse, count: int, name: str | None = None) -> Sequence[Sequence[float]]:
    """The vectors in the output of this name, or else in the first that has numbers. Raises `ValueError`."""
    tensor = None if name is None else response.output(name)
    if tensor is None:
        tensor = next((each for each in response.outputs if each.datatype in FLOATS), None)
    if tensor is None:
        there = ", ".join(f"{each.name} {each.datatype}" for each in response.outputs) or "none"
        raise ValueError(f"none of its outputs has vectors in it; there are {there}")
    found = vectors_in(tensor, count)
    read = next(
        (each for name in ("num_input_tokens", "prompt_tokens") if (each := response.number(name)) is not None),
        None,
    )
    return found if read is None else Vectors(found, read)


def vectors_in(tensor: Tensor, count: int) -> list[Sequence[float]]:
    """The vectors of a tensor: `[n, d]`, `[d]` of a single one, `[n, 1, d]`, or the mean of tokens' in `[n, t, d]`."""
    data = tensor.data
    shape = [size for size in tensor.shape if size != 0]
    if len(data) and (not shape or prod(shape) != len(data)):
        raise ValueError(f"the output {tensor.name!r} has {len(data)} elements, and its shape is {list(tensor.shape)}")
    if not len(data) or len(data) % count:
        raise ValueError(f"the output {tensor.name!r} of shape {list(tensor.shape)} has not {count} vectors in it")
    if len(shape) > 1 and shape[0] == 1 and len(shape) > 2 and count > 1 and shape[1] == count:
        shape = shape[1:]  # a batch of one that has all the texts in it
    rows_ = 1 if len(shape) == 1 else shape[0]
    if rows_ != count:
        raise ValueError(
            f"the output {tensor.name!r} of shape {list(tensor.shape)} has {rows_} vectors in it where {count} were "
            "asked for"
        )
    length = shape[-1]
    each = len(data) // count
    if each == length:
        return [data[at : at + length] for at in range(0, len(data), length)]
    return [_mean(data[at : at + each], length) for at in range(0, len(data), each)]


def _mean(data: Sequence[float], length: int) -> list[float]:
    """The mean of the vectors of tokens."""
    tokens = len(data) // length
    return [sum(data[at::length]) / tokens for at in range(length)]


def shortened(vector: Any, length: int) -> list[float]:
    """The first numbers of a vector, made as long as one again."""
    kept = list(vector[:length])
    size = sqrt(sum(value * value for value in kept)) or 1.0
    return [value / size for value in kept]
