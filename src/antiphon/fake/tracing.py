"""Spans of what a fake is asked: one for each request, within the trace that its headers tell.

A journal that makes them, from what it has written down, when an exchange is over. Times are those of the fake's clock.
"""

from __future__ import annotations

from collections.abc import Generator
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind

from ..server.spans import OUTPUTS, Span, attributes_of, begun, tracer
from .journal import Exchange, Journal, under_way
from .said import mapping, mappings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import TracerProvider

    from ..kernel.flow import Step
    from ..kernel.http import Handler, Request, Response
    from ..server.clock import Clock
    from .prices import Prices

__all__ = ("TracedJournal",)

_KINDS: Final = {
    "audio.speech.create": "speech",
    "audio.transcriptions.create": "transcriptions",
    "audio.translations.create": "transcriptions",
    "beta.threads.create_and_run": "chat",
    "beta.threads.runs.create": "chat",
    "chat.completions.create": "chat",
    "completions.create": "completions",
    "embeddings.create": "embeddings",
    "images.create_variation": "images",
    "images.edit": "images",
    "images.generate": "images",
    "moderations.create": "moderations",
    "responses.create": "chat",
}
"""What a model does, by the operations that ask one."""

_CALLS: Final = ("function_call", "custom_tool_call")
_ENDS: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}
"""Why a Response is incomplete: the reason that a chat completion has for it."""


class TracedJournal(Journal):
    """A journal that makes spans. `provider` is whose; without one they are the program's."""

    def __init__(
        self, clock: Clock, size: int, prices: Prices | None = None, provider: TracerProvider | None = None
    ) -> None:
        super().__init__(clock, size, prices)
        self._tracer = tracer("antiphon.fake", provider)

    def __call__(self, handler: Handler) -> Handler:
        """The handler, with its requests written down and traced: a filter."""

        # A flow, so that every exchange comes to its end in the same place.
        def traced(request: Request) -> Generator[Step[Any], Any, Response]:
            exchange = under_way.get()
            assert exchange is not None
            answer = handler(self._begun(exchange, request))
            return (yield from answer) if isinstance(answer, GeneratorType) else answer  # type: ignore[return-value]

        return super().__call__(traced)

    def _begun(self, exchange: Exchange, request: Request) -> Request:
        body = mapping(exchange.body)
        operation, model = exchange.operation, body.get("model")
        attributes: dict[str, Any] = {"http.request.method": request.method, "url.path": request.path}
        name, kind = operation or request.method, _KINDS.get(operation)
        if kind is not None:
            asked = model if isinstance(model, str) else ""
            attributes |= attributes_of(kind, _output(kind, body), "openai", asked, body)
            name = f"{attributes['gen_ai.operation.name']} {asked}".rstrip()
        if operation:
            attributes["antiphon.operation"] = operation
        parts = urlsplit(request.origin)
        if parts.hostname:
            attributes["server.address"] = parts.hostname
        if parts.port is not None:
            attributes["server.port"] = parts.port
        at = _nanoseconds(exchange.began)
        span, headers = begun(self._tracer, name, SpanKind.SERVER, attributes, request.headers, at)
        exchange.__dict__["_span"] = span
        return request._replace(headers=headers)

    def _end(self, exchange: Exchange, size: int) -> None:
        super()._end(exchange, size)
        span = exchange.__dict__.pop("_span", None)
        if span is not None and span.is_recording():
            _finish(exchange, span)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000  # a float has no more of Unix time


def _output(kind: str, body: Mapping[str, Any]) -> str | None:
    wanted = mapping(body.get("response_format")) or mapping(mapping(body.get("text")).get("format"))
    return "json" if str(wanted.get("type", "text")).startswith("json") else OUTPUTS.get(kind)


def _finish(exchange: Exchange, span: Any) -> None:
    """Say what came of it, and end the span."""
    ended = _nanoseconds(exchange.ended or exchange.began)
    span.set_attribute("antiphon.answered_by", exchange.answered_by)
    if exchange.fault is not None:
        span.set_attribute("antiphon.fault", str(exchange.fault))
    if exchange.status is not None:
        span.set_attribute("http.response.status_code", exchange.status)
    events, pieces = mappings(exchange.events), exchange.pieces
    if events and pieces:
        span.add_event("gen_ai.first_token", timestamp=_nanoseconds(exchange.began + pieces[0][0]))
    told = Span(span)
    error = _error(exchange, events)
    if error is not None:
        told.wrong(*error)
    if exchange.operation in _KINDS:
        _answered(exchange, events, told)
    told.end(ended)


def _error(exchange: Exchange, events: list[Mapping[str, Any]]) -> tuple[str, str | None] | None:
    """What went wrong, in a word and in words, where something did; of who left, only the word."""
    if exchange.left_early:
        return "cancelled", None
    if exchange.status is None:
        return "severed", "The connection was severed."
    last = events[-1] if events else {}
    failed = mapping(mapping(last.get("response")).get("error")) or mapping(last.get("error"))
    if last.get("type") == "error":
        failed = failed or last
    if exchange.status >= 400:
        failed = mapping(mapping(exchange.answer).get("error"))
    elif not failed:
        return None
    code = failed.get("code") or failed.get("type") or exchange.status
    return str(code), str(failed.get("message") or "")


def _answered(exchange: Exchange, events: list[Mapping[str, Any]], told: Span) -> None:
    """Say what the model answered: its tokens, and why it ended, and nothing of what it said."""
    body = mapping(exchange.answer)
    if events:
        body = next((response for event in reversed(events) if (response := mapping(event.get("response")))), events[0])
    choices = mappings(body.get("choices"))
    if events and "response" not in events[-1]:
        choices = [choice for event in events for choice in mappings(event.get("choices"))]
    told.named(body)
    told.ended_for(str(choice["finish_reason"]) for choice in choices if choice.get("finish_reason"))
    status = body.get("status")
    if body.get("object") == "response" and status in ("completed", "incomplete"):
        calls = any(item.get("type") in _CALLS for item in mappings(body.get("output")))
        cut = _ENDS.get(str(mapping(body.get("incomplete_details")).get("reason")))
        told.ended_for([cut or ("tool_calls" if calls else "stop")])
    if exchange.status is not None and exchange.status < 400:
        tokens = exchange.tokens
        told.used(tokens.input, tokens.output, tokens.cached)
