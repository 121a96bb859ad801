"""From a request to the behaviour of its operation, and from the behaviour's reply to a response."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..kernel.errors import NotFoundError
from ..kernel.http import Headers, Request, Response
from ..kernel.view import View
from .behaviour import Call
from .endpoint import Endpoint, routes
from .envelope import PREFLIGHT
from .intake import read_form, read_json, read_query, too_large, unsupported

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from .app import Server

__all__ = ("Dispatcher", "rendered")

JSON: Final = Headers.of([("content-type", "application/json")])
EMPTY: Final = Headers.of([])


class Dispatcher:
    """The innermost handler: finds the operation, reads and checks the request, and calls the behaviour."""

    __slots__ = ("_direct", "_routes", "max_body", "server")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.max_body = server.max_body
        self._routes = routes()
        self._direct = self._routes.direct

    def __call__(self, request: Request) -> Response | Flow[Response]:
        method, path, query, headers, body, _ = request
        endpoint = self._direct(method, path)
        params: dict[str, str] = {}
        deployment = None
        if endpoint is None or query and endpoint.fixed_query:
            if method not in ("GET", "POST", "DELETE"):
                return self._other(request)
            endpoint, params, deployment = self._routes.match(method, path, query)
        if not endpoint.opened:
            endpoint.open()
        if query or endpoint.check_query is not None:
            fields = read_query(query) if query else {}
            if endpoint.check_query is not None:
                fields = endpoint.check_query(fields)
        else:
            fields = {}
        content: dict[str, Any]
        if endpoint.takes_body:
            data = body if body.__class__ is bytes else request.content()
            if len(data) > self.max_body:  # type: ignore[arg-type]
                raise too_large(self.max_body, len(data))  # type: ignore[arg-type]
            kind = headers.get("content-type")
            if kind is None or kind == "application/json":
                content = read_json(data)  # type: ignore[arg-type]
            else:
                content = _content(endpoint, data, kind)  # type: ignore[arg-type]
            if deployment is not None:
                content.setdefault("model", deployment)
            if endpoint.check_body is not None:
                content = endpoint.check_body(content)
        else:
            content = {}
        reply: Any = endpoint.behaviour(Call(self.server, endpoint.operation, request, params, fields, content))
        if reply.__class__ is dict:
            return Response(200, JSON, orjson.dumps(reply, default=_plain))
        if reply.__class__ is GeneratorType:
            return _finished(reply)
        return rendered(reply)

    def _other(self, request: Request) -> Response | Flow[Response]:
        """The methods that HTTP adds to those of the API."""
        method, path = request.method, request.path
        if method == "OPTIONS":
            allowed = self._routes.methods(path)
            if not allowed:
                raise NotFoundError.because(f"Invalid URL ({method} {path})")
            names = ", ".join(sorted({*allowed, "OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())))
            return Response(204, Headers.of([("allow", names), ("access-control-allow-methods", names), *PREFLIGHT]))
        if method == "HEAD":
            answer = self(request._replace(method="GET"))
            return _headed(answer) if answer.__class__ is GeneratorType else _bodiless(answer)  # type: ignore[arg-type]
        self._routes.match(method, path, request.query)
        raise AssertionError(f"{method} is a method of the API")


def _content(endpoint: Endpoint, data: bytes, kind: str) -> dict[str, Any]:
    media = kind.partition(";")[0].strip().lower()
    if media == "application/json" or media.endswith("+json"):
        return read_json(data)
    if endpoint.media == "multipart":
        if media == "multipart/form-data":
            return read_form(data, kind)
        if media == "application/sdp" and endpoint.schema.takes_sdp:
            return {"sdp": data.decode("utf-8", "replace")}
        raise unsupported(kind, "'multipart/form-data'")
    if not data:
        return {}
    raise unsupported(kind, "'application/json'")


def rendered(reply: Any) -> Response:
    """The response for what a behaviour answered. Raises `TypeError` for something it cannot answer."""
    if isinstance(reply, Response):
        return reply
    if reply is None:
        return Response(200, EMPTY)
    if isinstance(reply, (dict, View)):
        return Response(200, JSON, orjson.dumps(reply, default=_plain))
    raise TypeError(f"a behaviour answers a dict, a view, a response, None or a flow, not {type(reply).__name__}")


def _plain(value: Any) -> Any:
    if isinstance(value, View):
        return value._data
    raise TypeError(f"{type(value).__name__} is not JSON")


def _finished(flow: Flow[Any]) -> Flow[Response]:
    return rendered((yield from flow))


def _headed(flow: Any) -> Flow[Response]:
    return _bodiless((yield from flow))


def _bodiless(answer: Any) -> Response:
    close = getattr(answer.body, "close", None)
    if close is not None:
        close()
    length = len(answer.body) if isinstance(answer.body, bytes) else None
    changes = {} if length is None else {"content-length": str(length)}
    return Response(answer.status, answer.headers.replaced(changes), b"")
