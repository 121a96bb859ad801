"""Conventions through the gateway, with the official client, to models of real servers, over REST and over gRPC."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import openai
import pytest
from PIL import Image

from antiphon import Gateway
from antiphon.gateway import ModelConfig
from tests.conformance.oip.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ASKED: Any = [{"role": "user", "content": "hello big world"}]
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module", params=["rest", "grpc"])
def client(triton: Server, mlserver: Server, kserve: Server, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    way: str = request.param
    models = {
        "vllm": ModelConfig("vllm", (getattr(triton, way),), model="vllm_like"),
        "trtllm": ModelConfig("trtllm", (getattr(triton, way),), model="trtllm_like", template="plain"),
        "triton-embed": ModelConfig("triton-embed", (getattr(triton, way),), model="embed_fp32", dimensions=384),
        "triton-images": ModelConfig("triton-images", (getattr(triton, way),), model="image_bytes"),
        "triton-seldon": ModelConfig("triton-seldon", (getattr(triton, way),), model="seldon_chat"),
        "api": ModelConfig("api", (getattr(mlserver, way),), model="chat-api"),
        "local": ModelConfig("local", (getattr(mlserver, way),), model="chat-local"),
        "embed": ModelConfig("embed", (getattr(mlserver, way),)),
        "images": ModelConfig("images", (getattr(mlserver, way),)),
        "kserve": ModelConfig("kserve", (getattr(kserve, way),), model="chat"),
        "kserve-embed": ModelConfig("kserve-embed", (getattr(kserve, way),), model="embed"),
    }
    with Gateway(models=models) as gateway, gateway.start(port=0, host="127.0.0.1") as running:
        yield openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0)


def streamed(client: openai.OpenAI, **options: Any) -> tuple[str, str | None, Any]:
    """The text, the reason to end, and the usage."""
    chunks = list(client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    finish = next((c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason), None)
    return text, finish, chunks[-1].usage


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("vllm", "Echo: <|im_start|>user hello big world"),
        ("trtllm", "Echo: User: hello big world"),
        ("triton-seldon", "echo: hello big world"),
        ("api", "echo: hello big world"),
        ("local", "echo: hello big world"),
        ("kserve", "echo: hello big world"),
    ],
)
def test_chat(client: openai.OpenAI, model: str, text: str) -> None:
    whole = client.chat.completions.create(model=model, messages=ASKED, max_tokens=50)
    said = whole.choices[0].message.content or ""
    assert said.startswith(text)
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens > 0
    assert whole.usage.completion_tokens > 0
    told, finish, usage = streamed(client, model=model, messages=ASKED, max_tokens=50)
    assert told.strip() == said.strip()
    assert finish == "stop"
    assert usage.completion_tokens > 0
    if model in ("vllm", "trtllm"):
        assert usage == whole.usage


def test_limits_are_kept_by_the_servers(client: openai.OpenAI) -> None:
    for model in ("vllm", "trtllm"):
        cut = client.chat.completions.create(model=model, messages=ASKED, max_tokens=2)
        assert cut.choices[0].finish_reason == "length"
        assert cut.usage is not None
        assert cut.usage.completion_tokens == 2
        assert streamed(client, model=model, messages=ASKED, max_tokens=2)[1] == "length"
        stopped = client.chat.completions.create(model=model, messages=ASKED, stop=["big"], max_tokens=50)
        assert (stopped.choices[0].message.content or "").rstrip().endswith("hello")
        assert stopped.choices[0].finish_reason == "stop"


def test_completions_are_raw_prompts(client: openai.OpenAI) -> None:
    done = client.completions.create(model="vllm", prompt=["a b", "c"], max_tokens=9)
    assert [each.text for each in done.choices] == ["Echo: a b", "Echo: c"]
    chunks = list(client.completions.create(model="trtllm", prompt="a b", max_tokens=9, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Echo: a b"


def test_several_choices(client: openai.OpenAI) -> None:
    for model in ("vllm", "api", "local", "triton-seldon"):
        whole = client.chat.completions.create(model=model, messages=ASKED, n=2, max_tokens=50)
        assert [each.index for each in whole.choices] == [0, 1]
        assert all("hello big world" in (each.message.content or "") for each in whole.choices)
        chunks = list(client.chat.completions.create(model=model, messages=ASKED, n=2, max_tokens=50, stream=True))
        for index in (0, 1):
            said = [each.choices[0] for each in chunks if each.choices[0].index == index]
            assert "hello big world" in "".join(each.delta.content or "" for each in said)
            assert said[-1].finish_reason == "stop"


def test_tools(client: openai.OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "weather"}]
    told = client.chat.completions.create(model="api", messages=asked, tools=[WEATHER])
    assert told.id == "chatcmpl-upstream"
    assert told.choices[0].finish_reason == "tool_calls"
    calls = told.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].model_dump()["function"] == {"name": "weather", "arguments": '{"city":"Paris"}'}
    again: Any = [
        *asked,
        told.choices[0].message.model_dump(),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
    ]
    assert client.chat.completions.create(model="api", messages=again).choices[0].message.content == "echo: sunny"


@pytest.mark.parametrize(("model", "length"), [("triton-embed", 384), ("embed", 8), ("kserve-embed", 8)])
def test_embeddings(client: openai.OpenAI, model: str, length: int) -> None:
    texts = [f"text {number}" for number in range(40)]
    found = client.embeddings.create(model=model, input=texts)
    assert [len(each.embedding) for each in found.data] == [length] * 40
    alone = client.embeddings.create(model=model, input=texts[33], encoding_format="float")
    assert alone.data[0].embedding == pytest.approx(found.data[33].embedding, abs=1e-6)
    raw: Any = client.embeddings.with_raw_response.create(model=model, input="x", encoding_format="base64")
    packed = base64.b64decode(raw.http_response.json()["data"][0]["embedding"])
    assert len(struct.unpack(f"<{length}f", packed)) == length
    assert found.usage.prompt_tokens > 40


def test_dimensions(client: openai.OpenAI) -> None:
    cut = client.embeddings.create(model="triton-embed", input="x", dimensions=10).data[0].embedding
    assert len(cut) == 10
    assert sum(value * value for value in cut) == pytest.approx(1, abs=1e-5)
    with pytest.raises(openai.BadRequestError, match="does not support specifying dimensions"):
        client.embeddings.create(model="embed", input="x", dimensions=4)
    with pytest.raises(openai.BadRequestError, match="less than or equal to 384"):
        client.embeddings.create(model="triton-embed", input="x", dimensions=1000)


def test_images(client: openai.OpenAI) -> None:
    made = client.images.generate(model="triton-images", prompt="a beach", size="64x32", n=2)
    assert made.data is not None
    assert len(made.data) == 2
    for each in made.data:
        assert each.b64_json is not None
        picture = Image.open(BytesIO(base64.b64decode(each.b64_json)))
        assert (picture.format, picture.size) == ("PNG", (64, 32))
    told = client.images.generate(model="images", prompt="a beach")
    assert told.data is not None
    assert told.data[0].revised_prompt == "a beach"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of assistants
def test_the_rest_of_the_api_over_them(client: openai.OpenAI) -> None:
    first = client.responses.create(model="api", input="hello there")
    assert first.output_text == "echo: hello there"
    events = list(client.responses.create(model="local", input="one two", previous_response_id=first.id, stream=True))
    assert "".join(each.delta for each in events if each.type == "response.output_text.delta") == "echo: one two"
    beta: Any = client.beta
    assistant = beta.assistants.create(model="local")
    run = beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "hi you"}]}
    )
    assert run.status == "completed"
    message: Any = beta.threads.messages.list(run.thread_id).data[0].content[0]
    assert message.text.value == "echo: hi you"


def test_other_kinds_are_told(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not do chat: it does embeddings"):
        client.chat.completions.create(model="embed", messages=ASKED)
    with pytest.raises(openai.BadRequestError, match="does not do embeddings: it does chat"):
        client.embeddings.create(model="api", input="x")
    audio: Any = [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]
    with pytest.raises(openai.BadRequestError, match="does not read parts of type 'input_audio'"):
        client.chat.completions.create(model="vllm", messages=[{"role": "user", "content": audio}])
