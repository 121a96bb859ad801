"""Cassettes of vcrpy and of what writes as it does (pytest-recording): YAML or JSON with `interactions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .exchanges import Exchange, dated, headers_of

if TYPE_CHECKING:
    from ..cassettes.recording import Recording
    from .source import Source

__all__ = ("recognized", "recordings")


def recognized(data: Any) -> bool:
    """Whether this is a cassette of its kind."""
    return isinstance(data, Mapping) and isinstance(data.get("interactions"), list)


def recordings(source: Source) -> list[Recording]:
    """Its interactions as recordings."""
    return [_recording(source, number, each) for number, each in enumerate(source.data["interactions"])]


def _recording(source: Source, number: int, value: Any) -> Recording:
    exchange = Exchange(source, ("interactions", number))
    request, response = (value.get(name) if isinstance(value, Mapping) else None for name in ("request", "response"))
    if not isinstance(request, Mapping) or not isinstance(response, Mapping):
        source.wrong(exchange.place, "it has a request and a response")
    asked = exchange.asked(
        request.get("method"),
        request.get("uri"),
        headers_of(request.get("headers")),
        _bytes(exchange, request.get("body"), "the request"),
    )
    headers = headers_of(response.get("headers"))
    status = response.get("status")
    code: Any = status.get("code") if isinstance(status, Mapping) else response.get("status_code")
    body: Any = response.get("body", response.get("content"))
    data = _bytes(exchange, body.get("string") if isinstance(body, Mapping) else body, "the response")
    return exchange.recording(asked, exchange.told(code, headers, exchange.plain(data, headers)), dated(headers))


def _bytes(exchange: Exchange, body: Any, what: str) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, Mapping) and set(body) <= {"string", "base64_string"} and body:
        if "base64_string" in body:
            return base64_of(exchange, body["base64_string"], what)
        return _bytes(exchange, body["string"], what)
    return exchange.source.wrong(exchange.place, f"the body of {what} is a text or binary, not {type(body).__name__}")


def base64_of(exchange: Exchange, text: Any, what: str) -> bytes:
    """Bytes that are written as base64. Raises `ConvertError` where they are not."""
    import base64
    import binascii

    try:
        return base64.b64decode("".join(str(text).split()), validate=True)
    except (binascii.Error, ValueError):
        exchange.source.wrong(exchange.place, f"the body of {what} is not base64, as it says")
