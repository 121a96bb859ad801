"""A server of the protocol, written down for tests: a chat model in Seldon's way that says the words it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from antiphon.hosting.run import Running, serve_in_background
from antiphon.kernel.flow import Pause
from antiphon.kernel.http import Headers, Request, Response, json_response

SPEC = {"datatype": "BYTES", "shape": [-1]}
EVENTS = Headers({"content-type": "text/event-stream"})


def said(text: str) -> dict[str, Any]:
    tensors = {"role": "assistant", "content": text, "type": "text"}
    outputs = [{"name": n, "shape": [1, 1], "datatype": "BYTES", "data": [v]} for n, v in tensors.items()]
    return {"id": "1", "model_name": "chat", "outputs": outputs}


class Upstream:
    """What it was asked, and how it is to answer. `pause` seconds lie before an answer and between words."""

    def __init__(self, name: str = "a") -> None:
        self.name = name
        self.asked: list[Request] = []
        self.answer: Callable[[Request], Any] | None = None
        self.ready = True
        self.pause = 0.0
        self.words: list[str] = ["one ", "two ", "three"]
        self.left = threading.Event()
        """A stream was broken off."""
        self.under_way = 0
        self.most = 0

    def __call__(self, request: Request) -> Any:
        if request.path.endswith("/ready"):
            return Response(200 if self.ready else 503)
        if request.method == "GET":
            inputs = [{"name": name, **SPEC} for name in ("role", "content", "type")]
            return json_response(200, {"name": "chat", "inputs": inputs, "outputs": []})
        self.asked.append(request)
        if self.answer is not None:
            return self.answer(request)
        if request.path.endswith("/infer_stream"):
            return Response(200, EVENTS, self.stream())
        return self.whole()

    def whole(self) -> Any:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if self.pause:
                yield Pause(self.pause)
        except BaseException:
            self.left.set()
            raise
        finally:
            self.under_way -= 1
        return json_response(200, said("".join(self.words)))

    def stream(self) -> Any:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for word in self.words:
                if self.pause:
                    yield Pause(self.pause)
                yield b"data: " + json.dumps(said(word)).encode() + b"\n\n"
        except BaseException:
            self.left.set()
            raise
        finally:
            self.under_way -= 1


@contextmanager
def serving(*upstreams: Upstream) -> Iterator[list[Running]]:
    """These on ports of their own."""
    running = [serve_in_background(each) for each in upstreams]
    try:
        yield running
    finally:
        for each in running:
            each.stop(0.0)
