"""How near vectors are."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon import FakeOpenAI, cosine_distance, cosine_similarity
from antiphon.kernel.vectors import dot
from antiphon.types import Embedding

number = st.floats(-1e3, 1e3, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-3)
pairs = st.integers(1, 20).flatmap(lambda n: st.tuples(*[st.lists(number, min_size=n, max_size=n)] * 2))


@given(pairs)
def test_the_cosine_has_its_laws(pair: tuple[list[float], list[float]]) -> None:
    a, b = pair
    similarity = cosine_similarity(a, b)
    assert -1.0 <= similarity <= 1.0
    assert similarity == pytest.approx(cosine_similarity(b, a))
    assert cosine_distance(a, b) == pytest.approx(1 - similarity)
    assert dot(a, b) == pytest.approx(math.fsum(x * y for x, y in zip(a, b, strict=True)), abs=1e-6)
    assert cosine_similarity(a, a) == pytest.approx(1.0 if any(a) else 0.0)
    assert cosine_similarity(a, [2 * x for x in a]) == pytest.approx(1.0 if any(a) else 0.0)
    assert cosine_similarity(a, [-x for x in a]) == pytest.approx(-1.0 if any(a) else 0.0)


def test_known_angles() -> None:
    assert cosine_similarity([1, 0], [0, 1]) == 0
    assert cosine_similarity([1, 0], [1, 1]) == pytest.approx(math.sqrt(0.5))
    assert cosine_similarity([0, 0], [1, 1]) == 0
    assert cosine_similarity([1e-200, 0], [1e-200, 0]) in (0.0, 1.0)


def test_vectors_are_of_many_kinds() -> None:
    a, b = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    expected = cosine_similarity(a, b)
    embedding = Embedding(embedding=b, index=0, object="embedding")
    assert cosine_similarity(tuple(a), array("d", b)) == expected
    assert cosine_similarity(embedding, a) == expected
    assert embedding.similarity(a) == expected
    assert embedding.similarity(embedding) == pytest.approx(1)
    assert embedding.distance(a) == pytest.approx(1 - expected)
    for kind in ("float16", "float32", "float64", "int8"):
        assert cosine_similarity(numpy.array(a, dtype=kind), b) == pytest.approx(expected)
    with pytest.raises(ValueError, match="one dimension"):
        cosine_similarity(numpy.array([a]), b)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="2 and 3 dimensions"):
        cosine_similarity([1, 2], [1, 2, 3])
    encoded: Any = Embedding.of({"embedding": "AAAA"})
    with pytest.raises(TypeError, match="base64"):
        cosine_similarity(encoded, [1.0])

    class Table:
        ndim = 2

        def tolist(self) -> list[list[float]]:
            raise AssertionError

    with pytest.raises(ValueError, match="has 2"):
        cosine_similarity(Table(), [1.0])


def test_embeddings_of_a_client_are_compared() -> None:
    answer = FakeOpenAI().client().embeddings.create(model="text-embedding-3-small", input=["a cat", "the cat", "tax"])
    cat, other, tax = answer.data
    assert cat.similarity(other) > cat.similarity(tax)
    assert cat.distance(cat) == pytest.approx(0)
