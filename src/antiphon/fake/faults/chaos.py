"""Faults over HTTP as http4k's chaos API has them: under `/chaos`, and never hit by them.

    GET  /chaos/status           {"chaos": "none"}
    POST /chaos/activate         what was set last, or else a 500 for everything
    POST /chaos/activate/new     the faults in the body: http4k's stages, or whatever `fault_of` reads
    POST /chaos/deactivate       none
    POST /chaos/toggle           the one or the other
    GET  /chaos                  a description in OpenAPI

No key is asked for, and nothing of it is in the journal. Whoever may use the control API may use it: those who address
this machine as such, unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ...kernel.errors import APIStatusError, BadRequestError, NotFoundError, PermissionDeniedError
from ...kernel.http import Headers, Response, json_response
from ..door import host_of, is_loopback
from ..schema import as_component
from .described import fault_of

if TYPE_CHECKING:
    from ...kernel.http import Handler, Request
    from .setting import Faults

__all__ = ("PREFIX", "chaos")

PREFIX: Final = "/chaos"

_IN_PROCESS: Final = "fake.test"
"""Where a fake is addressed that nobody else can reach."""

_CORS: Final = [("access-control-allow-origin", "*"), ("access-control-allow-headers", "*")]


def chaos(faults: Faults, control: bool | None = True) -> Handler:
    """The handler of the addresses below `/chaos`, for everybody, for nobody, or (`None`) for this machine."""

    def handler(request: Request) -> Response:
        try:
            return answered(request)
        except APIStatusError as error:
            return error.to_response()

    def answered(request: Request) -> Response:
        host = host_of(request.origin)
        if control is False or (control is None and host != _IN_PROCESS and not is_loopback(host)):
            raise PermissionDeniedError.because(
                "The chaos API is switched off here, or for those who address this machine as another: "
                "`antiphon serve --control`, or FakeOpenAI(control=True), opens it to whoever reaches the server.",
                code="control_off",
            )
        path = request.path.removeprefix(PREFIX).rstrip("/")
        known = _ADDRESSES.get(path)
        if request.method == "OPTIONS" and known is not None:
            return Response(204, Headers([*_CORS, ("access-control-allow-methods", f"{known[0]}, OPTIONS")]))
        if known is None or request.method != known[0]:
            there = ", ".join(f"{method} {PREFIX}{each}" for each, (method, _) in _ADDRESSES.items())
            raise NotFoundError.because(f"Invalid URL ({request.method} {request.path}). There are {there}.")
        return json_response(200, known[1](faults, request), _CORS)

    return handler


def _status(faults: Faults, request: Request) -> dict[str, Any]:
    return {"chaos": "; ".join(map(str, faults)) or "none"}


def _activate(faults: Faults, request: Request) -> dict[str, Any]:
    if request.content().strip():
        return _new(faults, request)
    faults.set(*(faults.switched or ("status=500",)))
    return _status(faults, request)


def _new(faults: Faults, request: Request) -> dict[str, Any]:
    import orjson

    try:
        told = orjson.loads(request.content())
    except ValueError as error:
        raise BadRequestError.because(f"The body is not JSON: {error}.", code="invalid_json") from None
    try:
        made = fault_of(told)
    except (TypeError, ValueError) as error:
        raise BadRequestError.because(f"{error}", code="invalid_fault") from None
    faults.set(made)
    return _status(faults, request)


def _deactivate(faults: Faults, request: Request) -> dict[str, Any]:
    faults.clear()
    return _status(faults, request)


def _toggle(faults: Faults, request: Request) -> dict[str, Any]:
    return _deactivate(faults, request) if len(faults) else _activate(faults, request)


def _described(faults: Faults, request: Request) -> dict[str, Any]:
    from ...version import __version__
    from .schema import schema

    answer = {
        "200": {
            "description": "What is set now.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"chaos": {"type": "string"}},
                        "required": ["chaos"],
                    }
                }
            },
        }
    }
    refused = {**answer, "400": {"description": "The body tells no fault; the message says why."}}
    # Pages of OpenAPI have definitions in a place of their own.
    told: Any = as_component(schema())
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/fault"}}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chaos",
            "version": __version__,
            "description": "What goes wrong in the fake. These addresses are never hit by it.",
        },
        "servers": [{"url": request.origin}],
        "paths": {
            f"{PREFIX}/status": {"get": {"summary": "What goes wrong", "responses": answer}},
            f"{PREFIX}/activate": {
                "post": {
                    "summary": "Have go wrong what was set last, or what the body says",
                    "requestBody": body,
                    "responses": refused,
                }
            },
            f"{PREFIX}/activate/new": {
                "post": {
                    "summary": "Have go wrong what the body says",
                    "requestBody": {**body, "required": True},
                    "responses": refused,
                }
            },
            f"{PREFIX}/deactivate": {"post": {"summary": "Have nothing go wrong", "responses": answer}},
            f"{PREFIX}/toggle": {"post": {"summary": "Activate or deactivate", "responses": answer}},
        },
        "components": {"schemas": told["$defs"]},
    }


_ADDRESSES: Final[dict[str, tuple[str, Callable[[Faults, Request], dict[str, Any]]]]] = {
    "": ("GET", _described),
    "/status": ("GET", _status),
    "/activate": ("POST", _activate),
    "/activate/new": ("POST", _new),
    "/deactivate": ("POST", _deactivate),
    "/toggle": ("POST", _toggle),
}
"""Addresses below the prefix: how they are asked, and what they say."""
