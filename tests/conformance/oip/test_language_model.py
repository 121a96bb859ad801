"""A real model of language behind a real Triton, through the gateway and the official package."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from antiphon.gateway import Gateway, ModelConfig
from tests.conformance.oip.questions import blocking, of
from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, triton: Server) -> Iterator[openai.OpenAI]:
    blocking(of(triton, "rest").load("smol"))
    url = getattr(triton, request.param)
    gateway = Gateway(models={"smollm2": ModelConfig("smollm2", (url,), model="smol", template="chatml")})
    with gateway.start(port=0) as running:
        with openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0) as client:
            yield client


def test_the_capital_of_france(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="smollm2", messages=QUESTION, max_tokens=30, temperature=0, seed=1)  # type: ignore[arg-type]
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 5
    assert answer.usage.completion_tokens > 3


def test_streamed(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="smollm2",
            messages=QUESTION,  # type: ignore[arg-type]
            max_tokens=30,
            temperature=0,
            seed=1,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    said = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "Paris" in "".join(said)
    assert len([word for word in said if word]) > 3
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 3


def test_cut_short(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="smollm2", messages=QUESTION, max_tokens=2, temperature=0)  # type: ignore[arg-type]
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


def test_as_a_response(client: openai.OpenAI) -> None:
    said = client.responses.create(model="smollm2", input="What is the capital of France?", temperature=0)
    assert "Paris" in said.output_text
