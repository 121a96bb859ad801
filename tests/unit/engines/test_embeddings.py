"""Hash embeddings: length, nearness, determinism, shortening; functions as engines."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence
from math import sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.engines.embeddings import EmbeddingFunction, HashEmbeddings, shortened
from antiphon.kernel.errors import BadRequestError
from antiphon.kernel.flow import Call, World, arun, run
from antiphon.server.engine import EmbeddingRequest


def vectors(texts: Sequence[str], model: str = "text-embedding-3-small", dimensions: int | None = None) -> Any:
    found = HashEmbeddings()(EmbeddingRequest(model, texts, dimensions))
    return found if isinstance(found, list) else run(found, World())


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("model", "dimensions", "length"),
    [
        ("text-embedding-3-small", None, 1536),
        ("text-embedding-3-large", None, 3072),
        ("text-embedding-ada-002", None, 1536),
        ("my-model", None, 1536),
        ("text-embedding-3-large", 256, 256),
        ("my-model", 4096, 4096),
        ("my-model", 1, 1),
    ],
)
def test_vectors_have_the_length_of_the_model_and_length_one(model: str, dimensions: int | None, length: int) -> None:
    [vector] = vectors(["Some text"], model, dimensions)
    assert len(vector) == length
    assert sqrt(cosine(vector, vector)) == pytest.approx(1, abs=1e-6)


def test_too_many_dimensions_are_refused() -> None:
    with pytest.raises(BadRequestError, match="less than or equal to 4096"):
        vectors(["x"], "my-model", 4097)


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("The cat sat on the mat.", "A cat is sitting on a mat.", "Quarterly revenue grew by eight percent."),
        ("How do I reset my password?", "I forgot my password, how can I reset it?", "Best pizza in Naples"),
        ("dog", "dogs", "cat"),
        ("def add(a, b): return a + b", "def add(x, y): return x + y", "SELECT name FROM users WHERE id = 3"),
        ("東京都の天気予報", "東京都の今日の天気予報", "大阪で人気の料理店"),
    ],
)
@pytest.mark.parametrize("dimensions", [None, 256])
def test_texts_that_share_words_are_nearer_than_those_that_do_not(
    text: str, near: str, far: str, dimensions: int | None
) -> None:
    a, b, c = vectors([text, near, far], dimensions=dimensions)
    assert cosine(a, b) > cosine(a, c) + 0.05


def test_unrelated_texts_are_nearly_at_right_angles() -> None:
    words = ["apple", "river", "quantum", "senator", "violin", "glacier", "tax", "pepper", "moon", "keyboard"]
    found = vectors(words)
    apart = [cosine(found[i], found[j]) for i in range(10) for j in range(i)]
    assert max(map(abs, apart)) < 0.25


def test_case_width_and_white_space_make_no_difference() -> None:
    a, b, c = vectors(["Hello  world\n", "hello world", "ｈｅｌｌｏ WORLD"])
    assert a == b == c


def test_texts_without_words_have_a_direction_too() -> None:
    for vector in vectors([" ", "…", "\ud800", "🧠"]):
        assert cosine(vector, vector) == pytest.approx(1)


def test_dimensions_shorten_the_whole_vector() -> None:
    [whole] = vectors(["Some text"], "text-embedding-3-large")
    [short] = vectors(["Some text"], "text-embedding-3-large", 100)
    assert short == pytest.approx(shortened(whole, 100), abs=1e-6)
    assert shortened(whole, None) is whole
    assert shortened(whole, 5000) is whole


def test_another_process_makes_the_same_vector() -> None:
    program = """
from antiphon.engines.embeddings import embed
print(embed("The same everywhere", 8))
"""
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == str(vectors(["The same everywhere"], "m", 8)[0])


def test_much_text_is_embedded_away_from_the_loop() -> None:
    many = HashEmbeddings()(EmbeddingRequest("m", ["some text"] * 50, 8))
    assert not isinstance(many, list)
    assert asyncio.run(arun(many, World())) == vectors(["some text"], "m", 8) * 50


@given(st.text(max_size=40), st.integers(1, 64))
@settings(max_examples=50, deadline=None)
def test_every_text_has_a_vector_of_length_one(text: str, dimensions: int) -> None:
    [vector] = vectors([text], dimensions=dimensions)
    assert cosine(vector, vector) == pytest.approx(1, abs=1e-5)


# Functions as engines


def lengths(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 0.0] for text in texts]


async def later(texts: list[str]) -> list[list[float]]:
    await asyncio.sleep(0)
    return lengths(texts)


@pytest.mark.parametrize("function", [lengths, later, lambda texts: later(texts)])
@pytest.mark.parametrize("blocks", [True, False])
async def test_a_function_is_an_engine_in_both_colours(function: Any, blocks: bool) -> None:
    engine = EmbeddingFunction(function, blocks=blocks)
    request = EmbeddingRequest("m", ["a", "bcd"])
    assert await arun(engine(request), World()) == [[1, 0], [3, 0]]
    assert await asyncio.to_thread(run, engine(request), World()) == [[1, 0], [3, 0]]


async def test_a_function_that_blocks_runs_on_a_thread_of_its_own() -> None:
    seen: list[threading.Thread] = []

    def function(texts: list[str]) -> list[list[float]]:
        seen.append(threading.current_thread())
        return lengths(texts)

    await arun(EmbeddingFunction(function)(EmbeddingRequest("m", ["a"])), World())
    await arun(EmbeddingFunction(function, blocks=False)(EmbeddingRequest("m", ["a"])), World())
    assert [thread is threading.main_thread() for thread in seen] == [False, True]


def test_vectors_of_a_function_are_shortened_to_the_dimensions_asked_for() -> None:
    engine = EmbeddingFunction(lambda texts: [[3.0, 4.0, 12.0] for _ in texts])
    [vector] = run(engine(EmbeddingRequest("m", ["a"], 2)), World())
    assert vector == pytest.approx([0.6, 0.8])


def test_a_function_that_takes_dimensions_is_told_them() -> None:
    engine = EmbeddingFunction(lambda texts, dimensions: [[1.0] * (dimensions or 5)] * len(texts))
    assert run(engine(EmbeddingRequest("m", ["a"], 2)), World()) == [[1, 1]]
    assert run(engine(EmbeddingRequest("m", ["a"])), World()) == [[1, 1, 1, 1, 1]]


def test_what_stands_for_an_engine() -> None:
    from antiphon.engines.embeddings import embedding_engine

    def whole(request: EmbeddingRequest) -> list[list[float]]:
        return [[float(request.dimensions or 0)] for _ in request.inputs]

    def steps(request: EmbeddingRequest) -> Any:
        return (yield Call(lambda: [[7.0]]))

    assert isinstance(embedding_engine(), HashEmbeddings)
    assert embedding_engine(steps) is steps
    made = embedding_engine(whole)
    assert run(made(EmbeddingRequest("m", ["a"], 3)), World()) == [[3.0]]  # type: ignore[arg-type]
    assert repr(made) == "EmbeddingFunction('whole')"
    assert embedding_engine(made) is made
    with pytest.raises(TypeError, match="not 5"):
        embedding_engine(5)
    assert repr(EmbeddingFunction(min)).startswith("EmbeddingFunction(")  # type: ignore[arg-type]
