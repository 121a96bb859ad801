"""How near two vectors are: what embeddings are for.

A vector is a list of numbers, an `Embedding` of the API, an `array.array`, a numpy array, anything with a length
whose items are numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Any, Protocol, TypeAlias

from .view import View

__all__ = ("Vector", "cosine_distance", "cosine_similarity", "dot")


class _HasVector(Protocol):
    embedding: list[float]


class _Array(Protocol):
    def tolist(self) -> Any: ...


Vector: TypeAlias = Sequence[float] | _HasVector | _Array

# From Python 3.12 on this is done in C, without the rounding of every step.
_sum_of_products: Any = getattr(math, "sumprod", None) or (lambda a, b: sum(map(mul, a, b)))


def dot(a: Vector, b: Vector) -> float:
    """The dot product: for embeddings of OpenAI, which have length 1, the same as the cosine and quicker.

    Raises `ValueError` for vectors that differ in length.
    """
    left, right = _pair(a, b)
    return float(_sum_of_products(left, right))


def cosine_similarity(a: Vector, b: Vector) -> float:
    """The cosine of the angle between two vectors, from -1 to 1: 1 for the same direction, 0 for nothing in common.

    A vector of nothing but zeros is like no other: 0. Raises `ValueError` for vectors that differ in length.
    """
    left, right = _pair(a, b)
    norms = math.hypot(*left) * math.hypot(*right)
    if not norms:
        return 0.0
    return float(min(max(_sum_of_products(left, right) / norms, -1.0), 1.0))


def cosine_distance(a: Vector, b: Vector) -> float:
    """The cosine distance, one less the similarity: from 0, the same direction, to 2, the opposite one."""
    return 1.0 - cosine_similarity(a, b)


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    left, right = _numbers(a), _numbers(b)
    if len(left) != len(right):
        raise ValueError(f"vectors of {len(left)} and {len(right)} dimensions cannot be compared")
    return left, right


def _numbers(vector: Any) -> Any:
    if isinstance(vector, View):
        vector = vector._data.get("embedding")
    if isinstance(vector, str):
        raise TypeError("this embedding is base64 text: ask for it without `encoding_format`")
    if getattr(vector, "ndim", 1) != 1:
        raise ValueError(f"a vector has one dimension; this array has {vector.ndim}")
    # Arrays of other libraries become floats of Python: in half precision the sums would be of little use.
    return vector.tolist() if hasattr(vector, "tolist") else vector
