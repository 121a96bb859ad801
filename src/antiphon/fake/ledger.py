"""What the exchanges of a journal used, for the usage and the costs of an organization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ..server.usage import Used
from .said import mapping, mappings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .journal import Exchange, Journal

__all__ = ("ledger",)

_ITEMS: Final = {
    "file_search_call": ("file_search_calls", ("num_requests",)),
    "web_search_call": ("web_search_calls", ("num_requests", "num_model_requests")),
    "code_interpreter_call": ("code_interpreter_sessions", ("num_sessions",)),
}
"""Uses of tools among the output of a Response: what they are counted as."""


def ledger(journal: Journal) -> Iterator[Used]:
    """What was used, by all exchanges that the journal still has and that went well."""
    for exchange in journal:
        count = _COUNTED.get(exchange.operation)
        if count is None or (exchange.status or 500) >= 400:
            continue
        labels: dict[str, Any] = {
            "model": exchange.model or None,
            "line_item": exchange.model or None,
            "batch": False,
            "service_tier": "default",
        }
        for kind, counts, more in count(exchange):
            yield Used(exchange.began, kind, counts, {**labels, **more})
        cost = exchange.cost
        if cost:
            yield Used(exchange.began, "costs", {"value": cost}, labels)


def _completions(exchange: Exchange) -> Iterator[tuple[str, Mapping[str, float], Mapping[str, Any]]]:
    tokens = exchange.tokens
    counts = {
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "input_cached_tokens": tokens.cached,
        "num_model_requests": 1,
    }
    yield "completions", counts, {}
    if exchange.operation == "responses.create":
        for item in _output(exchange):
            kind, names = _ITEMS.get(str(item.get("type")), ("", ()))
            if kind:
                yield kind, dict.fromkeys(names, 1), {}


def _output(exchange: Exchange) -> list[Mapping[str, Any]]:
    answer = exchange.answer
    if answer is None:
        events = exchange.events
        answer = mapping(events[-1]).get("response") if events else None
    return mappings(mapping(answer).get("output"))


def _embeddings(exchange: Exchange) -> Iterator[tuple[str, Mapping[str, float], Mapping[str, Any]]]:
    yield "embeddings", {"input_tokens": exchange.tokens.input, "num_model_requests": 1}, {}


def _moderations(exchange: Exchange) -> Iterator[tuple[str, Mapping[str, float], Mapping[str, Any]]]:
    yield "moderations", {"input_tokens": exchange.tokens.input, "num_model_requests": 1}, {}


def _images(exchange: Exchange) -> Iterator[tuple[str, Mapping[str, float], Mapping[str, Any]]]:
    data: Any = mapping(exchange.answer).get("data")
    made = len(data) if isinstance(data, list) else 1
    asked = mapping(exchange.body)
    source = f"image.{exchange.operation.partition('.')[2].replace('create_', '').replace('generate', 'generation')}"
    yield "images", {"images": made, "num_model_requests": 1}, {"size": asked.get("size"), "source": source}


def _speeches(exchange: Exchange) -> Iterator[tuple[str, Mapping[str, float], Mapping[str, Any]]]:
    yield "audio_speeches", {"characters": len(exchange.text), "num_model_requests": 1}, {}


def _transcriptions(exchange: Exchange) -> Iterator[tuple[str, Mapping[str, float], Mapping[str, Any]]]:
    told = mapping(exchange.answer)
    known = (mapping(told.get("usage")).get("seconds"), told.get("duration"))
    seconds = next((each for each in known if isinstance(each, (int, float))), 0)
    yield "audio_transcriptions", {"seconds": round(seconds), "num_model_requests": 1}, {}


if TYPE_CHECKING:
    _Count = Callable[[Exchange], Iterator[tuple[str, Mapping[str, float], Mapping[str, Any]]]]

_COUNTED: Final[dict[str, _Count]] = {
    "audio.speech.create": _speeches,
    "audio.transcriptions.create": _transcriptions,
    "audio.translations.create": _transcriptions,
    "chat.completions.create": _completions,
    "completions.create": _completions,
    "embeddings.create": _embeddings,
    "images.create_variation": _images,
    "images.edit": _images,
    "images.generate": _images,
    "moderations.create": _moderations,
    "responses.create": _completions,
}
"""Operations that use something."""
