"""Spans for what a gateway asks models, named as OpenTelemetry's conventions for generative AI have it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from ..hosting.access import Noted
from ..server.spans import OUTPUTS, Span, attributes_of, begun, tracer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..kernel.http import Headers
    from .config import ModelConfig

__all__ = ("Span", "Tracer")


class Tracer:
    """Begins spans."""

    def __init__(self) -> None:
        self._tracer = tracer("antiphon.gateway")

    def begun(self, kind: str, config: ModelConfig, request: Any) -> tuple[Span, Any]:
        """A span for a question to a model, and the question as part of it: with the headers that say so."""
        operation = request.dialect if kind == "chat" else kind
        asked = getattr(request, "response_format", None)
        output = "json" if getattr(asked, "kind", "text") != "text" else OUTPUTS.get(kind)
        headers = getattr(request, "headers", None)
        span, headers = self._begun(operation, output, config, getattr(request, "body", None) or {}, headers)
        return span, replace(request, headers=headers) if hasattr(request, "headers") else request

    def passed(self, path: str, config: ModelConfig, body: Mapping[str, Any], headers: Headers) -> tuple[Span, Headers]:
        """A span for a request that is passed on, and its headers as part of it."""
        kind = path.removeprefix("/").replace("chat/completions", "chat").partition("/")[0]
        return self._begun(kind, OUTPUTS.get(kind), config, body, headers)

    def _begun(
        self, kind: str, output: str | None, config: ModelConfig, body: Mapping[str, Any], headers: Headers | None
    ) -> tuple[Span, Headers]:
        attributes = attributes_of(kind, output, config.backend, config.name, body)
        if config.urls:
            parts = urlsplit(config.urls[0])
            attributes["server.address"] = parts.hostname or ""
            if parts.port is not None:
                attributes["server.port"] = parts.port
        name = f"{attributes['gen_ai.operation.name']} {config.name}"
        span, changed = begun(self._tracer, name, SpanKind.CLIENT, attributes, headers)
        if isinstance(headers, Noted):
            noted = Noted(changed)  # what is noted about the request still is
            noted.notes = headers.notes
            changed = noted
        return Span(span), changed
