"""Spans of questions to models, named as OpenTelemetry's conventions for generative AI have it.

Only the API of OpenTelemetry is used here. Who has its SDK gets the spans: with the exporter for OTLP installed, and no
other provider set by the program, they are sent to where its own `OTEL_…` variables say. Without an SDK the caller's
trace is carried through as it came.

Conventions: https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..kernel.errors import APIError
from ..kernel.http import Headers
from ..version import __version__
from .turns import Finish, ToolCall, Usage, Whole

try:
    from opentelemetry import context, propagate, trace
    from opentelemetry.trace import Status, StatusCode
except ImportError as error:
    raise ImportError("traces are made with OpenTelemetry: install antiphon[otel]") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..kernel.http import Response

__all__ = ("OUTPUTS", "Span", "attributes_of", "begun", "tracer")

_OPERATIONS: Final = {
    "chat": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "images": "generate_content",
    "moderations": "moderations",
    "speech": "speech",
    "transcriptions": "transcriptions",
    "audio": "audio",
}
"""Operations by what a model does. What the conventions have no name for is called as it is here."""

OUTPUTS: Final = {"chat": "text", "completions": "text", "images": "image", "speech": "speech"}
"""What comes of it, by what a model does."""

_ASKED: Final = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
}


def tracer(name: str, provider: trace.TracerProvider | None = None) -> trace.Tracer:
    """What begins spans in the name of a part of this package: of a provider, or of the program's."""
    if provider is None:
        _provided()
    return trace.get_tracer(name, __version__, tracer_provider=provider)


def attributes_of(kind: str, output: str | None, provider: str, model: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What a span says of a question: what is done, by whose model, and the parameters that were asked for."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": _OPERATIONS.get(kind, "chat"),
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
    }
    if output is not None:
        attributes["gen_ai.output.type"] = output
    for name, attribute in _ASKED.items():
        value = body.get(name)
        if isinstance(value, (int, float)):
            attributes[attribute] = value
    stop = body.get("stop")
    if stop:
        attributes["gen_ai.request.stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if isinstance(body.get("n"), int) and body["n"] > 1:
        attributes["gen_ai.request.choice.count"] = body["n"]
    return attributes


def begun(
    by: trace.Tracer,
    name: str,
    kind: trace.SpanKind,
    attributes: Mapping[str, Any],
    headers: Headers | None,
    at: int | None = None,
) -> tuple[trace.Span, Headers]:
    """A span within the trace that headers tell, and the headers as part of it. `at` is when, in nanoseconds."""
    parent = context.Context() if headers is None else propagate.extract(headers, context.Context())
    span = by.start_span(name, parent, kind=kind, attributes=attributes, start_time=at)
    carrier: dict[str, str | None] = {}
    propagate.inject(carrier, trace.set_span_in_context(span, parent))
    return span, (Headers() if headers is None else headers).replaced(carrier)


class Span:
    """A question to a model that is being answered."""

    __slots__ = ("_ends", "_reasons", "_span")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._reasons: list[str] = []
        self._ends = "stop"
        """Why a turn ends that does not say it."""

    def first(self) -> None:
        """The first piece of a stream is there."""
        self._span.add_event("gen_ai.first_token")

    def used(self, read: int | None, written: int | None, cached: int | None = None) -> None:
        """Tokens that were read and written, and those that were read from a cache."""
        if read is not None:
            self._span.set_attribute("gen_ai.usage.input_tokens", read)
        if written is not None:
            self._span.set_attribute("gen_ai.usage.output_tokens", written)
        if cached:
            self._span.set_attribute("gen_ai.usage.cache_read.input_tokens", cached)

    def said(self, piece: Any) -> None:
        """A piece of a turn."""
        if isinstance(piece, ToolCall):
            self._ends = "tool_calls"
        elif isinstance(piece, Usage):
            self.used(piece.input_tokens, piece.output_tokens)
        elif isinstance(piece, Finish):
            self._reasons.append(piece.reason)
        elif isinstance(piece, Whole):
            self.whole(piece.body)

    def whole(self, body: Mapping[str, Any]) -> None:
        """All of it, as another server of the API told it."""
        usage = body.get("usage") or {}
        self.used(usage.get("prompt_tokens"), usage.get("completion_tokens"))
        self.ended_for(c["finish_reason"] for c in body.get("choices") or () if c.get("finish_reason"))
        self.named(body)

    def named(self, body: Mapping[str, Any]) -> None:
        """What the answer is called, and the model that gave it."""
        if isinstance(body.get("id"), str):
            self._span.set_attribute("gen_ai.response.id", body["id"])
        if isinstance(body.get("model"), str):
            self._span.set_attribute("gen_ai.response.model", body["model"])

    def ended_for(self, reasons: Iterable[str]) -> None:
        """Why the turns ended."""
        self._reasons += reasons

    def complete(self) -> None:
        """A turn is over, and well."""
        self._reasons = self._reasons or [self._ends]

    def answered(self, answer: Response) -> None:
        """The answer of another server of the API."""
        if answer.status >= 400:
            self._span.set_attribute("error.type", str(answer.status))
            self._span.set_status(Status(StatusCode.ERROR))
        elif self._span.is_recording() and answer.headers.get("content-type", "").startswith("application/json"):
            self.whole(answer.json())

    def failed(self, error: BaseException) -> None:
        """It went wrong, or the caller left."""
        if isinstance(error, GeneratorExit) and self._reasons:
            return  # it has said that this is the end, and nobody waited for more
        if isinstance(error, GeneratorExit) or not isinstance(error, Exception):
            self.wrong("cancelled")
            return
        code = getattr(error, "code", None) if isinstance(error, APIError) else None
        self.wrong(code or type(error).__qualname__, str(error))

    def wrong(self, kind: str, message: str | None = None) -> None:
        """It went wrong; without a message it was the caller, who left."""
        self._span.set_attribute("error.type", kind)
        if message is not None:
            self._span.set_status(Status(StatusCode.ERROR, message))

    def end(self, at: int | None = None) -> None:
        """It is over; `at` is when, in nanoseconds."""
        if self._reasons:
            self._span.set_attribute("gen_ai.response.finish_reasons", self._reasons)
        self._span.end(at)


def _provided() -> None:
    """Have spans sent, where the SDK and the exporter are installed and nobody has said otherwise."""
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
