"""What says what there is: health, the document, the page."""

from __future__ import annotations

from typing import Any

from ...kernel.http import Headers, Response
from ..door import PREFIX, health
from .operations import Call, operation

__all__ = ()


@operation("about.health", "GET", "/health", returns="that it is there, and its version")
def about_health(call: Call) -> Any:
    """Whether anybody is there."""
    return health()


@operation("about.openapi", "GET", "/openapi.json", returns="an OpenAPI 3.1 document")
def about_openapi(call: Call) -> Any:
    """The document that describes this API."""
    from .openapi import document

    return document(call.request.origin)


@operation("about.page", "GET", "/", returns="a page", media="text/html")
def about_page(call: Call) -> Any:
    """The page that shows this API and the journal, to be looked at in a browser."""
    from .page import page

    return page()


@operation("about.root", "GET", "", status=308, returns="the way to the page", media="text/html")
def about_root(call: Call) -> Any:
    """The way to the page."""
    return Response(308, Headers([("location", f"{call.request.origin}{PREFIX}/")]))
