"""A request from its parts, as `httpx` takes them: address, query, headers, cookies and one kind of body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ...kernel.http import Headers, Request
from ...kernel.query import text

__all__ = ("built", "joined")


def joined(base_url: str, path: str) -> str:
    """The address of a path below a base; an address is its own. Raises `ValueError` for what is none."""
    url = path if "://" in path else f"{base_url.rstrip('/')}/{path.lstrip('/')}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"an address such as http://localhost:8000 was expected, not {base_url!r}")
    return url


def built(
    method: str,
    url: str,
    *,
    params: Mapping[str, Any] | None,
    headers: Mapping[str, str],
    cookies: Mapping[str, str] | None,
    json: Any,
    data: Mapping[str, Any] | None,
    content: bytes | str | None,
) -> Request:
    """The request. Raises `TypeError` for two bodies at once."""
    from orjson import dumps

    if sum(each is not None for each in (json, data, content)) > 1:
        raise TypeError("a request has one body: json=, data= or content=")
    parts = urlsplit(url)
    query = "&".join(each for each in (parts.query, urlencode(_pairs(params))) if each)
    own: dict[str, str | None] = {}
    body = b""
    if json is not None:
        body, own["content-type"] = dumps(json), "application/json"
    elif data is not None:
        body, own["content-type"] = urlencode(_pairs(data)).encode(), "application/x-www-form-urlencoded"
    elif content is not None:
        body = content.encode() if isinstance(content, str) else bytes(content)
    if cookies:
        own["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    made = Headers([(name, str(value)) for name, value in own.items()])
    return Request(method.upper(), path, query, made.replaced(dict(headers)), body, f"{parts.scheme}://{parts.netloc}")


def _pairs(params: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Lists are names said more than once, as FastAPI reads them; what is `None` is left out."""
    found: list[tuple[str, str]] = []
    for name, value in (params or {}).items():
        several = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
        found.extend((name, text(each)) for each in (value if several else (value,)) if each is not None)
    return found
