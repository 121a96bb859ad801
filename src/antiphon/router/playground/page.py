"""The document: its parts put together, and what it may do said in its headers."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, Final

from orjson import dumps
from starlette.responses import Response

__all__ = ("page_of",)

_SCRIPTS: Final = ("markdown.js", "wire.js", "ask.js", "turn.js", "page.js")


def page_of(title: str, told: dict[str, Any]) -> Response:
    """The page as a response: `told` is what its script reads."""
    head, middle, tail, policy = _parts()
    # A data block ends at the first `</script`, wherever it stands: no `<` is in it.
    data = dumps(told).replace(b"<", b"\\u003c")
    named = escape(title).encode()
    return Response(
        head.replace(b"@title@", named) + middle.replace(b"@title@", named) + data + tail,
        media_type="text/html",
        headers={
            "cache-control": "no-cache",
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        },
    )


@cache
def _parts() -> tuple[bytes, bytes, bytes, str]:
    """The document up to the body, up to the routes, and after them; and its policy."""
    home = files("antiphon.router.playground")
    style = (home / "page.css").read_text("utf-8")
    script = "\n".join((home / name).read_text("utf-8") for name in _SCRIPTS)
    before, rest = (home / "page.html").read_text("utf-8").split("@style@")
    after, body = rest.split("<body>")
    middle, rest = body.split("@routes@")
    between, tail = rest.split("@script@")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    parts = (f"{before}{style}{after}<body>", middle, f"{between}{script}{tail}")
    return parts[0].encode(), parts[1].encode(), parts[2].encode(), policy


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
