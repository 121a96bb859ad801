"""Cassettes of betamax and of Ruby's VCR: JSON or YAML with `http_interactions`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..cassettes.recording import stamp
from .exchanges import Exchange, dated, headers_of
from .vcr import base64_of

if TYPE_CHECKING:
    from ..cassettes.recording import Recording
    from .source import Source

__all__ = ("recognized", "recordings")


def recognized(data: Any) -> bool:
    """Whether this is a cassette of its kind."""
    return isinstance(data, Mapping) and isinstance(data.get("http_interactions"), list)


def recordings(source: Source) -> list[Recording]:
    """Its interactions as recordings."""
    return [_recording(source, number, each) for number, each in enumerate(source.data["http_interactions"])]


def _recording(source: Source, number: int, value: Any) -> Recording:
    exchange = Exchange(source, ("http_interactions", number))
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
    data = exchange.plain(_bytes(exchange, response.get("body"), "the response"), headers)
    told = exchange.told(status.get("code") if isinstance(status, Mapping) else status, headers, data)
    return exchange.recording(asked, told, dated(headers) or _stamp(value.get("recorded_at")))


def _bytes(exchange: Exchange, body: Any, what: str) -> bytes:
    if not isinstance(body, Mapping):
        return body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
    for name in ("base64_string", "base64_body"):
        if body.get(name) is not None:
            return base64_of(exchange, body[name], what)
    text = body.get("string")
    if isinstance(text, bytes):
        return text
    encoding = body.get("encoding")
    try:
        return str("" if text is None else text).encode(encoding if isinstance(encoding, str) else "utf-8")
    except (LookupError, UnicodeEncodeError):  # Ruby's names, such as ASCII-8BIT
        return str(text).encode()


def _stamp(value: Any) -> str | None:
    try:
        return stamp(datetime.fromisoformat(f"{value}+00:00" if "+" not in str(value) else str(value)).timestamp())
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            return stamp(parsedate_to_datetime(str(value)).timestamp())
        except ValueError:
            return None
