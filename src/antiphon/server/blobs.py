"""Links that a server hands out to bytes of its own: pictures, recordings, screenshots.

    url = link(call, png, "image/png")      # http://127.0.0.1:45674/blobs/blob_….png

Whoever has the link may read it: like the API's own links it needs no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.errors import NotFoundError
from ..kernel.http import Headers, Response
from .routes import not_allowed

if TYPE_CHECKING:
    from ..kernel.flow import Flow
    from ..kernel.http import Handler, Request
    from .behaviour import Call
    from .store import Store

__all__ = ("PATH", "link", "linked")

PATH = "/blobs/"


def link(call: Call, data: bytes, content_type: str) -> str:
    """Keep `data` and give the address it is served at, on the host the call came to."""
    from mimetypes import guess_extension

    name = call.server.ids.new("blob_") + (guess_extension(content_type) or "")
    call.server.store.put_blob(PATH + name, data, content_type)
    return f"{call.origin}{PATH}{name}"


def linked(store: Store, handler: Handler) -> Handler:
    """A filter that serves the links and leaves every other request to `handler`."""

    def serve(request: Request) -> Response | Flow[Response]:
        path = request.path
        if not path.startswith(PATH):
            return handler(request)
        if request.method not in ("GET", "HEAD"):
            raise not_allowed(request.method, path, ("GET",))
        found = store.get_blob(path)
        if found is None:
            raise NotFoundError.because(f"Invalid URL ({request.method} {path})")
        data, content_type = found
        headers = [("content-type", content_type), ("content-length", str(len(data)))]
        return Response(200, Headers.of(headers), data if request.method == "GET" else b"")

    return serve
