"""Whatever a server says for an answer, what the caller gets is an answer or an error of the API, and never a traceback."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon import Gateway
from antiphon.gateway import GatewayConfig, ModelConfig, TensorConfig
from antiphon.kernel.flow import iterate, run
from antiphon.kernel.http import Headers, Request, Response, json_response

CHAT: Any = {
    "model": "m",
    "messages": [{"role": "user", "content": "x"}],
    "max_tokens": 5,
    "logprobs": True,
    "stop": ["y"],
}
TOOLS: Any = [{"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}]
ASKED: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "chat": ("chat/completions", [CHAT, {**CHAT, "n": 2}, {**CHAT, "tools": TOOLS}, {**CHAT, "stream": True}]),
    "embeddings": ("embeddings", [{"model": "m", "input": ["a", "b"]}, {"model": "m", "input": "a", "dimensions": 2}]),
    "images": ("images/generations", [{"model": "m", "prompt": "x", "size": "16x16"}]),
}
KINDS = {
    "seldon-chat": "chat", "triton-vllm": "chat", "triton-trtllm": "chat", "triton-llmapi": "chat", "triton-text": "chat",
    "mlserver-hf": "chat", "custom": "chat", "seldon-embeddings": "embeddings", "embeddings": "embeddings",
    "seldon-images": "images", "images": "images",
}  # fmt: skip
NAMES = ("output_all", "role", "content", "type", "tool_calls", "finish_reason", "text_output", "logprobs", "output",
         "num_input_tokens", "num_output_tokens", "embedding", "image")  # fmt: skip

numbers = st.integers(-3, 300) | st.floats(allow_nan=False, allow_infinity=False, width=32)
parts = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(-1, 2),
        "delta": st.none()
        | st.dictionaries(st.sampled_from(["content", "tool_calls", "role"]), st.none() | st.text(max_size=3)),
        "message": st.none()
        | st.dictionaries(st.sampled_from(["content", "tool_calls", "role"]), st.none() | st.text(max_size=3)),
        "finish_reason": st.none() | st.sampled_from(["stop", "length", "odd"]),
    },
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "id": st.none() | st.text(max_size=3),
        "choices": st.none() | st.lists(parts, max_size=2),
        "data": st.none() | st.lists(st.none() | st.dictionaries(st.sampled_from(["embedding", "b64_json", "url"]), st.none() | st.text(max_size=4) | st.lists(numbers, max_size=3)), max_size=2),
        "usage": st.none() | st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), st.none() | numbers),
        "error": st.none() | st.text(max_size=3) | st.dictionaries(st.just("message"), st.text(max_size=3)),
    },
)  # fmt: skip
texts = st.text(max_size=8) | bodies.map(json.dumps) | st.sampled_from(
    ['{"name": "w"}', '<tool_call>{"name": "w"}</tool_call>', '[{"1": {"logprob": -1, "decoded_token": "a"}}]', "[1, 2]", "null",
     '[{"generated_text": "xy"}]', "{}", "stop", "None", "iVBORw0KGgo="]
)  # fmt: skip
outputs = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(NAMES),
            "datatype": st.sampled_from(["BYTES", "FP32", "INT32", "UINT8"]),
            "shape": st.lists(st.integers(-1, 4), max_size=4),
            "data": st.lists(texts, max_size=3)
            | st.lists(numbers, max_size=8)
            | st.lists(st.lists(numbers, max_size=2), max_size=2),
        }
    ),
    max_size=4,
)


class Server:
    """A transport to a server that says what it is told to."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def send(self, request: Request, timeout: Any, stream: bool) -> Response:
        if request.path == "/v2":
            return json_response(200, {"name": "mlserver", "version": "1", "extensions": []})
        if request.method == "GET":
            return json_response(200, {"name": "m", "platform": "", "inputs": [], "outputs": []})
        answer = {"model_name": "m", "id": "1", "outputs": self.said}
        if not request.path.endswith("_stream"):
            return json_response(200, answer)
        events = [b"data: " + orjson.dumps(answer) + b"\n\n"] * 2
        return Response(200, Headers({"content-type": "text/event-stream"}), iter(events))


@pytest.mark.parametrize("convention", KINDS)
def test_any_answer(convention: str) -> None:
    server = Server()
    tensors: Any = {}
    if convention == "custom":
        told = ("text", "tool_calls", "finish_reason", "input_tokens", "reasoning")
        names = ("text_output", "tool_calls", "finish_reason", "num_input_tokens", "content")
        tensors["inputs"] = (TensorConfig("a", path="$prompt"),)
        tensors["outputs"] = tuple(TensorConfig(name, path=path) for name, path in zip(names, told, strict=True))
    model = ModelConfig("m", ("http://x",), convention=convention, dimensions=4, **tensors)
    gateway = Gateway(GatewayConfig(models={"m": model}, metrics=False), transport=server)
    path, asked = ASKED[KINDS[convention]]
    json_type = Headers({"content-type": "application/json"})

    @settings(max_examples=60, deadline=None)
    @given(outputs, st.sampled_from(asked))
    def check(said: list[Any], body: dict[str, Any]) -> None:
        server.said = said
        answer: Any = gateway(Request("POST", f"/v1/{path}", "", json_type, orjson.dumps(body)))
        answer = answer if isinstance(answer, Response) else run(answer, gateway.world)
        whole = answer.body if isinstance(answer.body, bytes) else b"".join(iterate(answer.body, gateway.world))
        assert answer.status in (200, 400, 502), whole
        if answer.status != 200:
            assert json.loads(whole)["error"]["message"]
        elif body.get("stream"):
            assert whole.endswith(b"data: [DONE]\n\n") or b'"error"' in whole

    check()
