"""The protocol over HTTP: JSON, with events for streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import orjson

from ...kernel.errors import APIConnectionError
from ...kernel.flow import Read, Send
from ...kernel.http import Headers, Request
from ...kernel.sse import Decoder
from ..errors import broken, lost, message_of, refused
from .messages import InferRequest, InferResponse, ModelMetadata, RepositoryEntry, ServerMetadata, Tensor, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...kernel.flow import Flow
    from ...kernel.http import Response
    from .protocol import Answers

__all__ = ("Rest",)


class Rest:
    """A server that is spoken with over HTTP. Whoever drives its flows sends the requests."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: Any = None) -> None:
        parts = urlsplit(url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.prefix = parts.path.rstrip("/")
        self.timeout = timeout
        self.headers = Headers({"content-type": "application/json", **(headers or {})})

    def infer(self, request: InferRequest) -> Flow[InferResponse]:
        response = yield from self._post(f"{_model(request.model, request.version)}/infer", request, stream=False)
        return _response(orjson.loads(response.content))

    def open(self, request: InferRequest) -> Flow[Answers]:
        path = f"{_model(request.model, request.version)}/infer_stream"
        response = yield from self._post(path, request, stream=True)
        return _Events(request.model, response)

    def live(self) -> Flow[bool]:
        return (yield from self._is("/v2/health/live"))

    def ready(self, model: str | None = None, version: str | None = None) -> Flow[bool]:
        return (yield from self._is("/v2/health/ready" if model is None else f"{_model(model, version)}/ready"))

    def server(self) -> Flow[ServerMetadata]:
        said = yield from self._get("/v2", "")
        return ServerMetadata(said.get("name") or "", said.get("version") or "", tuple(said.get("extensions") or ()))

    def metadata(self, model: str, version: str | None = None) -> Flow[ModelMetadata]:
        said = yield from self._get(_model(model, version), model)
        return ModelMetadata(
            said.get("name") or model,
            tuple(_spec(each) for each in said.get("inputs") or ()),
            tuple(_spec(each) for each in said.get("outputs") or ()),
            said.get("platform") or "",
            tuple(said.get("versions") or ()),
        )

    def index(self) -> Flow[list[RepositoryEntry]]:
        raise NotImplementedError

    def load(self, model: str) -> Flow[None]:
        raise NotImplementedError

    def unload(self, model: str) -> Flow[None]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is held here."""

    def _is(self, path: str) -> Flow[bool]:
        response = yield Send(Request("GET", self.prefix + path, "", self.headers, b"", self.origin), self.timeout)
        answered: bool = response.status == 200
        return answered

    def _get(self, path: str, model: str) -> Flow[Any]:
        request = Request("GET", self.prefix + path, "", self.headers, b"", self.origin)
        try:
            response = yield Send(request, self.timeout)
        except APIConnectionError as error:
            raise lost(model, error) from error
        if response.status != 200:
            raise refused(response.status, message_of(response.content), model, response.headers)
        return orjson.loads(response.content)

    def _post(self, path: str, asked: InferRequest, *, stream: bool) -> Flow[Response]:
        body = orjson.dumps(_request(asked), default=list)
        headers = Headers.of([*self.headers.pairs, *asked.headers]) if asked.headers else self.headers
        request = Request("POST", self.prefix + path, "", headers, body, self.origin)
        response: Response
        try:
            response = yield Send(request, self.timeout, stream=stream)
        except APIConnectionError as error:
            raise lost(asked.model, error) from error
        if response.status != 200:
            content = response.content if isinstance(response.body, bytes) else (yield from _rest(response.body))
            raise refused(response.status, message_of(content), asked.model, response.headers)
        return response


def _rest(stream: Any) -> Flow[bytes]:
    parts: list[bytes] = []
    while (piece := (yield Read(stream))) is not None:
        parts.append(piece)
    return b"".join(parts)


class _Events:
    """The events of `infer_stream`. A body that does not end well is an error."""

    __slots__ = ("_decoder", "_model", "_pieces")

    def __init__(self, model: str, response: Response) -> None:
        self._model = model
        self._pieces: Any = response.body
        self._decoder = Decoder()

    def more(self) -> Flow[list[InferResponse]]:
        while True:
            try:
                piece = yield Read(self._pieces)
            except APIConnectionError as error:
                raise broken(self._model, str(error)) from error
            if piece is None:
                return []
            found = [_response(orjson.loads(event.data)) for event in self._decoder.feed(piece)]
            if found:
                return found

    def close(self) -> None:
        pass


def _model(name: str, version: str | None) -> str:
    path = f"/v2/models/{quote(name, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"


def _request(asked: InferRequest) -> dict[str, Any]:
    body: dict[str, Any] = {"inputs": [_tensor(each) for each in asked.inputs]}
    if asked.id is not None:
        body["id"] = asked.id
    if asked.parameters:
        body["parameters"] = asked.parameters
    if asked.outputs:
        body["outputs"] = [{"name": name} for name in asked.outputs]
    return body


def _tensor(tensor: Tensor) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": tensor.name,
        "shape": tensor.shape,
        "datatype": tensor.datatype,
        "data": tensor.data,
    }
    if tensor.parameters:
        value["parameters"] = tensor.parameters
    return value


def _spec(given: Mapping[str, Any]) -> TensorSpec:
    return TensorSpec(given["name"], given["datatype"], tuple(given["shape"]))


def _response(said: Mapping[str, Any]) -> InferResponse:
    outputs = [Tensor(o["name"], o["datatype"], o["shape"], o["data"]) for o in said["outputs"]]
    return InferResponse(said.get("model_name") or "", outputs, said.get("model_version"), said.get("id"))
