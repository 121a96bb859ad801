"""Addresses beside those of the API: Seldon's, which have a model in them, and those of the protocol itself.

    /v2/models/{model}/infer/chat/completions     as /v1/chat/completions, for this model and no other
    /v2/models/{model}/infer                      the protocol: passed on to the model's server as it is

Under Seldon's address of a model the whole API is, so that it can be the `base_url` of a client. It may end in `infer`
or in `infer_stream`: what is streamed is what the body says. With `/versions/{version}` that version of the model is
asked.
"""

from __future__ import annotations

import re
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import orjson

from ..kernel.errors import APIConnectionError, APIStatusError, BadRequestError, NotFoundError
from ..kernel.flow import Call
from ..kernel.http import Headers, Request, Response, json_response
from ..kernel.spool import spooled
from ..version import __version__
from .conventions._options import VERSION, sound
from .errors import lost
from .patience import Guard
from .pool import HeldBody
from .translating import translated

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ..kernel.flow import Flow, Step
    from ..kernel.http import Filter, Handler
    from .backends import Backend
    from .config import ModelConfig
    from .oip.rest import Rest

__all__ = ("beneath", "model_at", "protocol", "seldon")

# Names of models may have slashes in them.
_SELDON: Final = re.compile(
    r"/v2/(?:models|pipelines)/(?P<model>.+?)(?:/versions/(?P<version>[^/]+))?/infer(?:_stream)?/(?P<rest>.+?)/?"
)
_MODEL: Final = re.compile(
    r"/v2/(?:models|pipelines)/(?P<model>.+?)(?:/versions/(?P<version>[^/]+))?"
    r"(?P<call>(?:/(?:ready|config|stats|infer|infer_stream|generate|generate_stream))?)"
)
_SUFFIX: Final = re.compile(r"_\d+")
_CALLS: Final = {
    "": "GET",
    "/ready": "GET",
    "/config": "GET",
    "/stats": "GET",
    "/infer": "POST",
    "/infer_stream": "POST",
    "/generate": "POST",
    "/generate_stream": "POST",
}
"""What of a model's addresses is passed on, and by which method."""
_NAMES: Final = frozenset(("chat/completions", "completions", "embeddings", "images/generations", "responses"))
"""Addresses whose bodies have to name the model."""
_LEFT: Final = frozenset(
    ("connection", "content-length", "date", "keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade")
)
"""Headers of an answer that are about its way here."""
_PASSED: Final = ("accept", "content-type", "inference-header-content-length")
"""Headers of a request that its body needs."""


# Seldon's addresses


def seldon(models: Mapping[str, Any], max_body: int) -> Filter:
    """A filter for Seldon's addresses. Where the body names another model than the address, that is an error."""

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response | Flow[Response]:
            path = request.path
            if not path.startswith("/v2/"):
                return handler(request)
            found = _SELDON.fullmatch(path)
            if found is None:
                return handler(request)
            if isinstance(request.body, bytes):
                return handler(_addressed(request, request.body, found, models))
            return large(request, found)

        def large(request: Request, found: re.Match[str]) -> Flow[Response]:
            assert not isinstance(request.body, bytes)
            held = yield Call(spooled, request.body.pieces(), max_body)
            content = yield Call(held.read)
            answer: Any = handler(_addressed(request, content, found, models)._replace(body=content))
            whole: Response = (yield from answer) if isinstance(answer, GeneratorType) else answer
            return whole

        return handle

    return wrap


def _addressed(request: Request, content: bytes, found: re.Match[str], models: Mapping[str, Any]) -> Request:
    """The request of the API that is meant. Raises `BadRequestError` for another model than the one in the address."""
    rest = found["rest"]
    request = request._replace(path=f"/v1/{rest}")
    if request.method != "POST" or not (request.headers.get("content-type") or "").startswith("application/json"):
        return request
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return request  # the server says what is wrong with it
    if not isinstance(body, dict) or ("model" not in body and rest not in _NAMES):
        return request
    name, told = unquote(found["model"]), body.get("model")
    if not isinstance(told, str):
        raise BadRequestError.because(
            f"The body does not name the model: the address is that of '{name}', and 'model' has to say so as well.",
            param="model",
            code="missing_required_parameter" if told is None else "invalid_type",
        )
    if told != name and not (name not in models and name.startswith(told) and _SUFFIX.fullmatch(name, len(told))):
        raise BadRequestError.because(
            f"The model '{told}' is not loaded at the endpoint '{found.string}', which is that of the model '{name}'.",
            param="model",
            code="model_not_found",
        )
    version = found["version"]
    if version is not None:
        return request._replace(body=orjson.dumps({**body, VERSION: unquote(version)}))
    return request


def beneath(path: str) -> str | None:
    """The address of the API, below its version, that is meant by one of Seldon's; `None` for any other."""
    found = _SELDON.fullmatch(path) if path.startswith("/v2/") else None
    return None if found is None else f"/{found['rest']}"


# The protocol


def model_at(path: str) -> str | None:
    """The model that an address of the protocol is about; `None` for one that is about none."""
    found = _MODEL.fullmatch(path.rstrip("/"))
    return None if found is None else unquote(found["model"])


