"""What models were asked by the server itself: lines of batches, runs of assistants, items of evals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .usage import DEFAULT_PROJECT, Used

if TYPE_CHECKING:
    from .app import Server

__all__ = ("spent",)

_KINDS: Final = {
    "/v1/chat/completions": "completions",
    "/v1/completions": "completions",
    "/v1/responses": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/moderations": "moderations",
}
"""What the lines of a batch are counted as."""
_ENDS: Final = ("completed_at", "expired_at", "cancelled_at", "failed_at", "finalizing_at", "in_progress_at")


def spent(server: Server) -> Iterator[Used]:
    """What was used by all jobs that are still kept, at the time they ended."""
    store = server.store
    for batch in store.list("batches"):
        yield from _batch(batch)
    for place in store.collections():
        family, _, rest = place.partition("/")
        if family in _RUNS and rest.count("/") == 1 and rest.endswith("/runs"):
            for run in store.list(place):
                yield from _RUNS[family](run)


def _batch(batch: Mapping[str, Any]) -> Iterator[Used]:
    usage, kind = batch.get("usage"), _KINDS.get(batch["endpoint"])
    if usage and kind is not None:
        counts = _counts(
            kind,
            usage["input_tokens"],
            usage["output_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
            batch["request_counts"]["completed"],
        )
        yield _used(_end(batch), kind, counts, batch.get("model"), batch=True)


def _run(run: Mapping[str, Any]) -> Iterator[Used]:
    usage = run.get("usage")
    if usage:
        counts = _counts("completions", usage["prompt_tokens"], usage["completion_tokens"], 0, 1)
        yield _used(_end(run), "completions", counts, run.get("model"))


def _eval_run(run: Mapping[str, Any]) -> Iterator[Used]:
    for each in run["per_model_usage"]:
        kind = "embeddings" if each["model_name"].startswith("text-embedding") else "completions"
        read, written, cached = each["prompt_tokens"], each["completion_tokens"], each["cached_tokens"]
        counts = _counts(kind, read, written, cached, each["invocation_count"])
        yield _used(run["created_at"], kind, counts, each["model_name"])


_RUNS: Final = {"threads": _run, "evals": _eval_run}


def _end(doc: Mapping[str, Any]) -> float:
    found: float = next((doc[name] for name in _ENDS if doc.get(name)), doc["created_at"])
    return found


def _counts(kind: str, read: int, written: int, cached: int, requests: int) -> dict[str, float]:
    counts: dict[str, float] = {"input_tokens": read, "num_model_requests": requests}
    return counts | ({"output_tokens": written, "input_cached_tokens": cached} if kind == "completions" else {})


def _used(at: float, kind: str, counts: Mapping[str, float], model: Any, *, batch: bool = False) -> Used:
    labels = {"model": model, "batch": batch, "service_tier": "default", "project_id": DEFAULT_PROJECT}
    return Used(at, kind, counts, labels)
