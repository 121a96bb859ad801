"""A request over a socket, without a client in between."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ("posted",)

JSON: Mapping[str, str] = {"content-type": "application/json"}


def posted(
    url: str, content: str | bytes, headers: Mapping[str, str] = JSON, method: str = "POST"
) -> tuple[int, Mapping[str, str], bytes]:
    """The status, the headers by their names in lower case, and the body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        body = content.encode() if isinstance(content, str) else content
        connection.request(method, target, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()
