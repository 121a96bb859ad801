"""Token counts of an answer, in the shape of each endpoint."""

from __future__ import annotations

from typing import Any

__all__ = ("chat_usage", "responses_usage", "service_tier")


def chat_usage(
    prompt: int,
    completion: int,
    *,
    reasoning: int = 0,
    cached: int = 0,
    written: int | None = None,
    audio: int = 0,
    accepted: int = 0,
    rejected: int = 0,
) -> dict[str, Any]:
    """`usage` of a chat completion."""
    read = {"cached_tokens": cached, "audio_tokens": 0}
    if written is not None:
        read["cache_write_tokens"] = written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": read,
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": audio,
            "accepted_prediction_tokens": accepted,
            "rejected_prediction_tokens": rejected,
        },
    }


def responses_usage(
    prompt: int, output: int, *, reasoning: int = 0, cached: int = 0, written: int = 0
) -> dict[str, Any]:
    """`usage` of a Response."""
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + output,
    }


def service_tier(asked: str | None) -> str:
    """The tier a request was served on: what it asked for, or `default` where it left the choice open."""
    return "default" if asked is None or asked == "auto" else asked
