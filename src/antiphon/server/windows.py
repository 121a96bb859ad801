"""How much models can read at once, in tokens."""

from __future__ import annotations

from typing import Final

__all__ = ("SMALL_WINDOW", "context_window")

SMALL_WINDOW: Final = 4_096
"""No window is smaller."""

_WINDOWS: Final = (
    ("gpt-3.5-turbo-instruct", 4_096),
    ("gpt-3.5", 16_385),
    ("gpt-4-32k", 32_768),
    ("gpt-4-turbo", 128_000),
    ("gpt-4-0125", 128_000),
    ("gpt-4-1106", 128_000),
    ("gpt-4-vision", 128_000),
    ("gpt-4.1", 1_047_576),
    ("gpt-4.5", 128_000),
    ("gpt-4o", 128_000),
    ("chatgpt-4o", 128_000),
    ("gpt-4", 8_192),
    ("gpt-5", 400_000),
    ("o1-mini", 128_000),
    ("o1-preview", 128_000),
    ("o1", 200_000),
    ("o3", 200_000),
    ("o4", 200_000),
    ("computer-use-preview", 8_192),
)
"""Windows by what a model's name begins with; the first that fits counts."""


def context_window(model: str) -> int | None:
    """The most tokens that a model reads and writes in one request; `None` for a model that is not known."""
    return next((size for name, size in _WINDOWS if model.startswith(name)), None)
