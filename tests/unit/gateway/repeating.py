"""A server of the protocol with chat models that repeat what they are asked, word by word.

`/slow N` in a question is a pause of N seconds before the word that follows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from antiphon.kernel.flow import Pause, Step
from antiphon.kernel.http import Headers, Request, Response, json_response

SPEC = {"datatype": "BYTES", "shape": [-1]}
CHAT = [{"name": name, **SPEC} for name in ("role", "content", "type")]


class Repeating:
    """Its repository has `models`, of which those in `away` are not ready."""

    def __init__(self, *models: str, away: tuple[str, ...] = ()) -> None:
        self.models = list(models) or ["chat"]
        self.away = set(away)
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        path = request.path
        if path == "/v2/repository/index":
            states = {name: "UNAVAILABLE" if name in self.away else "READY" for name in self.models}
            return json_response(200, [{"name": name, "version": "1", "state": s} for name, s in states.items()])
        if path == "/v2":
            return json_response(200, {"name": "mlserver", "version": "1.7.1", "extensions": []})
        if path.startswith("/v2/health/"):
            return Response(200)
        name = path.split("/")[3]
        if name not in self.models or name in self.away:
            return json_response(404, {"error": f"Model {name} not found"})
        if path.endswith("/ready"):
            return Response(200)
        if request.method == "GET":
            return json_response(200, {"name": name, "platform": "", "inputs": CHAT, "outputs": []})
        asked: Any = json.loads(request.content())
        words = {each["name"]: each["data"] for each in asked["inputs"]}["content"][-1].split()
        if path.endswith("/infer_stream"):
            return Response(200, Headers({"content-type": "text/event-stream"}), _stream(name, words))
        return json_response(200, _said(name, " ".join(words)))


def _stream(name: str, words: list[str]) -> Iterator[bytes | Step[Any]]:
    seconds = 0.0
    before = ""
    for word in words:
        if seconds:
            yield Pause(seconds)
        seconds = float(word) if before == "/slow" else 0.0
        before = word
        yield b"data: " + json.dumps(_said(name, word + " ")).encode() + b"\n\n"


def _said(name: str, text: str) -> dict[str, Any]:
    tensors = {"role": "assistant", "content": text, "type": "text"}
    outputs = [{"name": n, "shape": [1, 1], "datatype": "BYTES", "data": [v]} for n, v in tensors.items()]
    return {"id": "1", "model_name": name, "outputs": outputs}
