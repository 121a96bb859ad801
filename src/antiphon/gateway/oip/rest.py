"""The protocol over HTTP: JSON, tensors as bytes where a server takes them, and events for streams.

Servers differ in what they have beyond the protocol, above all in how they stream. What a server is, is asked once,
when it first matters.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import orjson

from ...kernel.errors import APIConnectionError, APIStatusError
from ...kernel.http import Headers, Request
from ..errors import OPENAI, broken, failed, impossible, lost, message_of, reason, refused, speaks_openai
from ..world import Sender, heard, rest_of
from .bodies import LENGTH, answer_of, binary_body, json_body, pays, response_of, scalars, unsayable
from .events import Events
from .generate import generate_body, generated
from .messages import ModelMetadata, RepositoryEntry, ServerMetadata, TensorSpec
from .protocol import NOTHING, One, identified, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...kernel.flow import Flow
    from ...kernel.http import Response
    from .messages import InferRequest, InferResponse
    from .protocol import Answers

__all__ = ("Rest",)

T = TypeVar("T")
_PLAIN: Final = (str, bool, int, float)
_STRICT: Final = frozenset({"triton", "ovms", "kserve"})
"""Servers that take nothing but scalars as parameters."""
_STREAMLESS: Final = frozenset({"ovms", "kserve"})
"""Servers that do not stream over HTTP."""
_NO_SUCH_CALL: Final = frozenset({404, 405, 501})
_MOST_WAYS: Final = 256
_SILENT: Final = (
    "the server broke off before the beginning of an answer and did not say why, as MLServer does where a model fails; "
    "its log has the reason"
)


class Rest:
    """A server that is spoken with over HTTP. Whoever drives its flows sends the requests.

    `headers` go with every request. `name` is what errors call its model, where that is not what the server calls it.
    `stream` is how streams are asked for: `infer_stream`, `generate`, `infer` for one answer in place of a stream, and
    `auto` for what the server and the model are good for. `pipeline` is for pipelines of Seldon's. `roots` is the path
    of a PEM file with more to trust: then connections are of its own. Raises `OSError` for a file that cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
        timeout: Any = None,
        stream: str = "auto",
        pipeline: bool = False,
        roots: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.prefix = parts.path.rstrip("/")
        self.sending = Sender(timeout, roots)
        """Makes the steps that send requests to it."""
        self.headers = Headers({"content-type": "application/json", **(headers or {})})
        self._name = name
        self._stream = "infer" if pipeline else stream
        self._family = "pipelines" if pipeline else "models"
        self._kind: str | None = None
        self._binary = False
        self._ways: dict[tuple[str, str | None], str] = {}
        """How streams are asked of each model, as far as it is known."""
        self._outputs: dict[str, dict[str, TensorSpec]] = {}

    def infer(self, request: InferRequest) -> Flow[InferResponse]:
        flat = self._ways.get((request.model, request.version)) == "generate"
        return (self._generate if flat else self._infer)(identified(request))

    def _infer(self, request: InferRequest) -> Flow[InferResponse]:
        body, headers = yield from self._body(request)
        path = f"{self.path_of(request.model, request.version)}/infer"
        response = yield from self._post(path, request, body, headers)
        if response.status == 501 and b"decoupled" in response.content:
            # Triton says so before it asks the model.
            self._learned(request.model, request.version, "generate")
            return (yield from self._generate(request))
        if response.status != 200:
            raise self._refusal(response.status, response.content, request.model, response.headers)
        length = response.headers.get(LENGTH)
        return self._read(lambda: response_of(response.content, None if length is None else int(length)), request.model)

    def open(self, request: InferRequest) -> Flow[Answers]:
        way = self._ways.get((request.model, request.version)) or (yield from self._way(request))
        return (yield from self._OPEN[way](self, identified(request)))

    def live(self) -> Flow[bool]:
        return (yield from self._is("/v2/health/live"))

    def ready(self, model: str | None = None, version: str | None = None) -> Flow[bool]:
        return (yield from self._is("/v2/health/ready" if model is None else f"{self.path_of(model, version)}/ready"))

    def server(self) -> Flow[ServerMetadata]:
        said = yield from self._ask("GET", "/v2")
        return self._read(lambda: self._known(said))

    def metadata(self, model: str, version: str | None = None) -> Flow[ModelMetadata]:
        path = self.path_of(model, version)
        said = yield from self._ask("GET", path, model)
        found = self._read(lambda: _metadata(said, model), model)
        self._outputs[model] = {each.name: each for each in found.outputs}
        if (yield from self._what()) != "triton":
            return found
        settings = yield from self._ask("GET", f"{path}/config", model)
        return self._configured(found, self._read(lambda: _configuration(settings), model), version)

    def index(self) -> Flow[list[RepositoryEntry]]:
        response = yield from self._send("POST", "/v2/repository/index", b"{}")
        if response.status == 200:
            return self._read(lambda: [_entry(each) for each in orjson.loads(response.content)])
        if response.status not in _NO_SUCH_CALL:
            raise self._refusal(response.status, response.content, None, response.headers)
        # KServe has a list in its own place, and others have none.
        response = yield from self._send("GET", "/v2/models")
        if response.status != 200:
            return []
        return self._read(lambda: [RepositoryEntry(str(name)) for name in orjson.loads(response.content)["models"]])

    def load(self, model: str) -> Flow[None]:
        yield from self._ask("POST", f"/v2/repository/models/{quote(model, safe='')}/load", model)
        self._forget(model)

    def unload(self, model: str) -> Flow[None]:
        yield from self._ask("POST", f"/v2/repository/models/{quote(model, safe='')}/unload", model)
        self._forget(model)

    def close(self) -> None:
        """Connections are those of whoever sends, mostly."""
        self.sending.close()

    # Streams

    def _way(self, request: InferRequest) -> Flow[str]:
        """How a stream is asked of a model."""
        way = self._stream if self._stream in self._OPEN else ""
        if not way:
            kind = yield from self._what()
            way = "infer" if kind in _STREAMLESS else "infer_stream" if kind == "mlserver" else "guess"
            if kind == "triton":
                said = yield from self.metadata(request.model, request.version)
                way = "generate" if said.decoupled else "infer"
        self._learned(request.model, request.version, way)
        return way

    def _open_infer_stream(self, request: InferRequest, *, guess: bool = False) -> Flow[Answers]:
        body, headers = yield from self._body(request)
        path = f"{self.path_of(request.model, request.version)}/infer_stream"
        response = yield from self._post(path, request, body, headers, stream=True)
        if response.status != 200:
            content = yield from heard(response.body)
            if guess and response.status in _NO_SUCH_CALL:
                # Nothing has run: there is no such address here, or no such model.
                answer = yield from self.infer(request)
                self._learned(request.model, request.version, "infer")
                return One(answer)
            raise self._refusal(response.status, content, request.model, response.headers)
        if (response.headers.get("content-type") or "").startswith("application/json"):
            content = yield from self._rest(response, request.model)  # it took the question for any other
            return One(self._read(lambda: response_of(content), request.model))
        events = Events(self._called(request.model), response, answer_of)
        if not (yield from events.begin()):
            raise (yield from self._silence(request))
        return events

    def _open_guess(self, request: InferRequest) -> Flow[Answers]:
        return self._open_infer_stream(request, guess=True)

    def _open_generate(self, request: InferRequest) -> Flow[Answers]:
        response = yield from self._post_flat("generate_stream", request, stream=True)
        if response.status != 200:
            content = yield from heard(response.body)
            raise self._refusal(response.status, content, request.model, response.headers)
        known = self._outputs.get(request.model)
        events = Events(self._called(request.model), response, lambda said: generated(said, known))
        if not (yield from events.begin()):
            raise broken(self._called(request.model), NOTHING)
        return events

    def _open_infer(self, request: InferRequest) -> Flow[Answers]:
        return One((yield from self.infer(request)))

    _OPEN: Final[dict[str, Callable[[Rest, InferRequest], Flow[Answers]]]] = {
        "infer_stream": _open_infer_stream,
        "generate": _open_generate,
        "infer": _open_infer,
        "guess": _open_guess,
    }

    def _generate(self, request: InferRequest) -> Flow[InferResponse]:
        response = yield from self._post_flat("generate", request)
        if response.status != 200:
            raise self._refusal(response.status, response.content, request.model, response.headers)
        return self._read(lambda: self._flat(response.content, request.model), request.model)

    def _flat(self, content: bytes, model: str) -> InferResponse:
        said = orjson.loads(content)
        if isinstance(said, dict) and "error" in said:
            raise failed(self._called(model), message_of(content))
        return generated(said, self._outputs.get(model))

    def _post_flat(self, call: str, request: InferRequest, *, stream: bool = False) -> Flow[Response]:
        if request.model not in self._outputs:
            yield from self.metadata(request.model, request.version)
        try:
            body = generate_body(request)
        except ValueError as error:
            raise impossible(self._called(request.model), str(error)) from error
        path = f"{self.path_of(request.model, request.version)}/{call}"
        return (yield from self._post(path, request, body, self.headers, stream=stream))

    def _rest(self, response: Response, model: str) -> Flow[bytes]:
        try:
            return (yield from rest_of(response.body))
        except APIConnectionError as error:
            raise broken(self._called(model), reason(error)) from error

    def _silence(self, request: InferRequest) -> Flow[APIStatusError]:
        """Why a stream was over before it began. MLServer does not say, but may know of the model."""
        model = request.model
        response = yield from self._send("GET", f"{self.path_of(model, request.version)}/ready")
        if response.status in (400, 404, 503):
            return self._refusal(response.status, response.content, model, response.headers)
        return broken(self._called(model), _SILENT)

    # What is known of the server

    def _what(self) -> Flow[str]:
        """Which server it is. One that does not say is one like any other."""
        if self._kind is not None:
            return self._kind
        response = yield from self._send("GET", "/v2")
        if response.status >= 500:
            return ""  # it may say so later
        self._kind = ""
        if response.status == 200:
            with suppress(AttributeError, KeyError, TypeError, ValueError):
                self._known(orjson.loads(response.content))
        return self._kind

    def _known(self, said: Any) -> ServerMetadata:
        found = ServerMetadata(said["name"], said.get("version") or "", tuple(said.get("extensions") or ()))
        self._kind = kind_of(found)
        self._binary = "binary_tensor_data" in found.extensions
        return found

    def _configured(self, found: ModelMetadata, settings: ModelMetadata, version: str | None) -> ModelMetadata:
        optional = {each.name for each in settings.inputs if each.optional}
        inputs = tuple(each._replace(optional=each.name in optional) for each in found.inputs)
        if settings.decoupled:
            self._ways.setdefault((found.name, version), "generate")
        return found._replace(inputs=inputs, decoupled=settings.decoupled, max_batch_size=settings.max_batch_size)

    def _forget(self, model: str) -> None:
        self._ways = {known: way for known, way in self._ways.items() if known[0] != model}
        self._outputs.pop(model, None)

    def _learned(self, model: str, version: str | None, way: str) -> None:
        if len(self._ways) >= _MOST_WAYS:  # versions come from callers
            self._ways.clear()
        self._ways[model, version] = way

    def _called(self, model: str | None) -> str:
        return self._name or model or "of no name"

    # Requests

    def _body(self, request: InferRequest) -> Flow[tuple[bytes, Headers]]:
        kind = self._kind
        if kind is None:
            kind = yield from self._what()
        parameters = request.parameters
        if not all(isinstance(value, _PLAIN) for value in parameters.values()):
            strict = kind in _STRICT
            parameters = scalars(parameters) if strict else {k: v for k, v in parameters.items() if v is not None}
        try:
            packed = any(pays(each) for each in request.inputs)
            if packed and self._binary:
                body, length = binary_body(request, parameters)
                changes = {"content-type": "application/octet-stream", LENGTH: str(length)}
                return body, self.headers.replaced(changes)
            base64 = packed and kind == "mlserver"
            if packed and not base64 and any(each.datatype == "BYTES" and unsayable(each) for each in request.inputs):
                raise ValueError(
                    "it has bytes that are no text, and the server takes them in no way there is over HTTP"
                )
            return json_body(request, parameters, base64=base64, binary=self._binary), self.headers
        except ValueError as error:
            raise impossible(self._called(request.model), str(error)) from error

    def _post(
        self, path: str, asked: InferRequest, body: bytes, headers: Headers, *, stream: bool = False
    ) -> Flow[Response]:
        if asked.headers:
            headers = Headers.of([*headers.pairs, *asked.headers])
        request = Request("POST", self.prefix + path, "", headers, body, self.origin)
        try:
            response: Response = yield self.sending(request, stream=stream)
        except APIConnectionError as error:
            raise lost(self._called(asked.model), error) from error
        return response

    def _send(self, method: str, path: str, body: bytes = b"", model: str | None = None) -> Flow[Response]:
        request = Request(method, self.prefix + path, "", self.headers, body, self.origin)
        again = method == "GET"  # a connection that was kept may turn out to be closed; to ask twice changes nothing
        while True:
            try:
                response: Response = yield self.sending(request)
            except APIConnectionError as error:
                failure = lost(self._called(model), error)
                if not again or failure.status_code != 502:
                    raise failure from error
                again = False
            else:
                return response

    def _ask(self, method: str, path: str, model: str | None = None) -> Flow[Any]:
        response = yield from self._send(method, path, b"{}" if method == "POST" else b"", model)
        if response.status == 404 and speaks_openai(response.content):
            words = f"{message_of(response.content).rstrip('.')}; {OPENAI}"
            raise refused(404, words, self._called(model), response.headers)
        if response.status != 200:
            raise self._refusal(response.status, response.content, model, response.headers)
        return self._read(lambda: orjson.loads(response.content), model) if response.content else {}

    def _is(self, path: str) -> Flow[bool]:
        try:
            response = yield self.sending(Request("GET", self.prefix + path, "", self.headers, b"", self.origin))
        except APIConnectionError:
            return False
        return bool(response.status == 200)

    def _read(self, read: Callable[[], T], model: str | None = None) -> T:
        try:
            return read()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise broken(self._called(model), f"it is not of the protocol: {error}") from error

    def _refusal(self, status: int, content: bytes, model: str | None, headers: Mapping[str, str]) -> APIStatusError:
        return refused(status, message_of(content), self._called(model), headers)

    def path_of(self, name: str, version: str | None) -> str:
        """The address of a model, below that of its server."""
        return _path(self._family, name, version)


@lru_cache(1024)
def _path(family: str, name: str, version: str | None) -> str:
    path = f"/v2/{family}/{quote(name, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"


def _metadata(said: Mapping[str, Any], model: str) -> ModelMetadata:
    def specs(given: Any) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(each["name"], each["datatype"], tuple(each["shape"])) for each in given or ())

    return ModelMetadata(
        said.get("name") or model,
        specs(said.get("inputs")),
        specs(said.get("outputs")),
        said.get("platform") or "",
        tuple(said.get("versions") or ()),
    )


def _entry(said: Mapping[str, Any]) -> RepositoryEntry:
    return RepositoryEntry(*(str(said.get(key) or "") for key in RepositoryEntry._fields))


def _configuration(said: Mapping[str, Any]) -> ModelMetadata:
    """What Triton's configuration of a model has beyond its metadata: what is optional, decoupled, and batches."""
    inputs = tuple(TensorSpec(each["name"], "", (), bool(each.get("optional"))) for each in said.get("input") or ())
    decoupled = bool((said.get("model_transaction_policy") or {}).get("decoupled"))
    return ModelMetadata("", inputs, decoupled=decoupled, max_batch_size=int(said.get("max_batch_size") or 0))
