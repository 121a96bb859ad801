"""From a request to the behaviour of its operation, and from the behaviour's reply to a response."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..kernel.errors import NotFoundError
from ..kernel.flow import Call as Called
from ..kernel.http import Headers, Request, Response
from ..kernel.spool import Spooled, size_of, spooled
from .behaviour import Call
from .endpoint import Endpoint, routes
from .envelope import PREFLIGHT
from .intake import read_form, read_json, too_large, unsupported

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Upload
    from .app import Server

__all__ = ("Dispatcher", "rendered")

JSON: Final = Headers.of([("content-type", "application/json")])
EMPTY: Final = Headers.of([])


class Dispatcher:
    """The innermost handler: finds the operation, reads and checks the request, and calls the behaviour."""

    __slots__ = ("_direct", "_lenient", "_routes", "max_body", "server")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.max_body = server.max_body
        self._lenient = server.unknown_fields == "allow"
        self._routes = routes()
        self._direct = self._routes.direct

    def __call__(self, request: Request) -> Response | Flow[Response]:
        method, path, query, _, body, _ = request
        endpoint = self._direct(method, path, query)
        params: dict[str, str] = {}
        deployment = None
        if endpoint is None:
            if method not in ("GET", "POST", "DELETE"):
                return self._other(request)
            endpoint, params, deployment = self._routes.match(method, path, query)
        if not endpoint.opened:
            endpoint.open()
        fields = endpoint.read_query(query)
        if endpoint.takes_body:
            if body.__class__ is not bytes:
                return self._large(endpoint, request, body, deployment, params, fields)  # type: ignore[arg-type]
            content = self._content(endpoint, request, body, deployment)  # type: ignore[arg-type]
        else:
            content = {}
        reply: Any = endpoint.behaviour(Call(self.server, endpoint.operation, request, params, fields, content))
        if reply.__class__ is dict:
            return Response(200, JSON, orjson.dumps(reply, default=_plain))
        if reply.__class__ is GeneratorType:
            return _finished(reply)
        return rendered(reply)

    def _large(
        self,
        endpoint: Endpoint,
        request: Request,
        body: Upload,
        deployment: str | None,
        params: dict[str, str],
        fields: dict[str, Any],
    ) -> Flow[Response]:
        """Answer a request whose body comes in pieces. What reads all of it is called where it may take its time."""
        if body.length is not None and body.length > self.max_body:
            raise too_large(self.max_body, body.length)
        held = body if isinstance(body, Spooled) else (yield Called(spooled, body.pieces(), self.max_body))
        content = yield Called(self._content, endpoint, request, held, deployment)
        reply: Any = endpoint.behaviour(Call(self.server, endpoint.operation, request, params, fields, content))
        if reply.__class__ is GeneratorType:
            reply = yield from reply
        return rendered(reply)

    def _content(
        self, endpoint: Endpoint, request: Request, body: bytes | Spooled, deployment: str | None
    ) -> dict[str, Any]:
        """The fields of the body, checked."""
        size = len(body) if body.__class__ is bytes else size_of(body)  # type: ignore[arg-type]
        if size > self.max_body:
            raise too_large(self.max_body, size)
        kind = request.headers.get("content-type")
        check, read = endpoint.check_body, endpoint.read_form
        if self._lenient:
            check, read = endpoint.lenient()
        if kind is None or kind == "application/json" or not size:
            content = read_json(body if isinstance(body, bytes) else body.read())
        else:
            media = kind.partition(";")[0].strip().lower()
            if read is not None and media == "multipart/form-data":
                parts = read_form(body, kind)
                if deployment is not None:
                    parts = [*(part for part in parts if part[0] != "model"), ("model", deployment)]
                return read(parts)
            if isinstance(body, Spooled):
                body = body.read()
            if read is not None and media == endpoint.raw_media:
                return read([(endpoint.raw_field, body.decode("utf-8", "replace"))])
            if media != "application/json" and not media.endswith("+json"):
                raise unsupported(kind, "'application/json'" if read is None else "'multipart/form-data'")
            content = read_json(body)
        if deployment is not None:
            # What answers is the deployment, as on Azure, whatever model the body names.
            content["model"] = deployment
        if check is not None:
            check(content)
        return content

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


def rendered(reply: Any) -> Response:
    """The response for what a behaviour answered. Raises `TypeError` for something it cannot answer."""
    if isinstance(reply, Response):
        return reply
    if reply is None:
        return Response(200, EMPTY)
    from ..kernel.view import View

    if isinstance(reply, (dict, View)):
        return Response(200, JSON, orjson.dumps(reply, default=_plain))
    raise TypeError(f"a behaviour answers a dict, a view, a response, None or a flow, not {type(reply).__name__}")


def _plain(value: Any) -> Any:
    from ..kernel.view import View

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
