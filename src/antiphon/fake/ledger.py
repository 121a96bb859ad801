"""What the exchanges of a journal used, for the usage and the costs of an organization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..server.context import RESPONSES
from ..server.usage import DEFAULT_PROJECT, Used
from .said import mapping, mappings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..server.store import Store
    from .journal import Exchange, Journal

__all__ = ("ledger",)

_Counted: TypeAlias = "tuple[str, Mapping[str, float], Mapping[str, Any]]"
"""What is used, how much of each, and labels of its own."""


def ledger(journal: Journal, store: Store) -> Iterator[Used]:
    """What was used, by all exchanges that the journal still has and that went well.

    What became of Responses that were made in the background is in the store.
    """
    containers: set[Any] = set()
    for exchange in journal:
        count = _COUNTED.get(exchange.operation)
        if count is None or (exchange.status or 500) >= 400:
            continue
        told = mapping(exchange.answer)
        labels: dict[str, Any] = {
            "model": exchange.model or None,
            "line_item": exchange.model or None,
            "batch": False,
            "service_tier": told.get("service_tier") or "default",
            "project_id": exchange.headers.get("openai-project") or DEFAULT_PROJECT,
        }
        for kind, counts, more in count(exchange, store):
            if kind == "code_interpreter_sessions":  # a container that is used again is the same session
                if more["container"] in containers:
                    continue
                containers.add(more["container"])
            yield Used(exchange.began, kind, counts, {**labels, **more})
        cost = exchange.cost
        if cost:
            yield Used(exchange.began, "costs", {"value": cost}, labels)


def _completions(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    response = _response(exchange, store) if exchange.operation == "responses.create" else {}
    later = mapping(response.get("usage")) if response.get("background") else {}
    tokens = exchange.tokens
    counts = {
        "input_tokens": later.get("input_tokens", tokens.input),
        "output_tokens": later.get("output_tokens", tokens.output),
        "input_cached_tokens": mapping(later.get("input_tokens_details")).get("cached_tokens", tokens.cached),
        "num_model_requests": 1,
    }
    yield "completions", counts, {}
    tools = mappings(mapping(exchange.body).get("tools"))
    for item in mappings(response.get("output")):
        read = _ITEMS.get(str(item.get("type")))
        if read is not None:
            yield read(item, tools)


def _response(exchange: Exchange, store: Store) -> Mapping[str, Any]:
    """What was answered in the end."""
    answer = exchange.answer
    if answer is None:
        events = exchange.events
        answer = mapping(events[-1]).get("response") if events else None
    found = mapping(answer)
    if found.get("background"):
        return store.get(RESPONSES, str(found.get("id"))) or found
    return found


def _file_search(item: Mapping[str, Any], tools: list[Mapping[str, Any]]) -> _Counted:
    named = [key for tool in tools if tool.get("type") == "file_search" for key in tool.get("vector_store_ids") or ()]
    return "file_search_calls", {"num_requests": 1}, {"vector_store_id": named[0] if len(named) == 1 else None}


def _web_search(item: Mapping[str, Any], tools: list[Mapping[str, Any]]) -> _Counted:
    sizes = [tool.get("search_context_size") for tool in tools if str(tool.get("type")).startswith("web_search")]
    level = next(filter(None, sizes), "medium")
    return "web_search_calls", {"num_requests": 1, "num_model_requests": 1}, {"context_level": level}


def _code(item: Mapping[str, Any], tools: list[Mapping[str, Any]]) -> _Counted:
    return "code_interpreter_sessions", {"num_sessions": 1}, {"container": item.get("container_id")}


_ITEMS: Final = {
    "file_search_call": _file_search,
    "web_search_call": _web_search,
    "code_interpreter_call": _code,
}
"""Uses of tools among the output of a Response: what they are counted as."""


def _containers(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    yield "code_interpreter_sessions", {"num_sessions": 1}, {"container": mapping(exchange.answer).get("id")}


def _decisions(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    usage = mapping(mapping(exchange.answer).get("usage"))
    counts = {
        "input_tokens": usage.get("input_tokens", 0),
        "output_tokens": usage.get("output_tokens", 0),
        "input_cached_tokens": mapping(usage.get("input_tokens_details")).get("cached_tokens", 0),
        "num_model_requests": 1,
    }
    yield "decisions", counts, {}


def _embeddings(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    yield "embeddings", {"input_tokens": exchange.tokens.input, "num_model_requests": 1}, {}


def _moderations(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    yield "moderations", {"input_tokens": exchange.tokens.input, "num_model_requests": 1}, {}


def _images(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    data: Any = mapping(exchange.answer).get("data")
    made = len(data) if isinstance(data, list) else 1
    asked = mapping(exchange.body)
    source = f"image.{exchange.operation.partition('.')[2].replace('create_', '').replace('generate', 'generation')}"
    yield "images", {"images": made, "num_model_requests": 1}, {"size": asked.get("size"), "source": source}


def _speeches(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    yield "audio_speeches", {"characters": len(exchange.text), "num_model_requests": 1}, {}


def _transcriptions(exchange: Exchange, store: Store) -> Iterator[_Counted]:
    told = mapping(exchange.answer)
    known = (mapping(told.get("usage")).get("seconds"), told.get("duration"))
    seconds = next((each for each in known if isinstance(each, (int, float))), 0)
    yield "audio_transcriptions", {"seconds": round(seconds), "num_model_requests": 1}, {}


if TYPE_CHECKING:
    _Count = Callable[[Exchange, Store], Iterator[_Counted]]

_COUNTED: Final[dict[str, _Count]] = {
    "audio.speech.create": _speeches,
    "audio.transcriptions.create": _transcriptions,
    "audio.translations.create": _transcriptions,
    "chat.completions.create": _completions,
    "completions.create": _completions,
    "containers.create": _containers,
    "decisions.create": _decisions,
    "embeddings.create": _embeddings,
    "images.create_variation": _images,
    "images.edit": _images,
    "images.generate": _images,
    "moderations.create": _moderations,
    "responses.create": _completions,
}
"""Operations that use something."""
