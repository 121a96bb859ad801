"""Requests for models whose servers speak the API themselves: passed on as they are, and so are the answers."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any

import orjson

from ..kernel.flow import Call
from ..server.intake import is_form, read_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..kernel.flow import Flow
    from ..kernel.http import Filter, Handler, Request, Response
    from .backends import Backend
    from .forwarding import Forwarding

__all__ = ("PASSED", "passing")

PASSED = frozenset(
    {
        "/audio/speech",
        "/audio/transcriptions",
        "/audio/translations",
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/images/edits",
        "/images/generations",
        "/images/variations",
        "/moderations",
        "/responses",
    }
)
"""Addresses that name a model in their body and need nothing that the gateway keeps."""


def passing(backends: Mapping[str, Backend], limit: int, forward: Forwarding) -> Filter:
    """A filter that passes on what the server of a model takes itself. Where there is no such model it is none.

    `limit` is the largest body, in bytes. `forward` does it.
    """
    paths = {path for path in PASSED if any(each.passes(path) for each in backends.values())}

    def wrap(handler: Handler) -> Handler:
        if not paths:
            return handler

        def handle(request: Request) -> Response | Flow[Response]:
            if request.method != "POST":
                return handler(request)
            path = request.path.removeprefix("/v1")
            if path not in paths:
                return handler(request)
            if not isinstance(request.body, bytes):
                return read(path, request)
            return decide(path, request)

        def decide(path: str, request: Request) -> Response | Flow[Response]:
            name, body = _asked(request)
            backend = backends.get(name)
            if backend is None or not backend.passes(path):
                return handler(request)
            return forward(backend, path, request, body, handler)

        def read(path: str, request: Request) -> Flow[Response]:
            """A body that comes in pieces is put together; of one that is too large the server says so."""
            body: Any = request.body
            answer: Any
            if body.length is None or body.length > limit:
                answer = handler(request)
            else:
                answer = decide(path, request._replace(body=(yield Call(body.read))))
            whole: Response = (yield from answer) if isinstance(answer, GeneratorType) else answer
            return whole

        return handle

    return wrap


def _asked(request: Request) -> tuple[str, dict[str, Any] | None]:
    """The model a request names, and its body where that is JSON. Of one that makes no sense: no name."""
    content = request.content()
    kind = request.headers.get("content-type") or ""
    if is_form(kind):
        try:
            fields = read_form(content, kind)
        except Exception:  # the server says what is wrong with it
            return "", None
        return next((value for name, value in fields if name == "model" and isinstance(value, str)), ""), None
    try:
        body: Any = orjson.loads(content)
    except orjson.JSONDecodeError:
        return "", None
    model = body.get("model") if isinstance(body, dict) else None
    return (model, body) if isinstance(model, str) else ("", None)
