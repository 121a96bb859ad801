"""`antiphon[local]`: real models in the gateway's own process, asked by the official SDK over a port."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conformance.environments import environment, skip_if_told
from tests.conformance.official import ROOT

SOURCE = """
import sys
from antiphon.gateway import Gateway, ModelConfig
from antiphon.gateway.local import installed

with Gateway(models={name: ModelConfig(name, backend="local") for name in installed()}).start(port=0) as running:
    print(running.base_url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    skip_if_told("local")
    home: Path = environment("local")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [str(home / "bin" / "python"), "-c", SOURCE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
            yield made
        process.communicate("")


def ask(text: str, **more: Any) -> Any:
    return {"model": "smollm2", "messages": [{"role": "user", "content": text}], "temperature": 0, **more}


def test_a_real_model_of_language(client: openai.OpenAI) -> None:
    assert {each.id for each in client.models.list()} == {"smollm2", "wordllama", "espeak", "pocketsphinx"}
    whole = client.chat.completions.create(**ask("What is the capital of France?"))
    assert "Paris" in (whole.choices[0].message.content or "")
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens == 16
    assert whole.model == "smollm2"
    question = ask("What is the capital of France?", stream=True, stream_options={"include_usage": True})
    chunks = list(client.chat.completions.create(**question))
    assert "Paris" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert (
        "Paris"
        in client.responses.create(model="smollm2", input="What is the capital of France?", temperature=0).output_text
    )
    assert client.chat.completions.create(**ask("Tell a story.", max_tokens=5)).choices[0].finish_reason == "length"
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}},
        "required": ["city"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}
    said = client.chat.completions.create(**ask("Name a city.", response_format=form)).choices[0].message.content
    assert list(json.loads(said or "")) == ["city"]


def test_what_cannot_be_asked_and_what_is_left(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="context size"):
        client.chat.completions.create(**ask("word " * 5000))
    with client.chat.completions.create(**ask("Tell a long story.", stream=True)) as stream:
        next(iter(stream))
    # The model stops when its reader leaves: both of its places are free again at once.
    for _ in range(3):
        assert client.chat.completions.create(**ask("What is the capital of Italy?", max_tokens=20)).choices


def test_real_vectors(client: openai.OpenAI) -> None:
    def vectors(**more: Any) -> list[list[float]]:
        found = client.embeddings.create(model="wordllama", input=["a cat", "a kitten", "tax law"], **more)
        return [each.embedding for each in found.data]

    def dot(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    for length in (256, 64):
        cat, kitten, law = vectors(**({} if length == 256 else {"dimensions": length}))
        assert len(cat) == length
        assert dot(cat, cat) == pytest.approx(1, abs=1e-5)
        assert dot(cat, kitten) > dot(cat, law) + 0.2
    assert vectors(encoding_format="float")[0] == pytest.approx(vectors()[0], abs=1e-6)
    with pytest.raises(openai.BadRequestError, match="256"):
        vectors(dimensions=300)


def test_a_voice_and_an_ear(client: openai.OpenAI) -> None:
    sound = client.audio.speech.create(
        model="espeak", voice="alloy", input="go forward ten meters", response_format="mp3"
    ).read()
    heard = client.audio.transcriptions.create(model="pocketsphinx", file=("said.mp3", sound)).text
    assert "forward" in heard
