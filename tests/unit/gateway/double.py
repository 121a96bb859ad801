"""A server of the Open Inference Protocol with one model, which says what a test tells it to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

from antiphon import Gateway
from antiphon.gateway import GatewayConfig, ModelConfig
from antiphon.hosting.run import serve_in_background
from antiphon.kernel.http import Headers, Request, Response, json_response

__all__ = ("Double", "asked_through", "tensor")

_SPEC = re.compile(r"(\S+) (\w+) (\[.*\])")


def tensor(name: str, *data: Any, datatype: str = "BYTES", shape: list[int] | None = None) -> dict[str, Any]:
    """An output of an answer."""
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": list(data)}


class Double:
    """`inputs` and `outputs` are such as `text_input BYTES [1]`. `answer` gives the outputs, or the parts of a stream.

    What it is asked is in `asked`: each input's data by name, in `tensors` the inputs themselves, in `bodies` the whole.
    """

    def __init__(
        self,
        inputs: list[str],
        outputs: list[str],
        answer: Callable[[dict[str, Any], bool], list[Any]],
        *,
        server: str = "other",
        platform: str = "python",
    ) -> None:
        self.inputs, self.outputs = list(map(_spec, inputs)), list(map(_spec, outputs))
        self.answer = answer
        self.server, self.platform = server, platform
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []

    @property
    def tensors(self) -> dict[str, Any]:
        """The inputs of the last request by name."""
        return {each["name"]: each for each in self.bodies[-1]["inputs"]}

    @property
    def asked(self) -> dict[str, Any]:
        """The data of the last request by name; of one element, that."""
        return _data(self.bodies[-1])

    def __call__(self, request: Request) -> Response:
        if request.path == "/v2":
            return json_response(200, {"name": self.server, "version": "1", "extensions": []})
        if request.method == "GET":
            found = {"name": "m", "platform": self.platform, "inputs": self.inputs, "outputs": self.outputs}
            return json_response(200, found)
        body: Any = json.loads(request.content())
        self.bodies.append(body)
        self.paths.append(request.path)
        stream = request.path.endswith("_stream")
        said = self.answer(_data(body), stream)
        if not stream:
            return json_response(200, {"model_name": "m", "id": body["id"], "outputs": said})
        parts = [{"model_name": "m", "id": body["id"], "outputs": each} for each in said]
        events = [f"data: {json.dumps(each)}\n\n".encode() for each in parts]
        return Response(200, Headers({"content-type": "text/event-stream"}), iter(events))


def _spec(text: str) -> dict[str, Any]:
    found = _SPEC.fullmatch(text)
    assert found is not None, text
    return {"name": found[1], "datatype": found[2], "shape": json.loads(found[3])}


def _data(body: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["data"][0] if len(each["data"]) == 1 else each["data"] for each in body["inputs"]}


@contextmanager
def asked_through(
    double: Callable[[Request], Response], config: GatewayConfig | None = None, **options: Any
) -> Generator[openai.OpenAI]:
    """The official client of a gateway to the double, whose model is called `m`."""
    with serve_in_background(double) as server:
        models = {"m": ModelConfig("m", (server.url,), **options)}
        with Gateway(config, models=models) as gateway:
            http = httpx2.Client(transport=gateway.official_transport())
            with openai.OpenAI(
                base_url="http://gateway.test/v1", api_key="none", max_retries=0, http_client=http
            ) as client:
                yield client