def protocol(backends: Mapping[str, Backend], *, passed: bool) -> Filter:
    """A filter for the addresses of the protocol, which are passed on, or else told not to be."""

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response | Flow[Response]:
            path = request.path
            if path != "/v2" and not path.startswith("/v2/"):
                return handler(request)
            if not passed:
                raise NotFoundError.because(
                    f"Invalid URL ({request.method} {path}): this gateway does not pass on requests of the Open "
                    "Inference Protocol, unless its configuration says `protocol = true`.",
                    code="unknown_url",
                )
            own = _OWN.get((request.method, path.rstrip("/")))
            if own is not None:
                answer: Response | Flow[Response] = own(backends)
                return answer
            return _passed_on(request, backends)

        return handle

    return wrap


def _described(backends: Mapping[str, Backend]) -> Response:
    return json_response(200, {"name": "antiphon", "version": __version__, "extensions": []})


def _live(backends: Mapping[str, Backend]) -> Response:
    return json_response(200, {"live": True})


def _ready(backends: Mapping[str, Backend]) -> Flow[Response]:
    for each in list(backends.values()):
        if (yield from each.ready()):
            return json_response(200, {"ready": True})
    return json_response(503, {"ready": False})


def _listed(backends: Mapping[str, Backend]) -> Response:
    return json_response(200, {"models": list(_spoken(backends))})


def _indexed(backends: Mapping[str, Backend]) -> Response:
    entries = [
        {"name": name, "version": each.version or "", "state": "READY", "reason": ""}
        for name, each in _spoken(backends).items()
    ]
    return json_response(200, entries)


def _spoken(backends: Mapping[str, Backend]) -> dict[str, ModelConfig]:
    """The models whose servers speak the protocol."""
    return {name: each.config for name, each in backends.items() if _servers(each) is not None}


_OWN: Final[Mapping[tuple[str, str], Any]] = {
    ("GET", "/v2"): _described,
    ("GET", "/v2/health/live"): _live,
    ("GET", "/v2/health/ready"): _ready,
    ("GET", "/v2/models"): _listed,
    ("POST", "/v2/repository/index"): _indexed,
}
"""What the gateway answers by itself."""


def _servers(backend: Backend) -> Any:
    model: Any = getattr(backend, "model", None)
    return None if model is None else model.servers


def _passed_on(request: Request, backends: Mapping[str, Backend]) -> Flow[Response]:
    found = _MODEL.fullmatch(request.path.rstrip("/"))
    method = None if found is None else _CALLS.get(found["call"])
    if found is None or method is None:
        raise NotFoundError.because(f"Invalid URL ({request.method} {request.path})", code="unknown_url")
    if request.method != method:
        raise APIStatusError.because(
            f"Not allowed to {request.method} on {request.path}, but to {method}.",
            status=405,
            type="invalid_request_error",
            code="method_not_supported",
            headers={"allow": method},
        )
    name = unquote(found["model"])
    backend = backends.get(name)
    servers = None if backend is None else _servers(backend)
    if backend is None or servers is None:
        raise NotFoundError.because(
            f"The gateway has no model '{name}' that is served over the Open Inference Protocol.",
            param="model",
            code="model_not_found",
        )
    return _forwarded(request, found, backend.config, servers)


def _forwarded(request: Request, found: re.Match[str], config: ModelConfig, servers: Any) -> Flow[Response]:
    """Pass a request on as it is, and the answer back as it comes."""
    body = request.body
    content: bytes = body if isinstance(body, bytes) else (yield Call(body.read))
    version = None if found["version"] is None else sound(unquote(found["version"]))
    if any(urlsplit(url).scheme.startswith("grpc") for url in config.urls):
        return (yield from translated(servers, config, found["call"], request, content, version))

    def ask(server: Rest) -> Flow[tuple[Response, Guard]]:
        guard = Guard(config.name, config.patience)
        try:
            return (yield from guard.over(_sent(server, request, found["call"], version, config, content))), guard
        except BaseException:
            guard.stop()
            raise

    (answer, guard), place = yield from servers.pool.ask(ask)
    headers = Headers.of([pair for pair in answer.headers.pairs if pair[0] not in _LEFT])
    held: HeldBody[Any] = HeldBody(answer.body, place, guard, servers.pool)
    return Response(answer.status, headers, _pieces(held))


def _sent(
    server: Rest, request: Request, call: str, version: str | None, config: ModelConfig, content: bytes
) -> Flow[Response]:
    path = server.prefix + server.path_of(config.upstream_name, version or config.version) + call
    told = [pair for pair in request.headers.pairs if pair[0] in _PASSED]
    kept = [pair for pair in server.headers.pairs if pair[0] not in _PASSED]
    headers = Headers.of([*told, *kept])
    sent = Request(request.method, path, request.query, headers, content, server.origin)
    try:
        answer: Response = yield server.sending(sent, stream=True)
    except APIConnectionError as error:
        raise lost(config.name, error) from error
    return answer


def _pieces(body: HeldBody[Any]) -> Generator[bytes | Step[Any], Any, None]:
    try:
        while (piece := (yield from body.read())) is not None:
            yield piece
    finally:
        body.close()
