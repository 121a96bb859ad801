"""The gateway in front of the real servers, asked with the official package: leaving, and errors, reach both ends."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from antiphon.gateway import Gateway, ModelConfig
from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODELS = {
    "triton": ModelConfig("vllm_like", template="{{ messages[-1].content }}", defaults={"max_tokens": 500}),
    "mlserver": ModelConfig("chat-local"),
}


@contextmanager
def gateway_to(server: Server, way: str, config: ModelConfig) -> Iterator[str]:
    url = getattr(server, way)
    gateway = Gateway(
        models={"m": ModelConfig("m", (url,), model=config.name, template=config.template, defaults=config.defaults)}
    )
    with gateway.start(port=0) as running:
        yield running.base_url


@pytest.fixture(scope="module", params=["triton-rest", "triton-grpc", "mlserver-rest", "mlserver-grpc"])
def behind(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str, str, str]]:
    """A server, its name, how it is spoken with, and the address of a gateway before it."""
    name, way = request.param.split("-")
    server: Server = request.getfixturevalue(name)
    with gateway_to(server, way, MODELS[name]) as url:
        yield server, name, way, url


def messages(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_leaving_reaches_the_model(behind: tuple[Server, str, str, str]) -> None:
    server, _, _, url = behind
    mark = f"mark-{uuid.uuid4().hex}"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        ask = messages(f"slow {mark} " + "word " * 100)
        with client.chat.completions.create(model="m", messages=ask, stream=True) as stream:
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
    assert server.saw(f"cancelled {mark}")

    async def leave() -> str:
        mark = f"mark-{uuid.uuid4().hex}"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            ask = messages(f"slow {mark} " + "word " * 100)
            asking = asyncio.create_task(client.chat.completions.create(model="m", messages=ask))
            stream = await client.chat.completions.create(model="m", messages=ask, stream=True)
            await anext(stream)
            asking.cancel()
            await stream.close()
        return mark

    assert server.saw(f"cancelled {asyncio.run(leave())}")


def test_leaving_a_client_in_process(behind: tuple[Server, str, str, str]) -> None:
    server, name, way, _ = behind
    mark = f"mark-{uuid.uuid4().hex}"
    config = MODELS[name]
    url = getattr(server, way)
    gateway = Gateway(
        models={"m": ModelConfig("m", (url,), model=config.name, template=config.template, defaults=config.defaults)}
    )
    with gateway.client() as client:
        ask = messages(f"slow {mark} " + "word " * 100)
        with client.chat.completions.create(model="m", messages=ask, stream=True) as stream:
            next(iter(stream))
    assert server.saw(f"cancelled {mark}")


def test_errors_before_and_within_a_stream(behind: tuple[Server, str, str, str]) -> None:
    _, name, way, url = behind
    with openai.OpenAI(base_url=url, api_key="none", max_retries=2) as client:
        with pytest.raises(openai.APIStatusError) as refusal:
            client.chat.completions.create(model="m", messages=messages("boom"))
        assert refusal.value.status_code == 400
        assert {"triton": "engine dead", "mlserver": "exploded on purpose"}[name] in refusal.value.message
        with pytest.raises(openai.APIStatusError) as refusal:
            client.chat.completions.create(model="m", messages=messages("boom"), stream=True)
        # MLServer breaks streams off over REST, and keeps the reason to itself.
        assert refusal.value.status_code == (502 if (name, way) == ("mlserver", "rest") else 400)
        said: list[str] = []
        stream = client.chat.completions.create(model="m", messages=messages("one midfail two"), stream=True)
        with pytest.raises(openai.APIError, match="broke off") as failure:
            said += (chunk.choices[0].delta.content or "" for chunk in stream)
        assert not isinstance(failure.value, openai.APIConnectionError)
        assert "".join(said).strip()
        assert failure.value.code == "upstream_error"
