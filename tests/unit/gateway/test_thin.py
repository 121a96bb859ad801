"""A question's way through the whole gateway, to a server written down here."""

from __future__ import annotations

import json
from typing import Any

import openai

from antiphon.gateway import Gateway, ModelConfig
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.http import Headers, Request, Response, json_response

SPEC = {"datatype": "BYTES", "shape": [-1]}


def seldon(request: Request) -> Response:
    if request.method == "GET":
        inputs = [{"name": name, **SPEC} for name in ("role", "content", "type")]
        return json_response(200, {"name": "chat", "inputs": inputs, "outputs": []})
    asked: Any = json.loads(request.content())
    words = asked["inputs"][1]["data"][-1].split()
    stream = request.path.endswith("/infer_stream")

    def said(text: str) -> dict[str, Any]:
        tensors = {"role": "assistant", "content": text, "type": "text"}
        outputs = [{"name": n, "shape": [1, 1], "datatype": "BYTES", "data": [v]} for n, v in tensors.items()]
        return {"id": "1", "model_name": "chat", "outputs": outputs}

    if not stream:
        return json_response(200, said(" ".join(words)))
    body = b"".join(b"data: " + json.dumps(said(word + " ")).encode() + b"\n\n" for word in words)
    return Response(200, Headers({"content-type": "text/event-stream"}), iter([body[:50], body[50:]]))


def test_in_process_and_on_a_port() -> None:
    with serve_in_background(seldon) as upstream:
        gateway = Gateway(models={"chat": ModelConfig("chat", (upstream.url,))})
        ask: Any = {
            "model": "chat",
            "messages": [{"role": "user", "content": "one two three"}],
            "extra_body": {"top_k": 3},
        }
        assert gateway.client().chat.completions.create(**ask).choices[0].message.content == "one two three"
        with gateway.start(port=0) as running:
            client = openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0)
            whole = client.chat.completions.create(**ask)
            assert whole.choices[0].message.content == "one two three"
            assert whole.choices[0].finish_reason == "stop"
            chunks = list(client.chat.completions.create(**ask, stream=True))
            assert "".join(c.choices[0].delta.content or "" for c in chunks) == "one two three "
            assert client.responses.create(model="chat", input="a b").output_text == "a b"
