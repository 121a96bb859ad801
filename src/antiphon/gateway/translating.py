"""Requests of the protocol over HTTP for models whose servers are spoken with over gRPC: said again there.

POST /v2/models/{model}/infer          ModelInfer
POST /v2/models/{model}/infer_stream   ModelStreamInfer, an event for each answer
GET  /v2/models/{model}[/ready]        ModelMetadata, ModelReady
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIStatusError, BadRequestError, InternalServerError
from ..kernel.http import Headers, Response, json_response
from ..kernel.sse import encode
from .errors import broken
from .oip.bodies import LENGTH, answer_body, request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from ..kernel.flow import Flow, Step
    from ..kernel.http import Request
    from .config import ModelConfig
    from .oip.messages import InferRequest, InferResponse, TensorSpec
    from .oip.protocol import Answers, Oip

__all__ = ("translated",)

_EVENTS: Final = [("content-type", "text/event-stream; charset=utf-8")]
_ADVICE: Final = ("retry-after", "x-should-retry")


def translated(
    servers: Oip, config: ModelConfig, call: str, request: Request, content: bytes, version: str | None
) -> Flow[Response]:
    """The answer to a request of the protocol; errors are in the protocol's form."""
    answer = _CALLS.get(call)
    try:
        if answer is None:
            raise InternalServerError.because(
                f"The server of the model '{config.name}' is spoken with over gRPC, where there is no `{call[1:]}`.",
                status=501,
                code="protocol_not_passed_on",
                headers={"x-should-retry": "false"},
            )
        return (yield from answer(servers, config, request, content, version or config.version))
    except APIStatusError as error:
        kept = error.response.headers
        advice = [(name, value) for name in _ADVICE if (value := kept.get(name)) is not None]
        return json_response(error.status_code, {"error": error.message}, advice)


def _metadata(
    servers: Oip, config: ModelConfig, request: Request, content: bytes, version: str | None
) -> Flow[Response]:
    said = yield from servers.metadata(config.upstream_name, version)
    whole = {
        "name": said.name,
        "versions": said.versions,
        "platform": said.platform,
        "inputs": _specs(said.inputs),
        "outputs": _specs(said.outputs),
    }
    return json_response(200, whole)


def _specs(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [{"name": each.name, "datatype": each.datatype, "shape": each.shape} for each in specs]


def _ready(servers: Oip, config: ModelConfig, request: Request, content: bytes, version: str | None) -> Flow[Response]:
    ready = yield from servers.ready(config.upstream_name, version)
    return json_response(200 if ready else 400, {"name": config.upstream_name, "ready": ready})


def _infer(servers: Oip, config: ModelConfig, request: Request, content: bytes, version: str | None) -> Flow[Response]:
    asked, binary = _asked(config, request, content, version)
    body, length = _said((yield from servers.infer(asked)), config, binary=binary)
    if length is None:
        return Response(200, Headers.of([("content-type", "application/json")]), body)
    return Response(200, Headers.of([("content-type", "application/octet-stream"), (LENGTH, str(length))]), body)


def _stream(servers: Oip, config: ModelConfig, request: Request, content: bytes, version: str | None) -> Flow[Response]:
    asked, _ = _asked(config, request, content, version)
    answers = yield from servers.open(asked)
    return Response(200, Headers.of(list(_EVENTS)), _events(answers, config))


def _events(answers: Answers, config: ModelConfig) -> Generator[bytes | Step[Any], Any, None]:
    try:
        while more := (yield from answers.more()):
            yield b"".join([encode(_said(each, config)[0]) for each in more])
    except APIStatusError as error:
        yield encode(json_response(200, {"error": error.message}).content)
    finally:
        answers.close()


_CALLS: Final[dict[str, Callable[[Oip, ModelConfig, Request, bytes, str | None], Flow[Response]]]] = {
    "": _metadata,
    "/ready": _ready,
    "/infer": _infer,
    "/infer_stream": _stream,
}


def _asked(config: ModelConfig, request: Request, content: bytes, version: str | None) -> tuple[InferRequest, bool]:
    length = request.headers.get(LENGTH)
    try:
        return request_of(content, None if length is None else int(length), config.upstream_name, version)
    except ValueError as error:
        raise BadRequestError.because(f"The body is no request of the protocol: {error}") from error


def _said(answer: InferResponse, config: ModelConfig, *, binary: bool = False) -> tuple[bytes, int | None]:
    try:
        return answer_body(answer, binary=binary)
    except ValueError as error:
        raise broken(config.name, f"{error}; ask for it with `binary_data_output`") from error
