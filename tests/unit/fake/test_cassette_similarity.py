"""Recordings that are played for other words of the same sense, where that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import antiphon
from antiphon import FakeOpenAI
from antiphon.fake.cassettes import Cassette
from antiphon.fake.cassettes.similar import Similar, parted

COLD = "Is it cold in Oslo?"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    with Cassette(path, upstream=FakeOpenAI("echo")) as cassette:
        ask(cassette, COLD)
        ask(cassette, "What is the capital of France?")
    return path


def ask(cassette: Cassette, text: Any, **options: Any) -> str:
    client: Any = cassette.client(max_retries=0)
    return str(client.responses.create(**{"model": "gpt-5", "input": text, **options}).output_text)


def test_other_words_of_about_the_same_play_it_where_that_is_asked_for(path: Path) -> None:
    asked = "Is it cold in Oslo today?"
    with pytest.raises(antiphon.NotFoundError, match="recorded 'Is it cold in Oslo\\?', asked"):
        ask(Cassette(path, "none"), asked)
    cassette = Cassette(path, "none", similarity=0.7)
    assert ask(cassette, asked) == COLD
    assert cassette.journal[-1].answered_by == "recording 1 of c.yaml, whose last words are 0.78 like these"
    assert ask(cassette, COLD) == COLD
    assert cassette.journal[-1].answered_by == "recording 1 of c.yaml"
    assert ask(cassette, "The capital of France, what is it?") == "What is the capital of France?"


def test_a_miss_says_how_near_it_is(path: Path) -> None:
    cassette = Cassette(path, "none", similarity=0.95)
    with pytest.raises(antiphon.NotFoundError) as missed:
        ask(cassette, "Is it cold in Lisbon?")
    assert "\n  body.input: recorded 'Is it cold in Oslo?', asked 'Is it cold in Lisbon?'" in str(missed.value)
    assert "\n  what the user says last: 0.56 like that of recording 1, and 0.95 is enough (similarity)" in str(
        missed.value
    )


@pytest.mark.parametrize("other", [{"model": "gpt-4o"}, {"temperature": 0.5}, {"instructions": "Be brief"}])
def test_everything_else_has_to_be_the_same(path: Path, other: dict[str, Any]) -> None:
    cassette = Cassette(path, "none", similarity=0.01)
    assert ask(cassette, "Cold, Oslo?") == COLD
    with pytest.raises(antiphon.NotFoundError) as missed:
        ask(cassette, "Cold, Oslo?", **other)
    assert "similarity" not in str(missed.value)


def test_vectors_may_be_ones_own(path: Path) -> None:
    texts: list[str] = []

    def embed(given: Any) -> list[list[float]]:
        texts.extend(given)
        return [[3.0, 0.1] if "cold" in text or "freez" in text else [0.0, 2.0] for text in given]

    cassette = Cassette(path, "none", similarity=0.9, embeddings=embed)
    assert ask(cassette, "Does one freeze up there?") == COLD
    assert ask(cassette, "Does one freeze up there?") == COLD
    assert len(texts) == len(set(texts)) == 3  # each once
    with pytest.raises(ValueError, match="gave 0 vectors for 1 texts"):
        Similar(0.5, lambda texts: []).likeness("a", ["a"])


def test_each_is_played_once_where_it_is_strict_and_what_is_near_is_not_recorded_anew(path: Path) -> None:
    cassette = Cassette(path, "strict", similarity=0.1)
    said = [ask(cassette, "Oslo, is it cold?"), ask(cassette, "Oslo, is it cold?")]
    assert said == [COLD, "What is the capital of France?"]  # the nearest that is left
    with pytest.raises(antiphon.NotFoundError):
        ask(cassette, "Oslo, is it cold?")
    with Cassette(path, "new", similarity=0.7, upstream=FakeOpenAI("echo")) as cassette:
        assert ask(cassette, "Is it cold in Oslo today?") == COLD
        assert ask(cassette, "Something else") == "Something else"
        assert len(cassette.recordings) == 3


def test_what_stands_for_what_is_kept_apart(tmp_path: Path) -> None:
    def tagged(cassette: Cassette, text: str) -> tuple[str, str]:
        run = str(uuid4())
        answer = cassette.client().responses.create(model="gpt-5", input=f"{text} {run}", metadata={"run": run})
        assert answer.metadata is not None
        return run, answer.metadata["run"]

    path = tmp_path / "tagged.yaml"
    with Cassette(path, upstream=FakeOpenAI()) as cassette:
        tagged(cassette, "Tell me about run")
    run, echoed = tagged(Cassette(path, "none", similarity=0.6), "Please tell me about run")
    assert run == echoed


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "a"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]}]}, "b"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "c"}, {"type": "input_image"}]}]}, "c"),
        ({"prompt": "d"}, "d"),
        ({"messages": "e"}, None),
        ({"input": ["a", "b"]}, None),
        ({"messages": [{"role": "user", "content": None}]}, None),
    ],
)  # fmt: skip
def test_what_the_user_says_last(body: dict[str, Any], text: str | None) -> None:
    found = parted({"json": body})
    assert (None if found is None else found[1]) == text
    assert parted({"text": "x"}) is None


@pytest.mark.parametrize("wrong", [0, 1.5, "0.8", True])
def test_a_similarity_that_is_none_is_refused(path: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match="similarity is how near texts have to be, above 0 and at most 1, not"):
        Cassette(path, "none", similarity=wrong)
